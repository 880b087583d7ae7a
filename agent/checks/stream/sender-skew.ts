import { LastValues } from "./windows.ts";

/** How far the sender's wall clock is from ours, judged by its reports. Pure. */

/** A clock that says less was never set (2020). */
const LEAST_WALL_MS = 1_577_836_800_000;
/** So many reports make a median that one late report does not move. */
const REPORTS = 5;
const LEAST_REPORTS = 3;
/** What comes within so long lay in a buffer together, as after an outage: the least delayed of it counts. */
const TOGETHER_MS = 3_000;
/** Our own clock went another way than our monotonic time by so much: it was set. */
const STEP_MS = 1_000;
/** After that the fault may be ours: the sender is not judged for a day, or until its clock agrees as it did before. */
const DOUBT_MS = 86_400_000;
const AGREES_MS = 1_000;

export class SenderSkew {
  readonly #skews = new LastValues(REPORTS);
  #wall = Number.NaN;
  #at = Number.NaN;
  /** When the first of those came that count as one now. */
  #togetherAt = Number.NEGATIVE_INFINITY;
  #doubtUntil = Number.NEGATIVE_INFINITY;
  #before: number | undefined;

  /** `at`: monotonic ms of the report; `wall`: ours then. */
  take(ntpMs: number, wall: number, at: number): void {
    if (!(wall > LEAST_WALL_MS) || !(ntpMs > 0) || !Number.isFinite(ntpMs) || !Number.isFinite(wall)) return;
    const stepped = Math.abs(wall - this.#wall - (at - this.#at)) > STEP_MS;
    this.#wall = wall;
    this.#at = at;
    if (stepped) {
      this.#before = at < this.#doubtUntil ? this.#before : this.#skews.median();
      this.#skews.clear();
      this.#togetherAt = Number.NEGATIVE_INFINITY;
      this.#doubtUntil = at + DOUBT_MS;
    }
    this.#count(ntpMs - wall, at);
    const before = this.#before;
    const now = this.#skews.median();
    if (before !== undefined && now !== undefined && Math.abs(now - before) < AGREES_MS)
      this.#doubtUntil = Number.NEGATIVE_INFINITY;
  }
  #count(skewMs: number, at: number): void {
    if (at - this.#togetherAt < TOGETHER_MS) this.#skews.raiseLast(skewMs);
    else {
      this.#togetherAt = at;
      this.#skews.push(skewMs);
    }
  }
  /** The sender's clock less ours, ms; undefined while it cannot be told. */
  skewMs(at: number): number | undefined {
    return at < this.#doubtUntil || this.#skews.count < LEAST_REPORTS ? undefined : this.#skews.median();
  }
}
