import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { type Clock, systemClock } from "../../../../platform/clock.ts";
import { HandClock } from "../../../kit/hand-clock.ts";
import { freePort } from "../../../kit/ports.ts";
import { rawServer } from "../../../kit/servers.ts";
import {
  answer,
  BYE,
  type FakeRtsp,
  fakeRtsp,
  interleaved,
  rtpPacket,
  type Script,
  SDP,
} from "../../../kit/stream/fake-rtsp.ts";
import { beginRtsp, type RtspPlaying } from "../../../kit/stream/rtsp-play.ts";

const begin = (server: FakeRtsp, more: Parameters<typeof beginRtsp>[1] = {}): RtspPlaying =>
  beginRtsp({ url: server.url }, more);

/** Plays against a script, to the end that the script makes. */
async function endOf(script: Script, more: Parameters<typeof beginRtsp>[1] = {}): Promise<unknown> {
  await using server = await fakeRtsp(script);
  await using playing = begin(server, more);
  return await playing.ended;
}

const waits = Promise.resolve("waits");

const failure = (code: string, facts?: Record<string, unknown>) =>
  expect.objectContaining({ code, ...(facts === undefined ? {} : { facts: expect.objectContaining(facts) }) });

describe("a server that never answers", () => {
  test.each([
    ["OPTIONS", "greeted", 5_000],
    ["DESCRIBE", "described", 15_000],
    ["SETUP", "set-up", 5_000],
    ["PLAY", "playing", 5_000],
  ])("%s is told by that step, in its time", async (method, step, ms) => {
    const clock = new HandClock();
    await using server = await fakeRtsp({ [method]: () => undefined });
    await using playing = begin(server, { clock });
    await server.got((asked) => asked.method === method);
    await clock.wind(ms - 1);
    expect(await Promise.race([playing.ended, waits])).toBe("waits");
    await clock.wind(1);
    expect(await playing.ended).toEqual(failure("STREAM_TIMEOUT", { step }));
    if (method === "PLAY") expect(server.methods().at(-1)).toBe("TEARDOWN");
  });

  test("a farewell is left after half a second", async () => {
    const clock = new HandClock();
    await using server = await fakeRtsp({ TEARDOWN: () => undefined });
    await using playing = begin(server, { clock });
    await playing.until(({ steps }) => steps.includes("playing"));
    const left = playing.leave();
    await server.got(({ method }) => method === "TEARDOWN");
    await clock.wind(499);
    expect(await Promise.race([left, waits])).toBe("waits");
    await clock.wind(1);
    expect(await left).toBe("left");
  });

  test("is waited for at once, in a pause between two batches too", async () => {
    const clock = new HandClock();
    await using server = await fakeRtsp();
    await using playing = begin(server, { clock, gatherMs: 125 });
    const { socket } = await server.got(({ method }) => method === "PLAY");
    await playing.until(({ steps }) => steps.includes("playing"));
    socket.write(Buffer.concat([1, 2].map((seq) => interleaved(0, rtpPacket(seq)))));
    await playing.until((heard) => heard.of(0).frames.length === 2);
    expect(await playing.leave()).toBe("left"); // though the clock stands
    expect(server.methods().at(-1)).toBe("TEARDOWN");
  });

  test("one that is left in the midst of SETUP is told all the same", async () => {
    let say: (() => void) | undefined;
    await using server = await fakeRtsp({
      SETUP: (asked) => {
        say = () => asked.socket.write(answer(asked, ["Session: 99", "Transport: RTP/AVP/TCP;interleaved=0-1"]));
        return undefined;
      },
    });
    await using playing = begin(server);
    await server.got(({ method }) => method === "SETUP");
    const left = playing.leave();
    say?.();
    expect(await left).toBe("left");
    expect(server.methods().slice(-2)).toEqual(["SETUP", "TEARDOWN"]);
    expect(server.asked.at(-1)?.headers.get("session")).toBe("99");
  });
});

