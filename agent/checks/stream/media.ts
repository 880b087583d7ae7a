import type { Clock } from "../../../platform/clock.ts";
import type { Names } from "../../../platform/names.ts";

/** What a stream is made of, as every probe tells it and the meter hears it: no container and no transport beyond here. */

/** One elementary stream, as the other side announced it or as its first data showed. */
export interface Track {
  kind: "video" | "audio" | "other";
  /** Upper case, as SDP and GB/T 28181 say it: H264, H265, MJPEG, AAC, PCMA, PCMU, G722, OPUS …; "" while unknown. */
  codec: string;
  /** Ticks of `frame`'s stamp in one second. */
  clockHz: number;
  /**
   * The data comes in pieces of about so long, as the segments of HLS do. Its frames are told in the pace of their stamps, so
   * that rates and ratios need no rule of their own; but only silence of more than 3 × this means anything (the meter's).
   */
  everyMs?: number;
}

/** What a sequence parameter set, or the header of a JPEG, says of the picture. */
export interface PictureFormat {
  codec: string;
  /** Pixels shown: cropping applied. */
  width: number;
  height: number;
  profile?: number;
  level?: number;
  /** Frames a second as the encoder declares them; many do not. */
  fps?: number;
}

/** What became of the packets of one track since the session began. */
export interface PacketCounts {
  received: number;
  /** Never came, after waiting for late ones. */
  lost: number;
  duplicates: number;
  /** Came after a later one. */
  reordered: number;
  /** Interarrival jitter, RFC 3550 §6.4.1, ms. Left out where it is not known when each packet came: gathered ones, and those of MPEG-TS. */
  jitterMs?: number;
}

/** One keyframe, whole, with its parameter sets, as a decoder wants it on its standard input. */
export interface Keyframe {
  format: "h264" | "h265" | "mjpeg";
  bytes: Uint8Array;
}

/** How far a session has come; each step is told once, when it is done. */
export type Step = "connected" | "greeted" | "described" | "set-up" | "playing";

/**
 * Hears a session. Called hundreds of times a second for years: numbers, no objects, for what comes with each packet.
 * `at` is monotonic ms of the session's clock. Tracks are numbered from 0 in the order they are announced.
 */
export interface MediaSink {
  /** `ms`: how long this step took. */
  step(step: Step, ms: number): void;
  /** Before anything of it is told; again when the other side changes it. */
  track(id: number, track: Track): void;
  /** Bytes of this track came in, packet headers included. */
  bytes(id: number, count: number, at: number): void;
  /**
   * One whole frame: an access unit of video, a packet or frame of sound. `stamp` in ticks of the track's clock, unwrapped
   * (it goes on growing where 32 or 33 bits begin anew); presentation order where known, so that it may run back a
   * little between B-frames. `size`: bytes of its payload. `key`: a decoder can begin here (IDR, CRA, BLA; every JPEG).
   */
  frame(id: number, stamp: number, size: number, key: boolean, at: number): void;
  /** Told with the first keyframe and whenever it changes. */
  format(id: number, format: PictureFormat): void;
  /** Cumulative; told about once a second where the transport can lose (RTP). */
  packets(id: number, counts: PacketCounts): void;
  /** The sender's own clock (RTCP SR): its wall time, epoch ms, for the moment `stamp`. Ours then was `wall`. */
  senderClock(id: number, ntpMs: number, stamp: number, wall: number): void;
  /** Whether the next keyframe of this track should be kept whole: asked at its first packet. */
  wantsPicture(id: number): boolean;
  picture(id: number, keyframe: Keyframe): void;
  /** Something is wrong with the data itself, though it goes on: a word of what, at most once a second for each word. */
  odd(id: number, what: string): void;
}

/** What a session is given. */
export interface Session {
  clock: Clock;
  /** Ends it politely: the other side is told (TEARDOWN, deleteStream), within half a second; the promise resolves then. */
  signal: AbortSignal;
  sink: MediaSink;
  /** For a connection to stand, name look-up included, ms. */
  connectMs: number;
  /** For each answer of the signalling, ms. */
  answerMs: number;
  names?: Names;
  /** What comes over plain TCP may wait so long before it is read, ms: waking for each packet is dear. 0, left out: read at once. */
  gatherMs?: number;
  /**
   * Taken around a request that makes a server work for us (DESCRIBE): one at a time for each server. Resolves to what
   * gives it back.
   */
  turn?: (server: string, signal: AbortSignal) => Promise<() => void>;
}

/** User name and password, read from its file for each try and kept nowhere. */
export interface Credentials {
  user: string;
  password: string;
}

/**
 * Plays a stream until the session's signal aborts (resolves) or the stream ends (rejects). Every way it can end is a
 * Failure: DIAL_* (no connection), STREAM_TIMEOUT (no answer to a request; facts.step), STREAM_AUTH (401, 403; facts.status),
 * STREAM_STATUS (any other refusal; facts.status), STREAM_PROTOCOL (what came is not the protocol), STREAM_ENDED (the other
 * side ended it: closed, BYE, EOF; facts.how), STREAM_UNSUPPORTED (nothing in it that we can read; 461 on every transport).
 * It never goes silent by itself: data that stops coming is the meter's to see.
 */
export type Play = (session: Session) => Promise<void>;
