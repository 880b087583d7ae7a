import { createSocket } from "node:dgram";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../platform/clock.ts";
import { type Dial, dialTcp } from "../../platform/dial.ts";
import { httpRequest } from "../../platform/dial-http.ts";
import { dialTls } from "../../platform/dial-tls.ts";
import { addressesIn, addressesOf } from "../../platform/names.ts";
import { Failure, type FailureCode } from "../../protocol/failure.ts";
import { HandClock } from "../kit/hand-clock.ts";
import { type OddCa, oddCa } from "../kit/odd-certs.ts";
import { needs } from "../kit/peers.ts";
import { freePort } from "../kit/ports.ts";
import { type Answer, httpServer, httpsServer, type Listening, rawServer } from "../kit/servers.ts";
import { tempFolder } from "../kit/temp.ts";

const still = new AbortController().signal;
const dial = (more: Partial<Dial> = {}): Dial => ({ clock: systemClock, signal: still, deadlineMs: 10_000, ...more });
const here = (server: { port: number }) => ({ host: "127.0.0.1", port: server.port });
const urlOf = (server: Listening, path = "/", scheme = "http") => `${scheme}://127.0.0.1:${server.port}${path}`;

async function failureOf(work: Promise<unknown>): Promise<Failure> {
  const failure = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!(failure instanceof Failure)) throw new Error(`no Failure: ${String(failure)}`);
  return failure;
}
const codeOf = async (work: Promise<unknown>): Promise<FailureCode> => (await failureOf(work)).code;

/** Starts a call, waits until the server has it, and lets the deadline pass. */
async function cutOff(server: Listening, call: (bounds: Dial) => Promise<unknown>): Promise<Failure> {
  const clock = new HandClock();
  const failing = failureOf(call(dial({ clock })));
  await server.whenAccepted(1);
  await clock.wind(10_000);
  return await failing;
}

describe("a TCP call", () => {
  test("tells the address and how long it took", async () => {
    await using server = await rawServer(() => {});
    expect(await dialTcp({ host: "localhost", port: server.port }, dial())).toMatchObject({ address: "127.0.0.1" });
  });
  test("to a port where nothing listens is refused", async () => {
    expect(await codeOf(dialTcp({ host: "127.0.0.1", port: await freePort() }, dial()))).toBe("DIAL_REFUSED");
  });
  test("to an address without a way is unreachable", async () => {
    expect(await codeOf(dialTcp({ host: "255.255.255.255", port: 9 }, dial()))).toBe("DIAL_UNREACHABLE");
  });
  test("tries the next address of a name, and each in its share of the time", async () => {
    using folder = tempFolder();
    const hostsFile = join(folder.path, "hosts");
    writeFileSync(hostsFile, "127.0.0.9 twice\n127.0.0.1 twice\n");
    await using server = await rawServer(() => {});
    expect(await dialTcp({ host: "twice", port: server.port }, dial({ names: { hostsFile } }))).toMatchObject({
      address: "127.0.0.1",
    });
  });
  test("ends with the signal and its reason", async () => {
    const stop = new AbortController();
    const call = dialTcp({ host: "127.0.0.1", port: 1 }, dial({ signal: stop.signal }));
    stop.abort(new Error("we end"));
    await expect(call).rejects.toThrow("we end");
    await expect(dialTcp({ host: "127.0.0.1", port: 1 }, dial({ signal: stop.signal }))).rejects.toThrow("we end");
  });
});

