/** Rings of fixed size for what must not make garbage with every packet. Pure. */

/** Median of the first `count` values; `scratch` holds at least so many and is overwritten. Undefined of none. */
export function medianOf(values: Float64Array, count: number, scratch: Float64Array): number | undefined {
  if (count === 0) return undefined;
  const sorted = scratch.subarray(0, count);
  sorted.set(values.subarray(0, count));
  sorted.sort();
  const middle = count >> 1;
  const high = sorted[middle] ?? 0;
  return count % 2 === 1 ? high : (high + (sorted[middle - 1] ?? 0)) / 2;
}

/** The last `size` numbers, in any order. */
export class LastValues {
  readonly #values: Float64Array;
  readonly #scratch: Float64Array;
  #next = 0;
  #count = 0;

  constructor(size: number) {
    this.#values = new Float64Array(size);
    this.#scratch = new Float64Array(size);
  }
  get count(): number {
    return this.#count;
  }
  push(value: number): void {
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % this.#values.length;
    if (this.#count < this.#values.length) this.#count += 1;
  }
  clear(): void {
    this.#next = 0;
    this.#count = 0;
  }
  median(): number | undefined {
    return medianOf(this.#values, this.#count, this.#scratch);
  }
  most(): number | undefined {
    let most: number | undefined;
    for (let i = 0; i < this.#count; i += 1) {
      const value = this.#values[i] ?? 0;
      if (most === undefined || value > most) most = value;
    }
    return most;
  }
  /** Oldest first. */
  list(): number[] {
    const size = this.#values.length;
    return Array.from(
      { length: this.#count },
      (_, i) => this.#values[(this.#next - this.#count + i + size) % size] ?? 0,
    );
  }
}

/** The sizes of frames with when they came: the median of the newest. */
export class RecentSizes {
  readonly #at: Float64Array;
  readonly #size: Float64Array;
  readonly #wanted: Float64Array;
  readonly #scratch: Float64Array;
  #next = 0;

  constructor(size: number) {
    this.#at = new Float64Array(size).fill(Number.NEGATIVE_INFINITY);
    this.#size = new Float64Array(size);
    this.#wanted = new Float64Array(size);
    this.#scratch = new Float64Array(size);
  }
  push(at: number, size: number): void {
    this.#at[this.#next] = at;
    this.#size[this.#next] = size;
    this.#next = (this.#next + 1) % this.#at.length;
  }
  clear(): void {
    this.#at.fill(Number.NEGATIVE_INFINITY);
  }
  /** Median of those that came at or after `from`. */
  medianSince(from: number): number | undefined {
    let count = 0;
    for (let i = 0; i < this.#at.length; i += 1) {
      if ((this.#at[i] ?? Number.NEGATIVE_INFINITY) < from) continue;
      this.#wanted[count] = this.#size[i] ?? 0;
      count += 1;
    }
    return medianOf(this.#wanted, count, this.#scratch);
  }
}

const POINTS = 256;

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
  leastDelayed(from: number, to: number): number {
    let best = -1;
    let ahead = Number.NEGATIVE_INFINITY;
    for (let i = Math.max(0, this.markBefore(from)); i < this.#count && this.at(i) <= to; i += 1) {
      if (this.at(i) < from || this.stampMs(i) - this.at(i) <= ahead) continue;
      best = i;
      ahead = this.stampMs(i) - this.at(i);
    }
    return best;
  }
  #place(index: number): number {
    return (this.#next - this.#count + index + POINTS) % POINTS;
  }
}
