import { spawnSync } from "node:child_process";
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { playFlv } from "../../../../agent/checks/stream/flv/play.ts";
import type { Play, Session } from "../../../../agent/checks/stream/media.ts";
import { lookForwarder } from "../../../../agent/checks/stream/passive/look.ts";
import { playRtmp } from "../../../../agent/checks/stream/rtmp/play.ts";
import { systemClock } from "../../../../platform/clock.ts";
import { programPath, run } from "../../../kit/peers.ts";
import { type ClipFacts, clip, clipFacts, needsClips } from "../../../kit/stream/clips.ts";
import { clipUnits, FLV_HEADER, flvTag, hevcRecord, sized } from "../../../kit/stream/flv-writer.ts";
import { Heard, sessionOf } from "../../../kit/stream/heard.ts";
import { type Nginx, needsNginx, startNginx } from "../../../kit/stream/nginx.ts";
import { type Nms, startNms } from "../../../kit/stream/nms.ts";
import { publish } from "../../../kit/stream/publish.ts";
import { tempFolder } from "../../../kit/temp.ts";

/** A session in the background. */
class Playing implements AsyncDisposable {
  readonly heard = new Heard();
  /** Why it ended; undefined once it was stopped by us. */
  readonly ended: Promise<unknown>;
  readonly #stop = new AbortController();

