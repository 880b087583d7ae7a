import { expect, test } from "vitest";
import type { Reason } from "../../../../agent/checks/stream/conclusion.ts";
import { Failure } from "../../../../protocol/failure.ts";
import { Scene, type SceneOrder } from "../../../kit/stream/scene.ts";
import type { TrafficFaults } from "../../../kit/stream/traffic.ts";

/** The faults of the acceptance list, each on a made-up stream in hand-wound time. */

interface Row {
  fault: string;
  order?: SceneOrder;
  set: Partial<TrafficFaults>;
  /** What heals it, where it is not just the fault's end. */
  reason: Reason;
  hop: string;
  withinS: number;
}

const usual: SceneOrder = { jitterMs: 60, audio: true, judge: { expect: { fps: 25 } } };
const ROWS: Row[] = [
  {
    fault: "video stops, audio runs on",
    order: usual,
    set: { videoStops: true },
    reason: "no_video",
    hop: "encoder",
    withinS: 5,
  },
  {
    fault: "everything stops",
    order: usual,
    set: { videoStops: true, audioStops: true },
    reason: "no_media",
    hop: "encoder",
    withinS: 5,
  },
  {
    fault: "RTCP alone goes on",
    order: { judge: { expect: { fps: 25 } } },
    set: { videoStops: true },
    reason: "no_media",
    hop: "encoder",
    withinS: 5,
  },
  { fault: "stamps stand", order: usual, set: { stampsStand: true }, reason: "timestamp", hop: "encoder", withinS: 5 },
  { fault: "no keyframes", order: usual, set: { noKeys: true }, reason: "keyframe", hop: "encoder", withinS: 8 },
  {
    fault: "no keyframes, GOP of 10 s",
    order: { ...usual, gop: 250 },
    set: { noKeys: true },
    reason: "keyframe",
    hop: "encoder",
    withinS: 32,
  },
  {
    fault: "2000 to 150 kbit/s",
    order: usual,
    set: { keyPart: 0.075, deltaPart: 0.075 },
    reason: "bitrate",
    hop: "encoder",
    withinS: 10,
  },
  { fault: "5 % loss", order: usual, set: { loss: 0.05 }, reason: "loss", hop: "network", withinS: 10 },
  { fault: "20 % loss", order: usual, set: { loss: 0.2 }, reason: "loss", hop: "network", withinS: 10 },
  { fault: "narrow way", order: usual, set: { slow: 4, clock: 1 }, reason: "timestamp", hop: "network", withinS: 10 },
  {
    fault: "a way that is a little too narrow",
    order: usual,
    set: { slow: 1.8 },
    reason: "timestamp",
    hop: "network",
    withinS: 10,
  },
  { fault: "stamps too fast", order: usual, set: { clock: 2.5 }, reason: "timestamp", hop: "encoder", withinS: 5 },
  {
    fault: "half of the expected frames",
    order: usual,
    set: { framePart: 0.4 },
    reason: "fps",
    hop: "encoder",
    withinS: 10,
  },
  {
    fault: "sound stops",
    order: { ...usual, judge: { expect: { audio: true, fps: 25 } } },
    set: { audioStops: true },
    reason: "no_audio",
    hop: "encoder",
    withinS: 5,
  },
];

test.each(ROWS)("$fault: $reason at the $hop within $withinS s, cleared within 15 s, one cause", (row) => {
  for (const lastsS of [10, 40]) {
    const scene = new Scene(row.order ?? {});
    scene.run(60);
    expect(scene.conclusion?.state, `${lastsS}`).toBe("ok");
    expect(scene.reasons()).toEqual([]);
    const healthy = { ...scene.traffic.faults };
    const begunAt = scene.now;
    Object.assign(scene.traffic.faults, row.set);
    expect(scene.until(({ reason }) => reason !== undefined, 40)).toBeLessThanOrEqual(row.withinS);
    scene.run(Math.max(0, lastsS - (scene.now - begunAt) / 1000));
    expect(scene.conclusion).toMatchObject({ reason: row.reason, hop: row.hop });
    expect(scene.conclusion?.says).toMatch(/\d/);
    Object.assign(scene.traffic.faults, healthy);
    expect(scene.until(({ state }) => state === "ok", 40)).toBeLessThanOrEqual(15);
    scene.run(60);
    expect(scene.conclusion?.state).toBe("ok");
    expect(scene.reasons(begunAt)).toEqual([row.reason]);
  }
});

