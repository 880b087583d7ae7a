import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { crc32 } from "../../../../agent/checks/stream/ts/psi.ts";
import { TsReader } from "../../../../agent/checks/stream/ts/reader.ts";
import { Heard } from "../../../kit/stream/heard.ts";
import { annexB, type Codec, sizeOf, unitOf } from "../../../kit/stream/nal-writer.ts";
import { PMT_PID, slowCrc, type TsFrame, type TsStream, TsWriter } from "../../../kit/stream/ts-writer.ts";

const VIDEO = 0x100;
const AUDIO = 0x101;
const TYPES: Readonly<Record<Codec, number>> = { H264: 0x1b, H265: 0x24 };

/** Pictures of `sizes`, every fourth a keyframe, 40 ms apart, each with a piece of sound. */
function frames(codec: Codec, sizes: readonly number[], from = 90_000): { list: TsFrame[]; expected: string[] } {
  const list: TsFrame[] = [];
  const expected: string[] = [];
  for (const [i, size] of sizes.entries()) {
    const key = i % 4 === 0;
    const nals = unitOf(codec, { key, slices: [size, 40], delimiter: i % 2 === 0, sei: i % 3 }, i);
    const pts = from + i * 3600;
    list.push({ pid: VIDEO, pts, data: annexB(nals), unsized: i % 2 === 0, randomAccess: key });
    list.push({ pid: AUDIO, pts: pts + 100, data: Buffer.alloc(200, i + 1), streamId: 0xc0 });
    expected.push(`${sizeOf(nals)}${key ? "*" : ""}`);
  }
  return { list, expected };
}

const streams = (codec: Codec): TsStream[] => [
  { pid: VIDEO, type: TYPES[codec] },
  { pid: AUDIO, type: 0x0f },
];

function stream(codec: Codec, sizes: readonly number[], room = 184): { packets: Buffer[]; expected: string[] } {
  const writer = new TsWriter();
  const { list, expected } = frames(codec, sizes);
  const packets = [writer.pat(), writer.pmt(streams(codec))];
  for (const frame of list) packets.push(...writer.frame(frame, room));
  return { packets, expected };
}

function read(bytes: Buffer, cuts: readonly number[] = [], wants = 0): { heard: Heard; reader: TsReader } {
  const heard = new Heard();
  heard.wants = wants;
  const reader = new TsReader(heard, { tellsLoss: true });
  for (let at = 0, i = 0; at < bytes.length; i += 1) {
    const step = cuts.length === 0 ? bytes.length : Math.max(1, cuts[i % cuts.length] ?? 1);
    reader.push(Buffer.from(bytes.subarray(at, at + step)), 0);
    at += step;
  }
  reader.flush(0);
  return { heard, reader };
}

const anySizes = fc.array(fc.integer({ min: 20, max: 3000 }), { minLength: 1, maxLength: 12 });
const anyCodec = fc.constantFrom<Codec>("H264", "H265");

