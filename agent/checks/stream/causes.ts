import type { Severity } from "../../../protocol/severity.ts";
import type { Reason, StreamState } from "./conclusion.ts";
import type { SessionFigures, TrackFigures } from "./figures.ts";
import type { Learnt } from "./learn.ts";
import type { PictureView } from "./picture.ts";
import type { Thresholds } from "./thresholds.ts";

/** What it takes for a stream to be alive, and what its silence is called. Pure. */

export type StreamClass = "camera" | "presentation" | "narrowband";

/** What the other side should send; what is left out is learnt, or not asked for. */
export interface Expect {
  codec?: string | undefined;
  width?: number | undefined;
  height?: number | undefined;
  fps?: number | undefined;
  kbps?: number | undefined;
  /** Sound must come, too. */
  audio?: boolean | undefined;
}

/** One reason that holds. */
export interface Cause {
  reason: Reason;
  state: StreamState;
  severity: Severity;
  /** One sentence with the numbers, without who and since when. */
  says: string;
  value?: number;
  unit?: string;
  /** Frames come right but too slowly: the way is too narrow. */
  late?: boolean;
}

export interface Seen {
  figures: SessionFigures;
  picture?: PictureView | undefined;
  learnt: Learnt;
  thresholds: Thresholds;
  expect: Expect;
  streamClass: StreamClass;
  /** Whether this reason is in force: then it goes on till its clear threshold. */
  held: (reason: Reason) => boolean;
}

/** Frames fall this far behind what silence explains: nothing that is a rate can be told now. */
const THINNING_MS = 1_000;
const THINNING_FRAMES = 3;

export const videoOf = ({ tracks }: SessionFigures): TrackFigures | undefined =>
  tracks.find(({ kind }) => kind === "video");

/** So long without a frame is silence, ms. Before two frames came, the frame rate is the expected or the learnt one (of video). */
function silentAfterMs(track: TrackFigures, { thresholds, learnt, expect }: Seen): number {
  const { silentMs, silentFrames } = thresholds;
  const fps = track.kind === "video" ? (expect.fps ?? learnt.fps ?? 0) : 0;
  const usualMs = fps > 0 ? 1000 / fps : 0;
  return Math.max(silentMs, silentFrames * Math.min(track.stepMs ?? usualMs, MOST_STEP_MS), 3 * (track.everyMs ?? 0));
}
/** A sender cannot make us wait for ever by stamps far apart. */
const MOST_STEP_MS = 10_000;

/** Frames still come, or not for so short a time that it is nothing yet. */
export const isFlowing = (track: TrackFigures): boolean =>
  track.silentMs < Math.max(THINNING_MS, THINNING_FRAMES * (track.stepMs ?? 0), 1.5 * (track.everyMs ?? 0));

/** Whether the session proves that the video lives: stamps that go with the clock, after the warm-up, and a keyframe. */
export function isProven(seen: Seen): boolean {
  const { figures, thresholds } = seen;
  const video = videoOf(figures);
  return (
    video?.ratio5s !== undefined &&
    video.ratio5s >= thresholds.ratioLeast &&
    video.ratio5s <= thresholds.ratioMost &&
    video.silentMs <= silentAfterMs(video, seen) &&
    video.keyframes > 0
  );
}

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
export const figure = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

/** Nothing comes, or everything but the video. */
export function silence(seen: Seen): Cause | undefined {
  const { figures, thresholds } = seen;
  if (figures.playingMs === undefined) return undefined;
  const video = videoOf(figures);
  const limitMs = video === undefined ? thresholds.silentMs : silentAfterMs(video, seen);
  const silentMs = video?.silentMs ?? figures.playingMs;
  if (silentMs <= limitMs) return undefined;
  const severity = silentMs >= thresholds.pageMs ? thresholds.dead : milder(thresholds.dead);
  const frames = video === undefined || video.frames === 0 ? "since it began to play" : `after ${video.frames} frames`;
  const part = { severity, value: Math.round(silentMs), unit: "ms" };
  // what stopped together with the video does not run on: a moment between two last packets proves nothing
  const runsOnMs = Math.min(limitMs, silentMs / 2);
  const others = figures.tracks.filter((track) => track.kind !== "video" && track.silentMs <= runsOnMs);
  const other = others[0];
  const only = other === undefined ? "" : `, while ${other.kind} runs on`;
  const broken =
    video !== undefined && video.byteSilentMs <= runsOnMs ? ", though bytes come: no frame gets whole" : "";
  const says = `no video frame for ${seconds(silentMs)} ${frames} (limit ${seconds(limitMs)})${only}${broken}`;
  return only === "" && broken === ""
    ? { reason: "no_media", state: "no_media", says, ...part }
    : { reason: "no_video", state: "no_video", says, ...part };
}

/** What is not yet known to be an outage is one grade less than that, but a fault. */
const milder = (dead: Severity): Severity => (dead === "critical" ? "major" : dead === "major" ? "minor" : dead);

/** Sound that was asked for. */
export function sound(seen: Seen): Cause[] {
  const { figures, expect, thresholds } = seen;
  if (expect.audio !== true || figures.playingMs === undefined) return [];
  const audio = figures.tracks.find(({ kind }) => kind === "audio");
  const limitMs = audio === undefined ? thresholds.silentMs : silentAfterMs(audio, seen);
  const silentMs = audio?.silentMs ?? figures.playingMs;
  if (silentMs <= limitMs) return [];
  const says =
    audio === undefined
      ? "the stream has no sound, which is expected"
      : `no sound for ${seconds(silentMs)} (limit ${seconds(limitMs)}), while video runs on`;
  return [{ reason: "no_audio", state: "degraded", severity: "minor", says, value: Math.round(silentMs), unit: "ms" }];
}
