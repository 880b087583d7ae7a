import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { tablesOfQuality } from "../../../../agent/checks/stream/rtp/jpeg-head.ts";
import { openRtpTrack, type RtpTrack } from "../../../../agent/checks/stream/rtp/track.ts";
import { needs, run } from "../../../kit/peers.ts";
import { Heard, sessionOf } from "../../../kit/stream/heard.ts";
import { greyOf } from "../../../kit/stream/rtp-capture.ts";
import { rtpPacket } from "../../../kit/stream/rtp-writer.ts";
import { tempFolder } from "../../../kit/temp.ts";

interface Frame {
  type: number;
  quality: number;
  width: number;
  height: number;
  /** After the main header of the first packet. */
  tables?: Buffer;
  restart?: number;
  scan: Buffer;
  dimensions?: string;
}

const open = (sink: Heard, dimensions = ""): RtpTrack =>
  openRtpTrack(
    0,
    { kind: "video", codec: "JPEG", clockHz: 90_000, payloadType: 26, fmtp: { "x-dimensions": dimensions } },
    sessionOf(sink),
  );

/** The packets of one frame, RFC 2435 §3.1. */
function packetsOf(frame: Frame, mtu: number, sequence: number, stamp: number): Buffer[] {
  const packets: Buffer[] = [];
  for (let offset = 0; offset === 0 || offset < frame.scan.length; offset += mtu) {
    const head = Buffer.from([0, 0, 0, 0, frame.type, frame.quality, frame.width / 8, frame.height / 8]);
    head.writeUIntBE(offset, 1, 3);
    const restart =
      frame.restart === undefined ? [] : [Buffer.from([frame.restart >> 8, frame.restart & 255, 0xff, 0xff])];
    const tables = offset === 0 && frame.tables !== undefined ? [frame.tables] : [];
    const payload = Buffer.concat([head, ...restart, ...tables, frame.scan.subarray(offset, offset + mtu)]);
    const marker = offset + mtu >= frame.scan.length;
    packets.push(rtpPacket({ sequence: sequence + packets.length, stamp, marker, payloadType: 26 }, payload));
  }
  return packets;
}

const inBand = (tables: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([0, 0, tables.length >> 8, tables.length & 255]), tables]);

/** The parts of a JPEG file that go into packets. */
function partsOf(file: Buffer): { tables: Buffer; restart: number; scan: Buffer } {
  let tables = Buffer.alloc(0);
  let restart = 0;
  for (let at = 2; ; ) {
    const [marker, length] = [file[at + 1], file.readUInt16BE(at + 2)];
    // One table for everything: ffmpeg's.
    if (marker === 0xdb) tables = Buffer.concat([tables, file.subarray(at + 5, at + 69)]);
    if (marker === 0xdd) restart = file.readUInt16BE(at + 4);
    at += 2 + length;
    if (marker === 0xda) return { tables, restart, scan: file.subarray(at, -2) };
  }
}

const plain: Frame = { type: 1, quality: 60, width: 64, height: 48, scan: Buffer.alloc(3000, 0x5a) };

