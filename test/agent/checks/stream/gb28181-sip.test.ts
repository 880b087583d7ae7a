import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import type { Socket } from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { keepaliveRoundTrip, type SipPlatform } from "../../../../agent/checks/stream/gb28181/keepalive.ts";
import { messageBytes, sipResponse } from "../../../../agent/checks/stream/gb28181/sip-response.ts";
import { systemClock } from "../../../../platform/clock.ts";
import { Failure } from "../../../../protocol/failure.ts";
import { HandClock } from "../../../kit/hand-clock.ts";
import { needs } from "../../../kit/peers.ts";
import { freePort } from "../../../kit/ports.ts";
import { rawServer } from "../../../kit/servers.ts";
import { type Sipp, type SippOptions, startSipp } from "../../../kit/stream/sipp.ts";

const DEVICE = "34020000001320000001";
const platform = (port: number, more: Partial<SipPlatform> = {}): SipPlatform => ({
  ...{ host: "127.0.0.1", port, transport: "udp", method: "keepalive" },
  ...{ deviceId: DEVICE, platformId: "34020000002000000001", domain: "3402000000" },
  ...more,
});
const ping = (port: number, more: Partial<SipPlatform> = {}, deadlineMs = 4_000, clock = systemClock) =>
  keepaliveRoundTrip(platform(port, more), { clock, signal: new AbortController().signal, deadlineMs });
const failure = (trip: Promise<unknown>): Promise<unknown> =>
  trip.then(
    () => undefined,
    (cause: unknown) => cause,
  );

let sipp: Sipp | undefined;
afterEach(async () => {
  await sipp?.[Symbol.asyncDispose]();
  sipp = undefined;
});
async function answering(options: SippOptions): Promise<Sipp> {
  sipp = await startSipp(options);
  return sipp;
}

describe.skipIf(needs("sipp", "sip-tester"))("a real SIP server", () => {
  test.each(["udp", "tcp"] as const)("takes the keepalive over %s, and its round trip is told", async (transport) => {
    const { port, requests } = await answering({ answers: "ok", transport });
    const trip = await ping(port, { transport });
    expect(trip).toMatchObject({ status: 200, retransmitted: 0 });
    expect(trip.ms).toBeLessThan(4_000);
    const [request = ""] = requests();
    expect(request).toMatch(/^MESSAGE sip:34020000002000000001@3402000000 SIP\/2\.0\r?\n/);
    expect(request).toContain(`From: <sip:${DEVICE}@3402000000>;tag=`);
    expect(request).toContain("Content-Type: Application/MANSCDP+xml");
    expect(request).toMatch(/<\?xml version="1.0" encoding="GB2312"\?>\s*<Notify>\s*<CmdType>Keepalive<\/CmdType>/);
    expect(request).toMatch(/<SN>\d+<\/SN>\s*<DeviceID>34020000001320000001<\/DeviceID>\s*<Status>OK<\/Status>/);
  });

  test("proves by any answer to OPTIONS that it lives", async () => {
    const { port, requests } = await answering({ answers: "forbidden" });
    expect(await ping(port, { method: "options" })).toMatchObject({ status: 403 });
    expect(requests()[0]).toMatch(/^OPTIONS /);
    expect(await failure(ping(port))).toMatchObject({ code: "STREAM_AUTH", facts: { status: 403 } });
  });

  test("whose challenge is answered lets us in, and a wrong password is tried once", async () => {
    const { port, requests } = await answering({ answers: "challenge", user: DEVICE, password: "s3cret-word" });
    const right = { credentials: async () => ({ user: DEVICE, password: "s3cret-word" }) };
    expect(await ping(port, right)).toMatchObject({ status: 200 });
    expect(requests()).toHaveLength(2);
    expect(requests().join("")).not.toContain("s3cret-word");
    const wrong = { credentials: async () => ({ user: DEVICE, password: "another" }) };
    expect(await failure(ping(port, wrong))).toMatchObject({ code: "STREAM_AUTH", facts: { status: 403 } });
    expect(requests()).toHaveLength(4);
    expect(await failure(ping(port))).toMatchObject({ code: "STREAM_AUTH", facts: { status: 401 } });
  });

  test("that takes its time is waited for", async () => {
    const { port } = await answering({ answers: "busy" });
    const trip = await ping(port);
    expect(trip.status).toBe(200);
    expect(trip.ms).toBeGreaterThan(900);
  });

  test("that hangs with its port open is late; woken again it answers", async () => {
    const server = await answering({ answers: "ok" });
    server.hang();
    expect(await failure(ping(server.port, {}, 1_600))).toMatchObject({
      code: "STREAM_TIMEOUT",
      facts: { step: "keepalive", deadlineMs: 1_600 },
    });
    server.goOn();
    expect(await ping(server.port)).toMatchObject({ status: 200 });
  });
});