describe("a server that talks nonsense", () => {
  test.each<[string, Script]>([
    ["HTTP", { OPTIONS: () => "HTTP/1.1 400 Bad Request\r\n\r\n" }],
    ["bytes", { OPTIONS: () => Buffer.from([0, 1, 2, 3]) }],
    ["64 kB of header", { OPTIONS: () => `RTSP/1.0 200 OK\r\nX: ${"a".repeat(66_000)}` }],
    [
      "a huge body",
      { DESCRIBE: (asked) => `RTSP/1.0 200 OK\r\nCSeq: ${asked.cseq}\r\nContent-Length: 4000000000\r\n\r\n` },
    ],
    [
      "a negative length",
      { DESCRIBE: (asked) => `RTSP/1.0 200 OK\r\nCSeq: ${asked.cseq}\r\nContent-Length: -1\r\n\r\n` },
    ],
    [
      "a length too small",
      {
        DESCRIBE: (asked) => answer(asked, ["Content-Length: 10"], SDP).replace(/Content-Length: \d+\r\n\r\n/, "\r\n"),
      },
    ],
    ["no SDP", { DESCRIBE: (asked) => answer(asked, [], "<html></html>") }],
    ["an address that is none", { DESCRIBE: (asked) => answer(asked, ["Content-Base: rtsp://h/a b"], SDP) }],
    ["no session", { SETUP: (asked) => answer(asked, ["Transport: RTP/AVP/TCP;interleaved=0-1"]) }],
    [
      "another transport",
      { SETUP: (asked) => answer(asked, ["Session: 1", "Transport: RTP/AVP;unicast;server_port=1-2"]) },
    ],
    ["no RTP", { SETUP: (asked) => answer(asked, ["Session: 1", "Transport: x-real-rdt/tcp"]) }],
    [
      "one channel for both",
      { SETUP: (asked) => answer(asked, ["Session: 1", "Transport: RTP/AVP/TCP;interleaved=3-3"]) },
    ],
    [
      "a wrong length of a packet",
      { PLAY: (asked) => Buffer.concat([Buffer.from(answer(asked)), interleaved(0, Buffer.alloc(90, 0xee), 40)]) },
    ],
  ])("%s ends as STREAM_PROTOCOL", async (_, script) => {
    expect(await endOf(script)).toEqual(failure("STREAM_PROTOCOL"));
  });

  test("an answer that announces more than comes is told so", async () => {
    const clock = new HandClock();
    await using server = await fakeRtsp({
      DESCRIBE: (asked) => `RTSP/1.0 200 OK\r\nCSeq: ${asked.cseq}\r\nContent-Length: 900\r\n\r\n${SDP}`,
    });
    await using playing = begin(server, { clock });
    await server.got(({ method }) => method === "DESCRIBE");
    await clock.wind(15_000);
    expect(await playing.ended).toEqual(failure("STREAM_PROTOCOL", { step: "described" }));
    expect(String(await playing.ended)).toContain(`${SDP.length} bytes of 900 announced`);
  });

  test("after it has played it is told TEARDOWN all the same, though its answer can no longer be read", async () => {
    await using server = await fakeRtsp({
      PLAY: (asked) => `${answer(asked)}garbage`,
      TEARDOWN: (asked) => void asked.socket.end(),
    });
    await using playing = begin(server);
    expect(await playing.ended).toEqual(failure("STREAM_PROTOCOL"));
    await server.got(({ method }) => method === "TEARDOWN");
  });

  test("an end that comes together with an answer leaves nothing going on", async () => {
    const running = new Set<() => void>();
    const clock: Clock = {
      ...systemClock,
      after(ms, work) {
        const callOff = systemClock.after(ms, () => {
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
    };
    expect(await endOf({ PLAY: (asked) => `${answer(asked)}garbage` }, { clock })).toEqual(failure("STREAM_PROTOCOL"));
    expect(running.size).toBe(0);
  });

  test("nothing to play is told with what there is", async () => {
    const sdp = "v=0\r\nm=video 0 RTP/SAVP 96\r\nm=application 0 RTP/AVP 107\r\n";
    const ended = await endOf({ DESCRIBE: (asked) => answer(asked, [], sdp) });
    expect(ended).toEqual(failure("STREAM_UNSUPPORTED"));
    expect(String(ended)).toContain("video 0 RTP/SAVP 96, application 0 RTP/AVP 107");
  });

  test("a multicast group is not joined", async () => {
    const Transport = "Transport: RTP/AVP/TCP;multicast;destination=239.1.1.1;port=5000-5001";
    expect(await endOf({ SETUP: (asked) => answer(asked, ["Session: 1", Transport]) })).toEqual(
      failure("STREAM_UNSUPPORTED"),
    );
  });

  test.each(["OPTIONS", "DESCRIBE", "SETUP", "PLAY"])("one that hangs up at %s has ended it", async (method) => {
    expect(await endOf({ [method]: (asked) => void asked.socket.end() })).toEqual(
      failure("STREAM_ENDED", { how: "closed" }),
    );
  });

  test.each([
    ["DESCRIBE", 404, "STREAM_STATUS"],
    ["DESCRIBE", 503, "STREAM_STATUS"],
    ["DESCRIBE", 403, "STREAM_AUTH"],
    ["OPTIONS", 403, "STREAM_AUTH"],
    ["SETUP", 453, "STREAM_STATUS"],
    ["SETUP", 461, "STREAM_UNSUPPORTED"],
    ["PLAY", 457, "STREAM_STATUS"],
  ])("%s refused with %d is %s", async (method, status, code) => {
    expect(await endOf({ [method]: (asked) => answer(asked, [], "", `${status} No`) })).toEqual(
      failure(code, { status }),
    );
  });

  test("OPTIONS it does not know is no reason not to play", async () => {
    await using server = await fakeRtsp({ OPTIONS: (asked) => answer(asked, [], "", "501 Not Implemented") });
    await using playing = begin(server);
    await playing.until(({ steps }) => steps.includes("playing"));
  });
});

describe("a server that would lead us elsewhere", () => {
  test("is not followed: not by a redirect, nor a base, nor a control, nor an announcement", async () => {
    await using other = await rawServer(() => {});
    const elsewhere = `rtsp://127.0.0.1:${other.port}/x`;
    expect(await endOf({ DESCRIBE: (asked) => answer(asked, [`Location: ${elsewhere}`], "", "302 Moved") })).toEqual(
      failure("STREAM_STATUS", { status: 302 }),
    );
    const sdp = SDP.replace("a=control:*", `a=control:${elsewhere}`).replace("track1", `${elsewhere}/track1`);
    await using server = await fakeRtsp({
      DESCRIBE: (asked) => answer(asked, [`Content-Base: ${elsewhere}`], sdp),
      PLAY: (asked) => `${answer(asked)}REDIRECT rtsp://h/ RTSP/1.0\r\nCSeq: 5\r\nLocation: ${elsewhere}\r\n\r\n`,
    });
    await using playing = begin(server);
    await server.got(({ method }) => method === "RTSP/1.0");
    await playing.leave();
    expect(server.methods()).toEqual(["OPTIONS", "DESCRIBE", "SETUP", "PLAY", "RTSP/1.0", "TEARDOWN"]);
    expect([other.accepted(), server.accepted()]).toEqual([0, 1]);
  });

  test("over UDP: what another host sends is not heard, and nothing is sent to a host that it names", async () => {
    const [named, stranger, sender] = [createSocket("udp4"), createSocket("udp4"), createSocket("udp4")];
    for (const [socket, address] of [
      [named, "127.0.0.3"],
      [stranger, "127.0.0.2"],
      [sender, "127.0.0.1"],
    ] as const) {
      socket.bind(0, address);
      await once(socket, "listening");
    }
    let strayed = 0;
    named.on("message", () => {
      strayed += 1;
    });
    const punched = once(sender, "message");
    const ports = `server_port=${sender.address().port}-${named.address().port}`;
    await using server = await fakeRtsp({
      SETUP: (asked) =>
        answer(asked, [
          "Session: 1",
          `Transport: ${asked.headers.get("transport")};source=127.0.0.3;destination=127.0.0.3;${ports}`,
        ]),
    });
    await using playing = beginRtsp({ url: server.url, transport: "udp" });
    await playing.until(({ steps }) => steps.includes("playing"));
    const { headers } = await server.got(({ method }) => method === "SETUP");
    const port = Number(/client_port=(\d+)-/.exec(headers.get("transport") ?? "")?.[1]);
    expect(port % 2).toBe(0);
    await punched;
    await Promise.all(
      [1, 2, 3].map((seq) => new Promise((sent) => stranger.send(rtpPacket(seq, true), port, "127.0.0.1", sent))),
    );
    for (const seq of [11, 12, 13]) sender.send(rtpPacket(seq, true), port, "127.0.0.1");
    await playing.until((heard) => heard.of(0).frames.length >= 2);
    expect(await playing.leave()).toBe("left");
    expect(playing.heard.of(0).counts).toMatchObject({ received: 3 });
    expect(strayed).toBe(0);
    for (const socket of [named, stranger, sender]) socket.close();
  });
});

describe("what a server may do", () => {
  test("it may send everything byte by byte", async () => {
    const slow =
      (of: (asked: Parameters<NonNullable<Script[string]>>[0]) => Buffer | string): Script[string] =>
      (asked) => {
        for (const byte of Buffer.from(of(asked))) asked.socket.write(Buffer.of(byte));
        return undefined;
      };
    const packets = Buffer.concat([1, 2, 3, 4].map((seq) => interleaved(0, rtpPacket(seq, seq === 1))));
    await using server = await fakeRtsp({
      OPTIONS: slow((asked) => answer(asked)),
      DESCRIBE: slow((asked) => answer(asked, [], SDP)),
      SETUP: slow((asked) => answer(asked, ["Session: 1", "Transport: RTP/AVP/TCP;interleaved=0-1"])),
      PLAY: slow((asked) => Buffer.concat([Buffer.from(answer(asked)), packets])),
    });
    await using playing = begin(server);
    await playing.until((heard) => heard.of(0).bytes === 4 * 16);
    await playing.leave();
    expect(playing.heard.of(0)).toMatchObject({ keys: 1, counts: { received: 4, lost: 0 } });
  });

  test("it may choose other channels, and send what nobody asked for", async () => {
    const bytes = Buffer.concat([
      interleaved(0, rtpPacket(1)), // not ours
      interleaved(9, Buffer.alloc(4)), // RTCP of four bytes
      interleaved(9, Buffer.alloc(0)),
      interleaved(8, Buffer.alloc(3)),
      interleaved(8, rtpPacket(7, true)),
      interleaved(8, rtpPacket(8)),
    ]);
    await using server = await fakeRtsp({
      SETUP: (asked) => answer(asked, ["Session: 1", "Transport: RTP/AVP/TCP;interleaved=8-9"]),
      PLAY: (asked) => Buffer.concat([bytes, Buffer.from(answer(asked)), bytes]),
    });
    await using playing = begin(server);
    await playing.until(({ steps }) => steps.includes("playing"));
    await playing.leave();
    expect(playing.heard.of(0).counts).toMatchObject({ received: 2, duplicates: 2 });
  });

  test("it may ask: it is answered, and what we do not do is refused", async () => {
    const asks = ["OPTIONS", "GET_PARAMETER", "SET_PARAMETER", "ANNOUNCE", "PLAY_NOTIFY"].map(
      (method, i) =>
        `${method} rtsp://h/ RTSP/1.0\r\nCSeq: ${i + 50}\r\n${i === 2 ? "Content-Length: 4\r\n" : ""}\r\n${i === 2 ? "a: b" : ""}`,
    );
    await using server = await fakeRtsp({ PLAY: (asked) => answer(asked) + asks.join("") });
    await using playing = begin(server);
    await server.got(({ cseq }) => cseq === "54");
    const answers = server.asked.filter(({ method }) => method === "RTSP/1.0").map(({ uri, cseq }) => `${cseq} ${uri}`);
    expect(answers).toEqual(["50 200", "51 200", "52 451", "53 501", "54 501"]);
    await playing.until(({ steps }) => steps.includes("playing"));
  });

  test("it may not ask for ever without reading the answers", async () => {
    const flood = Buffer.from("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n".repeat(20_000));
    await using server = await rawServer((socket) => {
      socket.pause();
      const more = (): void => {
        while (!socket.destroyed && socket.write(flood));
      };
      socket.on("drain", more);
      more();
    });
    await using playing = beginRtsp({ url: `rtsp://127.0.0.1:${server.port}/` });
    expect(await playing.ended).toEqual(failure("STREAM_PROTOCOL"));
  });

  test("it may end it: by BYE, or by TEARDOWN", async () => {
    const bye = interleaved(1, BYE);
    expect(
      await endOf({ PLAY: (asked) => Buffer.concat([Buffer.from(answer(asked)), interleaved(0, rtpPacket(1)), bye]) }),
    ).toEqual(failure("STREAM_ENDED", { how: "bye" }));
    expect(await endOf({ PLAY: (asked) => `${answer(asked)}TEARDOWN rtsp://h/ RTSP/1.0\r\nCSeq: 1\r\n\r\n` })).toEqual(
      failure("STREAM_ENDED", { how: "teardown" }),
    );
  });

  test("BYE of the sound alone does not end the picture", async () => {
    const sdp = `${SDP}m=audio 0 RTP/AVP 8\r\na=control:track2\r\n`;
    await using server = await fakeRtsp({
      DESCRIBE: (asked) => answer(asked, [], sdp),
      PLAY: (asked) =>
        Buffer.concat([
          Buffer.from(answer(asked)),
          interleaved(3, BYE),
          interleaved(0, rtpPacket(1, true)),
          interleaved(0, rtpPacket(2)),
        ]),
    });
    await using playing = begin(server);
    await playing.until((heard) => heard.of(0).bytes >= 32);
    expect(await playing.leave()).toBe("left");
  });

  test.each([
    ["behind", `${SDP}m=audio 0 RTP/AVP 8\r\na=control:track2\r\n`],
    ["before", SDP.replace("m=video", "m=audio 0 RTP/AVP 8\r\na=control:track2\r\nm=video")],
  ])("it may refuse the sound, %s the picture: that is played without", async (_, sdp) => {
    await using server = await fakeRtsp({
      DESCRIBE: (asked) => answer(asked, [], sdp),
      SETUP: (asked) =>
        asked.uri.endsWith("track2")
          ? answer(asked, [], "", "404 No")
          : answer(asked, ["Session: 1", "Transport: RTP/AVP/TCP;interleaved=0-1"]),
    });
    await using playing = begin(server);
    await playing.until(({ steps }) => steps.includes("playing"));
    expect(playing.heard.tracks).toHaveLength(1);
  });
});

const DIGEST = 'WWW-Authenticate: Digest realm="r", nonce=';
const credentials = async () => ({ user: "admin", password: "canary" });
const login = ({ headers }: { headers: ReadonlyMap<string, string> }): string => headers.get("authorization") ?? "";

describe("a login", () => {
  test("is by the strongest kind offered", async () => {
    await using server = await fakeRtsp({
      DESCRIBE: (asked) =>
        login(asked) === ""
          ? answer(
              asked,
              ['WWW-Authenticate: Basic realm="r"', `${DIGEST}"m"`, `${DIGEST}"s", algorithm=SHA-256, qop="auth"`],
              "",
              "401 No",
            )
          : answer(asked, [], SDP),
    });
    await using playing = beginRtsp({ url: server.url, credentials });
    await playing.until(({ steps }) => steps.includes("playing"));
    const logins = server.asked.map(login);
    expect(logins.slice(0, 2)).toEqual(["", ""]);
    expect(logins[2]).toMatch(/nonce="s".*algorithm=SHA-256, qop=auth, nc=00000001/);
    expect(logins[3]).toMatch(/nc=00000002/);
    expect(logins.join()).not.toContain("canary");
  });

  test("that is called stale is tried once more, and no more than that", async () => {
    await using server = await fakeRtsp({
      DESCRIBE: (asked, times) => answer(asked, [`${DIGEST}"n${times}", stale=true`], "", "401 No"),
    });
    await using playing = beginRtsp({ url: server.url, credentials });
    expect(await playing.ended).toEqual(failure("STREAM_AUTH", { status: 401 }));
    expect(server.asked.map((asked) => /nonce="(n\d)"/.exec(login(asked))?.[1])).toEqual([
      undefined,
      undefined,
      "n1",
      "n2",
    ]);
  });

  test("that has worked survives a new nonce in the midst of a session", async () => {
    const clock = new HandClock();
    await using server = await fakeRtsp({
      DESCRIBE: (asked, times) =>
        times === 1 ? answer(asked, [`${DIGEST}"old"`], "", "401 No") : answer(asked, [], SDP),
      GET_PARAMETER: (asked) =>
        login(asked).includes('"new"') ? answer(asked) : answer(asked, [`${DIGEST}"new"`], "", "401 No"),
    });
    await using playing = beginRtsp({ url: server.url, credentials }, { clock });
    await playing.until(({ steps }) => steps.includes("playing"));
    await clock.wind(30_000);
    await server.got((asked) => asked.method === "GET_PARAMETER" && login(asked).includes('"new"'));
    expect(await playing.leave()).toBe("left");
    expect(login(server.asked.at(-1) ?? { headers: new Map() })).toContain('"new"');
  });

  test("that has worked is made anew for the farewell, too, or the session would stand there until its timeout", async () => {
    await using server = await fakeRtsp({
      DESCRIBE: (asked, times) =>
        times === 1 ? answer(asked, [`${DIGEST}"old"`], "", "401 No") : answer(asked, [], SDP),
      TEARDOWN: (asked) =>
        login(asked).includes('"new"') ? answer(asked) : answer(asked, [`${DIGEST}"new"`], "", "401 No"),
    });
    await using playing = beginRtsp({ url: server.url, credentials });
    await playing.until(({ steps }) => steps.includes("playing"));
    expect(await playing.leave()).toBe("left");
    const farewells = server.asked.filter(({ method }) => method === "TEARDOWN");
    expect(farewells.map((asked) => /nonce="(\w+)"/.exec(login(asked))?.[1])).toEqual(["old", "new"]);
  });

  test("shown as a digest is not told as it is, whoever asks for that in the midst of the session", async () => {
    const clock = new HandClock();
    await using server = await fakeRtsp({
      DESCRIBE: (asked, times) =>
        times === 1 ? answer(asked, [`${DIGEST}"n"`], "", "401 No") : answer(asked, [], SDP),
      GET_PARAMETER: (asked) => answer(asked, ['WWW-Authenticate: Basic realm="r"'], "", "401 No"),
    });
    await using playing = beginRtsp({ url: server.url, credentials }, { clock });
    await playing.until(({ steps }) => steps.includes("playing"));
    await clock.wind(30_000);
    expect(await playing.ended).toEqual(failure("STREAM_AUTH", { status: 401 }));
    expect(server.asked.map(login).join()).not.toContain("Basic");
  });

  test("that was refused is not said again in the farewell, nor tried on another request", async () => {
    await using server = await fakeRtsp({
      OPTIONS: (asked) => answer(asked),
      PLAY: (asked) => answer(asked, [`${DIGEST}"n"`], "", "401 No"),
    });
    await using playing = beginRtsp({ url: server.url, credentials });
    expect(await playing.ended).toEqual(failure("STREAM_AUTH", { status: 401 }));
    const sent = server.asked.filter((asked) => login(asked) !== "").map(({ method }) => method);
    expect([server.methods().at(-1), sent]).toEqual(["TEARDOWN", ["PLAY"]]);
  });

  test("that another request has not proven is not tried twice", async () => {
    await using server = await fakeRtsp({
      OPTIONS: (asked, times) =>
        answer(asked, times === 1 ? [`${DIGEST}"n"`] : [], "", times === 1 ? "401 No" : "501 No"),
      DESCRIBE: (asked) => answer(asked, [`${DIGEST}"m"`], "", "401 No"),
    });
    await using playing = beginRtsp({ url: server.url, credentials });
    expect(await playing.ended).toEqual(failure("STREAM_AUTH", { status: 401 }));
    expect(server.asked.filter((asked) => login(asked) !== "").map(({ method }) => method)).toEqual([
      "OPTIONS",
      "DESCRIBE",
    ]);
  });

  test.each([
    ["Negotiate"],
    ['Digest realm="r", nonce="n", qop=auth-int'],
    [`Digest realm="r", nonce="${"n".repeat(60_000)}"`],
  ])("of a kind we do not know (%s) is not tried", async (kind) => {
    await using server = await fakeRtsp({
      DESCRIBE: (asked) => answer(asked, [`WWW-Authenticate: ${kind}`], "", "401 No"),
    });
    await using playing = beginRtsp({ url: server.url, credentials });
    expect(await playing.ended).toEqual(failure("STREAM_AUTH", { status: 401 }));
    expect(server.methods()).toEqual(["OPTIONS", "DESCRIBE"]);
  });
});

describe("a session is kept", () => {
  async function kept(
    script: Script,
    work: (server: FakeRtsp, playing: RtspPlaying, clock: HandClock) => Promise<void>,
  ): Promise<void> {
    const clock = new HandClock();
    await using server = await fakeRtsp(script);
    await using playing = begin(server, { clock });
    await playing.until(({ steps }) => steps.includes("playing"));
    await work(server, playing, clock);
  }
  const asked = (server: FakeRtsp, wanted: string): number =>
    server.methods().filter((method) => method === wanted).length;

  test("by a sign of life at half of its timeout, about the session", () =>
    kept({}, async (server, _, clock) => {
      await clock.wind(29_999);
      expect(asked(server, "GET_PARAMETER")).toBe(0);
      await clock.wind(1);
      const { uri, headers } = await server.got(({ method }) => method === "GET_PARAMETER");
      expect([uri, headers.get("session")]).toEqual([`${server.url}/`, "4711"]);
    }));

  test.each([
    ["does not say that it knows GET_PARAMETER", { OPTIONS: (one) => answer(one, ["Public: OPTIONS, DESCRIBE"]) }, 0],
    ["refuses GET_PARAMETER", { GET_PARAMETER: (one) => answer(one, [], "", "405 No") }, 1],
  ] satisfies [string, Script, number][])("by OPTIONS where the server %s", (_, script, tries) =>
    kept(script, async (server, _, clock) => {
      await clock.wind(30_000);
      await server.got(({ method, cseq }) => method === (tries === 0 ? "OPTIONS" : "GET_PARAMETER") && cseq === "5");
      await clock.wind(0); // its answer comes
      while (asked(server, "OPTIONS") < 3) await clock.wind(10_000);
      expect(asked(server, "GET_PARAMETER")).toBe(tries);
    }),
  );

  test("though the server does not answer, which is odd", () =>
    kept({ GET_PARAMETER: () => undefined }, async (server, playing, clock) => {
      await clock.wind(30_000);
      await server.got(({ method }) => method === "GET_PARAMETER");
      await clock.wind(5_000);
      await playing.until((heard) => heard.of(0).odd.includes("keep-alive unanswered"));
      expect(await playing.leave()).toBe("left");
    }));

  test.each([
    ["1", 500],
    ["2", 1_000],
    ["0", 30_000],
    ["x", 30_000],
  ])("in time, where the timeout is said to be %s", (timeout, ms) =>
    kept({ SETUP: (one) => answer(one, [`Session: 4711;timeout=${timeout}`]) }, async (server, _, clock) => {
      await clock.wind(ms - 1);
      expect(asked(server, "GET_PARAMETER")).toBe(0);
      await clock.wind(1);
      await server.got(({ method }) => method === "GET_PARAMETER");
    }),
  );

  test("from one sign of life to the next, however long its answer takes", () =>
    kept({ GET_PARAMETER: () => undefined }, async (server, playing, clock) => {
      await clock.wind(30_000);
      await server.got(({ method }) => method === "GET_PARAMETER");
      await clock.wind(5_000);
      await playing.until((heard) => heard.of(0).odd.includes("keep-alive unanswered"));
      await clock.wind(24_999);
      expect(asked(server, "GET_PARAMETER")).toBe(1);
      await clock.wind(1);
      await server.got(({ method, cseq }) => method === "GET_PARAMETER" && cseq === "6");
    }));

  test("but not where the server has forgotten it", () =>
    kept({ GET_PARAMETER: (one) => answer(one, [], "", "454 Session Not Found") }, async (_, playing, clock) => {
      await clock.wind(30_000);
      expect(await playing.ended).toEqual(failure("STREAM_ENDED", { how: "session" }));
    }));

  test("with receiver reports every five seconds, on the channel of the control packets", async () => {
    const clock = new HandClock();
    let bytes = Buffer.alloc(0);
    await using server = await fakeRtsp({
      PLAY: (one) => {
        one.socket.on("data", (chunk: Buffer) => {
          bytes = Buffer.concat([bytes, chunk]);
        });
        return Buffer.concat([Buffer.from(answer(one)), interleaved(0, rtpPacket(1, true))]);
      },
    });
    await using playing = begin(server, { clock });
    await playing.until((heard) => heard.of(0).bytes > 0 && heard.steps.includes("playing"));
    await clock.wind(5_000);
    while (bytes.length < 12) await once(server.asked.at(-1)?.socket ?? bail(), "data");
    expect([bytes[0], bytes[1], bytes[5]]).toEqual([0x24, 1, 201]);
    expect(bytes.readUInt16BE(2)).toBeLessThan(100);
  });
});

const bail = (): never => {
  throw new Error("no connection");
};

test("a port where nothing listens is told as every dial is", async () => {
  await using playing = beginRtsp({ url: `rtsp://127.0.0.1:${await freePort()}/x` });
  expect(await playing.ended).toEqual(failure("DIAL_REFUSED"));
});
