import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AnnexB } from "../../../../agent/checks/stream/nal/annex-b.ts";
import { LengthPrefixed, readAvcConfig, readHevcConfig } from "../../../../agent/checks/stream/nal/avcc.ts";
import { VideoUnits } from "../../../../agent/checks/stream/nal/units.ts";
import { Heard } from "../../../kit/stream/heard.ts";
import {
  annexB,
  type Codec,
  lengthPrefixed,
  SETS,
  sizeOf,
  type UnitWish,
  unitOf,
} from "../../../kit/stream/nal-writer.ts";

const unit: fc.Arbitrary<UnitWish> = fc.record({
  key: fc.boolean(),
  slices: fc.array(fc.integer({ min: 4, max: 900 }), { minLength: 1, maxLength: 3 }),
  delimiter: fc.boolean(),
  sei: fc.constantFrom(0, 0, 20, 200),
});
const codec = fc.constantFrom<Codec>("H264", "H265");
const cuts = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 30 });

const told = (codec: Codec, units: readonly UnitWish[]): string[] =>
  units.map((one, i) => `${sizeOf(unitOf(codec, one, i))}${one.key ? "*" : ""}`);

/** Calls `take` with the pieces, at another place of a larger buffer each. */
function inChunks(
  bytes: Buffer,
  sizes: readonly number[],
  take: (bytes: Buffer, from: number, to: number) => void,
): void {
  for (let at = 0, i = 0; at < bytes.length; i += 1) {
    const size = Math.min(sizes[i % sizes.length] ?? 1, bytes.length - at);
    const around = Buffer.concat([Buffer.from([0, 0, 1]), bytes.subarray(at, at + size), Buffer.from([0, 1, 0, 0, 1])]);
    take(around, 3, 3 + size);
    at += size;
  }
}

const slice = (header: number, first: boolean, size: number): Buffer =>
  Buffer.concat([Buffer.from([header, first ? 0x88 : 0x48]), Buffer.alloc(size - 2, 7)]);
const feed = (units: VideoUnits, ...nals: Buffer[]): void => {
  for (const nal of nals) units.nal(nal, 0, nal.length);
};

