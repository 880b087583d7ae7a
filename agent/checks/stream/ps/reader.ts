import type { MediaSink } from "../media.ts";
import { OddWords } from "../odd.ts";
import { clockReferenceAt, stampAt } from "./fields.ts";
import { isCarried, kindOf, streamMap } from "./stream-map.ts";
import { PsTracks } from "./tracks.ts";

/** What does an MPEG-2 program stream carry, as GB/T 28181 annex C and H.222.0 §2.5 write it? */

const START_CODE = Buffer.from([0, 0, 1]);
const PACK_START = Buffer.from([0, 0, 1, 0xba]);
const NOTHING: Buffer = Buffer.alloc(0);

const END = 0xb9;
const PACK = 0xba;
const SYSTEM = 0xbb;
const MAP = 0xbc;
/** H.222.0: 1,018 bytes at most behind its length. */
const MOST_MAP = 1_024;
const PES_HEADER = 9;

/**
 * Reads a program stream that comes in chunks cut anywhere. Packs are held together by nothing but their start codes, so a
 * gap (`lost`) is bridged to the next one. What is between packets against the rule (a length of 16 bits for a picture of
 * more, stuffing) belongs to the picture before it. Holds at most 1 kB of a header back.
 */
export class PsReader {
  readonly #tracks: PsTracks;
  readonly #odd: OddWords;
  #unread: Buffer = NOTHING;
  #seeking = true;

  /** Bytes still to come of the packet at hand; -1: up to the next start code. */
  #left = 0;
  /** Its stream id; 0: passed over. */
  #streamId = 0;

  constructor(sink: MediaSink) {
    this.#tracks = new PsTracks(sink);
    this.#odd = new OddWords(0, sink);
  }

  /** The next bytes, and when they came (monotonic ms). Keeps no view of them. */
  push(chunk: Buffer, at: number): void {
    const bytes = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
    this.#unread = NOTHING;
    let next = 0;
    while (next < bytes.length) {
      const after = this.#step(bytes, next, at);
      if (after === next) break;
      next = after;
    }
    if (next < bytes.length) this.#unread = Buffer.from(bytes.subarray(next));
  }

  /** What was to come here will never come: goes on at the next pack. */
  lost(): void {
    this.#unread = NOTHING;
    this.#seek();
  }

  /** Tracks seen so far, and which of them is told of what concerns them all (packets, clock): the first picture, else 0. */
  get first(): number | undefined {
    return this.#tracks.first;
  }

  /** One step on; the same place where more bytes are needed. */
  #step(bytes: Buffer, from: number, at: number): number {
    if (this.#left > 0) return this.#rest(bytes, from, Math.min(bytes.length, from + this.#left), at);
    if (this.#left < 0) return this.#unbounded(bytes, from, at);
    return this.#seeking ? this.#sought(bytes, from, at) : this.#unit(bytes, from, at);
  }

  #rest(bytes: Buffer, from: number, to: number, at: number): number {
    if (this.#streamId !== 0) this.#tracks.data(bytes, from, to, at);
    this.#left -= to - from;
    if (this.#left === 0) this.#ended(at);
    return to;
  }

  /** A picture without a length goes on up to a start code that is none of its own. */
  #unbounded(bytes: Buffer, from: number, at: number): number {
    let search = from;
    for (;;) {
      const found = bytes.indexOf(START_CODE, search);
      if (found < 0 || found + 3 >= bytes.length) {
        const held = found < 0 ? zerosAtEnd(bytes, search) : bytes.length - found;
        return this.#pictured(bytes, from, bytes.length - held, at);
      }
      if ((bytes[found + 3] ?? 0) >= END) {
        this.#pictured(bytes, from, found, at);
        this.#left = 0;
        this.#ended(at);
        return found > from ? found : this.#unit(bytes, found, at);
      }
      search = found + 3;
    }
  }

  #pictured(bytes: Buffer, from: number, to: number, at: number): number {
    if (to > from) this.#tracks.data(bytes, from, to, at);
    return to;
  }