test("a port where nothing listens refuses, over UDP and TCP", async () => {
  expect(await failure(ping(await freePort()))).toMatchObject({ code: "DIAL_REFUSED" });
  expect(await failure(ping(await freePort(), { transport: "tcp" }))).toMatchObject({ code: "DIAL_REFUSED" });
});

test("a platform that the kernel knows no way to is a Failure with its errno", async () => {
  const trip = failure(ping(5_060, { host: "255.255.255.255" })); // EACCES, as a cut uplink is ENETUNREACH
  expect(await trip).toMatchObject({ code: "DIAL_LOCAL", facts: { errno: "EACCES" } });
});

test("a name that is none is no name", async () => {
  const signal = new AbortController().signal;
  const to = platform(5_060, { host: "platform.invalid" });
  const names = { hostsFile: "/dev/null", servers: [`127.0.0.1:${await freePort()}`] };
  expect(await failure(keepaliveRoundTrip(to, { clock: systemClock, signal, deadlineMs: 4_000, names }))).toMatchObject(
    {
      code: "DIAL_NAME",
    },
  );
});

/** A UDP server of a test; `answer` makes what it sends back. */
async function udpServer(answer: (request: string, times: number) => Buffer | string | undefined) {
  const socket = createSocket("udp4");
  const requests: string[] = [];
  socket.on("message", (bytes, { port, address }) => {
    requests.push(bytes.toString());
    const back = answer(bytes.toString(), requests.length);
    if (back !== undefined) socket.send(back, port, address);
  });
  await new Promise<void>((bound) => socket.bind(0, "127.0.0.1", bound));
  return {
    port: socket.address().port,
    requests,
    [Symbol.asyncDispose]: () => new Promise<void>((closed) => socket.close(() => closed())),
  };
}
const lines = (request: string, ...names: string[]): string[] =>
  request.split("\r\n").filter((line) => names.some((name) => line.startsWith(`${name}:`)));
const answerTo = (request: string, status = "200 OK", ...more: string[]): string =>
  [
    `SIP/2.0 ${status}`,
    ...lines(request, "Via", "From", "To", "Call-ID", "CSeq"),
    ...more,
    "Content-Length: 0",
    "",
    "",
  ].join("\r\n");

test("copies are sent after 0.5, 1.5, 3.5 and 7.5 s, and none after the end", async () => {
  await using server = await udpServer(() => undefined);
  const clock = new HandClock();
  const trip = failure(ping(server.port, {}, 10_000, clock));
  const sent = async (count: number): Promise<void> => {
    while (server.requests.length < count) await systemClock.sleep(2);
    expect(server.requests).toHaveLength(count);
  };
  await sent(1);
  for (const [i, ms] of [499, 1, 1_000, 2_000, 4_000].entries()) {
    await clock.wind(ms);
    await sent(Math.max(1, i + 1));
    if (i === 0) expect(server.requests).toHaveLength(1);
  }
  await clock.wind(2_500);
  expect(await trip).toMatchObject({ code: "STREAM_TIMEOUT" });
  await clock.wind(60_000);
  await sent(5);
  expect(new Set(server.requests).size).toBe(1); // copies, byte for byte
});

