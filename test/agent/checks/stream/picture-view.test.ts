import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { pgm } from "../../../../agent/checks/stream/picture/evidence.ts";
import { readLearntOsd } from "../../../../agent/checks/stream/picture/osd.ts";
import { type PictureFacts, PictureJudge, type PictureOptions } from "../../../../agent/checks/stream/picture/view.ts";
import type { PictureView, Thumbnail } from "../../../../agent/checks/stream/picture.ts";
import { CLIP_OSD, type ClipKind, type ClipWish, clip, clipFacts, needsClips } from "../../../kit/stream/clips.ts";
import { thumbnailsOf } from "../../../kit/stream/thumbnails.ts";

const RATES = ["cbr2m", "cbr512k", "hw2m", "crf"] as const;
type Rate = (typeof RATES)[number];

const middle = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

/** Sizes of a clip as the meter has them, its beginning left out. */
function sizesOf(kind: ClipKind, wish: Partial<ClipWish>): { keySizes: number[]; deltaMedianBytes: number } {
  const { sizes, keySizes } = clipFacts(clip(kind, wish));
  const keys = new Set(keySizes);
  return {
    keySizes: keySizes.slice(-4),
    deltaMedianBytes: middle(sizes.slice(50).filter((size) => !keys.has(size))),
  };
}

const made = new Map<string, Promise<Thumbnail[]>>();
/** Several tests look at the same clips. */
function thumbnailsOnce(path: string): Promise<Thumbnail[]> {
  const making = made.get(path) ?? thumbnailsOf(path);
  made.set(path, making);
  return making;
}

/** What is said at the end of a clip of a stream that usually moves. */
async function seen(kind: ClipKind, rate: Rate, more: Partial<PictureOptions> = {}, facts: PictureFacts = {}) {
  const judge = new PictureJudge({ streamClass: "camera", everyMs: 2_000, ...more });
  const usualDeltaBytes = sizesOf("move_osd", { rate }).deltaMedianBytes;
  // the encoder takes its time to come to rest
  const wish = { rate, seconds: kind === "frozen" ? 24 : 12 };
  let view: PictureView | undefined;
  for (const one of await thumbnailsOnce(clip(kind, wish))) {
    judge.thumbnail(one);
    view = judge.view(one.at, { ...sizesOf(kind, wish), usualDeltaBytes, ...facts });
  }
  if (view === undefined) throw new Error("no thumbnails");
  return view;
}

describe.skipIf(needsClips())("clips of a real encoder", () => {
  test.each(RATES)("%s: frozen with its clock is frozen, by the clock in every mode", async (rate) => {
    const osd = CLIP_OSD;
    expect(await seen("frozen_stopped", rate, { osd }, { keySizes: undefined })).toMatchObject({
      state: "frozen",
      by: "osd",
      sinceAt: 0,
    });
    expect(await seen("frozen_stopped", rate, { osd })).toMatchObject({ state: "frozen" });
  });

  test("frozen without a clock is proven by sizes where the encoder saves, and still where it fills its rate", async () => {
    for (const rate of ["hw2m", "crf"] as const)
      expect(await seen("frozen", rate)).toMatchObject({ state: "frozen", by: "sizes" });
    for (const rate of ["cbr2m", "cbr512k"] as const)
      expect(await seen("frozen", rate)).toMatchObject({ state: "still", by: "motion" });
  });

  test.each(RATES)("%s: a frozen sensor behind a clock that goes on is never live", async (rate) => {
    expect((await seen("frozen_osd", rate, { osd: CLIP_OSD })).state).toMatch(/^(still|frozen)$/);
    const { state, by } = await seen("frozen_osd", rate, { osd: CLIP_OSD }, { keySizes: undefined });
    expect({ state, by }).toEqual({ state: "still", by: "motion" });
  });

  test.each(RATES)("%s: a live scene, moving or resting, is never frozen or suspect", async (rate) => {
    for (const osd of [CLIP_OSD, undefined]) {
      expect((await seen("static_osd", rate, { osd }, { leastMotion: 0.3 })).state).toMatch(/^(live|still)$/);
      expect((await seen("static", rate, {}, { leastMotion: 0.3 })).state).toMatch(/^(live|still)$/);
      expect(await seen("move_osd", rate, { osd })).toMatchObject({ state: "live", by: "motion" });
      expect(await seen("static_n6_osd", rate, { osd })).toMatchObject({ state: "live" });
    }
  });

  test("a live scene never stood as still as a frozen one, where the encoder saves: suspect", async () => {
    for (const rate of ["hw2m", "crf"] as const)
      expect(await seen("frozen", rate, {}, { leastMotion: 0.3, keySizes: undefined })).toMatchObject({
        state: "suspect",
        by: "motion",
      });
    expect(
      await seen("frozen", "hw2m", { streamClass: "presentation" }, { leastMotion: 0.3, keySizes: undefined }),
    ).toMatchObject({ state: "still" });
  });

  test("black is black in every mode, and a dark room whose noise is seen is not", async () => {
    for (const rate of RATES) expect(await seen("black", rate)).toMatchObject({ state: "black", by: "dark" });
    for (const kind of ["night", "black_n2"] as const)
      expect(await seen(kind, "cbr2m")).toMatchObject({ state: "still", by: "dark" });
  });

  test("what the rules rest on: sizes and motion of each kind differ as they were found to", () => {
    const [moving, resting] = [sizesOf("move_osd", { rate: "hw2m" }), sizesOf("static_osd", { rate: "hw2m" })];
    const frozen = sizesOf("frozen", { rate: "hw2m" });
    expect(moving.deltaMedianBytes).toBeGreaterThan(20 * frozen.deltaMedianBytes);
    expect(moving.deltaMedianBytes).toBeGreaterThan(10 * resting.deltaMedianBytes);
    expect(sizesOf("frozen", { rate: "cbr2m" }).deltaMedianBytes).toBeGreaterThan(moving.deltaMedianBytes / 5);
    expect(sizesOf("black", { rate: "cbr2m" }).deltaMedianBytes).toBeLessThan(200);
  });
});