  #sought(bytes: Buffer, from: number, at: number): number {
    const found = bytes.indexOf(PACK_START, from);
    if (found < 0) return Math.max(from, bytes.length - 3);
    this.#seeking = false;
    return found > from ? found : this.#unit(bytes, found, at);
  }

  /** A packet begins here. */
  #unit(bytes: Buffer, from: number, at: number): number {
    if (bytes.length - from < 4) return from;
    if (bytes[from] !== 0 || bytes[from + 1] !== 0 || bytes[from + 2] !== 1) return this.#astray(bytes, from, at);
    const id = bytes[from + 3] ?? 0;
    if (id < END) return this.#astray(bytes, from, at);
    if (id === END) return from + 4;
    if (id === PACK) return this.#pack(bytes, from, at);
    if (bytes.length - from < 6) return from;
    const length = bytes.readUInt16BE(from + 4);
    if (id === MAP) return this.#map(bytes, from, 6 + length, at);
    if (isCarried(id)) return this.#pes(bytes, from, id, length, at);
    if (id === SYSTEM) this.#tracks.announced();
    this.#begin(0, length);
    return from + 6;
  }

  #pack(bytes: Buffer, from: number, at: number): number {
    if (bytes.length - from < 14) return from;
    if (((bytes[from + 4] ?? 0) & 0xc0) !== 0x40) {
      this.#odd.say("mpeg-1 pack", at);
      this.#seek();
      return from + 4;
    }
    this.#tracks.pack(clockReferenceAt(bytes, from + 4));
    this.#begin(0, (bytes[from + 13] ?? 0) & 7);
    return from + 14;
  }

  #map(bytes: Buffer, from: number, size: number, at: number): number {
    if (size > MOST_MAP) {
      this.#odd.say("stream map", at);
      this.#seek();
      return from + 4;
    }
    if (bytes.length - from < size) return from;
    const streams = streamMap(bytes.subarray(from, from + size));
    if (streams === undefined) this.#odd.say("stream map", at);
    else this.#tracks.mapped(streams);
    this.#tracks.announced();
    return from + size;
  }

  #pes(bytes: Buffer, from: number, id: number, length: number, at: number): number {
    if (bytes.length - from < PES_HEADER) return from;
    const [flags = 0, more = 0, extra = 0] = [bytes[from + 6], bytes[from + 7], bytes[from + 8]];
    const payload = length - 3 - extra;
    if ((flags & 0xc0) !== 0x80 || (length !== 0 && payload < 0)) {
      this.#odd.say("pes header", at);
      this.#seek();
      return from + 4;
    }
    const begin = from + PES_HEADER + extra;
    if (bytes.length < begin) return from;
    const stamp = (more & 0x80) !== 0 && extra >= 5 ? stampAt(bytes, from + PES_HEADER) : Number.NaN;
    this.#tracks.packet(id, stamp, begin - from, at);
    this.#begin(id, length === 0 ? -1 : payload);
    if (this.#left === 0) this.#ended(at);
    return begin;
  }

  #begin(streamId: number, left: number): void {
    this.#streamId = streamId;
    this.#left = left;
  }

  #seek(): void {
    this.#begin(0, 0);
    this.#seeking = true;
    this.#tracks.gap();
  }

  #ended(at: number): void {
    if (this.#streamId !== 0) this.#tracks.ended(at);
  }

  /** No start code where one belongs. The picture before it may be longer than it said; else we have lost our way. */
  #astray(bytes: Buffer, from: number, at: number): number {
    if (kindOf(this.#streamId) === "video") {
      this.#odd.say("pes length", at);
      this.#left = -1;
      return this.#unbounded(bytes, from, at);
    }
    this.#odd.say("no start code", at);
    this.#seek();
    return from + 1;
  }
}

/** How many of the last two bytes are zeros, which may begin a start code. */
function zerosAtEnd(bytes: Uint8Array, from: number): number {
  const end = bytes.length;
  if (end <= from || bytes[end - 1] !== 0) return 0;
  return end - 1 > from && bytes[end - 2] === 0 ? 2 : 1;
}
