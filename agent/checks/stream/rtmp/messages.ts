import type { FlvMedia } from "../flv/media.ts";
import { FlvTags } from "../flv/tags.ts";
import { MESSAGE, type MessageSink, notRtmp } from "./chunks.ts";

const MOST_COMMAND_BYTES = 65_536;
const MOST_CONTROL_BYTES = 64;
/** Commands and control messages that come interleaved with each other. */
const MOST_COMING = 8;
/** Basic and message header of a message that says all. */
const HEADER_BYTES = 12;

interface Coming {
  type: number;
  body: Buffer;
  have: number;
}

/** Hears what is not media. */
export interface Hears {
  /** A protocol control or user control message, whole. */
  control(type: number, body: Buffer): void;
  /** The body of a command, whole, as AMF0. */
  command(body: Buffer): void;
}

/**
 * Sends messages where they belong: sound and picture on to the media as they come, commands and control messages once they
 * are whole. Of the others (metadata, shared objects) nothing is kept. Throws Failure STREAM_PROTOCOL for commands over 64 kB.
 */
export class MessageRouter implements MessageSink {
  readonly #media: FlvMedia;
  readonly #hears: Hears;
  /** Of each lane, the media message that is coming. */
  readonly #types = new Map<number, number>();
  readonly #aggregates = new Map<number, FlvTags>();
  readonly #coming = new Map<number, Coming>();
  /** Monotonic ms of what is being read. */
  at = 0;
  /** A frame or its configuration came. */
  sawMedia = false;

  constructor(media: FlvMedia, hears: Hears) {
    this.#media = media;
    this.#hears = hears;
  }

  begin(lane: number, type: number, length: number, stamp: number): void {
    if (type === MESSAGE.audio || type === MESSAGE.video) {
      this.#types.set(lane, type);
      this.sawMedia ||= length > 0;
      this.#media.begin(lane, type, length, HEADER_BYTES, stamp, this.at);
      return;
    }
    this.#types.delete(lane);
    if (type === MESSAGE.aggregate) this.#aggregates.set(lane, new FlvTags(this.#media, stamp));
    else if (isControl(type) || type === MESSAGE.command || type === MESSAGE.commandAmf3)
      this.#gather(lane, type, length);
  }

  piece(lane: number, bytes: Uint8Array, from: number, to: number): void {
    const type = this.#types.get(lane);
    const coming = type === undefined ? this.#coming.get(lane) : undefined;
    if (type !== undefined) this.#media.piece(lane, type, bytes, from, to);
    else if (coming !== undefined) {
      coming.body.set(bytes.subarray(from, to), coming.have);
      coming.have += to - from;
    } else this.#aggregates.get(lane)?.push(bytes, from, to, this.at);
  }

  end(lane: number): void {
    const type = this.#types.get(lane);
    if (type !== undefined) {
      this.#media.end(lane, type, this.at);
      return;
    }
    this.#aggregates.delete(lane);
    const coming = this.#coming.get(lane);
    if (coming === undefined) return;
    this.#coming.delete(lane);
    if (isControl(coming.type)) this.#hears.control(coming.type, coming.body);
    // a command of AMF3 is one of AMF0 after a byte that says so
    else this.#hears.command(coming.type === MESSAGE.commandAmf3 ? coming.body.subarray(1) : coming.body);
  }

  /** What was coming on this lane is not going on. */
  abort(lane: number): void {
    this.#media.drop(lane);
    this.#coming.delete(lane);
    this.#aggregates.delete(lane);
    this.#types.delete(lane);
  }

  #gather(lane: number, type: number, length: number): void {
    const most = isControl(type) ? MOST_CONTROL_BYTES : MOST_COMMAND_BYTES;
    if (length > most) throw notRtmp(`a message of type ${type} with ${length} bytes`);
    if (this.#coming.size >= MOST_COMING) throw notRtmp("too many commands at once");
    this.#coming.set(lane, { type, body: Buffer.alloc(length), have: 0 });
  }
}

const isControl = (type: number): boolean => type <= MESSAGE.peerBandwidth;
