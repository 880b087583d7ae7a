import type { Severity } from "../../../protocol/severity.ts";
import { type Cause, figure, isFlowing, type Seen, seconds, silence, sound, videoOf } from "./causes.ts";
import type { TrackFigures } from "./figures.ts";
import type { Learnt } from "./learn.ts";

/** What is wrong with what comes: every reason that holds, each with its numbers. Pure. */

/** The frame rate is judged by what was learnt after so many minutes: by then it has varied as it does. */
const TAUGHT_MINUTES = 60;
/** Every reason that holds; the caller chooses the root of them. */
export function causesOf(seen: Seen): Cause[] {
  const dead = silence(seen);
  if (dead !== undefined) return [dead];
  const video = videoOf(seen.figures);
  if (video === undefined) return [];
  const standing = [...shape(video, seen), ...stamps(video, seen), ...keyframes(video, seen), ...losses(video, seen)];
  const rates = isFlowing(video) ? [...bitrate(video, seen), ...frameRate(video, seen)] : [];
  return [...standing, ...pictures(video, seen), ...rates, ...sound(seen), ...senderClock(video, seen)];
}

/** The codec and the size that were asked for. */
function shape({ format, codec }: TrackFigures, { expect }: Seen): Cause[] {
  const causes: Cause[] = [];
  const is = format?.codec || codec;
  if (expect.codec !== undefined && is !== "" && is !== expect.codec)
    causes.push({
      reason: "codec",
      state: "degraded",
      severity: "minor",
      says: `the codec is ${is}, not ${expect.codec}`,
    });
  if (format === undefined) return causes;
  const { width, height } = format;
  if (width !== (expect.width ?? width) || height !== (expect.height ?? height))
    causes.push({
      reason: "resolution",
      state: "degraded",
      severity: "minor",
      says: `the picture is ${width}x${height}, not ${expect.width ?? "any"}x${expect.height ?? "any"}`,
      value: width,
      unit: "px",
    });
  return causes;
}

/** Stamps that stand, run at a wrong pace, or leapt. */
function stamps(video: TrackFigures, seen: Seen): Cause[] {
  const { thresholds: limits, held } = seen;
  const { ratio5s, ratio60s, stuckMs, sinceJumpMs, jumps } = video;
  const cause = (severity: Severity, says: string, more: Partial<Cause> = {}): Cause[] => [
    { reason: "timestamp", state: "degraded", severity, says, ...more },
  ];
  if (stuckMs >= limits.stuckMs)
    return cause("minor", `frames come, but their stamps stand still for ${seconds(stuckMs)}`, {
      value: Math.round(stuckMs),
      unit: "ms",
    });
  const late = isLate(video, seen);
  // what was out of pace is well again when it is nearly in pace, and not while it catches up
  const [least, most] = held("timestamp")
    ? [Math.max(limits.ratioLeast, PACE.least), Math.min(limits.ratioMost, PACE.most)]
    : [limits.ratioLeast, limits.ratioMost];
  // what was late comes in a rush, and the window of 5 s remembers it
  const rushes = !held("timestamp") && (video.sinceLateMs ?? Number.POSITIVE_INFINITY) < RUSH_MS;
  const isOff = ratio5s !== undefined && (ratio5s < least || (ratio5s > most && !rushes));
  if (ratio5s !== undefined && isFlowing(video) && (isOff || (late && fewFrames(video, seen) !== undefined))) {
    const why = late ? ", and fewer frames come: they arrive too slowly" : "";
    const says = `the stamps run at ${figure(ratio5s)} of the clock's rate over 5 s (${least} to ${most})${why}`;
    return cause("minor", says, { value: ratio5s, unit: "ratio", late });
  }
  if (sinceJumpMs !== undefined && sinceJumpMs < limits.leapMs)
    return cause(
      ratio5s === undefined && jumps > 1 ? "minor" : "warning",
      `the stamps leapt by more than 3 s, ${seconds(sinceJumpMs)} ago (${jumps} times in this session)`,
      { value: jumps, unit: "count" },
    );
  const drift = (held("timestamp") ? limits.driftClearPct : limits.driftPct) + paceSlipPct(video);
  const offPct = ratio60s === undefined ? 0 : Math.abs(ratio60s - 1) * 100;
  if (ratio60s === undefined || offPct <= drift || !isFlowing(video)) return [];
  return cause(
    "warning",
    `the stamps run at ${ratio60s.toFixed(3)} of the clock's rate over 60 s (off by over ${figure(drift)} %)`,
    {
      value: ratio60s,
      unit: "ratio",
    },
  );
}

