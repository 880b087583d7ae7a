import { randomFillSync } from "node:crypto";
import { placeName } from "../../../../platform/dial.ts";
import { Failure } from "../../../../protocol/failure.ts";
import { FlvMedia } from "../flv/media.ts";
import type { MediaSink } from "../media.ts";
import { OddWords } from "../odd.ts";
import type { RtmpAddress } from "./address.ts";
import { type AmfValue, readAmf, writeAmf } from "./amf.ts";
import { ChunkReader, MESSAGE, notRtmp, writeMessage } from "./chunks.ts";
import { type Hears, MessageRouter } from "./messages.ts";
import { failureIn, refusal, statusOf } from "./status.ts";

/** What is being waited for; "playing" is the end of it. */
export type Stage = "handshake" | "connect" | "createStream" | "play" | "playing";

/** What the client has of the world. */
export interface ClientPorts {
  send(bytes: Uint8Array): void;
  reached(stage: Stage): void;
  sink: MediaSink;
}

const VERSION = 3;
const HANDSHAKE_BYTES = 1536;
/** Chunk streams we send on: control, commands, commands of our stream. */
const CONTROL = 2;
const COMMANDS = 3;
const PLAY = 8;
const LEAST_WINDOW = 4096;
const BUFFER_MS = 3000;
/** Transaction numbers of the two requests that are answered. */
const CONNECT_ID = 1;
const CREATE_ID = 2;
/**
 * Live only (RTMP 1.0 §7.2.2.1). The default, -2, plays a recorded file of this name where nobody publishes: the dead stream
 * would look alive.
 */
const LIVE = -1;

/** Events of user control messages (RTMP 1.0 §7.1.7). */
const STREAM_EOF = 1;
const STREAM_DRY = 2;
const BUFFER_LENGTH = 3;
const IS_RECORDED = 4;
const PING = 6;
const PONG = 7;

/**
 * The client's side of an RTMP 1.0 session that plays one stream, without the socket: bytes in, bytes out. What it is given
 * may be cut anywhere. `data` throws Failure STREAM_* when the session is over; nothing may be given to it after that.
 * `NetStream.Play.Start` is all that "playing" means: servers say it of streams that do not exist.
 */
export class RtmpClient implements Hears {
  readonly #address: RtmpAddress;
  readonly #place: string;
  readonly #ports: ClientPorts;
  readonly #media: FlvMedia;
  readonly #odd: OddWords;
  readonly #router: MessageRouter;
  readonly #chunks: ChunkReader;
  #stage: Stage = "handshake";
  #hello: Buffer | undefined = Buffer.alloc(1 + HANDSHAKE_BYTES);
  #greeted = 0;
  #streamId = 0;
  #received = 0;
  #acknowledged = 0;
  /** Of bytes that may be under way before we say that they came; 0: without bound. */
  #window = 0;

  constructor(address: RtmpAddress, ports: ClientPorts) {
    this.#address = address;
    this.#place = placeName(address.to);
    this.#ports = ports;
    this.#media = new FlvMedia(ports.sink);
    this.#odd = new OddWords(0, ports.sink);
    this.#router = new MessageRouter(this.#media, this);
    this.#chunks = new ChunkReader(this.#router);
  }

  /** The connection stands: C0 and C1. */
  begin(): void {
    const hello = Buffer.alloc(1 + HANDSHAKE_BYTES);
    hello[0] = VERSION;
    randomFillSync(hello, 9);
    this.#ports.send(hello);
  }

