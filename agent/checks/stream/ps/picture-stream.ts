import type { MediaSink } from "../media.ts";
import { AnnexB } from "../nal/annex-b.ts";
import type { NalCodec } from "../nal/sets.ts";
import { VideoUnits } from "../nal/units.ts";
import { CodecGuess } from "./guess.ts";

/** The frames of one picture stream, out of the payloads of its PES packets. */
export interface PictureStream {
  /** More payload; `stamp` is that of the first frame that begins in its packet, `key` whether its pack announced a keyframe. */
  data(bytes: Buffer, from: number, to: number, stamp: number, key: boolean, at: number): void;
  /** Something before what comes next is missing. */
  gap(): void;
}

/** One of a codec known, or to be found out ("": `found` is told once it is; until then nothing is). */
export function pictureStream(
  id: number,
  codec: string,
  sink: MediaSink,
  found: (codec: string) => void,
): PictureStream {
  if (codec === "H264" || codec === "H265") return new NalPictures(id, codec, sink);
  return codec === "" ? new GuessedPictures(id, sink, found) : new StampedPictures(id, sink);
}

class NalPictures implements PictureStream {
  readonly #units: VideoUnits;
  readonly #bytes: AnnexB;

  constructor(id: number, codec: NalCodec, sink: MediaSink) {
    this.#units = new VideoUnits(id, codec, sink);
    this.#bytes = new AnnexB(this.#units, codec);
  }

  data(bytes: Buffer, from: number, to: number, stamp: number, _: boolean, at: number): void {
    this.#bytes.stampNext(stamp, at);
    this.#bytes.data(bytes, from, to);
  }

  gap(): void {
    this.#bytes.gap();
    this.#units.spoil();
  }
}

/** What we cannot read (SVAC, MPEG-4): a frame is all that comes with one stamp, and a keyframe what its pack says is one. */
class StampedPictures implements PictureStream {
  readonly #id: number;
  readonly #sink: MediaSink;
  #stamp = Number.NaN;
  #size = 0;
  #key = false;
  #at = 0;

  constructor(id: number, sink: MediaSink) {
    this.#id = id;
    this.#sink = sink;
  }

  data(_: Buffer, from: number, to: number, stamp: number, key: boolean, at: number): void {
    if (stamp !== this.#stamp) {
      if (this.#size > 0) this.#sink.frame(this.#id, this.#stamp, this.#size, this.#key, this.#at);
      this.#stamp = stamp;
      this.#size = 0;
      this.#key = key;
    }
    this.#size += to - from;
    this.#at = at;
  }

  gap(): void {}
}

class GuessedPictures implements PictureStream {
  readonly #id: number;
  readonly #sink: MediaSink;
  readonly #found: (codec: string) => void;
  #guess: CodecGuess | undefined = new CodecGuess();
  #pictures: PictureStream | undefined;

  constructor(id: number, sink: MediaSink, found: (codec: string) => void) {
    this.#id = id;
    this.#sink = sink;
    this.#found = found;
  }

  data(bytes: Buffer, from: number, to: number, stamp: number, key: boolean, at: number): void {
    let next = from;
    if (this.#guess !== undefined) {
      const known = this.#guess.look(bytes, from, to);
      if (known === undefined) return;
      this.#begin(known.codec, this.#guess.opening, stamp, key, at);
      next = known.next;
    }
    if (next < to) this.#pictures?.data(bytes, next, to, stamp, key, at);
  }

  gap(): void {
    this.#pictures?.gap();
  }

  #begin(codec: NalCodec | "", opening: Buffer, stamp: number, key: boolean, at: number): void {
    this.#guess = undefined;
    this.#found(codec);
    this.#pictures =
      codec === "" ? new StampedPictures(this.#id, this.#sink) : new NalPictures(this.#id, codec, this.#sink);
    this.#pictures.data(opening, 0, opening.length, stamp, key, at);
  }
}
