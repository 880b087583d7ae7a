/** A track's course over the last minute or so: how fast its stamps go against our clock, and how much comes. Pure. */

const POINTS = 256;
/** What came within so long was read in one go. */
const ONE_GO_MS = 10;

/** Marks of a track's course: when, how far the stamps were, how much had come; a mark at most every `everyMs`. */
export class Course {
  readonly #at = new Float64Array(POINTS);
  readonly #stampMs = new Float64Array(POINTS);
  readonly #frames = new Float64Array(POINTS);
  readonly #payload = new Float64Array(POINTS);
  readonly #everyMs: number;
  #next = 0;
  #count = 0;

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }
  get count(): number {
    return this.#count;
  }
  clear(): void {
    this.#next = 0;
    this.#count = 0;
  }
  /** Whether a mark was made. */
  mark(at: number, stampMs: number, frames: number, payload: number): boolean {
    if (this.#count > 0 && at - this.at(this.#count - 1) < this.#everyMs) return false;
    this.#at[this.#next] = at;
    this.#stampMs[this.#next] = stampMs;
    this.#frames[this.#next] = frames;
    this.#payload[this.#next] = payload;
    this.#next = (this.#next + 1) % POINTS;
    if (this.#count < POINTS) this.#count += 1;
    return true;
  }
  /** More of what came with the last mark, read in one go: that is at the end of it. */
  amend(at: number, stampMs: number, frames: number, payload: number): void {
    if (this.#count === 0 || at - this.at(this.#count - 1) > ONE_GO_MS) return;
    const last = this.#place(this.#count - 1);
    this.#stampMs[last] = stampMs;
    this.#frames[last] = frames;
    this.#payload[last] = payload;
  }
  /** Marks are numbered from 0, the oldest. */
  at(index: number): number {
    return this.#at[this.#place(index)] ?? 0;
  }
  stampMs(index: number): number {
    return this.#stampMs[this.#place(index)] ?? 0;
  }
  frames(index: number): number {
    return this.#frames[this.#place(index)] ?? 0;
  }
  payload(index: number): number {
    return this.#payload[this.#place(index)] ?? 0;
  }
  /** The latest mark made at or before `at`; the oldest where there is none; -1 of an empty course. */
  markBefore(at: number): number {
    let low = 0;
    let high = this.#count - 1;
    if (high < 0) return -1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.at(middle) <= at) low = middle;
      else high = middle - 1;
    }
    return low;
  }
  /**
   * Between `from` and `to` the mark whose stamp was furthest ahead of our clock: the least delayed of them, since the way
   * only ever adds delay. -1 where there is none.
   */
  #leastDelayed(from: number, to: number): number {
    let best = -1;
    let ahead = Number.NEGATIVE_INFINITY;
    for (let i = Math.max(0, this.markBefore(from)); i < this.#count && this.at(i) <= to; i += 1) {
      if (this.at(i) < from || this.stampMs(i) - this.at(i) <= ahead) continue;
      best = i;
      ahead = this.stampMs(i) - this.at(i);
    }
    return best;
  }
  /**
   * Stamp time per time of ours, from a mark `windowMs` back (or the oldest) to `stampMs` at `at`; undefined while that is
   * less than `leastMs`.
   */
  ratio(at: number, stampMs: number, windowMs: number, leastMs: number): number | undefined {
    const mark = this.markBefore(at - windowMs);
    if (mark === -1) return undefined;
    const tookMs = at - this.at(mark);
    return tookMs < leastMs ? undefined : (stampMs - this.stampMs(mark)) / tookMs;
  }
  /** The same over `windowMs` between the least delayed frames of the first and of the last `edgeMs`: jitter hardly moves it. */
  steadyRatio(windowMs: number, edgeMs: number): number | undefined {
    if (this.#count < 2) return undefined;
    const end = this.at(this.#count - 1);
    const from = Math.max(this.at(0), end - windowMs - edgeMs);
    if (end - from < windowMs) return undefined;
    const first = this.#leastDelayed(from, from + edgeMs);
    const last = this.#leastDelayed(end - edgeMs, end);
    const tookMs = first === -1 || last === -1 ? 0 : this.at(last) - this.at(first);
    return tookMs <= 0 ? undefined : (this.stampMs(last) - this.stampMs(first)) / tookMs;
  }
  #place(index: number): number {
    return (this.#next - this.#count + index + POINTS) % POINTS;
  }
}
