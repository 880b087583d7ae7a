import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { Framing } from "../../../../agent/checks/stream/gb28181/framing.ts";
import { GbMedia } from "../../../../agent/checks/stream/gb28181/media.ts";
import { type GbOptions, playGb } from "../../../../agent/checks/stream/gb28181/play.ts";
import { systemClock } from "../../../../platform/clock.ts";
import type { Failure } from "../../../../protocol/failure.ts";
import { HandClock } from "../../../kit/hand-clock.ts";
import { freePort } from "../../../kit/ports.ts";
import { clip, needsClips } from "../../../kit/stream/clips.ts";
import { Heard, sessionOf } from "../../../kit/stream/heard.ts";
import { annexB, unitOf } from "../../../kit/stream/nal-writer.ts";
import {
  clipFrames,
  goodbye,
  type PsSender,
  type PsSenderOptions,
  probed,
  psPacks,
  senderReport,
  startPsSender,
} from "../../../kit/stream/ps.ts";
import { packetH264, rtpPacket } from "../../../kit/stream/rtp-writer.ts";

type Ending = Failure | undefined;

/** A running session, and how it ended. */
interface Playing extends AsyncDisposable {
  readonly heard: Heard;
  readonly port: number;
  readonly ended: Promise<Ending>;
  stop(): void;
}
const open = new Set<AsyncDisposable>();
afterEach(async () => {
  await Promise.all([...open].map((one) => one[Symbol.asyncDispose]()));
  open.clear();
});

async function playing(transport: "udp" | "tcp", more: Partial<GbOptions> = {}, clock = systemClock): Promise<Playing> {
  const port = await freePort();
  const heard = new Heard();
  const cut = new AbortController();
  const options = { listen: { host: "127.0.0.1", port }, transport, ...more };
  const ended = playGb(options, sessionOf(heard, clock, cut.signal)).then(
    (): Ending => undefined,
    (cause: Failure): Ending => cause,
  );
  const one = {
    ...{ heard, port, ended },
    stop: () => cut.abort(),
    async [Symbol.asyncDispose]() {
      cut.abort();
      await ended;
    },
  };
  open.add(one);
  await Promise.race([heard.until(() => heard.steps.includes("playing")), ended]);
  return one;
}
async function sender(
  to: { port: number },
  order: Partial<PsSenderOptions> & Pick<PsSenderOptions, "transport" | "packs">,
) {
  const one: PsSender = await startPsSender({ to: { host: "127.0.0.1", port: to.port }, fps: 200, ...order });
  open.add(one);
  return one;
}

/** Small packs, keyframes every fifth. */
const packs = psPacks(
  Array.from({ length: 60 }, (_, i) => ({
    streamId: 0xe0,
    pts: i * 3_600,
    bytes: annexB(
      unitOf("H264", { key: i % 5 === 0, slices: [i % 5 === 0 ? 9_000 : 2_000], delimiter: true, sei: 0 }, i),
    ),
    key: i % 5 === 0,
  })),
);

