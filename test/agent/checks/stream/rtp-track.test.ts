import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openRtpTrack, type RtpMedia, type RtpTrack } from "../../../../agent/checks/stream/rtp/track.ts";
import { HandClock } from "../../../kit/hand-clock.ts";
import { Heard, sessionOf } from "../../../kit/stream/heard.ts";
import { SETS } from "../../../kit/stream/nal-writer.ts";
import { rtpPacket } from "../../../kit/stream/rtp-writer.ts";

const media = (codec: string, fmtp: Record<string, string> = {}): RtpMedia => ({
  kind: ["H264", "H265", "JPEG", "VP8"].includes(codec) ? "video" : "audio",
  codec,
  clockHz: 90_000,
  payloadType: 96,
  fmtp,
});

/** Payloads one after the other, each with its stamp; `!` after it is the marker. */
function heard(
  codec: string,
  packets: [stamp: string, ...bytes: number[]][],
  fmtp: Record<string, string> = {},
): Heard {
  const sink = new Heard();
  const track = openRtpTrack(0, media(codec, fmtp), sessionOf(sink));
  packets.forEach(([stamp, ...bytes], i) => {
    const marker = stamp.endsWith("!");
    track.rtp(rtpPacket({ sequence: i, stamp: Number.parseInt(stamp, 10), marker }, Buffer.from(bytes)), i * 2000);
  });
  track.flush(packets.length * 2000);
  return sink;
}
const frames = (sink: Heard): string[] => sink.of(0).frames.map(({ stamp, size }) => `${stamp}: ${size}`);

describe("a track", () => {
  test("is announced by our names of codecs, before anything of it", () => {
    const names = ["h264", "HEVC", "JPEG", "mpeg4-generic", "MP4A-LATM", "pcma", "opus"];
    const sink = new Heard();
    for (const [id, name] of names.entries()) openRtpTrack(id, media(name), sessionOf(sink));
    expect(sink.tracks.map((track) => track.track?.codec)).toEqual([
      "H264",
      "H265",
      "MJPEG",
      "AAC",
      "AAC",
      "PCMA",
      "OPUS",
    ]);
  });

  test("hands the payload of a container on, and tells bytes and counts itself", () => {
    const sink = new Heard();
    const taken: string[] = [];
    const track = openRtpTrack(3, { ...media("MP2T"), kind: "other" }, sessionOf(sink), (bytes, from, to, lost) => {
      taken.push(`${bytes.toString("latin1", from, to)}${lost ? " after a gap" : ""}`);
    });
    for (const [sequence, text] of [
      [1, "one"],
      [2, "two"],
      [4, "four"],
    ] as const) {
      track.rtp(rtpPacket({ sequence, stamp: 0 }, Buffer.from(text)), sequence);
    }
    track.flush(9);
    expect(taken).toEqual(["one", "two", "four after a gap"]);
    expect(sink.of(3).bytes).toBe(12 * 3 + 10);
    expect(sink.of(3).counts).toMatchObject({ received: 3, lost: 1 });
    expect(sink.of(3).frames).toEqual([]);
  });

  test("reads a packet where it lies in a larger buffer, which may be used anew", () => {
    const sink = new Heard();
    const track = openRtpTrack(0, media("PCMA"), sessionOf(sink));
    const buffer = Buffer.alloc(100);
    for (const sequence of [0, 2, 1]) {
      rtpPacket({ sequence, stamp: sequence }, Buffer.alloc(5 + sequence)).copy(buffer, 7);
      track.rtp(buffer, 0, 7, 7 + 12 + 5 + sequence);
    }
    expect(frames(sink)).toEqual(["0: 5", "1: 6", "2: 7"]);
  });

  test("tells counts about once a second, not with each packet", () => {
    let told = 0;
    class Counting extends Heard {
      override packets(): void {
        told += 1;
      }
    }
    const track = openRtpTrack(0, media("PCMA"), sessionOf(new Counting()));
    for (let i = 0; i <= 500; i += 1) track.rtp(rtpPacket({ sequence: i, stamp: i }, Buffer.alloc(9)), i * 20);
    expect(told).toBe(10);
  });
});