describe("a name", () => {
  test("is looked up in the hosts file, IPv4 first", () => {
    const hosts = "# x\n::1 box box.lan # old\n10.0.0.7\tBox\n10.0.0.8 boxes\nnonsense box\n";
    expect(addressesIn(hosts, "box")).toEqual(["10.0.0.7", "::1"]);
    expect(addressesIn(hosts, "none")).toEqual([]);
  });
  test("that a name server keeps silent about is given up at the deadline", async () => {
    const server = createSocket("udp4");
    await new Promise<void>((done) => server.bind(0, "127.0.0.1", done));
    const asked = new Promise<void>((done) => server.once("message", () => done()));
    const servers = [`127.0.0.1:${server.address().port}`];
    const clock = new HandClock();
    const failing = failureOf(dialTcp({ host: "device.example", port: 1 }, dial({ clock, names: { servers } })));
    await asked;
    await clock.wind(10_000);
    expect(await failing).toMatchObject({ code: "DIAL_TIMEOUT", facts: { phase: "was looked up" } });
    server.close();
  });
  test("is an IPv6 address where the server has no other, and without any where it is not known", async () => {
    const server = createSocket("udp4");
    let mode: "six" | "unknown" = "six";
    const kinds: number[] = [];
    server.on("message", (query, from) => {
      const head = Buffer.from(query);
      kinds.push(query.readUInt16BE(query.indexOf(0, 12) + 1));
      head.writeUInt16BE(mode === "unknown" ? 0x8183 : 0x8180, 2);
      head.writeUInt16BE(0, 10);
      const question = head.subarray(0, query.indexOf(0, 12) + 5);
      const wanted = mode === "six" && question.readUInt16BE(question.length - 4) === 28;
      head.writeUInt16BE(wanted ? 1 : 0, 6);
      const record = Buffer.from("c00c001c00010000003c001000000000000000000000000000000001", "hex");
      server.send(wanted ? Buffer.concat([question, record]) : question, from.port, from.address);
    });
    await new Promise<void>((done) => server.bind(0, "127.0.0.1", done));
    const servers = [`127.0.0.1:${server.address().port}`];
    expect(await addressesOf("six.example", still, { servers })).toEqual(["::1"]);
    mode = "unknown";
    kinds.length = 0;
    expect(await failureOf(addressesOf("none.example", still, { servers }))).toMatchObject({
      code: "DIAL_NAME",
      facts: { errno: "ENOTFOUND" },
    });
    expect(kinds).toEqual([1]); // a name that is not known has no address of the other kind either
    server.close();
  });
});

