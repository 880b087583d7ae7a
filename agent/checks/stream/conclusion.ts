import type { Grade, Severity } from "../../../protocol/severity.ts";

/** What is concluded of one stream: its state, the one root cause, the hop it lies at, and why we say so. */

export type StreamState =
  | "ok"
  | "degraded"
  | "still"
  | "suspect_frozen"
  | "frozen"
  | "black"
  | "no_video"
  | "no_media"
  | "auth"
  | "unreachable"
  | "unknown";

/** Where on the way from the lens to the wall it is broken. */
export const HOPS = ["capture", "encoder", "forwarder", "network", "platform"] as const;
export type Hop = (typeof HOPS)[number];

/** Root causes; keys of the check's titles. The order is the order of causes: the first that holds explains the others. */
export const REASONS = [
  "auth",
  "refused",
  "unreachable",
  "hung",
  "missing",
  "protocol",
  "ended",
  "no_media",
  "no_video",
  "codec",
  "resolution",
  "timestamp",
  "loss",
  "keyframe",
  "black",
  "frozen",
  "suspect",
  "bitrate",
  "fps",
  "no_audio",
  "clock",
] as const;
export type Reason = (typeof REASONS)[number];

export interface Conclusion {
  state: StreamState;
  /** Undefined while nothing is wrong, and for `unknown`. */
  reason?: Reason;
  hop?: Hop;
  severity?: Severity;
  /** One English sentence of evidence: numbers, and when it was well last. For `unknown`: why nothing can be told. */
  says: string;
  /** The deciding figure. */
  value?: number;
  unit?: string;
  /**
   * How bad it still is for a stream in alarm, where that is worse than `severity`: after a restart of the agent the alarm
   * may be of a fault that is not measured yet.
   */
  holds?: Grade;
  /** What the next conclusion must know of this one: the judge's own. */
  memory?: JudgeMemory;
}

/** Monotonic ms throughout. */
export interface JudgeMemory {
  /** When the first of these conclusions was made. */
  bornAt: number;
  /** Since when the stream is proven alive without a gap in the proof. */
  provenAt?: number;
  /** Whether a fault was seen since then: from there on its alarm is known to be ours. */
  faultSeen: boolean;
  /** Since when the reason holds, and when it was measured last. */
  sinceAt?: number;
  seenAt?: number;
  /** A reason that waits for its turn. */
  next?: { reason: Reason; sinceAt: number; hop?: Hop; severity: Severity; says: string };
  /** Since when the bit rate is low while the picture may yet explain it. */
  lowAt?: number;
}
