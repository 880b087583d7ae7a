/** More of a NAL unit than this is never read bit by bit. */
const MOST_BYTES = 4096;

/**
 * Reads the bits of a NAL unit, emulation prevention bytes (00 00 03) passed over (H.264 §7.4.1, H.265 §7.4.2). Beyond its
 * end bits are 0 and `over` is true: a reader asks once, at the end.
 */
export class NalBits {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #byte: number;
  #bit = 0;
  #zeros = 0;
  over = false;

  /** Begins at byte `from`. */
  constructor(bytes: Uint8Array, from: number) {
    this.#bytes = bytes;
    this.#end = Math.min(bytes.length, MOST_BYTES);
    this.#byte = from;
  }

  /** One bit. */
  flag(): boolean {
    return this.bits(1) === 1;
  }

  /** `count` bits, at most 32, as an unsigned number. */
  bits(count: number): number {
    let value = 0;
    for (let left = count; left > 0; left -= 1) value = value * 2 + this.#one();
    return value;
  }

  skip(count: number): void {
    for (let left = count; left > 0 && !this.over; left -= 1) this.#one();
  }

  /** ue(v), H.264 §9.1: at most 2³²−2; what is longer is over. */
  ue(): number {
    let zeros = 0;
    while (!this.over && this.#one() === 0) zeros += 1;
    if (this.over || zeros > 31) {
      this.over = true;
      return 0;
    }
    return 2 ** zeros - 1 + this.bits(zeros);
  }

  /** se(v), H.264 §9.1.1. */
  se(): number {
    const coded = this.ue();
    return coded % 2 === 1 ? (coded + 1) / 2 : -coded / 2;
  }

  #one(): number {
    if (this.#bit === 0 && this.#zeros >= 2 && this.#bytes[this.#byte] === 3) {
      this.#byte += 1;
      this.#zeros = 0;
    }
    if (this.#byte >= this.#end) {
      this.over = true;
      return 0;
    }
    const byte = this.#bytes[this.#byte] ?? 0;
    const bit = (byte >> (7 - this.#bit)) & 1;
    this.#bit += 1;
    if (this.#bit === 8) {
      this.#bit = 0;
      this.#byte += 1;
      this.#zeros = byte === 0 ? this.#zeros + 1 : 0;
    }
    return bit;
  }
}
