import { describe, expect, test } from "vitest";
import { hopOf } from "../../../../agent/checks/stream/hop.ts";
import { conclude } from "../../../../agent/checks/stream/judge.ts";
import { Learner } from "../../../../agent/checks/stream/learn.ts";
import type { PictureView, Thumbnail } from "../../../../agent/checks/stream/picture.ts";
import { Pictures } from "../../../../agent/checks/stream/pictures.ts";
import { Scout } from "../../../../agent/checks/stream/scout.ts";
import { Failure } from "../../../../protocol/failure.ts";
import { HandClock } from "../../../kit/hand-clock.ts";
import { Scene } from "../../../kit/stream/scene.ts";

/** What real servers taught (npm run test:streams), in hand-wound time. */

const view = (more: Partial<PictureView>): PictureView => ({ state: "live", says: "it moves", readings: {}, ...more });

test("sound that stops with the video does not run on, though its last packet came a moment later", () => {
  const scene = new Scene({ audio: true }).run(12);
  scene.traffic.faults.videoStops = true;
  scene.run(0.5);
  scene.traffic.faults.audioStops = true;
  scene.run(30);
  expect(scene.reasons()).toEqual(["no_media"]);
});

describe("a bit rate that falls", () => {
  /** What is said from the fall on, with this picture. */
  const fallen = (picture: PictureView, seconds: number): string[] => {
    const scene = new Scene({ judge: { picture: view({}) } }).run(20);
    Object.assign(scene.traffic.faults, { keyPart: 0.075, deltaPart: 0.075 });
    scene.told = { ...scene.told, picture };
    return scene.run(seconds).reasons();
  };
  test("is told within 10 s while the picture moves", () => {
    expect(fallen(view({}), 9.5)).toEqual(["bitrate"]);
  });
  test("is explained by a picture in which hardly anything moves", () => {
    expect(fallen(view({ resting: true }), 120)).toEqual([]);
  });
  test("waits longer for a picture that grows dark, but not for ever", () => {
    expect(fallen(view({ darkening: true }), 15)).toEqual([]);
    expect(fallen(view({ darkening: true }), 40)).toEqual(["bitrate"]);
  });
});

describe("a way that is too narrow", () => {
  test("stays the cause, at the network, while what was late comes in a rush, and where it stops altogether for a while", () => {
    const scene = new Scene({ judge: { expect: { fps: 25 } } }).run(15);
    scene.traffic.faults.slow = 4;
    scene.run(12);
    expect(scene.conclusion).toMatchObject({ reason: "timestamp", hop: "network" });
    scene.traffic.faults.videoStops = true;
    scene.run(8);
    Object.assign(scene.traffic.faults, { videoStops: false, slow: 1 });
    scene.run(60);
    expect(scene.reasons()).toEqual(["timestamp"]);
    expect(new Set(scene.seen.flatMap(({ conclusion }) => conclusion.hop ?? []))).toEqual(new Set(["network"]));
    expect(scene.conclusion?.state).toBe("ok");
  });
  test("gives what was late in a rush when it is free again, and that is no fault of its own", () => {
    const scene = new Scene().run(15);
    scene.traffic.faults.slow = 1.9;
    scene.run(20);
    scene.traffic.faults.slow = 1 / 4;
    scene.run(3);
    scene.traffic.faults.slow = 1;
    expect(scene.run(30).reasons()).toEqual([]);
  });
  test("is not what stamps are that run ahead of the clock from the beginning of it", () => {
    const scene = new Scene().run(15);
    scene.traffic.faults.clock = 3;
    expect(scene.run(8).conclusion).toMatchObject({ reason: "timestamp", hop: "encoder" });
  });
});

describe("where silence behind a forwarder lies", () => {
  test("at a forwarder that gives no counters when it is asked", () => {
    expect(hopOf("no_media", "forwarder", { forwarderSilent: true })).toBe("forwarder");
    expect(hopOf("no_media", "encoder", { forwarderSilent: true })).toBe("encoder");
  });
  test("is said anew between two sessions, when the counters were looked at", () => {
    const base = { expect: {}, streamClass: "camera", answers: "forwarder" } as const;
    const failure = new Failure("STREAM_ENDED", "stale", { facts: { how: "stale" } });
    const first = conclude({ ...base, at: 1_000, failure });
    expect(first).toMatchObject({ reason: "no_media", hop: "encoder" });
    const passive = { before: { at: 0, inBytes: 0, says: "" }, now: { at: 3_000, inBytes: 900_000, says: "" } };
    const figures = { at: 4_000, ageMs: 100, warmingUp: true, steps: {}, tracks: [], odd: {} };
    expect(conclude({ ...base, at: 4_000, figures, passive, before: first })).toMatchObject({
      reason: "no_media",
      hop: "forwarder",
    });
  });
  test("the scout tells that it gave none, and takes it back when it does", async () => {
    const clock = new HandClock();
    const went: object[] = [];
    let answers = false;
    const scout = new Scout({
      clock,
      look: async () => {
        if (!answers) throw new Failure("DIAL_TIMEOUT", "no answer");
        return { at: clock.now(), says: "" };
      },
      way: undefined,
      looked: () => {},
      went: (way) => went.push(way),
      standing: () => {},
    });
    scout.start();
    await clock.wind(5_000);
    expect(went).toEqual([]);
    scout.heard({ state: "no_media", reason: "no_media", says: "silent" });
    await clock.wind(4_000);
    expect(went.at(-1)).toMatchObject({ forwarderSilent: true });
    answers = true;
    await clock.wind(4_000);
    expect(went.at(-1)).toMatchObject({ forwarderSilent: false });
    scout.stop();
  });
});

test("statistics of SRT that stand are a source that is dead, not a server that hung up", () => {
  const failure = new Failure("STREAM_ENDED", "they stand", { facts: { how: "stats stand still" } });
  const base = { at: 9_000, expect: {}, streamClass: "camera", answers: "forwarder" } as const;
  expect(conclude({ ...base, failure })).toMatchObject({ reason: "no_media", hop: "encoder" });
});

test("a bit rate that fell has the next keyframes looked at, a few of them", async () => {
  const clock = new HandClock();
  const made: number[] = [];
  const pictures = new Pictures({
    ...{ clock, everyMs: 600_000, random: () => 0.5, streamClass: "camera", learner: new Learner() },
    make: async ({ bytes }, at): Promise<Thumbnail> => {
      made.push(at);
      const grey = Uint8Array.from({ length: 160 * 90 }, (_, i) => (i * 7_919 + made.length * 104_729) % 251);
      return { at, keySize: bytes.length, grey };
    },
  });
  const watch = async (seconds: number): Promise<number> => {
    const before = made.length;
    for (let i = 0; i < seconds; i += 2) {
      pictures.take({ format: "h264", bytes: new Uint8Array(1_000) });
      await clock.wind(2_000);
    }
    return made.length - before;
  };
  await watch(60);
  expect(await watch(60)).toBe(0);
  pictures.hurry(true);
  expect(await watch(4)).toBe(2);
  pictures.hurry(true);
  expect(await watch(120)).toBe(4);
  pictures.hurry(false);
  pictures.hurry(true);
  expect(await watch(4)).toBe(2);
});
