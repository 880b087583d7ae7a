import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Unwrapped } from "../../../../agent/checks/stream/ps/fields.ts";
import { PsReader } from "../../../../agent/checks/stream/ps/reader.ts";
import { streamMap as readMap } from "../../../../agent/checks/stream/ps/stream-map.ts";
import { clip, needsClips } from "../../../kit/stream/clips.ts";
import { Heard } from "../../../kit/stream/heard.ts";
import { annexB, type Codec, sizeOf, unitOf } from "../../../kit/stream/nal-writer.ts";
import { clipFrames, type PsFrame, type PsWish, probed, psPacks, streamMap, vobOf } from "../../../kit/stream/ps.ts";

/** What a reader tells of these bytes, in chunks of so many. */
function heard(bytes: Buffer, chunk = 1_400): Heard {
  const sink = new Heard();
  const reader = new PsReader(sink);
  push(reader, bytes, chunk);
  return sink;
}
function push(reader: PsReader, bytes: Buffer, chunk: number): void {
  for (let at = 0; at < bytes.length; at += chunk) reader.push(bytes.subarray(at, at + chunk), at);
}
/** Everything but the moments, which differ with the chunks. */
const told = ({ tracks }: Heard) =>
  tracks.map(({ track, sizes, stamps, formats, bytes }) => ({ track, sizes, stamps, formats, bytes }));

const VIDEO_TYPES: Readonly<Record<Codec, number>> = { H264: 0x1b, H265: 0x24 };

interface Plan {
  codec: Codec;
  slices: number[][];
  gop: number;
  soundEvery: number;
  privateEvery: number;
  begin: number;
  chunk: number;
  wish: Partial<PsWish>;
}
const plan: fc.Arbitrary<Plan> = fc.record({
  codec: fc.constantFrom<Codec>("H264", "H265"),
  slices: fc.array(fc.array(fc.integer({ min: 8, max: 700 }), { minLength: 1, maxLength: 3 }), {
    minLength: 3,
    maxLength: 9,
  }),
  gop: fc.integer({ min: 1, max: 5 }),
  soundEvery: fc.integer({ min: 0, max: 3 }),
  privateEvery: fc.integer({ min: 0, max: 3 }),
  begin: fc.constantFrom(0, 90_000, 2 ** 32 - 5_000, 2 ** 33 - 9_000),
  chunk: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.constant(100_000)),
  wish: fc.record({
    map: fc.constantFrom<PsWish["map"]>("keys", "never"),
    mostPayload: fc.integer({ min: 40, max: 2_000 }),
    stuffing: fc.integer({ min: 0, max: 7 }),
    lengths: fc.constantFrom<PsWish["lengths"]>("right", "none"),
    dts: fc.boolean(),
  }),
});

/** The frames of a plan, and what must be told of its picture and its sound; the last picture is not known to be whole. */
function made({ codec, slices, gop, soundEvery, privateEvery, begin }: Plan) {
  const frames: PsFrame[] = [];
  const sizes: string[] = [];
  const stamps: number[] = [];
  const sounds: string[] = [];
  slices.forEach((slice, i) => {
    const key = i % gop === 0;
    const pts = begin + i * 3_600;
    const nals = unitOf(codec, { key, slices: slice, delimiter: true, sei: i % 2 }, i);
    frames.push({ streamId: 0xe0, pts: pts % 2 ** 33, bytes: annexB(nals), key });
    sizes.push(`${sizeOf(nals)}${key ? "*" : ""}`);
    stamps.push(pts);
    if (privateEvery > 0 && i % privateEvery === 0)
      frames.push({ streamId: i % 2 === 0 ? 0xbd : 0xbf, pts: undefined, bytes: Buffer.from([1, 0, 0, 1, 0xe0, 7]) });
    if (soundEvery > 0 && i % soundEvery === 0) {
      frames.push({ streamId: 0xc0, pts: pts % 2 ** 33, bytes: Buffer.alloc(40, 0xd5) });
      sounds.push("40*");
    }
  });
  return { frames, sizes: sizes.slice(0, -1), stamps: stamps.slice(0, -1), sounds };
}