describe("access units", () => {
  test("in a byte stream are found in any chunks, whether or not their stamps move", () => {
    fc.assert(
      fc.property(
        codec,
        fc.array(unit, { minLength: 1, maxLength: 8 }),
        cuts,
        fc.boolean(),
        (codec, wishes, sizes, moving) => {
          const sink = new Heard();
          const units = new VideoUnits(0, codec, sink);
          const reader = new AnnexB(units, codec);
          wishes.forEach((wish, i) => {
            units.at(moving ? i : 0, i);
            inChunks(annexB(unitOf(codec, wish, i)), sizes, (bytes, from, to) => reader.data(bytes, from, to));
          });
          units.end(99);
          expect(sink.of(0).sizes).toEqual(told(codec, wishes));
          expect(sink.of(0).odd).toEqual([]);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("with lengths before them are found in any chunks", () => {
    fc.assert(
      fc.property(
        codec,
        fc.array(unit, { minLength: 1, maxLength: 8 }),
        cuts,
        fc.constantFrom(2, 4),
        (codec, wishes, sizes, length) => {
          const sink = new Heard();
          const units = new VideoUnits(0, codec, sink);
          const reader = new LengthPrefixed(units, codec, length);
          wishes.forEach((wish, i) => {
            units.at(i, i);
            inChunks(lengthPrefixed(unitOf(codec, wish, i), length), sizes, (bytes, from, to) =>
              reader.data(bytes, from, to),
            );
            expect(reader.end()).toBe(true);
            units.end(i);
          });
          expect(sink.of(0).frames.map(({ size, key, at }) => `${size}${key ? "*" : ""} ${at}`)).toEqual(
            told(codec, wishes).map((frame, i) => `${frame} ${i}`),
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  test("that are wanted are kept with their parameter sets, however they came", () => {
    fc.assert(
      fc.property(codec, unit, cuts, (codec, wish, sizes) => {
        const sink = new Heard();
        sink.wants = 1;
        const units = new VideoUnits(0, codec, sink);
        for (const set of SETS[codec]) units.remember(set);
        const reader = new AnnexB(units, codec);
        units.at(1, 1);
        const nals = unitOf(codec, { ...wish, key: true }, 3);
        inChunks(annexB(nals), sizes, (bytes, from, to) => reader.data(bytes, from, to));
        units.end(1);
        const slices = nals.slice(-wish.slices.length);
        const whole = [...SETS[codec], ...slices].flatMap((nal) => [Buffer.from([0, 0, 0, 1]), nal]);
        expect(sink.of(0).pictures).toEqual([
          { format: codec === "H264" ? "h264" : "h265", bytes: Buffer.concat(whole) },
        ]);
        expect(sink.of(0).formats).toMatchObject([{ codec, width: 640, height: 360, fps: 25 }]);
      }),
      { numRuns: 100 },
    );
  });

  test("that are wanted are kept with parameter sets told outside, the newest of each id and kind", () => {
    for (const codec of ["H264", "H265"] as const) {
      const sink = new Heard();
      sink.wants = 1;
      const units = new VideoUnits(0, codec, sink);
      const key = slice(codec === "H264" ? 0x65 : 20 << 1, true, 9);
      const [last = Buffer.alloc(0), ...others] = SETS[codec].toReversed();
      for (const set of others.toReversed()) units.remember(set);
      units.remember(key);
      units.at(1, 0);
      feed(units, key);
      units.at(2, 0);
      // The last with other contents first: the same id.
      units.remember(Buffer.concat([last, Buffer.from([7])]));
      units.remember(last);
      feed(units, key);
      units.end(0);
      const whole = [...SETS[codec], key].flatMap((nal) => [Buffer.from([0, 0, 0, 1]), nal]);
      expect(sink.of(0).pictures.map((picture) => Buffer.from(picture.bytes))).toEqual([Buffer.concat(whole)]);
    }
  });

  test("of a sender that invents parameter sets are kept with the newest sixteen", () => {
    const sink = new Heard();
    sink.wants = 1;
    const units = new VideoUnits(0, "H264", sink);
    const [sps = Buffer.alloc(0), pps = Buffer.alloc(0)] = SETS.H264;
    // pic_parameter_set_id 7 to 30 as ue(v) of nine bits, the other bits whatever
    for (let id = 7; id < 31; id += 1) feed(units, Buffer.of(0x68, (id + 1) >> 1, (((id + 1) << 7) & 0xff) | 0x40));
    feed(units, sps, pps, slice(0x65, true, 50));
    units.end(0);
    const bytes = Buffer.from(sink.of(0).pictures[0]?.bytes ?? []);
    let count = 0;
    for (let at = bytes.indexOf("00000001", 0, "hex"); at >= 0; at = bytes.indexOf("00000001", at + 1, "hex"))
      count += 1;
    expect(count).toBe(17); // sixteen sets and the slice
  });

  test("are not kept without parameter sets, nor of more than 2 MiB, which is odd", () => {
    const sink = new Heard();
    sink.wants = 1;
    const units = new VideoUnits(0, "H264", sink);
    units.at(1, 0);
    feed(units, ...SETS.H264.slice(1), slice(0x65, true, 100));
    units.at(2, 0);
    feed(units, ...SETS.H264, slice(0x65, true, 100), ...Array<Buffer>(3).fill(slice(0x65, false, 800_000)));
    units.end(0);
    expect(sink.of(0).pictures).toEqual([]);
    expect(sink.of(0).odd).toEqual(["large keyframe"]);
    units.at(3, 0);
    feed(units, slice(0x65, true, 100));
    units.end(0);
    expect(sink.of(0).pictures).toHaveLength(1);
  });

  test("whose marker comes with every slice are still one frame each", () => {
    const sink = new Heard();
    const units = new VideoUnits(0, "H264", sink);
    for (const stamp of [1, 2]) {
      units.at(stamp, 0);
      feed(units, slice(0x41, true, 50));
      units.end(0);
      units.at(stamp, 0);
      feed(units, slice(0x41, false, 50));
      units.end(0);
    }
    expect(sink.of(0).stamps).toEqual([1, 2]);
  });

  test("of an encoder whose parameter sets have a stamp of their own, or no picture follows, are no frames", () => {
    const sink = new Heard();
    const units = new VideoUnits(0, "H264", sink);
    units.at(1, 0);
    feed(units, ...SETS.H264);
    units.end(0);
    units.at(2, 0);
    feed(units, slice(0x65, true, 50));
    units.end(0);
    expect(sink.of(0).sizes).toEqual(["50*"]);
    expect(sink.of(0).formats).toHaveLength(1);
  });

  test("that open with a recovery point are keyframes; whole at once, a picture too", () => {
    const sink = new Heard();
    sink.wants = 9;
    const units = new VideoUnits(0, "H264", sink);
    // A buffering period of 3 bytes before it; recovery_frame_cnt 0, then 24.
    const sei = (code: number[]): Buffer => Buffer.from([6, 0, 3, 1, 2, 3, 6, code.length, ...code, 0x80]);
    units.at(1, 0);
    feed(units, ...SETS.H264, sei([0x84]), slice(0x41, true, 50));
    units.at(2, 0);
    feed(units, slice(0x41, true, 60));
    units.at(3, 0);
    feed(units, sei([0x0c, 0xc0]), slice(0x41, true, 70));
    units.at(4, 0);
    expect(sink.of(0).frames.map((frame) => frame.key)).toEqual([true, false, true]);
    expect(sink.of(0).pictures).toHaveLength(1);
  });

  test("tell their format with the first keyframe, the one in the stream before the one told outside, and when it changes", () => {
    const sink = new Heard();
    const units = new VideoUnits(0, "H264", sink);
    // 1920 × 1080 outside.
    units.remember(Buffer.from("67640028acd940780227e5c05a808080a0000003002000000781e30632c0", "hex"));
    units.at(1, 0);
    feed(units, slice(0x41, true, 50));
    units.at(2, 0);
    feed(units, ...SETS.H264, slice(0x65, true, 50));
    units.at(3, 0);
    expect(sink.of(0).formats).toMatchObject([{ width: 640 }]);
    feed(
      units,
      Buffer.from("67640028acd940780227e5c05a808080a0000003002000000781e30632c0", "hex"),
      slice(0x65, true, 50),
    );
    units.at(4, 0);
    expect(sink.of(0).formats).toMatchObject([{ width: 640 }, { width: 1920, height: 1080 }]);
    // 640 × 360 again and then 640 × 352, without a keyframe.
    feed(units, ...SETS.H264, slice(0x41, true, 50));
    units.at(5, 0);
    feed(units, Buffer.from("6742c01eda0280b6c044000003000400000300c83c58ba80", "hex"), slice(0x41, true, 50));
    units.at(6, 0);
    expect(sink.of(0).formats.slice(2)).toMatchObject([{ height: 360 }, { height: 352 }]);
  });

  test("with a parameter set that is broken or endless are odd, and go on", () => {
    const sink = new Heard();
    const units = new VideoUnits(0, "H264", sink);
    units.at(1, 0);
    feed(
      units,
      Buffer.from([0x67, 0x64, 0]),
      Buffer.concat([Buffer.from([0x68]), Buffer.alloc(9000, 1)]),
      slice(0x65, true, 5),
    );
    units.end(0);
    expect(sink.of(0).odd).toEqual(["sps", "parameter set"]);
    expect(sink.of(0).sizes).toEqual([`${3 + 9001 + 5}*`]);
  });

  test("of any bytes at all throw nothing and keep little", () => {
    fc.assert(
      fc.property(codec, fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 40 }), (codec, chunks) => {
        const sink = new Heard();
        sink.wants = 1;
        const units = new VideoUnits(0, codec, sink);
        for (const set of SETS[codec]) units.remember(set);
        const streamed = new AnnexB(units, codec);
        const tagged = new LengthPrefixed(units, codec);
        chunks.forEach((chunk, i) => {
          units.at(i, i);
          const bytes = Buffer.concat([Buffer.from([0, 0, 1]), chunk]);
          streamed.data(bytes, i % 2 === 0 ? 0 : 3, bytes.length);
          tagged.data(chunk, 0, chunk.length);
          units.remember(chunk);
          units.nal(chunk, 0, chunk.length);
        });
        expect(tagged.end()).toBeTypeOf("boolean");
        units.end(99);
      }),
      { numRuns: 500 },
    );
  });
});

describe("decoder configuration records", () => {
  const [sps = Buffer.alloc(0), pps = Buffer.alloc(0)] = SETS.H264;
  const sized = (nal: Buffer): Buffer => Buffer.concat([Buffer.from([nal.length >> 8, nal.length & 255]), nal]);
  const avc = Buffer.concat([Buffer.from([1, 0x42, 0xc0, 30, 0xff, 0xe1]), sized(sps), Buffer.from([1]), sized(pps)]);
  const arrays = SETS.H265.map((set) => Buffer.concat([Buffer.from([(set[0] ?? 0) >> 1, 0, 1]), sized(set)]));
  const hevc = Buffer.concat([Buffer.from([1]), Buffer.alloc(20), Buffer.from([0xfd, 3]), ...arrays]);

  test("of both codecs are read; cut short anywhere they are none", () => {
    expect(readAvcConfig(avc)).toEqual({ lengthBytes: 4, sets: [...SETS.H264] });
    expect(readHevcConfig(hevc)).toEqual({ lengthBytes: 2, sets: [...SETS.H265] });
    for (let length = 0; length < avc.length; length += 1)
      expect(readAvcConfig(avc.subarray(0, length))).toBeUndefined();
    for (let length = 0; length < hevc.length; length += 1) {
      expect(readHevcConfig(hevc.subarray(0, length))).toBeUndefined();
    }
  });

  test("of more than 64 sets are none", () => {
    const record = (count: number): Buffer =>
      Buffer.concat([Buffer.of(1, 100, 0, 31, 0xff, 0xe0, count), Buffer.alloc(2 * count)]);
    expect(readAvcConfig(record(64))?.sets).toHaveLength(64);
    expect(readAvcConfig(record(65))).toBeUndefined();
  });

  test("of any bytes throw nothing", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const config of [readAvcConfig(bytes), readHevcConfig(bytes)]) {
          expect(config?.sets.length ?? 0).toBeLessThanOrEqual(64);
        }
      }),
    );
  });
});