test("nothing is sent again once it was answered", async () => {
  const clock = new HandClock();
  await using server = await udpServer((request) => answerTo(request));
  expect(await ping(server.port, {}, 30_000, clock)).toMatchObject({ status: 200, retransmitted: 0 });
  await clock.wind(30_000);
  expect(server.requests).toHaveLength(1);
});

test("after a provisional answer the next copy but one comes 4 s later", async () => {
  await using server = await udpServer((request, times) => (times === 1 ? answerTo(request, "100 Trying") : undefined));
  const clock = new HandClock();
  const trip = failure(ping(server.port, {}, 10_000, clock));
  while (server.requests.length < 1) await systemClock.sleep(2);
  await systemClock.sleep(50); // for its answer to be heard
  await clock.wind(500);
  while (server.requests.length < 2) await systemClock.sleep(2);
  await clock.wind(3_999);
  expect(server.requests).toHaveLength(2);
  await clock.wind(1);
  while (server.requests.length < 3) await systemClock.sleep(2);
  await clock.wind(6_000);
  expect(await trip).toMatchObject({ code: "STREAM_TIMEOUT" });
});

test("only the answer to this very request counts", async () => {
  await using server = await udpServer((request, times) => {
    if (times === 1) return answerTo(request).replace(/branch=\S+/, "branch=z9hG4bKother");
    if (times === 2) return answerTo(request).replace(/Call-ID: \S+/, "Call-ID: other");
    if (times === 3) return "MESSAGE sip:device@here SIP/2.0\r\nVia: x\r\n\r\n";
    return answerTo(request);
  });
  expect(await ping(server.port, {}, 9_000)).toMatchObject({ status: 200, retransmitted: 3 });
});

test("ids are our own and new each time", async () => {
  await using server = await udpServer((request) => answerTo(request));
  await ping(server.port);
  await ping(server.port);
  const ids = server.requests.map((request) => lines(request, "Call-ID", "Via", "From").join("\n"));
  expect(new Set(ids).size).toBe(2);
});

test("a challenge is answered by RFC 2617 where it offers no qop, and Basic never", async () => {
  await using server = await udpServer((request, times) =>
    times === 1
      ? answerTo(request, "401 Unauthorized", 'WWW-Authenticate: Digest realm="3402000000",nonce="abc", algorithm=MD5')
      : answerTo(request),
  );
  const credentials = async () => ({ user: "u", password: "p" });
  expect(await ping(server.port, { credentials })).toMatchObject({ status: 200 });
  const md5 = (text: string): string => createHash("md5").update(text).digest("hex");
  const uri = "sip:34020000002000000001@3402000000";
  const response = md5(`${md5("u:3402000000:p")}:abc:${md5(`MESSAGE:${uri}`)}`);
  expect(lines(server.requests[1] ?? "", "Authorization")[0]).toContain(`response="${response}"`);
  const [first, second] = server.requests.map((request) => Number(lines(request, "CSeq")[0]?.split(" ")[1]));
  expect(second).toBe((first ?? 0) + 1);

  await using basic = await udpServer((request) => answerTo(request, "401 No", 'WWW-Authenticate: Basic realm="x"'));
  expect(await failure(ping(basic.port, { credentials }))).toMatchObject({ code: "STREAM_AUTH" });
  expect(basic.requests).toHaveLength(1);
});

test("a proxy's challenge is answered to the proxy", async () => {
  const digest = 'Proxy-Authenticate: Digest realm="p", nonce="n", qop="auth"';
  await using server = await udpServer((request, times) =>
    times === 1 ? answerTo(request, "407 Proxy Authentication Required", digest) : answerTo(request),
  );
  expect(await ping(server.port, { credentials: async () => ({ user: "u", password: "p" }) })).toMatchObject({
    status: 200,
  });
  expect(lines(server.requests[1] ?? "", "Proxy-Authorization")[0]).toContain("qop=auth, nc=00000001");
  expect(lines(server.requests[1] ?? "", "Authorization")).toEqual([]);
});

test("answers that end neither well nor ill for us are told by their status", async () => {
  await using server = await udpServer((request) => answerTo(request, "302 Moved", "Contact: <sip:other@10.0.0.1>"));
  expect(await failure(ping(server.port))).toMatchObject({ code: "STREAM_STATUS", facts: { status: 302 } });
});

