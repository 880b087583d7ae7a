import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { needs, needsThat, run } from "../peers.ts";

/**
 * What the camera sees. `static`: a live, denoised scene (sensor noise 2); `frozen`: the same picture again and again;
 * `_osd`: with a clock burnt in by the encoder that goes on; `_stopped`: with one that does not (the whole encoder's picture
 * repeats). `presentation`: a slide, another after half the clip. `night`: a hardly lit room. `bars`: an encoder's test picture.
 */
export type ClipKind =
  | "move"
  | "move_osd"
  | "move_stopped"
  | "static"
  | "static_osd"
  | "static_n6"
  | "static_n6_osd"
  | "frozen"
  | "frozen_osd"
  | "frozen_stopped"
  | "black"
  | "black_n2"
  | "night"
  | "presentation"
  | "bars";

export interface ClipWish {
  /** How the encoder spends its bits; `hw2m`: with a floor under the QP, as hardware encoders have. Rates are those named, at any size. */
  rate: "cbr2m" | "cbr512k" | "cbr150k" | "hw2m" | "crf";
  codec: "h264" | "h265" | "mjpeg";
  width: number;
  height: number;
  fps: number;
  /** Frames from keyframe to keyframe; 2 s when not given. */
  gop?: number;
  seconds: number;
  bframes: number;
  /** aac where not said otherwise by the container: `ts` takes no pcma. */
  audio: "none" | "aac" | "pcma";
  /** The frame rate changes between full and a third, every two seconds. */
  vfr: boolean;
  /** `ts` loops well (`-stream_loop -1 -c copy`); mjpeg and pcma need `mkv` (their default) or flv. */
  container?: "ts" | "mkv" | "flv" | "mp4";
}

const USUAL: ClipWish = {
  rate: "cbr2m",
  codec: "h264",
  width: 640,
  height: 360,
  fps: 25,
  seconds: 12,
  bframes: 0,
  audio: "none",
  vfr: false,
};
export const FULL_HD = { width: 1920, height: 1080 } as const;

const FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf";
/** Raise it when the same recipe gives other clips. */
const FOLDER = join(tmpdir(), `vigil-clips-2-${process.getuid?.() ?? 0}`);

/** Whether tests with clips must be skipped. */
export const needsClips = (): boolean =>
  [needs("ffmpeg", "ffmpeg"), needs("ffprobe", "ffmpeg"), needsThat(existsSync(FONT), "fonts-dejavu-core")].includes(
    true,
  );

/** The path of a clip, encoded once and kept in the system's temp folder; any number of processes may ask at once. */
export function clip(kind: ClipKind, wish: Partial<ClipWish> = {}): string {
  const all = { ...USUAL, ...wish };
  const odd = all.codec === "mjpeg" || all.audio === "pcma";
  const ending = all.container ?? (odd ? "mkv" : "ts");
  const recipe = [...source(kind, all), ...sound(all), ...encoder(all)];
  const name = `${kind}-${all.rate}-${all.codec}-${all.width}x${all.height}`;
  return kept(name, ending, recipe);
}

/** Builds under a name of its own, then renames: who comes second replaces it by the same. */
function kept(name: string, ending: string, recipe: readonly string[]): string {
  const hash = createHash("sha256").update(recipe.join("\0")).digest("hex").slice(0, 12);
  const path = join(FOLDER, `${name}-${hash}.${ending}`);
  if (existsSync(path)) return path;
  mkdirSync(FOLDER, { recursive: true });
  const building = join(FOLDER, `building-${process.pid}-${hash}.${ending}`);
  try {
    run("ffmpeg", ["-v", "error", "-nostdin", "-y", ...recipe, building]);
    renameSync(building, path);
  } finally {
    rmSync(building, { force: true });
  }
  return path;
}

/**
 * A landscape, more or less: noise at six scales, coarse strong and fine weak as in nature, with the hard edges of a
 * Mandelbrot set. A margin around the picture leaves room to pan.
 */
