import type { MediaSink } from "../media.ts";
import { type PayloadReader, word } from "./payload.ts";

/** Sound of which a packet is a frame: G.711, G.722, Opus and what we do not know. */
export class PacketReader implements PayloadReader {
  readonly #id: number;
  readonly #sink: MediaSink;

  constructor(id: number, sink: MediaSink) {
    this.#id = id;
    this.#sink = sink;
  }

  read(_bytes: Buffer, from: number, to: number, stamp: number, _marker: boolean, _lost: boolean, at: number): void {
    if (to > from) this.#sink.frame(this.#id, stamp, to - from, true, at);
  }

  flush(): void {}
}

/**
 * Frames that one packet or several make, told with the marker or with the next stamp: video of which we know no more
 * (there every frame counts as one to begin at), and MP4A-LATM (RFC 6416 §6.1).
 */
export class StampReader implements PayloadReader {
  readonly #id: number;
  readonly #sink: MediaSink;
  #stamp = Number.NaN;
  #size = 0;

  constructor(id: number, sink: MediaSink) {
    this.#id = id;
    this.#sink = sink;
  }

  read(_bytes: Buffer, from: number, to: number, stamp: number, marker: boolean, _lost: boolean, at: number): void {
    if (stamp !== this.#stamp) this.flush(at);
    this.#stamp = stamp;
    this.#size += to - from;
    if (marker) this.flush(at);
  }

  flush(at: number): void {
    if (this.#size > 0) this.#sink.frame(this.#id, this.#stamp, this.#size, true, at);
    this.#size = 0;
  }
}

/** MPEG audio (RFC 2250 §3.5): frames, or from an offset on the rest of one. */
export class MpegAudioReader implements PayloadReader {
  readonly #id: number;
  readonly #sink: MediaSink;

  constructor(id: number, sink: MediaSink) {
    this.#id = id;
    this.#sink = sink;
  }

  read(bytes: Buffer, from: number, to: number, stamp: number, _marker: boolean, _lost: boolean, at: number): void {
    if (to - from > 4 && word(bytes, from + 2) === 0) this.#sink.frame(this.#id, stamp, to - from - 4, true, at);
  }

  flush(): void {}
}

/** Samples of an AAC frame, where `constantDuration` does not say otherwise. */
const AAC_SAMPLES = 1024;
const MOST_UNITS = 64;

/** AAC by RFC 3640: AU headers, each with the size of its frame; one frame may also go over several packets. */
export class AacReader implements PayloadReader {
  readonly #id: number;
  readonly #sink: MediaSink;
  readonly #odd: (what: string, at: number) => void;
  readonly #sizeBits: number;
  readonly #headerBits: number;
  readonly #nextHeaderBits: number;
  readonly #duration: number;
  /** Of a frame in several packets: bytes still to come. */
  #left = 0;
  #stamp = 0;

  constructor(
    id: number,
    sink: MediaSink,
    fmtp: Readonly<Record<string, string>>,
    odd: (what: string, at: number) => void,
  ) {
    this.#id = id;
    this.#sink = sink;
    this.#odd = odd;
    const told = (name: string, otherwise: number): number => numberOf(fmtp[name], otherwise);
    const low = (fmtp["mode"] ?? "").toLowerCase() === "aac-lbr";
    this.#sizeBits = Math.min(32, told("sizelength", low ? 6 : 13));
    this.#headerBits = this.#sizeBits + told("indexlength", low ? 2 : 3);
    this.#nextHeaderBits = this.#sizeBits + told("indexdeltalength", low ? 2 : 3);
    this.#duration = told("constantduration", AAC_SAMPLES);
  }

  read(bytes: Buffer, from: number, to: number, stamp: number, marker: boolean, lost: boolean, at: number): void {
    if (this.#sizeBits === 0) {
      if (to > from) this.#sink.frame(this.#id, stamp, to - from, true, at);
      return;
    }
    const headerBits = word(bytes, from);
    const data = from + 2 + Math.ceil(headerBits / 8);
    if (headerBits < this.#headerBits || data > to) {
      this.#odd("au headers", at);
      return;
    }
    if (lost || stamp !== this.#stamp) this.#left = 0;
    this.#stamp = stamp;
    this.#frames(bytes, from, headerBits, to - data, stamp, at);
    if (marker) this.#left = 0;
  }

  flush(): void {}

  #frames(bytes: Buffer, from: number, headerBits: number, length: number, stamp: number, at: number): void {
    let bit = (from + 2) * 8;
    const end = bit + headerBits;
    let there = length;
    for (let i = 0; i < MOST_UNITS && bit + this.#sizeBits <= end; i += 1) {
      const size = bitsAt(bytes, bit, this.#sizeBits);
      bit += i === 0 ? this.#headerBits : this.#nextHeaderBits;
      if (this.#left > 0) {
        // The rest of a frame that is told already repeats its header.
        this.#left -= Math.min(this.#left, there);
        return;
      }
      if (size > 0) this.#sink.frame(this.#id, stamp + i * this.#duration, size, true, at);
      if (size > there) this.#left = size - there;
      there = Math.max(0, there - size);
    }
  }
}

const numberOf = (text: string | undefined, otherwise: number): number => {
  const value = Number(text ?? "");
  return text !== undefined && Number.isInteger(value) && value >= 0 && value <= 65_535 ? value : otherwise;
};

function bitsAt(bytes: Uint8Array, from: number, count: number): number {
  let value = 0;
  for (let bit = from; bit < from + count; bit += 1)
    value = value * 2 + (((bytes[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1);
  return value;
}
