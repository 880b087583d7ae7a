/** Fields of an MPEG-2 program stream (ITU-T H.222.0 §2.4, §2.5). */

const BITS_33 = 2 ** 33;

/** The 33 bits of a PTS or DTS (H.222.0 §2.4.3.7), in 1/90,000 s; NaN where its marker bits are not set. */
export function stampAt(bytes: Uint8Array, at: number): number {
  const [a = 0, b = 0, c = 0, d = 0, e = 0] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3], bytes[at + 4]];
  if ((a & c & e & 1) === 0) return Number.NaN;
  return ((a >> 1) & 7) * 2 ** 30 + ((b << 22) | ((c >> 1) << 15) | (d << 7) | (e >> 1));
}

/** The base of the system clock reference of a pack header (H.222.0 §2.5.3.3), in 1/90,000 s; `at`: behind its start code. */
export function clockReferenceAt(bytes: Uint8Array, at: number): number {
  const [a = 0, b = 0, c = 0, d = 0, e = 0] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3], bytes[at + 4]];
  const low = ((c & 3) << 13) | (d << 5) | (e >> 3);
  const middle = ((a & 3) << 13) | (b << 5) | (c >> 3);
  return ((a >> 3) & 7) * 2 ** 30 + (((middle & 0x7fff) << 15) | low);
}

/** Makes stamps of 33 bits go on where they begin anew: of what they may stand for, the nearest to the last. */
export class Unwrapped {
  #last = Number.NaN;

  of(stamp: number): number {
    if (Number.isNaN(this.#last)) {
      this.#last = stamp;
      return stamp;
    }
    let step = (stamp - this.#last) % BITS_33;
    if (step > BITS_33 / 2) step -= BITS_33;
    else if (step < -BITS_33 / 2) step += BITS_33;
    this.#last += step;
    return this.#last;
  }
}
