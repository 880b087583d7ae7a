import fc from "fast-check";
import { expect, test } from "vitest";
import { dayLevels } from "../../../aggregator/trends/days.ts";
import { analyse, type Goal } from "../../../aggregator/trends/forecast.ts";
import { kendallScore, kendallTail } from "../../../aggregator/trends/kendall.ts";
import { slopeOf } from "../../../aggregator/trends/slope.ts";
import { studentQuantile, studentTail } from "../../../aggregator/trends/student.ts";

/** Normal noise of a seed: the same in every run. */
function noise(seed: number) {
  let state = seed >>> 0;
  const even = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(even())) * Math.cos(2 * Math.PI * even());
}
const hourly = (days: number, at: (hour: number) => number): Float64Array =>
  Float64Array.from({ length: 24 * days }, (_, hour) => at(hour));
const SURE = { leastDays: 4, confidence: 0.95 };
const FAR: Goal = { towards: "above", limit: 1e9 };
const found = (hours: Float64Array, goal: Goal = FAR) => analyse(hours, goal, SURE)?.forecast;
const share = (count: number, is: (n: number) => boolean): number =>
  Array.from({ length: count }, (_, n) => n).filter(is).length / count;

test("Kendall's distribution is the one of permutations", () => {
  // n = 4: 24 orders; scores 6, 4, 2, 0 are reached by 1, 3, 5, 6 of them (Kendall 1938).
  expect([6, 4, 2, 0, -2, -4, -6].map((score) => Math.round(24 * kendallTail(4, score)))).toEqual([
    1, 4, 9, 15, 20, 23, 24,
  ]);
  expect(kendallTail(10, 23)).toBeCloseTo(0.0233, 4);
  expect(kendallTail(10, 46)).toBe(0);
  expect(kendallScore(4, 0.05)).toBe(6);
  expect(kendallScore(3, 0.05)).toBeUndefined();
  for (const n of [5, 20, 38]) {
    const least = kendallScore(n, 0.05) ?? 0;
    expect(kendallTail(n, least)).toBeLessThanOrEqual(0.05);
    expect(kendallTail(n, least - 2)).toBeGreaterThan(0.05);
  }
});

test("Student's distribution is the one of the tables", () => {
  const table = [
    [6.314, 1, 0.05],
    [2.92, 2, 0.05],
    [2.353, 3, 0.05],
    [1.833, 9, 0.05],
    [2.764, 10, 0.01],
    [1.703, 27, 0.05],
  ] as const;
  for (const [t, df, p] of table) {
    expect(studentTail(t, df)).toBeCloseTo(p, 3);
    expect(studentQuantile(p, df)).toBeCloseTo(t, 2);
    expect(studentTail(-t, df)).toBeCloseTo(1 - p, 3);
  }
});

test("however straight the line, few days are not sure: four make 23 of 24, three make nothing", () => {
  const line = (days: number) =>
    slopeOf(
      Array.from({ length: days }, (_, x) => ({ x, y: 2 * x })),
      1,
      1,
    );
  expect(line(3)).toBeUndefined();
  expect(line(4)?.confidence).toBeCloseTo(1 - 1 / 24, 9);
  expect(line(5)?.confidence).toBeCloseTo(1 - 1 / 120, 9);
  expect(
    slopeOf(
      [0, 1, 2, 3].map((x) => ({ x, y: 2 * x })),
      1,
      2,
    )?.confidence,
  ).toBeCloseTo(1 - 2 / 24, 9);
});

test("a known slope under noise lies in the interval told, at least as often as promised", () => {
  for (const [days, spread] of [
    [6, 0.3],
    [14, 1],
    [28, 2],
  ] as const) {
    const random = noise(days);
    let [told, held] = [0, 0];
    for (let n = 0; n < 300; n += 1) {
      const slope = slopeOf(
        Array.from({ length: days }, (_, x) => ({ x, y: x + spread * random() })),
        1,
        1,
      );
      if (slope === undefined) continue;
      told += 1;
      if (slope.low <= 1 && slope.high >= 1) held += 1;
      expect(slope.low).toBeLessThanOrEqual(slope.perDay);
      expect(slope.high).toBeGreaterThanOrEqual(slope.perDay);
    }
    expect(told).toBe(300);
    expect(held / told, `${days} days`).toBeGreaterThan(0.9);
  }
});