  /** What came, at monotonic ms `at`. */
  data(bytes: Uint8Array, at: number): void {
    this.#router.at = at;
    this.#received += bytes.length;
    const from = this.#stage === "handshake" ? this.#greet(bytes) : 0;
    if (from < bytes.length) this.#chunks.push(bytes, from, bytes.length);
    if (this.#router.sawMedia && this.#stage === "play") this.#reach("playing");
    this.#media.flush(at);
    if (this.#window > 0 && this.#received - this.#acknowledged >= this.#window) this.#acknowledge();
  }

  /** Bids farewell; the connection may be closed after. */
  end(): void {
    if (this.#streamId !== 0) this.#command(COMMANDS, 0, ["deleteStream", 0, null, this.#streamId]);
  }

  /** S0, S1 and S2. Returns where they end in `bytes`. */
  #greet(bytes: Uint8Array): number {
    const wanted = 1 + 2 * HANDSHAKE_BYTES;
    const before = this.#greeted;
    const taken = Math.min(bytes.length, wanted - before);
    if (before === 0 && bytes[0] !== VERSION) throw notRtmp(`a handshake of version ${bytes[0]}`);
    this.#greeted += taken;
    const hello = this.#hello;
    if (hello !== undefined) {
      hello.set(bytes.subarray(0, Math.min(taken, hello.length - before)), before);
      if (this.#greeted >= hello.length) {
        this.#hello = undefined;
        this.#ports.send(hello.subarray(1)); // C2 says S1 back
      }
    }
    if (this.#greeted === wanted) this.#connect();
    return taken;
  }

  #connect(): void {
    this.#reach("connect");
    const { app, tcUrl } = this.#address;
    const about = new Map<string, AmfValue>([
      ["app", app],
      ["flashVer", "LNX 10,0,32,18 (vigil-agent)"],
      ["tcUrl", tcUrl],
      ["fpad", false],
      ["capabilities", 15],
      ["audioCodecs", 0x0fff],
      ["videoCodecs", 0x00fc],
      ["videoFunction", 1],
      ["objectEncoding", 0],
      // Enhanced RTMP: without it a server may hold H.265 back.
      ["fourCcList", ["avc1", "hvc1", "av01", "vp09", "Opus", "mp4a"]],
    ]);
    this.#command(COMMANDS, 0, ["connect", CONNECT_ID, about]);
  }

  control(type: number, body: Buffer): void {
    if (body.length < 4) return;
    const value = body.readUInt32BE(0);
    if (type === MESSAGE.chunkSize) this.#chunks.chunkSize = value;
    else if (type === MESSAGE.abort) {
      this.#chunks.abort(value);
      this.#router.abort(value);
    } else if (type === MESSAGE.windowSize) this.#window = Math.max(LEAST_WINDOW, value);
    else if (type === MESSAGE.peerBandwidth) this.#control(MESSAGE.windowSize, body.subarray(0, 4));
    else if (type === MESSAGE.userControl) this.#event(body);
  }

  #event(body: Buffer): void {
    const event = body.readUInt16BE(0);
    if (event === PING) {
      const pong = Buffer.from(body.subarray(0, 6));
      pong.writeUInt16BE(PONG, 0);
      this.#control(MESSAGE.userControl, pong);
    } else if (event === STREAM_EOF) {
      const how = "end of the stream";
      throw new Failure("STREAM_ENDED", `${this.#place} ended the stream: ${how}`, {
        facts: { place: this.#place, how },
      });
    } else if (event === STREAM_DRY) this.#say("dry");
    else if (event === IS_RECORDED) this.#say("recorded");
  }

  command(body: Buffer): void {
    const [name, id, first, second] = readAmf(body);
    if (name === "onStatus") this.#status(second);
    else if (name === "_result") this.#answered(id, second);
    else if (name === "_error") this.#refused(id, second);
    else if (name === "close") this.#closed(first);
  }

  #status(info: AmfValue): void {
    const status = statusOf(info);
    const failure = failureIn(status, this.#place);
    if (failure !== undefined) throw failure;
    if (status.code === "NetStream.Play.Start" && this.#stage === "play") this.#reach("playing");
    if (status.code === "NetStream.Play.InsufficientBW") this.#say("too little bandwidth");
  }

  #answered(id: AmfValue, result: AmfValue): void {
    if (id === CONNECT_ID && this.#stage === "connect") {
      const status = statusOf(result);
      if (status.level === "error") throw refusal(status, this.#place, "connect");
      this.#reach("createStream");
      this.#command(COMMANDS, 0, ["createStream", CREATE_ID, null]);
    } else if (id === CREATE_ID && this.#stage === "createStream") this.#play(result);
  }

  #play(stream: AmfValue): void {
    if (typeof stream !== "number" || !Number.isInteger(stream) || stream < 1 || stream > 0xffffffff)
      throw notRtmp("no number for our stream");
    this.#streamId = stream;
    this.#reach("play");
    this.#command(PLAY, stream, ["play", 0, null, this.#address.name, LIVE]);
    const buffer = Buffer.alloc(10);
    buffer.writeUInt16BE(BUFFER_LENGTH, 0);
    buffer.writeUInt32BE(stream, 2);
    buffer.writeUInt32BE(BUFFER_MS, 6);
    this.#control(MESSAGE.userControl, buffer);
  }

  #refused(id: AmfValue, info: AmfValue): void {
    const asked = id === CONNECT_ID ? "connect" : id === CREATE_ID ? "createStream" : "play";
    if (this.#stage === asked) throw refusal(statusOf(info), this.#place, asked);
  }

  #closed(info: AmfValue): void {
    const status = statusOf(info);
    throw (
      failureIn(status, this.#place) ??
      new Failure("STREAM_ENDED", `${this.#place} ended the stream: closed`, {
        facts: { place: this.#place, how: "closed", status: status.code },
      })
    );
  }

  #reach(stage: Stage): void {
    this.#stage = stage;
    this.#ports.reached(stage);
  }

  #acknowledge(): void {
    this.#acknowledged = this.#received;
    const sequence = Buffer.alloc(4);
    sequence.writeUInt32BE(this.#received % 2 ** 32, 0);
    this.#control(MESSAGE.acknowledgement, sequence);
  }

  #say(word: string): void {
    if (this.#media.tracks > 0) this.#odd.say(word, this.#router.at);
  }

  #command(lane: number, stream: number, values: readonly AmfValue[]): void {
    this.#ports.send(writeMessage({ lane, type: MESSAGE.command, stream, stamp: 0 }, writeAmf(values)));
  }

  #control(type: number, body: Uint8Array): void {
    this.#ports.send(writeMessage({ lane: CONTROL, type, stream: 0, stamp: 0 }, body));
  }
}
