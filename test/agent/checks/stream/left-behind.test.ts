import { createSocket } from "node:dgram";
import { getEventListeners, once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { createServer as createTls } from "node:tls";
import { describe, expect, test } from "vitest";
import { playFlv } from "../../../../agent/checks/stream/flv/play.ts";
import { playRtmp } from "../../../../agent/checks/stream/rtmp/play.ts";
import { playRtsp } from "../../../../agent/checks/stream/rtsp/play.ts";
import { type Clock, systemClock } from "../../../../platform/clock.ts";
import { testCa } from "../../../kit/certs.ts";
import { HandClock } from "../../../kit/hand-clock.ts";
import { httpServer, httpsServer, rawServer } from "../../../kit/servers.ts";
import { answer, fakeRtsp, interleaved, rtpPacket, type Script } from "../../../kit/stream/fake-rtsp.ts";
import { handRtmp } from "../../../kit/stream/hand-rtmp.ts";
import { Heard, sessionOf } from "../../../kit/stream/heard.ts";
import { beginRtsp } from "../../../kit/stream/rtsp-play.ts";
import { tempFolder } from "../../../kit/temp.ts";

/** What a session that has ended leaves behind: nothing, whichever way it ended. */

/** A clock that knows which of its timers still run. */
function counted(of: Clock = systemClock): Clock & { running: Set<() => void> } {
  const running = new Set<() => void>();
  return {
    running,
    now: () => of.now(),
    wall: () => of.wall(),
    sleep: (ms, signal) => of.sleep(ms, signal),
    after(ms, work) {
      const callOff = of.after(ms, () => {
        running.delete(done);
        work();
      });
      const done = (): void => {
        running.delete(done);
        callOff();
      };
      running.add(done);
      return done;
    },
    every(ms, work) {
      const callOff = of.every(ms, work);
      const done = (): void => {
        running.delete(done);
        callOff();
      };
      running.add(done);
      return done;
    },
  };
}

/** Whether both ports of a pair can be had again. */
async function areFree(port: number): Promise<boolean> {
  for (const one of [port, port + 1]) {
    const socket = createSocket("udp4");
    const bound = await new Promise<boolean>((tell) => {
      socket.once("error", () => tell(false));
      socket.bind(one, "127.0.0.1", () => tell(true));
    });
    socket.close();
    if (!bound) return false;
  }
  return true;
}

describe("no timer and no listener", () => {
  test.each<[string, Script]>([
    ["no answer to DESCRIBE", { DESCRIBE: (asked) => void asked.socket.end() }],
    ["a refusal", { DESCRIBE: (asked) => answer(asked, [], "", "404 No") }],
    ["nonsense after PLAY", { PLAY: (asked) => `${answer(asked)}garbage` }],
    ["a goodbye", { PLAY: (asked) => `${answer(asked)}TEARDOWN rtsp://h/ RTSP/1.0\r\nCSeq: 1\r\n\r\n` }],
  ])("of an RTSP session after %s", async (_, script) => {
    const clock = counted();
    const { signal } = new AbortController();
    await using server = await fakeRtsp(script);
    const session = { ...sessionOf(new Heard(), clock, signal) };
    await expect(playRtsp({ url: server.url, transport: "auto" }, session)).rejects.toThrow();
    expect([clock.running.size, getEventListeners(signal, "abort").length]).toEqual([0, 0]);
  });

  test("of an RTSP session that is left while a sign of life is under way", async () => {
    const hand = new HandClock();
    const clock = counted(hand);
    await using server = await fakeRtsp({ GET_PARAMETER: () => undefined });
    await using playing = beginRtsp({ url: server.url }, { clock });
    await playing.until(({ steps }) => steps.includes("playing"));
    await hand.wind(30_000);
    await server.got(({ method }) => method === "GET_PARAMETER");
    expect(await playing.leave()).toBe("left");
    await hand.wind(0);
    expect(clock.running.size).toBe(0);
  });

  test("of an RTMP and an HTTP-FLV session that the other side ends", async () => {
    const clock = counted();
    const { signal } = new AbortController();
    await using rtmp = await handRtmp({ playing: (peer) => void peer.socket.end() });
    await expect(playRtmp({ url: rtmp.url }, sessionOf(new Heard(), clock, signal))).rejects.toThrow();
    await using http = await httpServer((_, response) => response.writeHead(404).end());
    const url = `http://127.0.0.1:${http.port}/x.flv`;
    await expect(playFlv({ url }, sessionOf(new Heard(), clock, signal))).rejects.toThrow();
    expect([clock.running.size, getEventListeners(signal, "abort").length]).toEqual([0, 0]);
  });
});

describe("no UDP port", () => {
  test.each<[string, Script, string]>([
    ["is left", {}, "left"],
    ["is refused UDP", { SETUP: (asked) => answer(asked, [], "", "461 No") }, "STREAM_UNSUPPORTED"],
    [
      "is sent to a multicast group",
      { SETUP: (asked) => answer(asked, ["Session: 1", "Transport: RTP/AVP;multicast;port=5000-5001"]) },
      "STREAM_UNSUPPORTED",
    ],
    ["gets no answer to SETUP", { SETUP: (asked) => void asked.socket.end() }, "STREAM_ENDED"],
  ])("where the session %s", async (_, script, how) => {
    await using server = await fakeRtsp(script);
    await using playing = beginRtsp({ url: server.url, transport: "udp" });
    const { headers } = await server.got(({ method }) => method === "SETUP");
    const port = Number(/client_port=(\d+)-/.exec(headers.get("transport") ?? "")?.[1]);
    if (how === "left") await playing.until(({ steps }) => steps.includes("playing"));
    const ended = how === "left" ? await playing.leave() : await playing.ended;
    expect(ended === "left" ? ended : ended.code).toBe(how);
    expect(await areFree(port)).toBe(true);
  });
});

describe("no connection", () => {
  test("to a server that is not trusted", async () => {
    using folder = tempFolder();
    const closed = Promise.withResolvers<void>();
    await using server = await httpsServer(testCa(folder.path).server, (_, response) => response.end());
    await using watched = await rawServer((socket) => {
      const on = connect(server.port, "127.0.0.1");
      socket.pipe(on).pipe(socket);
      socket.once("close", () => closed.resolve());
    });
    const url = `https://127.0.0.1:${watched.port}/x.flv`;
    await expect(playFlv({ url }, sessionOf(new Heard(), systemClock))).rejects.toMatchObject({
      code: "DIAL_UNTRUSTED",
    });
    await closed.promise;
  });

  test("to an RTMP server that does not hang up: it is left after 0.4 s", async () => {
    const clock = new HandClock();
    const heard = new Heard();
    const stop = new AbortController();
    let begged = Buffer.alloc(0);
    await using server = await rawServer((socket) => {
      socket.allowHalfOpen = true; // its end is not answered by ours
      socket.on("data", (bytes: Buffer) => {
        begged = Buffer.concat([begged, bytes]);
      });
    });
    const playing = playRtmp(
      { url: `rtmp://127.0.0.1:${server.port}/live/cam1` },
      sessionOf(heard, clock, stop.signal),
    ).then(() => "left");
    await heard.until(() => heard.steps.includes("connected"));
    stop.abort();
    await clock.wind(399);
    expect(await Promise.race([playing, Promise.resolve("waits")])).toBe("waits");
    await clock.wind(1);
    expect(await playing).toBe("left");
    expect(begged.length).toBeLessThanOrEqual(1537); // no deleteStream of a stream that never was
  });
});

test("what is under TLS is not played over UDP, which would be in clear", async () => {
  using folder = tempFolder();
  const { ca, server: pair } = testCa(folder.path);
  await using server = await fakeRtsp({ SETUP: (asked) => answer(asked, [], "", "461 No") });
  const tls = createTls({ cert: readFileSync(pair.cert), key: readFileSync(pair.key) }, (socket) => {
    socket.on("error", () => {});
    socket.pipe(connect(server.port, "127.0.0.1")).pipe(socket);
  });
  tls.listen(0, "127.0.0.1");
  await once(tls, "listening");
  const address = tls.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await using playing = beginRtsp({ url: `rtsps://127.0.0.1:${port}/cam`, caFile: ca });
  expect(await playing.ended).toMatchObject({ code: "STREAM_UNSUPPORTED" });
  expect(
    server.asked.filter(({ method }) => method === "SETUP").map(({ headers }) => headers.get("transport")),
  ).toEqual(["RTP/AVP/TCP;unicast;interleaved=0-1"]);
  tls.close();
});

test("nothing is heard after the goodbye of the sender", async () => {
  const bye = Buffer.from([0x81, 203, 0, 1, 0, 0, 0, 1]);
  const packets = [1, 2, 3].map((seq) => interleaved(0, rtpPacket(seq)));
  await using server = await fakeRtsp({
    PLAY: (asked) =>
      Buffer.concat([Buffer.from(answer(asked)), packets[0] ?? bye, interleaved(1, bye), ...packets.slice(1)]),
  });
  await using playing = beginRtsp({ url: server.url });
  expect(await playing.ended).toMatchObject({ code: "STREAM_ENDED" });
  expect(playing.heard.of(0).counts).toMatchObject({ received: 1 });
});

test("an answer that is still to come (1xx) is waited for", async () => {
  await using server = await fakeRtsp({
    DESCRIBE: (asked) => {
      asked.socket.write(answer(asked, [], "", "100 Continue"));
      return answer(asked, [], "v=0\r\nm=video 0 RTP/AVP 26\r\n");
    },
  });
  await using playing = beginRtsp({ url: server.url });
  await playing.until(({ steps }) => steps.includes("playing"));
});