describe("an HTTP request", () => {
  test("brings status, headers and the body up to the cap", async () => {
    await using server = await httpServer((request, response) => {
      response.writeHead(request.method === "POST" ? 201 : 200, { "X-Seen": String(request.headers["x-mine"]) });
      request.pipe(response);
    });
    const url = urlOf(server, "/a?b=c");
    const whole = await httpRequest({ url, method: "POST", body: "hello", headers: { "x-mine": "yes" } }, dial());
    expect(whole).toMatchObject({ status: 201, isCut: false, address: "127.0.0.1" });
    expect(whole.headers["x-seen"]).toBe("yes");
    expect(whole.body.toString()).toBe("hello");
    const cut = await httpRequest({ url, method: "POST", body: "hello", bodyCapBytes: 3 }, dial());
    expect([cut.body.toString(), cut.isCut]).toEqual(["hel", true]);
    expect((await httpRequest({ url, method: "HEAD" }, dial())).status).toBe(200);
  });

  test("measures by the clock it is given", async () => {
    const clock = new HandClock();
    await using server = await httpServer(async (_, response) => {
      await clock.wind(1_200);
      response.write("a");
      await clock.wind(300);
      response.end("b");
    });
    const { connectMs, firstByteMs, totalMs } = await httpRequest({ url: urlOf(server) }, dial({ clock }));
    expect([connectMs, firstByteMs]).toEqual([0, 1_200]);
    expect([1_200, 1_500]).toContain(totalMs); // the last byte may come before the hand has moved on
  });

  test("follows redirects only when asked, on the same host, and not for ever", async () => {
    await using server = await httpServer((request, response) => {
      const to: Record<string, string> = {
        "/1": "/2",
        "/2": "/3",
        "/3": "/end",
        "/0": "/1",
        "/out": "http://127.0.0.2/",
      };
      const location = to[request.url ?? ""];
      if (location === undefined) response.end("here");
      else response.writeHead(302, { location }).end();
    });
    expect((await httpRequest({ url: urlOf(server, "/1") }, dial())).status).toBe(302);
    expect((await httpRequest({ url: urlOf(server, "/1"), redirects: 3 }, dial())).body.toString()).toBe("here");
    expect(await codeOf(httpRequest({ url: urlOf(server, "/0"), redirects: 9 }, dial()))).toBe("DIAL_REDIRECT");
    expect(await codeOf(httpRequest({ url: urlOf(server, "/out"), redirects: 3 }, dial()))).toBe("DIAL_REDIRECT");
  });

  const hostile: [string, FailureCode, (socket: import("node:net").Socket) => void][] = [
    ["cuts at once", "DIAL_RESET", (socket) => socket.resetAndDestroy()],
    ["says goodbye at once", "DIAL_RESET", (socket) => socket.once("data", () => socket.end())],
    [
      "speaks something else",
      "DIAL_PROTOCOL",
      (socket) => socket.once("data", () => socket.write("SSH-2.0-x\r\n\r\n")),
    ],
    [
      "sends headers without end",
      "DIAL_PROTOCOL",
      (socket) => socket.once("data", () => socket.write(`HTTP/1.1 200 OK\r\n${"x: y\r\n".repeat(10_000)}`)),
    ],
    [
      "ends before its body does",
      "DIAL_RESET",
      (socket) => socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")),
    ],
  ];
  test.each(hostile)("to a server that %s fails with %s", async (_, code, onSocket) => {
    await using server = await rawServer(onSocket);
    expect(await codeOf(httpRequest({ url: urlOf(server) }, dial()))).toBe(code);
  });

  const hanging: [string, string, (socket: import("node:net").Socket) => void][] = [
    ["says nothing", "owed an answer", () => {}],
    [
      "never comes to the end of its head",
      "owed an answer",
      (socket) => socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\n")),
    ],
    [
      "only ever says wait",
      "owed an answer",
      (socket) => socket.once("data", () => socket.write("HTTP/1.1 100 Go\r\n\r\n")),
    ],
  ];
  test.each(hanging)("to a server that %s ends at the deadline", async (_, phase, onSocket) => {
    await using server = await rawServer(onSocket);
    const failure = await cutOff(server, (bounds) => httpRequest({ url: urlOf(server) }, bounds));
    expect(failure).toMatchObject({ code: "DIAL_TIMEOUT", facts: { phase } });
  });

  test("whose body drips ends at the deadline; one without end is cut at the cap", async () => {
    const heads = Promise.withResolvers<void>();
    await using dripping = await httpServer((_, response) => {
      response.write("d");
      heads.resolve();
    });
    const clock = new HandClock();
    const failing = failureOf(httpRequest({ url: urlOf(dripping) }, dial({ clock })));
    await heads.promise;
    await clock.wind(10_000);
    expect((await failing).code).toBe("DIAL_TIMEOUT");

    await using endless = await httpServer((_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write("x".repeat(65_536)));
      };
      response.on("drain", more);
      more();
    });
    const answer = await httpRequest({ url: urlOf(endless), bodyCapBytes: 1_000 }, dial());
    expect([answer.isCut, answer.body.length]).toEqual([true, 1_000]);
  });
});

