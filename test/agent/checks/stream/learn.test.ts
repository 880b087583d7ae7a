import fc from "fast-check";
import { expect, test } from "vitest";
import type { TrackFigures } from "../../../../agent/checks/stream/figures.ts";
import { Learner, NOTHING_LEARNT, readLearnt } from "../../../../agent/checks/stream/learn.ts";

const video = (more: Partial<TrackFigures> = {}): TrackFigures => ({
  kind: "video",
  codec: "H264",
  frames: 1_000,
  keyframes: 20,
  bytes: 1e6,
  fps: 25,
  kbps: 2_000,
  silentMs: 20,
  byteSilentMs: 10,
  gopMs: 2_000,
  gopFrames: 50,
  gopMostMs: 2_000,
  stuckMs: 0,
  jumps: 0,
  format: { codec: "H264", width: 1920, height: 1080 },
  keySizes: [60_000, 61_000, 59_000],
  deltaMedianBytes: 8_000,
  ...more,
});
const OK = { state: "ok", says: "" } as const;
const LOW = { state: "degraded", reason: "bitrate", hop: "encoder", severity: "minor", says: "" } as const;
const MINUTE = 60_000;

/** Teaches once a second. */
function teach(
  learner: Learner,
  fromS: number,
  forS: number,
  figures = video(),
  conclusion: Parameters<Learner["teach"]>[1] = OK,
) {
  for (let second = fromS; second < fromS + forS; second += 1) learner.teach(figures, conclusion, second * 1000);
}

test("ten seconds of health teach the first, medians shrug off what is odd, and a day moves it slowly", () => {
  const learner = new Learner();
  teach(learner, 0, 9);
  expect(learner.learnt.minutes).toBe(0);
  learner.teach(video({ kbps: 90_000, deltaMedianBytes: 1 }), OK, 9_000);
  expect(learner.learnt).toMatchObject({
    minutes: 1,
    kbps: 2_000,
    fps: 25,
    gopMs: 2_000,
    gopFrames: 50,
    gopMostMs: 2_000,
    keyBytes: 60_000,
    deltaBytes: 8_000,
    codec: "H264",
    width: 1920,
    height: 1080,
  });
  teach(learner, 10, 5 * 3_600);
  teach(learner, 6 * 3_600, 600, video({ kbps: 1_000 }));
  expect(learner.learnt.kbps).toBeGreaterThan(1_900);
  expect(learner.learnt.kbpsLeast).toBe(1_000);
});

test("nothing is learnt of a sick stream, nor of one whose GOP is not known yet", () => {
  const learner = new Learner();
  teach(learner, 0, 100, video(), { state: "degraded", reason: "loss", hop: "network", severity: "minor", says: "" });
  teach(learner, 100, 100, video(), { state: "unknown", says: "" });
  const { gopMs: _none, ...young } = video();
  teach(learner, 200, 100, young);
  expect(learner.learnt.minutes).toBe(0);
});

test("looks come as often as they like; one a second counts", () => {
  const learner = new Learner();
  for (let i = 0; i < 100; i += 1) learner.teach(video(), OK, i * 10);
  expect(learner.learnt.minutes).toBe(0);
});

test("another size or codec has other rates: they are learnt anew, and what the hours showed stays", () => {
  const learner = new Learner();
  learner.stood(50_000, Date.UTC(2026, 5, 1, 3));
  teach(learner, 0, 100);
  teach(learner, 100, 10, video({ kbps: 300, format: { codec: "H264", width: 640, height: 360 } }));
  expect(learner.learnt).toMatchObject({ minutes: 1, kbps: 300, kbpsLeast: 300, width: 640 });
  expect(learner.longestStillMs(Date.UTC(2026, 5, 2, 3))).toBe(50_000);
});

test("a low rate that stays for a day is what somebody has set; healing before that keeps the old", () => {
  const learner = new Learner();
  teach(learner, 0, 60);
  learner.teach(video({ kbps: 300 }), LOW, 100_000);
  learner.teach(video({ kbps: 300 }), LOW, 100_000 + 23 * 60 * MINUTE);
  expect(learner.learnt.kbps).toBe(2_000);
  learner.teach(video(), OK, 100_000 + 23.5 * 60 * MINUTE);
  learner.teach(video({ kbps: 300 }), LOW, 100_000 + 25 * 60 * MINUTE);
  expect(learner.learnt.kbps).toBe(2_000);
  learner.teach(video({ kbps: 300 }), LOW, 100_000 + 50 * 60 * MINUTE);
  expect(learner.learnt).not.toHaveProperty("kbps");
});

