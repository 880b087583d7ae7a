import type { MediaSink } from "../media.ts";
import { AudioHead } from "./audio-head.ts";
import { Stamps32 } from "./stamps.ts";

/** As long as the longest head of an audio tag. */
const HEAD_BYTES = 5;
const NO_LANE = -1;

/** The sound of an FLV: one frame for each tag that is not a configuration. */
export class FlvAudio {
  readonly #nextId: () => number;
  readonly #sink: MediaSink;
  readonly #stamps = new Stamps32();
  readonly #head = new AudioHead();
  readonly #first = new Uint8Array(HEAD_BYTES);
  #id = -1;
  #codec = "";
  #untold = 0;

  #lane = NO_LANE;
  #length = 0;
  #have = 0;
  #stamp = 0;

  constructor(nextId: () => number, sink: MediaSink) {
    this.#nextId = nextId;
    this.#sink = sink;
  }

  begin(lane: number, length: number, header: number, stamp: number, _at: number): void {
    this.#untold += header;
    this.#lane = lane;
    this.#length = length;
    this.#have = 0;
    this.#stamp = stamp;
  }

  piece(lane: number, bytes: Uint8Array, from: number, to: number): void {
    this.#untold += to - from;
    if (lane !== this.#lane) return;
    for (let at = from; at < to && this.#have < HEAD_BYTES; at += 1) this.#first[this.#have++] = bytes[at] ?? 0;
  }

  end(lane: number, at: number): void {
    if (lane !== this.#lane) return;
    this.#lane = NO_LANE;
    if (this.#have === 0 || !this.#head.read(this.#first, this.#have)) return;
    const { codec, isFrame, bodyAt } = this.#head;
    if (codec !== "" && codec !== this.#codec) this.#announce(codec);
    if (this.#id < 0 || !isFrame || this.#length <= bodyAt) return;
    this.#sink.frame(this.#id, this.#stamps.unwrap(this.#stamp), this.#length - bodyAt, false, at);
  }

  drop(lane: number): void {
    if (lane === this.#lane) this.#lane = NO_LANE;
  }

  flush(at: number): void {
    if (this.#id < 0 || this.#untold === 0) return;
    this.#sink.bytes(this.#id, this.#untold, at);
    this.#untold = 0;
  }

  #announce(codec: string): void {
    if (this.#id < 0) this.#id = this.#nextId();
    this.#codec = codec;
    this.#sink.track(this.#id, { kind: "audio", codec, clockHz: 1000 });
  }
}
