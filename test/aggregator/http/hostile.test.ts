import { connect } from "node:net";
import { text } from "node:stream/consumers";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { AlarmQuery, readParams, TicketQuery } from "../../../aggregator/http/schemas.ts";
import { ApiError } from "../../../protocol/api.ts";
import { FAILURES, Failure } from "../../../protocol/failure.ts";
import { httpDesk, rawRequest, TOKEN } from "../../kit/http.ts";

const REQUEST = "GET /healthz HTTP/1.1\r\nhost: a\r\n";
/** Status of the first answer and its failure code. */
function answerOf(raw: string): [number, string] {
  const [head = "", body = ""] = raw.split("\r\n\r\n");
  const json = body.slice(body.indexOf("{"), body.lastIndexOf("}") + 1);
  return [Number(head.split(" ")[1]), ApiError.parse(JSON.parse(json)).code];
}

test.each<[string, string, [number, string]]>([
  ["bytes that are no request", "\0\x01\x02garbage\r\n\r\n", [400, "API_MALFORMED"]],
  ["a TLS hello on the plain port", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", [400, "API_MALFORMED"]],
  ["a megabyte of one header", `${REQUEST}x: ${"a".repeat(1 << 20)}\r\n\r\n`, [431, "API_TOO_LARGE"]],
  ["a megabyte of headers", REQUEST + "x: a\r\n".repeat(1 << 18), [431, "API_TOO_LARGE"]],
  [
    "a megabyte of query",
    `GET /api/v1/devices?${"a".repeat(1 << 20)} HTTP/1.1\r\nhost: a\r\n\r\n`,
    [431, "API_TOO_LARGE"],
  ],
  ["no Host", "GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n", [400, "API_MALFORMED"]],
  ["a Host that is none", "GET / HTTP/1.1\r\nhost: a b/../\r\nconnection: close\r\n\r\n", [400, "API_MALFORMED"]],
  [
    "both lengths (smuggling)",
    `${REQUEST}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    [400, "API_MALFORMED"],
  ],
  ["a body on a GET", `${REQUEST}content-length: 3\r\n\r\nabc`, [413, "API_TOO_LARGE"]],
  [
    "a chunked body on a GET",
    `${REQUEST}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    [413, "API_TOO_LARGE"],
  ],
  ["a garbage request behind a good one", `${REQUEST}\r\nGAR BAGE\r\n\r\n`, [400, "API_MALFORMED"]],
])("%s gets a typed refusal, is counted, and the server lives", async (_name, bytes, expected) => {
  await using desk = await httpDesk();
  expect(answerOf(await rawRequest(desk.port, Buffer.from(bytes, "latin1")))).toEqual(expected);
  expect(await desk.metric(`vigil_http_refused_total{code="${expected[1]}"}`)).toBe(1);
  expect((await desk.get("/healthz")).status).toBe(200);
});

test("whoever dawdles over a request is cut off with a word", async () => {
  await using desk = await httpDesk({ limits: { headersMs: 100, requestMs: 200 } });
  expect(answerOf(await rawRequest(desk.port, "GET /healthz HTTP/1.1\r\nhost: a\r\nx-slow: "))).toEqual([
    408,
    "API_TOO_SLOW",
  ]);
  expect((await desk.get("/healthz")).status).toBe(200);
});

test("a socket on which nothing comes is closed", async () => {
  await using desk = await httpDesk({ limits: { idleMs: 100 } });
  expect(await text(connect(desk.port, "127.0.0.1"))).toBe("");
  expect((await desk.get("/healthz")).status).toBe(200);
});

test("more connections than allowed are dropped and counted; the ones there are served on", async () => {
  await using desk = await httpDesk({ limits: { connections: 3 } });
  const held = Array.from({ length: 3 }, () => connect(desk.port, "127.0.0.1"));
  await Promise.all(held.map((socket) => new Promise((done) => socket.once("connect", done))));
  expect(await rawRequest(desk.port, `${REQUEST}\r\n`)).toBe("");
  held[0]?.write(`${REQUEST}connection: close\r\n\r\n`);
  expect(await text(held[0] as (typeof held)[0])).toContain('{"ok":true');
  expect(await desk.metric('vigil_http_refused_total{code="API_BUSY"}')).toBeGreaterThanOrEqual(1);
  for (const socket of held) socket.destroy();
});

test("random bytes over TCP, whole or cut short, never end the process or go unanswered with a 5xx", async () => {
  await using desk = await httpDesk();
  const start = fc.constantFrom(
    "",
    "GET ",
    "GET /api/v1/devices HTTP/1.1\r\n",
    `${REQUEST}content-length: 9\r\n\r\n`,
    `${REQUEST}\r\n`,
  );
  await fc.assert(
    fc.asyncProperty(start, fc.uint8Array({ maxLength: 400 }), async (begin, bytes) => {
      const answer = await rawRequest(desk.port, Buffer.concat([Buffer.from(begin), bytes]), true);
      expect(answer).not.toMatch(/^HTTP\/1.1 5/);
    }),
    { numRuns: 60 },
  );
  expect((await desk.get("/healthz")).status).toBe(200);
});

test("any path and query is answered with what the API knows: a page or a typed refusal", async () => {
  await using desk = await httpDesk();
  const piece = fc.oneof(
    fc.constantFrom(
      "api",
      "v1",
      "devices",
      "tickets",
      "..",
      "%2e%2e",
      "%zz",
      "%00",
      "%c0%af",
      "%",
      "\\",
      "x'--",
      "__proto__",
    ),
    fc.string({ maxLength: 20 }).map((word) => encodeURIComponent(word.toWellFormed())),
  );
  const query = fc.array(fc.tuple(fc.constantFrom("limit", "after", "device", "__proto__", "a[b]"), piece), {
    maxLength: 3,
  });
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 6 }), query, async (path, pairs) => {
      const target = `/${path.join("/")}?${pairs.map((pair) => pair.join("=")).join("&")}`;
      const head = `GET ${target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer ${TOKEN}\r\n\r\n`;
      const raw = await rawRequest(desk.port, head);
      const status = Number(raw.split(" ")[1]);
      expect([200, 400, 404], target).toContain(status);
      if (status !== 200) expect(FAILURES).toHaveProperty(answerOf(raw)[1]);
    }),
    { numRuns: 100 },
  );
});

