import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Keyframe } from "../../../../agent/checks/stream/media.ts";
import { thumbnailer } from "../../../../agent/checks/stream/picture/ffmpeg.ts";
import type { MakeThumbnail } from "../../../../agent/checks/stream/picture.ts";
import { systemClock } from "../../../../platform/clock.ts";
import { machineAt } from "../../../../platform/machine.ts";
import { redactor } from "../../../../platform/redact.ts";
import { runProgram } from "../../../../platform/run.ts";
import { HandClock } from "../../../kit/hand-clock.ts";
import { needs, run } from "../../../kit/peers.ts";
import { clip, needsClips } from "../../../kit/stream/clips.ts";
import { keyframesOf, realThumbnailer } from "../../../kit/stream/thumbnails.ts";
import { tempFolder } from "../../../kit/temp.ts";

const never = new AbortController().signal;
const CELLS = 160 * 90;
const keyframe: Keyframe = { format: "h264", bytes: Buffer.from([0, 0, 0, 1, 0x65, 1, 2, 3]) };

/** A machine whose ffmpeg is a shell script of ours, really started; `$F` in it is a folder to leave traces in. */
function scripted(root: string, script: string, clock = systemClock): MakeThumbnail {
  const bin = join(root, "usr", "bin");
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "ffmpeg"), `#!/bin/sh\nF=${root}\n${script}\n`, { mode: 0o755 });
  return thumbnailer({
    machine: machineAt(root),
    run: (order) => runProgram(order, clock),
    redact: redactor([]),
  });
}
const trace = (root: string, name: string): string => {
  const path = join(root, name);
  return existsSync(path) ? readFileSync(path, "utf8").trim() : "";
};
/** Waits for what a real process does; the test's own deadline bounds it. */
async function until<T>(look: () => T | undefined | ""): Promise<T> {
  for (;;) {
    const seen = look();
    if (seen !== undefined && seen !== "") return seen;
    await new Promise((next) => setImmediate(next));
  }
}
const isGone = (pid: string): true | undefined => {
  const state = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, "utf8").split(" ")[2] : "Z";
  return state === "Z" ? true : undefined;
};