test("a slope well over its noise is found, whatever its direction, scale and daily rhythm", () => {
  fc.assert(
    fc.property(
      ...[fc.integer({ min: 5, max: 28 }), fc.constantFrom(-1, 1), fc.double({ min: -9, max: 9, noNaN: true })],
      ...[fc.nat(), fc.double({ min: 0, max: 20, noNaN: true }), fc.nat({ max: 23 })],
      (days, sign, power, seed, swing, phase) => {
        const random = noise(seed);
        const scale = 10 ** power;
        const wave = (hour: number) => swing * Math.sin(((hour + phase) / 12) * Math.PI);
        const hours = hourly(days, (hour) => scale * (50 + (sign * hour) / 24 + wave(hour) + 0.1 * random()));
        const goal: Goal = sign > 0 ? { towards: "above", limit: 100 * scale } : { towards: "below", limit: 0 };
        const forecast = found(hours, goal);
        expect(forecast).toBeDefined();
        expect((forecast?.perDay ?? 0) / scale).toBeCloseTo(sign, 0);
        const exact = sign > 0 ? 50 - days : 50 - days;
        expect(forecast?.reachesIn).toBeGreaterThan(exact * 0.8 - 1);
        expect(forecast?.reachesIn).toBeLessThan(exact * 1.25 + 1);
        expect(forecast?.reachesFrom).toBeLessThanOrEqual(forecast?.reachesIn ?? 0);
        expect(forecast?.reachesTo ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(forecast?.reachesIn ?? 0);
        expect(found(hours, { ...goal, towards: sign > 0 ? "below" : "above" })).toBeUndefined();
      },
    ),
    { numRuns: 150 },
  );
});

test("noise is taken for a trend no more often than the confidence says, though it wanders, waves or weeks", () => {
  for (const days of [5, 8, 14, 28]) {
    const random = noise(days * 7_919);
    const at = Array.from({ length: 6 }, () => 0);
    const kinds: Record<string, () => Float64Array> = {
      white: () => hourly(days, random),
      "by the day": () => {
        const levels = Array.from({ length: days }, random);
        return hourly(days, (hour) => levels[Math.floor(hour / 24)] ?? 0);
      },
      waves: () => hourly(days, (hour) => 10 * Math.sin(hour / 3.82) + random()),
      walks: () => hourly(days, () => (at[0] = (at[0] ?? 0) + random())),
      drags: () => hourly(days, () => (at[1] = 0.97 * (at[1] ?? 0) + random())),
      weeks: () => hourly(days, (hour) => (Math.floor(hour / 24) % 7 < 5 ? 10 : 0) + random()),
    };
    for (const [kind, make] of Object.entries(kinds))
      expect(
        share(700, () => found(make()) !== undefined),
        `${kind}, ${days} days`,
      ).toBeLessThan(0.065);
  }
});

test("one jump is no trend, wherever it is", () => {
  const random = noise(5);
  for (const days of [6, 14, 28])
    expect(
      share(24 * days, (when) => found(hourly(days, (hour) => (hour >= when ? 30 : 0) + random())) !== undefined),
    ).toBeLessThan(0.03);
});

test("what someone freed begins anew: the old slope is not held against it, a new one is found by itself", () => {
  const random = noise(9);
  const goal: Goal = { towards: "below", limit: 10 };
  const freed = (hour: number) => (hour < 14 * 24 ? 40 - hour / 24 : 90) + 0.1 * random();
  expect(found(hourly(14, freed), goal)?.reachesIn).toBeCloseTo(16, 0);
  expect(found(hourly(17, freed), goal)).toBeUndefined();
  expect(found(hourly(21, freed), goal)).toBeUndefined();
  const again = found(
    hourly(21, (hour) => (hour < 14 * 24 ? 40 - hour / 24 : 90 - ((hour - 336) / 24) * 5) + 0.1 * random()),
    goal,
  );
  expect(again?.perDay).toBeCloseTo(-5, 0);
  expect(again?.days).toBeLessThanOrEqual(7);
});

test("what is cleaned every week is looked after: only worse than ever before is news", () => {
  const saw = (days: number, growth = 0) =>
    hourly(days, (hour) => 20 + (hour % 168) / 8 + (hour / 168) * growth + (hour % 5) / 20);
  const goal: Goal = { towards: "above", limit: 60 };
  for (const days of [22, 25, 27, 28]) expect(found(saw(days), goal), `${days} days`).toBeUndefined();
});

test("a slope that has stopped is none any more", () => {
  const random = noise(3);
  const stopped = (hour: number) => 40 - Math.min(hour / 24, 14) + 0.1 * random();
  expect(found(hourly(14, stopped), { towards: "below", limit: 10 })).toBeDefined();
  expect(found(hourly(24, stopped), { towards: "below", limit: 10 })).toBeUndefined();
});

test("gaps take nothing away: nights off, lost days, single hours", () => {
  const random = noise(11);
  const gappy = (missing: (hour: number) => boolean) =>
    found(
      hourly(14, (hour) => (missing(hour) ? Number.NaN : 40 - hour / 24 + 5 * Math.sin(hour / 3.82) + 0.2 * random())),
      { towards: "below", limit: 10 },
    );
  for (const missing of [
    (hour: number) => hour % 24 < 10,
    (hour: number) => Math.floor(hour / 24) % 4 === 2,
    (hour: number) => hour % 7 === 0,
    (hour: number) => (hour * 7_919) % 100 < 40,
    (hour: number) => hour < 5 * 24,
  ])
    expect(gappy(missing)?.perDay).toBeCloseTo(-1, 0);
  expect(gappy((hour) => hour >= 13 * 24)).toBeUndefined();
  expect(gappy((hour) => hour < 11 * 24)).toBeUndefined();
});

test("a day's level is not moved by which of its hours are there", () => {
  const hours = hourly(10, (hour) => 100 + 20 * Math.sin((hour / 12) * Math.PI));
  for (let hour = 9 * 24 + 12; hour < 10 * 24; hour += 1) hours[hour] = Number.NaN;
  expect(dayLevels(hours)[9]).toBeCloseTo(dayLevels(hours)[0] ?? 0, 6);
});

test("memory that grows is told by how often it doubles; what is none is not", () => {
  const goal: Goal = { towards: "above", grows: 2 };
  const leak = found(
    hourly(10, (hour) => 100e6 + (hour / 24) * 5e6),
    goal,
  );
  expect(leak?.limit).toBeCloseTo(205e6, -7);
  expect(leak?.reachesIn).toBeGreaterThan(9);
  expect(
    found(
      hourly(10, () => 100e6),
      goal,
    ),
  ).toBeUndefined();
  expect(
    found(
      hourly(10, (hour) => -5 + hour / 240),
      goal,
    ),
  ).toBeUndefined();
});

test("what is past its limit already is reached now", () => {
  const forecast = found(
    hourly(8, (hour) => 8 - hour / 48),
    { towards: "below", limit: 10 },
  );
  expect(forecast).toMatchObject({ reachesIn: 0, reachesFrom: 0, reachesTo: 0 });
});

test("no numbers, however mad, bring it down or make it promise infinity", () => {
  const mad = fc.constantFrom(1e308, -1e308, 5e-324, 0, Number.NaN, 1, -1, 1e15);
  fc.assert(
    fc.property(fc.array(mad, { minLength: 0, maxLength: 240 }), fc.boolean(), (values, up) => {
      const forecast = analyse(
        Float64Array.from(values),
        { towards: up ? "above" : "below", limit: 7 },
        SURE,
      )?.forecast;
      for (const value of Object.values(forecast ?? {})) expect(Number.isFinite(value)).toBe(true);
    }),
    { numRuns: 500 },
  );
});
