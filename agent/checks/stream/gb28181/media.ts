import { Failure } from "../../../../protocol/failure.ts";
import type { Session } from "../media.ts";
import { VideoUnits } from "../nal/units.ts";
import { OddWords } from "../odd.ts";
import { PsReader } from "../ps/reader.ts";
import { H264Reader } from "../rtp/h264.ts";
import { H265Reader } from "../rtp/h265.ts";
import type { PayloadReader } from "../rtp/payload.ts";
import { RtpReceiver, type RtpTaker } from "../rtp/receiver.ts";
import { KindGuess, type PayloadKind } from "./payload-kind.ts";

const CLOCK_HZ = 90_000;
const TELL_MS = 1_000;
/** At most one receiver's report in this time (RFC 3550 §6.2). */
const REPORT_MS = 4_000;
/** So many packets without anything we know: it is something else. */
const MOST_UNKNOWN = 500;

/** What an RTP packet was. */
export type Heard = "media" | "control" | "bye" | "stranger";

/** The media of one GB/T 28181 channel, out of its RTP packets, whichever way they come. */
export class GbMedia implements RtpTaker {
  readonly #session: Session;
  readonly #ssrc: number | undefined;
  readonly #odd: OddWords;
  readonly #receiver: RtpReceiver;
  readonly #guess = new KindGuess();
  #payloadType = 0;
  #reader: PayloadReader | undefined;
  #ps: PsReader | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;
  #reportedAt = Number.NEGATIVE_INFINITY;

  constructor(session: Session, ssrc: number | undefined) {
    this.#session = session;
    this.#ssrc = ssrc;
    this.#odd = new OddWords(0, session.sink);
    this.#receiver = new RtpReceiver(this, CLOCK_HZ);
  }

  /**
   * One RTP or RTCP packet; it may be used anew after the call. Throws Failure STREAM_UNSUPPORTED when nothing in 500 packets
   * is of a kind we know.
   */
  packet(bytes: Buffer, from: number, to: number, at: number): Heard {
    const second = bytes[from + 1] ?? 0;
    if (to - from < 8 || (bytes[from] ?? 0) >> 6 !== 2) {
      this.#odd.say("rtp", at);
      return "stranger";
    }
    if (second >= 192 && second <= 223) return this.control(bytes, from, to, at);
    if (to - from < 12 || (this.#ssrc !== undefined && bytes.readUInt32BE(from + 8) !== this.#ssrc)) {
      this.#odd.say("ssrc", at);
      return "stranger";
    }
    this.#payloadType = second & 0x7f;
    this.#receiver.rtp(bytes, from, to, at);
    if (at - this.#toldAt >= TELL_MS) this.#tell(at);
    return "media";
  }

  /** One RTCP packet. A BYE before any media is somebody else's. */
  control(bytes: Buffer, from: number, to: number, at: number): "control" | "bye" {
    return this.#receiver.rtcp(bytes, from, to, at) || this.#receiver.counts().received === 0 ? "control" : "bye";
  }

  /** What to send to who sent RTCP; undefined while the last report is young. */
  report(at: number): Buffer | undefined {
    if (at - this.#reportedAt < REPORT_MS) return undefined;
    this.#reportedAt = at;
    return this.#receiver.report(at);
  }

  take(bytes: Buffer, from: number, to: number, stamp: number, marker: boolean, lost: boolean, at: number): void {
    this.#reader ??= this.#begun(bytes, from, to);
    this.#reader?.read(bytes, from, to, stamp, marker, lost, at, this.#receiver.headerAt);
  }

  senderClock(ntpMs: number, stamp: number): void {
    const { sink, clock } = this.#session;
    const track = this.#track();
    if (track !== undefined) sink.senderClock(track, ntpMs, stamp, clock.wall());
  }

  odd(what: string, at: number): void {
    this.#odd.say(what, at);
  }

  /** Whom all packets concern: with PS one flow of packets carries all tracks. */
  #track(): number | undefined {
    return this.#ps === undefined ? (this.#reader === undefined ? undefined : 0) : this.#ps.first;
  }

  #tell(at: number): void {
    const track = this.#track();
    if (track === undefined) return;
    this.#toldAt = at;
    this.#session.sink.packets(track, this.#receiver.counts());
  }

  #begun(bytes: Buffer, from: number, to: number): PayloadReader | undefined {
    const kind = this.#guess.look(bytes, from, to, this.#payloadType);
    if (kind !== undefined) return kind === "ps" ? this.#programStream() : this.#picture(kind);
    if (this.#guess.seen < MOST_UNKNOWN) return undefined;
    throw new Failure(
      "STREAM_UNSUPPORTED",
      `the RTP packets (payload type ${this.#payloadType}) hold neither a program stream nor H.264 nor H.265`,
      { facts: { payloadType: this.#payloadType } },
    );
  }

  #programStream(): PayloadReader {
    const ps = new PsReader(this.#session.sink);
    this.#ps = ps;
    return {
      read(bytes, from, to, _stamp, _marker, lost, at) {
        if (lost) ps.lost();
        ps.push(bytes.subarray(from, to), at);
      },
      flush() {},
    };
  }

  #picture(codec: Exclude<PayloadKind, "ps">): PayloadReader {
    const { sink } = this.#session;
    sink.track(0, { kind: "video", codec, clockHz: CLOCK_HZ });
    const units = new VideoUnits(0, codec, sink);
    const odd = (what: string, at: number): void => this.#odd.say(what, at);
    const reader = codec === "H264" ? new H264Reader(units, odd) : new H265Reader(units, false, odd);
    return {
      read(bytes, from, to, stamp, marker, lost, at, headerAt) {
        sink.bytes(0, to - headerAt, at);
        reader.read(bytes, from, to, stamp, marker, lost, at);
      },
      flush: (at) => reader.flush(at),
    };
  }
}
