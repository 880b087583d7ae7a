import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FlvMedia } from "../../../../agent/checks/stream/flv/media.ts";
import { Stamps32 } from "../../../../agent/checks/stream/flv/stamps.ts";
import { FlvTags } from "../../../../agent/checks/stream/flv/tags.ts";
import { Failure } from "../../../../protocol/failure.ts";
import { programPath } from "../../../kit/peers.ts";
import { clip, clipFacts, needsClips } from "../../../kit/stream/clips.ts";
import { avcRecord, clipUnits, FLV_HEADER, flvTag, hevcRecord, sized } from "../../../kit/stream/flv-writer.ts";
import { Heard } from "../../../kit/stream/heard.ts";

/** Reads an FLV in pieces of `step` bytes; 0: all at once. */
function read(flv: Uint8Array, step = 0, wants = 0): Heard {
  const heard = new Heard();
  heard.wants = wants;
  const media = new FlvMedia(heard);
  const tags = new FlvTags(media);
  for (let at = 0; at < flv.length; at += step || flv.length) {
    tags.push(flv, at, Math.min(flv.length, at + (step || flv.length)), at);
    media.flush(at);
  }
  return heard;
}

/** What was told, without when. */
const figures = (heard: Heard) =>
  heard.tracks.map(({ track, bytes, sizes, stamps, formats, pictures, odd }) => ({
    ...{ track, bytes, sizes, stamps, formats, odd: [...new Set(odd)] },
    pictures: pictures.map((picture) => Buffer.from(picture.bytes).toString("base64")),
  }));

/** Says nothing where ffmpeg decodes it without a complaint. */
const complaints = (format: string, bytes: Uint8Array): string =>
  spawnSync(programPath("ffmpeg"), ["-v", "warning", "-f", format, "-i", "pipe:0", "-f", "null", "-"], {
    input: bytes,
  }).stderr.toString();

const int24 = (value: number): Buffer => Buffer.of((value >> 16) & 255, (value >> 8) & 255, value & 255);

/** How video tags say what they are: the classic way and that of Enhanced RTMP. */
const WAYS = {
  classic: {
    config: (codec: string) => Buffer.of(0x10 | (codec === "h264" ? 7 : 12), 0, 0, 0, 0),
    frame: (codec: string, key: boolean, shift: number) =>
      Buffer.concat([Buffer.of((key ? 0x10 : 0x20) | (codec === "h264" ? 7 : 12), 1), int24(shift)]),
  },
  enhanced: {
    config: (codec: string) => Buffer.concat([Buffer.of(0x90), fourCc(codec)]),
    frame: (codec: string, key: boolean, shift: number) =>
      shift === 0
        ? Buffer.concat([Buffer.of(key ? 0x93 : 0xa3), fourCc(codec)])
        : Buffer.concat([Buffer.of(key ? 0x91 : 0xa1), fourCc(codec), int24(shift)]),
  },
  modified: {
    // a nanosecond offset before each, and one track of possibly several
    config: (codec: string) => Buffer.concat([Buffer.of(0x97, 2, 0, 0, 9, 0x06, 0x00), fourCc(codec), Buffer.of(0)]),
    frame: (codec: string, key: boolean, shift: number) =>
      Buffer.concat([Buffer.of(key ? 0x97 : 0xa7, 2, 0, 0, 9, 0x06, 0x01), fourCc(codec), Buffer.of(0), int24(shift)]),
  },
} as const;
const fourCc = (codec: string): Buffer => Buffer.from(codec === "h264" ? "avc1" : "hvc1");

/** A clip as an FLV of our own making: stamps 40 ms apart from `first` on. */
function flvOf(way: keyof typeof WAYS, codec: "h264" | "h265", path: string, frames: number, first = 0): Buffer {
  const { units, sets } = clipUnits(path, codec);
  const { config, frame } = WAYS[way];
  const [one = Buffer.alloc(0), two = Buffer.alloc(0)] = sets;
  const record = codec === "h264" ? avcRecord(one, two) : hevcRecord(sets);
  const tags = units
    .slice(0, frames)
    .map(({ nals, key }, i) =>
      flvTag(9, (first + 40 * i) >>> 0, Buffer.concat([frame(codec, key, i % 3 === 0 ? 0 : 80), sized(nals)])),
    );
  return Buffer.concat([
    FLV_HEADER,
    flvTag(18, 0, Buffer.alloc(900, 2)),
    flvTag(9, 0, Buffer.concat([config(codec), record])),
    ...tags,
  ]);
}