test("the query parser gives what the schema promises or names the parameter and what it may be", () => {
  const name = fc.oneof(
    fc.constantFrom(...Object.keys(AlarmQuery.shape), "state", "__proto__", "constructor"),
    fc.string(),
  );
  const value = fc.oneof(
    fc.constantFrom("true", "1", "500", "501", "0", "-1", "1e2", "0x10", " 5", "ft-0042", "新建", "a/b"),
    fc.string(),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(AlarmQuery, TicketQuery),
      fc.array(fc.tuple(name, value), { maxLength: 4 }),
      (schema, pairs) => {
        try {
          const read = readParams(schema, pairs);
          expect(Number.isInteger(read.limit) && read.limit >= 1 && read.limit <= 500).toBe(true);
          expect(new Set(pairs.map(([key]) => key)).size).toBe(pairs.length);
          for (const key of Object.keys(read)) expect(Object.keys(schema.shape)).toContain(key);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(Failure);
          const { code, facts, message } = thrown as Failure;
          expect(code).toBe("API_INVALID");
          expect(pairs.map(([key]) => key.slice(0, 60))).toContain(facts["parameter"]);
          expect(message).toMatch(/allowed: .|given twice/);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test.each([
  ["limit=501", "limit", "a whole number from 1 to 500"],
  ["limit=1e2", "limit", "a whole number from 1 to 500"],
  ["active=yes", "active", "true or false"],
  ["colour=red", "colour", "device, active, after, limit"],
  ["device=a&device=b", "device", "given twice"],
])("%s is refused naming the parameter and what is allowed", async (query, name, allowed) => {
  await using desk = await httpDesk();
  const answer = await desk.get(`/api/v1/alarms?${query}`);
  expect(answer.status).toBe(400);
  const { message } = ApiError.parse(await answer.json());
  expect(message).toContain(name);
  expect(message).toContain(allowed);
});
