import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { rtmpAddress } from "../../../../agent/checks/stream/rtmp/address.ts";
import { MESSAGE, writeMessage } from "../../../../agent/checks/stream/rtmp/chunks.ts";
import { RtmpClient } from "../../../../agent/checks/stream/rtmp/client.ts";
import { playRtmp } from "../../../../agent/checks/stream/rtmp/play.ts";
import { systemClock } from "../../../../platform/clock.ts";
import { Failure } from "../../../../protocol/failure.ts";
import { HandClock } from "../../../kit/hand-clock.ts";
import { freePort } from "../../../kit/ports.ts";
import { rawServer } from "../../../kit/servers.ts";
import { flvTag } from "../../../kit/stream/flv-writer.ts";
import { type HandRtmpWish, handRtmp } from "../../../kit/stream/hand-rtmp.ts";
import { Heard, sessionOf } from "../../../kit/stream/heard.ts";

const uint32 = (...values: number[]): Buffer => {
  const all = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => void all.writeUInt32BE(value, 4 * i));
  return all;
};
const event = (kind: number, value: number): Buffer => Buffer.concat([Buffer.of(0, kind), uint32(value)]);
const frame = Buffer.from("\x91av01frame", "latin1");

/** Why a session ends that nobody stops. */
const endOf = (url: string, heard = new Heard()): Promise<Failure> =>
  playRtmp({ url }, sessionOf(heard, systemClock)).then(
    () => new Failure("STREAM_ENDED", "it was not ended"),
    (cause: unknown) => (cause instanceof Failure ? cause : new Failure("STREAM_ENDED", String(cause))),
  );

describe("the address", () => {
  test.each([
    ["rtmp://10.0.0.1/live/cam1", "10.0.0.1", 1935, "live", "cam1"],
    ["rtmp://host:19350/live/instance/cam1?token=a/b&x=1", "host", 19350, "live/instance", "cam1?token=a/b&x=1"],
    ["rtmp://[::1]:1936/live/cam1", "::1", 1936, "live", "cam1"],
    ["rtmp://host/live?vhost=a.b/cam1", "host", 1935, "live?vhost=a.b", "cam1"],
  ])("%s", (url, host, port, app, name) => {
    expect(rtmpAddress(url)).toMatchObject({ to: { host, port }, app, name });
  });

  test("what the server is told of it has no stream and no token in it", () => {
    expect(rtmpAddress("rtmp://[::1]/live/cam1?token=s3cret").tcUrl).toBe("rtmp://[::1]:1935/live");
  });

  test.each(["rtmp://host/", "rtmp://host/live", "rtmp://host/live/", "http://host/live/cam1", "x"])(
    "%s is none",
    (url) => {
      expect(() => rtmpAddress(url)).toThrow(Failure);
    },
  );
});