const CELLS = 160 * 90;
/** Of a resting, denoised scene: one cell in six is a step lighter or darker. */
const NOISE = 0.6;
let seed = 1;
const random = (): number => {
  seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
  return seed / 2_147_483_648;
};
/** A grey scene; `noise` in steps of grey either way; `paint` sets cells of it. */
function scene(
  at: number,
  noise = 0,
  paint?: (cell: (x: number, y: number, value: number) => void) => void,
): Thumbnail {
  const grey = new Uint8Array(CELLS);
  for (let i = 0; i < CELLS; i += 1) grey[i] = 90 + (i % 160) / 4 + Math.round((random() * 2 - 1) * noise);
  paint?.((x, y, value) => {
    grey[y * 160 + x] = value;
  });
  return { at, keySize: 1_000, grey };
}
/** A clock of seven-segment-like digits at the upper left: hours to seconds of `second`. */
const ticking = (second: number) => (cell: (x: number, y: number, value: number) => void) => {
  const digits = [36_000, 3_600, 600, 60, 10, 1].map((unit) => Math.floor(second / unit) % (unit % 6 === 0 ? 6 : 10));
  digits.forEach((digit, i) => {
    for (let y = 0; y < 4; y += 1)
      for (let x = 0; x < 2; x += 1) cell(6 + i * 3 + x, 3 + y, 40 + ((digit * 37 + y * 53 + x * 91) % 180));
  });
};
/** A clock that stands, on a plate that hides what moves behind it. */
const onPlate = (cell: (x: number, y: number, value: number) => void) => {
  for (let x = 0; x < 60; x += 1) for (let y = 0; y < 12; y += 1) cell(x, y, 20);
  ticking(77)(cell);
};
const camera = (more: Partial<PictureOptions> = {}) =>
  new PictureJudge({ streamClass: "camera", everyMs: 60_000, ...more });
const BOX = { x: 0.03, y: 0.02, width: 0.15, height: 0.08 };

/** A live, resting scene with a clock, looked at every minute or so, for `looks` looks from `from` on. */
function live(judge: PictureJudge, from: number, looks: number): number {
  let at = from;
  for (let i = 0; i < looks; i += 1) {
    at += 54_000 + Math.round(random() * 12_000);
    judge.thumbnail(scene(at, NOISE, ticking(Math.floor(at / 1_000))));
    judge.view(at);
  }
  return at;
}
function standing(judge: PictureJudge, from: number, looks = 3): PictureView {
  const frozen = ticking(Math.floor(from / 1_000));
  for (let i = 1; i <= looks; i += 1) judge.thumbnail(scene(from + i * 60_000, 0, frozen));
  return judge.view(from + looks * 60_000);
}