test("what is no SIP is said to be none, over UDP and TCP", async () => {
  await using server = await udpServer(() => "HTTP/1.1 200 OK\r\n\r\n");
  expect(await failure(ping(server.port, {}, 1_000))).toMatchObject({ code: "STREAM_PROTOCOL" });
  for (const hostile of [
    "x".repeat(70_000),
    "SIP/2.0 200 OK\r\nContent-Length: 99999999\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\n",
  ]) {
    await using tcp = await rawServer((socket) => void socket.write(hostile));
    expect(await failure(ping(tcp.port, { transport: "tcp" }))).toMatchObject({ code: "STREAM_PROTOCOL" });
  }
  await using gone = await rawServer((socket) => void socket.end());
  expect(await failure(ping(gone.port, { transport: "tcp" }))).toMatchObject({ code: "DIAL_RESET" });
});

test("a datagram that is no SIP, in whoever's name it came, does not end the wait for the answer", async () => {
  await using server = await udpServer((request, times) => (times === 1 ? "forged" : answerTo(request)));
  expect(await ping(server.port)).toMatchObject({ status: 200, retransmitted: 1 });
});

async function byteByByte(socket: Socket, bytes: Buffer): Promise<void> {
  for (const byte of bytes) {
    if (!socket.writable) return;
    socket.write(Buffer.from([byte]));
    await new Promise((next) => setImmediate(next));
  }
}

test("over TCP an answer may come byte by byte, between empty lines and after others", async () => {
  await using server = await rawServer((socket) => {
    socket.once("data", (bytes: Buffer) => {
      const other = answerTo(bytes.toString()).replace(/Call-ID: \S+/, "Call-ID: other");
      const folded = answerTo(bytes.toString()).replace("\r\nCSeq:", "\r\nSubject: a\r\n  b\r\nCSeq:");
      void byteByByte(socket, Buffer.from(`\r\n\r\n${other}\r\n${folded}`));
    });
  });
  expect(await ping(server.port, { transport: "tcp" })).toMatchObject({ status: 200 });
});

test("a call that is called off ends at once and leaves nothing open", async () => {
  const cut = new AbortController();
  await using server = await udpServer(() => undefined);
  const trip = failure(
    keepaliveRoundTrip(platform(server.port), { clock: systemClock, signal: cut.signal, deadlineMs: 30_000 }),
  );
  while (server.requests.length === 0) await systemClock.sleep(2);
  cut.abort(new Error("we stop"));
  expect(await trip).toMatchObject({ message: "we stop" });
});

test("the parser takes any bytes: an answer, a request or a Failure", () => {
  const whole = Buffer.from(
    answerTo(
      "Via: SIP/2.0/UDP h;branch=z9\r\nFrom: a\r\nTo: b\r\nCall-ID: c\r\nCSeq: 1 MESSAGE",
      "401 No",
      'WWW-Authenticate: Digest realm="x"',
    ),
  );
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((raw) => Buffer.from(raw)),
    fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 8 }).map((changes) => {
      const spoilt = Buffer.from(whole);
      for (const [at, value] of changes) spoilt[at] = value;
      return spoilt;
    }),
  );
  fc.assert(
    fc.property(bytes, (one) => {
      for (const read of [messageBytes, sipResponse]) {
        try {
          read(one);
        } catch (cause) {
          expect(cause).toBeInstanceOf(Failure);
          expect(cause).toMatchObject({ code: "STREAM_PROTOCOL" });
        }
      }
    }),
    { numRuns: 1_000 },
  );
  expect(sipResponse(whole)).toMatchObject({ status: 401, branch: "z9", cseq: 1, method: "MESSAGE", callId: "c" });
  expect(sipResponse(Buffer.from("SIP/2.0 200 OK\r\nv: a;branch=q\r\ni: 7\r\nCSeq: 2 OPTIONS\r\n\r\n"))).toMatchObject({
    branch: "q",
    callId: "7",
  });
});
