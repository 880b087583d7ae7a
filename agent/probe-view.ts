import { clean, pad, wrap } from "../platform/width.ts";
import type { Lang } from "./check-table.ts";
import type { Conclusion, StreamState } from "./checks/stream/conclusion.ts";
import type { SessionFigures, TrackFigures } from "./checks/stream/figures.ts";
import type { PictureView } from "./checks/stream/picture.ts";
import { titleAt } from "./checks/stream/titles.ts";

/** What a field engineer reads while a stream is probed by hand, and in the end. Pure. */

const STATES: Readonly<Record<StreamState, Record<Lang, string>>> = {
  ok: { zh: "正常", en: "alive" },
  degraded: { zh: "劣化", en: "degraded" },
  still: { zh: "画面静止", en: "still picture" },
  suspect_frozen: { zh: "疑似冻结", en: "perhaps frozen" },
  frozen: { zh: "画面冻结", en: "frozen" },
  black: { zh: "黑屏", en: "black" },
  no_video: { zh: "无视频", en: "no video" },
  no_media: { zh: "无媒体数据", en: "no media" },
  auth: { zh: "认证失败", en: "not let in" },
  // a server that refuses, hangs or talks nonsense was reached: the title says which
  unreachable: { zh: "无法播放", en: "cannot be played" },
  unknown: { zh: "未知", en: "unknown" },
};

const PICTURES: Readonly<Record<PictureView["state"], Record<Lang, string>>> = {
  live: { zh: "活动", en: "moving" },
  still: { zh: "静止", en: "still" },
  suspect: { zh: "疑似冻结", en: "perhaps frozen" },
  frozen: { zh: "冻结", en: "frozen" },
  black: { zh: "黑屏", en: "black" },
  unknown: { zh: "未知", en: "unknown" },
};

const ROWS = {
  time: { zh: "时长", en: "time" },
  video: { zh: "视频", en: "video" },
  rate: { zh: "码率", en: "rate" },
  fps: { zh: "帧率", en: "frame rate" },
  gop: { zh: "关键帧间隔", en: "GOP" },
  loss: { zh: "丢包", en: "loss" },
  jitter: { zh: "抖动", en: "jitter" },
  clock: { zh: "时钟比", en: "clock ratio" },
  silent: { zh: "静默", en: "silent" },
  audio: { zh: "音频", en: "audio" },
  picture: { zh: "画面", en: "picture" },
  state: { zh: "状态", en: "state" },
} as const;

export interface Seen {
  figures: SessionFigures | undefined;
  picture: PictureView | undefined;
  conclusion: Conclusion;
  elapsedMs: number;
}

/** The live table: always the same rows, so that it can be drawn over itself. */
export function liveTable({ figures, picture, conclusion, elapsedMs }: Seen, lang: Lang): string[] {
  const video = figures?.tracks.find(({ kind }) => kind === "video");
  const audio = figures?.tracks.find(({ kind }) => kind === "audio");
  const cells: Record<keyof typeof ROWS, string> = {
    time: `${(elapsedMs / 1_000).toFixed(1)} s`,
    video: formatOf(video),
    rate: amount(video?.kbps, 0, "kbit/s"),
    fps: amount(video?.fps, 1, "Hz"),
    gop: gopOf(video, lang),
    loss: lossOf(video),
    jitter: amount(video?.packets?.jitterMs, 1, "ms"),
    clock: amount(video?.ratio5s, 3, ""),
    silent: amount(video?.silentMs, 0, "ms"),
    audio: audio === undefined ? "-" : `${clean(audio.codec) || "?"} ${amount(audio.kbps, 0, "kbit/s")}`,
    picture: picture === undefined ? "-" : PICTURES[picture.state][lang],
    state: stateWords(conclusion, lang),
  };
  const names = Object.entries(ROWS) as [keyof typeof ROWS, Record<Lang, string>][];
  return names.map(([key, name]) => `${pad(name[lang], 12)} ${cells[key]}`);
}

const amount = (value: number | undefined, digits: number, unit: string): string =>
  value === undefined || !Number.isFinite(value) ? "-" : `${value.toFixed(digits)} ${unit}`.trim();

function formatOf(video: TrackFigures | undefined): string {
  if (video === undefined) return "-";
  const { format } = video;
  const size = format === undefined ? "" : ` ${format.width}×${format.height}`;
  const declared = format?.fps === undefined ? "" : ` @${Math.round(format.fps * 100) / 100}`;
  return `${clean(video.codec) || "?"}${size}${declared}`;
}

function gopOf(video: TrackFigures | undefined, lang: Lang): string {
  if (video?.gopMs === undefined) return "-";
  const frames =
    video.gopFrames === undefined ? "" : `, ${Math.round(video.gopFrames)} ${lang === "zh" ? "帧" : "frames"}`;
  return `${(video.gopMs / 1_000).toFixed(1)} s${frames}`;
}

function lossOf(video: TrackFigures | undefined): string {
  if (video?.lossPct === undefined) return "-";
  return `${video.lossPct.toFixed(2)} %${video.packets === undefined ? "" : ` (${video.packets.lost})`}`;
}

/** The state, and what is wrong at which hop. */
function stateWords({ state, reason, hop }: Conclusion, lang: Lang): string {
  return reason === undefined ? STATES[state][lang] : `${STATES[state][lang]}: ${titleAt(reason, hop)[lang]}`;
}

/** What cannot be told after so long is not for want of time. */
const PLENTY_MS = 60_000;
const LONGER = {
  zh: "探测时间不足，尚不能下结论：请用 --seconds 延长",
  en: "not looked at long enough to tell: give it more --seconds",
} as const;

/** The last word: the verdict, and why, in the person's language first and then in the other. */
export function verdictText(seen: Seen, lang: Lang, columns: number | undefined): string {
  const { conclusion, picture, figures, elapsedMs } = seen;
  const tooShort = conclusion.state === "unknown" && figures?.playingMs !== undefined && elapsedMs < PLENTY_MS;
  const other: Lang = lang === "zh" ? "en" : "zh";
  const width = columns ?? Number.POSITIVE_INFINITY;
  return [
    ...wrap(stateWords(conclusion, lang), width),
    ...wrap(stateWords(conclusion, other), width),
    ...wrap(clean(conclusion.says), width),
    ...(tooShort ? wrap(LONGER[lang], width) : []),
    ...(picture === undefined ? [] : wrap(`${ROWS.picture[lang]}: ${clean(picture.says)}`, width)),
  ].join("\n");
}

/** As a monitoring plugin answers: 0 alive, 1 alive but not well, 2 dead, 3 nobody can tell. */
export function exitOf({ state }: Conclusion): number {
  if (state === "ok") return 0;
  if (state === "unknown") return 3;
  return state === "degraded" || state === "still" || state === "suspect_frozen" ? 1 : 2;
}
