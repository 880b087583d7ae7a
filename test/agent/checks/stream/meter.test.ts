import fc from "fast-check";
import { expect, test } from "vitest";
import { Course } from "../../../../agent/checks/stream/course.ts";
import type { SessionFigures, TrackFigures } from "../../../../agent/checks/stream/figures.ts";
import type { MediaSink } from "../../../../agent/checks/stream/media.ts";
import { Meter } from "../../../../agent/checks/stream/meter.ts";
import { seeded, Traffic, type TrafficOrder } from "../../../kit/stream/traffic.ts";

const STARTED = 1_000;

function metered(order: Omit<TrafficOrder, "startedAt"> = {}): { meter: Meter; traffic: Traffic } {
  const meter = new Meter({ startedAt: STARTED });
  meter.step("connected", 10);
  meter.step("playing", 20);
  return { meter, traffic: new Traffic(meter, { startedAt: STARTED + 30, ...order }) };
}
function video({ tracks }: SessionFigures): TrackFigures {
  const [first] = tracks;
  if (first === undefined) throw new Error("no track");
  return first;
}
function after(seconds: number, order: Omit<TrafficOrder, "startedAt"> = {}): TrackFigures {
  const { meter, traffic } = metered(order);
  traffic.playTo(STARTED + seconds * 1000);
  return video(meter.figures(STARTED + seconds * 1000));
}

test("25 frames a second, a keyframe every 2 s: rate, bits, GOP, pace and sizes", () => {
  const figures = after(90);
  expect(figures).toMatchObject({ kind: "video", codec: "H264", gopMs: 2_000, gopFrames: 50, stuckMs: 0, jumps: 0 });
  expect(figures.fps).toBeCloseTo(25, 0);
  // two and a half keyframes of 60 kB and the rest of 8 kB in 5 s
  expect(figures.kbps).toBeGreaterThan(1_600);
  expect(figures.kbps).toBeLessThan(2_300);
  expect(figures.ratio5s).toBeCloseTo(1, 2);
  expect(figures.ratio60s).toBeCloseTo(1, 3);
  expect(figures.stepMs).toBeCloseTo(40);
  expect(figures.frames).toBe(2_250);
  expect(figures.keyframes).toBe(45);
  expect(figures.keySizes).toHaveLength(8);
  expect(Math.min(...figures.keySizes)).toBeGreaterThan(53_000);
  expect(figures.deltaMedianBytes).toBeGreaterThan(7_000);
  expect(figures.deltaMedianBytes).toBeLessThan(9_000);
});

test("what is read in batches has the rate, bits and pace it has, whenever one looks", () => {
  const meter = new Meter({ startedAt: 0, now: () => 0 });
  meter.track(0, { kind: "video", codec: "H264", clockHz: 90_000 });
  meter.step("playing", 0);
  const seen: TrackFigures[] = [];
  for (let [now, made] = [5, 0]; now < 70_000; now += 5) {
    if (now % 125 === 0) {
      for (; made * 40 <= now; made += 1) meter.frame(0, made * 3_600, 10_000, made % 50 === 0, now);
    }
    if (now > 8_000 && now % 515 === 0) seen.push(video(meter.figures(now)));
  }
  for (const { fps = 0, kbps = 0, ratio5s = 0, ratio60s = 1, silentMs, stuckMs } of seen) {
    expect(Math.abs(fps - 25)).toBeLessThan(0.25);
    expect(Math.abs(kbps - 2_000)).toBeLessThan(20);
    expect(Math.abs(ratio5s - 1)).toBeLessThan(0.01);
    expect(Math.abs(ratio60s - 1)).toBeLessThan(0.001);
    expect(silentMs).toBeLessThan(125);
    expect(stuckMs).toBe(0);
  }
  expect(video(meter.figures(70_000 + 4_000)).fps).toBeLessThan(10);
});

test("B-frames run back and are still paced, stepped and grouped right", () => {
  const figures = after(90, { bFrames: 2 });
  expect(figures.stepMs).toBeCloseTo(40, 0);
  expect(figures.ratio60s).toBeCloseTo(1, 2);
  expect(figures.gopMs).toBeGreaterThan(1_900);
  expect(figures.gopMs).toBeLessThan(2_100);
  expect(figures).toMatchObject({ gopFrames: 50, stuckMs: 0, jumps: 0 });
});

