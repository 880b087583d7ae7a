import type { Hop, Reason } from "./conclusion.ts";
import type { PassiveFacts } from "./passive.ts";

/** Who answers at the stream's address. */
export type Answers = "encoder" | "forwarder" | "platform";

/** What else is known of the way; what was not looked at is left out. */
export interface WayFacts {
  /** The gateway of this machine. */
  gatewayReachable?: boolean;
  /** The host of the stream's address: it answers a ping, or on another port. */
  hostReachable?: boolean;
  /** The encoder behind the forwarder or the platform. */
  sourceReachable?: boolean;
  /** The forwarder was asked for its counters and gave no answer. */
  forwarderSilent?: boolean;
}

/** Two looks at the counters of a forwarder, or of the kernel. */
export interface PassiveLooks {
  before: PassiveFacts;
  now: PassiveFacts;
}

/** Under so many bytes a second only reports come in, no media (RTCP alone: 2.5 kB/s in the looks of several readers). */
const STANDING_BYTES = 4_000;
const LEAST_APART_MS = 2_000;

/** Whether media goes in at the forwarder; undefined where the looks do not tell. */
export function isFed({ before, now }: PassiveLooks): boolean | undefined {
  if (now.fed === false) return false;
  const seconds = (now.at - before.at) / 1000;
  if (!(seconds * 1000 >= LEAST_APART_MS)) return undefined;
  if (now.frames !== undefined && before.frames !== undefined) {
    // counters that ran back belong to a new publisher: it feeds
    return now.frames !== before.frames;
  }
  const bytes = (now.inBytes ?? now.outBytes ?? Number.NaN) - (before.inBytes ?? before.outBytes ?? Number.NaN);
  if (Number.isNaN(bytes)) return undefined;
  return bytes < 0 || bytes / seconds >= STANDING_BYTES;
}

/**
 * At which hop it is broken.
 *
 * | reason | what else is known | hop |
 * |---|---|---|
 * | black, frozen, suspect | | capture |
 * | loss, unreachable; timestamp of frames that come too slowly (`late`) | | network |
 * | auth, refused, hung, protocol | | what answers at the address |
 * | missing | at an encoder | encoder |
 * | missing | behind it: the counters move | what answers: the name is wrong there |
 * | missing | behind it: nothing is fed, or no counters; the encoder is out of reach | encoder; network |
 * | ended, no_media | at an encoder | encoder; network when the host or the gateway is out of reach |
 * | ended, no_media | behind it: the counters move, or the forwarder gives none when asked | what answers there |
 * | ended | behind it: no counters | what answers there: it was the one to hang up |
 * | ended, no_media | behind it: nothing is fed; the encoder is out of reach | encoder; network |
 * | no_media | behind it: no counters | encoder: who answered us lives, its source does not |
 * | no_video, codec, resolution, timestamp, keyframe, bitrate, fps, no_audio, clock | | encoder: it makes what comes |
 */
export function hopOf(reason: Reason, answers: Answers, way: WayFacts, looks?: PassiveLooks, late = false): Hop {
  const upstream: Hop = way.sourceReachable === false ? "network" : "encoder";
  switch (reason) {
    case "black":
    case "frozen":
    case "suspect":
      return "capture";
    case "loss":
    case "unreachable":
      return "network";
    case "auth":
    case "refused":
    case "hung":
    case "protocol":
      return answers;
    case "missing":
    case "ended":
    case "no_media": {
      if (reason !== "missing" && (way.hostReachable === false || way.gatewayReachable === false)) return "network";
      if (answers === "encoder") return "encoder";
      if (way.forwarderSilent === true) return answers;
      const fed = looks === undefined ? undefined : isFed(looks);
      if (fed === true) return answers;
      return fed === undefined && reason === "ended" ? answers : upstream;
    }
    case "timestamp":
      return late ? "network" : "encoder";
    default:
      return "encoder";
  }
}
