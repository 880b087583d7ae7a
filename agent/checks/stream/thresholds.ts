import type { Severity } from "../../../protocol/severity.ts";
import type { Reason } from "./conclusion.ts";

/** From where on a stream is not well. `…Clear`: only past this it is well again. */
export interface Thresholds {
  /** No frame for so long, and for so many frame times: silent. From `pageMs` on it is as bad as a dead stream. */
  silentMs: number;
  silentFrames: number;
  pageMs: number;
  /** Stamp clock to ours over 5 s. */
  ratioLeast: number;
  ratioMost: number;
  /** Over 60 s, percent off 1: a warning. */
  driftPct: number;
  driftClearPct: number;
  stuckMs: number;
  /** A leap of the stamps is told for so long. */
  leapMs: number;
  /** No keyframe for so long, and for so many GOPs; until three keyframes have shown the GOP, `keyframeUntaughtMs`. */
  keyframeMs: number;
  keyframeGops: number;
  keyframeUntaughtMs: number;
  /** Percent of the bit rate that is usual. */
  bitratePct: number;
  bitrateClearPct: number;
  /** Percent of the frame rate that is expected, or of the least that is usual. */
  fpsPct: number;
  fpsClearPct: number;
  /** Percent of the packets of 10 s. */
  lossWarnPct: number;
  lossWarnClearPct: number;
  lossPct: number;
  lossClearPct: number;
  clockMs: number;
  clockClearMs: number;
  /** Of a stream that is dead. */
  dead: Severity;
  /** In place of what SEVERITY OF A REASON (judge.ts) says. */
  severities: Readonly<Partial<Record<Reason, Severity>>>;
}

export const DEFAULT_THRESHOLDS: Thresholds = {
  silentMs: 3_000,
  silentFrames: 5,
  pageMs: 10_000,
  ratioLeast: 0.5,
  ratioMost: 2,
  driftPct: 3,
  driftClearPct: 2,
  stuckMs: 2_000,
  leapMs: 10_000,
  keyframeMs: 6_000,
  keyframeGops: 3,
  keyframeUntaughtMs: 30_000,
  bitratePct: 25,
  bitrateClearPct: 40,
  fpsPct: 60,
  fpsClearPct: 75,
  lossWarnPct: 0.5,
  lossWarnClearPct: 0.3,
  lossPct: 1,
  lossClearPct: 0.6,
  clockMs: 2_000,
  clockClearMs: 1_500,
  dead: "major",
  severities: {},
};
