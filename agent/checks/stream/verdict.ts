import { type Severity, worse } from "../../../protocol/severity.ts";
import type { Readings, Verdict } from "../check.ts";
import type { Conclusion } from "./conclusion.ts";
import type { SessionFigures, TrackFigures } from "./figures.ts";
import { titleAt } from "./titles.ts";

/** What is concluded of a stream, as a check says it. `asked`: which try an unknown came of. Pure. */
export function verdictOf(
  subject: string,
  { state, reason, hop, severity, holds, says, value, unit }: Conclusion,
  readings: Readings,
  asked: number,
): Verdict {
  if (state === "unknown") return { state: "unknown", subject, because: says, asked };
  const grade: Severity | "ok" = severity ?? "ok";
  return {
    state: "judged",
    subject,
    grade,
    holds: holds === undefined ? grade : worse(grade, holds),
    reason: reason ?? "ok",
    ...(reason === undefined ? {} : { title: titleAt(reason, hop) }),
    ...(value === undefined ? {} : { value }),
    ...(unit === undefined ? {} : { unit }),
    says: saysOf(state, says),
    readings,
  };
}

/** A picture that stands still is no fault, but whoever reads of a stream that is well should know it. */
const saysOf = (state: Conclusion["state"], says: string): string =>
  state === "still" && !says.includes("still") ? `the picture stands still: ${says}` : says;

/** The figures of a session, by names that end in their units. Pure. */
export function readingsOf({ tracks }: SessionFigures): Record<string, number> {
  const video = tracks.find(({ kind }) => kind === "video");
  const audio = tracks.find(({ kind }) => kind === "audio");
  return defined({
    ...(video === undefined ? {} : ofVideo(video)),
    audio_kbps: audio?.kbps,
    audio_silent_ms: audio?.silentMs,
  });
}

function ofVideo(video: TrackFigures): Record<string, number | undefined> {
  const { packets, format } = video;
  return {
    kbps: video.kbps,
    frames_hz: video.fps,
    gop_ms: video.gopMs,
    silent_ms: video.silentMs,
    loss_pct: video.lossPct,
    jitter_ms: packets?.jitterMs,
    lost_count: packets?.lost,
    clock_pct: video.ratio5s === undefined ? undefined : video.ratio5s * 100,
    width_px: format?.width,
    height_px: format?.height,
    skew_ms: video.clockSkewMs,
  };
}

function defined(all: Readonly<Record<string, number | undefined>>): Record<string, number> {
  const kept: Record<string, number> = {};
  for (const [name, value] of Object.entries(all))
    if (value !== undefined && Number.isFinite(value)) kept[name] = Math.round(value * 100) / 100;
  return kept;
}
