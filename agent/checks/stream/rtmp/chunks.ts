import { Failure } from "../../../../protocol/failure.ts";

/** RTMP 1.0 §5.3: until the other side says otherwise. */
export const FIRST_CHUNK_SIZE = 128;
const MOST_MESSAGE_BYTES = 8 * 1024 * 1024;
/** Chunk streams a server may use; those in the field use four. */
const MOST_LANES = 64;
const EXTENDED = 0xffffff;
/** Bytes of the message header, by the chunk's type: whole, same stream, same length, the same. */
const HEADER_BYTES = [11, 7, 3, 0] as const;
/** Longest basic header, message header and extended time stamp. */
const MOST_HEADER_BYTES = 3 + 11 + 4;

/** Message types (RTMP 1.0 §5.4, §7.1). */
export const MESSAGE = {
  chunkSize: 1,
  abort: 2,
  acknowledgement: 3,
  userControl: 4,
  windowSize: 5,
  peerBandwidth: 6,
  audio: 8,
  video: 9,
  dataAmf3: 15,
  sharedAmf3: 16,
  commandAmf3: 17,
  data: 18,
  shared: 19,
  command: 20,
  aggregate: 22,
} as const;
const TYPES: readonly number[] = Object.values(MESSAGE);

/** Hears messages, each on its lane (chunk stream); those of several lanes may come interleaved. */
export interface MessageSink {
  /** `stamp`: unsigned 32-bit ms. `length`: bytes of the body that will come, 0 to 8 MiB. */
  begin(lane: number, type: number, length: number, stamp: number): void;
  piece(lane: number, bytes: Uint8Array, from: number, to: number): void;
  end(lane: number): void;
}

/** What was said last on a chunk stream: the next chunk may leave it out. */
interface Lane {
  id: number;
  type: number;
  length: number;
  stamp: number;
  delta: number;
  /** The extended time stamp as it was written, where there was one. */
  extended: number | undefined;
  /** Of the message that is coming; 0 between two. */
  left: number;
}

export const notRtmp = (what: string): Failure =>
  new Failure("STREAM_PROTOCOL", `what came is no RTMP: ${what}`, { facts: { what } });

/**
 * Messages out of the chunk stream (RTMP 1.0 §5.3), in whatever pieces it comes. Nothing is buffered but a header.
 * Throws Failure STREAM_PROTOCOL.
 */
export class ChunkReader {
  readonly #sink: MessageSink;
  readonly #lanes = new Map<number, Lane>();
  readonly #header = new Uint8Array(MOST_HEADER_BYTES);
  #chunkSize = FIRST_CHUNK_SIZE;

  #have = 0;
  #need = 1;
  /** Bytes of the basic header, 0 before it is here; then of basic and message header. */
  #basic = 0;
  #plain = 0;
  /** The extended time stamp that a chunk of type 3 should repeat. */
  #repeated: number | undefined;
  /** The chunk whose payload is coming, and what of it is. */
  #lane: Lane | undefined;
  #left = 0;

  constructor(sink: MessageSink) {
    this.#sink = sink;
  }

  /** The other side's chunks are so large from the next one on. */
  set chunkSize(bytes: number) {
    if (bytes < 1 || bytes > 0x7fffffff) throw notRtmp(`chunks of ${bytes} bytes`);
    this.#chunkSize = bytes;
  }

  /** The message that is coming on this lane is not going on (§5.4.2). */
  abort(lane: number): void {
    const known = this.#lanes.get(lane);
    if (known !== undefined) known.left = 0;
  }