describe("a transport stream", () => {
  test("gives every frame with its size, whatever the chunks and the room in its packets", () => {
    fc.assert(
      fc.property(
        anyCodec,
        anySizes,
        fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 9 }),
        fc.integer({ min: 1, max: 184 }),
        (codec, sizes, cuts, room) => {
          const { packets, expected } = stream(codec, sizes, room);
          const { heard, reader } = read(Buffer.concat(packets), cuts);
          expect(heard.of(0).sizes).toEqual(expected);
          expect(heard.of(0).stamps).toEqual(sizes.map((_, i) => 90_000 + i * 3600));
          expect(heard.of(1).sizes).toEqual(sizes.map(() => "200"));
          expect(heard.of(0).formats).toMatchObject([{ codec, width: 640, height: 360 }]);
          expect(heard.of(0).bytes + heard.of(1).bytes).toBe((packets.length - 2) * 188);
          expect(reader.counts).toEqual({
            packets: packets.length,
            continuity: 0,
            duplicates: 0,
            damaged: 0,
            syncs: 0,
          });
          expect(heard.of(0).odd).toEqual([]);
        },
      ),
      { numRuns: 150 },
    );
  });

  test("is the same byte by byte", () => {
    const { packets, expected } = stream("H264", [700, 30, 1500, 90, 400]);
    const { heard } = read(Buffer.concat(packets), [1]);
    expect(heard.of(0).sizes).toEqual(expected);
  });

  test("counts each break of a counter that lost packets leave, exactly", () => {
    fc.assert(
      fc.property(
        anySizes,
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 15 })), { maxLength: 4 }),
        (sizes, holes) => {
          const { packets } = stream("H264", sizes);
          const gone = new Set<number>();
          for (const [from, count] of holes)
            for (let i = 0; i < count; i += 1) gone.add(2 + ((from + i) % Math.max(1, packets.length - 2)));
          const left = packets.filter((_, i) => !gone.has(i));
          const { breaks, lost } = holesIn(packets, gone);
          const { heard, reader } = read(Buffer.concat(left), [1316]);
          fc.pre(left.length > 4);
          expect(reader.counts.continuity).toBe(breaks);
          expect([0, 1].map((id) => heard.of(id).counts?.lost ?? 0).reduce((a, b) => a + b)).toBeLessThanOrEqual(lost);
          expect(heard.of(0).odd.includes("continuity") || breaks === 0).toBe(true);
        },
      ),
      { numRuns: 150 },
    );
  });

  test("may repeat a packet once, and a break of the counter may be announced", () => {
    const writer = new TsWriter();
    const [first, ...others] = frames("H264", [500, 500, 500]).list.filter(({ pid }) => pid === VIDEO);
    if (first === undefined) throw new Error("no frame");
    const packets = [writer.pat(), writer.pmt(streams("H264")), ...writer.frame(first)];
    packets.push(...packets.slice(-1));
    for (let i = 0; i < 5; i += 1) writer.packet(VIDEO, Buffer.alloc(10), false);
    for (const frame of others) packets.push(...writer.frame({ ...frame, discontinuity: frame === others[0] }));
    const { heard, reader } = read(Buffer.concat(packets));
    expect(reader.counts).toMatchObject({ duplicates: 1, continuity: 0 });
    expect(heard.of(0).frames).toHaveLength(3);
  });

  test("whose packets are damaged, foreign or cut is read on from the next sound one", () => {
    const { packets, expected } = stream(
      "H264",
      Array.from({ length: 10 }, () => 900),
    );
    const noise = Buffer.alloc(77, 0x47);
    const bytes = Buffer.concat([
      noise,
      ...packets.slice(0, 20),
      Buffer.alloc(31),
      ...packets.slice(20, 40),
      Buffer.concat(packets.slice(40, 41)).subarray(0, 100),
      ...packets.slice(41),
    ]);
    for (const cuts of [[], [1], [188], [250, 3]]) {
      const { heard, reader } = read(bytes, cuts);
      expect(heard.of(0).frames.length).toBe(expected.length);
      expect(reader.counts.continuity).toBe(1);
      expect(reader.counts.syncs).toBe(2);
      expect(heard.of(0).odd).toEqual(["sync lost", "continuity"]);
    }
  });

  test("tells of packets that were damaged on the way, and does not read them", () => {
    const { packets } = stream("H264", [900, 900, 900]);
    const hit = packets.find((packet, i) => i > 8 && (packet[1] ?? 0) === 0x01);
    if (hit === undefined) throw new Error("no packet");
    hit[1] = (hit[1] ?? 0) | 0x80;
    const { heard, reader } = read(Buffer.concat(packets));
    expect(reader.counts).toMatchObject({ damaged: 1, continuity: 1 });
    expect(heard.of(0).odd).toContain("transport error");
  });

  test("that is none is known for that", () => {
    const { reader } = read(Buffer.alloc(200_000, 0x47).fill(1, 5));
    expect(reader.foreign).toBe(true);
    expect(read(Buffer.concat(stream("H264", [300]).packets)).reader.foreign).toBe(false);
  });

  test("of any bytes, or broken anywhere, does no harm", () => {
    const { packets } = stream("H265", [900, 2000, 50, 700]);
    const sound = Buffer.concat(packets);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), { maxLength: 60 }),
        fc.uint8Array({ maxLength: 600 }),
        fc.nat(sound.length),
        fc.integer({ min: 1, max: 2000 }),
        (hits, extra, where, step) => {
          const bytes = Buffer.from(sound);
          for (const [at, value] of hits) bytes[at] = value;
          const all = Buffer.concat([bytes.subarray(0, where), extra, bytes.subarray(where)]);
          const { heard, reader } = read(all, [step], 100);
          expect(heard.tracks.length).toBeLessThanOrEqual(8);
          expect(reader.counts.packets).toBeLessThanOrEqual(all.length / 188);
          for (const track of heard.tracks)
            for (const { size } of track?.frames ?? []) expect(size).toBeLessThanOrEqual(all.length);
        },
      ),
      { numRuns: 300 },
    );
  });
});