describe("media that is sent to us", () => {
  test.skipIf(needsClips()).each([
    ["h264", "udp"],
    ["h264", "tcp"],
    ["h265", "udp"],
    ["h265", "tcp"],
  ] as const)("has the frames, keyframes and size of its clip: %s over %s", async (codec, transport) => {
    const path = clip("move", { codec, seconds: 6 });
    const { frames, keys, width, height } = probed(path);
    const session = await playing(transport);
    const types = [[0xe0, codec === "h264" ? 0x1b : 0x24]] as const;
    const from = await sender(session, { transport, packs: psPacks(clipFrames(path, codec), { types }), fps: 150 });
    const video = session.heard.of(0);
    await session.heard.until(() => video.frames.length >= frames - 1);
    await from.done;
    expect(video.track).toEqual({ kind: "video", codec: codec.toUpperCase(), clockHz: 90_000 });
    expect(video.frames).toHaveLength(frames - 1);
    expect(video.keys).toBe(keys);
    expect(video.formats).toMatchObject([{ width, height }]);
    expect(video.odd).toEqual([]);
    session.stop();
    expect(await session.ended).toBeUndefined();
  });

  test("is put in order, and what is lost is counted while the rest goes on", async () => {
    const session = await playing("udp");
    const from = await sender(session, { transport: "udp", packs, loop: true });
    from.swapEvery = 7;
    const video = session.heard.of(0);
    await session.heard.until(() => video.frames.length >= 100);
    const before = video.frames.length;
    from.drop = 0.05;
    await session.heard.until(() => (video.counts?.lost ?? 0) > 0 && video.frames.length > before + 300);
    expect(video.counts?.reordered).toBeGreaterThan(0);
    expect(video.keys).toBeGreaterThan(20);
    const stamps = video.stamps.slice(0, 50);
    expect(stamps).toEqual(stamps.toSorted((a, b) => a - b));
  });

  test("of another source than the one expected is not taken", async () => {
    const session = await playing("udp", { ssrc: 77 });
    await sender(session, { transport: "udp", packs, ssrc: 78, loop: true });
    await session.heard.until(() => session.heard.of(0).odd.includes("ssrc"));
    await sender(session, { transport: "udp", packs, ssrc: 77, loop: true });
    await session.heard.until(() => session.heard.of(0).frames.length > 20);
    expect(session.heard.of(0).counts?.lost).toBe(0);
  });

  test("of another host than the one expected is not taken", async () => {
    const session = await playing("udp", { from: "127.0.0.2" });
    const stranger = await sender(session, { transport: "udp", packs });
    await stranger.done;
    expect(session.heard.tracks).toEqual([]);
  });

  test("is not taken over by another host while it flows, and may come from one when it has stopped", async () => {
    const clock = new HandClock();
    const session = await playing("udp", {}, clock);
    const video = session.heard.of(0);
    const from = await sender(session, { transport: "udp", packs, loop: true });
    await session.heard.until(() => video.frames.length > 20);
    from.paused = true;
    const other = createSocket("udp4");
    await new Promise<void>((bound) => other.bind(0, "127.0.0.2", bound));
    const takeOver = async (): Promise<void> => {
      const media = [1, 2, 3].map((sequence) => rtpPacket({ sequence, stamp: 1, ssrc: 7 }, Buffer.alloc(100)));
      for (const bytes of [...media, goodbye(7)])
        await new Promise((sent) => other.send(bytes, session.port, "127.0.0.1", sent));
    };
    await takeOver();
    from.paused = false;
    const { length } = video.frames;
    await session.heard.until(() => video.frames.length > length + 20);
    from.paused = true;
    await clock.wind(3_500);
    await takeOver();
    expect(await session.ended).toMatchObject({ facts: { how: "bye" } });
    other.close();
  });

  test("may be H.264 without a program stream", async () => {
    const session = await playing("udp");
    const nals = Array.from({ length: 40 }, (_, i) =>
      unitOf("H264", { key: i % 8 === 0, slices: [3_000], delimiter: false, sei: 0 }, i),
    );
    const to = createSocket("udp4");
    let sequence = 0;
    for (const [i, unit] of nals.entries()) {
      const payloads = packetH264(unit, 1_200, false);
      for (const [j, payload] of payloads.entries()) {
        const fields = { sequence: sequence++, stamp: i * 3_600, payloadType: 98, marker: j === payloads.length - 1 };
        to.send(rtpPacket(fields, payload), session.port, "127.0.0.1");
      }
      await session.heard.until(() => session.heard.of(0).frames.length > i);
    }
    const video = session.heard.of(0);
    await session.heard.until(() => video.frames.length === 40);
    to.close();
    expect(video.track?.codec).toBe("H264");
    expect(video.keys).toBe(5);
  });

  test("that is nothing we know is said to be so", async () => {
    const session = await playing("tcp");
    await sender(session, {
      transport: "tcp",
      packs: Array.from({ length: 600 }, () => Buffer.alloc(160, 0xd5)),
      fps: 1_000,
    });
    expect(await session.ended).toMatchObject({ code: "STREAM_UNSUPPORTED", facts: { payloadType: 96 } });
  });

  test("tells the sender's clock, and gets a report for it", async () => {
    const session = await playing("udp");
    const from = await sender(session, { transport: "udp", packs, loop: true });
    await session.heard.until(() => session.heard.of(0).frames.length > 3);
    from.control(senderReport(0x0c0ffee0, Date.UTC(2026, 10, 22), 5));
    await session.heard.until(() => session.heard.of(0).clocks.length > 0);
    expect(session.heard.of(0).clocks[0]?.ntpMs).toBeCloseTo(Date.UTC(2026, 10, 22), 0);
    while (from.heard.length === 0) await systemClock.sleep(5);
    expect(from.heard[0]?.[1]).toBe(201);
  });
});