function background({ width, height }: ClipWish): string {
  const size = `${even(width * 1.15)}x${even(height * 1.15)}`;
  const octaves = [9, 18, 36, 72, 144, 288];
  const layers = octaves.map(
    (rows, i) =>
      `color=gray:s=${even((rows * 16) / 9)}x${even(rows)}:d=1,format=yuv420p,noise=alls=${Math.round(100 / (1 + 0.55 * i))}:all_seed=${41 + i}:allf=u,` +
      `scale=${size}:flags=bicubic[n${i}]`,
  );
  const edges = `mandelbrot=s=${even(width * 1.15)}x${even(height * 1.15)}:start_scale=0.6:start_x=-0.74:start_y=-0.18:maxiter=400,format=yuv420p[m]`;
  const mix = `${octaves.map((_, i) => `[n${i}]`).join("")}[m]mix=inputs=${octaves.length + 1}:weights=5 4 3 2.4 2 1.6 5,eq=contrast=2.4`;
  return kept(`background-${size}`, "png", [
    "-filter_complex",
    [...layers, edges, `${mix},trim=end_frame=1`].join(";"),
    "-frames:v",
    "1",
  ]);
}

function source(kind: ClipKind, wish: ClipWish): string[] {
  const { width, height, fps, seconds, vfr } = wish;
  // one picture held in memory: `-loop 1` would decode the PNG for each frame
  const held = `format=yuv420p,loop=loop=-1:size=1:start=0,setpts=N/${fps}/TB,fps=${fps},${scene(kind, wish)}`;
  const drops = vfr ? `,select='lt(mod(t,4),2)+not(mod(n,3))'` : "";
  const length = ["-t", String(seconds), ...(vfr ? ["-fps_mode", "vfr"] : ["-frames:v", String(seconds * fps)])];
  if (kind === "bars")
    return ["-f", "lavfi", "-i", `smptehdbars=s=${width}x${height}:r=${fps}`, "-vf", "format=yuv420p", ...length];
  return ["-i", background(wish), "-vf", `${held}${drops}`, ...length];
}

function scene(kind: ClipKind, wish: ClipWish): string {
  const { width, height } = wish;
  const [x, y] = [Math.round(width * 0.07), Math.round(height * 0.07)];
  const here = `crop=${width}:${height}:${x}:${y}`;
  const parts: string[] = [];
  if (kind === "presentation") return `${here},${slides(wish)}`;
  if (kind.startsWith("move"))
    parts.push(`crop=${width}:${height}:x='${x}+${x - 2}*sin(t/2)':y='${y}+${y - 2}*cos(t/3)'`);
  else parts.push(here);
  if (kind.startsWith("black")) parts.push("drawbox=t=fill:color=black");
  if (kind === "night") parts.push("lutyuv=y='16+(val-16)*0.02':u=128:v=128");
  const noise =
    kind.startsWith("move") || kind.includes("n6") || kind === "night" ? 6 : /^static|n2/.test(kind) ? 2 : 0;
  if (noise > 0) parts.push(`noise=alls=${noise}:all_seed=7:allf=t`);
  if (/_osd|_stopped/.test(kind)) parts.push(osd(height, kind.endsWith("_osd")));
  return parts.join(",");
}

/** Where `osd` writes, in parts of the picture: with a margin of one or two cells of the thumbnail. */
export const CLIP_OSD = { x: 0.015, y: 0.015, width: 0.31, height: 0.075 } as const;

function osd(height: number, ticking: boolean): string {
  const px = (of1080: number): number => Math.round((of1080 * height) / 1080);
  const now = ticking ? "%{pts\\:gmtime\\:1790000000\\:%H\\\\\\:%M\\\\\\:%S}" : "14\\:13\\:20";
  return (
    `drawtext=fontfile=${FONT}:text='2026-10-08 ${now}':fontsize=${px(44)}:fontcolor=white:` +
    `box=1:boxcolor=black@0.4:x=${px(40)}:y=${px(30)}`
  );
}

/** Two slides of a talk, the second from half the clip on. */
function slides({ height, seconds }: ClipWish): string {
  const line = (text: string, row: number, from: string): string =>
    `drawtext=fontfile=${FONT}:text='${text}':fontsize=${Math.round(height / 14)}:fontcolor=black:` +
    `x=${Math.round(height / 10)}:y=${Math.round((height * row) / 8)}:enable='${from}'`;
  const [first, second] = [`lt(t,${seconds / 2})`, `gte(t,${seconds / 2})`];
  return [
    "drawbox=t=fill:color=white",
    line("Quarterly report", 1, first),
    line("1  What was asked", 3, first),
    line("2  What was found", 5, first),
    line("What was asked", 1, second),
    line("a picture that lives", 4, second),
  ].join(",");
}