describe("a session", () => {
  test("asks for the live stream alone, with its query, and bids farewell", async () => {
    await using server = await handRtmp({ playing: (peer) => peer.send(MESSAGE.video, frame) });
    const heard = new Heard();
    const stop = new AbortController();
    const playing = playRtmp({ url: `${server.url}?token=t0k3n` }, sessionOf(heard, systemClock, stop.signal));
    await heard.until(() => heard.of(0).frames.length > 0);
    stop.abort();
    await playing;
    await server.until(() => server.commands.at(-1)?.[0] === "deleteStream");
    expect(server.commands.map(([name]) => name)).toEqual(["connect", "createStream", "play", "deleteStream"]);
    const about = server.commands[0]?.[2];
    expect(about instanceof Map && [about.get("app"), about.get("objectEncoding")]).toEqual(["live", 0]);
    expect(server.commands[2]?.slice(3)).toEqual(["cam1?token=t0k3n", -1]);
    expect(heard.steps).toEqual(["connected", "greeted", "set-up", "playing"]);
    expect(server.server.accepted()).toBe(1);
  });

  test("is left at once in a pause between two batches, too", async () => {
    await using server = await handRtmp({ playing: (peer) => peer.send(MESSAGE.video, frame) });
    const [heard, stop, clock] = [new Heard(), new AbortController(), new HandClock()];
    const session = { ...sessionOf(heard, clock, stop.signal), gatherMs: 125 };
    const playing = playRtmp({ url: server.url }, session);
    while (heard.of(0).frames.length === 0) await clock.wind(5);
    stop.abort();
    await playing; // though the clock stands
    await server.until(() => server.commands.at(-1)?.[0] === "deleteStream");
  });

  test("answers pings, and says what it has got in windows of the size asked for", async () => {
    await using server = await handRtmp({
      playing: (peer) => {
        peer.send(MESSAGE.windowSize, uint32(5000), { lane: 2 });
        peer.send(MESSAGE.peerBandwidth, Buffer.concat([uint32(70_000), Buffer.of(2)]), { lane: 2 });
        peer.send(MESSAGE.userControl, event(6, 0xabcdef01), { lane: 2 });
        peer.send(MESSAGE.chunkSize, uint32(3000), { lane: 2 });
        peer.send(MESSAGE.video, Buffer.concat([frame, Buffer.alloc(9000)]), { lane: 6, chunkSize: 3000 });
      },
    });
    const stop = new AbortController();
    const playing = playRtmp({ url: server.url }, sessionOf(new Heard(), systemClock, stop.signal));
    await server.until(() => server.controls.some((control) => control.startsWith("3:")));
    expect(server.controls).toContain("4:0007abcdef01");
    expect(server.controls).toContain("5:00011170");
    expect(server.controls).toContain("4:000300000001" + "00000bb8");
    const [, acknowledged = ""] = server.controls.find((control) => control.startsWith("3:"))?.split(":") ?? [];
    expect(Number.parseInt(acknowledged, 16)).toBeGreaterThan(9000);
    stop.abort();
    await playing;
  });

  test("sound, picture and what they are come out of single and aggregate messages, on several lanes", async () => {
    const aggregate = Buffer.concat([
      flvTag(9, 100, frame),
      flvTag(8, 110, Buffer.of(0x7e, 1, 2)),
      flvTag(9, 140, frame),
    ]);
    await using server = await handRtmp({
      playing: (peer) => {
        peer.send(MESSAGE.data, Buffer.alloc(200_000), { lane: 5 });
        peer.send(MESSAGE.video, frame, { lane: 6, stamp: 960 });
        peer.send(MESSAGE.audio, Buffer.of(0x7e, 1, 2, 3), { lane: 4, stamp: 970 });
        peer.send(MESSAGE.aggregate, aggregate, { lane: 7, stamp: 1000 });
      },
    });
    const heard = new Heard();
    const stop = new AbortController();
    const playing = playRtmp({ url: server.url }, sessionOf(heard, systemClock, stop.signal));
    await heard.until(() => heard.of(0).frames.length === 3);
    expect(heard.of(0)).toMatchObject({ track: { codec: "AV1" }, stamps: [960, 1000, 1040] });
    expect(heard.of(1)).toMatchObject({ track: { codec: "PCMA" }, stamps: [970, 1010], sizes: ["3", "2"] });
    stop.abort();
    await playing;
  });

  test("a recorded file and a dry stream are odd", async () => {
    await using server = await handRtmp({
      playing: (peer) => {
        peer.send(MESSAGE.video, frame, { lane: 6 });
        for (const kind of [4, 2, 2]) peer.send(MESSAGE.userControl, event(kind, 1), { lane: 2 });
      },
    });
    const heard = new Heard();
    const stop = new AbortController();
    const playing = playRtmp({ url: server.url }, sessionOf(heard, systemClock, stop.signal));
    await heard.until(() => heard.of(0).odd.length === 2);
    expect(heard.of(0).odd).toEqual(["recorded", "dry"]);
    stop.abort();
    await playing;
  });
});

