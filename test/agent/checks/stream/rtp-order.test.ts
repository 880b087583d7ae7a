import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openRtpTrack, type RtpMedia } from "../../../../agent/checks/stream/rtp/track.ts";
import { Heard, sessionOf } from "../../../kit/stream/heard.ts";
import { type Codec, sizeOf, type UnitWish, unitOf } from "../../../kit/stream/nal-writer.ts";
import { packetH264, packetH265, rtpPacket } from "../../../kit/stream/rtp-writer.ts";

const media = (codec: Codec, fmtp: Record<string, string> = {}): RtpMedia => ({
  kind: "video",
  codec,
  clockHz: 90_000,
  payloadType: 96,
  fmtp,
});

const unit: fc.Arbitrary<UnitWish> = fc.record({
  key: fc.boolean(),
  slices: fc.array(fc.integer({ min: 4, max: 4000 }), { minLength: 1, maxLength: 3 }),
  delimiter: fc.boolean(),
  sei: fc.constantFrom(0, 0, 20, 200),
});

const sending = fc.record({
  codec: fc.constantFrom<Codec>("H264", "H265"),
  don: fc.boolean(),
  units: fc.array(unit, { minLength: 1, maxLength: 12 }),
  mtu: fc.integer({ min: 40, max: 1400 }),
  aggregate: fc.boolean(),
  markers: fc.boolean(),
  sequence: fc.constantFrom(0, 1000, 65_530, 65_535),
  stamp: fc.constantFrom(0, 90_000, 2 ** 31 - 3000, 2 ** 32 - 3601),
  shuffle: fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 40 }),
  repeat: fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }),
});
type Sending = typeof sending extends fc.Arbitrary<infer T> ? T : never;

/** The packets in their order, and what must be told of them. */
function sent(wish: Sending): { packets: Buffer[]; frames: { stamp: number; size: number; key: boolean }[] } {
  const packets: Buffer[] = [];
  const frames = wish.units.map((one, i) => {
    const nals = unitOf(wish.codec, one, i);
    const stamp = wish.stamp + i * 3600;
    const payloads =
      wish.codec === "H264"
        ? packetH264(nals, wish.mtu, wish.aggregate)
        : packetH265(nals, wish.mtu, wish.aggregate, wish.don);
    payloads.forEach((payload, j) => {
      const marker = wish.markers && j === payloads.length - 1;
      packets.push(rtpPacket({ sequence: wish.sequence + packets.length, stamp, marker }, payload));
    });
    return { stamp, size: sizeOf(nals), key: one.key };
  });
  return { packets, frames };
}

/** Shuffled a little (no packet is more than 13 places late), the first kept first; some come twice. */
function disturbed(packets: readonly Buffer[], { shuffle, repeat }: Sending): Buffer[] {
  return packets
    .map((packet, i) => ({ packet, i, place: i === 0 ? -1 : i + (shuffle[i % shuffle.length] ?? 0) }))
    .toSorted((a, b) => a.place - b.place || a.i - b.i)
    .flatMap(({ packet, i }) => (repeat[i % repeat.length] === true ? [packet, packet] : [packet]));
}

const fmtpOf = (wish: Sending): Record<string, string> => (wish.don ? { "sprop-max-don-diff": "1" } : {});

