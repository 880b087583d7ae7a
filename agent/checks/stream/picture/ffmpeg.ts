import type { Machine } from "../../../../platform/machine.ts";
import type { Redact } from "../../../../platform/redact.ts";
import type { RunProgram } from "../../../../platform/run.ts";
import { Failure } from "../../../../protocol/failure.ts";
import type { Keyframe } from "../media.ts";
import { type MakeThumbnail, THUMBNAIL } from "../picture.ts";
import { CELLS } from "./cells.ts";

/** Thumbnails by the machine's own ffmpeg, which is optional: one process for each keyframe, behind everything else. */

/** Only where the system itself installs programs: no PATH decides what root runs. */
const PLACES = ["/usr/bin/ffmpeg", "/usr/local/bin/ffmpeg", "/bin/ffmpeg"];
const DEADLINE_MS = 2_000;
/** 4096 × 2304. A header may claim more and would cost memory that a small device does not have. */
const MOST_PIXELS = 9_437_184;
const MOST_ALLOC_BYTES = 67_108_864;
const DEMUXERS = { h264: "h264", h265: "hevc", mjpeg: "mjpeg" } as const;
const LAST_WORDS = 200;
/** Exit codes for: made for another processor, a library missing. */
const NOT_STARTED: ReadonlySet<string> = new Set(["126", "127"]);

export interface ThumbnailPorts {
  machine: Machine;
  run: RunProgram;
  redact: Redact;
}

/**
 * Gives what makes thumbnails, one at a time however many ask: share one in the whole agent. Each costs about 0.1 s of CPU
 * (x86-64), most of it ffmpeg's beginning. It rejects with Failure PICTURE_DECODER (no ffmpeg, or one that cannot be
 * started) or PICTURE_BROKEN (facts.how: `decoder`, `deadline`: not done within 2 s, `stopped`: `signal` aborted).
 */
export function thumbnailer(ports: ThumbnailPorts): MakeThumbnail {
  let last: Promise<unknown> = Promise.resolve();
  return (keyframe, at, signal) => {
    const made = last.then(() => decoded(keyframe, signal, ports));
    last = made.catch(() => {});
    return made.then((grey) => ({ at, keySize: keyframe.bytes.length, grey }));
  };
}

async function decoded(keyframe: Keyframe, signal: AbortSignal, { machine, run, redact }: ThumbnailPorts) {
  if (signal.aborted) throw stopped();
  const program = installed(machine);
  if (program === undefined)
    throw new Failure("PICTURE_DECODER", "no ffmpeg on this device", { facts: { places: PLACES.join(" ") } });
  try {
    const printed = await run({
      argv: [program, ...wordsFor(keyframe.format)],
      input: keyframe.bytes,
      encoding: "latin1",
      niceness: 19,
      deadlineMs: DEADLINE_MS,
      // a frame more than wanted is a failure, too: what comes must be one
      outputCapBytes: CELLS,
      env: { LANG: "C", AV_LOG_FORCE_NOCOLOR: "1" },
      cwd: "/",
      signal,
    });
    if (printed.length === CELLS) return Buffer.from(printed, "latin1");
  } catch (cause) {
    throw signal.aborted ? stopped() : told(cause, redact);
  }
  throw broken("decoder", "the decoder found no whole picture in a keyframe");
}

/** Looked for each time: it may be installed while we run. */
function installed(machine: Machine): string | undefined {
  const place = PLACES.find((path) => canRun(path, machine));
  return place === undefined ? undefined : machine.at(place);
}
function canRun(path: string, machine: Machine): boolean {
  try {
    const stat = machine.stat(path);
    return stat?.type === "file" && (stat.mode & 0o111) !== 0;
  } catch {
    return false; // a folder that we may not look into holds nothing that we could run
  }
}

/** The demuxer is named, so that no playlist is read out of a keyframe, and no protocol but the pipes is there for one. */
const wordsFor = (format: Keyframe["format"]): string[] => [
  ...["-v", "error", "-nostdin", "-xerror", "-max_alloc", String(MOST_ALLOC_BYTES)],
  ...["-protocol_whitelist", "pipe", "-max_pixels", String(MOST_PIXELS), "-threads", "1"],
  ...["-f", DEMUXERS[format], "-i", "pipe:0", "-an", "-frames:v", "1", "-filter_threads", "1"],
  ...["-vf", `scale=${THUMBNAIL.width}:${THUMBNAIL.height}:flags=area,format=gray`],
  ...["-threads", "1", "-f", "rawvideo", "pipe:1"],
];

const broken = (how: string, message: string, cause?: unknown): Failure =>
  new Failure("PICTURE_BROKEN", message, { facts: { how }, cause });
const stopped = (): Failure => broken("stopped", "no thumbnail: we are ending");

function told(cause: unknown, redact: Redact): Failure {
  if (!(cause instanceof Failure)) return broken("decoder", "the decoder could not be run", cause);
  const { code, facts } = cause;
  if (code === "RUN_MISSING" || NOT_STARTED.has(String(facts.exit)))
    return new Failure("PICTURE_DECODER", "ffmpeg is there but cannot be started", {
      facts: { how: String(facts.errno ?? facts.exit ?? "") },
      cause,
    });
  if (code === "RUN_DEADLINE")
    return broken("deadline", `the decoder was not done within ${DEADLINE_MS} ms and was ended`, cause);
  const words = code === "RUN_FAILED" ? lastWords(String(facts.stderr ?? ""), redact) : "";
  return broken("decoder", `the decoder cannot read a keyframe${words === "" ? "" : `: ${words}`}`, cause);
}

/** The same fault must read the same each time: ffmpeg puts addresses of its memory in. */
function lastWords(stderr: string, redact: Redact): string {
  const plain = stderr
    .replace(/ @ 0x[0-9a-f]+/g, "")
    .replace(/\p{C}+/gu, " ")
    .trim();
  return redact(plain).slice(0, LAST_WORDS);
}
