import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readSpsH264, readSpsH265 } from "../../../../agent/checks/stream/nal/sps.ts";
import { needs, run } from "../../../kit/peers.ts";
import { SETS, splitAnnexB } from "../../../kit/stream/nal-writer.ts";
import { type SpsWish, spsH264, spsH265 } from "../../../kit/stream/sps-writer.ts";
import { tempFolder } from "../../../kit/temp.ts";

const missing = [needs("ffmpeg", "ffmpeg"), needs("ffprobe", "ffmpeg")].includes(true);

interface Wish {
  size: string;
  fps: string;
  options: string[];
}
const X264: Wish[] = [
  { size: "1920x1080", fps: "25", options: ["-profile:v", "high", "-pix_fmt", "yuv420p"] },
  { size: "640x360", fps: "30000/1001", options: ["-profile:v", "baseline", "-pix_fmt", "yuv420p"] },
  { size: "354x290", fps: "12.5", options: ["-profile:v", "main", "-pix_fmt", "yuv420p"] },
  { size: "1282x722", fps: "50", options: ["-pix_fmt", "yuv422p"] },
  { size: "333x111", fps: "25", options: ["-pix_fmt", "yuv444p"] },
  { size: "720x576", fps: "25", options: ["-pix_fmt", "yuv420p", "-flags", "+ildct+ilme", "-x264-params", "tff=1"] },
  { size: "722x580", fps: "25", options: ["-pix_fmt", "yuv420p", "-flags", "+ildct+ilme"] },
  { size: "642x362", fps: "25", options: ["-pix_fmt", "yuv420p10le", "-x264-params", "cqm=jvt:ref=4:poc=1"] },
  {
    size: "176x144",
    fps: "5",
    options: ["-pix_fmt", "gray", "-x264-params", "nal-hrd=vbr:vbv-maxrate=300:vbv-bufsize=300"],
  },
];
const X265: Wish[] = [
  { size: "1920x1080", fps: "25", options: ["-pix_fmt", "yuv420p"] },
  { size: "354x290", fps: "30000/1001", options: ["-pix_fmt", "yuv420p10le"] },
  { size: "642x362", fps: "50", options: ["-pix_fmt", "yuv422p"] },
  { size: "333x111", fps: "12.5", options: ["-pix_fmt", "yuv444p"] },
  {
    size: "640x360",
    fps: "25",
    options: [
      "-pix_fmt",
      "yuv420p",
      "-x265-params",
      "log-level=error:scaling-list=default:bframes=4:b-pyramid=1:hrd=1:vbv-maxrate=900:vbv-bufsize=900:temporal-layers=1",
    ],
  },
];

interface Probed {
  width: number;
  height: number;
  level: number;
  r_frame_rate: string;
}

function encoded(codec: "h264" | "hevc", { size, fps, options }: Wish): { sps: Buffer; probed: Probed } {
  using folder = tempFolder();
  const path = join(folder.path, `clip.${codec}`);
  const encoder = codec === "h264" ? ["-c:v", "libx264"] : ["-c:v", "libx265", "-x265-params", "log-level=error"];
  run("ffmpeg", [
    ...["-v", "error", "-nostdin", "-f", "lavfi", "-i", `testsrc2=size=${size}:rate=${fps}`, "-frames:v", "2"],
    ...[...encoder, "-preset", "veryfast", ...options, path],
  ]);
  const found: { streams: Probed[] } = JSON.parse(
    run("ffprobe", ["-v", "error", "-show_streams", "-of", "json", path]),
  );
  const [probed] = found.streams;
  const type = codec === "h264" ? 7 : 33;
  const sps = splitAnnexB(readFileSync(path)).find(
    (nal) => (codec === "h264" ? (nal[0] ?? 0) & 31 : ((nal[0] ?? 0) >> 1) & 63) === type,
  );
  if (probed === undefined || sps === undefined) throw new Error(`no SPS in ${path}`);
  return { sps, probed };
}

const rate = (fraction: string): number => {
  const [units = 0, scale = 1] = fraction.split("/").map(Number);
  return Math.round((units / scale) * 1000) / 1000;
};

describe.skipIf(missing)("a sequence parameter set says what ffprobe says", () => {
  test.each(X264)("H.264 $size at $fps, $options", (wish) => {
    const { sps, probed } = encoded("h264", wish);
    expect(readSpsH264(sps)?.format).toMatchObject({
      width: probed.width,
      height: probed.height,
      level: probed.level,
      profile: sps[1],
      fps: rate(probed.r_frame_rate),
    });
    expect(readSpsH264(sps)?.fields).toBe(wish.options.includes("+ildct+ilme"));
  });

  test.each(X265)("H.265 $size at $fps, $options", (wish) => {
    const { sps, probed } = encoded("hevc", wish);
    expect(readSpsH265(sps)?.format).toMatchObject({
      width: probed.width,
      height: probed.height,
      level: probed.level,
      fps: rate(probed.r_frame_rate),
    });
  });
});

