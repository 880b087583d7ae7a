import type { MediaSink, Track } from "../media.ts";
import { AnnexB } from "../nal/annex-b.ts";
import { VideoUnits } from "../nal/units.ts";
import { OddWords } from "../odd.ts";
import { TS_CLOCK_HZ } from "./codecs.ts";
import { type ProgramClock, ticksAfter } from "./program-clock.ts";

/** Fixed part of a PES header with its optional fields, and the most that PES_header_data_length can add. */
const FIXED_BYTES = 9;
const MOST_HEADER_BYTES = FIXED_BYTES + 255;
/** Payloads of the packets of a transport stream lie apart; so many bytes are brought together before they are searched. */
const GATHERED_BYTES = 16 * 1024;
/** Multiplexers are a little late where the rate varies; so late they are wrong. */
const MOST_LATE_TICKS = TS_CLOCK_HZ;
/** A decoder holds at most so much (§2.4.2.6); what is further ahead of the program clock is wrong. */
const MOST_AHEAD_TICKS = 10 * TS_CLOCK_HZ;
const NO_PTS = -1;

/** stream_id values whose packets have no optional header and are no media (§2.4.3.7). */
const OTHERS = new Set([0xbc, 0xbe, 0xbf, 0xf0, 0xf1, 0xf2, 0xf8, 0xff]);

/**
 * One elementary stream: PES packets (ISO/IEC 13818-1 §2.4.3.6) out of the payloads of transport packets. H.264 and H.265
 * go on to `VideoUnits`; of everything else a PES packet is a frame.
 */
export class PesTrack {
  readonly id: number;
  readonly odd: OddWords;
  /** Bytes of transport packets not told yet. */
  untold = 0;
  /** The packet that begins now says that a decoder can begin with it (random_access_indicator). */
  entry = false;
  readonly #sink: MediaSink;
  readonly #clock: ProgramClock;
  readonly #units: VideoUnits | undefined;
  readonly #nals: AnnexB | undefined;
  readonly #isVideo: boolean;
  readonly #gathered: Buffer;
  #length = 0;

  /** Of the PES packet: it has begun, and is one of ours; its header while that is not whole; bytes still to come. */
  #open = false;
  #header: Buffer | undefined;
  #headerBytes = 0;
  #left = 0;
  #sized = false;
  /** Of the frame that is not made of NAL units. */
  #size = 0;
  #stamp = 0;
  #key = false;
  #begun = false;

  constructor(id: number, { kind, codec }: Track, sink: MediaSink, clock: ProgramClock) {
    this.id = id;
    this.odd = new OddWords(id, sink);
    this.#sink = sink;
    this.#clock = clock;
    this.#isVideo = kind === "video";
    const nal = codec === "H264" || codec === "H265" ? codec : undefined;
    this.#units = nal === undefined ? undefined : new VideoUnits(id, nal, sink);
    this.#nals = nal === undefined || this.#units === undefined ? undefined : new AnnexB(this.#units, nal);
    this.#gathered = Buffer.allocUnsafeSlow(nal === undefined ? 0 : GATHERED_BYTES);
  }