describe.skipIf(needsClips())("video in FLV", () => {
  test.each([
    ["classic", "h264"],
    ["enhanced", "h264"],
    ["modified", "h264"],
    ["classic", "h265"],
    ["enhanced", "h265"],
    ["modified", "h265"],
  ] as const)("%s %s: frames, keyframes, format and the picture are the clip's, in any pieces", (way, codec) => {
    const path = clip("move", { codec, seconds: 3 });
    const facts = clipFacts(path);
    const flv = flvOf(way, codec, path, 60);
    const heard = read(flv, 0, 1);
    const [video] = heard.tracks;
    expect(video?.track).toMatchObject({ kind: "video", codec: codec === "h264" ? "H264" : "H265", clockHz: 1000 });
    expect(video?.formats).toMatchObject([{ width: facts.width, height: facts.height }]);
    expect(video?.frames.map(({ key }) => key)).toEqual(Array.from({ length: 60 }, (_, i) => i % 50 === 0));
    expect(video?.stamps).toEqual(Array.from({ length: 60 }, (_, i) => 40 * i + (i % 3 === 0 ? 0 : 80)));
    expect(video?.odd).toEqual([]);
    const [picture] = video?.pictures ?? [];
    expect(picture?.format).toBe(codec);
    expect(complaints(codec === "h264" ? "h264" : "hevc", picture?.bytes ?? new Uint8Array())).toBe("");
    for (const step of [1, 7, 1460]) expect(figures(read(flv, step, 1))).toEqual(figures(heard));
  });

  test("a stream that changes its size says so with its next keyframe", () => {
    const [small, large] = [clip("move", { seconds: 3 }), clip("move", { seconds: 3, width: 320, height: 180 })];
    const flv = Buffer.concat([
      flvOf("classic", "h264", small, 10),
      flvOf("classic", "h264", large, 10).subarray(FLV_HEADER.length),
    ]);
    expect(
      read(flv)
        .of(0)
        .formats.map(({ width }) => width),
    ).toEqual([640, 320]);
  });

  test("frames without parameter sets are counted, and it is odd", () => {
    const flv = flvOf("classic", "h264", clip("move", { seconds: 3 }), 5);
    const config = flv.indexOf(Buffer.of(0x17, 0, 0, 0, 0)) - 11;
    const without = Buffer.concat([flv.subarray(0, config), flv.subarray(config + 15 + flv.readUIntBE(config + 1, 3))]);
    const heard = read(without, 0, 1);
    expect(heard.of(0)).toMatchObject({ formats: [], pictures: [], odd: ["no parameter sets"] });
    expect(heard.of(0).frames).toHaveLength(5);
  });

  test("lengths that reach beyond the frame are odd, and the next frame is read", () => {
    const lying = Buffer.concat([WAYS.classic.frame("h264", true, 0), Buffer.from("00ffffff65888080", "hex")]);
    const good = flvOf("classic", "h264", clip("move", { seconds: 3 }), 3);
    const flv = Buffer.concat([FLV_HEADER, flvTag(9, 0, lying), good.subarray(FLV_HEADER.length)]);
    const { odd, keys, frames } = read(flv).of(0);
    expect(odd).toContain("nal length");
    expect([keys, frames.length]).toEqual([2, 4]);
  });
});

