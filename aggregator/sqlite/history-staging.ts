import { type Moment, writeMoment } from "./history-samples.ts";

const FIRST_BYTES = 65_536;
const MOST_BYTES = 8_388_608;
/** Series (4 bytes), hour (4), length of the sample (2). */
const HEAD = 10;

/**
 * Samples on their way to the disk, as bytes one after the other: a second's worth of them as objects would make the heap
 * grow by tens of megabytes.
 */
export class Staging {
  #bytes = new Uint8Array(FIRST_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #end = 0;
  count = 0;

  /** False when there is no room. */
  add(series: number, hour: number, moment: Moment): boolean {
    const sample = writeMoment(moment);
    const end = this.#end + HEAD + sample.length;
    if (end > MOST_BYTES) return false;
    if (end > this.#bytes.length) this.#resize(Math.min(MOST_BYTES, Math.max(end, 2 * this.#bytes.length)));
    this.#view.setUint32(this.#end, series);
    this.#view.setUint32(this.#end + 4, hour);
    this.#view.setUint16(this.#end + 8, sample.length);
    this.#bytes.set(sample, this.#end + HEAD);
    this.#end = end;
    this.count += 1;
    return true;
  }

  /** Shows the first `limit` samples; they stay until they are dropped. Returns where they end. */
  each(limit: number, take: (series: number, hour: number, sample: Uint8Array) => void): number {
    let at = 0;
    for (let n = 0; n < limit && at < this.#end; n += 1) {
      const from = at + HEAD;
      const to = from + this.#view.getUint16(at + 8);
      take(this.#view.getUint32(at), this.#view.getUint32(at + 4), this.#bytes.subarray(from, to));
      at = to;
    }
    return at;
  }

  /** Drops the first `count` samples, which end at `at`. */
  drop(count: number, at: number): void {
    this.#bytes.copyWithin(0, at, this.#end);
    this.#end -= at;
    this.count -= count;
    if (this.#end === 0 && this.#bytes.length > FIRST_BYTES * 16) this.#resize(FIRST_BYTES);
  }

  #resize(length: number): void {
    const bytes = new Uint8Array(length);
    bytes.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}
