import type { VideoUnits } from "../nal/units.ts";
import { type PayloadReader, word } from "./payload.ts";

/**
 * H.264 in RTP (RFC 6184): single NAL units, STAP-A/B, FU-A/B. Of the interleaved mode (packetization-mode 2: STAP-B, MTAP,
 * FU-B) the NAL units are counted in the order they come in, not in decoding order: frames may be cut up there.
 */
export class H264Reader implements PayloadReader {
  readonly #units: VideoUnits;
  readonly #odd: (what: string, at: number) => void;
  #stamp = Number.NaN;
  /** Within a fragmented NAL unit. */
  #fragment = false;

  constructor(units: VideoUnits, odd: (what: string, at: number) => void) {
    this.#units = units;
    this.#odd = odd;
  }

  read(bytes: Buffer, from: number, to: number, stamp: number, marker: boolean, lost: boolean, at: number): void {
    // What was lost may have belonged to the unit before, or to this one.
    if (lost) this.#units.spoil();
    this.#units.at(stamp, at);
    if (lost) this.#units.spoil();
    if (lost || stamp !== this.#stamp) this.#fragment = false;
    this.#stamp = stamp;
    const type = (bytes[from] ?? 0) & 0x1f;
    if (to - from < 2) this.#odd("nal", at);
    else if (type === 28) this.#fragmentUnit(bytes, from, from + 2, to, lost, at);
    else if (type >= 1 && type <= 23) this.#units.nal(bytes, from, to);
    else if (type === 24) this.#aggregate(bytes, from + 1, to, 0, at);
    else if (type === 25) this.#aggregate(bytes, from + 3, to, 0, at);
    else if (type === 26 || type === 27) this.#aggregate(bytes, from + 3, to, type === 26 ? 3 : 4, at);
    else if (type === 29) this.#fragmentUnit(bytes, from, from + 4, to, lost, at);
    else this.#odd("nal type", at);
    if (marker) this.#units.end(at);
  }

  flush(at: number): void {
    this.#units.end(at);
  }

  /** FU-A, and FU-B, which has a decoding order number before its first payload only. */
  #fragmentUnit(bytes: Buffer, from: number, begin: number, to: number, lost: boolean, at: number): void {
    const head = bytes[from + 1] ?? 0;
    const header = ((bytes[from] ?? 0) & 0xe0) | (head & 0x1f);
    if ((head & 0x80) !== 0) {
      this.#units.open(header);
    } else if (!this.#fragment) {
      if (!lost) this.#odd("fragment", at);
      this.#units.resume(header);
    }
    this.#fragment = (head & 0x40) === 0;
    this.#units.more(bytes, begin, to);
    if (!this.#fragment) this.#units.close();
  }

  /** Sizes of 16 bits, each before its NAL unit; in an MTAP `more` bytes of order and stamp between them. */
  #aggregate(bytes: Buffer, from: number, to: number, more: number, at: number): void {
    this.#fragment = false;
    let next = from;
    while (next + 2 <= to) {
      const size = word(bytes, next);
      const begin = next + 2 + more;
      if (size === 0 || begin + size > to) break;
      this.#units.nal(bytes, begin, begin + size);
      next = begin + size;
    }
    if (next !== to) this.#odd("aggregate", at);
  }
}
