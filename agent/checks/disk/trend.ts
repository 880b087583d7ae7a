import type { Point } from "../trend.ts";

/** Room that shrinks steadily. */
export interface Fall {
  bytesPerMs: number;
  /** Milliseconds it was seen for. */
  overMs: number;
}

/** Fewer samples, or a shorter time, are no trend. */
const LEAST_SAMPLES = 6;
const LEAST_MS = 30 * 60_000;
const MOST_SAMPLES = 64;
/** Share of falling pairs less share of rising ones (Kendall). A log rotated twice within the window makes 0.5 of it. */
const LEAST_AGREEMENT = 0.6;
/** The last third must still fall at this share of the whole rate: what was freed, or has stopped, is no trend. */
const STILL_FALLS = 1 / 3;

/**
 * How fast free room (`value`, bytes) falls, by the median slope of all pairs of samples: neither a wild sample nor a
 * rotated log moves it much. Undefined when the room does not fall, or not steadily enough to say so.
 */
export function steadyFall(samples: readonly Point[]): Fall | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || samples.length < LEAST_SAMPLES) return undefined;
  const overMs = last.atMs - first.atMs;
  if (overMs < LEAST_MS) return undefined;
  const slopes = pairSlopes(samples);
  const slope = medianOf(slopes);
  if (slope === undefined || slope >= 0 || agreement(slopes) < LEAST_AGREEMENT) return undefined;
  const recent = samples.find(({ atMs }) => atMs >= last.atMs - overMs / 3) ?? first;
  const recentSlope = (last.value - recent.value) / Math.max(1, last.atMs - recent.atMs);
  return recentSlope <= slope * STILL_FALLS ? { bytesPerMs: -slope, overMs } : undefined;
}

/** Slopes between all pairs of samples (Theil 1950, Sen 1968). */
function pairSlopes(samples: readonly Point[]): Float64Array {
  const slopes = new Float64Array((samples.length * (samples.length - 1)) / 2);
  let count = 0;
  samples.forEach((from, index) => {
    for (let i = index + 1; i < samples.length; i += 1) {
      const to = samples[i] ?? from;
      if (to.atMs > from.atMs) slopes[count++] = (to.value - from.value) / (to.atMs - from.atMs);
    }
  });
  return slopes.subarray(0, count);
}

function medianOf(values: Float64Array): number | undefined {
  const sorted = values.toSorted();
  const upper = sorted[sorted.length >> 1];
  const lower = sorted[(sorted.length - 1) >> 1];
  return upper === undefined || lower === undefined ? undefined : (upper + lower) / 2;
}

/** 1 when each sample is lower than all before it, −1 when each is higher, near 0 when there is no order. */
const agreement = (slopes: Float64Array): number =>
  slopes.reduce((falling, slope) => falling - Math.sign(slope), 0) / slopes.length;

/** One volume's free room over a window, thinned to 64 samples. */
export interface FillTrend {
  add(atMs: number, freeBytes: number): void;
  /** Undefined while the room does not fall steadily. */
  fall(): Fall | undefined;
}

/** An empty trend over `windowMs`. The slope is worked out when a sample joins, every 64th of the window. */
export function openFillTrend(windowMs: number): FillTrend {
  const samples: Point[] = [];
  let found: Fall | undefined;
  return {
    add(atMs, value) {
      const last = samples.at(-1);
      if (last !== undefined && atMs - last.atMs < windowMs / (MOST_SAMPLES - 1)) return;
      samples.push({ atMs, value });
      while (samples.length > MOST_SAMPLES || atMs - (samples[0]?.atMs ?? atMs) > windowMs * 1.05) samples.shift();
      found = steadyFall(samples);
    },
    fall: () => found,
  };
}
