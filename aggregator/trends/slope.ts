import { medianOf } from "./days.ts";
import { kendallScore, kendallTail } from "./kendall.ts";
import { studentQuantile, studentTail } from "./student.ts";

/** A level at a day. */
export interface Point {
  x: number;
  y: number;
}

export interface Slope {
  /** Change a day. */
  perDay: number;
  /** Between these with 90 %. */
  low: number;
  high: number;
  /** From 0 to 1: how sure it is that there is a change in the direction asked for. */
  confidence: number;
}

/** What may lie outside of the interval, on either side. */
const OUTSIDE = 0.05;

/**
 * Robust slope: the median of the slopes of all pairs (Theil 1950, Sen 1968), as sure as two tests agree on. Kendall's rank
 * test asks whether there is an order at all; Student's test on the steps from day to day asks whether they lead anywhere,
 * so that a figure that only wanders, or jumped once, is no trend. The interval holds both. `tests`: how many windows of the
 * same figure are tried (Bonferroni).
 */
export function slopeOf(points: readonly Point[], towards: 1 | -1, tests: number): Slope | undefined {
  if (points.length < 3) return undefined;
  const slopes = pairSlopes(points);
  const { length } = slopes;
  const perDay = ((slopes[(length - 1) >> 1] ?? 0) + (slopes[length >> 1] ?? 0)) / 2;
  const score = slopes.reduce((sum, slope) => sum + Math.sign(slope), 0);
  const drift = driftOf(points, towards);
  const byRank = kendallTail(points.length, score * towards);
  const least = kendallScore(points.length, OUTSIDE);
  const cut = least === undefined ? -1 : Math.floor((length - least) / 2);
  const [low, high] = [slopes[cut] ?? Number.NEGATIVE_INFINITY, slopes[length - 1 - cut] ?? Number.POSITIVE_INFINITY];
  const found = {
    perDay,
    low: Math.min(low, drift.low, perDay),
    high: Math.max(high, drift.high, perDay),
    confidence: Math.max(0, 1 - tests * Math.max(byRank, drift.tail)),
  };
  return Object.values(found).every(Number.isFinite) ? found : undefined;
}

function pairSlopes(points: readonly Point[]): Float64Array {
  const slopes = new Float64Array((points.length * (points.length - 1)) / 2);
  let count = 0;
  for (let i = 0; i < points.length; i += 1)
    for (let j = i + 1; j < points.length; j += 1) slopes[count++] = between(points[i], points[j]);
  return slopes.sort();
}

/**
 * Levels are averages: of a figure that wanders, steps between them go together by a quarter (Working 1960), which makes
 * their mean vary half as much again.
 */
const GO_TOGETHER = 1.5;

/** Steps from one day to the next as if each were drawn anew: their mean, tested and bounded. */
function driftOf(points: readonly Point[], towards: 1 | -1): { low: number; high: number; tail: number } {
  const steps = stepsOf(points);
  const count = steps.length;
  const mean = steps.reduce((sum, step) => sum + step / count, 0);
  const variance = steps.reduce((sum, step) => sum + (step - mean) ** 2 / (count - 1), 0);
  const spread = Math.sqrt((GO_TOGETHER * variance) / count);
  const tail = spread === 0 ? (mean * towards > 0 ? 0 : 1) : studentTail((towards * mean) / spread, count - 1);
  const reach = spread * studentQuantile(OUTSIDE, count - 1);
  return { low: mean - reach, high: mean + reach, tail };
}

export const stepsOf = (points: readonly Point[]): number[] =>
  points.slice(1).map((point, i) => between(points[i], point));

const between = (a: Point | undefined, b: Point | undefined): number =>
  a === undefined || b === undefined ? Number.NaN : (b.y - a.y) / (b.x - a.x);

/** Where the line of this slope through the points stands at `x`. */
export const levelAt = (points: readonly Point[], perDay: number, x: number): number =>
  medianOf(points.length, (i) => {
    const point = points[i];
    return point === undefined ? Number.NaN : point.y + perDay * (x - point.x);
  });
