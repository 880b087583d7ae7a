/** One look at the truth: how far the clock was from it at a moment, had nobody set it, and how well that is known. */
interface Point {
  /** Monotonic ms. */
  at: number;
  offsetMs: number;
  errorMs: number;
}

const WINDOW_MS = 24 * 3_600_000;
const LEAST_MS = 3_600_000;
const LEAST_POINTS = 3;
/** A rate that may be wrong by more is not told. */
const MOST_ERROR_PPM = 20;

/** How fast a clock runs away: its rate against servers over hours. A daemon that disciplines the clock keeps it near 0. */
export class Drift {
  #points: Point[] = [];

  add(point: Point): void {
    this.#points = [...this.#points.filter(({ at }) => point.at - at <= WINDOW_MS), point];
  }

  /** Parts per million, positive when the clock gains; undefined before an hour has passed or while the looks are too coarse. */
  ppm(): number | undefined {
    const [first] = this.#points;
    const last = this.#points.at(-1);
    if (first === undefined || last === undefined || this.#points.length < LEAST_POINTS) return undefined;
    const spanMs = last.at - first.at;
    if (spanMs < LEAST_MS || ((first.errorMs + last.errorMs) / spanMs) * 1e6 > MOST_ERROR_PPM) return undefined;
    return slope(this.#points) * 1e6;
  }
}

/** The line nearest to the points (least squares). */
function slope(points: readonly Point[]): number {
  const mean = (of: (point: Point) => number): number => points.reduce((sum, one) => sum + of(one), 0) / points.length;
  const at = mean((one) => one.at);
  const offset = mean((one) => one.offsetMs);
  const spread = points.reduce((sum, one) => sum + (one.at - at) ** 2, 0);
  return spread === 0 ? 0 : points.reduce((sum, one) => sum + (one.at - at) * (one.offsetMs - offset), 0) / spread;
}
