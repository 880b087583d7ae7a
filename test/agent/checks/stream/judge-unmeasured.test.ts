import { describe, expect, test } from "vitest";
import type { PictureView } from "../../../../agent/checks/stream/picture.ts";
import { Failure } from "../../../../protocol/failure.ts";
import { Scene } from "../../../kit/stream/scene.ts";

/** A new session proves within seconds that the stream lives, long before it shows whether what was wrong with it still is. */

const view = (state: PictureView["state"], by?: PictureView["by"]): PictureView => ({
  state,
  ...(by === undefined ? {} : { by }),
  says: `it is ${state}`,
  readings: {},
});
const WALL = Date.UTC(2026, 10, 22);
const report = (scene: Scene, skewMs: number): void =>
  scene.meter.senderClock(0, WALL + scene.now + skewMs, 0, WALL + scene.now);

describe("a fault stands over a new session till what showed it is measured anew", () => {
  test("the source's clock, by its next reports", () => {
    const scene = new Scene();
    for (let i = 0; i < 4; i += 1) {
      scene.run(5);
      report(scene, 5_000);
    }
    expect(scene.run(1).conclusion?.reason).toBe("clock");
    scene.newSession();
    const at = scene.now;
    scene.run(12);
    report(scene, 5_000);
    scene.run(5);
    report(scene, 5_000);
    scene.run(5);
    expect(scene.reasons(at)).toEqual(["clock"]);
    expect(scene.states(at)).toEqual(["degraded"]);
    scene.newSession();
    for (let i = 0; i < 3; i += 1) {
      scene.run(5);
      report(scene, 0);
    }
    expect(scene.run(1).conclusion?.state).toBe("ok");
  });

  test("not for ever: a source that reports no more is well after a minute", () => {
    const scene = new Scene();
    for (let i = 0; i < 4; i += 1) {
      scene.run(5);
      report(scene, 5_000);
    }
    scene.newSession();
    expect(scene.run(50).conclusion?.reason).toBe("clock");
    expect(scene.run(20).conclusion?.state).toBe("ok");
  });

  test("a low bit rate, by a whole GOP", () => {
    const scene = new Scene({ gop: 150 }).run(60);
    scene.traffic.faults.deltaPart = 0.1;
    scene.traffic.faults.keyPart = 0.1;
    expect(scene.until(({ reason }) => reason === "bitrate", 30)).toBeLessThan(30);
    const at = scene.now;
    scene.newSession();
    scene.traffic.faults.deltaPart = 0.1;
    scene.traffic.faults.keyPart = 0.1;
    scene.run(30);
    expect(scene.states(at)).toEqual(["degraded"]);
  });

  test("a picture frozen by its sizes, by as many keyframes as prove it", () => {
    const scene = new Scene({ gop: 100 });
    scene.told = { picture: view("live", "motion") };
    scene.run(20);
    scene.told = { picture: view("frozen", "sizes") };
    scene.run(5);
    scene.newSession();
    const at = scene.now;
    scene.told = { picture: view("still", "motion") };
    scene.run(11); // three keyframes of a GOP of 4 s
    scene.told = { picture: view("frozen", "sizes") };
    scene.run(5);
    expect(scene.states(at)).toEqual(["frozen"]);
    scene.newSession();
    scene.told = { picture: view("still", "motion") };
    expect(scene.run(25).conclusion?.state).toBe("still");
  });
});

describe("a picture that nobody can look at any more", () => {
  test.each(["black", "frozen", "suspect"] as const)("is no recovery of one that was %s", (state) => {
    const scene = new Scene();
    scene.told = { picture: view("live", "motion") };
    scene.run(20);
    scene.told = { picture: view(state, "dark") };
    const fault = scene.run(5).conclusion;
    expect(fault?.reason).toBe(state);
    scene.told = { picture: view("unknown") };
    const at = scene.now;
    scene.run(300);
    expect(scene.reasons(at)).toEqual([state]);
    expect(scene.states(at)).toEqual([fault?.state]);
    scene.told = { picture: view("live", "motion") };
    expect(scene.run(2).conclusion?.state).toBe("ok");
  });
});

test("after two hours without a picture it is not known any more, and no fault", () => {
  const scene = new Scene();
  scene.told = { picture: view("frozen", "osd") };
  scene.run(20);
  scene.told = { picture: view("unknown") };
  scene.newSession();
  expect(scene.run(10).conclusion?.reason).toBe("frozen");
  scene.now += 7_200_000;
  scene.newSession();
  expect(scene.run(10).conclusion?.state).toBe("ok");
});

test("an alarm kept over a restart is held over a still picture, too: it takes long to prove that one frozen", () => {
  const scene = new Scene({ gop: 250 });
  scene.told = { picture: view("still", "motion") };
  scene.run(200);
  expect(scene.conclusion).toMatchObject({ state: "still", holds: "critical" });
  expect(scene.run(120).conclusion?.holds).toBeUndefined();
});

test("a milder reason that waits for its turn does not move the fault to another hop", () => {
  const scene = new Scene({ judge: { answers: "forwarder" } }).run(20);
  const hung = new Failure("DIAL_UNREACHABLE", "no route to 10.0.0.5");
  scene.look(undefined, { failure: hung });
  expect(scene.conclusion).toMatchObject({ reason: "unreachable", hop: "network" });
  scene.newSession();
  scene.traffic.faults.videoStops = true;
  scene.run(10);
  expect(scene.conclusion).toMatchObject({ reason: "unreachable", hop: "network" });
  expect(scene.run(40).conclusion).toMatchObject({ reason: "no_media", hop: "encoder" });
});

test("bytes of which no frame gets whole are no video, and said to be so", () => {
  const scene = new Scene().run(20);
  scene.traffic.faults.videoStops = true;
  for (let i = 0; i < 12; i += 1) {
    scene.meter.bytes(0, 1_400, scene.now);
    scene.run(0.5);
  }
  expect(scene.conclusion).toMatchObject({ state: "no_video", reason: "no_video" });
  expect(scene.conclusion?.says).toContain("though bytes come: no frame gets whole");
});

test("a rate is not low before a whole GOP was seen of it: the first second of one may hold no keyframe", () => {
  const learnt = new Scene().run(120).learner;
  const scene = new Scene({ gop: 500, keyBytes: 4_000, deltaBytes: 100, learnt: learnt.save(0) });
  scene.run(5); // then the missing keyframe is told
  expect(scene.reasons()).toEqual([]);
});

test("what an earlier failure said stays till the session that plays proves something", () => {
  const scene = new Scene().run(20);
  scene.newSession();
  scene.traffic.faults.videoStops = true;
  const failure = new Failure("DIAL_REFUSED", "nothing listens there");
  expect(scene.look(scene.figures(), { failure })).toMatchObject({ reason: "refused" });
});

test("counters that fall far under what is usual are a low bit rate", () => {
  const scene = new Scene().run(120);
  const facts = (at: number, inBytes: number) => ({ at, inBytes, says: `${inBytes} bytes in` });
  const kbps = (rate: number) => ({ passive: { before: facts(0, 0), now: facts(8_000, rate * 1_000) } });
  scene.restart();
  expect(scene.look(undefined, kbps(1_800))).toMatchObject({ state: "ok" });
  expect(scene.look(undefined, kbps(200))).toMatchObject({ reason: "bitrate", value: 200, unit: "kbps" });
});