const list = fc.option(fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 1, maxLength: 9 }), { nil: undefined });
const steps = fc.array(fc.nat(5), { maxLength: 4 });
const wish: fc.Arbitrary<SpsWish> = fc.record({
  id: fc.nat(15),
  chroma: fc.nat(3),
  profile: fc.constantFrom(1, 2, 4),
  level: fc.integer({ min: 10, max: 186 }),
  columns: fc.integer({ min: 3, max: 500 }),
  rows: fc.integer({ min: 3, max: 250 }),
  crop: fc.option(fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3), fc.nat(2)), { nil: undefined }),
  fields: fc.boolean(),
  scaling: fc.array(list, { minLength: 12, maxLength: 12 }),
  scaled: fc.boolean(),
  orderType: fc.nat(2),
  offsets: fc.array(fc.integer({ min: -40, max: 40 }), { maxLength: 9 }),
  sets: fc.array(
    fc.record({
      past: steps,
      future: steps,
      predicted: fc.option(fc.tuple(fc.constantFrom(-3, -1, 1, 2), fc.nat(9), fc.nat(9), fc.nat(9)), {
        nil: undefined,
      }),
    }),
    { maxLength: 12 },
  ),
  longTerm: fc.option(fc.array(fc.nat(255), { maxLength: 9 }), { nil: undefined }),
  pcm: fc.boolean(),
  subLayers: fc.nat(6),
  vui: fc.record({
    aspect: fc.option(fc.constantFrom(1, 255), { nil: undefined }),
    signal: fc.nat(5),
    timing: fc.option(fc.constantFrom([1, 25] as const, [1001, 30_000] as const, [3600, 90_000] as const), {
      nil: undefined,
    }),
  }),
});
const fpsOf = ([units, scale]: readonly [number, number]): number => Math.round((scale / units) * 1000) / 1000;

describe("a sequence parameter set", () => {
  test("of H.264 is read as it was written, whatever stands between", () => {
    fc.assert(
      fc.property(wish, fc.constantFrom(66, 77, 100, 110, 122, 244), (any, profile) => {
        const chroma = profile >= 100 ? any.chroma : 1;
        const sps = readSpsH264(spsH264({ ...any, chroma, profile }));
        const [left, right, top, bottom] = any.crop ?? [0, 0, 0, 0];
        const lines = any.fields ? 2 : 1;
        const [wide, high] = [[1, 2, 2, 1][chroma] ?? 1, [1, 2, 1, 1][chroma] ?? 1];
        expect(sps).toEqual({
          id: any.id,
          fields: any.fields,
          format: {
            codec: "H264",
            profile,
            level: any.level,
            width: any.columns * 16 - (left + right) * wide,
            height: any.rows * 16 * lines - (top + bottom) * high * lines,
            ...(any.vui.timing && { fps: fpsOf(any.vui.timing) }),
          },
        });
      }),
      { numRuns: 400 },
    );
  });

  test("of H.265 is read as it was written, whatever stands between", () => {
    fc.assert(
      fc.property(wish, (any) => {
        const sps = readSpsH265(spsH265(any));
        const [left, right, top, bottom] = any.crop ?? [0, 0, 0, 0];
        const [wide, high] = [[1, 2, 2, 1][any.chroma] ?? 1, [1, 2, 1, 1][any.chroma] ?? 1];
        expect(sps).toEqual({
          id: any.id,
          fields: false,
          format: {
            codec: "H265",
            profile: any.profile,
            level: any.level,
            width: any.columns * 8 - (left + right) * wide,
            height: any.rows * 8 - (top + bottom) * high,
            ...(any.vui.timing && { fps: fpsOf(any.vui.timing) }),
          },
        });
      }),
      { numRuns: 400 },
    );
  });

  const h264 = SETS.H264[0] ?? Buffer.alloc(0);
  const h265 = SETS.H265[1] ?? Buffer.alloc(0);

  test("cut short has no size, or the right one: only its end may be missed", () => {
    for (const [sps, read] of [[h264, readSpsH264] as const, [h265, readSpsH265] as const]) {
      const lengths = Array.from({ length: sps.length }, (_, length) => read(sps.subarray(0, length))?.format);
      expect(lengths.slice(0, 8)).toEqual(Array(8).fill(undefined));
      for (const format of lengths) if (format !== undefined) expect(format).toMatchObject({ width: 640, height: 360 });
    }
  });

  test("with any bit turned or of any bytes is read within bounds or not at all", () => {
    const bits = fc.array(fc.nat(8 * 43), { maxLength: 6 });
    fc.assert(
      fc.property(bits, fc.uint8Array({ maxLength: 120 }), fc.boolean(), (turned, random, whole) => {
        for (const [sps, read] of [[h264, readSpsH264] as const, [h265, readSpsH265] as const]) {
          const bytes = Buffer.from(whole ? sps : random);
          for (const bit of turned) {
            const byte = bytes[bit >> 3];
            if (byte !== undefined) bytes[bit >> 3] = byte ^ (1 << (bit & 7));
          }
          const format = read(bytes)?.format;
          if (format === undefined) continue;
          expect(Math.min(format.width, format.height)).toBeGreaterThan(0);
          expect(Math.max(format.width, format.height)).toBeLessThanOrEqual(16_888);
          expect(format.fps ?? 1).toBeGreaterThan(0);
          expect(format.fps ?? 1).toBeLessThanOrEqual(1000);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
