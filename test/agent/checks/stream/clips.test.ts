import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { clip, clipFacts, needsClips } from "../../../kit/stream/clips.ts";

describe.skipIf(needsClips())("clips for the tests of streams", () => {
  test.each([
    [{}, { codec: "h264", width: 640, height: 360, frames: 300, keyframes: 6, audioPackets: 0 }],
    [
      { codec: "h265", bframes: 2 },
      { codec: "hevc", frames: 300, keyframes: 6 },
    ],
    [
      { codec: "mjpeg", seconds: 2 },
      { codec: "mjpeg", frames: 50, keyframes: 50 },
    ],
    [{ fps: 5 }, { frames: 60, keyframes: 6 }],
    [
      { gop: 250, seconds: 20 },
      { frames: 500, keyframes: 2 },
    ],
  ] as const)("%j is as wished, by ffprobe's word", (wish, facts) => {
    expect(clipFacts(clip("move", wish))).toMatchObject(facts);
  });

  test("the frame rate of a VFR clip changes, the sound of another is there", () => {
    const { stamps } = clipFacts(clip("move", { vfr: true }));
    const apart = stamps.slice(1).map((stamp, i) => Math.round((stamp - (stamps[i] ?? 0)) * 1_000));
    expect(new Set(apart)).toEqual(new Set([40, 80, 120]));
    expect(clipFacts(clip("move", { audio: "aac" })).audioPackets).toBeGreaterThan(500);
    expect(clipFacts(clip("move", { audio: "pcma" })).audioPackets).toBeGreaterThan(50);
  });

  test("processes that ask at once get one clip, whole", async () => {
    const wish = { seconds: 1, gop: 7 };
    rmSync(clip("bars", wish));
    const module = new URL("../../../kit/stream/clips.ts", import.meta.url).href;
    const code = `import { clip } from ${JSON.stringify(module)}; console.log(clip("bars", ${JSON.stringify(wish)}));`;
    const ask = promisify(execFile);
    const asked = [1, 2, 3].map(() => ask(process.execPath, ["--input-type=module-typescript", "-e", code]));
    const paths = (await Promise.all(asked)).map(({ stdout }) => stdout.trim());
    expect(new Set(paths).size).toBe(1);
    expect(clipFacts(paths[0] ?? "")).toMatchObject({ frames: 25, keyframes: 4 });
  });
});
