import type { Failure } from "../../../protocol/failure.ts";
import type { Reason, StreamState } from "./conclusion.ts";
import type { WayFacts } from "./hop.ts";

/** What it says of a stream that a session to it failed: a reason, or why it says nothing. Pure. */

export type FailedAs = { reason: Reason; state: StreamState } | { unknown: string };

/** What of a Failure counts here. */
export type FailureLike = Pick<Failure, "code" | "message" | "facts">;

/** RTSP, HTTP and the numbers RTMP's words are told as: not found, gone, session not found. */
const MISSING = new Set([404, 410, 454]);

/** A playlist without new segments, statistics of SRT without new records. */
const STANDING = new Set(["stale", "stats stand still"]);

/** Not enough bandwidth, busy here: it takes no more sessions. */
const BUSY = new Set([429, 453, 486]);

const dead = (reason: Reason, state: StreamState = "unreachable"): FailedAs => ({ reason, state });

/** `known`: the stream was well once, so that what cannot be read now is its fault and not ours. */
export function failedAs({ code, message, facts }: FailureLike, way: WayFacts, known: boolean): FailedAs {
  switch (code) {
    case "DIAL_REFUSED":
    case "DIAL_RESET":
      return dead("refused");
    case "DIAL_NAME":
    case "DIAL_UNREACHABLE":
      return dead("unreachable");
    case "DIAL_TIMEOUT":
      // a host that is there and leaves a connection unanswered has a program that hangs
      return dead(way.hostReachable === true ? "hung" : "unreachable");
    case "DIAL_TLS":
    case "DIAL_UNTRUSTED":
    case "DIAL_PROTOCOL":
    case "DIAL_REDIRECT":
    case "STREAM_PROTOCOL":
      return dead("protocol");
    case "STREAM_TIMEOUT":
      return dead("hung");
    case "STREAM_AUTH":
      return dead("auth", "auth");
    case "STREAM_ENDED":
      // who serves a playlist that stands still lives, its source does not
      return dead(STANDING.has(String(facts["how"])) ? "no_media" : "ended", "no_media");
    case "STREAM_STATUS":
      return refusedWith(Number(facts["status"]));
    case "STREAM_UNSUPPORTED":
      return known ? dead("codec", "no_video") : { unknown: message.replace(` (${code})`, "") };
    default:
      return { unknown: message.replace(` (${code})`, "") };
  }
}

/** A status of no known meaning, or a word in place of a number (RTMP's StreamNotFound), is a stream that is not there. */
function refusedWith(status: number): FailedAs {
  if (MISSING.has(status) || !Number.isFinite(status)) return dead("missing", "no_media");
  if (status >= 500) return dead("hung");
  return dead(BUSY.has(status) ? "refused" : "protocol");
}