describe("a session that the server ends", () => {
  const says = (code: string, level?: string, description?: string): HandRtmpWish => ({
    playing: (peer) => peer.status(code, level, description),
  });
  const refuses = (asked: string, code: string, description: string): HandRtmpWish => ({
    answer: (peer, name, [, id]) => {
      if (name !== asked) return false;
      peer.command("_error", id, null, new Map(Object.entries({ level: "error", code, description })));
      return true;
    },
  });
  test.each<[string, HandRtmpWish, string, Record<string, unknown>]>([
    [
      "no such stream",
      says("NetStream.Play.StreamNotFound", "error"),
      "STREAM_STATUS",
      { status: "NetStream.Play.StreamNotFound" },
    ],
    ["play fails", says("NetStream.Play.Failed"), "STREAM_STATUS", { status: "NetStream.Play.Failed" }],
    ["play is not allowed", says("NetStream.Play.Failed", "error", "code=403 denied"), "STREAM_AUTH", {}],
    ["unpublished", says("NetStream.Play.UnpublishNotify"), "STREAM_ENDED", { how: "unpublished" }],
    ["stopped", says("NetStream.Play.Stop"), "STREAM_ENDED", { how: "stopped" }],
    [
      "end of the stream",
      { playing: (peer) => peer.send(4, event(1, 1), { lane: 2 }) },
      "STREAM_ENDED",
      { how: "end of the stream" },
    ],
    ["closed by word", { playing: (peer) => peer.command("close", 0, null) }, "STREAM_ENDED", { how: "closed" }],
    ["closed", { playing: (peer) => peer.socket.end() }, "STREAM_ENDED", { how: "closed" }],
    ["cut", { playing: (peer) => peer.socket.resetAndDestroy() }, "STREAM_ENDED", { how: "ECONNRESET" }],
    [
      "no such application",
      refuses("connect", "NetConnection.Connect.Rejected", "no app"),
      "STREAM_STATUS",
      { asked: "connect" },
    ],
    [
      "authentication is wanted",
      refuses("connect", "NetConnection.Connect.Rejected", "[ AccessManager.Reject ] : [ code=403 need auth ]"),
      "STREAM_AUTH",
      {},
    ],
    [
      "no stream for us",
      refuses("createStream", "NetConnection.Call.Failed", ""),
      "STREAM_STATUS",
      { asked: "createStream" },
    ],
    [
      "closed at connect",
      { answer: (peer, name) => name === "connect" && peer.socket.end() !== undefined },
      "STREAM_ENDED",
      { how: "closed", step: "connect" },
    ],
  ])("%s", async (_, wish, code, facts) => {
    await using server = await handRtmp(wish);
    expect(await endOf(`${server.url}?token=s3cret`)).toMatchObject({ code, facts: expect.objectContaining(facts) });
  });

  test("a Failure has no token in it, though the server repeats it", async () => {
    await using server = await handRtmp({
      playing: (peer) => peer.status("NetStream.Play.Failed cam1?token=t0k3n", "error"),
    });
    const failure = await endOf(`${server.url}?token=t0k3n`);
    expect(failure).toMatchObject({ code: "STREAM_STATUS" });
    expect(JSON.stringify([failure.message, failure.facts])).not.toContain("t0k3n");
  });

  test("a Failure has no token in it", async () => {
    await using server = await handRtmp(says("NetStream.Play.StreamNotFound", "error"));
    const failure = await endOf(`${server.url}?token=s3cret`);
    expect(JSON.stringify([failure.message, failure.facts, String(failure.stack)])).not.toContain("s3cret");
  });

  test.each<[string, HandRtmpWish]>([
    ["handshake", {}],
    ["connect", { answer: (_, name) => name === "connect" }],
    ["createStream", { answer: (_, name) => name === "createStream" }],
    ["play", { answer: (_, name) => name === "play" }],
  ])("silence at %s is a timeout that names it", async (step, wish) => {
    await using silent = await rawServer(() => {});
    await using server = await handRtmp(wish);
    const clock = new HandClock();
    const heard = new Heard();
    const url = step === "handshake" ? `rtmp://127.0.0.1:${silent.port}/live/cam1` : server.url;
    const failure = playRtmp({ url }, sessionOf(heard, clock)).catch((cause: unknown) => cause);
    if (step === "handshake") await heard.until(() => heard.steps.includes("connected"));
    else await server.until(() => server.commands.at(-1)?.[0] === step);
    await clock.wind(5000);
    expect(await failure).toMatchObject({ code: "STREAM_TIMEOUT", facts: expect.objectContaining({ step }) });
  });

  test("nobody there is a failure to connect", async () => {
    expect(await endOf(`rtmp://127.0.0.1:${await freePort()}/live/cam1`)).toMatchObject({ code: "DIAL_REFUSED" });
  });

  test("one that was stopped before it began does nothing", async () => {
    await using server = await handRtmp();
    await playRtmp({ url: server.url }, sessionOf(new Heard(), systemClock, AbortSignal.abort()));
    expect(server.server.accepted()).toBe(0);
  });
});

