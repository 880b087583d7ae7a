import { describe, expect, test } from "vitest";
import { Album } from "../../../../agent/checks/stream/album.ts";
import { Learner } from "../../../../agent/checks/stream/learn.ts";
import type { Keyframe } from "../../../../agent/checks/stream/media.ts";
import type { Thumbnail } from "../../../../agent/checks/stream/picture.ts";
import { Pictures } from "../../../../agent/checks/stream/pictures.ts";
import { folderAt } from "../../../../platform/files.ts";
import { Failure } from "../../../../protocol/failure.ts";
import { HandClock } from "../../../kit/hand-clock.ts";
import { tempFolder } from "../../../kit/temp.ts";

const KEY: Keyframe = { format: "h264", bytes: new Uint8Array(1_000) };
const black = () => new Uint8Array(160 * 90).fill(4);
let seed = 0;
const noise = () => {
  seed += 1;
  return Uint8Array.from({ length: 160 * 90 }, (_, i) => (i * 7919 + seed * 104_729) % 251);
};

/** A stream with a keyframe every 2 s, and a decoder that takes `tookMs`. */
function rig(everyMs = 60_000) {
  const clock = new HandClock();
  const state = {
    grey: noise as () => Uint8Array,
    fails: undefined as Failure | undefined,
    made: [] as number[],
    atOnce: 0,
    most: 0,
    signal: undefined as AbortSignal | undefined,
  };
  const learner = new Learner();
  const pictures = new Pictures({
    ...{ clock, everyMs, random: () => 0.5, streamClass: "camera", learner },
    make: async (keyframe, at, signal): Promise<Thumbnail> => {
      state.signal = signal;
      state.made.push(at);
      state.atOnce += 1;
      state.most = Math.max(state.most, state.atOnce);
      await clock.sleep(1_000);
      state.atOnce -= 1;
      if (state.fails !== undefined) throw state.fails;
      return { at, keySize: keyframe.bytes.length, grey: state.grey() };
    },
  });
  const watch = async (seconds: number): Promise<void> => {
    for (let i = 0; i < seconds; i += 2) {
      if (pictures.wants()) pictures.take(KEY);
      pictures.take(KEY); // one that nobody wanted
      await clock.wind(2_000);
    }
  };
  return { clock, state, pictures, learner, watch };
}

describe("pictures of a stream", () => {
  test("are made one at a time, and at their pace once the picture is seen to live", async () => {
    const { state, pictures, watch } = rig();
    await watch(20);
    expect(pictures.view(undefined).state).toBe("live");
    const before = state.made.length;
    await watch(600);
    expect(state.made.length - before).toBeGreaterThanOrEqual(9);
    expect(state.made.length - before).toBeLessThanOrEqual(10);
    expect(state.most).toBe(1);
  });

  test("that are black are confirmed within seconds of the first, not within minutes", async () => {
    const { clock, state, pictures, watch } = rig();
    await watch(120);
    state.grey = black;
    const since = clock.now();
    while (pictures.view(undefined).state !== "black") await watch(2);
    expect(clock.now() - since).toBeLessThan(60_000 + 20_000);
    const before = state.made.length;
    await watch(600); // a dark night must not cost more for ever
    expect(state.made.length - before).toBeLessThanOrEqual(14);
  });

  test("that stood still and moved again teach how long that may last; the pace is quick again at each change", async () => {
    const { clock, state, pictures, learner, watch } = rig();
    await watch(120);
    const page = noise();
    state.grey = () => page;
    const since = clock.now();
    while (pictures.view(undefined).state !== "still") await watch(2);
    expect(clock.now() - since).toBeLessThan(2 * 60_000 + 20_000);
    await watch(600);
    state.grey = noise;
    await watch(120);
    expect(learner.longestStillMs(clock.wall())).toBeGreaterThan(500_000);
    state.grey = () => page;
    const again = clock.now();
    while (pictures.view(undefined).state !== "still") await watch(2);
    expect(clock.now() - again).toBeLessThan(2 * 60_000 + 20_000);
  });

  test("are given up when the stream is closed: the decoder hears of it", async () => {
    const { state, pictures, watch } = rig();
    await watch(4);
    expect(state.signal?.aborted).toBe(false);
    pictures.close();
    expect(state.signal?.aborted).toBe(true);
  });

  test("without a decoder are unknown, with the reason", async () => {
    const { state, pictures, watch } = rig();
    state.fails = new Failure("PICTURE_DECODER", "no ffmpeg on this device");
    await watch(60);
    expect(pictures.view(undefined)).toMatchObject({ state: "unknown", says: "no ffmpeg on this device" });
  });
});

test("pictures of a fault stay on the device, two of them, once an hour, and only where the picture is at fault", async () => {
  using folder = tempFolder("vigil-album");
  const clock = new HandClock();
  const shots = [0, 1].map((at): Thumbnail => ({ at, keySize: 1, grey: black() }));
  let asked = 0;
  const evidence = () => {
    asked += 1;
    return shots;
  };
  const album = new Album("主码流 1", { evidence }, folderAt(folder.path), clock);
  album.heard({ state: "no_media", reason: "no_media", says: "" });
  expect(asked).toBe(0);
  album.heard({ state: "black", reason: "black", says: "" });
  await clock.wind(60_000);
  album.heard({ state: "black", reason: "black", says: "" });
  expect(asked).toBe(1);
  await clock.wind(3_600_000);
  album.heard({ state: "frozen", reason: "frozen", says: "" });
  expect(asked).toBe(2);
});