function sound({ audio, seconds }: ClipWish): string[] {
  if (audio === "none") return ["-an"];
  const rate = audio === "pcma" ? 8000 : 48_000;
  const codec = audio === "pcma" ? ["-c:a", "pcm_alaw"] : ["-c:a", "aac", "-b:a", "48k"];
  return [
    "-filter_complex",
    `sine=frequency=440:sample_rate=${rate}:duration=${seconds}[a]`,
    "-map",
    "0:v",
    "-map",
    "[a]",
    "-ac",
    "1",
    ...codec,
  ];
}

function encoder({ rate, codec, fps, gop = fps * 2, bframes }: ClipWish): string[] {
  if (codec === "mjpeg") return ["-c:v", "mjpeg", "-huffman", "default", "-pix_fmt", "yuvj420p", "-q:v", "6"];
  const cbr = (kbps: number, buffer = kbps): string[] =>
    ["-b:v", "-maxrate", "-bufsize"].flatMap((option, i) => [option, `${i === 2 ? buffer : kbps}k`]);
  const spends = {
    cbr2m: cbr(2000),
    cbr512k: cbr(512, 1000),
    cbr150k: cbr(150, 300),
    hw2m: [...cbr(2000), "-qmin", "22"],
    crf: ["-crf", "26"],
  }[rate];
  const tune = bframes > 0 ? [] : ["-tune", "zerolatency"];
  const keys = ["-g", String(gop), "-keyint_min", String(gop), "-bf", String(bframes), "-sc_threshold", "0"];
  const library = codec === "h264" ? ["libx264", "-preset", "veryfast"] : ["libx265", "-preset", "ultrafast"];
  const x265 =
    codec === "h265"
      ? [
          "-x265-params",
          `log-level=error:scenecut=0:keyint=${gop}:min-keyint=${gop}:bframes=${bframes}${rate === "hw2m" ? ":qpmin=22" : ""}`,
        ]
      : [];
  return ["-pix_fmt", "yuv420p", "-c:v", ...library, ...tune, ...keys, ...spends, ...x265];
}

const even = (pixels: number): number => Math.round(pixels / 2) * 2;

/** What ffprobe says of a clip; sizes in bytes, of the video in the order of decoding. */
export interface ClipFacts {
  codec: string;
  width: number;
  height: number;
  seconds: number;
  frames: number;
  keyframes: number;
  sizes: readonly number[];
  keySizes: readonly number[];
  /** Presentation stamps, s. */
  stamps: readonly number[];
  audioPackets: number;
}

interface Probed {
  streams: { index: number; codec_type: string; codec_name: string; width?: number; height?: number }[];
  packets: { stream_index: number; size: string; flags: string; pts_time?: string }[];
  format: { duration?: string };
}

/** What ffprobe, which nobody here wrote, finds in a file; asked once. */
export function clipFacts(path: string): ClipFacts {
  const known = `${path}.facts.json`;
  if (existsSync(known)) return JSON.parse(readFileSync(known, "utf8"));
  const facts = probed(path);
  const writing = `${known}.${process.pid}`;
  writeFileSync(writing, JSON.stringify(facts));
  renameSync(writing, known);
  return facts;
}

function probed(path: string): ClipFacts {
  const told: Probed = JSON.parse(
    run("ffprobe", ["-v", "error", "-of", "json", "-show_streams", "-show_packets", "-show_format", path]),
  );
  const video = told.streams.find((stream) => stream.codec_type === "video");
  if (video === undefined) throw new Error(`no video in ${path}`);
  const packets = told.packets.filter((packet) => packet.stream_index === video.index);
  const keys = packets.filter((packet) => packet.flags.startsWith("K"));
  return {
    codec: video.codec_name,
    width: video.width ?? 0,
    height: video.height ?? 0,
    seconds: Number(told.format.duration ?? 0),
    frames: packets.length,
    keyframes: keys.length,
    sizes: packets.map((packet) => Number(packet.size)),
    keySizes: keys.map((packet) => Number(packet.size)),
    stamps: packets.map((packet) => Number(packet.pts_time ?? Number.NaN)),
    audioPackets: told.packets.length - packets.length,
  };
}