describe("what is not known", () => {
  test("no thumbnail, one, or none for long is unknown, and says why", () => {
    const judge = camera();
    expect(judge.view(0)).toMatchObject({ state: "unknown" });
    judge.failed("no ffmpeg on this device");
    expect(judge.view(0)).toMatchObject({ state: "unknown", says: "no ffmpeg on this device" });
    judge.thumbnail(scene(1_000));
    expect(judge.view(1_000).state).toBe("unknown");
    judge.thumbnail(scene(61_000, 40));
    expect(judge.view(61_000).state).toBe("live");
    expect(judge.view(61_000 + 180_000).state).toBe("live");
    judge.failed("the decoder cannot read a keyframe");
    expect(judge.view(61_000 + 180_001)).toMatchObject({
      state: "unknown",
      says: "the decoder cannot read a keyframe",
    });
  });

  test("keyframes closer together than a clock ticks tell nothing", () => {
    const judge = camera({ osd: BOX });
    for (let at = 0; at < 1_900; at += 100) judge.thumbnail(scene(at));
    expect(judge.view(1_900).state).toBe("unknown");
    expect(judge.evidence().length).toBe(1);
  });
});

describe("F1, sizes", () => {
  const usual = { deltaMedianBytes: 90, usualDeltaBytes: 8_000 };
  test("eight keyframes of one size prove it without a decoder; four by chance do not", () => {
    const judge = camera();
    expect(
      judge.view(5_000, { ...usual, keySizes: Array.from({ length: 8 }, (_, i) => 23_080 + (i % 2)) }),
    ).toMatchObject({
      state: "frozen",
      by: "sizes",
      sinceAt: 5_000,
    });
    expect(judge.view(6_000, { ...usual, keySizes: [24_792, 24_790, 24_799, 24_791] }).state).toBe("unknown");
  });
  test("four of nearly one size prove it where the thumbnails show no noise, and not where they do", () => {
    const keySizes = [24_792, 24_790, 24_799, 24_791];
    for (const [noise, state] of [
      [0, "frozen"],
      [NOISE, "still"],
    ] as const) {
      const judge = camera();
      for (const at of [0, 2_000, 4_000]) judge.thumbnail(scene(at, noise));
      expect(judge.view(4_000, { ...usual, keySizes }).state).toBe(state);
    }
  });
  test("three alike ask for a look, which then proves or refutes it", () => {
    const judge = camera();
    judge.view(0, { ...usual, keySizes: [60_000, 24_790, 24_799] });
    expect(judge.wantsLook).toBe(false);
    judge.view(0, { ...usual, keySizes: [24_792, 24_790, 24_799] });
    expect(judge.wantsLook).toBe(true);
    for (const at of [0, 2_000]) judge.thumbnail(scene(at));
    expect(judge.view(2_000, { ...usual, keySizes: [24_792, 24_790, 24_799, 24_791] }).state).toBe("frozen");
    expect(judge.wantsLook).toBe(false);
    const slides = camera({ streamClass: "presentation" });
    slides.view(0, { ...usual, keySizes: [24_792, 24_790, 24_799] });
    expect(slides.wantsLook).toBe(false);
  });
  test("never for a presentation, nor while the frames between are as large as usual", () => {
    const keySizes = Array.from({ length: 8 }, () => 23_080);
    expect(camera({ streamClass: "presentation" }).view(0, { ...usual, keySizes }).state).toBe("unknown");
    expect(camera().view(0, { keySizes, deltaMedianBytes: 1_600, usualDeltaBytes: 8_000 }).state).toBe("unknown");
    expect(camera().view(0, { keySizes, deltaMedianBytes: 90 }).state).toBe("unknown");
  });
});