describe("payloads", () => {
  test("of H.264 in the interleaved mode are at least counted", () => {
    const nal = [0x41, 0x88, 1];
    const sink = heard("H264", [
      ["10!", 25, 0, 1, 0, 3, ...nal, 0, 3, 0x41, 0x48, 1],
      ["20!", 26, 0, 1, 0, 3, 0, 0, 0, ...nal],
      ["30!", 27, 0, 1, 0, 3, 0, 0, 0, 0, ...nal],
      ["40", 29, 0x81, 0, 1, 0x88, 1],
      ["40!", 28, 0x41, 1, 1],
    ]);
    expect(frames(sink)).toEqual(["10: 6", "20: 3", "30: 3", "40: 5"]);
    expect(sink.of(0).odd).toEqual([]);
  });

  test("of H.264 and H.265 that are wrong are odd, each in a word", () => {
    const sink = heard("H264", [
      ["1", 28, 0x05, 1, 1],
      ["2", 24, 0, 9, 1],
      ["3", 31, 1],
      ["4", 0x41],
    ]);
    expect(sink.of(0).odd).toEqual(["fragment", "aggregate", "nal type", "nal"]);
    const other = heard("H265", [
      ["1", 98, 1, 20, 1, 1],
      ["2", 96, 1, 0, 9, 1],
      ["3", 100, 1, 1],
      ["4", 2, 1],
    ]);
    expect(other.of(0).odd).toEqual(["fragment", "aggregate", "nal type", "nal"]);
  });

  test("of AAC count by their AU headers; a frame over several packets counts once", () => {
    const hbr = { sizelength: "13", indexlength: "3", indexdeltalength: "3", mode: "AAC-hbr" };
    const sink = heard(
      "MPEG4-GENERIC",
      [
        ["0!", 0, 32, 0, 2 << 3, 0, 3 << 3, 1, 1, 2, 2, 2],
        ["2048", 0, 16, 0, 6 << 3, 1, 1, 1, 1],
        ["2048!", 0, 16, 0, 6 << 3, 1, 1],
        ["3072!", 0, 16, 0, 1 << 3, 1],
        ["4096!", 0, 64, 0],
      ],
      hbr,
    );
    expect(frames(sink)).toEqual(["0: 2", "1024: 3", "2048: 6", "3072: 1"]);
    expect(sink.of(0).odd).toEqual(["au headers"]);
  });

  test("of LATM, MPEG audio, and of video nobody knows, are frames by marker, offset and stamp", () => {
    expect(
      frames(
        heard("MP4A-LATM", [
          ["1", 1, 2],
          ["1!", 3],
          ["2!", 4],
        ]),
      ),
    ).toEqual(["1: 3", "2: 1"]);
    expect(
      frames(
        heard("MPA", [
          ["1", 0, 0, 0, 0, 7, 7],
          ["1", 0, 0, 0, 2, 7, 7],
          ["2", 0, 0, 0, 0, 7],
        ]),
      ),
    ).toEqual(["1: 2", "2: 1"]);
    expect(
      frames(
        heard("VP8", [
          ["1", 1, 2],
          ["1", 3],
          ["2", 4],
        ]),
      ),
    ).toEqual(["1: 3", "2: 1"]);
  });
});

