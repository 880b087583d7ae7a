import type { MediaSink, Track } from "../media.ts";
import { Unwrapped } from "./fields.ts";
import { type PictureStream, pictureStream } from "./picture-stream.ts";
import { kindOf, type MappedStream } from "./stream-map.ts";

const CLOCK_HZ = 90_000;
const MOST_TRACKS = 8;

interface PsTrack {
  id: number;
  kind: Track["kind"];
  codec: string;
  pictures: PictureStream | undefined;
  unwrapped: Unwrapped;
  /** Whether a PTS ever came: without one the packs' own clock stands in. */
  stamped: boolean;
  stamp: number;
  /** Of a packet of sound: what came so far. */
  size: number;
}

/** The tracks of one program stream, by their stream ids, and what is told of them. */
export class PsTracks {
  readonly #sink: MediaSink;
  readonly #byStreamId = new Map<number, PsTrack>();
  #clock = Number.NaN;
  #key = false;
  /** That of the packet at hand; undefined where there are too many. */
  #track: PsTrack | undefined;

  constructor(sink: MediaSink) {
    this.#sink = sink;
  }

  /** The first picture; without one the first track. */
  get first(): number | undefined {
    for (const { id, kind } of this.#byStreamId.values()) if (kind === "video") return id;
    return this.#byStreamId.size > 0 ? 0 : undefined;
  }

  /** A pack begins, at this moment of its clock. */
  pack(clock: number): void {
    this.#clock = clock;
    this.#key = false;
  }

  /** A system header or a stream map came: with a keyframe, by GB/T 28181 annex C. */
  announced(): void {
    this.#key = true;
  }

  mapped(streams: readonly MappedStream[]): void {
    for (const { streamId, kind, codec } of streams) {
      const track = this.#byStreamId.get(streamId);
      if (track === undefined) this.#add(streamId, kind, codec);
      else if (codec !== "" && codec !== track.codec) this.#change(track, kind, codec);
    }
  }

  /** A packet begins; `stamp`: its PTS, NaN without; `header`: bytes of its header. */
  packet(streamId: number, stamp: number, header: number, at: number): void {
    const track = this.#byStreamId.get(streamId) ?? this.#add(streamId, kindOf(streamId), "");
    this.#track = track;
    if (track === undefined) return;
    track.size = 0;
    if (!Number.isNaN(stamp)) {
      track.stamped = true;
      track.stamp = track.unwrapped.of(stamp);
    } else if (!track.stamped && !Number.isNaN(this.#clock)) track.stamp = track.unwrapped.of(this.#clock);
    this.#sink.bytes(track.id, header, at);
  }

  /** Payload of the packet at hand. */
  data(bytes: Buffer, from: number, to: number, at: number): void {
    const track = this.#track;
    if (track === undefined) return;
    track.size += to - from;
    track.pictures?.data(bytes, from, to, track.stamp, this.#key, at);
    this.#sink.bytes(track.id, to - from, at);
  }

  /** The packet at hand is whole. */
  ended(at: number): void {
    const track = this.#track;
    if (track?.kind !== "audio" || track.size === 0) return;
    this.#sink.frame(track.id, track.stamp, track.size, true, at);
    track.size = 0;
  }

  gap(): void {
    this.#track = undefined;
    for (const { pictures } of this.#byStreamId.values()) pictures?.gap();
  }

  #add(streamId: number, kind: Track["kind"], codec: string): PsTrack | undefined {
    const id = this.#byStreamId.size;
    if (id >= MOST_TRACKS) return undefined;
    const track: PsTrack = {
      ...{ id, kind, codec, pictures: undefined },
      ...{ unwrapped: new Unwrapped(), stamped: false, stamp: 0, size: 0 },
    };
    this.#byStreamId.set(streamId, track);
    this.#change(track, kind, codec);
    return track;
  }

  #change(track: PsTrack, kind: Track["kind"], codec: string): void {
    track.kind = kind;
    track.codec = codec;
    this.#sink.track(track.id, { kind, codec, clockHz: CLOCK_HZ });
    track.pictures =
      kind === "video" ? pictureStream(track.id, codec, this.#sink, (found) => this.#found(track, found)) : undefined;
  }

  #found(track: PsTrack, codec: string): void {
    track.codec = codec;
    if (codec !== "") this.#sink.track(track.id, { kind: track.kind, codec, clockHz: CLOCK_HZ });
  }
}