  /** The payload of the next packet: `bytes` from `from` up to `to`. `pcr`: the program's clock, NaN while unknown. */
  payload(bytes: Buffer, from: number, to: number, starts: boolean, pcr: number, at: number): void {
    if (starts) {
      this.#start(bytes, from, to, pcr, at);
      return;
    }
    if (!this.#open) return;
    if (this.#header === undefined) this.#data(bytes, from, to, at);
    else this.#gatherHeader(bytes, from, to, pcr, at);
  }

  /** Packets are missing, or came damaged. */
  gap(): void {
    this.settle();
    this.#units?.spoil();
    this.#nals?.gap();
    this.#header = undefined;
    this.#sized = false;
  }

  /** Nothing more comes now: what was gathered is passed on. */
  settle(): void {
    if (this.#length === 0) return;
    this.#nals?.data(this.#gathered, 0, this.#length);
    this.#length = 0;
  }

  /** The packet that was begun is whole: nothing more of it comes. */
  flush(at: number): void {
    this.settle();
    this.#units?.end(at);
    this.#tell(at);
    this.#open = false;
  }

  #start(bytes: Buffer, from: number, to: number, pcr: number, at: number): void {
    this.settle();
    if (this.#open && this.#sized && this.#left > 0) this.odd.say("pes cut short", at);
    this.#tell(at);
    this.#open = true;
    this.#header = undefined;
    const needs = to - from < FIXED_BYTES ? MOST_HEADER_BYTES : FIXED_BYTES + (bytes[from + 8] ?? 0);
    if (needs <= to - from) {
      const data = this.#readHeader(bytes, from, pcr, at);
      if (this.#open) this.#data(bytes, data, to, at);
      return;
    }
    this.#header = Buffer.allocUnsafeSlow(MOST_HEADER_BYTES);
    this.#headerBytes = 0;
    this.#gatherHeader(bytes, from, to, pcr, at);
  }

  /** A header that reaches over the end of its packet: seldom, but allowed. */
  #gatherHeader(bytes: Buffer, from: number, to: number, pcr: number, at: number): void {
    const header = this.#header;
    if (header === undefined) return;
    let next = from;
    const take = (whole: number): boolean => {
      const count = Math.max(0, Math.min(whole - this.#headerBytes, to - next));
      bytes.copy(header, this.#headerBytes, next, next + count);
      this.#headerBytes += count;
      next += count;
      return this.#headerBytes >= whole;
    };
    if (!take(FIXED_BYTES) || !take(FIXED_BYTES + (header[8] ?? 0))) return;
    this.#header = undefined;
    this.#readHeader(header, 0, pcr, at);
    if (this.#open) this.#data(bytes, next, to, at);
  }

  /** Returns where the data begins. */
  #readHeader(bytes: Buffer, from: number, pcr: number, at: number): number {
    const id = bytes[from + 3] ?? 0;
    if (bytes[from] !== 0 || bytes[from + 1] !== 0 || bytes[from + 2] !== 1 || OTHERS.has(id)) {
      this.#open = false;
      if (id !== 0xbe) this.odd.say("pes header", at);
      return from;
    }
    const length = ((bytes[from + 4] ?? 0) << 8) | (bytes[from + 5] ?? 0);
    if (((bytes[from + 6] ?? 0) & 0xc0) !== 0x80) {
      this.#open = false; // the header of MPEG-1
      this.odd.say("pes header", at);
      return from;
    }
    const more = bytes[from + 8] ?? 0;
    this.#sized = length > 0;
    this.#left = Math.max(0, length - 3 - more);
    const flags = bytes[from + 7] ?? 0;
    const pts = (flags & 0x80) !== 0 && more >= 5 ? stampIn(bytes, from + 9) : NO_PTS;
    if (pts !== NO_PTS) {
      this.#begin(this.#clock.stamp(pts), at);
      const decoded = (flags & 0xc0) === 0xc0 && more >= 10 ? stampIn(bytes, from + 14) : pts;
      if (!Number.isNaN(pcr)) this.#compare(ticksAfter(decoded, pcr), at);
    } else if (this.#units === undefined) this.#begin(this.#stamp, at);
    return from + FIXED_BYTES + more;
  }

  #compare(ahead: number, at: number): void {
    if (ahead < -MOST_LATE_TICKS) this.odd.say("late for the program clock", at);
    else if (ahead > MOST_AHEAD_TICKS) this.odd.say("far ahead of the program clock", at);
  }

  #begin(stamp: number, at: number): void {
    if (this.#units !== undefined) {
      this.#units.at(stamp, at);
      return;
    }
    this.#stamp = stamp;
    this.#size = 0;
    this.#key = this.#isVideo && this.entry;
    this.entry = false;
    this.#begun = true;
  }

  #data(bytes: Buffer, from: number, to: number, at: number): void {
    const end = this.#sized ? Math.min(to, from + this.#left) : to;
    const count = end - from;
    this.#left -= count;
    if (this.#nals === undefined) {
      this.#size += count;
      if (this.#sized && this.#left <= 0) this.#tell(at);
      return;
    }
    if (this.#length + count > GATHERED_BYTES) this.settle();
    bytes.copy(this.#gathered, this.#length, from, end);
    this.#length += count;
  }

  /** Tells the frame that is not made of NAL units. */
  #tell(at: number): void {
    if (!this.#begun) return;
    this.#begun = false;
    if (this.#size > 0) this.#sink.frame(this.id, this.#stamp, this.#size, this.#key, at);
  }
}

/** PTS or DTS, 33 bits in 5 bytes (§2.4.3.6). */
function stampIn(bytes: Uint8Array, from: number): number {
  const high = ((bytes[from] ?? 0) >> 1) & 7;
  const middle = (((bytes[from + 1] ?? 0) << 8) | (bytes[from + 2] ?? 0)) >> 1;
  const low = (((bytes[from + 3] ?? 0) << 8) | (bytes[from + 4] ?? 0)) >> 1;
  return high * 2 ** 30 + middle * 2 ** 15 + low;
}
