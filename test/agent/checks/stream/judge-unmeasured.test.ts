import { describe, expect, test } from "vitest";
import type { PictureView } from "../../../../agent/checks/stream/picture.ts";
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

test("an alarm kept over a restart is held over a still picture, too: it takes long to prove that one frozen", () => {
  const scene = new Scene({ gop: 250 });
  scene.told = { picture: view("still", "motion") };
  scene.run(200);
  expect(scene.conclusion).toMatchObject({ state: "still", holds: "critical" });
  expect(scene.run(120).conclusion?.holds).toBeUndefined();
});
