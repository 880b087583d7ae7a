/** Rings of fixed size for what must not make garbage with every packet. Pure. */

/** Median of the first `count` values; `scratch` holds at least so many and is overwritten. Undefined of none. */
function medianOf(values: Float64Array, count: number, scratch: Float64Array): number | undefined {
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
  /** The one that was pushed last becomes no less than `value`. */
  raiseLast(value: number): void {
    const size = this.#values.length;
    const last = (this.#next + size - 1) % size;
    this.#values[last] = Math.max(this.#values[last] ?? value, value);
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