test("a silence of over 10 s is as bad as a dead stream, and a shorter one is a grade milder", () => {
  const scene = new Scene();
  scene.run(20);
  scene.traffic.faults.videoStops = true;
  scene.run(5);
  expect(scene.conclusion).toMatchObject({ state: "no_media", severity: "minor" });
  scene.run(6);
  expect(scene.conclusion).toMatchObject({ state: "no_media", severity: "major" });
});

test("a GOP out of a cache and then silence is never ok", () => {
  const scene = new Scene({ cachedS: 4 });
  scene.traffic.faults.videoStops = true;
  const dead = new Scene({ cachedS: 4 });
  dead.traffic.playTo(dead.now + 1_000);
  dead.traffic.faults.videoStops = true;
  dead.run(30);
  scene.run(30);
  for (const { states, reasons } of [
    { states: scene.states(), reasons: scene.reasons() },
    { states: dead.states(), reasons: dead.reasons() },
  ]) {
    expect(states).toEqual(["unknown", "no_media"]);
    expect(reasons).toEqual(["no_media"]);
  }
});

test("a GOP out of a cache and then a live stream is ok, and nothing is said against it", () => {
  const scene = new Scene({ cachedS: 10 });
  scene.run(90);
  expect(scene.states()).toEqual(["unknown", "ok"]);
});

test("sound alone is no video", () => {
  const scene = new Scene({ audio: true });
  scene.traffic.faults.videoStops = true;
  scene.run(20);
  expect(scene.states()).toEqual(["unknown", "no_video"]);
});

test("another size or codec than expected is told at once, with both", () => {
  const scene = new Scene({ judge: { expect: { width: 1920, height: 1080, codec: "H264" } } });
  scene.run(20);
  expect(scene.conclusion?.state).toBe("ok");
  scene.traffic.resize(640, 360);
  expect(scene.until(({ reason }) => reason === "resolution", 10)).toBeLessThanOrEqual(2);
  expect(scene.conclusion?.says).toContain("640x360, not 1920x1080");
  const other = new Scene({ codec: "H265", judge: { expect: { codec: "H264" } } });
  other.run(5);
  expect(other.conclusion).toMatchObject({ reason: "codec", says: "the codec is H265, not H264" });
});

test("another size than was learnt is no fault while none is expected, and its rates are learnt anew", () => {
  const scene = new Scene();
  scene.run(60);
  scene.traffic.resize(640, 360);
  Object.assign(scene.traffic.faults, { keyPart: 0.1, deltaPart: 0.1 });
  scene.run(60);
  expect(scene.reasons()).toEqual([]);
  expect(scene.learner.learnt).toMatchObject({ width: 640, height: 360 });
  expect(scene.learner.learnt.kbps).toBeLessThan(300);
});

test("a leap of the stamps is counted once, warned of, and over soon", () => {
  for (const ms of [3_600_000, -3_600_000, 5_000, -5_000]) {
    const scene = new Scene();
    scene.run(90);
    scene.traffic.leap(ms);
    expect(scene.until(({ reason }) => reason === "timestamp", 10)).toBeLessThanOrEqual(1);
    expect(scene.conclusion?.severity).toBe("warning");
    expect(scene.until(({ state }) => state === "ok", 30)).toBeLessThanOrEqual(15);
    expect(scene.figures().tracks[0]?.jumps).toBe(1);
    scene.run(90);
    expect(scene.reasons()).toEqual(["timestamp"]);
  }
});