describe("F2, the burnt-in clock", () => {
  test("a configured one that stands on three keyframes is frozen, in every class; one tick more and it lives", () => {
    for (const streamClass of ["camera", "presentation", "narrowband"] as const) {
      const judge = camera({ osd: BOX, streamClass });
      expect(standing(judge, 0, 2).state).not.toBe("frozen");
      judge.thumbnail(scene(180_000, 0, ticking(0)));
      expect(judge.view(180_000)).toMatchObject({ state: "frozen", by: "osd", sinceAt: 60_000 });
      judge.thumbnail(scene(240_000, 0, ticking(47)));
      expect(judge.view(240_000).state).not.toBe("frozen");
    }
  });

  test("one that stands while the picture moves is the overlay's fault: live, and told", () => {
    const judge = camera({ osd: BOX });
    for (const at of [0, 60_000, 120_000]) judge.thumbnail(scene(at, 20, onPlate));
    expect(judge.view(120_000)).toMatchObject({
      state: "live",
      by: "osd",
      says: expect.stringContaining("clock stands"),
    });
  });

  test("it is found by itself; its standing is a suspicion at first, and proof after a day", () => {
    const judge = camera();
    let at = live(judge, 0, 75);
    expect(judge.learntOsd).toMatchObject({ v: 1 });
    const { x = 1, y = 1, width = 0, height = 0 } = judge.learntOsd ?? {};
    // the digits of the seconds are within it, and little else
    expect(x * 160 <= 21 && (x + width) * 160 >= 23 && y * 90 <= 3 && (y + height) * 90 >= 7).toBe(true);
    expect(width * height).toBeLessThan(0.08);
    expect(standing(judge, at)).toMatchObject({ state: "suspect", by: "osd" });
    at = live(judge, at + 180_000, 1_500);
    expect(judge.view(at).state).toMatch(/^(live|still)$/);
    expect(standing(judge, at)).toMatchObject({ state: "frozen", by: "osd" });
  });

  test("what was found outlives a restart, and is dropped when it stands while all else moves", () => {
    const before = camera();
    let at = live(before, 0, 1_600);
    const text = JSON.stringify(before.learntOsd);
    const judge = camera({ learntOsd: readLearntOsd(text) });
    expect(judge.learntOsd).toEqual(before.learntOsd);
    expect(standing(judge, at)).toMatchObject({ state: "frozen", by: "osd" });
    at += 240_000;
    for (let i = 0; i < 12; i += 1) judge.thumbnail(scene(at + i * 60_000, 30, onPlate));
    expect(judge.learntOsd).toBeUndefined();
  });

  test("a television in the middle of the picture, and a picture that moves all over, teach no clock", () => {
    const television = camera();
    const moving = camera();
    for (let i = 0; i < 100; i += 1) {
      const at = i * 60_000;
      television.thumbnail(
        scene(at, NOISE, (cell) => {
          for (let x = 70; x < 90; x += 1) for (let y = 40; y < 52; y += 1) cell(x, y, Math.floor(random() * 255));
        }),
      );
      moving.thumbnail(scene(at, 60));
    }
    expect(television.learntOsd).toBeUndefined();
    expect(moving.learntOsd).toBeUndefined();
  });

  test("what is read back of a file that is not ours is nothing", () => {
    for (const text of [undefined, "", "{", "null", "[]", '{"v":2}', `{"v":1,"x":9}`, "x".repeat(5_000)])
      expect(readLearntOsd(text)).toBeUndefined();
    fc.assert(fc.property(fc.string(), (text) => readLearntOsd(text) === undefined));
  });
});

describe("F3, stillness", () => {
  const still = (judge: PictureJudge, minutes: number): number => {
    for (let i = 0; i <= minutes; i += 1) judge.thumbnail(scene(i * 60_000, NOISE));
    return minutes * 60_000;
  };
  test("longer still than ever at this hour, by far, is suspect; a record broken by little is not", () => {
    const judge = camera();
    const at = still(judge, 130);
    const facts = { leastMotion: 0.3 };
    expect(judge.view(at, { ...facts, longestStillMs: 3_600_000 })).toMatchObject({
      state: "suspect",
      by: "motion",
      sinceAt: 0,
    });
    expect(judge.view(at, { ...facts, longestStillMs: 4_000_000 }).state).toBe("still");
    expect(judge.view(at, facts).state).toBe("still");
    // before a day is known nothing is a record
    expect(judge.view(at, { longestStillMs: 3_600_000 }).state).toBe("still");
  });
  test("a record of minutes means nothing", () => {
    const judge = camera();
    expect(judge.view(still(judge, 30), { leastMotion: 0.3, longestStillMs: 60_000 }).state).toBe("still");
  });
  test("what a live picture shows is taught; what a frozen, black or suspect one shows is not", () => {
    const judge = camera({ osd: BOX });
    judge.thumbnail(scene(0, NOISE, ticking(0)));
    expect(judge.thumbnail(scene(60_000, NOISE, ticking(60)))).toEqual({ motion: expect.any(Number) });
    judge.thumbnail(scene(120_000, NOISE, ticking(120)));
    judge.view(120_000);
    expect(judge.thumbnail(scene(180_000, 50, ticking(180)))).toEqual({ motion: expect.any(Number), stoodMs: 180_000 });
    expect(standing(judge, 200_000).state).toBe("frozen");
    expect(judge.thumbnail(scene(440_000, 0, ticking(200)))).toEqual({});
    expect(judge.thumbnail(scene(500_000, 50, ticking(500)))).toEqual({});
  });
});

