/** One figure at one moment of `Clock.now`. */
export interface Point {
  atMs: number;
  value: number;
}

/** Of all pairs of points so many must rise at least so fast. One step among five points or more reaches 60 %. */
const CONFIRMED_BY = 0.65;
const LEAST_POINTS = 5;

/**
 * Robust rise per millisecond: the slope that 65 % of all pairs of points reach (a stricter kin of Theil–Sen's median, which
 * a single step in the middle passes). A step or a few wild points are no rise. Undefined with fewer than five points.
 */
export function riseOf(points: readonly Point[]): number | undefined {
  if (points.length < LEAST_POINTS) return undefined;
  const slopes: number[] = [];
  for (const [i, from] of points.entries())
    for (let j = i + 1; j < points.length; j += 1) {
      const to = points[j];
      if (to !== undefined && to.atMs !== from.atMs) slopes.push((to.value - from.value) / (to.atMs - from.atMs));
    }
  return slopes.toSorted((a, b) => a - b)[Math.floor(slopes.length * (1 - CONFIRMED_BY))];
}

/** The newest points of a figure, none older than the window. */
export class Trail {
  readonly #windowMs: number;
  #points: Point[] = [];
  #risen: { share: number; rise: number | undefined } | undefined;
  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }
  add(atMs: number, value: number): void {
    this.#risen = undefined;
    this.#points.push({ atMs, value });
    while ((this.#points[0]?.atMs ?? atMs) < atMs - this.#windowMs) this.#points.shift();
  }
  clear(): void {
    this.#risen = undefined;
    this.#points = [];
  }
  /** `riseOf` the points, once the points span at least `share` of the window. Worked out once for each new point: all pairs of them are milliseconds of work. */
  rise(share: number): number | undefined {
    if (this.#risen?.share !== share) this.#risen = { share, rise: this.#riseOf(share) };
    return this.#risen.rise;
  }
  #riseOf(share: number): number | undefined {
    const first = this.#points[0];
    const last = this.#points.at(-1);
    if (first === undefined || last === undefined) return undefined;
    return last.atMs - first.atMs >= this.#windowMs * share ? riseOf(this.#points) : undefined;
  }
}
