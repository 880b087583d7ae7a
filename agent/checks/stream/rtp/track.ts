import type { MediaSink, Session, Track } from "../media.ts";
import { VideoUnits } from "../nal/units.ts";
import { OddWords } from "../odd.ts";
import { AacReader, MpegAudioReader, PacketReader, StampReader } from "./audio.ts";
import { H264Reader } from "./h264.ts";
import { H265Reader } from "./h265.ts";
import { JpegReader } from "./jpeg.ts";
import type { PayloadReader } from "./payload.ts";
import { RtpReceiver, type RtpTaker } from "./receiver.ts";

/** One m-line of the SDP. */
export interface RtpMedia {
  kind: Track["kind"];
  /** The encoding name, as the SDP writes it. */
  codec: string;
  clockHz: number;
  payloadType: number;
  /** Parameters of a=fmtp, names in lower case; `x-dimensions` of a JPEG too, where the SDP has that attribute. */
  fmtp: Readonly<Record<string, string>>;
  /** Packets are read in batches: when one came is not known, and of jitter nothing is told. */
  gathered?: boolean;
}

export interface RtpTrack {
  /**
   * One RTP packet: all of `packet`, or what of it lies from `from` up to `to`. The bytes may be used anew after the call.
   * `at`: monotonic ms.
   */
  rtp(packet: Buffer, at: number, from?: number, to?: number): void;
  /** One compound RTCP packet. False: the source said BYE. */
  rtcp(packet: Buffer, at: number): boolean;
  /** A receiver's report to send, with our CNAME; about every 5 s. */
  report(at: number): Uint8Array;
  /** The session ends: what is held back or half is told. */
  flush(at: number): void;
}

/** Takes the payload of packets that carry a container of their own (MP2T, PS): `bytes` from `from` up to `to`. */
export type TakePayload = (bytes: Buffer, from: number, to: number, lost: boolean, at: number) => void;

/** How the names of SDP (RFC 4855 register) are called here. */
const CODECS: Readonly<Record<string, string>> = {
  HEVC: "H265",
  JPEG: "MJPEG",
  "MPEG4-GENERIC": "AAC",
  "MP4A-LATM": "AAC",
};

/** Sink and session are told this often what became of the packets. */
const COUNTS_EVERY_MS = 1000;

/**
 * Reads the RTP and RTCP packets of one track, in any order they come, and tells the session's sink: the track at once,
 * bytes with each packet, frames, formats and a wanted keyframe as they become whole, counts about once a second.
 * `payload` takes the packets of a container (MP2T) that has tracks of its own; without it they count as frames.
 */
export function openRtpTrack(id: number, media: RtpMedia, session: Session, payload?: TakePayload): RtpTrack {
  const name = media.codec.toUpperCase();
  session.sink.track(id, { kind: media.kind, codec: CODECS[name] ?? name, clockHz: media.clockHz });
  return new OpenTrack(id, { ...media, codec: name }, session, payload);
}

class OpenTrack implements RtpTrack, RtpTaker {
  readonly #id: number;
  readonly #session: Session;
  readonly #sink: MediaSink;
  readonly #odd: OddWords;
  readonly #receiver: RtpReceiver;
  readonly #reader: PayloadReader;
  #countsAt = Number.NaN;

  constructor(id: number, media: RtpMedia, session: Session, payload: TakePayload | undefined) {
    this.#id = id;
    this.#session = session;
    this.#sink = session.sink;
    this.#odd = new OddWords(id, session.sink);
    this.#receiver = new RtpReceiver(this, media.clockHz, media.payloadType, media.gathered);
    this.#reader = payload === undefined ? openReader(id, media, session.sink, this.#odd) : new Through(payload);
  }

  rtp(packet: Buffer, at: number, from = 0, to = packet.length): void {
    this.#sink.bytes(this.#id, to - from, at);
    this.#receiver.rtp(packet, from, to, at);
    if (at - this.#countsAt < COUNTS_EVERY_MS) return;
    if (!Number.isNaN(this.#countsAt)) this.#sink.packets(this.#id, this.#receiver.counts());
    this.#countsAt = at;
  }

  rtcp(packet: Buffer, at: number): boolean {
    return this.#receiver.rtcp(packet, 0, packet.length, at);
  }

  report(at: number): Uint8Array {
    return this.#receiver.report(at);
  }

  flush(at: number): void {
    this.#receiver.flush(at);
    this.#reader.flush(at);
    this.#sink.packets(this.#id, this.#receiver.counts());
  }

  take(bytes: Buffer, from: number, to: number, stamp: number, marker: boolean, lost: boolean, at: number): void {
    this.#reader.read(bytes, from, to, stamp, marker, lost, at, this.#receiver.headerAt);
  }

  senderClock(ntpMs: number, stamp: number): void {
    this.#sink.senderClock(this.#id, ntpMs, stamp, this.#session.clock.wall());
  }

  odd(what: string, at: number): void {
    this.#odd.say(what, at);
  }
}

class Through implements PayloadReader {
  readonly #take: TakePayload;

  constructor(take: TakePayload) {
    this.#take = take;
  }

  read(bytes: Buffer, from: number, to: number, _stamp: number, _marker: boolean, lost: boolean, at: number): void {
    this.#take(bytes, from, to, lost, at);
  }

  flush(): void {}
}

function openReader(id: number, { kind, codec, fmtp }: RtpMedia, sink: MediaSink, words: OddWords): PayloadReader {
  const odd = (what: string, at: number): void => words.say(what, at);
  if (codec === "H264") return new H264Reader(unitsWith(id, "H264", sink, [fmtp["sprop-parameter-sets"]]), odd);
  if (codec === "H265" || codec === "HEVC") {
    const sets = [fmtp["sprop-vps"], fmtp["sprop-sps"], fmtp["sprop-pps"]];
    return new H265Reader(unitsWith(id, "H265", sink, sets), Number(fmtp["sprop-max-don-diff"] ?? 0) > 0, odd);
  }
  if (codec === "JPEG") return new JpegReader(id, sink, fmtp["x-dimensions"], odd);
  if (codec === "MPEG4-GENERIC") return new AacReader(id, sink, fmtp, odd);
  if (codec === "MPA") return new MpegAudioReader(id, sink);
  return kind === "video" || codec === "MP4A-LATM" ? new StampReader(id, sink) : new PacketReader(id, sink);
}

/** Parameter sets that a stream may have; each is base64 in a list. */
const MOST_SPROP = 16;

function unitsWith(id: number, codec: "H264" | "H265", sink: MediaSink, sprop: (string | undefined)[]): VideoUnits {
  const units = new VideoUnits(id, codec, sink);
  for (const list of sprop) {
    for (const set of (list ?? "").split(",", MOST_SPROP)) units.remember(Buffer.from(set, "base64"));
  }
  return units;
}
