import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Point, riseOf, Trail } from "../../../agent/checks/trend.ts";

const every = (values: readonly number[], ms = 1_000): Point[] => values.map((value, i) => ({ atMs: i * ms, value }));

describe("a rise", () => {
  test("of a straight line is its slope, whatever the line", () => {
    fc.assert(
      fc.property(fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: 5, max: 40 }), (perS, length) => {
        const rise = riseOf(every(Array.from({ length }, (_, i) => i * perS)));
        expect(rise).toBeCloseTo(perS / 1000, 9);
      }),
    );
  });

  test("is none when there was one step, wherever in the window and however high", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 5, max: 80 }),
        fc.nat(100),
        fc.integer({ min: 1, max: 1e9 }),
        (length, at, height) => {
          const step = Math.min(length, at);
          expect(riseOf(every(Array.from({ length }, (_, i) => (i < step ? 0 : height))))).toBe(0);
        },
      ),
    );
  });

  test("is not hidden by a few wild points", () => {
    const points = every(Array.from({ length: 20 }, (_, i) => (i === 7 ? 900 : i === 15 ? -900 : i * 10)));
    expect(riseOf(points)).toBeCloseTo(0.01, 3);
  });

  test("needs five points, and two moments", () => {
    expect(riseOf(every([1, 2, 3, 4]))).toBeUndefined();
    expect(riseOf(every([1, 2, 3, 4, 5], 0))).toBeUndefined();
  });

  test("is told once enough of the window was seen, and forgets what is older", () => {
    const trail = new Trail(10_000);
    for (let s = 0; s <= 7; s += 1) trail.add(s * 1_000, s);
    expect(trail.rise(0.75)).toBeUndefined();
    trail.add(8_000, 8);
    expect(trail.rise(0.75)).toBeCloseTo(0.001);
    for (let s = 9; s <= 40; s += 1) trail.add(s * 1_000, 8);
    expect(trail.rise(0.75)).toBe(0);
    trail.clear();
    for (const share of [0.75, 0]) expect(trail.rise(share)).toBeUndefined();
  });
});