describe("black", () => {
  const dark = (at: number, value: number, paint?: Parameters<typeof scene>[2]): Thumbnail => {
    const one = scene(at, 0);
    one.grey.fill(value);
    paint?.((x, y, grey) => {
      one.grey[y * 160 + x] = grey;
    });
    return one;
  };
  test("needs three keyframes, and what the encoder writes over it does not light it", () => {
    const judge = camera();
    for (const at of [0, 60_000]) judge.thumbnail(dark(at, 16, ticking(at / 1_000)));
    expect(judge.view(60_000).state).not.toBe("black");
    judge.thumbnail(dark(120_000, 16, ticking(120)));
    expect(judge.view(120_000, { deltaMedianBytes: 43 })).toMatchObject({ state: "black", sinceAt: 0 });
    expect(judge.view(120_000).state).toBe("black");
  });
  test("noise tells a night from a lost signal; how much is usual for the stream counts", () => {
    const judge = camera();
    for (const at of [0, 60_000, 120_000]) judge.thumbnail(dark(at, 10));
    expect(judge.view(120_000, { deltaMedianBytes: 1_200 })).toMatchObject({ state: "still", by: "dark" });
    expect(judge.view(120_000, { deltaMedianBytes: 900 }).state).toBe("black");
    expect(judge.view(120_000, { deltaMedianBytes: 900, usualDeltaBytes: 2_000 }).state).toBe("still");
  });
  test("a dark room with a lit window is none, nor is a grey picture", () => {
    for (const one of [
      (at: number) =>
        dark(at, 10, (cell) => {
          for (let x = 60; x < 80; x += 1) for (let y = 40; y < 60; y += 1) cell(x, y, 200);
        }),
      (at: number) =>
        dark(at, 10, (cell) => {
          for (let x = 0; x < 160; x += 1) for (let y = 0; y < 12; y += 1) cell(x, y, 200);
        }),
      (at: number) => dark(at, 30),
    ]) {
      const judge = camera();
      for (const at of [0, 60_000, 120_000, 180_000]) judge.thumbnail(one(at));
      expect(judge.view(180_000, { deltaMedianBytes: 40 }).state).toBe("still");
    }
  });
});

test("the two thumbnails of evidence: when it moved last, and now; each a picture any viewer opens", () => {
  const judge = camera();
  for (const at of [0, 60_000]) judge.thumbnail(scene(at, 60));
  for (const at of [120_000, 180_000, 240_000]) judge.thumbnail(scene(at));
  expect(judge.evidence().map(({ at }) => at)).toEqual([120_000, 240_000]);
  const [first] = judge.evidence();
  if (first === undefined) throw new Error("no evidence");
  const file = Buffer.from(pgm(first));
  expect(file.subarray(0, 14).toString("latin1")).toBe("P5\n160 90\n255\n".slice(0, 14));
  expect(file.length).toBe("P5\n160 90\n255\n".length + CELLS);
});

test("whatever comes, it says something, and a presentation is frozen by its clock alone", () => {
  const look = fc.record({
    gap: fc.integer({ min: 0, max: 300_000 }),
    fill: fc.nat(255),
    cells: fc.array(fc.nat(255), { maxLength: 20 }),
  });
  const size = fc.option(fc.oneof(fc.nat(), fc.constant(Number.NaN), fc.constant(Infinity)), { nil: undefined });
  const facts = fc.record({
    keySizes: fc.option(fc.array(fc.nat(3), { maxLength: 8 }), { nil: undefined }),
    deltaMedianBytes: size,
    usualDeltaBytes: size,
    leastMotion: size,
    longestStillMs: size,
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(look, facts), { maxLength: 12 }), (looks) => {
      const judge = camera({ streamClass: "presentation", everyMs: 1_000 });
      let at = 0;
      for (const [{ gap, fill, cells }, more] of looks) {
        at += gap;
        const grey = new Uint8Array(CELLS).fill(fill);
        grey.set(cells, 7_000);
        judge.thumbnail({ at, keySize: 1, grey });
        const { state, says, readings } = judge.view(at, more);
        expect(["live", "still", "black", "unknown"]).toContain(state);
        expect(says.length).toBeGreaterThan(10);
        expect(readings.thumbnails_count).toBeGreaterThanOrEqual(0);
      }
    }),
    { numRuns: 50 },
  );
});