describe.skipIf(needsClips())("the machine's own ffmpeg", () => {
  test.each(["h264", "h265", "mjpeg"] as const)(
    "a keyframe of %s becomes the same small grey picture as the clip shows there",
    async (codec) => {
      const path = clip("static", { codec });
      const [first] = keyframesOf(path);
      if (first === undefined) throw new Error("no keyframe");
      const { at, keySize, grey } = await realThumbnailer()(first, 1_234, never);
      expect({ at, keySize, length: grey.length }).toEqual({ at: 1_234, keySize: first.bytes.length, length: CELLS });
      using folder = tempFolder("frame");
      const raw = join(folder.path, "frame.gray");
      const shown = ["-frames:v", "1", "-vf", "scale=160:90:flags=area,format=gray", "-f", "rawvideo", raw];
      run("ffmpeg", ["-v", "error", "-nostdin", "-i", path, ...shown]);
      expect(Buffer.from(grey).equals(readFileSync(raw))).toBe(true);
    },
  );

  test("a keyframe that is cut short, damaged or none at all is broken, never a picture of it", async () => {
    const [whole] = keyframesOf(clip("move_osd"));
    if (whole === undefined) throw new Error("no keyframe");
    const damaged = Buffer.from(whole.bytes);
    for (let i = 30_000; i < 30_040; i += 1) damaged[i] = (damaged[i] ?? 0) ^ 0x5a;
    const noise = Buffer.from(Array.from({ length: 5_000 }, (_, i) => (i * i * 31 + i * 7) & 0xff));
    const make = realThumbnailer();
    for (const bytes of [
      whole.bytes.subarray(0, 20_000),
      whole.bytes.subarray(0, 40),
      damaged,
      noise,
      Buffer.alloc(0),
    ]) {
      const error = await make({ format: "h264", bytes }, 0, never).catch((cause: unknown) => cause);
      expect(error).toMatchObject({ code: "PICTURE_BROKEN", facts: { how: "decoder" } });
      expect(String(error)).not.toMatch(/0x[0-9a-f]{6}/);
    }
    // a playlist or a list of files is not read as one
    const list = Buffer.from("ffconcat version 1.0\nfile /etc/hostname\n#EXTM3U\nhttp://127.0.0.1:1/a.ts\n");
    for (const format of ["h264", "h265", "mjpeg"] as const)
      await expect(make({ format, bytes: list }, 0, never)).rejects.toMatchObject({ code: "PICTURE_BROKEN" });
    expect((await make(whole, 0, never)).grey.length).toBe(CELLS);
  });

  test("whatever bytes a keyframe has, it ends as a picture or as a broken one", async () => {
    const make = realThumbnailer();
    let seed = 77;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed % below;
    };
    for (const codec of ["h264", "h265", "mjpeg"] as const) {
      const [whole] = keyframesOf(clip("static", { codec }));
      if (whole === undefined) throw new Error("no keyframe");
      for (let round = 0; round < 5; round += 1) {
        const bytes = Buffer.from(whole.bytes.subarray(0, 200 + random(whole.bytes.length)));
        for (let i = 0; i < 8; i += 1) bytes[random(i < 4 ? 120 : bytes.length)] = random(256);
        const ended = await make({ ...whole, bytes }, 0, never).then(
          ({ grey }) => grey.length,
          (cause: unknown) => (cause instanceof Error && "code" in cause ? cause.code : cause),
        );
        expect([CELLS, "PICTURE_BROKEN"]).toContain(ended);
      }
    }
  });

  test("a picture larger than a small device can hold is not decoded", async () => {
    using folder = tempFolder("large");
    const path = join(folder.path, "large.h264");
    const large = ["-f", "lavfi", "-i", "color=gray:s=5120x2880:d=1:r=1", "-frames:v", "1"];
    run("ffmpeg", ["-v", "error", "-nostdin", ...large, "-c:v", "libx264", "-preset", "ultrafast", path]);
    const bytes = readFileSync(path);
    await expect(realThumbnailer()({ format: "h264", bytes }, 0, never)).rejects.toMatchObject({
      code: "PICTURE_BROKEN",
    });
  });
});

test("without ffmpeg, or with one that is no program, the picture stays unknown and says so", async () => {
  using folder = tempFolder("no-ffmpeg");
  await expect(realThumbnailer(folder.path)(keyframe, 0, never)).rejects.toMatchObject({ code: "PICTURE_DECODER" });
  const make = scripted(folder.path, "");
  writeFileSync(join(folder.path, "usr", "bin", "ffmpeg"), "not for this machine");
  await expect(make(keyframe, 0, never)).rejects.toMatchObject({ code: "PICTURE_DECODER" });
});

test("an ffmpeg that is installed while we run is used", async () => {
  using folder = tempFolder("later-ffmpeg");
  const make = realThumbnailer(folder.path);
  await expect(make(keyframe, 0, never)).rejects.toMatchObject({ code: "PICTURE_DECODER" });
  scripted(folder.path, `cat > /dev/null; head -c ${CELLS} /dev/zero`);
  expect((await make(keyframe, 0, never)).grey).toEqual(Buffer.alloc(CELLS));
});

test("a decoder that hangs is ended after two seconds, and the next keyframe has its turn", async () => {
  using folder = tempFolder("hanging");
  const clock = new HandClock();
  const make = scripted(
    folder.path,
    `[ -e $F/pid ] && { cat > /dev/null; head -c ${CELLS} /dev/zero; exit; }; echo $$ > $F/pid; exec sleep 600`,
    clock,
  );
  const hung = expect(make(keyframe, 0, never)).rejects.toMatchObject({
    code: "PICTURE_BROKEN",
    facts: { how: "deadline" },
  });
  const next = make(keyframe, 7, never);
  const pid = await until(() => trace(folder.path, "pid"));
  await clock.wind(1_999);
  expect(isGone(pid)).toBeUndefined();
  await clock.wind(1);
  await hung;
  await until(() => isGone(pid));
  expect((await next).at).toBe(7);
});

