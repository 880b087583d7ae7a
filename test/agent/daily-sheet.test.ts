import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Verdict } from "../../agent/checks/check.ts";
import { daySheet, type SheetCheck } from "../../agent/daily-sheet.ts";
import { DailyCheck } from "../../protocol/daily.ts";
import { DAILY_STATES } from "../../protocol/daily-state.ts";
import { MAX_BYTES } from "../../protocol/from-device.ts";
import { GRADES, type Grade } from "../../protocol/severity.ts";

const facts = { date: "2026-11-22", agent: "1.0.0", config_hash: "c" };
const how = { now: 1_000_000, mostBytes: 60_000, redact: (text: string) => text };
const place = { boot: "01JD0000000000000000000000", seq: 2 ** 52, ts: 8.64e15 };

function check(id: string, said?: SheetCheck["answer"] | readonly Verdict[] | string, ageMs = 0): SheetCheck {
  const kind = { id, name: { zh: `${id}项`, en: id }, titles: { space: { zh: "空间不足", en: "almost full" } } };
  if (said === undefined) return { kind, state: "watched", answer: undefined };
  return { kind, state: "watched", answer: { at: how.now - ageMs, said: said as readonly Verdict[] | string } };
}
const judged = (subject: string, grade: Grade, more: Partial<Verdict> = {}): Verdict =>
  ({
    ...{ state: "judged", subject, grade, holds: grade, reason: "space" },
    ...{ says: `${subject} has 3 % left`, readings: { free_pct: 3 } },
    ...more,
  }) as Verdict;

describe("a day's sheet", () => {
  test("lists every check: judged, unknown, failed, not asked, without subjects, absent, disabled", () => {
    const { kind } = check("x");
    const sheet = daySheet(
      facts,
      [
        check("disk", [judged("/var", "major"), judged("/", "ok")]),
        check("network", [{ state: "unknown", subject: "eth0", because: "EIO" }]),
        check("clock", "did not answer in 5000 ms"),
        check("logs"),
        check("data", []),
        { kind: { ...kind, id: "switch" }, state: "absent", answer: undefined },
        { kind: { ...kind, id: "power" }, state: "disabled", answer: undefined },
      ],
      how,
    );
    expect(sheet.checks.map(({ check: id, subject = "", state }) => `${id} ${subject} ${state}`)).toEqual([
      "disk /var major",
      "disk / ok",
      "network eth0 unknown",
      "clock  unknown",
      "logs  unknown",
      "data  absent",
      "switch  absent",
      "power  disabled",
    ]);
    expect(sheet.checks[0]).toEqual({
      ...{ check: "disk", name_zh: "disk项", name_en: "disk", subject: "/var", state: "major", reason: "space" },
      ...{ title_zh: "空间不足", title_en: "almost full", says: "/var has 3 % left", readings: { free_pct: 3 } },
    });
    expect(sheet.checks[1]).not.toHaveProperty("reason");
    expect(sheet).toMatchObject({ major_count: 1, ok_count: 1, unknown_count: 3, absent_count: 2, disabled_count: 1 });
  });

  test("says how old an answer is, once that is more than ten minutes", () => {
    const sheet = daySheet(facts, [check("a", [judged("x", "ok")], 600_000), check("b", "hung", 3_600_000)], how);
    expect(sheet.checks.map(({ age_s }) => age_s)).toEqual([undefined, 3_600]);
  });

  test("carries no name that must not leave the device, and no figure that is no number", () => {
    const verdict = judged("Wang's disk", "minor", {
      says: "Wang was here",
      title: { zh: "Wang 的服务", en: "service of Wang" }, // a person wrote it into the config
      readings: { free_pct: Number.NaN, used_pct: 1, n_count: Number.POSITIVE_INFINITY },
    } as Partial<Verdict>);
    const sheet = daySheet(facts, [check("disk", [verdict]), check("b", "Wang hung")], {
      ...how,
      redact: (text) => text.replaceAll("Wang", "***"),
    });
    expect(JSON.stringify(sheet)).not.toContain("Wang");
    expect(sheet.checks[0]?.readings).toEqual({ used_pct: 1 });
  });

  test("too much is cut from what is well, and counted; every check stays, and every fault", () => {
    const many = Array.from({ length: 2_000 }, (_, i) => judged(`unit-${i}`, i % 400 === 7 ? "minor" : "ok"));
    const sheet = daySheet(
      facts,
      [check("process", many), check("disk", [judged("/", "ok")]), check("z", "hung")],
      how,
    );
    expect(Buffer.byteLength(JSON.stringify({ ...sheet, ...place }))).toBeLessThanOrEqual(how.mostBytes);
    expect(sheet.cut_count).toBe(2_002 - sheet.checks.length);
    expect(sheet.cut_count).toBeGreaterThan(1_000);
    expect(sheet).toMatchObject({ minor_count: 5, ok_count: 1_996, unknown_count: 1 });
    expect(sheet.checks.filter(({ state }) => state === "minor")).toHaveLength(5);
    expect(sheet.checks.map(({ check: id }) => id)).toContain("disk");
    expect(sheet.checks.at(-1)).toMatchObject({ check: "z", state: "unknown" });
    expect(sheet.checks[0]?.subject).toBe("unit-0"); // the last go first
  });

  test("whatever the checks say, it fits its topic, and nothing is left uncounted", () => {
    const text = fc.string({ unit: "binary", maxLength: 600 });
    const verdict = fc.oneof(
      fc
        .record({
          subject: text.map((one) => one || "x"),
          grade: fc.constantFrom(...GRADES),
          reason: fc.constantFrom("space", "__proto__", "none"),
          says: fc.option(text, { nil: undefined }),
          readings: fc.dictionary(fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 12 }), fc.double(), {
            maxKeys: 80,
          }),
        })
        .map((own) => ({ ...own, state: "judged", holds: own.grade }) as Verdict),
      text.map((because): Verdict => ({ state: "unknown", subject: because || "y", because })),
    );
    const checks = fc.array(
      fc.tuple(fc.constantFrom("disk", "cpu", "net"), fc.oneof(text, fc.array(verdict, { maxLength: 60 }))),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(checks, fc.integer({ min: 8_000, max: 60_000 }), (list, mostBytes) => {
        const all = list.map(([id, said]) => check(id, said));
        const sheet = daySheet(facts, all, { ...how, mostBytes });
        const message = DailyCheck.parse({ ...sheet, ...place });
        const bytes = Buffer.byteLength(JSON.stringify(message));
        expect(bytes).toBeLessThanOrEqual(Math.min(mostBytes, MAX_BYTES.daily));
        const counted = DAILY_STATES.reduce((sum, state) => sum + message[`${state}_count`], 0);
        expect(counted).toBe(message.checks.length + message.cut_count);
        const lines = all.reduce(
          (sum, { answer }) => sum + (Array.isArray(answer?.said) ? answer.said.length || 1 : 1),
          0,
        );
        expect(counted).toBe(lines);
      }),
      { numRuns: 120 },
    );
  });
});