/** Holes among the packets of each PID: how many, and of how many packets. */
function holesIn(packets: readonly Buffer[], gone: ReadonlySet<number>): { breaks: number; lost: number } {
  let breaks = 0;
  let lost = 0;
  const missing = new Map<number, number>();
  for (const [i, packet] of packets.entries()) {
    const pid = packet.readUInt16BE(1) & 0x1fff;
    const before = missing.get(pid);
    if (gone.has(i)) {
      if (before !== undefined) missing.set(pid, before + 1);
    } else {
      if (before !== undefined && before % 16 > 0) {
        breaks += 1;
        lost += before;
      }
      missing.set(pid, 0);
    }
  }
  return { breaks, lost };
}

describe("stamps", () => {
  const stampsOf = (list: readonly Partial<TsFrame>[], at = (_: number) => 0): number[] => {
    const writer = new TsWriter();
    const heard = new Heard();
    const reader = new TsReader(heard);
    reader.push(Buffer.concat([writer.pat(), writer.pmt([{ pid: AUDIO, type: 0x0f }])]), 0);
    for (const [i, frame] of list.entries())
      for (const packet of writer.frame({ pid: AUDIO, pts: 0, data: Buffer.alloc(50, 1), ...frame }))
        reader.push(packet, at(i));
    return heard.of(0).stamps;
  };

  test("go on growing where 33 bits begin anew, and back over it", () => {
    const wrap = 2 ** 33;
    expect(stampsOf([wrap - 3600, wrap - 100, wrap + 3500, wrap - 50, wrap + 7100].map((pts) => ({ pts })))).toEqual([
      wrap - 3600,
      wrap - 100,
      wrap + 3500,
      wrap - 50,
      wrap + 7100,
    ]);
  });

  test("that leap are told as they are, unless a new time base was announced", () => {
    const from = 5_000_000;
    expect(stampsOf([{ pts: 0 }, { pts: from }])).toEqual([0, from]);
    const announced = [
      { pts: 9000, pcr: 0 },
      { pts: from, pcr: from, discontinuity: true },
      { pts: from + 3600, pcr: from },
    ];
    expect(stampsOf(announced, (i) => i * 40)).toEqual([9000, 9000 + 3600, 9000 + 7200]);
  });

  test("a second before the program clock are odd", () => {
    const writer = new TsWriter();
    const late = writer.frame({ pid: VIDEO, pts: 90_000, dts: 80_000, data: Buffer.alloc(9, 1), pcr: 180_000 });
    const { heard } = read(Buffer.concat([writer.pat(), writer.pmt(streams("H264")), ...late]));
    expect(heard.of(0).odd).toEqual(["late for the program clock"]);
  });
});