describe("JPEG in RTP", () => {
  test.skipIf(needs("ffmpeg", "ffmpeg"))("with restart markers and tables of its own gives the same pixels", () => {
    using folder = tempFolder();
    const path = join(folder.path, "picture.jpg");
    run("ffmpeg", [
      ...["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240", "-frames:v", "1", "-pix_fmt", "yuvj420p"],
      ...["-slices", "4", "-threads", "4", "-c:v", "mjpeg", "-huffman", "default", "-f", "image2", path],
    ]);
    const file = readFileSync(path);
    const { tables, restart, scan } = partsOf(file);
    expect(restart).toBeGreaterThan(0);
    const sink = new Heard();
    sink.wants = 2;
    const track = open(sink);
    const frame: Frame = { type: 65, quality: 200, width: 320, height: 240, tables: inBand(tables), restart, scan };
    const packets = packetsOf(frame, 1000, 0, 0);
    for (const packet of packets) track.rtp(packet, 0);
    // The tables of this Q are known: the next frame leaves them out.
    for (const packet of packetsOf({ ...frame, tables: inBand(Buffer.alloc(0)) }, 1000, packets.length, 3600))
      track.rtp(packet, 0);
    track.flush(0);
    expect(sink.of(0).sizes).toEqual([`${scan.length}*`, `${scan.length}*`]);
    expect(sink.of(0).pictures).toHaveLength(2);
    for (const picture of sink.of(0).pictures) expect(greyOf("mjpeg", picture.bytes)).toEqual(greyOf("mjpeg", file));
  });

  test("of a quality has the tables that everybody else has for it", () => {
    const hex = (quality: number): string => Buffer.from(tablesOfQuality(quality) ?? []).toString("hex");
    expect(hex(75)).toBe(
      "08060607060508070707090908 0a0c140d0c0b0b0c1912130f141d1a1f1e1d1a1c1c20242e2720222c231c1c2837292c30313434341f27393d38323c2e333432".replace(
        " ",
        "",
      ) + "0909090c0b0c180d0d1832211c21".padEnd(128, "32"),
    );
    expect(hex(50).slice(0, 20)).toBe("100b0c0e0c0a100e0d0e");
    expect([0, 100, 127].map((quality) => tablesOfQuality(quality))).toEqual([undefined, undefined, undefined]);
  });

  test("in any size of packets is one frame by marker or stamp, of the size of its scan data", () => {
    const frames = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(frames, fc.integer({ min: 10, max: 1400 }), fc.boolean(), (sizes, mtu, stuck) => {
        const sink = new Heard();
        sink.wants = 99;
        const track = open(sink);
        let sequence = 65_500;
        sizes.forEach((size, i) => {
          const packets = packetsOf({ ...plain, scan: Buffer.alloc(size, i) }, mtu, sequence, stuck ? 0 : i);
          for (const packet of packets) track.rtp(packet, i);
          sequence += packets.length;
        });
        track.flush(99);
        expect(sink.of(0).sizes).toEqual(sizes.map((size) => `${size}*`));
        expect(sink.of(0).formats).toEqual([{ codec: "MJPEG", width: 64, height: 48 }]);
        expect(sink.of(0).pictures).toHaveLength(sizes.length);
        expect(sink.of(0).odd).toEqual([]);
      }),
    );
  });

  test("that misses a part is a frame, but no picture", () => {
    const sink = new Heard();
    sink.wants = 9;
    const track = open(sink);
    for (const [i, packet] of packetsOf(plain, 1000, 0, 0).entries()) if (i !== 1) track.rtp(packet, 0);
    track.flush(999);
    expect(sink.of(0).sizes).toEqual(["2000*"]);
    expect(sink.of(0).pictures).toEqual([]);
  });

  test("of a size that its header cannot say has that of the SDP, or of a frame header in an extension", () => {
    const large: Frame = { ...plain, width: 0, height: 0 };
    const sink = new Heard();
    const track = open(sink, "3840,2160");
    for (const packet of packetsOf(large, 1000, 0, 0)) track.rtp(packet, 0);
    expect(sink.of(0).formats).toEqual([{ codec: "MJPEG", width: 3840, height: 2160 }]);
    const [first = Buffer.alloc(0)] = packetsOf(large, 4000, 3, 9);
    const sof = Buffer.from([
      0xff, 0xd8, 0, 5, 0xff, 0xc0, 0, 17, 8, 0x0b, 0xd0, 0x0f, 0xc0, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1, 0,
    ]);
    const extended = Buffer.concat([first.subarray(0, 12), sof, first.subarray(12)]);
    extended[0] = 0x90;
    track.rtp(extended, 10);
    expect(sink.of(0).formats[1]).toEqual({ codec: "MJPEG", width: 4032, height: 3024 });
  });

  test("in a flood of empty pieces, or of one byte each, takes no more memory than its bytes", () => {
    const sink = new Heard();
    sink.wants = 9;
    const track = open(sink);
    const [packet = Buffer.alloc(0)] = packetsOf({ ...plain, scan: Buffer.alloc(100, 0x5a) }, 1, 0, 0);
    track.rtp(packet, 0);
    const before = process.memoryUsage().heapUsed;
    for (let i = 1; i < 500_000; i += 1) {
      packet.writeUInt16BE(i & 0xffff, 2);
      packet.writeUIntBE(Math.floor(i / 2) + 1, 13, 3); // by turns of one byte and of none
      track.rtp(packet, 0, 0, packet.length - (i % 2 === 0 ? 1 : 0));
    }
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(40 * 1024 * 1024);
    expect(sink.of(0).frames).toEqual([]);
  });

  test("cut short or with tables that do not fit is odd", () => {
    const sink = new Heard();
    sink.wants = 9;
    const track = open(sink);
    const [first = Buffer.alloc(0)] = packetsOf(
      { ...plain, quality: 255, tables: Buffer.from([0, 0, 255, 255]) },
      100,
      0,
      0,
    );
    track.rtp(first, 0);
    track.rtp(rtpPacket({ sequence: 1, stamp: 1, payloadType: 26 }, Buffer.alloc(7)), 2000);
    track.flush(9999);
    expect(sink.of(0).odd).toEqual(["jpeg", "jpeg"]);
    expect(sink.of(0).pictures).toEqual([]);
  });
});