test("what may be out of a cache counts as frames, and for nothing else", () => {
  const { meter, traffic } = metered({ cachedS: 8 });
  traffic.playTo(STARTED + 1_000);
  const early = meter.figures(STARTED + 1_000);
  expect(early.warmingUp).toBe(true);
  expect(video(early).frames).toBeGreaterThan(200);
  expect(video(early)).not.toHaveProperty("ratio5s");
  expect(video(early)).not.toHaveProperty("fps");
  traffic.playTo(STARTED + 20_000);
  const late = meter.figures(STARTED + 20_000);
  expect(late.warmingUp).toBe(false);
  expect(video(late).ratio5s).toBeCloseTo(1, 2);
  expect(video(late).fps).toBeCloseTo(25, 0);
});

test("a cache on a slow way proves nothing for as long as it runs ahead of the clock", () => {
  const { meter } = metered();
  // 30 s of old frames within 10 s, then nothing
  for (let i = 0; i < 750; i += 1) meter.frame(0, i * 3_600, 8_000, i % 50 === 0, STARTED + 30 + i * 13.3);
  expect(video(meter.figures(STARTED + 10_100))).not.toHaveProperty("ratio5s");
});

test("silence counts for each track from its own last frame, and from the beginning of play where none came", () => {
  const { meter, traffic } = metered({ audio: true });
  meter.track(2, { kind: "other", codec: "", clockHz: 90_000 });
  traffic.playTo(STARTED + 10_000);
  traffic.faults.videoStops = true;
  traffic.playTo(STARTED + 15_000);
  const { tracks, playingMs } = meter.figures(STARTED + 15_000);
  expect(tracks[0]?.silentMs).toBeGreaterThanOrEqual(5_000);
  expect(tracks[0]?.silentMs).toBeLessThan(5_050);
  expect(tracks[1]?.silentMs).toBeLessThan(25);
  expect(tracks[2]?.silentMs).toBe(playingMs);
  expect(playingMs).toBe(14_970);
});

test("bytes that never become a frame are no silence of bytes", () => {
  const { meter } = metered();
  for (let at = STARTED; at < STARTED + 6_000; at += 100) meter.bytes(0, 1_400, at);
  const figures = video(meter.figures(STARTED + 6_000));
  expect(figures.byteSilentMs).toBe(100);
  expect(figures.silentMs).toBeGreaterThan(5_900);
  expect(figures.bytes).toBe(84_000);
});

test("frames with one stamp: how long it stands", () => {
  const { meter, traffic } = metered();
  traffic.playTo(STARTED + 10_000);
  traffic.faults.stampsStand = true;
  traffic.playTo(STARTED + 14_000);
  expect(video(meter.figures(STARTED + 14_000)).stuckMs).toBeGreaterThan(3_900);
  expect(video(meter.figures(STARTED + 14_000)).ratio5s).toBeLessThan(0.4);
});

test("a leap counts once, the pace begins anew, and the GOP it cut is none", () => {
  for (const ms of [-9_000_000, 4_000]) {
    const { meter, traffic } = metered();
    traffic.playTo(STARTED + 30_500);
    traffic.leap(ms);
    traffic.playTo(STARTED + 33_000);
    const soon = video(meter.figures(STARTED + 33_000));
    expect(soon).toMatchObject({ jumps: 1, gopMs: 2_000 });
    expect(soon.gopMostMs).toBeCloseTo(2_000);
    expect(soon.sinceJumpMs).toBeGreaterThan(2_400);
    expect(soon).not.toHaveProperty("ratio5s");
    traffic.playTo(STARTED + 40_000);
    expect(video(meter.figures(STARTED + 40_000)).ratio5s).toBeCloseTo(1, 2);
  }
});

test("a cache of two publishers leaps within itself, which is no leap of the stream", () => {
  const { meter, traffic } = metered({ cachedS: 2 });
  traffic.leap(9_000_000);
  traffic.playTo(STARTED + 20_000);
  expect(video(meter.figures(STARTED + 20_000)).jumps).toBe(0);
});

