import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { alerts, parseFigures, parseOutput, parseRange, readingsOf } from "../../../agent/checks/command/parse.ts";

describe("what a plugin prints", () => {
  test("is text and figures, then long text and more figures", () => {
    const printed = [
      "DISK OK - free space: / 3326 MB (56%); | /=2643MB;5948;5958;0;5968",
      "/ 15272 MB (77%);",
      "/boot 68 MB (69%); | /boot=68MB;88;93;0;98",
      "/home=69357MB;253404;253409;0;253414",
    ].join("\n");
    const { text, figures } = parseOutput(printed);
    expect(text).toBe("DISK OK - free space: / 3326 MB (56%);");
    expect(figures.map(({ label, value, unit }) => [label, value, unit])).toEqual([
      ["/", 2643, "MB"],
      ["/boot", 68, "MB"],
      ["/home", 69357, "MB"],
    ]);
    expect(readingsOf(figures, 30)).toEqual({
      root_bytes: 2643 * 1024 ** 2,
      boot_bytes: 68 * 1024 ** 2,
      home_bytes: 69357 * 1024 ** 2,
    });
  });

  test("comes as one line of printable text, however it was painted", () => {
    expect(parseOutput("\u001b[31mBAD\u001b[0m\u0007\tit \u0000is\u202e so\r\nlong").text).toBe("BAD it is so");
    expect(parseOutput("").text).toBe("");
    expect(parseOutput("x".repeat(100_000)).text).toHaveLength(200);
  });
});

describe("figures", () => {
  const one = (text: string) => parseFigures(text)[0];

  test("have labels that may be quoted, and hold spaces, equals and doubled quotes", () => {
    expect(parseFigures("'a b'=1 'it''s = x'=2s c=3%").map(({ label, value, unit }) => [label, value, unit])).toEqual([
      ["a b", 1, ""],
      ["it's = x", 2, "s"],
      ["c", 3, "%"],
    ]);
  });

  test.each([
    ["t=0.5s", 0.5, "s"],
    ["t=12ms", 12, "ms"],
    ["t=7us", 7, "us"],
    ["n=-1.5e3", -1500, ""],
    ["n=.5", 0.5, ""],
    ["n=1,5s", 1.5, "s"],
    ["n=3c;;;0", 3, "c"],
  ])("%s", (text, value, unit) => {
    expect(one(text)).toEqual({ label: "n" === text[0] ? "n" : "t", value, unit });
  });

  test("say where they are worth an alert", () => {
    expect(one("load1=0.4;5;10:;0;")).toMatchObject({
      warning: { from: 0, to: 5, inside: false },
      critical: { from: 10, to: Number.POSITIVE_INFINITY, inside: false },
    });
  });

  test("that are none are passed over, and those behind them are read", () => {
    expect(parseFigures("x=U y=1 =3 junk ''=4 z= w=1e999 v=2;a;b").map(({ label }) => label)).toEqual(["y", "v"]);
    expect(parseFigures("'never closed=1 b=2").map(({ label, value }) => [label, value])).toEqual([
      ["closed", 1],
      ["b", 2],
    ]);
  });

  test("whatever was written is read back", () => {
    const figure = fc.record({
      label: fc.string({ unit: "binary", minLength: 1, maxLength: 20 }).filter((text) => !/[\n\r]/.test(text)),
      value: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
      unit: fc.constantFrom("", "s", "ms", "us", "%", "B", "KB", "MB", "GB", "TB", "c"),
    });
    fc.assert(
      fc.property(fc.array(figure, { maxLength: 20 }), (all) => {
        const text = all
          .map(({ label, value, unit }) => `'${label.replaceAll("'", "''")}'=${value}${unit};1;@2:3;0;9`)
          .join(" ");
        const read = parseFigures(text).map(({ label, value, unit }) => ({ label, value, unit }));
        expect(read).toEqual(all);
      }),
    );
  });

  test("any text at all is read without end or error, into finite figures with a unit in their names", () => {
    const noise = fc.oneof(
      fc.string({ unit: "binary", maxLength: 300 }),
      fc
        .array(fc.constantFrom("'", "=", " ", "|", ";", "\n", "1", "a", "%", "\0", "@", ":", "~"), { maxLength: 60 })
        .map((all) => all.join("")),
    );
    fc.assert(
      fc.property(noise, (text) => {
        const { figures, text: said } = parseOutput(text);
        expect(said).not.toMatch(/[\p{Cc}\n]/u);
        for (const [name, value] of Object.entries(readingsOf([...figures, ...parseFigures(text)], 30))) {
          expect(name).toMatch(/^[a-z0-9_]+_[a-z]+$/);
          expect(value).toSatisfy(Number.isFinite);
        }
      }),
    );
  });

  test("are at most so many, and share no name", () => {
    const figures = parseFigures(Array.from({ length: 100 }, (_, i) => `n=${i}`).join(" "));
    const readings = readingsOf(figures, 30);
    expect(Object.keys(readings)).toHaveLength(30);
    expect(readings).toMatchObject({ n_count: 0, n_2_count: 1, n_30_count: 29 });
    expect(Object.keys(readingsOf(parseFigures("温度=1 湿度=2 __proto__=3"), 30))).toHaveLength(3);
  });
});

describe("a range", () => {
  test.each([
    ["10", [0, 10], [-0.1, 10.1]],
    ["10:", [10, 1e9], [9.9]],
    ["~:10", [-1e9, 10], [10.1]],
    ["10:20", [10, 20], [9, 21]],
    ["@10:20", [9, 21], [10, 15, 20]],
    ["-5:-1", [-5, -1], [0, -6]],
    ["@5", [-1, 6], [0, 5]],
  ])("%s", (text, well, bad) => {
    const range = parseRange(text);
    if (range === undefined) throw new Error("not read");
    expect(well.filter((value) => alerts(range, value))).toEqual([]);
    expect(bad.filter((value) => !alerts(range, value))).toEqual([]);
  });

  test.each(["", "@", "x", "20:10", ":", "1:2:3", "1 2"])("%j is none", (text) => {
    expect(parseRange(text)).toBeUndefined();
  });
});