describe("a program stream as devices write it", () => {
  test("is read into exactly its frames, however it is packed and cut", () => {
    fc.assert(
      fc.property(plan, (order) => {
        const { frames, sizes, stamps, sounds } = made(order);
        const wish: Partial<PsWish> = {
          ...order.wish,
          types: [
            [0xe0, VIDEO_TYPES[order.codec]],
            [0xc0, 0x90],
          ],
        };
        const { tracks } = heard(Buffer.concat(psPacks(frames, wish)), order.chunk);
        const video = tracks[0];
        expect(video?.track).toEqual({ kind: "video", codec: order.codec, clockHz: 90_000 });
        expect(video?.sizes).toEqual(sizes);
        expect(video?.stamps).toEqual(stamps);
        expect(video?.odd).toEqual([]);
        expect(video?.formats).toMatchObject([{ codec: order.codec, width: 640, height: 360 }]);
        const mapped = wish.map === "keys";
        if (mapped || sounds.length > 0)
          expect(tracks[1]?.track).toEqual({ kind: "audio", codec: mapped ? "PCMA" : "", clockHz: 90_000 });
        // with a small enough payload a sound comes in more than one packet
        if ((order.wish.mostPayload ?? 0) >= 40) expect(tracks[1]?.sizes ?? []).toEqual(sounds);
        expect(tracks).toHaveLength(mapped || sounds.length > 0 ? 2 : 1);
      }),
      { numRuns: 300 },
    );
  });

  test("goes on with the next pack after a gap, and tells no frame that never was", () => {
    fc.assert(
      fc.property(plan, fc.nat(), fc.integer({ min: 1, max: 400 }), (order, where, length) => {
        const { frames, stamps, sizes } = made({ ...order, gop: 2 });
        const wish: Partial<PsWish> = { ...order.wish, types: [[0xe0, VIDEO_TYPES[order.codec]]] };
        const packs = psPacks(frames, wish);
        const bytes = Buffer.concat(packs);
        const sink = new Heard();
        const reader = new PsReader(sink);
        const from = where % bytes.length;
        push(reader, bytes.subarray(0, from), order.chunk);
        reader.lost();
        push(reader, bytes.subarray(from + length), order.chunk);
        push(reader, bytes, order.chunk); // the same once more: it must have found its way back by then
        const video = sink.tracks.find(({ track }) => track?.kind === "video") ?? sink.of(0);
        expect(video.frames.length).toBeLessThanOrEqual(2 * frames.length);
        expect(video.sizes.slice(-sizes.length)).toEqual(sizes);
        expect(new Set(video.stamps).size).toBeLessThanOrEqual(stamps.length + 1);
      }),
      { numRuns: 200 },
    );
  });

  test("with a length too short for its picture loses nothing of it, and says so", () => {
    const nals = [0, 1, 2, 3].map((i) =>
      unitOf("H264", { key: i % 2 === 0, slices: [i % 2 === 0 ? 90_000 : 500], delimiter: true, sei: 0 }, i),
    );
    const frames = nals.map((one, i) => ({ streamId: 0xe0, pts: i * 3_600, bytes: annexB(one), key: i % 2 === 0 }));
    for (const chunk of [1, 1_400, 1_000_000]) {
      const { tracks } = heard(Buffer.concat(psPacks(frames, { lengths: "wrapped" })), chunk);
      expect(tracks[0]?.sizes).toEqual(nals.slice(0, 3).map((one, i) => `${sizeOf(one)}${i === 1 ? "" : "*"}`));
      expect(tracks[0]?.odd).toContain("pes length");
    }
  });

  test("without a PTS is stamped by its packs' clock", () => {
    const frames = [0, 1, 2, 3].map((i) => ({
      streamId: 0xe0,
      pts: undefined,
      bytes: annexB(unitOf("H264", { key: i === 0, slices: [300], delimiter: true, sei: 0 }, i)),
      key: i === 0,
    }));
    expect(heard(Buffer.concat(psPacks(frames))).of(0).stamps).toEqual([3_600, 7_200, 10_800]);
  });

  test("of a codec we cannot read counts a frame for each stamp, keyframes as their packs announce them", () => {
    const frames = Array.from({ length: 9 }, (_, i) => ({
      streamId: 0xe0,
      pts: i * 3_600,
      bytes: Buffer.alloc(100 + i, 7),
      key: i % 4 === 0,
    }));
    const bytes = Buffer.concat(
      psPacks(frames, {
        types: [
          [0xe0, 0x80],
          [0xc0, 0x9b],
        ],
        mostPayload: 30,
      }),
    );
    for (const chunk of [1, 7, 10_000]) {
      const { tracks } = heard(bytes, chunk);
      expect(tracks.map(({ track }) => track?.codec)).toEqual(["SVAC", "SVACA"]);
      expect(tracks[0]?.sizes).toEqual(["100*", "101", "102", "103", "104*", "105", "106", "107"]);
    }
  });

  test("whose pictures stop tells the sound of it alone", () => {
    const frames = Array.from({ length: 20 }, (_, i) => ({
      streamId: i < 2 ? 0xe0 : 0xc0,
      pts: i * 3_600,
      bytes:
        i < 2 ? annexB(unitOf("H264", { key: i === 0, slices: [99], delimiter: true, sei: 0 }, i)) : Buffer.alloc(320),
      key: i === 0,
    }));
    const { tracks } = heard(Buffer.concat(psPacks(frames)));
    expect(tracks[0]?.frames).toHaveLength(1);
    expect(tracks[1]?.frames).toHaveLength(18);
  });

  test("another codec in a later stream map is another track's announcement", () => {
    const part = (codec: Codec, from: number) =>
      [0, 1, 2].map((i) => ({
        streamId: 0xe0,
        pts: (from + i) * 3_600,
        bytes: annexB(unitOf(codec, { key: i === 0, slices: [200], delimiter: true, sei: 0 }, i)),
        key: i === 0,
      }));
    const sink = heard(
      Buffer.concat([
        ...psPacks(part("H264", 0), { types: [[0xe0, 0x1b]] }),
        ...psPacks(part("H265", 3), { types: [[0xe0, 0x24]] }),
      ]),
    );
    expect(sink.of(0).track?.codec).toBe("H265");
    expect(sink.of(0).formats.map(({ codec }) => codec)).toEqual(["H264", "H265"]);
  });
});

