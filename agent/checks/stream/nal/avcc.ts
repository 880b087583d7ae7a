import type { NalCodec } from "./sets.ts";
import type { VideoUnits } from "./units.ts";

/** What a decoder configuration record says. */
export interface DecoderConfig {
  /** Bytes of the length before each NAL unit: 1, 2 or 4. */
  lengthBytes: number;
  /** Parameter sets, whole NAL units (views of the record), for `VideoUnits.remember`. */
  sets: Uint8Array[];
}

const MOST_SETS = 64;

/** AVCDecoderConfigurationRecord, ISO/IEC 14496-15 §5.3.3.1; undefined where it is cut short or none. */
export function readAvcConfig(record: Uint8Array): DecoderConfig | undefined {
  if (record.length < 7 || record[0] !== 1) return undefined;
  const sets: Uint8Array[] = [];
  const end = readSets(record, 6, (record[5] ?? 0) & 0x1f, sets);
  if (end < 0 || end >= record.length || readSets(record, end + 1, record[end] ?? 0, sets) < 0) return undefined;
  return { lengthBytes: ((record[4] ?? 0) & 3) + 1, sets };
}

/** HEVCDecoderConfigurationRecord, ISO/IEC 14496-15 §8.3.3.1; undefined where it is cut short or none. */
export function readHevcConfig(record: Uint8Array): DecoderConfig | undefined {
  // Some senders write version 0, as the draft had it.
  if (record.length < 23 || (record[0] ?? 2) > 1) return undefined;
  const sets: Uint8Array[] = [];
  let at = 23;
  for (let arrays = record[22] ?? 0; arrays > 0; arrays -= 1) {
    if (at + 3 > record.length) return undefined;
    at = readSets(record, at + 3, ((record[at + 1] ?? 0) << 8) | (record[at + 2] ?? 0), sets);
    if (at < 0) return undefined;
  }
  return { lengthBytes: ((record[21] ?? 0) & 3) + 1, sets };
}

/** `count` times a length of 16 bits and so many bytes; returns where they end, -1 where they do not fit. */
function readSets(record: Uint8Array, from: number, count: number, into: Uint8Array[]): number {
  let at = from;
  for (let left = count; left > 0; left -= 1) {
    if (at + 2 > record.length || into.length >= MOST_SETS) return -1;
    const length = ((record[at] ?? 0) << 8) | (record[at + 1] ?? 0);
    at += 2;
    if (at + length > record.length) return -1;
    into.push(record.subarray(at, at + length));
    at += length;
  }
  return at;
}

/**
 * Finds NAL units that each have their length before them (ISO/IEC 14496-15; FLV, MP4), in chunks cut anywhere. A length
 * that reaches beyond the tag is noticed when the tag ends: `end`.
 */
export class LengthPrefixed {
  readonly #units: VideoUnits;
  readonly #headerBytes: number;
  #lengthBytes: number;
  /** Of the length that is being read. */
  #lengthRead = 0;
  #length = 0;
  /** Of the NAL unit: bytes still to come, of these of its header. */
  #left = 0;
  #wanted = 0;
  #header = 0;

  constructor(units: VideoUnits, codec: NalCodec, lengthBytes = 4) {
    this.#units = units;
    this.#headerBytes = codec === "H265" ? 2 : 1;
    this.#lengthBytes = lengthBytes;
  }

  /** A new decoder configuration says so. */
  lengthOf(lengthBytes: number): void {
    this.#lengthBytes = lengthBytes;
  }

  /** The next bytes: those of `bytes` from `from` up to `to`. */
  data(bytes: Uint8Array, from: number, to: number): void {
    let at = from;
    while (at < to) {
      if (this.#left === 0) {
        this.#readLength(bytes[at++] ?? 0);
      } else if (this.#wanted > 0) {
        this.#readHeader(bytes[at++] ?? 0);
      } else {
        const end = Math.min(to, at + this.#left);
        this.#units.more(bytes, at, end);
        this.#left -= end - at;
        at = end;
      }
    }
  }

  /** The tag ended. False: within a NAL unit, or within a length. */
  end(): boolean {
    const whole = this.#left === 0 && this.#lengthRead === 0;
    this.#units.close();
    this.#left = 0;
    this.#lengthRead = 0;
    this.#length = 0;
    return whole;
  }

  #readLength(byte: number): void {
    this.#length = this.#length * 256 + byte;
    this.#lengthRead += 1;
    if (this.#lengthRead < this.#lengthBytes) return;
    this.#left = this.#length;
    this.#wanted = this.#headerBytes;
    this.#header = 0;
    this.#length = 0;
    this.#lengthRead = 0;
  }

  #readHeader(byte: number): void {
    this.#header = (this.#header << 8) | byte;
    this.#left -= 1;
    this.#wanted -= 1;
    if (this.#wanted === 0) this.#units.open(this.#header);
    else if (this.#left === 0) this.#wanted = 0;
  }
}