describe("a hostile server", () => {
  /** Numbers our stream so. */
  const numbers = (stream: number | string): HandRtmpWish => ({
    answer: (peer, name, [, id]) => {
      if (name !== "createStream") return false;
      peer.command("_result", id, null, stream);
      return true;
    },
  });
  const media = (bytes: Uint8Array): HandRtmpWish => ({ playing: (peer) => void peer.socket.write(bytes) });
  test.each<[string, HandRtmpWish]>([
    ["chunks of a negative size", media(writeMessage({ lane: 2, type: 1, stream: 0, stamp: 0 }, uint32(0xffffffff)))],
    ["a message of 16 MB", media(Buffer.from("04000000ffffff0901000000", "hex"))],
    ["a command of 8 MB", media(Buffer.from("030000007fffff1401000000", "hex"))],
    ["garbage", media(Buffer.alloc(5000, 0xee))],
    [
      "commands that are none",
      { playing: (peer) => peer.send(MESSAGE.command, Buffer.alloc(60_000, Buffer.from("0a00000001", "hex"))) },
    ],
    ["no number for a stream", numbers("x")],
    ["a negative number for a stream", numbers(-1)],
  ])("%s ends the session", async (_, wish) => {
    await using server = await handRtmp(wish);
    expect(await endOf(server.url)).toMatchObject({ code: "STREAM_PROTOCOL" });
  });

  test.each([
    ["another protocol", "HTTP/1.1 400 Bad Request\r\n\r\n", "STREAM_PROTOCOL"],
    ["half a handshake and the end", "\x03abc", "STREAM_ENDED"],
  ])("%s in place of a handshake", async (_, says, code) => {
    await using server = await rawServer((socket) => void socket.end(says, "latin1"));
    expect(await endOf(`rtmp://127.0.0.1:${server.port}/live/cam1`)).toMatchObject({ code });
  });

  test("one is told what came as soon as its window is full, and not before", () => {
    const sent: Buffer[] = [];
    const client = new RtmpClient(rtmpAddress("rtmp://h/live/cam1"), {
      send: (bytes) => void sent.push(Buffer.from(bytes)),
      reached: () => {},
      sink: new Heard(),
    });
    const hello = Buffer.concat([Buffer.of(3), Buffer.alloc(3072)]);
    const window = writeMessage({ lane: 2, type: MESSAGE.windowSize, stream: 0, stamp: 0 }, uint32(5_000));
    client.data(hello, 0);
    client.data(window, 0);
    const dull = writeMessage({ lane: 5, type: MESSAGE.data, stream: 0, stamp: 0 }, Buffer.alloc(4_000), 65_536);
    const rest = 5_000 - hello.length - window.length;
    sent.length = 0;
    client.data(writeMessage({ lane: 2, type: MESSAGE.chunkSize, stream: 0, stamp: 0 }, uint32(65_536)), 0);
    client.data(dull.subarray(0, rest - 16 - 1), 0);
    expect(sent).toEqual([]);
    client.data(dull.subarray(rest - 16 - 1, rest - 16), 0);
    expect(sent.map((bytes) => bytes.subarray(-4).readUInt32BE(0))).toEqual([5_000]);
  });

  test("one that begins nine commands at once, and ends none, is none", () => {
    const client = new RtmpClient(rtmpAddress("rtmp://h/live/cam1"), {
      send: () => {},
      reached: () => {},
      sink: new Heard(),
    });
    client.data(Buffer.concat([Buffer.of(3), Buffer.alloc(3072)]), 0);
    const begun = (lane: number): Buffer =>
      writeMessage({ lane, type: MESSAGE.command, stream: 0, stamp: 0 }, Buffer.alloc(60_000)).subarray(0, 12 + 128);
    for (let lane = 3; lane < 11; lane += 1) client.data(begun(lane), 0);
    expect(() => client.data(begun(11), 0)).toThrow(/too many commands/);
  });

  test("one that asks without end gets one answer for each question", () => {
    const sent: number[] = [];
    const client = new RtmpClient(rtmpAddress("rtmp://host/live/cam1"), {
      send: (bytes) => sent.push(bytes.length),
      reached: () => {},
      sink: new Heard(),
    });
    client.begin();
    client.data(Buffer.concat([Buffer.of(3), Buffer.alloc(3072)]), 0);
    const ping = writeMessage({ lane: 2, type: 4, stream: 0, stamp: 0 }, event(6, 1));
    client.data(Buffer.concat(Array.from({ length: 100 }, () => ping)), 0);
    expect(sent.slice(3)).toEqual(Array.from({ length: 100 }, () => ping.length));
  });

  test("of any bytes a Failure comes, or nothing", () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .tuple(
          fc.constantFrom(1, 2, 3, 4, 5, 6, 8, 9, 15, 17, 18, 20, 22),
          fc.nat(0xffffffff),
          fc.uint8Array({ maxLength: 120 }),
        )
        .map(([type, stamp, body]) => writeMessage({ lane: 3 + (type % 4), type, stream: 1, stamp }, body)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), fc.integer({ min: 1, max: 400 }), (pieces, step) => {
        const client = new RtmpClient(rtmpAddress("rtmp://host/live/cam1"), {
          send: () => {},
          reached: () => {},
          sink: new Heard(),
        });
        const bytes = Buffer.concat([Buffer.of(3), Buffer.alloc(3072), ...pieces]);
        try {
          for (let at = 0; at < bytes.length; at += step) client.data(bytes.subarray(at, at + step), at);
        } catch (cause) {
          if (!(cause instanceof Failure)) throw cause;
        }
      }),
      { numRuns: 1500 },
    );
  });
});