test("a way that delays most frames by up to 2 s does not change the pace of a minute", () => {
  const random = seeded(3);
  const course = new Course(0);
  // every 3 s a frame gets through at once, and all that follow less and less late
  for (let i = 0, stall = 0; i < 250; i += 1) {
    if (i % 10 === 0) stall = random() * 0.9;
    course.mark(i * 300 + (i % 10 === 0 ? 0 : stall * (10 - (i % 10)) * 300), i * 300, i, i);
  }
  expect(course.steadyRatio(60_000, 5_000)).toBeCloseTo(1, 4);
});

test("a leap over a pause belongs to the pause; so does what was lost in it", () => {
  const { meter, traffic } = metered();
  traffic.playTo(STARTED + 30_000);
  traffic.faults.loss = 1;
  traffic.playTo(STARTED + 60_000);
  traffic.leap(600_000);
  traffic.faults.loss = 0;
  traffic.playTo(STARTED + 66_000);
  expect(video(meter.figures(STARTED + 66_000))).toMatchObject({ jumps: 0, lossPct: 0, lostLately: 0 });
});

test("loss is that of the last 10 s, and another source begins anew", () => {
  const { meter, traffic } = metered();
  traffic.playTo(STARTED + 20_000);
  expect(video(meter.figures(STARTED + 20_000)).lossPct).toBe(0);
  traffic.faults.loss = 0.05;
  traffic.playTo(STARTED + 35_000);
  const lossy = video(meter.figures(STARTED + 35_000));
  expect(lossy.lossPct).toBeGreaterThan(3);
  expect(lossy.lossPct).toBeLessThan(7);
  traffic.faults.loss = 0;
  traffic.playTo(STARTED + 47_000);
  expect(video(meter.figures(STARTED + 47_000)).lossPct).toBe(0);
  traffic.newSource();
  traffic.faults.loss = 0.05;
  traffic.playTo(STARTED + 53_000);
  expect(video(meter.figures(STARTED + 53_000)).lossPct).toBeGreaterThan(3);
});

test("of a few packets no percentage is made", () => {
  const { meter } = metered();
  meter.packets(0, { received: 5, lost: 0, duplicates: 0, reordered: 0, jitterMs: 0 });
  meter.bytes(0, 100, STARTED + 3_000);
  meter.packets(0, { received: 45, lost: 1, duplicates: 0, reordered: 0, jitterMs: 0 });
  expect(video(meter.figures(STARTED + 3_000))).not.toHaveProperty("lossPct");
});

test("the sender's clock: the median of its reports; ours must have been set", () => {
  const { meter } = metered();
  const wall = Date.UTC(2026, 5, 1);
  const report = (i: number, skew: number, at = STARTED + i * 5_000): void => {
    meter.bytes(0, 1, at);
    meter.senderClock(0, wall + i * 5_000 + skew, 0, wall + i * 5_000);
  };
  meter.senderClock(0, wall, 0, 1_000);
  expect(video(meter.figures(STARTED))).not.toHaveProperty("clockSkewMs");
  [3_000, 3_010, 9_000, 2_990, 3_005].forEach((skew, i) => {
    report(i + 1, skew);
  });
  expect(video(meter.figures(STARTED + 25_000)).clockSkewMs).toBe(3_005);
});

test("the sender's clock is not behind because its reports lay in a buffer while the way was cut", () => {
  const { meter } = metered();
  const wall = Date.UTC(2026, 5, 1);
  const report = (sentMs: number, cameMs: number): void => {
    meter.bytes(0, 1, STARTED + cameMs);
    meter.senderClock(0, wall + sentMs, 0, wall + cameMs);
  };
  const skew = (cameMs: number) => video(meter.figures(STARTED + cameMs)).clockSkewMs;
  report(0, 0);
  for (const sentMs of [5_000, 10_000, 15_000]) report(sentMs, 18_000); // nothing passed from the 1st second to the 18th
  expect(skew(18_000)).toBeUndefined();
  report(20_000, 20_000);
  expect(skew(20_000)).toBeUndefined(); // of the same rush
  report(25_000, 25_000);
  expect(skew(25_000)).toBe(0);
});

test("a keyframe is wanted and given by what the meter was made with", () => {
  const got: number[] = [];
  const meter = new Meter({ startedAt: 0, wantsPicture: (id) => id === 1, picture: (id) => got.push(id) });
  expect([meter.wantsPicture(0), meter.wantsPicture(1)]).toEqual([false, true]);
  meter.picture(1, { format: "h264", bytes: new Uint8Array(1) });
  expect(got).toEqual([1]);
  expect(new Meter({ startedAt: 0 }).wantsPicture(0)).toBe(false);
});