describe.skipIf(needsClips())("a program stream of ffmpeg's, without a stream map", () => {
  test.each(["h264", "h265"] as const)("has the frames, keyframes and size that ffprobe finds: %s", (codec) => {
    const path = clip("move", { codec, seconds: 6 });
    const { frames, keys, width, height } = probed(path);
    const bytes = vobOf(path);
    const once = heard(bytes);
    const video = once.of(0);
    expect(video.track?.codec).toBe(codec.toUpperCase());
    expect(video.frames).toHaveLength(frames - 1); // the last is not known to be whole
    expect(video.keys).toBe(keys);
    expect(video.formats).toMatchObject([{ width, height }]);
    expect(video.odd).toEqual([]);
    expect(told(heard(bytes, 1_000_000_000))).toEqual(told(once));
    expect(told(heard(bytes.subarray(0, 200_000), 1))).toEqual(told(heard(bytes.subarray(0, 200_000))));
  });

  test("is joined in the middle, too", () => {
    const bytes = vobOf(clip("move", { seconds: 6 }));
    const video = heard(bytes.subarray(50_001)).of(0);
    expect(video.track?.codec).toBe("H264");
    expect(video.keys).toBe(2);
  });

  test("a keyframe that is wanted comes whole", () => {
    const path = clip("move", { seconds: 6 });
    const frames = clipFrames(path, "h264");
    const sink = new Heard();
    sink.wants = 1;
    push(new PsReader(sink), Buffer.concat(psPacks(frames)), 1_400);
    const [picture] = sink.of(0).pictures;
    expect(picture?.format).toBe("h264");
    expect(picture?.bytes.length).toBeGreaterThan((frames[0]?.bytes.length ?? 0) * 0.9);
    expect(sink.of(0).frames).toHaveLength(frames.length - 1);
  });
});

