import type { PacketCounts, PictureFormat, Step } from "./media.ts";

/** What was measured of a session, at one moment; the judgement sees nothing else of it. All times are ms. */

export interface TrackFigures {
  kind: "video" | "audio" | "other";
  codec: string;
  /** Since the session began; those of the warm-up too. */
  frames: number;
  keyframes: number;
  bytes: number;
  /** As the track says: its data comes in pieces of about so long. */
  everyMs?: number;
  /**
   * Over the last 5 s (since the warm-up ended, while that is shorter; longer where frames are rarer, and `kbps` where
   * keyframes are); undefined before the first second of it. `kbps` is payload.
   */
  fps?: number;
  kbps?: number;
  /** From frame to frame by their stamps: median of 16. */
  stepMs?: number;
  /** Since the last whole frame; since the session played while there was none. */
  silentMs: number;
  /** Since the last byte. */
  byteSilentMs: number;
  /** Since the last keyframe; since the first frame while there was none. */
  sinceKeyMs?: number;
  /** How many frames that is. */
  sinceKeyFrames?: number;
  /** Between the last keyframes: median of up to 8, by stamp. */
  gopMs?: number;
  gopFrames?: number;
  /** The longest of them. */
  gopMostMs?: number;
  /**
   * Stamp clock to our clock: 1 is right; over the last 5 s (from 3 s on: before that nothing proves that the stream lives)
   * and 60 s; undefined before so much was seen. Begun anew after a pause in the frames and after a leap of the stamps.
   */
  ratio5s?: number;
  ratio60s?: number;
  /** How long frames came with a stamp that stood still. */
  stuckMs: number;
  /** Stamps that leapt by more than 3 s, either way, since the warm-up. */
  jumps: number;
  /** Since the last of them. */
  sinceJumpMs?: number;
  /** Since a frame came over a second later than those that came soonest: what follows may be in a rush. */
  sinceLateMs?: number;
  /** Percent of the packets of the last 10 s. */
  lossPct?: number;
  /** How many packets of the last 10 s that is. */
  lostLately?: number;
  packets?: PacketCounts;
  format?: PictureFormat;
  /** Of the last keyframes (up to 8), newest last, bytes; of the other frames of the last 5 s: the median. */
  keySizes: readonly number[];
  deltaMedianBytes?: number;
  /** The sender's wall clock less ours. */
  clockSkewMs?: number;
}

export interface SessionFigures {
  /** Monotonic moment of the measurement. */
  at: number;
  /** Since the session was begun. */
  ageMs: number;
  /** Since PLAY was answered; undefined before. */
  playingMs?: number;
  /** Still within the time in which what comes may be out of a cache: nothing proves that the stream lives. */
  warmingUp: boolean;
  /** How long each step took. */
  steps: Readonly<Partial<Record<Step, number>>>;
  tracks: readonly TrackFigures[];
  /** What `odd` said, with how often. */
  odd: Readonly<Record<string, number>>;
}