describe("tags", () => {
  test.each([
    ["AAC", [Buffer.of(0xaf, 0, 0x12, 0x10), Buffer.of(0xaf, 1, 1, 2, 3)], ["3"]],
    ["PCMA", [Buffer.of(0x7e, 1, 2)], ["2"]],
    ["PCMU", [Buffer.of(0x8e, 1, 2)], ["2"]],
    ["MP3", [Buffer.of(0x2f, 1, 2, 3, 4)], ["4"]],
    ["OPUS", [Buffer.from("\x90Opus head", "latin1"), Buffer.from("\x91Opusabc", "latin1")], ["3"]],
    ["OPUS", [Buffer.of(0xdf, 1, 2)], ["2"]],
    ["AAC", [Buffer.from("\x90mp4ahd", "latin1"), Buffer.from("\x91mp4aabcd", "latin1")], ["4"]],
  ])("sound %s", (codec, bodies, sizes) => {
    const flv = Buffer.concat([FLV_HEADER, ...bodies.map((body, i) => flvTag(8, 23 * i, body))]);
    for (const step of [0, 1]) {
      const [track] = read(flv, step).tracks;
      expect(track?.track).toEqual({ kind: "audio", codec, clockHz: 1000 });
      expect(track?.sizes).toEqual(sizes);
    }
  });

  test.each([
    ["AV1", Buffer.from("\x91av01frame", "latin1"), "5*"],
    ["VP9", Buffer.from("\xa1vp09frame", "latin1"), "5"],
    ["H263", Buffer.from("\x12frame", "latin1"), "5*"],
  ])("picture %s is counted by what the tags say", (codec, body, size) => {
    const heard = read(Buffer.concat([FLV_HEADER, flvTag(9, 0, body)]));
    expect(heard.of(0)).toMatchObject({ track: { codec }, sizes: [size] });
  });

  test("stamps go on growing where 32 bits begin anew, and may run back a little", () => {
    const stamps = new Stamps32();
    const raw = [0xffffffd8, 0x0, 0xfffffff6, 0x28, 0x50];
    expect(raw.map((stamp) => stamps.unwrap(stamp))).toEqual([
      0xffffffd8,
      2 ** 32,
      0xfffffff6,
      2 ** 32 + 40,
      2 ** 32 + 80,
    ]);
  });

  test("a configuration record longer than any is odd, and nothing is kept of it", () => {
    const long = Buffer.concat([WAYS.classic.config("h264"), Buffer.alloc(30_000)]);
    for (const step of [0, 1000]) {
      const heard = read(Buffer.concat([FLV_HEADER, flvTag(9, 0, long)]), step);
      expect(heard.of(0)).toMatchObject({ track: { codec: "H264" }, odd: ["parameter sets"], frames: [] });
    }
  });

  test("empty tags, commands to the player and metadata are no frames", () => {
    const bodies = [Buffer.alloc(0), Buffer.of(0x57, 0), Buffer.of(0x17), Buffer.of(0x17, 2, 0, 0, 0)];
    const flv = Buffer.concat([FLV_HEADER, ...bodies.map((body) => flvTag(9, 0, body)), flvTag(8, 0, Buffer.alloc(0))]);
    expect(read(flv).tracks.flatMap(({ frames }) => frames)).toEqual([]);
  });

  test.each([
    ["a web page", Buffer.from("<html><body>404")],
    ["a tag of an unknown type", Buffer.concat([FLV_HEADER, flvTag(3, 0, Buffer.of(1))])],
    ["a tag just over 8 MB", Buffer.concat([FLV_HEADER, Buffer.from("0980000100000000000000", "hex")])],
    ["a tag of 16 MB", Buffer.concat([FLV_HEADER, Buffer.from("09ffffff00000000000000", "hex")])],
    ["a header without end", Buffer.from("464c560105ffffffff", "hex")],
  ])("%s is refused", (_, flv) => {
    expect(() => read(flv)).toThrow(Failure);
    expect(() => read(flv, 1)).toThrow(Failure);
  });

  test("of any bodies figures come that do not depend on the pieces", () => {
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc
        .tuple(
          fc.constantFrom(
            "1700000000",
            "1701000000",
            "2701000000",
            "1c00000000",
            "1c01000000",
            "9068766331",
            "9368766331",
            "97ff",
            "96",
          ),
          fc.uint8Array({ maxLength: 60 }),
        )
        .map(([head, rest]) => Buffer.concat([Buffer.from(head, "hex"), rest])),
    );
    const tags = fc.array(fc.tuple(fc.constantFrom(8, 9), fc.nat(0xffffffff), body), { maxLength: 12 });
    fc.assert(
      fc.property(tags, fc.integer({ min: 1, max: 50 }), (all, step) => {
        const flv = Buffer.concat([FLV_HEADER, ...all.map(([type, stamp, bytes]) => flvTag(type, stamp, bytes))]);
        const whole = figures(read(flv, 0, 100));
        for (const cut of [1, step]) expect(figures(read(flv, cut, 100))).toEqual(whole);
      }),
      { numRuns: 300 },
    );
  });

  test("of any bytes frames come, or a Failure", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        try {
          return read(Buffer.concat([FLV_HEADER, bytes])).tracks.length <= 2;
        } catch (cause) {
          return cause instanceof Failure;
        }
      }),
      { numRuns: 1000 },
    );
  });
});