test("a step without a moment is dated by the steps before it, or by the clock that was given", () => {
  const { meter } = metered();
  expect(meter.figures(2_000)).toMatchObject({ ageMs: 1_000, playingMs: 970, steps: { connected: 10, playing: 20 } });
  const clocked = new Meter({ startedAt: 0, now: () => 700 });
  expect(clocked.figures(600)).not.toHaveProperty("playingMs");
  clocked.step("playing", 20);
  expect(clocked.figures(900).playingMs).toBe(200);
});

// --- whatever is told

const times = fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 200 });

test("the figures are the same however the bytes of a moment are cut", () => {
  fc.assert(
    fc.property(times, fc.integer({ min: 1, max: 1e6 }), (gaps, seed) => {
      const random = seeded(seed);
      const [whole, cut] = [new Meter({ startedAt: 0 }), new Meter({ startedAt: 0 })];
      for (const meter of [whole, cut]) meter.track(0, { kind: "video", codec: "H264", clockHz: 90_000 });
      let at = 0;
      gaps.forEach((gap, i) => {
        at += gap;
        const size = 1 + Math.floor(random() * 9_000);
        whole.bytes(0, size, at);
        for (let left = size; left > 0; ) {
          const part = Math.min(left, 1 + Math.floor(random() * 1_400));
          cut.bytes(0, part, at);
          left -= part;
        }
        for (const meter of [whole, cut]) meter.frame(0, i * 3_600, size, i % 12 === 0, at);
      });
      expect(cut.figures(at + 100)).toEqual(whole.figures(at + 100));
    }),
  );
});

const hostile = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, 1e18, 2 ** 53),
);
const calls: fc.Arbitrary<(sink: MediaSink) => void> = fc.oneof(
  fc.tuple(hostile, hostile, hostile).map(
    ([id, count, at]) =>
      (sink: MediaSink) =>
        sink.bytes(id, count, at),
  ),
  fc.tuple(fc.constantFrom(0, 0, 1, -1, 0.5, 99), hostile, hostile, fc.boolean(), hostile).map(
    ([id, stamp, size, key, at]) =>
      (sink: MediaSink) =>
        sink.frame(id, stamp, size, key, at),
  ),
  fc.tuple(hostile, hostile, hostile).map(
    ([received, lost, jitterMs]) =>
      (sink: MediaSink) =>
        sink.packets(0, { received, lost, duplicates: lost, reordered: received, jitterMs }),
  ),
  fc.tuple(hostile, hostile).map(
    ([ntp, wall]) =>
      (sink: MediaSink) =>
        sink.senderClock(0, ntp, 0, wall),
  ),
  fc.tuple(fc.constantFrom(0, 1, 7, 8, -1, 1e9, Number.NaN), hostile, hostile).map(
    ([id, clockHz, everyMs]) =>
      (sink: MediaSink) =>
        sink.track(id, { kind: "video", codec: "H264", clockHz, everyMs }),
  ),
  fc.string().map((what) => (sink: MediaSink) => sink.odd(0, what)),
  hostile.map((ms) => (sink: MediaSink) => sink.step("playing", ms)),
  fc.tuple(hostile, hostile).map(
    ([width, height]) =>
      (sink: MediaSink) =>
        sink.format(0, { codec: "H264", width, height }),
  ),
);

function numbersOf(value: unknown): number[] {
  if (typeof value === "number") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(numbersOf) : [];
}

test("whatever is told, every figure is a number and the meter stays small", () => {
  fc.assert(
    fc.property(fc.array(calls, { maxLength: 300 }), hostile, (told, at) => {
      const meter = new Meter({ startedAt: 500 });
      meter.track(0, { kind: "video", codec: "H264", clockHz: 90_000 });
      for (const call of told) call(meter);
      const figures = meter.figures(at);
      const { tracks, ...rest } = figures;
      const measured = tracks.map(({ format: _theirs, ...figure }) => figure);
      expect(numbersOf([rest, measured]).filter((value) => !Number.isFinite(value))).toEqual([]);
      expect(tracks.length).toBeLessThanOrEqual(8);
      expect(Object.keys(figures.odd).length).toBeLessThanOrEqual(32);
    }),
    { numRuns: 3_000 },
  );
});