/** Pieces that come later than any before push all that follows back, by one of them at most: percent of the long window. */
const paceSlipPct = ({ everyMs = 0 }: TrackFigures): number => (100 * everyMs) / Math.max(60_000, 10 * everyMs);

const PACE = { least: 0.8, most: 1.25 } as const;
const RUSH_MS = 6_000;
const LATE_RATIO = 0.85;
/** As many frames too few as the stamps are behind: the frames are right, the way is slow. */
function isLate({ ratio5s, fps }: TrackFigures, { expect, learnt }: Seen): boolean {
  const usual = expect.fps ?? learnt.fps;
  if (ratio5s === undefined || fps === undefined || usual === undefined || !(usual > 0)) return false;
  return ratio5s < LATE_RATIO && Math.abs(fps / usual - ratio5s) < 0.25;
}

function keyframes(video: TrackFigures, { thresholds: limits, learnt }: Seen): Cause[] {
  if (video.sinceKeyMs === undefined || !isFlowing(video)) return [];
  const taught = video.keyframes >= 3 && video.gopMs !== undefined;
  const gopMs = taught ? Math.max(video.gopMs ?? 0, learnt.gopMs ?? 0) : learnt.gopMs;
  const mostMs = Math.max(video.gopMostMs ?? 0, learnt.gopMostMs ?? 0);
  const limitMs =
    gopMs === undefined
      ? limits.keyframeUntaughtMs
      : Math.max(limits.keyframeMs, limits.keyframeGops * gopMs, 2 * mostMs) + 3 * (video.everyMs ?? 0);
  if (video.sinceKeyMs <= limitMs) return [];
  // an encoder that counts its GOP in frames takes longer for it while it makes fewer
  const gopFrames = Math.min(video.gopFrames ?? 0, learnt.gopFrames ?? Number.POSITIVE_INFINITY);
  if (taught && (video.sinceKeyFrames ?? Number.POSITIVE_INFINITY) <= limits.keyframeGops * gopFrames) return [];
  const usual = gopMs === undefined ? "" : `, usually one every ${seconds(gopMs)}`;
  return [
    {
      reason: "keyframe",
      state: "degraded",
      severity: "minor",
      says: `no keyframe for ${seconds(video.sinceKeyMs)} (limit ${seconds(limitMs)}${usual}): nobody can begin to watch`,
      value: Math.round(video.sinceKeyMs),
      unit: "ms",
    },
  ];
}

/** A single packet of a narrow stream is no rate of loss. */
const LEAST_LOST = 2;

function losses({ lossPct, lostLately }: TrackFigures, { thresholds: limits, held }: Seen): Cause[] {
  if (lossPct === undefined || (lostLately ?? 0) < LEAST_LOST) return [];
  const on = held("loss");
  const worst = lossPct >= (on ? limits.lossClearPct : limits.lossPct);
  if (!worst && lossPct < (on ? limits.lossWarnClearPct : limits.lossWarnPct)) return [];
  const says = `${figure(lossPct)} % of the packets of the last 10 s were lost (${lostLately} packets; limit ${worst ? limits.lossPct : limits.lossWarnPct} %)`;
  return [
    { reason: "loss", state: "degraded", severity: worst ? "minor" : "warning", says, value: lossPct, unit: "pct" },
  ];
}

/** Sensor noise keeps frames of a dark scene over so many bytes; a black without a signal costs next to nothing. */
const NO_SIGNAL_BYTES = 1_000;

/** What the picture itself shows. A presentation stands still by nature: only its burnt-in clock can prove it frozen. */
function pictures(video: TrackFigures, { picture, streamClass, learnt }: Seen): Cause[] {
  if (picture === undefined) return [];
  const { state, by, says } = picture;
  const provable = streamClass !== "presentation" || by === "osd";
  if (state === "black") {
    const quiet = Math.min(NO_SIGNAL_BYTES, (learnt.deltaBytes ?? Number.POSITIVE_INFINITY) / 5);
    const bytes = video.deltaMedianBytes;
    const noSignal = bytes !== undefined && bytes < quiet;
    const why = noSignal ? `; frames of ${figure(bytes)} bytes show no sensor noise: no signal` : "";
    return [{ reason: "black", state: "black", severity: noSignal ? "major" : "minor", says: `${says}${why}` }];
  }
  if (state === "frozen" && provable) return [{ reason: "frozen", state: "frozen", severity: "major", says }];
  if (state === "suspect" && provable)
    return [{ reason: "suspect", state: "suspect_frozen", severity: "warning", says }];
  return [];
}

