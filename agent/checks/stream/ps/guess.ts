import type { NalCodec } from "../nal/sets.ts";

const MOST_UNITS = 64;
/** So many slices of one kind are enough where no parameter set comes. */
const ENOUGH = 8;
const MOST_BYTES = 1_048_576;

/**
 * Finds out by its data what a picture stream is that no stream map announced. Bytes are looked at one by one, but only up
 * to the first delimiter or parameter set, 64 units or 1 MiB.
 */
export class CodecGuess {
  #zeros = 0;
  /** Bytes of a unit's header that have come: -1 outside. */
  #header = -1;
  #first = 0;
  #units = 0;
  #bytes = 0;
  #h264 = 0;
  #h265 = 0;
  /** The first two bytes of the unit that decided: they went by before somebody could read them. */
  readonly opening = Buffer.from([0, 0, 1, 0, 0]);

  /** Looks on; where it knows, `found.next` is behind the two bytes that told. "": neither of the two, as far as can be seen. */
  look(bytes: Uint8Array, from: number, to: number): { codec: NalCodec | ""; next: number } | undefined {
    for (let at = from; at < to; at += 1) {
      const byte = bytes[at] ?? 0;
      this.#bytes += 1;
      if (this.#header === 0) {
        this.#first = byte;
        this.#header = 1;
        this.#zeros = 0;
        continue;
      }
      if (this.#header === 1) {
        this.#header = -1;
        const codec = this.#unit(this.#first, byte);
        this.opening[3] = this.#first;
        this.opening[4] = byte;
        if (codec !== undefined) return { codec, next: at + 1 };
      }
      if (byte === 1 && this.#zeros >= 2) this.#header = 0;
      this.#zeros = byte === 0 ? this.#zeros + 1 : 0;
      if (this.#bytes >= MOST_BYTES) return { codec: this.#vote(), next: at + 1 };
    }
    return undefined;
  }

  #unit(first: number, second: number): NalCodec | "" | undefined {
    if (first >= 0xb0 && first <= 0xb8) return ""; // MPEG-2, MPEG-4: no NAL unit begins so
    const h264 = h264Sign(first, second);
    const h265 = h265Sign(first, second);
    if (h264 === 2 && h265 < 2) return "H264";
    if (h265 === 2 && h264 < 2) return "H265";
    this.#h264 += h264;
    this.#h265 += h265;
    this.#units += 1;
    return this.#units >= MOST_UNITS || Math.max(this.#h264, this.#h265) >= ENOUGH ? this.#vote() : undefined;
  }

  #vote(): NalCodec | "" {
    if (this.#h264 === 0 && this.#h265 === 0) return "";
    return this.#h265 > this.#h264 ? "H265" : "H264";
  }
}

/** 2: surely a delimiter or a parameter set (H.264 §7.3.1, §7.3.2), 1: may be a slice, 0: cannot be. */
function h264Sign(first: number, second: number): number {
  const type = first & 0x1f;
  const reference = first & 0x60;
  if (first > 0x7f) return 0;
  if (type === 9) return reference === 0 && (second & 0x1f) === 0x10 ? 2 : 0;
  if (type === 7) return reference !== 0 && second >= 44 ? 2 : 0; // profile_idc
  return type === 1 || (type === 5 && reference !== 0) ? 1 : 0;
}

/** The same of H.265 (§7.3.1.2): nuh_layer_id 0, nuh_temporal_id_plus1 1 for delimiter and parameter sets. */
function h265Sign(first: number, second: number): number {
  const type = first >> 1;
  if ((first & 0x81) !== 0 || second === 0 || second > 7) return 0;
  if ((type >= 32 && type <= 35) || type === 39) return second === 1 ? 2 : 0;
  return type <= 9 || (type >= 16 && type <= 21) ? 1 : 0;
}