test("our end ends the decoder, and who waits for it does not begin", async () => {
  using folder = tempFolder("ending");
  const make = scripted(folder.path, "echo $$ >> $F/pid; exec sleep 600");
  const ending = new AbortController();
  const all = [make(keyframe, 0, ending.signal), make(keyframe, 0, ending.signal)];
  const ended = Promise.allSettled(all);
  const pid = await until(() => trace(folder.path, "pid"));
  ending.abort();
  for (const one of await ended)
    expect(one).toMatchObject({ status: "rejected", reason: { code: "PICTURE_BROKEN", facts: { how: "stopped" } } });
  await until(() => isGone(pid));
  expect(trace(folder.path, "pid")).toBe(pid);
});

test("however many ask, one runs at a time, in their order, behind everything else on the machine", async () => {
  using folder = tempFolder("turns");
  const make = scripted(
    folder.path,
    `echo begin >> $F/log; wc -c >> $F/log; cut -d' ' -f19 /proc/$$/stat >> $F/nice; head -c ${CELLS} /dev/zero; echo end >> $F/log`,
  );
  const sized = (size: number): Keyframe => ({ format: "h265", bytes: Buffer.alloc(size) });
  await Promise.all([70_000, 2, 300_000].map((size) => make(sized(size), 0, never)));
  expect(trace(folder.path, "log").split("\n")).toEqual(
    [70_000, 2, 300_000].flatMap((size) => ["begin", String(size), "end"]),
  );
  expect(trace(folder.path, "nice").split("\n")).toEqual(["19", "19", "19"]);
});

test.each([
  ["one byte short", `head -c ${CELLS - 1} /dev/zero`],
  ["one byte too many", `head -c ${CELLS + 1} /dev/zero`],
  ["endless", "cat /dev/zero"],
  ["nothing, and takes no input", "exit 0"],
])("a decoder that gives %s has read no picture", async (_, script) => {
  using folder = tempFolder("odd-output");
  const bytes = Buffer.alloc(500_000);
  await expect(scripted(folder.path, script)({ format: "h264", bytes }, 0, never)).rejects.toMatchObject({
    code: "PICTURE_BROKEN",
    facts: { how: "decoder" },
  });
});

test("the last words of the decoder are told without addresses, secrets and signs of a terminal", async () => {
  using folder = tempFolder("words");
  const make = scripted(
    folder.path,
    `printf '[h264 @ 0x55cd8fec3fc0] \\033[31mno frame! password=hunter2\\n%0500d' 0 >&2; exit 69`,
  );
  const error = await make(keyframe, 0, never).catch((cause: unknown) => cause);
  const message = error instanceof Error ? error.message : "";
  expect(message.length).toBeLessThan(300);
  expect(message).not.toMatch(/hunter2|0x55|\p{C}/u);
});

test.skipIf(needs("env", "coreutils"))("nothing of our own surroundings reaches the decoder", async () => {
  using folder = tempFolder("surroundings");
  const make = scripted(
    folder.path,
    `/usr/bin/env > $F/env; pwd >> $F/env; cat > /dev/null; head -c ${CELLS} /dev/zero`,
  );
  await make(keyframe, 0, never);
  const names = trace(folder.path, "env").replace(/=.*/g, "").split("\n");
  expect(names.filter((name) => !["PWD", "OLDPWD", "SHLVL", "_"].includes(name)).toSorted()).toEqual([
    "/",
    "AV_LOG_FORCE_NOCOLOR",
    "LANG",
  ]);
});
