import type { MediaSink } from "../media.ts";
import { LengthPrefixed, readAvcConfig, readHevcConfig } from "../nal/avcc.ts";
import { VideoUnits } from "../nal/units.ts";
import { OddWords } from "../odd.ts";
import { Stamps32 } from "./stamps.ts";
import { HEAD_BYTES, VIDEO_CONFIG, VIDEO_FRAME, VideoHead } from "./video-head.ts";

const NO_LANE = -1;
/** A configuration record longer than this is none. */
const MOST_RECORD_BYTES = 8192;

/** The body of the tag that is coming. */
const HEAD = 0;
/** Gathered whole. */
const RECORD = 1;
/** NAL units with their lengths before them. */
const UNITS = 2;
/** Not read. */
const SKIPPED = 3;

/** The picture of an FLV. H.264 and H.265 are looked into; of the other codecs the tags say what is a keyframe. */
export class FlvVideo {
  readonly #nextId: () => number;
  readonly #sink: MediaSink;
  readonly #stamps = new Stamps32();
  readonly #head = new VideoHead();
  readonly #first = new Uint8Array(HEAD_BYTES);
  #id = -1;
  #codec = "";
  /** Undefined for a codec that is not looked into. */
  #units: VideoUnits | undefined;
  #split: LengthPrefixed | undefined;
  /** A configuration record was read: sizes of NAL units and parameter sets are known. */
  #configured = false;
  #odd: OddWords | undefined;
  #untold = 0;

  #lane = NO_LANE;
  #length = 0;
  #have = 0;
  #raw = 0;
  #part = HEAD;
  #record: Buffer | undefined;
  #recordBytes = 0;
  #at = 0;

  constructor(nextId: () => number, sink: MediaSink) {
    this.#nextId = nextId;
    this.#sink = sink;
  }

  begin(lane: number, length: number, header: number, stamp: number, at: number): void {
    if (this.#lane !== NO_LANE) this.#broken("interleaved");
    this.#untold += header;
    this.#lane = lane;
    this.#length = length;
    this.#have = 0;
    this.#raw = stamp;
    this.#part = HEAD;
    this.#at = at;
  }

  piece(lane: number, bytes: Uint8Array, from: number, to: number): void {
    this.#untold += to - from;
    if (lane !== this.#lane) return;
    if (this.#part !== HEAD) {
      this.#body(bytes, from, to);
      return;
    }
    const wanted = Math.min(HEAD_BYTES, this.#length);
    let at = from;
    while (at < to && this.#have < wanted) this.#first[this.#have++] = bytes[at++] ?? 0;
    if (this.#have < wanted) return;
    this.#begun();
    this.#body(this.#first, Math.min(this.#head.bodyAt, wanted), wanted);
    this.#body(bytes, at, to);
  }

  end(lane: number, at: number): void {
    if (lane !== this.#lane) return;
    this.#lane = NO_LANE;
    this.#at = at;
    if (this.#part === RECORD) this.#learn();
    else if (this.#part === UNITS) this.#endUnits(at);
    else if (this.#head.what === VIDEO_FRAME && this.#id >= 0 && this.#length > this.#head.bodyAt) this.#frame(at);
    this.#head.what = 0;
  }

  /** The tag that came on this lane is not going on. */
  drop(lane: number): void {
    if (lane !== this.#lane) return;
    this.#broken("cut");
    this.#lane = NO_LANE;
  }

  flush(at: number): void {
    if (this.#id < 0 || this.#untold === 0) return;
    this.#sink.bytes(this.#id, this.#untold, at);
    this.#untold = 0;
  }

  /** The head is here. */
  #begun(): void {
    const head = this.#head;
    this.#part = SKIPPED;
    if (!head.read(this.#first, this.#have)) {
      this.#odd?.say("short tag", this.#at);
      head.what = 0;
      return;
    }
    if (head.several) this.#odd?.say("several tracks in one tag", this.#at);
    if (head.codec !== "" && head.codec !== this.#codec) this.#announce(head.codec);
    if (this.#units === undefined) return;
    if (head.what === VIDEO_CONFIG) {
      this.#part = RECORD;
      this.#recordBytes = 0;
    } else if (head.what === VIDEO_FRAME) {
      this.#part = UNITS;
      if (!this.#configured) this.#odd?.say("no parameter sets", this.#at);
      this.#units.at(this.#stamps.unwrap(this.#raw) + head.composition, this.#at);
    }
  }

  #body(bytes: Uint8Array, from: number, to: number): void {
    if (to <= from) return;
    if (this.#part === UNITS) this.#split?.data(bytes, from, to);
    else if (this.#part === RECORD) {
      this.#record ??= Buffer.allocUnsafeSlow(MOST_RECORD_BYTES);
      this.#record.set(
        bytes.subarray(from, Math.min(to, from + MOST_RECORD_BYTES - this.#recordBytes)),
        this.#recordBytes,
      );
      this.#recordBytes = Math.min(MOST_RECORD_BYTES, this.#recordBytes + to - from);
    }
  }

  #learn(): void {
    const record = this.#record?.subarray(0, this.#recordBytes);
    this.#record = undefined; // comes once, or once in hours
    if (record === undefined || this.#units === undefined) return;
    const config = this.#codec === "H265" ? readHevcConfig(record) : readAvcConfig(record);
    if (config === undefined) {
      this.#odd?.say("parameter sets", this.#at);
      return;
    }
    this.#configured = true;
    this.#split?.lengthOf(config.lengthBytes);
    for (const set of config.sets) this.#units.remember(set);
  }

  #endUnits(at: number): void {
    if (this.#split?.end() === false) {
      this.#units?.spoil();
      this.#odd?.say("nal length", at);
    }
    this.#units?.end(at);
  }

  /** A frame of a codec that is not looked into. */
  #frame(at: number): void {
    const stamp = this.#stamps.unwrap(this.#raw) + this.#head.composition;
    this.#sink.frame(this.#id, stamp, this.#length - this.#head.bodyAt, this.#head.key, at);
  }

  #announce(codec: string): void {
    if (this.#id < 0) {
      this.#id = this.#nextId();
      this.#odd = new OddWords(this.#id, this.#sink);
    }
    this.#codec = codec;
    this.#sink.track(this.#id, { kind: "video", codec, clockHz: 1000 });
    const looked = codec === "H264" || codec === "H265";
    this.#configured = false;
    this.#units = looked ? new VideoUnits(this.#id, codec, this.#sink) : undefined;
    this.#split = looked && this.#units !== undefined ? new LengthPrefixed(this.#units, codec) : undefined;
  }

  /** The tag before did not come to its end: what is here of its frame is told, but no picture is kept of it. */
  #broken(what: string): void {
    if (this.#part === UNITS) {
      this.#split?.end();
      this.#units?.spoil();
      this.#units?.end(this.#at);
    }
    this.#odd?.say(what, this.#at);
  }
}
