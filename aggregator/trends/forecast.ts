import { dayLevels, medianOf } from "./days.ts";
import { levelAt, type Point, type Slope, slopeOf, stepsOf } from "./slope.ts";

/** Where a figure is not to go. */
export interface Goal {
  towards: "above" | "below";
  /** The value it must not reach, or the multiple of where it began that it must not grow to. */
  limit?: number | undefined;
  grows?: number | undefined;
  /** Jumps up to this are no cut: the figure comes in steps of about so much. */
  step?: number | undefined;
}

export interface Certainty {
  /** Days with levels at least. */
  leastDays: number;
  /** From 0 to 1. */
  confidence: number;
}

/** A figure on its way to its limit. Times in days from the end of what was looked at. */
export interface Forecast extends Slope {
  /** The figure at the end. */
  level: number;
  /** Days it rests on. */
  days: number;
  limit: number;
  reachesIn: number;
  /** At the earliest and at the latest; no latest where it may never come. */
  reachesFrom: number;
  reachesTo?: number;
}

/** What hourly values come to. */
export interface Analysis {
  /** Level of the last 24 hours. */
  level: number;
  forecast?: Forecast;
}

/** A younger window beside the whole one: a change of pace shows there first. */
const SHORT_DAYS = 7;
const SHORT_BESIDE = 10;
/** The newest third must still go at this share of the whole pace. */
const STILL_GOES = 1 / 3;
/** A step between two days is a jump beyond so many times what steps usually spread, and the usual step. */
const JUMP_SPREADS = 8;
const JUMP_STEPS = 4;
/** Fewer steps do not show what is usual. */
const LEAST_STEPS = 6;
/** So often set back within the window it is looked after: only worse than ever before is news. */
const OFTEN_RESET = 2;

/**
 * Looks at hourly values, oldest first (NaN where there is none): where the figure stands, and whether it goes towards its
 * limit. Undefined when the last day has no level. Pure.
 */
export function analyse(hours: Float64Array, goal: Goal, certainty: Certainty): Analysis | undefined {
  const levels = dayLevels(hours);
  const level = levels.at(-1);
  if (level === undefined || Number.isNaN(level)) return undefined;
  const points = [...levels].flatMap((y, day): Point[] => (Number.isNaN(y) ? [] : [{ x: day + 0.5, y }]));
  const end = levels.length;
  const forecast = forecastOf(points, end, goal, certainty);
  return forecast === undefined ? { level } : { level, forecast };
}

function forecastOf(points: readonly Point[], end: number, goal: Goal, certainty: Certainty): Forecast | undefined {
  const sign = goal.towards === "above" ? 1 : -1;
  const { segments, worst, resets } = cutAtJumps(points, sign, goal.step ?? 0);
  const own = segments.at(-1) ?? [];
  const now = own.at(-1)?.y ?? Number.NaN;
  if (own.length < certainty.leastDays || (resets >= OFTEN_RESET && sign * (now - worst) <= 0)) return undefined;
  const windows = own.length >= SHORT_BESIDE ? [own, own.slice(-SHORT_DAYS)] : [own];
  const found = windows.flatMap((window) => {
    const slope = slopeOf(window, sign, windows.length);
    if (slope === undefined || slope.confidence < certainty.confidence) return [];
    if (!stillGoes(window, slope.perDay)) return [];
    return reach(window, slope, { end, sign, goal }) ?? [];
  });
  return found.toSorted((a, b) => a.reachesIn - b.reachesIn)[0];
}

/** What someone freed, replaced or restarted begins anew: only what follows the last jump belongs to the trend. */
function cutAtJumps(points: readonly Point[], sign: 1 | -1, least: number) {
  const steps = stepsOf(points);
  const isJump = jumpsIn(steps, least);
  const segments: Point[][] = [[]];
  let [resets, worst] = [0, Number.NEGATIVE_INFINITY * sign];
  for (const [i, point] of points.entries()) {
    const [step, before] = [steps[i - 1], points[i - 1]];
    if (step !== undefined && before !== undefined && isJump(i - 1)) {
      // In the middle of a day it takes two steps.
      if (step * sign < 0 && !isJump(i - 2)) resets += 1;
      if (step * sign < 0 && sign * (before.y - worst) > 0) worst = before.y;
      segments.push([]);
    }
    segments.at(-1)?.push(point);
  }
  return { segments, resets, worst };
}

/** Tells whether a step is out of all proportion, and alone so: many steps like it are another pace. */
function jumpsIn(steps: readonly number[], least: number): (i: number) => boolean {
  if (steps.length < LEAST_STEPS) return () => false;
  const usual = medianOf(steps.length, (i) => steps[i] ?? Number.NaN);
  const spread = 1.4826 * medianOf(steps.length, (i) => Math.abs((steps[i] ?? Number.NaN) - usual));
  const most = Math.max(JUMP_SPREADS * spread, JUMP_STEPS * Math.abs(usual), least);
  const differ = (a: number | undefined, b: number | undefined): boolean =>
    a === undefined || b === undefined || Math.abs(a - b) > most;
  return (i) => i >= 0 && differ(steps[i], usual) && differ(steps[i], steps[i - 2]) && differ(steps[i], steps[i + 2]);
}

function stillGoes(window: readonly Point[], perDay: number): boolean {
  const last = window.slice(-Math.max(4, Math.ceil(window.length / 3)));
  const steps = stepsOf(last);
  return steps.reduce((sum, step) => sum + step / steps.length, 0) * Math.sign(perDay) >= STILL_GOES * Math.abs(perDay);
}

function reach(
  window: readonly Point[],
  slope: Slope,
  { end, sign, goal }: { end: number; sign: 1 | -1; goal: Goal },
): Forecast | undefined {
  const { perDay, low, high } = slope;
  const level = levelAt(window, perDay, end);
  const began = levelAt(window, perDay, window[0]?.x ?? end);
  const limit = goal.limit ?? (goal.grows !== undefined && began > 0 ? goal.grows * began : undefined);
  if (limit === undefined || perDay * sign <= 0) return undefined;
  const [slowest, fastest] = sign > 0 ? [low, high] : [high, low];
  const left = limit - level;
  const days = (pace: number): number => (left * sign <= 0 ? 0 : left / pace);
  const forecast = {
    ...slope,
    ...{ level, limit, days: window.length, reachesIn: days(perDay), reachesFrom: days(fastest) },
    ...(slowest * sign > 0 && { reachesTo: days(slowest) }),
  };
  return [level, limit, forecast.reachesIn].every(Number.isFinite) ? forecast : undefined;
}
