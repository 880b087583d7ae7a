import fc from "fast-check";
import { expect, test } from "vitest";
import { type Conclusion, HOPS, REASONS, type Reason } from "../../../../agent/checks/stream/conclusion.ts";
import type { SessionFigures, TrackFigures } from "../../../../agent/checks/stream/figures.ts";
import { type Answers, hopOf, isFed, type PassiveLooks, type WayFacts } from "../../../../agent/checks/stream/hop.ts";
import { conclude } from "../../../../agent/checks/stream/judge.ts";
import { NOTHING_LEARNT } from "../../../../agent/checks/stream/learn.ts";
import type { JudgeInput } from "../../../../agent/checks/stream/look.ts";
import type { PictureView } from "../../../../agent/checks/stream/picture.ts";
import { DEFAULT_THRESHOLDS } from "../../../../agent/checks/stream/thresholds.ts";
import { Failure, type FailureCode } from "../../../../protocol/failure.ts";
import { Scene } from "../../../kit/stream/scene.ts";

const looks = (moved: number, more: object = {}): PassiveLooks => ({
  before: { at: 0, inBytes: 1_000_000, says: "before" },
  now: { at: 4_000, inBytes: 1_000_000 + moved, says: "now", ...more },
});
const moving = looks(1_000_000);
const standing = looks(5_000);
const away = { sourceReachable: false };

// every row of the table in hop.ts
const HOP_ROWS: [Reason, Answers, WayFacts, PassiveLooks | undefined, string][] = [
  ["black", "forwarder", {}, moving, "capture"],
  ["frozen", "encoder", {}, undefined, "capture"],
  ["suspect", "platform", {}, undefined, "capture"],
  ["loss", "encoder", {}, undefined, "network"],
  ["unreachable", "forwarder", {}, undefined, "network"],
  ["auth", "encoder", {}, undefined, "encoder"],
  ["refused", "forwarder", {}, undefined, "forwarder"],
  ["hung", "platform", {}, undefined, "platform"],
  ["protocol", "forwarder", {}, undefined, "forwarder"],
  ["missing", "encoder", {}, undefined, "encoder"],
  ["missing", "forwarder", {}, moving, "forwarder"],
  ["missing", "forwarder", {}, standing, "encoder"],
  ["missing", "forwarder", {}, undefined, "encoder"],
  ["missing", "platform", away, undefined, "network"],
  ["ended", "encoder", {}, undefined, "encoder"],
  ["ended", "encoder", { hostReachable: false }, undefined, "network"],
  ["ended", "forwarder", {}, undefined, "forwarder"],
  ["ended", "forwarder", {}, standing, "encoder"],
  ["ended", "forwarder", away, standing, "network"],
  ["no_media", "encoder", {}, undefined, "encoder"],
  ["no_media", "encoder", { gatewayReachable: false }, undefined, "network"],
  ["no_media", "forwarder", {}, moving, "forwarder"],
  ["no_media", "platform", {}, moving, "platform"],
  ["no_media", "forwarder", {}, standing, "encoder"],
  ["no_media", "forwarder", away, standing, "network"],
  ["no_media", "forwarder", {}, looks(1_000_000, { fed: false }), "encoder"],
  ["no_media", "forwarder", {}, undefined, "encoder"],
  ["no_video", "forwarder", {}, undefined, "encoder"],
  ["codec", "encoder", {}, undefined, "encoder"],
  ["resolution", "encoder", {}, undefined, "encoder"],
  ["timestamp", "encoder", {}, undefined, "encoder"],
  ["keyframe", "forwarder", {}, moving, "encoder"],
  ["bitrate", "forwarder", {}, moving, "encoder"],
  ["fps", "encoder", {}, undefined, "encoder"],
  ["no_audio", "encoder", {}, undefined, "encoder"],
  ["clock", "encoder", {}, undefined, "encoder"],
];
test.each(HOP_ROWS)("%s at the %s, knowing %j: hop %#", (reason, answers, way, passive, hop) => {
  expect(hopOf(reason, answers, way, passive)).toBe(hop);
});
test("the table names every reason, and frames that come too slowly are the network's", () => {
  expect(new Set(HOP_ROWS.map(([reason]) => reason))).toEqual(new Set(REASONS));
  expect(hopOf("timestamp", "encoder", {}, undefined, true)).toBe("network");
});