describe("RTCP", () => {
  const SSRC = 0x11223344;
  const senderReport = (ssrc: number, seconds: number, fraction: number, stamp: number): Buffer => {
    const report = Buffer.from([0x80, 200, 0, 6, ...Array<number>(24).fill(0)]);
    for (const [i, word] of [ssrc, seconds, fraction, stamp].entries()) report.writeUInt32BE(word, 4 + i * 4);
    return report;
  };
  const bye = (ssrc: number): Buffer => {
    const packet = Buffer.from([0x81, 203, 0, 1, 0, 0, 0, 0]);
    packet.writeUInt32BE(ssrc, 4);
    return packet;
  };
  const begun = (clock = new HandClock()): { track: RtpTrack; sink: Heard; clock: HandClock } => {
    const sink = new Heard();
    const track = openRtpTrack(0, media("PCMA"), sessionOf(sink, clock));
    track.rtp(rtpPacket({ sequence: 9, stamp: 2 ** 32 - 90_000, ssrc: SSRC }, Buffer.alloc(9)), 0);
    track.rtp(rtpPacket({ sequence: 10, stamp: 0, ssrc: SSRC }, Buffer.alloc(9)), 1000);
    return { track, sink, clock };
  };

  test("tells the sender's clock for a stamp unwrapped as those of the frames are", () => {
    const { track, sink, clock } = begun();
    const seconds = clock.wall() / 1000 + 2_208_988_800;
    expect(
      track.rtcp(Buffer.concat([senderReport(SSRC, seconds, 2 ** 31, 90_000), Buffer.from([0x81, 202, 0, 0])]), 5),
    ).toBe(true);
    expect(sink.of(0).clocks).toEqual([{ ntpMs: clock.wall() + 500, stamp: 2 ** 32 + 90_000, wall: clock.wall() }]);
    // Of another source; of a sender without a clock; after 2036.
    track.rtcp(senderReport(7, seconds, 0, 0), 5);
    track.rtcp(senderReport(SSRC, 0, 0, 0), 5);
    track.rtcp(senderReport(SSRC, 100, 0, 0), 5);
    expect(
      sink
        .of(0)
        .clocks.slice(1)
        .map(({ ntpMs }) => ntpMs),
    ).toEqual([Date.UTC(2036, 1, 7, 6, 28, 16) + 100_000]);
  });

  test("says that the source leaves, but not for another one", () => {
    const { track } = begun();
    expect(track.rtcp(bye(7), 0)).toBe(true);
    expect(track.rtcp(Buffer.concat([senderReport(SSRC, 1, 1, 1), bye(SSRC)]), 0)).toBe(false);
    expect(track.rtcp(senderReport(SSRC, 1, 1, 1), 0)).toBe(true);
  });

  test("cut short anywhere does no harm and says nothing wrong", () => {
    const whole = Buffer.concat([senderReport(SSRC, 4_000_000_000, 0, 90_000), bye(SSRC)]);
    for (let length = 0; length < whole.length; length += 1) {
      const { track, sink } = begun();
      expect(track.rtcp(whole.subarray(0, length), 0)).toBe(true);
      expect(sink.of(0).odd).toEqual(length === 28 ? [] : ["rtcp"]);
      expect(sink.of(0).clocks).toHaveLength(length >= 28 ? 1 : 0);
    }
  });

  test("reports what we received: loss of the last interval and of all, highest number, jitter, the last SR", () => {
    const { track } = begun();
    track.rtcp(senderReport(SSRC, 0x0001_2345, 0x6789_0000, 0), 1000);
    for (const sequence of [12, 13, 14, 15, 65_535]) {
      if (sequence < 100) track.rtp(rtpPacket({ sequence, stamp: 0, ssrc: SSRC }, Buffer.alloc(9)), 1300);
    }
    track.rtp(rtpPacket({ sequence: 16, stamp: 0, ssrc: SSRC }, Buffer.alloc(9)), 1600);
    const report = Buffer.from(track.report(2000));
    expect([report[0], report[1], report.readUInt16BE(2)]).toEqual([0x81, 201, 7]);
    expect(report.readUInt32BE(8)).toBe(SSRC);
    expect(report[12]).toBe(Math.floor(256 / 8));
    expect(report.readUIntBE(13, 3)).toBe(1);
    expect(report.readUInt32BE(16)).toBe(16);
    expect(report.readUInt32BE(20)).toBeGreaterThan(0);
    expect(report.readUInt32BE(24)).toBe(0x2345_6789);
    expect(report.readUInt32BE(28)).toBe(65_536);
    // SDES with a CNAME, ended by zeros up to a word.
    expect([report[32], report[33]]).toEqual([0x81, 202]);
    expect(report.readUInt32BE(36)).toBe(report.readUInt32BE(4));
    expect(report[40]).toBe(1);
    expect(report.length).toBe(32 + 4 + report.readUInt16BE(34) * 4);
    expect(report[42 + (report[41] ?? 0)]).toBe(0);
    expect(Buffer.from(track.report(7000))[12]).toBe(0);
  });

  test("reports nothing of nobody", () => {
    const track = openRtpTrack(0, media("PCMA"), sessionOf(new Heard()));
    expect([...track.report(0).subarray(0, 4)]).toEqual([0x80, 201, 0, 1]);
  });
});

