import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareVersions, isBetween } from "../../protocol/package-version.ts";
import { needs, run } from "../kit/peers.ts";

const ASCENDING = [
  "~~",
  "~~a",
  "~",
  "",
  "1~rc1",
  "1.0~beta1~svc1245",
  "1.0~beta1",
  "1.0",
  "1.0-1~bpo12+1",
  "1.0-1",
  "1.0-1+b1",
  "1.0-1.1",
  "1.0-2",
  "1.0-10",
  "1.0a",
  "1.0+dfsg-1",
  "1.0.1",
  "1.9",
  "1.10",
  "20230311",
  "99999999999999999999999",
  "100000000000000000000000",
  "a",
  "1:0.1",
  "2:0~1",
  "10:0",
];

describe("the order of Debian policy", () => {
  test("puts tildes before the end, letters before the rest, and epochs before all", () => {
    for (const [i, a] of ASCENDING.entries())
      for (const [j, b] of ASCENDING.entries()) expect(compareVersions(a, b), `${a} ${b}`).toBe(Math.sign(i - j));
  });

  test("takes an absent epoch and revision for 0, and numbers by their value", () => {
    for (const [a, b] of [
      ["0:1.0", "1.0"],
      ["1.0-0", "1.0"],
      ["1.0-", "1.0"],
      ["1.007", "1.7"],
      ["00:1", "1"],
      ["1.2.", "1.2."],
    ] as const)
      expect(compareVersions(a, b), `${a} ${b}`).toBe(0);
  });

  test("between two versions is strictly between", () => {
    expect(isBetween("1.0-2", { below: "1.0-2" })).toBe(false);
    expect(isBetween("1.0-2~1", { below: "1.0-2", above: "1.0-1" })).toBe(true);
    expect(isBetween("1.0-1", { above: "1.0-1" })).toBe(false);
    expect(isBetween("anything", {})).toBe(true);
  });
});

const piece = fc.constantFrom(..."0123456789abzAZ.+~-:", "00", "10", "rc", "~~", "1:");
const version = fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join(""));
const anything = fc.oneof(version, fc.string({ unit: "binary", maxLength: 12 }));

describe("over any strings", () => {
  test("is a total order: antisymmetric, transitive, reflexive", () => {
    fc.assert(
      fc.property(anything, anything, anything, (a, b, c) => {
        expect(compareVersions(a, a)).toBe(0);
        expect(compareVersions(a, b) + compareVersions(b, a)).toBe(0);
        const [first = "", , last = ""] = [a, b, c].toSorted(compareVersions);
        expect(compareVersions(first, last)).toBeLessThanOrEqual(0);
      }),
      { numRuns: 2_000 },
    );
  });

  test("megabytes of digits, tildes and colons end at once", () => {
    for (const text of ["0", "9", "~", ":", "-", "a1"].map((one) => one.repeat(200_000)))
      expect(compareVersions(`${text}1`, `${text}2`)).toBeLessThanOrEqual(0);
  });
});

/** Versions as policy allows them: dpkg refuses the others. */
const alphanumeric = fc.constantFrom(..."0123456789abyzAZ", "00", "10");
const upstream = fc
  .tuple(
    fc.constantFrom(..."0123456789"),
    fc.array(fc.oneof(alphanumeric, fc.constantFrom(..."..++~~-")), { maxLength: 7 }),
  )
  .map(([first, rest]) => `${first}${rest.join("")}`);
const revision = fc
  .array(fc.oneof(alphanumeric, fc.constantFrom(..."+.~")), { minLength: 1, maxLength: 4 })
  .map((parts) => `-${parts.join("")}`);
const lawful = fc
  .tuple(fc.constantFrom("", "", "", "0:", "1:", "12:"), upstream, fc.oneof(revision, fc.constant("-1")))
  .map((parts) => parts.join(""));
/** Two that have much in common: unlike ones differ at the first sign. */
const pair = fc.oneof(
  fc.tuple(lawful, lawful),
  fc
    .tuple(lawful, fc.constantFrom("~", "0", "a", "+b1", ".1", "~1"))
    .map(([a, more]): [string, string] => [a, a + more]),
  fc.tuple(lawful, fc.nat(20)).map(([a, at]): [string, string] => [a, a.slice(0, at) + a.slice(at + 1)]),
);
const ALLOWED = /^(\d+:)?\d[A-Za-z0-9.+~-]*(-[A-Za-z0-9+.~]+)?$/;

describe.skipIf(needs("dpkg", "dpkg"))("against dpkg itself", () => {
  test("2,000 pairs stand as dpkg --compare-versions says", () => {
    const pairs = fc
      .sample(pair, { numRuns: 2_000, seed: 20_261_122 })
      .filter((two) => two.every((one) => ALLOWED.test(one) && !one.endsWith("-")));
    expect(pairs.length).toBeGreaterThan(1_500);
    const script = `while read -r a b; do
      if dpkg --compare-versions "$a" lt "$b"; then echo -1
      elif dpkg --compare-versions "$a" gt "$b"; then echo 1
      else echo 0; fi; done`;
    const said = run("sh", ["-c", script], `${pairs.map((two) => two.join(" ")).join("\n")}\n`);
    const dpkg = said.trim().split("\n").map(Number);
    expect(pairs.map(([a, b]) => `${a} ${b} ${compareVersions(a, b)}`)).toEqual(
      pairs.map(([a, b], i) => `${a} ${b} ${dpkg[i]}`),
    );
    expect(new Set(dpkg).size).toBe(3);
  }, 60_000);
});
