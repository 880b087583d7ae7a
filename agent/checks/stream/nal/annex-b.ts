import type { NalCodec } from "./sets.ts";
import type { VideoUnits } from "./units.ts";

const START_CODE = Buffer.from([0, 0, 1]);
const ZEROS = new Uint8Array(64);

/**
 * Finds the NAL units of a byte stream (Annex B of H.264 and H.265; the payload of PES packets) that comes in chunks cut
 * anywhere, start codes and headers too, and passes them on. Zeros before a start code belong to no NAL unit. The caller
 * tells `units.at` at each stamp, and `units.end` where it knows that a unit is whole.
 */
export class AnnexB {
  readonly #units: VideoUnits;
  readonly #headerBytes: number;
  /** Held back: they ended the chunk before, and may begin a start code. */
  #zeros = 0;
  /** Bytes of the header still to come; -1 before the first start code. */
  #wanted = -1;
  #header = 0;
  #stamp = Number.NaN;
  #at = 0;

  constructor(units: VideoUnits, codec: NalCodec) {
    this.#units = units;
    this.#headerBytes = codec === "H265" ? 2 : 1;
  }

  /**
   * From the next start code on, what comes is of this stamp, and came at `at`: a PTS is that of the first unit that begins
   * in its PES packet, whose payload may begin with the end of the unit before. In place of `units.at`.
   */
  stampNext(stamp: number, at: number): void {
    this.#stamp = stamp;
    this.#at = at;
  }

  /** The next bytes of the stream: those of `bytes` from `from` up to `to`. */
  data(bytes: Buffer, from: number, to: number): void {
    const begin = this.#zeros === 0 ? from : this.#afterZeros(bytes, from, to);
    if (begin >= to) return;
    // A view, so that the native search ends with the chunk.
    const chunk = bytes.subarray(begin, to);
    let offset = 0;
    for (;;) {
      const found = chunk.indexOf(START_CODE, offset);
      const end = withoutZeros(chunk, offset, found < 0 ? chunk.length : found);
      this.#pass(chunk, offset, end);
      if (found < 0) {
        this.#zeros = chunk.length - end;
        return;
      }
      this.#start();
      offset = found + START_CODE.length;
    }
  }

  /** Something is missing here (a lost packet): nothing is read until the next start code. */
  gap(): void {
    this.#units.close();
    this.#zeros = 0;
    this.#wanted = -1;
  }

  /** Zeros ended the chunk before: what are they? Returns where to go on. */
  #afterZeros(bytes: Buffer, from: number, to: number): number {
    let at = from;
    while (at < to && bytes[at] === 0) at += 1;
    this.#zeros += at - from;
    if (at === to) return to;
    const zeros = this.#zeros;
    this.#zeros = 0;
    if (zeros >= 2 && bytes[at] === 1) {
      this.#start();
      return at + 1;
    }
    for (let left = zeros; left > 0; left -= ZEROS.length) this.#pass(ZEROS, 0, Math.min(left, ZEROS.length));
    return at;
  }

  #start(): void {
    this.#units.close();
    if (!Number.isNaN(this.#stamp)) this.#units.at(this.#stamp, this.#at);
    this.#wanted = this.#headerBytes;
    this.#header = 0;
  }

  #pass(bytes: Uint8Array, from: number, to: number): void {
    if (this.#wanted < 0) return;
    let at = from;
    while (this.#wanted > 0 && at < to) {
      this.#header = (this.#header << 8) | (bytes[at++] ?? 0);
      this.#wanted -= 1;
      if (this.#wanted === 0) this.#units.open(this.#header);
    }
    if (at < to) this.#units.more(bytes, at, to);
  }
}

function withoutZeros(bytes: Uint8Array, from: number, to: number): number {
  let end = to;
  while (end > from && bytes[end - 1] === 0) end -= 1;
  return end;
}