test("it is worth a write when first taught, and then once an hour", () => {
  const learner = new Learner();
  expect(learner.due(0)).toBe(false);
  teach(learner, 0, 10);
  expect(learner.due(10_000)).toBe(true);
  learner.save(10_000);
  expect(learner.due(10_000)).toBe(false);
  teach(learner, 10, 3_000);
  expect(learner.due(3_010_000)).toBe(false);
  teach(learner, 3_010, 700);
  expect(learner.due(3_710_000)).toBe(true);
});

test("the least motion is the lowest hourly median of the last 7 days, known after a day", () => {
  const learner = new Learner();
  const wall = Date.UTC(2026, 5, 1);
  const hour = 3_600_000;
  for (let i = 0; i < 24; i += 1)
    for (const motion of [0.3 + i / 100, 0.31 + i / 100, 9]) learner.moved(motion, wall + i * hour);
  expect(learner.leastMotion).toBeUndefined();
  learner.moved(5, wall + 24 * hour);
  expect(learner.leastMotion).toBeCloseTo(0.31);
  // a week later the quiet hour is forgotten
  for (let i = 0; i < 200; i += 1) learner.moved(5, wall + (25 + i) * hour);
  expect(learner.leastMotion).toBe(5);
  learner.moved(0.001, 1_000);
  learner.moved(Number.NaN, wall + 300 * hour);
  expect(learner.leastMotion).toBe(5);
});

test("the longest stillness is kept by the hour of the day; a clock that was never set teaches nothing", () => {
  const learner = new Learner();
  learner.stood(60_000, Date.UTC(2026, 5, 1, 13, 5));
  learner.stood(40_000, Date.UTC(2026, 5, 2, 13, 50));
  learner.stood(90_000, 5_000);
  expect(learner.longestStillMs(Date.UTC(2026, 5, 9, 13))).toBe(60_000);
  expect(learner.longestStillMs(Date.UTC(2026, 5, 9, 14))).toBeUndefined();
  expect(learner.longestStillMs(5_000)).toBeUndefined();
});

test("what is saved is read again, and is under 4 kB in the fullest case", () => {
  const learner = new Learner();
  const wall = Date.UTC(2026, 5, 1);
  for (let i = 0; i < 400; i += 1) {
    learner.moved(1.2345678e-7 * (i + 1), wall + i * 3_600_000);
    learner.stood(123_456_789 + i, wall + i * 3_600_000);
  }
  teach(learner, 0, 700, video({ kbps: 1_234.5678, deltaMedianBytes: 8_123.456 }));
  const text = learner.save(0);
  expect(Buffer.byteLength(text)).toBeLessThan(4_096);
  expect(new Learner(text).learnt).toEqual(learner.learnt);
  expect(readLearnt(text)).toEqual(learner.learnt);
});

test("what is damaged, of another version or not ours begins anew, and never throws", () => {
  const learner = new Learner();
  teach(learner, 0, 100);
  const text = learner.save(0);
  for (const broken of [
    undefined,
    "",
    "{}",
    "null",
    text.slice(0, -5),
    text.replace('"v":1', '"v":2'),
    "[".repeat(5_000),
  ])
    expect(readLearnt(broken)).toEqual(NOTHING_LEARNT);
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (any) => {
      const begun = new Learner(any);
      teach(begun, 0, 12);
      expect(begun.learnt.minutes).toBe(1);
    }),
  );
});

test("whatever it is taught, what it saves can be read again", () => {
  const odd = fc.oneof(fc.double(), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -5, 1e300));
  fc.assert(
    fc.property(fc.array(fc.tuple(odd, odd, odd, odd), { maxLength: 80 }), (told) => {
      const learner = new Learner();
      told.forEach(([kbps, fps, gopMs, wall], i) => {
        learner.teach(video({ kbps, fps, gopMs, gopMostMs: gopMs, keySizes: [kbps] }), OK, i * 1_000);
        learner.moved(kbps, wall);
        learner.stood(fps, wall);
      });
      expect(readLearnt(learner.save(0))).toEqual(learner.learnt);
    }),
  );
});