/** A still scene keeps its keyframes and only saves on what changes; a starved encoder saves on both. */
const STILL_KEY_PART = 0.6;
/** Where the usual bit rate varies by itself, half of the least that is usual counts. */
const LEAST_PART = 0.5;

/** Far under what is usual, and no still scene explains it. */
function bitrate(
  video: TrackFigures,
  { learnt, expect, thresholds: limits, streamClass, picture, held }: Seen,
): Cause[] {
  const usual = expect.kbps ?? learnt.kbps;
  if (streamClass === "presentation" || usual === undefined) return [];
  // less than a GOP has no bit rate
  if (video.kbps === undefined || video.gopMs === undefined) return [];
  const part = (held("bitrate") ? limits.bitrateClearPct : limits.bitratePct) / 100;
  const least = expect.kbps === undefined ? LEAST_PART * (learnt.kbpsLeast ?? usual) : usual;
  const limit = Math.min(part * usual, held("bitrate") ? usual : least);
  if (video.kbps >= limit) return [];
  const rests = picture?.resting === true || picture?.state === "still" || picture?.state === "suspect";
  if (rests || isStillBySize(video, learnt)) return [];
  const says = `${figure(video.kbps)} kbit/s over 5 s, under ${figure(limit)}; usual are ${figure(usual)}`;
  return [{ reason: "bitrate", state: "degraded", severity: "minor", says, value: video.kbps, unit: "kbps" }];
}

function isStillBySize({ keySizes, deltaMedianBytes }: TrackFigures, { keyBytes, deltaBytes }: Learnt): boolean {
  const newest = keySizes.at(-1);
  if (newest === undefined || deltaMedianBytes === undefined) return false;
  if (keyBytes === undefined || deltaBytes === undefined) return false;
  return newest >= STILL_KEY_PART * keyBytes && deltaMedianBytes < deltaBytes;
}

function frameRate(video: TrackFigures, seen: Seen): Cause[] {
  const few = isLate(video, seen) ? undefined : fewFrames(video, seen);
  if (few === undefined || video.fps === undefined) return [];
  const isExpected = seen.expect.fps !== undefined;
  const says = `${figure(video.fps)} frames a second, under ${figure(few.limit)}; ${figure(few.usual)} are ${isExpected ? "expected" : "the least that is usual"}`;
  const severity = isExpected ? "minor" : "warning";
  return [{ reason: "fps", state: "degraded", severity, says, value: video.fps, unit: "hz" }];
}

/** Under what fewer frames come than should; undefined where enough come, or nobody knows how many should. */
function fewFrames(
  { fps }: TrackFigures,
  { learnt, expect, thresholds: limits, streamClass, held }: Seen,
): { usual: number; limit: number } | undefined {
  const learntFps = learnt.minutes >= TAUGHT_MINUTES && streamClass !== "presentation" ? learnt.fpsLeast : undefined;
  const usual = expect.fps ?? learntFps;
  if (usual === undefined || fps === undefined) return undefined;
  const limit = ((held("fps") ? limits.fpsClearPct : limits.fpsPct) / 100) * usual;
  return fps < limit ? { usual, limit } : undefined;
}

/** GB/T 28181 sets the devices' clocks (校时): recordings with a wrong time are no evidence. */
function senderClock({ clockSkewMs }: TrackFigures, { thresholds: limits, held }: Seen): Cause[] {
  const limit = held("clock") ? limits.clockClearMs : limits.clockMs;
  if (clockSkewMs === undefined || Math.abs(clockSkewMs) <= limit) return [];
  const way = clockSkewMs > 0 ? "ahead of" : "behind";
  const says = `the clock of the source is ${seconds(Math.abs(clockSkewMs))} ${way} ours (limit ${seconds(limit)})`;
  return [
    { reason: "clock", state: "degraded", severity: "warning", says, value: Math.round(clockSkewMs), unit: "ms" },
  ];
}
