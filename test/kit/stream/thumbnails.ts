import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Keyframe } from "../../../agent/checks/stream/media.ts";
import { thumbnailer } from "../../../agent/checks/stream/picture/ffmpeg.ts";
import type { Thumbnail } from "../../../agent/checks/stream/picture.ts";
import { systemClock } from "../../../platform/clock.ts";
import { machineAt } from "../../../platform/machine.ts";
import { redactor } from "../../../platform/redact.ts";
import { runProgram } from "../../../platform/run.ts";
import { run } from "../peers.ts";
import { tempFolder } from "../temp.ts";
import { clipFacts } from "./clips.ts";

/**
 * The machine's own ffmpeg, as the agent uses it, but that it need not stand behind everything else that runs: tests keep
 * all cores busy, where a program of the lowest priority takes seconds. `root`: of a captured tree, as on a device.
 */
export const realThumbnailer = (root = "/") =>
  thumbnailer({
    machine: machineAt(root),
    run: (order) => runProgram(root === "/" ? { ...order, niceness: 0, deadlineMs: 60_000 } : order, systemClock),
    redact: redactor([]),
  });

/** The keyframes of a clip, cut out by ffmpeg, each with its parameter sets. */
export function keyframesOf(path: string): Keyframe[] {
  using folder = tempFolder("keyframes");
  const keep = ["-map", "0:v", "-c", "copy", "-bsf:v", "noise=drop='not(key)',dump_extra=freq=keyframe"];
  const { codec } = clipFacts(path);
  const format = codec === "h264" ? "h264" : codec === "hevc" ? "h265" : "mjpeg";
  const bsf = format === "mjpeg" ? keep.slice(0, 4) : keep;
  run("ffmpeg", ["-v", "error", "-nostdin", "-i", path, ...bsf, "-f", "image2", join(folder.path, "%04d.bin")]);
  return readdirSync(folder.path)
    .toSorted()
    .map((name) => ({ format, bytes: readFileSync(join(folder.path, name)) }));
}

/** Thumbnails of the last keyframes of a clip, when its encoder has settled. */
export async function thumbnailsOf(path: string, most = 5, apartMs = 2_000): Promise<Thumbnail[]> {
  const make = realThumbnailer();
  const frames = keyframesOf(path).slice(-most);
  return Promise.all(frames.map((frame, i) => make(frame, i * apartMs, new AbortController().signal)));
}
