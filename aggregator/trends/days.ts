/** Hours of a day that must be there for it to count. */
const LEAST_HOURS = 12;
const HOURS = 24;

const scratch = new Float64Array(1024);

/** Median of the finite values that `at(0…count-1)` gives; NaN when fewer than `least`. */
export function medianOf(count: number, at: (i: number) => number, least = 1): number {
  let n = 0;
  for (let i = 0; i < count; i += 1) {
    const value = at(i);
    if (Number.isFinite(value)) scratch[n++] = value;
  }
  if (n < least || n === 0) return Number.NaN;
  const sorted = scratch.subarray(0, n).sort();
  const [low = Number.NaN, high = Number.NaN] = [sorted[(n - 1) >> 1], sorted[n >> 1]];
  return low / 2 + high / 2;
}

/**
 * One level for each 24 hours, counted back from the end of `hours`: every such day holds each hour of the day once, so that
 * no daily rhythm can pass for a trend. Where hours are missing, what is usual for each hour is taken off before. NaN for a
 * day with less than half of its hours.
 */
export function dayLevels(hours: Float64Array): Float64Array {
  const days = Math.floor(hours.length / HOURS);
  const start = hours.length - days * HOURS;
  const hour = (day: number, i: number): number => hours[start + day * HOURS + i] ?? Number.NaN;
  const levels = Float64Array.from({ length: days }, (_, day) => medianOf(HOURS, (i) => hour(day, i), LEAST_HOURS));
  if (!hasGaps(hours.subarray(start), levels)) return levels;
  const usual = Float64Array.from({ length: HOURS }, (_, i) => {
    const off = medianOf(days, (day) => hour(day, i) - (levels[day] ?? Number.NaN));
    return Number.isNaN(off) ? 0 : off;
  });
  return levels.map((level, day) =>
    Number.isNaN(level) ? level : medianOf(HOURS, (i) => hour(day, i) - (usual[i] ?? 0)),
  );
}

function hasGaps(hours: Float64Array, levels: Float64Array): boolean {
  for (let i = 0; i < hours.length; i += 1)
    if (Number.isNaN(hours[i]) && !Number.isNaN(levels[Math.floor(i / HOURS)])) return true;
  return false;
}