describe("a session ends", () => {
  test("when the sender says BYE, but not when a stranger does", async () => {
    const session = await playing("udp");
    const from = await sender(session, { transport: "udp", packs, loop: true });
    from.control(goodbye(1));
    await session.heard.until(() => session.heard.of(0).frames.length > 20);
    from.control(goodbye(0x0c0ffee0));
    expect(await session.ended).toMatchObject({ code: "STREAM_ENDED", facts: { how: "bye" } });
  });

  test("when the connection that brought media is closed, but not when a stranger's is", async () => {
    const session = await playing("tcp");
    const scanner = connect(session.port, "127.0.0.1", () => scanner.end("GET / HTTP/1.1\r\nHost: camera\r\n\r\n"));
    await new Promise((closed) => scanner.once("close", closed));
    const from = await sender(session, { transport: "tcp", packs, loop: true });
    await session.heard.until(() => session.heard.of(0).frames.length > 20);
    const second = connect(session.port, "127.0.0.1");
    second.on("error", () => {});
    await new Promise((closed) => second.once("close", closed));
    const { length } = session.heard.of(0).frames;
    await session.heard.until(() => session.heard.of(0).frames.length > length);
    await from[Symbol.asyncDispose]();
    expect(await session.ended).toMatchObject({ code: "STREAM_ENDED", facts: { how: "closed" } });
  });

  test("when we say so, and gives the port back", async () => {
    for (const transport of ["udp", "tcp"] as const) {
      const first = await playing(transport);
      first.stop();
      expect(await first.ended).toBeUndefined();
      const again = await playing(transport, { listen: { host: "127.0.0.1", port: first.port } });
      expect(again.heard.steps).toEqual(["connected", "playing"]);
    }
  });

  test("when the port is somebody else's", async () => {
    const first = await playing("udp");
    const second = await playing("udp", { listen: { host: "127.0.0.1", port: first.port } });
    expect(await second.ended).toMatchObject({ code: "DIAL_LOCAL", facts: { errno: "EADDRINUSE" } });
    await using server = createServer();
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const address = server.address();
    const port = typeof address === "object" ? (address?.port ?? 0) : 0;
    const third = await playing("tcp", { listen: { host: "127.0.0.1", port } });
    expect(await third.ended).toMatchObject({ code: "DIAL_LOCAL" });
  });
});

test("a sender that comes back while its old connection hangs half open replaces it", async () => {
  const clock = new HandClock();
  const session = await playing("tcp", {}, clock);
  const old = await sender(session, { transport: "tcp", packs, loop: true });
  await session.heard.until(() => session.heard.of(0).frames.length > 20);
  old.paused = true;
  await clock.wind(3_500);
  await sender(session, { transport: "tcp", packs, loop: true, ssrc: 9 });
  const { length } = session.heard.of(0).frames;
  await session.heard.until(() => session.heard.of(0).frames.length > length + 20);
});

test("a connection that brings eight frames that are no RTP is hung up on", async () => {
  const session = await playing("tcp");
  const strange = connect(session.port, "127.0.0.1");
  strange.on("error", () => {});
  const frames = Buffer.concat(Array.from({ length: 8 }, () => Buffer.from([0, 4, 1, 2, 3, 4])));
  strange.write(frames.subarray(0, 7 * 6));
  while (!session.heard.of(0).odd.includes("rtp")) await systemClock.sleep(2);
  expect(strange.destroyed).toBe(false);
  const closed = new Promise((done) => strange.once("close", done));
  strange.resume();
  strange.write(frames.subarray(7 * 6));
  await closed;
  session.stop();
  expect(await session.ended).toBeUndefined();
});

test("a flood of sender's reports gets one report in four seconds, and a goodbye before any media ends nothing", async () => {
  const clock = new HandClock();
  const media = new GbMedia(sessionOf(new Heard(), clock), undefined);
  const bye = goodbye(0x0c0ffee0);
  expect(media.control(bye, 0, bye.length, 0)).toBe("control");
  expect([0, 1, 3_999, 4_000, 4_001].map((at) => media.report(at) !== undefined)).toEqual([
    true,
    false,
    false,
    true,
    false,
  ]);
});

test("frames of RFC 4571 are the same however they are cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 8 }),
      (packets, cuts) => {
        const length = (packet: Uint8Array): Buffer => Buffer.from([packet.length >> 8, packet.length & 0xff]);
        const bytes = Buffer.concat(packets.flatMap((packet) => [length(packet), packet]));
        const taken: string[] = [];
        const framing = new Framing((from, begin, end) => taken.push(from.toString("hex", begin, end)));
        for (let at = 0, i = 0; at < bytes.length; i += 1) {
          const size = cuts[i % cuts.length] ?? 1;
          framing.push(bytes.subarray(at, at + size));
          at += size;
        }
        expect(taken).toEqual(packets.map((packet) => Buffer.from(packet).toString("hex")));
      },
    ),
  );
});

test("hostile packets end nothing and crash nothing", async () => {
  const session = await playing("udp");
  const to = createSocket("udp4");
  const send = (bytes: Buffer): Promise<void> =>
    new Promise((sent) => to.send(bytes, session.port, "127.0.0.1", () => sent()));
  const whole = rtpPacket({ sequence: 1, stamp: 1 }, Buffer.from("000001ba44000400040186", "hex"));
  const hostile = fc.oneof(
    fc.uint8Array({ minLength: 0, maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    fc.tuple(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length)).map(([at, value, length]) => {
      const spoilt = Buffer.from(whole);
      spoilt[at] = value;
      return spoilt.subarray(0, length);
    }),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.concat([Buffer.from([0x80, 200]), bytes])),
  );
  for (const bytes of fc.sample(hostile, { numRuns: 400, seed: 28_181 })) await send(bytes);
  to.close();
  await sender(session, { transport: "udp", packs, loop: true });
  await session.heard.until(() => session.heard.tracks.some((track) => track.frames.length > 20));
  session.stop();
  expect(await session.ended).toBeUndefined();
});