test("counters: frames go before bytes, reports alone are no media, a counter that ran back feeds, two looks too close tell nothing", () => {
  expect(isFed(moving)).toBe(true);
  expect(isFed(standing)).toBe(false);
  expect(isFed(looks(-900_000))).toBe(true);
  expect(isFed({ before: { ...moving.before, frames: 5 }, now: { ...moving.now, frames: 5 } })).toBe(false);
  expect(isFed({ before: { ...standing.before, frames: 5 }, now: { ...standing.now, frames: 9 } })).toBe(true);
  expect(isFed({ before: moving.before, now: { ...moving.now, at: 1_000 } })).toBeUndefined();
  expect(isFed({ before: { at: 0, says: "" }, now: { at: 9_000, says: "" } })).toBeUndefined();
});

const input = (more: Partial<JudgeInput>): JudgeInput => ({
  at: 100_000,
  expect: {},
  streamClass: "camera",
  answers: "encoder",
  ...more,
});
const FAILED: [FailureCode, Failure["facts"], WayFacts, Reason | undefined][] = [
  ["DIAL_REFUSED", {}, {}, "refused"],
  ["DIAL_RESET", {}, {}, "refused"],
  ["DIAL_NAME", {}, {}, "unreachable"],
  ["DIAL_UNREACHABLE", {}, {}, "unreachable"],
  ["DIAL_TIMEOUT", {}, {}, "unreachable"],
  ["DIAL_TIMEOUT", {}, { hostReachable: true }, "hung"],
  ["DIAL_UNTRUSTED", {}, {}, "protocol"],
  ["STREAM_ENDED", { how: "stale" }, {}, "no_media"],
  ["STREAM_TIMEOUT", { step: "DESCRIBE" }, {}, "hung"],
  ["STREAM_AUTH", { status: 401 }, {}, "auth"],
  ["STREAM_STATUS", { status: 404 }, {}, "missing"],
  ["STREAM_STATUS", { status: 454 }, {}, "missing"],
  ["STREAM_STATUS", { status: "NetStream.Play.StreamNotFound" }, {}, "missing"],
  ["STREAM_STATUS", { status: 503 }, {}, "hung"],
  ["STREAM_STATUS", { status: 453 }, {}, "refused"],
  ["STREAM_STATUS", { status: 400 }, {}, "protocol"],
  ["STREAM_PROTOCOL", {}, {}, "protocol"],
  ["STREAM_UNSUPPORTED", {}, {}, undefined],
  ["DIAL_LOCAL", {}, {}, undefined],
  ["FILE_UNUSABLE", {}, {}, undefined],
];
test.each(FAILED)("a failure %s %j, knowing %j: %s", (code, facts, way, reason) => {
  const conclusion = conclude(input({ failure: new Failure(code, "the words", { facts }), way, lastGoodAt: 40_000 }));
  expect(conclusion.reason).toBe(reason);
  expect(conclusion.says).toBe("the words; last well 60 s ago");
  expect(conclusion.state === "unknown").toBe(reason === undefined);
  expect(conclusion.severity).toBe(reason === undefined ? undefined : "major");
});

test("what could be read once and cannot any more has changed", () => {
  const failure = new Failure("STREAM_UNSUPPORTED", "VP9 in it");
  expect(conclude(input({ failure, learnt: { ...NOTHING_LEARNT, minutes: 5 } }))).toMatchObject({ reason: "codec" });
});

test("how bad a dead stream is, and each reason, is the config's", () => {
  const failure = new Failure("DIAL_REFUSED", "no");
  const thresholds = { ...DEFAULT_THRESHOLDS, dead: "critical" as const };
  expect(conclude(input({ failure, thresholds })).severity).toBe("critical");
  const mild = { ...DEFAULT_THRESHOLDS, severities: { refused: "warning" as const } };
  expect(conclude(input({ failure, thresholds: mild })).severity).toBe("warning");
});

