import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { gradeHigh, gradeLow, Latch, worstOf } from "../../../agent/checks/check.ts";
import { GRADES, rank } from "../../../protocol/severity.ts";

describe("two thresholds", () => {
  test("a figure between them raises nothing but keeps what was raised", () => {
    const bands = { minor: { raise: 80, clear: 70 }, major: { raise: 95, clear: 90 } };
    expect(gradeHigh(75, bands)).toEqual({ grade: "ok", holds: "minor" });
    expect(gradeHigh(92, bands)).toEqual({ grade: "minor", holds: "major" });
    expect(gradeHigh(70, bands)).toEqual({ grade: "ok", holds: "ok" });
    expect(gradeLow(6, { major: { raise: 5, clear: 7 } })).toEqual({ grade: "ok", holds: "major" });
    expect(gradeLow(5, { major: { raise: 5, clear: 7 } })).toEqual({ grade: "major", holds: "major" });
    expect(gradeLow(7, { major: { raise: 5, clear: 7 } })).toEqual({ grade: "ok", holds: "ok" });
  });

  test("holds is never less than the grade", () => {
    const band = fc.tuple(fc.integer(), fc.nat(50)).map(([raise, gap]) => ({ raise, clear: raise - gap }));
    fc.assert(
      fc.property(fc.integer(), band, band, (value, minor, major) => {
        const { grade, holds } = gradeHigh(value, { minor, major });
        expect(rank(holds)).toBeGreaterThanOrEqual(rank(grade));
      }),
    );
  });
});

describe("several conditions of one subject", () => {
  const condition = (reason: string, grade: (typeof GRADES)[number], holds = grade) => ({
    reason,
    grade,
    holds,
    readings: { [`${reason}_count`]: 1 },
  });

  test("the worst decides, the first of equals; readings of all are told", () => {
    const judged = worstOf("s", [condition("a", "minor"), condition("b", "major"), condition("c", "major")]);
    expect(judged).toMatchObject({
      subject: "s",
      grade: "major",
      reason: "b",
      readings: { a_count: 1, b_count: 1, c_count: 1 },
    });
  });

  test("one between its thresholds that never was raised does not hold another one's alarm", () => {
    const latch = new Latch();
    worstOf("s", [condition("missing", "ok"), condition("descriptors", "ok")], latch);
    expect(worstOf("s", [condition("missing", "major"), condition("descriptors", "ok", "minor")], latch).holds).toBe(
      "major",
    );
    expect(worstOf("s", [condition("missing", "ok"), condition("descriptors", "ok", "minor")], latch).holds).toBe("ok");
  });

  test("one that was raised holds until it is past its own clear threshold", () => {
    const latch = new Latch();
    worstOf("s", [condition("descriptors", "ok")], latch);
    worstOf("s", [condition("descriptors", "minor")], latch);
    expect(worstOf("s", [condition("descriptors", "ok", "minor")], latch).holds).toBe("minor");
    worstOf("s", [condition("descriptors", "ok")], latch);
    expect(worstOf("s", [condition("descriptors", "ok", "minor")], latch).holds).toBe("ok");
  });

  test("it holds no more than it has raised", () => {
    const latch = new Latch();
    worstOf("s", [condition("space", "minor")], latch);
    expect(worstOf("s", [condition("space", "ok", "major")], latch).holds).toBe("minor");
  });

  test("after a restart the first look keeps what may have been raised before", () => {
    const latch = new Latch();
    expect(worstOf("s", [condition("space", "ok", "minor")], latch).holds).toBe("minor");
    expect(worstOf("s", [condition("space", "ok", "minor")], latch).holds).toBe("minor");
  });

  test("a latch never holds less than the grade nor more than the clear side allows", () => {
    const grade = fc.constantFrom(...GRADES);
    fc.assert(
      fc.property(fc.array(fc.tuple(grade, grade), { minLength: 1 }), (looks) => {
        const latch = new Latch();
        for (const [a, b] of looks) {
          const [low, high] = rank(a) < rank(b) ? [a, b] : [b, a];
          const { holds } = worstOf("s", [condition("x", low, high)], latch);
          expect(rank(holds)).toBeGreaterThanOrEqual(rank(low));
          expect(rank(holds)).toBeLessThanOrEqual(rank(high));
        }
      }),
    );
  });
});
