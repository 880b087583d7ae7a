import fc from "fast-check";
import { expect, test } from "vitest";
import { BACKOFF, pauseMs } from "../../platform/backoff.ts";

const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test("the ceiling doubles from the first pause to the longest and stays there", () => {
  const ceilings = [1, 2, 3, 6, 7, 8, 1000, 1e9].map((failures) => pauseMs(failures, BACKOFF, 1));
  expect(ceilings).toEqual([1000, 2000, 4000, 32_000, 60_000, 60_000, 60_000, 60_000]);
});

test("a pause lies anywhere between nothing and its ceiling, in step with the dice alone", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), random, (failures, dice) => {
      const pause = pauseMs(failures, BACKOFF, dice);
      expect(pause).toBeGreaterThanOrEqual(0);
      expect(pause).toBeCloseTo(dice * pauseMs(failures, BACKOFF, 1), 6);
    }),
  );
});

test("what only a person can mend is not asked again before half of the longest pause", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), random, (failures, dice) => {
      const pause = pauseMs(failures, BACKOFF, dice, true);
      expect(pause).toBeGreaterThanOrEqual(BACKOFF.mostMs / 2);
      expect(pause).toBeLessThanOrEqual(BACKOFF.mostMs);
    }),
  );
});
