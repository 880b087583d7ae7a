import { type Cause, type Expect, isProven, type Seen, type StreamClass, seconds, videoOf } from "./causes.ts";
import type { Conclusion, Reason } from "./conclusion.ts";
import { type FailureLike, failedAs } from "./failed.ts";
import type { SessionFigures } from "./figures.ts";
import type { Answers, PassiveLooks, WayFacts } from "./hop.ts";
import { type Learnt, NOTHING_LEARNT } from "./learn.ts";
import { judgeCounters } from "./passive-judge.ts";
import type { PictureView } from "./picture.ts";
import { causesOf } from "./symptoms.ts";
import { DEFAULT_THRESHOLDS, type Thresholds } from "./thresholds.ts";

/** One look at a stream: all that is wrong with it now, and whether it is proven alive. Pure. */

export interface JudgeInput {
  /** Monotonic ms of this look. */
  at: number;
  /** Of the running session. */
  figures?: SessionFigures | undefined;
  /** Of the last try, until a session plays again. */
  failure?: FailureLike | undefined;
  /** Of the picture tier; left out where it is switched off. */
  picture?: PictureView | undefined;
  /** Two looks at the counters, at least 2 s apart. */
  passive?: PassiveLooks | undefined;
  learnt?: Learnt | undefined;
  thresholds?: Thresholds;
  expect: Expect;
  streamClass: StreamClass;
  answers: Answers;
  way?: WayFacts;
  /** Whether our own wall clock is known to be right; false keeps the source's clock unjudged. */
  clockTrusted?: boolean;
  /** Monotonic ms. */
  lastGoodAt?: number | undefined;
  /** The conclusion before this one; undefined after a restart. */
  before?: Conclusion | undefined;
}

/** The session ended: the next try says more about why, so that is waited for. */
export const ENDED_MS = 1_500;
/** Low bit rate waits so long for the picture to explain it, where there is one; where it seems about to, so long. */
const EXPLAIN_MS = 5_000;
const MOST_EXPLAIN_MS = 20_000;
/** What one look found, before what was concluded earlier has its say. */
export interface Look {
  causes: readonly Cause[];
  proven: boolean;
  /** Why nothing can be told. */
  unknown: string;
  /** What a proven stream says of itself. */
  well: string;
  ended?: Cause;
  /** The bit rate is low, and a picture may yet explain it. */
  low?: boolean;
}

export function lookAt(input: JudgeInput, held: (reason: Reason) => boolean): Look {
  const thresholds = input.thresholds ?? DEFAULT_THRESHOLDS;
  const learnt = input.learnt ?? NOTHING_LEARNT;
  const { figures, failure } = input;
  if (figures?.playingMs !== undefined) {
    const seen: Seen = { ...input, figures, learnt, thresholds, held };
    const all = causesOf(seen).filter(({ reason }) => reason !== "clock" || input.clockTrusted !== false);
    const causes = waitForPicture(all, input);
    const proven = isProven(seen);
    const low = causes.length < all.length;
    if (causes.length > 0 || proven || failure === undefined)
      return { causes, proven, low, unknown: unprovenBecause(figures), well: wellBecause(figures, thresholds) };
  }
  if (failure !== undefined) return ofFailure(failure, input, thresholds, learnt);
  if (figures !== undefined) return { causes: [], proven: false, unknown: unprovenBecause(figures), well: "" };
  return ofCounters(input, thresholds, learnt);
}

function ofFailure(failure: FailureLike, input: JudgeInput, { dead }: Thresholds, learnt: Learnt): Look {
  const as = failedAs(failure, input.way ?? {}, learnt.minutes > 0);
  if ("unknown" in as) return { causes: [], proven: false, unknown: as.unknown, well: "" };
  const says = failure.message.replace(` (${failure.code})`, "");
  const cause: Cause = { ...as, severity: dead, says };
  const nothing = { proven: false, unknown: `${says}; it is asked anew`, well: "" };
  if (as.reason !== "ended" || input.before?.reason !== undefined) return { ...nothing, causes: [cause] };
  const next = input.before?.memory?.next;
  const waited = next?.reason === "ended" && input.at - next.sinceAt >= ENDED_MS;
  return { ...nothing, causes: waited ? [cause] : [], ended: cause };
}

function ofCounters(input: JudgeInput, thresholds: Thresholds, learnt: Learnt): Look {
  const nothing: Look = { causes: [], proven: false, unknown: "nothing was measured of it yet", well: "" };
  if (input.passive === undefined) return nothing;
  const found = judgeCounters(input.passive, learnt, thresholds);
  if (found === undefined) return { ...nothing, unknown: `the counters do not tell yet: ${input.passive.now.says}` };
  if (found === "live") return { ...nothing, proven: true, well: `the counters move: ${input.passive.now.says}` };
  return { ...nothing, causes: [found] };
}

/** A bit rate that falls may be a picture that went black or still, which takes its thumbnails to tell. */
function waitForPicture(causes: readonly Cause[], { at, picture, before }: JudgeInput): readonly Cause[] {
  if (picture === undefined || before?.reason !== undefined) return causes;
  const darkening = picture.darkening === true;
  if (picture.state === "unknown" && !darkening) return causes;
  const lowAt = before?.memory?.lowAt;
  if (lowAt !== undefined && at - lowAt >= (darkening ? MOST_EXPLAIN_MS : EXPLAIN_MS)) return causes;
  return causes.filter(({ reason }) => reason !== "bitrate");
}

function unprovenBecause(figures: SessionFigures): string {
  const video = videoOf(figures);
  if (figures.playingMs === undefined) return `a session is being opened for ${seconds(figures.ageMs)}`;
  if (video === undefined || video.frames === 0)
    return `it plays for ${seconds(figures.playingMs)} without a frame yet`;
  if (figures.warmingUp) return `${video.frames} frames came, which may be out of a cache`;
  if (video.keyframes === 0) return `${video.frames} frames came, and no keyframe yet`;
  return `${video.frames} frames came; they must keep pace with the clock for 3 s to prove anything`;
}

function wellBecause(figures: SessionFigures, { keyframeMs }: Thresholds): string {
  const video = videoOf(figures);
  if (video === undefined) return "";
  const { fps, kbps, format } = video;
  const parts = [
    format === undefined ? video.codec : `${video.codec} ${format.width}x${format.height}`,
    ...(fps === undefined ? [] : [`${fps.toFixed(1)} frames a second`]),
    ...(kbps === undefined ? [] : [`${kbps.toFixed(0)} kbit/s`]),
    // a long GOP, or an encoder that makes no more of them: it takes a longer look to tell
    ...(video.keyframes === 1 && (figures.playingMs ?? 0) > keyframeMs ? ["one keyframe so far"] : []),
  ];
  return `video lives: ${parts.filter((part) => part !== "").join(", ")}`;
}
