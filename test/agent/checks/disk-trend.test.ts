import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openFillTrend, steadyFall } from "../../../agent/checks/disk/trend.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const MB = 1e6;

/** Free room every `stepMs` for `forMs`, by a rule of the hour. */
const history = (forMs: number, freeAt: (hours: number) => number, stepMs = 6 * MINUTE) =>
  Array.from({ length: Math.floor(forMs / stepMs) + 1 }, (_, i) => ({
    atMs: i * stepMs,
    value: freeAt((i * stepMs) / HOUR),
  }));

describe("a steady fall of free room", () => {
  test("is found at its rate, whatever the rate, the offset and the noise below it", () => {
    const rate = fc.double({ min: 1, max: 1000, noNaN: true });
    const noise = fc.array(fc.double({ min: -0.04, max: 0.04, noNaN: true }), { minLength: 61, maxLength: 61 });
    fc.assert(
      fc.property(rate, noise, (perHour, off) => {
        const samples = history(6 * HOUR, (h) => (50_000 - perHour * (h + (off[Math.round(h * 10)] ?? 0))) * MB);
        const found = (steadyFall(samples)?.bytesPerMs ?? 0) * HOUR;
        expect(found / (perHour * MB)).toBeGreaterThan(0.95);
        expect(found / (perHour * MB)).toBeLessThan(1.05);
      }),
    );
  });

  test("is found although a few samples are wild", () => {
    const samples = history(6 * HOUR, (h) => (5000 - 100 * h + ([1, 2.5, 4].includes(h) ? 900 : 0)) * MB);
    expect((steadyFall(samples)?.bytesPerMs ?? 0) * HOUR).toBeCloseTo(100 * MB, -6);
  });

  test("is found in bursts, one an hour", () => {
    const samples = history(6 * HOUR, (h) => (5000 - 100 * Math.floor(h)) * MB);
    const perHour = (steadyFall(samples)?.bytesPerMs ?? 0) * HOUR;
    expect(perHour).toBeGreaterThan(70 * MB);
    expect(perHour).toBeLessThan(130 * MB);
  });

  test.each<[string, (hours: number) => number]>([
    ["room that stays", () => 5000],
    ["room that grows", (h) => 5000 + 100 * h],
    ["a log rotated every hour", (h) => 5000 - 400 * (h % 1)],
    ["a log rotated every three hours", (h) => 5000 - 400 * (h % 3)],
    ["one package installed", (h) => (h < 3 ? 5000 : 4000)],
    ["a fill that stopped two hours ago", (h) => 5000 - 500 * Math.min(h, 4)],
    ["a fill that somebody has just made room after", (h) => (h < 5.5 ? 5000 - 500 * h : 5000)],
  ])("is not seen in %s", (_, freeAt) => {
    expect(steadyFall(history(6 * HOUR, (h) => freeAt(h) * MB))).toBeUndefined();
  });

  test("is not seen in a log that is rotated every two hours, at any moment", () => {
    for (let hours = 4; hours <= 6; hours += 0.1)
      expect(steadyFall(history(hours * HOUR, (h) => (5000 - 400 * (h % 2)) * MB))).toBeUndefined();
  });

  test("is never told from less than half an hour", () => {
    const falling = (h: number) => (5000 - 1000 * h) * MB;
    expect(steadyFall(history(29 * MINUTE, falling, MINUTE))).toBeUndefined();
    expect(steadyFall(history(30 * MINUTE, falling, MINUTE))).toBeDefined();
  });

  test("is never a rate of nothing or less, whatever the samples", () => {
    const steps = fc.array(fc.tuple(fc.nat(HOUR), fc.double({ min: 0, max: 1e15, noNaN: true })), { maxLength: 40 });
    fc.assert(
      fc.property(steps, (raw) => {
        let atMs = 0;
        const samples = raw.map(([after, value]) => {
          atMs += after;
          return { atMs, value };
        });
        const fall = steadyFall(samples);
        if (fall !== undefined) expect(fall.bytesPerMs).toBeGreaterThan(0);
      }),
    );
  });
});

describe("the samples of a volume", () => {
  test("forget what is older than the window: a fall of yesterday is no trend today", () => {
    const trend = openFillTrend(6 * HOUR);
    for (let s = 0; s <= 6 * 360; s += 1) trend.add(s * 10_000, 5e9 - s * 1e5);
    expect((trend.fall()?.bytesPerMs ?? 0) * HOUR).toBeCloseTo(36 * MB, -5);
    for (let s = 6 * 360; s <= 13 * 360; s += 1) trend.add(s * 10_000, 5e9 - 6 * 360 * 1e5);
    expect(trend.fall()).toBeUndefined();
  });

  test("cover the whole window however often they come", () => {
    const trend = openFillTrend(6 * HOUR);
    for (let s = 0; s <= 24 * 360; s += 1) trend.add(s * 10_000, 50e9 - s * 1e5);
    expect(trend.fall()?.overMs).toBeGreaterThan(5.5 * HOUR);
    expect(trend.fall()?.overMs).toBeLessThanOrEqual(6.5 * HOUR);
  });
});
