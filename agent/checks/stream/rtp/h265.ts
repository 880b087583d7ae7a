import type { VideoUnits } from "../nal/units.ts";
import { type PayloadReader, word } from "./payload.ts";

/**
 * H.265 in RTP (RFC 7798): single NAL units, AP and FU; `don`: with decoding order numbers (sprop-max-don-diff > 0), which are
 * passed over: NAL units are counted in the order they come in.
 */
export class H265Reader implements PayloadReader {
  readonly #units: VideoUnits;
  readonly #odd: (what: string, at: number) => void;
  readonly #don: boolean;
  #stamp = Number.NaN;
  /** Within a fragmented NAL unit. */
  #fragment = false;

  constructor(units: VideoUnits, don: boolean, odd: (what: string, at: number) => void) {
    this.#units = units;
    this.#don = don;
    this.#odd = odd;
  }

  read(bytes: Buffer, from: number, to: number, stamp: number, marker: boolean, lost: boolean, at: number): void {
    if (lost) this.#units.spoil();
    this.#units.at(stamp, at);
    if (lost) this.#units.spoil();
    if (lost || stamp !== this.#stamp) this.#fragment = false;
    this.#stamp = stamp;
    const type = ((bytes[from] ?? 0) >> 1) & 0x3f;
    if (to - from < 3) this.#odd("nal", at);
    else if (type === 49) this.#fragmentUnit(bytes, from, to, lost, at);
    else if (type < 48) this.#single(bytes, from, to);
    else if (type === 48) this.#aggregate(bytes, from + 2, to, at);
    else this.#odd("nal type", at);
    if (marker) this.#units.end(at);
  }

  flush(at: number): void {
    this.#units.end(at);
  }

  #single(bytes: Buffer, from: number, to: number): void {
    this.#fragment = false;
    this.#units.open(word(bytes, from));
    this.#units.more(bytes, from + (this.#don ? 4 : 2), to);
    this.#units.close();
  }

  #fragmentUnit(bytes: Buffer, from: number, to: number, lost: boolean, at: number): void {
    const head = bytes[from + 2] ?? 0;
    const starts = (head & 0x80) !== 0;
    // Layer and temporal id are those of the payload's header, the type is in the FU's.
    const header = (word(bytes, from) & 0x81ff) | ((head & 0x3f) << 9);
    if (starts) {
      this.#units.open(header);
    } else if (!this.#fragment) {
      if (!lost) this.#odd("fragment", at);
      this.#units.resume(header);
    }
    this.#fragment = (head & 0x40) === 0;
    this.#units.more(bytes, from + (this.#don && starts ? 5 : 3), to);
    if (!this.#fragment) this.#units.close();
  }

  /** Order numbers: 16 bits before the first size, 8 before each other. */
  #aggregate(bytes: Buffer, from: number, to: number, at: number): void {
    this.#fragment = false;
    let next = this.#don ? from + 2 : from;
    while (next + 2 <= to) {
      const size = word(bytes, next);
      if (size === 0 || next + 2 + size > to) break;
      this.#units.nal(bytes, next + 2, next + 2 + size);
      next += 2 + size;
      if (this.#don && next < to) next += 1;
    }
    if (next !== to) this.#odd("aggregate", at);
  }
}