describe("the program", () => {
  const mapped = (list: readonly TsStream[]): Heard => {
    const writer = new TsWriter();
    const padding = writer.packet(0x1fff, Buffer.alloc(184), false);
    return read(Buffer.concat([writer.pat(), writer.pmt(list), padding])).heard;
  };

  test("names its streams", () => {
    const heard = mapped([
      { pid: 0x30, type: 0x24 },
      { pid: 0x31, type: 0x11 },
      { pid: 0x32, type: 0x90 },
      { pid: 0x33, type: 0x91 },
      { pid: 0x34, type: 0x04 },
      { pid: 0x35, type: 0x06, registration: "HEVC" },
      { pid: 0x36, type: 0x06 },
      { pid: 0x37, type: 0x02 },
      { pid: 0x38, type: 0x1b },
    ]);
    expect(heard.tracks.map(({ track }) => [track?.kind, track?.codec].join(" "))).toEqual([
      "video H265",
      "audio AAC",
      "audio PCMA",
      "audio PCMU",
      "audio MP2",
      "video H265",
      "other ",
      "video MPEG2",
    ]);
    expect(heard.of(0).odd).toEqual(["too many tracks"]);
  });

  test("may change its map: the n-th of each kind stays the track it was", () => {
    const writer = new TsWriter();
    const one = frames("H264", [300]).list;
    const two = frames("H265", [400, 500]).list.map((frame) => ({ ...frame, pid: frame.pid + 0x100 }));
    const moved = [
      { pid: AUDIO + 0x100, type: 0x0f },
      { pid: VIDEO + 0x100, type: 0x24 },
    ];
    const { heard } = read(
      Buffer.concat([
        writer.pat(),
        writer.pmt(streams("H264")),
        ...one.flatMap((frame) => writer.frame(frame)),
        writer.pmt(moved),
        ...two.flatMap((frame) => writer.frame(frame)),
      ]),
    );
    expect(heard.tracks).toHaveLength(2);
    expect(heard.of(0).track?.codec).toBe("H265");
    expect(heard.of(0).keys).toBe(2);
    expect(heard.of(0).formats.map(({ codec }) => codec)).toEqual(["H264", "H265"]);
    expect(heard.of(1).frames).toHaveLength(3);
  });

  test("with a wrong checksum, or on PIDs that are not its own, is not believed", () => {
    const writer = new TsWriter();
    const broken = writer.pmt(streams("H264"));
    broken[20] = (broken[20] ?? 0) ^ 0x10;
    const own = [
      { pid: 0, type: 0x1b },
      { pid: PMT_PID, type: 0x1b },
      { pid: VIDEO, type: 0x1b },
      { pid: VIDEO, type: 0x24 },
    ];
    const { heard } = read(Buffer.concat([writer.pat(), broken, writer.pmt(own), writer.pat()]));
    expect(heard.tracks.map(({ track }) => track?.codec)).toEqual(["H264"]);
    expect(heard.of(0).odd).toEqual(["table"]);
  });

  test("CRC-32 is that of the standard", () => {
    expect(crc32(Buffer.from("123456789"))).toBe(0x0376e6e7);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect(crc32(bytes)).toBe(slowCrc(bytes));
      }),
    );
  });
});

test("a wanted keyframe is kept whole, with its parameter sets, and not where a packet of it is missing", () => {
  const { packets } = stream("H264", [3000, 100, 100, 100, 3000]);
  const whole = read(Buffer.concat(packets), [500], 5).heard.of(0).pictures;
  expect(whole).toHaveLength(2);
  expect(whole[0]?.bytes.length).toBeGreaterThan(3000);
  const third = packets.findIndex((packet, i) => i > 5 && (packet.readUInt16BE(1) & 0x1fff) === VIDEO);
  expect(read(Buffer.concat(packets.toSpliced(third, 1)), [500], 5).heard.of(0).pictures).toHaveLength(1);
});
