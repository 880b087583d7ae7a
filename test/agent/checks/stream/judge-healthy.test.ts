import { expect, test } from "vitest";
import { Scene, type SceneOrder } from "../../../kit/stream/scene.ts";

/** Half an hour of each kind of healthy stream, in hand-wound time: nothing is said against it. */

const KINDS: Record<string, SceneOrder> = {
  "moving, 25 frames a second": {},
  "with sound, expected": { audio: true, judge: { expect: { audio: true, fps: 25, width: 1920, height: 1080 } } },
  "jitter of 400 ms": { jitterMs: 400 },
  "a still scene of a sensor with a QP floor": { deltaBytes: 150, keyBytes: 60_000 },
  "a still scene, a GOP of 10 s": { gop: 250, deltaBytes: 150, jitterMs: 50 },
  "5 frames a second": { fps: 5, gop: 10, jitterMs: 100 },
  "a presentation of 1 frame a second": {
    fps: 1,
    gop: 10,
    deltaBytes: 60,
    judge: { streamClass: "presentation", expect: { fps: 1 } },
  },
  "1 frame a second, a camera": { fps: 1, gop: 5, jitterMs: 300 },
  "a frame every 2 s": { fps: 0.5, gop: 5 },
  "a GOP of 10 s": { gop: 250, jitterMs: 50 },
  "a variable frame rate": { vfr: true, jitterMs: 50 },
  "a variable frame rate at 10 a second, expected by nobody": { vfr: true, fps: 10, gop: 20 },
  "B-frames": { bFrames: 3, jitterMs: 50 },
  "H.265": { codec: "H265", judge: { expect: { codec: "H265" } } },
  narrowband: { fps: 10, gop: 50, keyBytes: 9_000, deltaBytes: 900, judge: { streamClass: "narrowband" } },
  "every frame a keyframe": { gop: 1, codec: "MJPEG" },
  "segments of 6 s, paced": { everyMs: 6_000, jitterMs: 100 },
  "50 frames a second": { fps: 50, gop: 100, jitterMs: 30 },
  "stamps that begin near the end of 32 bits, unwrapped": { stamp0: 2 ** 32 - 90_000 * 300 },
  "10 s out of a cache first": { cachedS: 10, gop: 250 },
};

test.each(Object.entries(KINDS))("%s: no alarm in 30 minutes, and ok within a moment", (_kind, order) => {
  const scene = new Scene(order);
  scene.run(1_800);
  expect(scene.reasons()).toEqual([]);
  expect(scene.states()).toEqual(["unknown", "ok"]);
  const first = scene.seen.find(({ conclusion }) => conclusion.state === "ok");
  const most = Math.max(12, 12 / (order.fps ?? 25), 3 * ((order.everyMs ?? 0) / 1000)) * 1000;
  expect(first?.at).toBeLessThan(most + 1_000);
});

test("while no second keyframe came a stream that lives says so", () => {
  const scene = new Scene({ gop: 250 });
  scene.run(9);
  expect(scene.seen.at(-1)?.conclusion).toMatchObject({
    state: "ok",
    says: expect.stringMatching(/one keyframe so far$/),
  });
  scene.run(9);
  expect(scene.seen.at(-1)?.conclusion.says).not.toMatch(/keyframe/);
});

test("a scene that moves, stands still for a while and moves again: the size of its keyframes tells that it is still", () => {
  const scene = new Scene({ jitterMs: 50 });
  for (let i = 0; i < 10; i += 1) {
    scene.traffic.faults.deltaPart = i % 2 === 0 ? 1 : 0.02;
    scene.run(180);
  }
  expect(scene.reasons()).toEqual([]);
});

test("short stalls of the way, under 2 s and caught up at once, are nothing", () => {
  const scene = new Scene({ jitterMs: 20 });
  scene.run(30);
  for (let i = 0; i < 60; i += 1) {
    scene.run(13);
    // what was made meanwhile comes all at once
    const { traffic, meter } = scene;
    scene.now += 1_500;
    scene.look(meter.figures(scene.now));
    traffic.playTo(scene.now);
    scene.look(meter.figures(scene.now));
  }
  expect(scene.reasons()).toEqual([]);
});

test("the terminal's clock set back an hour and forth again changes nothing", () => {
  const scene = new Scene();
  let wall = Date.UTC(2026, 5, 1);
  let ntp = wall + 40;
  const report = (): void => {
    scene.run(5);
    wall += 5_000;
    ntp += 5_000;
    scene.meter.senderClock(0, ntp, 0, wall);
  };
  for (let i = 0; i < 20; i += 1) report();
  expect(scene.figures().tracks[0]?.clockSkewMs).toBeCloseTo(40);
  wall -= 3_600_000;
  for (let i = 0; i < 200; i += 1) report();
  wall += 3_600_000;
  for (let i = 0; i < 20; i += 1) report();
  expect(scene.reasons()).toEqual([]);
  expect(scene.figures().tracks[0]?.clockSkewMs).toBeCloseTo(40);
});

test("a source whose clock is 5 s off is told of, unless ours is not to be trusted", () => {
  for (const clockTrusted of [true, false]) {
    const scene = new Scene({ judge: { clockTrusted } });
    let wall = Date.UTC(2026, 5, 1);
    for (let i = 0; i < 6; i += 1) {
      scene.run(5);
      wall += 5_000;
      scene.meter.senderClock(0, wall - 5_000, 0, wall);
    }
    scene.run(2);
    expect(scene.reasons()).toEqual(clockTrusted ? ["clock"] : []);
    if (clockTrusted)
      expect(scene.conclusion).toMatchObject({ severity: "warning", hop: "encoder", value: -5_000, unit: "ms" });
  }
});

test("pieces of 6 s that come up to 5 s late are still a stream without a pause", () => {
  const scene = new Scene({ everyMs: 6_000 });
  scene.run(60);
  for (let i = 0; i < 10; i += 1) {
    scene.traffic.faults.videoStops = true;
    scene.run(5);
    scene.traffic.faults.videoStops = false;
    scene.run(55);
  }
  expect(scene.states()).toEqual(["unknown", "ok"]);
});