describe("a hostile sender", () => {
  const CODECS = ["H264", "H265", "JPEG", "MPEG4-GENERIC", "MP4A-LATM", "MPA", "PCMA", "VP8"];

  test("of any packets at all breaks nothing", () => {
    const packet = fc.record({
      random: fc.uint8Array({ maxLength: 90 }),
      begin: fc.constantFrom(
        [],
        [28, 0x85],
        [28, 0x45],
        [24, 0, 4],
        [98, 1, 0x93],
        [96, 1, 0, 4],
        [0x67, 0x64, 0, 30],
        [0x42, 1, 1],
      ),
      sequence: fc.oneof(fc.nat(20), fc.nat(65_535)),
      stamp: fc.oneof(fc.nat(3), fc.nat(2 ** 32 - 1)),
      marker: fc.boolean(),
      ssrc: fc.constantFrom(1, 1, 1, 2),
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...CODECS),
        fc.array(packet, { maxLength: 60 }),
        fc.dictionary(fc.string(), fc.string()),
        (codec, packets, fmtp) => {
          const sink = new Heard();
          sink.wants = 99;
          const sprop =
            codec === "H264"
              ? { "sprop-parameter-sets": SETS.H264.map((set) => set.toString("base64")).join(",") }
              : {};
          const track = openRtpTrack(0, media(codec, { ...fmtp, ...sprop }), sessionOf(sink));
          packets.forEach(({ random, begin, ...fields }, i) => {
            track.rtp(rtpPacket(fields, Buffer.from([...begin, ...random])), i * 10);
            track.rtp(Buffer.from(random), i * 10);
            track.rtcp(Buffer.from(random), i * 10);
            track.rtcp(Buffer.from([0x80 | (begin[0] ?? 0), 200 + (i % 5), 0, i % 9, ...random]), i * 10);
          });
          track.report(999);
          track.flush(1000);
          for (const frame of sink.of(0).frames) expect(Number.isFinite(frame.stamp)).toBe(true);
        },
      ),
      { numRuns: 400 },
    );
  });

  test("of 100,000 packets of noise makes no memory grow", () => {
    let seed = 7;
    const noise = Buffer.alloc(1400);
    const random = (): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return seed >>> 8;
    };
    const counted = { frames: 0, odd: 0, kept: 0 };
    class Counting extends Heard {
      override frame(): void {
        counted.frames += 1;
      }
      override odd(): void {
        counted.odd += 1;
      }
      override picture(_: number, { bytes }: { bytes: Uint8Array }): void {
        counted.kept = Math.max(counted.kept, bytes.length);
      }
      override wantsPicture(): boolean {
        return true;
      }
      override format(): void {}
      override senderClock(): void {}
    }
    const sprop = { "sprop-parameter-sets": SETS.H264.map((set) => set.toString("base64")).join(",") };
    const tracks = CODECS.map((codec, id) => openRtpTrack(id, media(codec, sprop), sessionOf(new Counting())));
    const memory = (): number => {
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    };
    const before = memory();
    for (let i = 0; i < 100_000; i += 1) {
      for (let at = 12; at < 40; at += 1) noise[at] = random();
      // Mostly one source, mostly onward, never a marker on a slice that goes on for ever.
      noise.writeUInt32BE(0x80600000 + ((random() % 8 === 0 ? random() : i) & 0xffff), 0);
      noise.writeUInt32BE(random() % 50 === 0 ? random() : 5, 4);
      noise.writeUInt32BE(random() % 100 === 0 ? random() : 1, 8);
      if (i % 3 === 0) noise.writeUInt16BE(0x1c05, 12);
      tracks[i % tracks.length]?.rtp(noise, i, 0, 12 + (random() % 1388));
    }
    expect(counted.frames).toBeGreaterThan(1000);
    expect(counted.odd).toBeGreaterThan(100);
    expect(counted.kept).toBeLessThanOrEqual(2 * 1024 * 1024 + 1024);
    // What may be held: a keyframe of 2 MiB twice over, and 256 kB of packets out of order, for each of eight tracks.
    expect(memory() - before).toBeLessThan(60 * 1024 * 1024);
  });
});