describe.skipIf(needs("openssl", "openssl"))("a TLS call", () => {
  const folder = tempFolder("dial-certs");
  let ca: OddCa;
  beforeAll(() => {
    ca = oddCa(folder.path, systemClock.wall());
  });
  afterAll(() => folder[Symbol.dispose]());
  const trusted = () => readFileSync(ca.root);
  const ok: Answer = (_, response) => response.end("ok");

  test("tells the certificate's facts and that it is trusted", async () => {
    await using server = await httpsServer(ca.make("good", { toDays: 90 }), ok);
    const facts = await dialTls(here(server), { ca: trusted() }, dial());
    expect(facts).toMatchObject({
      trust: { ok: true },
      certificate: { subject: "good", issuer: "odd-root", altNames: ["DNS:localhost", "IP Address:127.0.0.1"] },
    });
    expect(facts.certificate.notAfterMs).toBe(facts.chainNotAfterMs);
    expect(Math.round((facts.chainNotAfterMs - systemClock.wall()) / 86_400_000)).toBe(90);
    expect(facts.certificate.fingerprint).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
    const answer = await httpRequest({ url: urlOf(server, "/", "https"), ca: trusted() }, dial());
    expect(answer).toMatchObject({ status: 200, certificate: { subject: "good" } });
  });

  test("is never led back to what anybody can read, even on the same host", async () => {
    const asked: string[] = [];
    await using open = await httpServer((request, response) => {
      asked.push(String(request.headers.authorization));
      response.end();
    });
    await using server = await httpsServer(ca.make("leads-away", {}), (_, response) =>
      response.writeHead(302, { location: urlOf(open) }).end(),
    );
    const order = { url: urlOf(server, "/", "https"), ca: trusted(), redirects: 3, headers: { authorization: "x" } };
    expect(await codeOf(httpRequest(order, dial()))).toBe("DIAL_REDIRECT");
    expect(asked).toEqual([]);
  });

  test("to a server whose certificate cannot be trusted says why, and sends it nothing", async () => {
    const asked: string[] = [];
    const note: Answer = (request, response) => {
      asked.push(String(request.url));
      response.end();
    };
    const leaf = ca.make("of-intermediate", { byIntermediate: true });
    const cases: [string, Promise<Listening>][] = [
      ["CERT_HAS_EXPIRED", httpsServer(ca.make("past", { fromDays: -30, toDays: -2 }), note)],
      ["CERT_NOT_YET_VALID", httpsServer(ca.make("future", { fromDays: 2, toDays: 30 }), note)],
      ["ERR_TLS_CERT_ALTNAME_INVALID", httpsServer(ca.make("other", { altNames: "DNS:other.example" }), note)],
      ["DEPTH_ZERO_SELF_SIGNED_CERT", httpsServer(ca.selfSigned("self"), note)],
      ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", httpsServer(leaf, note)],
    ];
    for (const [why, starting] of cases) {
      await using server = await starting;
      expect(await dialTls(here(server), { ca: trusted() }, dial())).toMatchObject({ trust: { ok: false, why } });
      const failure = await failureOf(httpRequest({ url: urlOf(server, "/", "https"), ca: trusted() }, dial()));
      expect(failure).toMatchObject({ code: "DIAL_UNTRUSTED", facts: { why } });
    }
    expect(asked).toEqual([]);
    await using whole = await httpsServer(leaf, note, ca.bundle("chain.pem", [leaf.cert, ca.intermediate]));
    expect(await dialTls(here(whole), { ca: trusted() }, dial())).toMatchObject({ trust: { ok: true } });
  });

  test("without our authority trusts nobody of it", async () => {
    await using server = await httpsServer(ca.make("unknown"), ok);
    expect(await dialTls(here(server), {}, dial())).toMatchObject({ trust: { ok: false } });
  });

  test("to what is no TLS fails, and one that never shakes hands ends at the deadline", async () => {
    await using plain = await rawServer((socket) => socket.write("220 hello\r\n"));
    expect(await codeOf(dialTls(here(plain), {}, dial()))).toBe("DIAL_TLS");
    await using closing = await rawServer((socket) => socket.once("data", () => socket.resetAndDestroy()));
    expect(await codeOf(dialTls(here(closing), {}, dial()))).toBe("DIAL_TLS");
    await using silent = await rawServer(() => {});
    const failure = await cutOff(silent, (bounds) => dialTls(here(silent), {}, bounds));
    expect(failure).toMatchObject({ code: "DIAL_TIMEOUT", facts: { phase: "was shaking hands (TLS)" } });
  });
});