describe("hostile bytes", () => {
  const good = Buffer.concat(
    psPacks(
      Array.from({ length: 12 }, (_, i) => ({
        streamId: i % 3 === 2 ? 0xc0 : 0xe0,
        pts: i * 3_600,
        bytes: annexB(unitOf("H264", { key: i % 4 === 0, slices: [300], delimiter: true, sei: 9 }, i)),
        key: i % 4 === 0,
      })),
    ),
  );

  test("neither crash it nor let it tell two tales of the same bytes", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 600 }).map((raw) => Buffer.from(raw)),
      fc
        .array(
          fc.constantFrom("000001ba", "000001bb", "000001bc", "000001e0", "000001c0", "000001bd", "000001", "00", "ff"),
        )
        .map((parts) => Buffer.from(parts.join(""), "hex")),
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 12 }).map((changes) => {
        const spoilt = Buffer.from(good);
        for (const [at, value] of changes) spoilt[at] = value;
        return spoilt;
      }),
    );
    fc.assert(
      fc.property(bytes, fc.integer({ min: 1, max: 50 }), (all, chunk) => {
        expect(told(heard(all, chunk))).toEqual(told(heard(all, 1_000_000)));
      }),
      { numRuns: 2_000 },
    );
  });

  test("a stream map that is larger than it may be, or lies about its lengths, is passed over", () => {
    for (const map of [
      Buffer.from("000001bcffffe1ff", "hex"),
      Buffer.from("000001bc000ae1ffffff000045bddcf4", "hex"),
      Buffer.from("000001bc0002e1ff", "hex"),
    ]) {
      const { tracks } = heard(Buffer.concat([map, good]));
      expect(tracks[0]?.track?.codec).toBe("H264");
    }
    expect(
      readMap(
        streamMap([
          [0xe0, 0x1b],
          [0xc0, 0x0f],
          [0xbd, 0xbd],
          [0xe1, 0x55],
        ]),
      ),
    ).toEqual([
      { streamId: 0xe0, kind: "video", codec: "H264" },
      { streamId: 0xc0, kind: "audio", codec: "AAC" },
      { streamId: 0xe1, kind: "video", codec: "" },
    ]);
    expect(readMap(Buffer.from("000001bc000ee1ff0000ffff1be00000", "hex"))).toBeUndefined();
  });

  test("that open one stream after the other get eight tracks and no more", () => {
    const frames = Array.from({ length: 32 }, (_, i) => ({ streamId: 0xc0 + i, pts: 0, bytes: Buffer.alloc(9) }));
    expect(heard(Buffer.concat(psPacks(frames))).tracks).toHaveLength(8);
  });
});

test("stamps of 33 bits go on where they begin anew, and follow a leap either way", () => {
  const stamps = new Unwrapped();
  expect(stamps.of(2 ** 33 - 100)).toBe(2 ** 33 - 100);
  expect(stamps.of(200)).toBe(2 ** 33 + 200);
  expect(stamps.of(2 ** 33 - 50)).toBe(2 ** 33 - 50);
  expect(stamps.of(900_000)).toBe(2 ** 33 + 900_000);
  expect(stamps.of(0)).toBe(2 ** 33);
});