const view = (state: PictureView["state"], by?: PictureView["by"]): PictureView => ({
  state,
  ...(by === undefined ? {} : { by }),
  says: `the picture is ${state}`,
  readings: {},
});
test.each([
  ["camera", view("frozen", "sizes"), { state: "frozen", reason: "frozen", severity: "major", hop: "capture" }],
  ["camera", view("frozen", "osd"), { state: "frozen", reason: "frozen", severity: "major" }],
  ["camera", view("suspect", "motion"), { state: "suspect_frozen", reason: "suspect", severity: "warning" }],
  ["camera", view("still", "motion"), { state: "still" }],
  ["camera", view("black", "dark"), { state: "black", reason: "black", severity: "minor", hop: "capture" }],
  ["camera", view("unknown"), { state: "ok" }],
  ["narrowband", view("frozen", "sizes"), { state: "frozen", reason: "frozen" }],
  ["presentation", view("frozen", "sizes"), { state: "still" }],
  ["presentation", view("suspect", "motion"), { state: "still" }],
  ["presentation", view("frozen", "osd"), { state: "frozen", reason: "frozen" }],
] as const)("class %s, picture %o", (streamClass, picture, expected) => {
  const scene = new Scene({ judge: { streamClass } });
  scene.run(20);
  scene.told = { streamClass, picture };
  scene.run(1);
  expect(scene.conclusion).toMatchObject(expected);
  if (!("reason" in expected)) expect(scene.conclusion).not.toHaveProperty("reason");
});

test("black without sensor noise is no signal, and major", () => {
  const scene = new Scene({ deltaBytes: 90, judge: { picture: view("black", "dark") } });
  scene.run(20);
  expect(scene.conclusion).toMatchObject({ reason: "black", severity: "major" });
  expect(scene.conclusion?.says).toContain("no signal");
});

test("a bit rate that falls waits for the picture: black or still explain it, a live picture does not, within 10 s", () => {
  for (const [after, state, reason] of [
    [view("black", "dark"), "black", "black"],
    [view("still", "motion"), "still", undefined],
    [view("live"), "degraded", "bitrate"],
  ] as const) {
    const scene = new Scene({ judge: { picture: view("live") } });
    scene.run(60);
    const begun = scene.now;
    Object.assign(scene.traffic.faults, { keyPart: 0.05, deltaPart: 0.05 });
    scene.run(6);
    expect(scene.reasons(begun)).toEqual([]);
    scene.told = { picture: after };
    scene.run(3.5);
    expect(scene.conclusion?.state).toBe(state);
    expect(scene.reasons(begun)).toEqual(reason === undefined ? [] : [reason]);
  }
});

test("a presentation has no usual bit rate and no usual frame rate", () => {
  const scene = new Scene({ judge: { streamClass: "presentation" } });
  scene.run(120);
  Object.assign(scene.traffic.faults, { keyPart: 0.05, deltaPart: 0.01, framePart: 0.3 });
  scene.run(120);
  expect(scene.reasons()).toEqual([]);
});

test("by counters alone: moving is alive, standing is not, unfed is missing, too few looks tell nothing", () => {
  expect(conclude(input({ passive: moving })).state).toBe("ok");
  expect(conclude(input({ passive: standing, answers: "forwarder" }))).toMatchObject({
    reason: "no_media",
    hop: "encoder",
  });
  expect(conclude(input({ passive: looks(0, { fed: false }) }))).toMatchObject({ reason: "missing" });
  expect(conclude(input({ passive: { ...standing, now: { ...standing.now, at: 2_500 } } })).state).toBe("unknown");
  expect(conclude(input({})).state).toBe("unknown");
  const lossy: PassiveLooks = {
    before: { ...moving.before, lost: 0 },
    now: { ...moving.now, lost: 40 },
  };
  expect(conclude(input({ passive: lossy }))).toMatchObject({ reason: "loss", severity: "minor", hop: "network" });
  expect(
    conclude(input({ passive: looks(50_000), learnt: { ...NOTHING_LEARNT, kbps: 2_000, minutes: 9 } })).reason,
  ).toBe("bitrate");
});

/** A healthy session of a minute, but for this. */
function judgedWith(more: Partial<TrackFigures>, learnt: JudgeInput["learnt"] = NOTHING_LEARNT): Conclusion {
  const scene = new Scene();
  scene.run(60);
  const figures = scene.figures();
  const tracks = figures.tracks.map((track) => ({ ...track, ...more }));
  return conclude(input({ at: scene.now, figures: { ...figures, tracks }, learnt }));
}

test("one lost packet of a narrow stream is no rate of loss; two are", () => {
  expect(judgedWith({ lossPct: 1.2, lostLately: 1 }).state).toBe("ok");
  expect(judgedWith({ lossPct: 1.2, lostLately: 2 }).reason).toBe("loss");
});