test("a clock that runs at 0.9 is warned of, from a minute on", () => {
  const scene = new Scene({ jitterMs: 60 });
  scene.traffic.faults.clock = 0.9;
  scene.run(180);
  expect(scene.reasons()).toEqual(["timestamp"]);
  expect(scene.conclusion).toMatchObject({ severity: "warning", hop: "encoder" });
  expect(scene.conclusion?.says).toMatch(/0\.(899|900|901) of the clock's rate over 60 s/);
});

test("stamps that lag by less than they warn at once raised must come further back to be well", () => {
  const scene = new Scene();
  scene.traffic.faults.clock = 0.965;
  scene.run(100);
  expect(scene.conclusion?.reason).toBe("timestamp");
  scene.traffic.faults.clock = 0.974;
  scene.run(200);
  expect(scene.conclusion?.reason).toBe("timestamp");
  const other = new Scene();
  other.traffic.faults.clock = 0.974;
  other.run(200);
  expect(other.conclusion?.state).toBe("ok");
});

const failure = (code: ConstructorParameters<typeof Failure>[0], facts: Failure["facts"] = {}) =>
  new Failure(code, "what happened", { facts });

test("a killed server that comes back is one cause: what the next try says, not that it ended", () => {
  const scene = new Scene();
  scene.run(30);
  const begunAt = scene.now;
  expect(scene.look(undefined, { failure: failure("STREAM_ENDED") }).state).toBe("unknown");
  scene.now += 700;
  expect(scene.look(undefined, { failure: failure("DIAL_REFUSED") })).toMatchObject({
    reason: "refused",
    hop: "encoder",
    severity: "major",
  });
  scene.now += 3_000;
  scene.newSession();
  scene.traffic.faults.videoStops = true;
  scene.run(5);
  scene.traffic.faults.videoStops = false;
  expect(scene.until(({ state }) => state === "ok", 30)).toBeLessThanOrEqual(15);
  expect(scene.reasons(begunAt)).toEqual(["refused"]);
});

test("a session that ended is told as such when the next one does not play within 1.5 s, and forgotten when it does", () => {
  const scene = new Scene();
  scene.run(30);
  scene.look(undefined, { failure: failure("STREAM_ENDED") });
  scene.now += 1_000;
  expect(scene.look({ at: scene.now, ageMs: 500, warmingUp: true, steps: {}, tracks: [], odd: {} }).state).toBe(
    "unknown",
  );
  scene.now += 1_000;
  expect(scene.look({ at: scene.now, ageMs: 1500, warmingUp: true, steps: {}, tracks: [], odd: {} })).toMatchObject({
    reason: "ended",
    state: "no_media",
  });
  const other = new Scene();
  other.run(30);
  other.look(undefined, { failure: failure("STREAM_ENDED") });
  other.now += 700;
  other.newSession();
  other.run(60);
  expect(other.reasons()).toEqual([]);
  expect(other.states()).toEqual(["unknown", "ok", "unknown", "ok"]);
});

test("a stream that ends again and again is told, though each failure is told once only", () => {
  const scene = new Scene();
  for (let i = 0; i < 5; i += 1) {
    scene.look(undefined, { failure: failure("STREAM_ENDED") });
    scene.now += 800;
  }
  expect(scene.conclusion?.reason).toBe("ended");
});

test("a dead stream keeps its first cause for 20 s, takes a deeper one then, and looks for the hop where that lies", () => {
  const scene = new Scene();
  scene.run(30);
  scene.traffic.faults.videoStops = true;
  scene.run(10);
  for (let i = 0; i < 15; i += 1) {
    scene.now += 1_000;
    scene.look(undefined, { failure: failure("DIAL_UNREACHABLE") });
  }
  expect(scene.conclusion).toMatchObject({ reason: "no_media", hop: "network" });
  scene.now += 10_000;
  expect(scene.look(undefined, { failure: failure("DIAL_UNREACHABLE") })).toMatchObject({ reason: "unreachable" });
});

test("a refused password takes over at once: it needs a person", () => {
  const scene = new Scene();
  scene.run(30);
  scene.traffic.faults.videoStops = true;
  scene.run(10);
  expect(scene.look(undefined, { failure: failure("STREAM_AUTH", { status: 401 }) })).toMatchObject({
    reason: "auth",
    state: "auth",
  });
});

test("after a restart of the agent in a fault nothing is ok before it is proven, and the same fault is found again", () => {
  const scene = new Scene({ jitterMs: 60 });
  scene.run(60);
  scene.traffic.faults.noKeys = true;
  scene.run(20);
  expect(scene.conclusion?.reason).toBe("keyframe");
  const learnt = scene.learner.save(scene.now);
  const restartedAt = scene.now;
  const after = new Scene({ jitterMs: 60, learnt });
  after.traffic.faults.noKeys = true;
  after.run(60);
  expect(after.states()).toEqual(["unknown", "degraded"]);
  expect(after.reasons()).toEqual(["keyframe"]);
  expect(restartedAt).toBeGreaterThan(0);
});

test("an alarm kept over a restart is held till a stream that lives was seen for 20 s, and till its picture was", () => {
  const scene = new Scene();
  scene.run(10);
  expect(scene.conclusion).toMatchObject({ state: "ok", holds: "critical" });
  scene.run(30);
  expect(scene.conclusion).not.toHaveProperty("holds");
  const dark = new Scene({ judge: { picture: { state: "unknown", says: "1 of 3 looks", readings: {} } } });
  dark.run(100);
  expect(dark.conclusion).toMatchObject({ state: "ok", holds: "critical" });
  dark.told = { picture: { state: "black", by: "dark", says: "mean 4, deviation 1", readings: {} } };
  dark.run(2);
  expect(dark.conclusion?.reason).toBe("black");
  dark.told = { picture: { state: "live", says: "moves", readings: {} } };
  dark.run(1);
  expect(dark.conclusion).not.toHaveProperty("holds");
});
