import type { MediaSink } from "../media.ts";
import { FlvAudio } from "./audio.ts";
import { FlvVideo } from "./video.ts";

/** Types of FLV tags, which RTMP messages share. */
export const AUDIO_TAG = 8;
export const VIDEO_TAG = 9;
export const DATA_TAG = 18;

/**
 * Sound and picture out of FLV tags, whether they come as RTMP messages or as an HTTP-FLV body: `begin`, `piece` for what of
 * the body is here, and `end`. Nothing is buffered but the heads, the parameter sets and a wanted keyframe. Tags may come
 * interleaved, each on a `lane` of its own. `flush` after each read of the transport tells how many bytes came.
 */
export class FlvMedia {
  readonly #video: FlvVideo;
  readonly #audio: FlvAudio;
  #tracks = 0;

  constructor(sink: MediaSink) {
    const nextId = (): number => this.#tracks++;
    this.#video = new FlvVideo(nextId, sink);
    this.#audio = new FlvAudio(nextId, sink);
  }

  /** Tracks announced so far. */
  get tracks(): number {
    return this.#tracks;
  }

  /** `stamp`: unsigned 32-bit ms; `length` of the body and `header` before it, bytes; `at`: monotonic ms. */
  begin(lane: number, type: number, length: number, header: number, stamp: number, at: number): void {
    if (type === VIDEO_TAG) this.#video.begin(lane, length, header, stamp, at);
    else if (type === AUDIO_TAG) this.#audio.begin(lane, length, header, stamp, at);
  }

  piece(lane: number, type: number, bytes: Uint8Array, from: number, to: number): void {
    if (type === VIDEO_TAG) this.#video.piece(lane, bytes, from, to);
    else if (type === AUDIO_TAG) this.#audio.piece(lane, bytes, from, to);
  }

  end(lane: number, type: number, at: number): void {
    if (type === VIDEO_TAG) this.#video.end(lane, at);
    else if (type === AUDIO_TAG) this.#audio.end(lane, at);
  }

  /** The tag that came on this lane is not going on. */
  drop(lane: number): void {
    this.#video.drop(lane);
    this.#audio.drop(lane);
  }

  flush(at: number): void {
    this.#video.flush(at);
    this.#audio.flush(at);
  }
}