  constructor(play: Play, wants = 0) {
    this.heard.wants = wants;
    const session: Session = sessionOf(this.heard, systemClock, this.#stop.signal);
    this.ended = play(session).then(
      () => undefined,
      (cause: unknown) => cause,
    );
  }
  get video() {
    return this.heard.tracks.find(({ track }) => track?.kind === "video");
  }
  get frames(): number {
    return this.video?.frames.length ?? 0;
  }
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.ended;
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** What comes is read in batches, as a stream under watch is. */
const gathered =
  (play: Play): Play =>
  (session) =>
    play({ ...session, gatherMs: 125 });
const rtmp =
  (url: string): Play =>
  (session) =>
    playRtmp({ url }, session);
const flv =
  (url: string): Play =>
  (session) =>
    playFlv({ url }, session);
const seconds = (count: number): Promise<void> => systemClock.sleep(count * 1000);

/** Waits until a count has not moved for 0.7 s, as behind a publisher that hangs once all that was on its way has come. */
async function standing<T extends number | string>(count: () => T | Promise<T>): Promise<T> {
  for (let before = await count(); ; ) {
    await seconds(0.7);
    const now = await count();
    if (now === before) return now;
    before = now;
  }
}

/** What ffprobe says of the very frames of a clip once they are in an FLV. */
function factsInFlv(path: string): ClipFacts {
  using folder = tempFolder();
  const copy = `${folder.path}/copy.flv`;
  run("ffmpeg", ["-v", "error", "-i", path, "-c", "copy", "-bsf:a", "aac_adtstoasc", copy]);
  return clipFacts(copy);
}

/** Frames, keyframes, stamps and format are what ffprobe finds in the clip; sizes but for the lengths before NAL units. */
function isTheClip({ video }: Playing, facts: ClipFacts): void {
  expect(video?.track?.codec).toBe("H264");
  expect(video?.formats).toMatchObject([{ width: facts.width, height: facts.height }]);
  expect([video?.frames.length, video?.keys]).toEqual([facts.frames, facts.keyframes]);
  const [first = 0, probed = 0] = [video?.stamps[0], facts.stamps[0]];
  video?.stamps.forEach((stamp, i) => {
    expect(Math.abs(stamp - first - 1000 * ((facts.stamps[i] ?? 0) - probed))).toBeLessThanOrEqual(1);
  });
  const lengths = video?.frames.map(({ size }, i) => (facts.sizes[i] ?? 0) - size) ?? [];
  expect(lengths.filter((bytes) => bytes < 4 || bytes > 40 || bytes % 4 !== 0)).toEqual([]);
  expect(video?.odd).toEqual([]);
}

describe.skipIf(needsClips() || needsNginx())("nginx-rtmp", () => {
  let nginx: Nginx;
  beforeAll(async () => {
    nginx = await startNginx({ more: "publish_notify on;" });
  });
  afterAll(async () => await nginx[Symbol.asyncDispose]());

  test("what is played is the clip, from the first frame to the last, B-frames and sound; then it ends", async () => {
    const path = clip("move", { seconds: 3, bframes: 2, audio: "aac" });
    const facts = factsInFlv(path);
    await using playing = new Playing(rtmp(nginx.rtmp("whole")), 1);
    await playing.heard.until(() => playing.heard.steps.includes("playing"));
    await using publisher = publish(path, nginx.rtmp("whole"), { once: true });
    expect(await playing.ended, publisher.child.output()).toMatchObject({ code: "STREAM_ENDED" });
    isTheClip(playing, facts);
    const sound = playing.heard.tracks.find(({ track }) => track?.kind === "audio");
    expect(sound?.track).toMatchObject({ codec: "AAC", clockHz: 1000 });
    expect(Math.abs((sound?.frames.length ?? 0) - facts.audioPackets)).toBeLessThanOrEqual(1);
    const bytes = playing.video?.pictures[0]?.bytes ?? new Uint8Array();
    const decoded = spawnSync(
      programPath("ffmpeg"),
      ["-v", "warning", "-f", "h264", "-i", "pipe:0", "-f", "null", "-"],
      { input: bytes },
    );
    expect([decoded.status, decoded.stderr.toString()]).toEqual([0, ""]);
  });

  test("a name nobody publishes is played, and not one frame comes", async () => {
    await using playing = new Playing(rtmp(nginx.rtmp("nobody")));
    await playing.heard.until(() => playing.heard.steps.includes("playing"));
    await seconds(0.5);
    expect(playing.heard.tracks).toEqual([]);
  });

  test("an application it does not have ends the session at connect", async () => {
    const playing = new Playing(rtmp(nginx.rtmp("cam1").replace("/live/", "/dead/")));
    expect(await playing.ended).toMatchObject({
      code: "STREAM_ENDED",
      facts: expect.objectContaining({ step: "connect" }),
    });
  });

  test("its counters move while the publisher lives, stand while it hangs, and it is gone when it is killed", async () => {
    const look = lookForwarder(
      { type: "nginx-rtmp", url: nginx.stat, app: "live", stream: "cam1" },
      { clock: systemClock, deadlineMs: 3000 },
    );
    const { signal } = new AbortController();
    expect(await look(signal)).toMatchObject({ fed: false });
    await using publisher = publish(clip("move", { seconds: 6, audio: "aac" }), nginx.rtmp("cam1"));
    const playing = new Playing(rtmp(nginx.rtmp("cam1")));
    await playing.heard.until(() => playing.frames >= 25);
    const first = await look(signal);
    expect(first).toMatchObject({ fed: true, readers: 1 });
    await playing.heard.until(() => playing.frames >= 50);
    const second = await look(signal);
    expect((second.inBytes ?? 0) - (first.inBytes ?? 0)).toBeGreaterThan(100_000);
    publisher.hang();
    await standing(async () => `${playing.frames} ${(await look(signal)).inBytes}`);
    expect(await look(signal)).toMatchObject({ fed: true });
    await playing.stop();
    expect(await look(signal)).toMatchObject({ fed: true, readers: 0 });
    await publisher.kill9();
    const later = new Playing(rtmp(nginx.rtmp("cam1")));
    await seconds(0.5);
    expect(later.frames).toBe(0);
    await later.stop();
    expect(await look(signal)).toMatchObject({ fed: false });
  });

  test("a publisher that is killed ends the session", async () => {
    await using publisher = publish(clip("move", { seconds: 6, audio: "aac" }), nginx.rtmp("killed"));
    await using playing = new Playing(rtmp(nginx.rtmp("killed")));
    await playing.heard.until(() => playing.frames > 10);
    await publisher.kill9();
    expect(await playing.ended).toMatchObject({ code: "STREAM_ENDED" });
  });
});

describe.skipIf(needsClips())("node-media-server", () => {
  let nms: Nms;
  beforeAll(async () => {
    nms = await startNms();
  });
  afterAll(async () => await nms[Symbol.asyncDispose]());

  test("over RTMP and HTTP-FLV alike, read in batches, what is played is the clip", async () => {
    const path = clip("move", { seconds: 3, audio: "aac" });
    const facts = factsInFlv(path);
    await using both = new Playing(gathered(rtmp(nms.rtmp("whole"))), 1);
    await using other = new Playing(gathered(flv(nms.flv("whole"))), 1);
    for (const { heard } of [both, other]) await heard.until(() => heard.steps.includes("playing"));
    await using _publisher = publish(path, nms.rtmp("whole"), { once: true });
    for (const playing of [both, other]) await playing.heard.until(() => playing.frames >= facts.frames);
    for (const playing of [both, other]) {
      isTheClip(playing, facts);
      const frames = playing.video?.frames ?? [];
      const batches = frames.filter(({ at }, i) => at - (frames[i - 1]?.at ?? 0) > 15);
      expect(batches.length).toBeLessThan(facts.frames / 2);
    }
  });

  test("a name nobody publishes is played over both, and not one frame comes", async () => {
    await using first = new Playing(rtmp(nms.rtmp("nobody")));
    await using second = new Playing(flv(nms.flv("nobody")));
    for (const { heard } of [first, second]) await heard.until(() => heard.steps.includes("playing"));
    await seconds(0.5);
    expect([...first.heard.tracks, ...second.heard.tracks]).toEqual([]);
  });

  test.each([
    ["RTMP", (name: string) => rtmp(nms.rtmp(name))],
    ["HTTP-FLV", (name: string) => flv(nms.flv(name))],
  ])("of a publisher that hangs the cached pictures come at once over %s, and then nothing", async (how, play) => {
    const name = how === "RTMP" ? "hangs" : "hangsFlv";
    await using publisher = publish(clip("move", { seconds: 6 }), nms.rtmp(name));
    await using before = new Playing(play(name));
    await before.heard.until(() => before.frames > 20);
    publisher.hang();
    await standing(() => before.frames);
    await using playing = new Playing(play(name));
    await playing.heard.until(() => playing.frames > 0);
    const cached = await standing(() => playing.frames);
    expect(playing.video?.keys).toBe(1);
    expect(cached).toBeGreaterThan(5);
    publisher.goOn();
    await playing.heard.until(() => playing.frames > cached);
  });

  test("H.265 as Enhanced RTMP says it goes through a server that knows it, to both", async () => {
    const path = clip("move", { codec: "h265", seconds: 3 });
    const facts = clipFacts(path);
    const { units, sets } = clipUnits(path, "h265");
    await using first = new Playing(rtmp(nms.rtmp("h265")), 1);
    await using second = new Playing(flv(nms.flv("h265")), 1);
    for (const { heard } of [first, second]) await heard.until(() => heard.steps.includes("playing"));
    const publishing = request(nms.flv("h265"), { method: "POST" });
    publishing.on("error", () => {});
    const head = (type: number): Buffer => Buffer.concat([Buffer.of(type), Buffer.from("hvc1")]);
    publishing.write(Buffer.concat([FLV_HEADER, flvTag(9, 0, Buffer.concat([head(0x90), hevcRecord(sets)]))]));
    units.forEach(({ nals, key }, i) => {
      publishing.write(flvTag(9, 40 * i, Buffer.concat([head(key ? 0x93 : 0xa3), sized(nals)])));
    });
    for (const playing of [first, second]) {
      await playing.heard.until(() => playing.frames >= units.length);
      expect(playing.video).toMatchObject({
        track: { codec: "H265" },
        formats: [{ width: facts.width, height: facts.height }],
        keys: facts.keyframes,
      });
      expect(playing.frames).toBe(facts.frames);
    }
    publishing.destroy();
  });

  test("a server that is killed ends both sessions", async () => {
    await using own = await startNms();
    const both = [new Playing(rtmp(own.rtmp("cam1"))), new Playing(flv(own.flv("cam1")))];
    for (const { heard } of both) await heard.until(() => heard.steps.includes("playing"));
    await own.child.kill9();
    for (const { ended } of both) expect(await ended).toMatchObject({ code: "STREAM_ENDED" });
  });
});