test("where scene cuts make the GOP short, the longest of the last ones counts, too", () => {
  const cuts = { gopMs: 1_000, gopFrames: 25, gopMostMs: 10_000, sinceKeyFrames: 400 };
  expect(judgedWith({ ...cuts, sinceKeyMs: 15_000 }).state).toBe("ok");
  expect(judgedWith({ ...cuts, sinceKeyMs: 20_500 }).reason).toBe("keyframe");
});

test("where the bit rate is usually low at times, only less than half of that is too low", () => {
  const learnt = { ...NOTHING_LEARNT, minutes: 500, kbps: 2_000, kbpsLeast: 200 };
  expect(judgedWith({ kbps: 120 }, learnt).state).toBe("ok");
  expect(judgedWith({ kbps: 90 }, learnt).reason).toBe("bitrate");
});

// --- whatever comes in, one conclusion comes out

const odd = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(0, -1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e18),
);
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const trackFigures = fc.record(
  {
    kind: fc.constantFrom("video" as const, "audio" as const, "other" as const),
    codec: fc.string(),
    frames: odd,
    keyframes: odd,
    bytes: odd,
    everyMs: odd,
    fps: odd,
    kbps: odd,
    stepMs: odd,
    silentMs: odd,
    byteSilentMs: odd,
    sinceKeyMs: odd,
    sinceKeyFrames: odd,
    gopMs: odd,
    gopFrames: odd,
    gopMostMs: odd,
    ratio5s: odd,
    ratio60s: odd,
    stuckMs: odd,
    jumps: odd,
    sinceJumpMs: odd,
    lossPct: odd,
    lostLately: odd,
    keySizes: fc.array(odd, { maxLength: 8 }),
    deltaMedianBytes: odd,
    clockSkewMs: odd,
  },
  {
    requiredKeys: [
      "kind",
      "codec",
      "frames",
      "keyframes",
      "bytes",
      "silentMs",
      "byteSilentMs",
      "stuckMs",
      "jumps",
      "keySizes",
    ],
  },
) satisfies fc.Arbitrary<TrackFigures>;
const sessionFigures: fc.Arbitrary<SessionFigures> = fc.record(
  {
    at: odd,
    ageMs: odd,
    playingMs: odd,
    warmingUp: fc.boolean(),
    steps: fc.constant({}),
    tracks: fc.array(trackFigures, { maxLength: 3 }),
    odd: fc.constant({}),
  },
  { requiredKeys: ["at", "ageMs", "warmingUp", "steps", "tracks", "odd"] },
);
const anyInput = fc.record({
  at: odd,
  figures: maybe(sessionFigures),
  failure: maybe(fc.constantFrom(...FAILED).map(([code, facts]) => new Failure(code, "words", { facts }))),
  picture: maybe(
    fc.constantFrom(...(["live", "still", "suspect", "frozen", "black", "unknown"] as const)).map((s) => view(s)),
  ),
  passive: maybe(fc.tuple(odd, odd, odd).map(([at, inBytes, frames]) => looks(0, { at, inBytes, frames }))),
  lastGoodAt: maybe(odd),
  streamClass: fc.constantFrom("camera" as const, "presentation" as const, "narrowband" as const),
  answers: fc.constantFrom("encoder" as const, "forwarder" as const, "platform" as const),
});

test("whatever is measured, a conclusion comes of it that is whole, and unknown is never ok", () => {
  fc.assert(
    fc.property(fc.array(anyInput, { minLength: 1, maxLength: 6 }), (inputs) => {
      let before: Conclusion | undefined;
      for (const one of inputs) {
        const conclusion = conclude({ ...one, expect: { fps: 25, audio: true, width: 640 }, before });
        before = conclusion;
        expect(typeof conclusion.says).toBe("string");
        const well = conclusion.state === "ok" || conclusion.state === "still" || conclusion.state === "unknown";
        expect(conclusion.reason === undefined).toBe(well);
        expect(conclusion.severity === undefined).toBe(well);
        if (!well) expect(HOPS).toContain(conclusion.hop);
        const video = one.figures?.tracks.find(({ kind }) => kind === "video");
        const proof = video?.ratio5s !== undefined && one.figures?.playingMs !== undefined;
        if (conclusion.state === "ok" && one.figures !== undefined) expect(proof).toBe(true);
      }
    }),
    { numRuns: 2_000 },
  );
});