describe("packets of RTP", () => {
  test("in any size, a little out of order and some twice, over every wrap, give exactly the frames that were sent", () => {
    fc.assert(
      fc.property(sending, (wish) => {
        const { packets, frames } = sent(wish);
        const sink = new Heard();
        const track = openRtpTrack(0, media(wish.codec, fmtpOf(wish)), sessionOf(sink));
        const came = disturbed(packets, wish);
        for (const packet of came) track.rtp(packet, 1000);
        track.flush(1000);
        expect(sink.of(0).frames).toEqual(frames.map((frame) => ({ ...frame, at: 1000 })));
        expect(sink.of(0).odd).toEqual([]);
        expect(sink.of(0).counts).toMatchObject({
          received: packets.length,
          lost: 0,
          duplicates: came.length - packets.length,
        });
        expect(sink.of(0).bytes).toBe(came.reduce((sum, packet) => sum + packet.length, 0));
      }),
      { numRuns: 300 },
    );
  });

  test("that are missing are counted exactly, and cost no frame but their own", () => {
    const losses = fc.array(fc.integer({ min: 1, max: 10_000 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(sending, losses, (wish, places) => {
        const { packets, frames } = sent(wish);
        fc.pre(packets.length > 2);
        const gone = new Set(places.map((place) => 1 + (place % (packets.length - 2))));
        const sink = new Heard();
        sink.wants = 1000;
        const track = openRtpTrack(0, media(wish.codec, fmtpOf(wish)), sessionOf(sink));
        packets.forEach((packet, i) => {
          if (!gone.has(i)) track.rtp(packet, i);
        });
        track.flush(99_999);
        expect(sink.of(0).counts).toMatchObject({ received: packets.length - gone.size, lost: gone.size });
        const hurt = new Set([...gone].map((i) => packets[i]?.readUInt32BE(4)));
        const whole = frames.filter((frame) => !hurt.has(frame.stamp % 2 ** 32));
        expect(sink.of(0).frames.map(({ stamp, size, key }) => ({ stamp, size, key }))).toEqual(
          expect.arrayContaining(whole),
        );
        expect(sink.of(0).frames.length).toBeLessThanOrEqual(frames.length);
        // No picture is kept of a frame that something is missing of.
        const keySizes = whole.filter((frame) => frame.key).length;
        expect(sink.of(0).pictures.length).toBeLessThanOrEqual(keySizes);
      }),
      { numRuns: 300 },
    );
  });

  test("late by more than 32 packets or 200 ms are given up; what comes then still is only counted", () => {
    const sink = new Heard();
    const track = openRtpTrack(0, { ...media("H264"), kind: "audio", codec: "PCMA", clockHz: 8000 }, sessionOf(sink));
    const packet = (sequence: number): Buffer => rtpPacket({ sequence, stamp: sequence * 160 }, Buffer.alloc(160));
    track.rtp(packet(1), 0);
    track.rtp(packet(3), 20);
    track.rtp(packet(4), 220);
    expect(sink.of(0).frames).toHaveLength(1);
    track.rtp(packet(5), 221);
    expect(sink.of(0).frames).toHaveLength(4);
    track.rtp(packet(2), 230);
    for (let i = 0; i < 32; i += 1) track.rtp(packet(7 + i), 240);
    expect(sink.of(0).frames).toHaveLength(4);
    track.rtp(packet(39), 240);
    expect(sink.of(0).frames).toHaveLength(37);
    track.rtp(packet(7), 250);
    track.flush(250);
    expect(sink.of(0).counts).toMatchObject({ received: 37, lost: 2, reordered: 1, duplicates: 1 });
  });

  test("of another source are taken after two in a row, counted anew, with the stamps going on", () => {
    const sink = new Heard();
    const track = openRtpTrack(0, { ...media("H264"), kind: "audio", codec: "PCMA", clockHz: 8000 }, sessionOf(sink));
    const packet = (ssrc: number, sequence: number, stamp: number): Buffer =>
      rtpPacket({ sequence, stamp, ssrc }, Buffer.alloc(160));
    for (let i = 0; i < 5; i += 1) track.rtp(packet(1, 100 + i, 8000 + i * 160), i * 20);
    track.rtp(packet(9, 7, 4_000_000), 90);
    track.rtp(packet(1, 105, 8800), 100);
    track.rtp(packet(2, 30_000, 77_777), 200);
    expect(sink.of(0).frames).toHaveLength(6);
    track.rtp(packet(2, 30_001, 77_937), 220);
    track.rtp(packet(2, 30_002, 78_097), 240);
    expect(sink.of(0).stamps).toEqual([8000, 8160, 8320, 8480, 8640, 8800, 9600, 9760, 9920]);
    track.flush(250);
    expect(sink.of(0).counts).toMatchObject({ received: 9, lost: 0, duplicates: 0, reordered: 0 });
  });

  test("whose numbers leap because the source began anew are not taken for loss", () => {
    const sink = new Heard();
    const track = openRtpTrack(0, { ...media("H264"), kind: "audio", codec: "PCMA", clockHz: 8000 }, sessionOf(sink));
    for (const [i, sequence] of [10, 11, 12, 40_000, 40_001, 40_002].entries()) {
      track.rtp(rtpPacket({ sequence, stamp: i * 160 }, Buffer.alloc(160)), i * 20);
    }
    track.flush(200);
    expect(sink.of(0).frames).toHaveLength(6);
    expect(sink.of(0).counts).toMatchObject({ received: 6, lost: 0 });
  });

  test("of another payload type, of another version or cut short are odd, not media", () => {
    const sink = new Heard();
    const track = openRtpTrack(0, media("H264"), sessionOf(sink));
    const good = rtpPacket({ sequence: 1, stamp: 0 }, Buffer.from([0x41, 0x88, 1]));
    track.rtp(rtpPacket({ sequence: 2, stamp: 0, payloadType: 97 }, Buffer.alloc(9)), 0);
    track.rtp(good.subarray(0, 11), 0);
    track.rtp(Buffer.concat([Buffer.from([0x40]), good.subarray(1)]), 2000);
    // Padding longer than the packet; an extension longer than the packet.
    const wrong = Buffer.from(good);
    wrong[0] = 0xa0;
    wrong[wrong.length - 1] = 200;
    track.rtp(wrong, 4000);
    const extended = Buffer.from(good);
    extended[0] = 0x90;
    extended.writeUInt16BE(2, 2);
    track.rtp(extended, 6000);
    expect(sink.of(0).odd).toEqual(["payload type", "rtp", "rtp", "rtp", "rtp"]);
    expect(sink.of(0).frames).toEqual([]);
  });

  test("with padding, extension and contributing sources count their payload only", () => {
    const sink = new Heard();
    const track = openRtpTrack(0, { ...media("H264"), kind: "audio", codec: "OPUS", clockHz: 48_000 }, sessionOf(sink));
    const head = rtpPacket({ sequence: 1, stamp: 960 }, Buffer.alloc(0));
    head[0] = 0xb2;
    const more = Buffer.from([...Array<number>(8).fill(1), 0xbe, 0xde, 0, 1, 9, 9, 9, 9]);
    track.rtp(Buffer.concat([head, more, Buffer.from("sound"), Buffer.from([0, 0, 3])]), 0);
    expect(sink.of(0).sizes).toEqual(["5*"]);
  });

  test("that come at uneven times have the jitter of RFC 3550 §6.4.1", () => {
    const sink = new Heard();
    const track = openRtpTrack(0, { ...media("H264"), kind: "audio", codec: "PCMA", clockHz: 8000 }, sessionOf(sink));
    let jitter = 0;
    for (let i = 0; i < 200; i += 1) {
      track.rtp(rtpPacket({ sequence: i, stamp: i * 160 }, Buffer.alloc(160)), i * 20 + (i % 2) * 8);
      if (i > 0) jitter += (8 - jitter) / 16;
    }
    track.flush(5000);
    expect(sink.of(0).counts?.jitterMs).toBeCloseTo(jitter, 1);
  });

  test("that are read in batches have no jitter that could be told, nor reported", () => {
    const sink = new Heard();
    const sound = { ...media("H264"), kind: "audio", codec: "PCMA", clockHz: 8000, gathered: true } as const;
    const track = openRtpTrack(0, sound, sessionOf(sink));
    for (let i = 0; i < 200; i += 1)
      track.rtp(rtpPacket({ sequence: i, stamp: i * 160 }, Buffer.alloc(160)), Math.ceil((i * 20) / 125) * 125);
    track.flush(5000);
    expect(sink.of(0).counts).toEqual({ received: 200, lost: 0, duplicates: 0, reordered: 0 });
    expect(Buffer.from(track.report(5000)).readUInt32BE(20)).toBe(0);
  });
});