  push(bytes: Uint8Array, from = 0, to = bytes.length): void {
    let at = from;
    while (at < to) {
      if (this.#lane === undefined) {
        const byte = bytes[at++] ?? 0;
        this.#header[this.#have++] = byte;
        if (this.#repeated !== undefined && byte !== byteOf(this.#repeated, this.#have - this.#plain - 1))
          this.#headed();
        else if (this.#have === this.#need) this.#headed();
        continue;
      }
      const end = Math.min(to, at + this.#left);
      this.#payload(this.#lane, bytes, at, end);
      at = end;
    }
  }

  #payload(lane: Lane, bytes: Uint8Array, from: number, to: number): void {
    this.#left -= to - from;
    lane.left -= to - from;
    if (this.#left === 0) this.#lane = undefined;
    this.#sink.piece(lane.id, bytes, from, to);
    if (lane.left === 0) this.#sink.end(lane.id);
  }

  /** As much of the header is here as was asked for. */
  #headed(): void {
    const header = this.#header;
    const format = (header[0] ?? 0) >> 6;
    if (this.#basic === 0) {
      const low = (header[0] ?? 0) & 63;
      this.#basic = low === 0 ? 2 : low === 1 ? 3 : 1;
      this.#plain = this.#basic + (HEADER_BYTES[format] ?? 0);
      this.#need = this.#plain;
      if (this.#need > this.#have) return;
    }
    if (this.#need === this.#plain) {
      if (format === 3) this.#repeated = this.#lanes.get(this.#laneId())?.extended;
      if (format === 3 ? this.#repeated !== undefined : uint24(header, this.#basic) === EXTENDED) {
        this.#need = this.#plain + 4;
        return;
      }
    }
    this.#begin(format);
  }

  #laneId(): number {
    const header = this.#header;
    if (this.#basic === 1) return (header[0] ?? 0) & 63;
    return 64 + (header[1] ?? 0) + (this.#basic === 3 ? 256 * (header[2] ?? 0) : 0);
  }

  /** The whole header is here. */
  #begin(format: number): void {
    const lane = this.#laneOf(format);
    const [plain, have] = [this.#plain, this.#have];
    if (format < 3) this.#read(lane, format, have > plain ? uint32(this.#header, plain) : undefined);
    else if (lane.left === 0) this.#message(lane, (lane.stamp + lane.delta) >>> 0);
    const missing =
      this.#repeated !== undefined && (have < plain + 4 || uint32(this.#header, plain) !== this.#repeated);
    this.#have = 0;
    this.#need = 1;
    this.#basic = 0;
    this.#repeated = undefined;
    this.#lane = lane.left === 0 ? undefined : lane;
    this.#left = Math.min(lane.left, this.#chunkSize);
    // Chunks of type 3 should repeat it (§5.3.1.3); of senders that do not, what was taken for it is what follows.
    if (missing) this.push(Uint8Array.from(this.#header.subarray(plain, have)));
  }

  #laneOf(format: number): Lane {
    const id = this.#laneId();
    const known = this.#lanes.get(id);
    if (known !== undefined) return known;
    if (format > 1) throw notRtmp("a chunk that goes on with nothing");
    if (this.#lanes.size >= MOST_LANES) throw notRtmp("too many chunk streams");
    const lane: Lane = { id, type: 0, length: 0, stamp: 0, delta: 0, extended: undefined, left: 0 };
    this.#lanes.set(id, lane);
    return lane;
  }

  #read(lane: Lane, format: number, extended: number | undefined): void {
    if (lane.left > 0) throw notRtmp("a message within another");
    const header = this.#header;
    const stamp = extended ?? uint24(header, this.#basic);
    lane.extended = extended;
    if (format < 2) {
      lane.length = uint24(header, this.#basic + 3);
      lane.type = header[this.#basic + 6] ?? 0;
      if (!TYPES.includes(lane.type)) throw notRtmp(`a message of type ${lane.type}`);
      if (lane.length > MOST_MESSAGE_BYTES) throw notRtmp(`a message of ${lane.length} bytes`);
    }
    lane.delta = stamp; // after type 0 the stamp itself, §5.3.1.2.4
    this.#message(lane, format === 0 ? stamp : (lane.stamp + stamp) >>> 0);
  }

  /** A message begins. */
  #message(lane: Lane, stamp: number): void {
    lane.stamp = stamp;
    lane.left = lane.length;
    this.#sink.begin(lane.id, lane.type, lane.length, stamp);
    if (lane.length === 0) this.#sink.end(lane.id);
  }
}

/** Byte `index` of four, the highest first. */
const byteOf = (value: number, index: number): number => (value >>> (24 - 8 * index)) & 255;

const uint24 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);

const uint32 = (bytes: Uint8Array, at: number): number => ((uint24(bytes, at) << 8) | (bytes[at + 3] ?? 0)) >>> 0;

/** A message as chunks: the first with a whole header, the others of type 3. `lane` 2 to 63, `stamp` unsigned 32-bit ms. */
export function writeMessage(
  { lane, type, stream, stamp }: { lane: number; type: number; stream: number; stamp: number },
  body: Uint8Array,
  chunkSize = FIRST_CHUNK_SIZE,
): Buffer {
  const extended = stamp >= EXTENDED;
  const head = Buffer.alloc(extended ? 16 : 12);
  head[0] = lane;
  head.writeUIntBE(extended ? EXTENDED : stamp, 1, 3);
  head.writeUIntBE(body.length, 4, 3);
  head[7] = type;
  head.writeUInt32LE(stream, 8);
  if (extended) head.writeUInt32BE(stamp, 12);
  const goesOn = extended ? Buffer.concat([Buffer.of(0xc0 | lane), head.subarray(12)]) : Buffer.of(0xc0 | lane);
  const parts: Uint8Array[] = [head, body.subarray(0, chunkSize)];
  for (let at = chunkSize; at < body.length; at += chunkSize) parts.push(goesOn, body.subarray(at, at + chunkSize));
  return Buffer.concat(parts);
}
