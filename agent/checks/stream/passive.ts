/** What can be known of a stream without opening a session to it. */

/** What a forwarder, or the kernel, counts of one stream, at one moment. */
export interface PassiveFacts {
  /** Monotonic ms. */
  at: number;
  /** Whether somebody feeds the forwarder; undefined where it does not say. */
  fed?: boolean;
  /** Bytes it has taken in since an arbitrary start; compare two looks. */
  inBytes?: number;
  /** Bytes it has given out. */
  outBytes?: number;
  /** Video frames it has taken in. */
  frames?: number;
  /** Packets lost on the way in, where it counts them (SRT, RTP). */
  lost?: number;
  /** Round trip on the way in (SRT), ms. */
  rttMs?: number;
  readers?: number;
  /** One English sentence. */
  says: string;
}

/** Looks once. Rejects with a Failure (DIAL_*, STREAM_*) when nothing can be told: then the passive facts are unknown. */
export type LookPassive = (signal: AbortSignal) => Promise<PassiveFacts>;
