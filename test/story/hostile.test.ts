import { connect } from "node:net";
import fc from "fast-check";
import { connectAsync, type MqttClient } from "mqtt";
import { expect, test } from "vitest";
import { hear } from "../../agent/outbox/hear.ts";
import { decode } from "../../aggregator/decode.ts";
import { FAILURES } from "../../protocol/failure.ts";
import { ROOT, topics } from "../../protocol/topics.ts";
import { BROKERS } from "../kit/broker.ts";
import { type House, openHouse, ticketInState, until } from "../kit/stack.ts";
import { watchedProcesses } from "../kit/watched.ts";

/** Everything a stranger may send, to the programs as they run: each refusal is counted, nobody ends, faults are still heard. */

const VICTIM = "ft-0042";
const SOON_MS = 20_000;

interface Message {
  topic: string;
  payload: Buffer;
}

const boot = fc.constantFrom("01JD0000000000000000000000", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "1970", 7, null);
const anything = fc.oneof(fc.jsonValue(), fc.constantFrom(-1, 2 ** 53, 1e308, "x".repeat(9_000)));
const seq = fc.oneof(fc.nat(), anything);
/** Near to real messages: their keys, values of any kind, and keys nobody knows. */
const nearly = fc
  .record(
    {
      ...{
        boot,
        seq,
        ts: seq,
        link: seq,
        heartbeat_s: seq,
        since: seq,
        value: seq,
        online: anything,
        active: anything,
      },
      ...{ reason: fc.constantFrom("birth", "shutdown", "space", 1), severity: fc.constantFrom("major", "fatal") },
      ...{ kind: fc.constantFrom("raised", "cleared", "x"), check: anything, subject: anything, agent: anything },
      ...{
        title_zh: anything,
        title_en: anything,
        explained_by: anything,
        device: fc.constant(VICTIM),
        other: anything,
      },
    },
    { requiredKeys: [], noNullPrototype: true },
  )
  .map((body) => JSON.stringify(body));
/** Whole messages of every kind in one: taken on any topic, and harmless on a stranger's. */
const whole = fc.nat({ max: 1_000 }).map((n) =>
  JSON.stringify({
    ...{ online: true, boot: "01JD0000000000000000000000", seq: n + 1, ts: n, reason: "birth", agent: "x", link: 1 },
    ...{
      heartbeat_s: 60,
      active: n % 2 === 0,
      severity: "minor",
      kind: "raised",
      since: n,
      check: "disk",
      subject: "/",
    },
    ...{ title_zh: "满", title_en: "full", device: VICTIM, unknown: { deep: [n] } },
  }),
);
const text = fc.oneof(
  fc.json(),
  nearly,
  whole,
  fc.constantFrom('{"__proto__":{"online":true}}', '{"constructor":{"prototype":{"boot":1}}}', '{"toString":1,"ts":1}'),
  fc.constantFrom("[", '{"a":').map((open) => open.repeat(4_000)),
);
const payload = fc.oneof(
  text.map((words) => Buffer.from(words)),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc.constant(Buffer.alloc(200_000, "x")), // Mosquitto, as shipped, lets 262,144 bytes pass
);
const own = [
  "state",
  "info",
  "tele/cpu",
  "alm/disk.var",
  "evt/reboot",
  "alm/__proto__",
  "alm/device.offline",
  "tele/CPU",
];
const others = ["ack", "cmd/resync", "cmd/reboot", "cmd/__proto__", "cmd/constructor"];
const upward = fc.record({
  topic: fc
    .tuple(fc.constantFrom(VICTIM, "stranger", "constructor", "__proto__", "ft-0042 "), fc.constantFrom(...own))
    .map(([device, branch]) => `${ROOT}/d/${device}/${branch}`),
  payload,
});
const downward = fc.record({
  topic: fc.oneof(
    fc.constantFrom(...others).map((branch) => `${ROOT}/d/${VICTIM}/${branch}`),
    fc.constantFrom("story", "evil", "__proto__", "x y").map((node) => topics.aggregator(node)),
  ),
  payload,
});

const isRefused = (read: () => unknown): boolean => {
  try {
    read();
    return false;
  } catch {
    return true;
  }
};
const refusedAbove = ({ topic, payload: bytes }: Message): boolean =>
  isRefused(() => decode({ topic, payload: bytes, retained: false, qos: 1 }, 0, 0));
const refusedBelow = ({ topic, payload: bytes }: Message): boolean =>
  isRefused(() => hear(VICTIM, { topic, payload: bytes, retained: false, qos: 1 }));

const sendAll = (client: MqttClient, list: readonly Message[]): Promise<unknown> =>
  Promise.all(list.map(({ topic, payload: bytes }) => client.publishAsync(topic, bytes, { qos: 1 })));

const refusedMessages = ({ api }: House) => api.metric("vigil_refused_total");
const refusedByAgent = async ({ api }: House) => (await api.telemetry(VICTIM, "self.refused"))?.["refused_count"];

for (const { name, skip, start } of BROKERS) {
  test.skipIf(skip).concurrent(`with ${name}, hostile messages on every topic`, { timeout: 90_000 }, async () => {
    await using fleet = watchedProcesses(1);
    const [encoder = ""] = fleet.names;
    const self = { holdOnMs: 0 };
    await using house = await openHouse(await start(), {
      agent: { heartbeatMs: 1_000, checks: { ...fleet.checks, self } },
    });
    const pids = pidsOf(house);
    const stranger = await connectAsync(`mqtt://127.0.0.1:${house.broker.port}`, { protocolVersion: 5 });
    try {
      await refusesUpward(house, stranger);
      await refusesDownward(house, stranger);
      await tooLarge(house);
      await fleet.kill(encoder);
      await ticketInState(house.api, `process.${encoder}`, "新建", SOON_MS);
      expect(pidsOf(house)).toEqual(pids);
      expect(runs(house)).toEqual([true, true]);
    } finally {
      await stranger.endAsync(true);
    }
  });
}

const pidsOf = ({ agent, aggregator, broker }: House): number[] => [agent.pid, aggregator.pid, broker.pid];
const runs = ({ agent, aggregator }: House): boolean[] => [agent.running, aggregator.running];

/** What the aggregator does not take is counted, one by one. On the victim's topics nothing else is sent: there, whoever may write is the device. */
async function refusesUpward(house: House, stranger: MqttClient): Promise<void> {
  const batch = fc.array(upward, { minLength: 30, maxLength: 60 });
  const property = fc.asyncProperty(batch, async (messages) => {
    const sent = messages.filter((message) => !message.topic.includes(`/${VICTIM}/`) || refusedAbove(message));
    const refused = sent.filter(refusedAbove).length;
    const before = await refusedMessages(house);
    await sendAll(stranger, sent);
    await until(`${refused} refusals are counted`, SOON_MS, async () => {
      return (await refusedMessages(house)) === (before ?? 0) + refused;
    });
    expect(runs(house)).toEqual([true, true]);
  });
  await fc.assert(property, { numRuns: 8, endOnFailure: true });
}

/** What the agent does not take is counted in its telemetry, and an alarm of its own. */
async function refusesDownward(house: House, stranger: MqttClient): Promise<void> {
  const batch = fc.array(downward, { minLength: 30, maxLength: 60 });
  let least = 0;
  const property = fc.asyncProperty(batch, async (messages) => {
    least += messages.filter(refusedBelow).length;
    await sendAll(stranger, messages);
    expect(runs(house)).toEqual([true, true]);
  });
  await fc.assert(property, { numRuns: 8, endOnFailure: true });
  expect(least).toBeGreaterThan(50); // or the messages were not hostile
  await until(`${least} refusals are told`, SOON_MS, async () => Number(await refusedByAgent(house)) >= least);
  await ticketInState(house.api, "self.refused", "新建", SOON_MS);
}

/** A megabyte: where the broker does not stop it, the aggregator does. */
async function tooLarge(house: House): Promise<void> {
  const client = await connectAsync(`mqtt://127.0.0.1:${house.broker.port}`, {
    protocolVersion: 4,
    reconnectPeriod: 0,
  });
  const dropped = new Promise<void>((done) => client.once("close", () => done()));
  const sent = client.publishAsync(topics.state(VICTIM), Buffer.alloc(2 ** 20, "x"), { qos: 1 }).catch(() => undefined);
  await Promise.race([sent, dropped]);
  await client.endAsync(true);
  expect(await house.api.all("devices")).toEqual(expect.arrayContaining([expect.objectContaining({ id: VICTIM })]));
}

const [embedded] = BROKERS.filter(({ skip, name }) => !skip && name.includes("embedded"));
test.concurrent("hostile requests to every endpoint, and bytes that are no protocol at all", {
  timeout: 90_000,
}, async () => {
  await using fleet = watchedProcesses(1);
  const [encoder = ""] = fleet.names;
  if (embedded === undefined) throw new Error("no embedded broker");
  await using house = await openHouse(await embedded.start(), { agent: { checks: fleet.checks } });
  const pids = pidsOf(house);
  await answersEverything(house);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 2_000 }), async (bytes) => {
      await throwAt(house.broker.port, bytes);
      await throwAt(Number(new URL(house.api.url).port), bytes);
    }),
    { numRuns: 60 },
  );
  await fleet.kill(encoder);
  await ticketInState(house.api, `process.${encoder}`, "新建", SOON_MS);
  expect(pidsOf(house)).toEqual(pids);
  expect(runs(house)).toEqual([true, true]);
});

const PATHS = [
  "devices",
  "devices/",
  "alarms",
  "tickets",
  "tickets/",
  "openapi.json",
  "watch/",
  "",
  "../metrics",
  "%00",
];
const word = fc.oneof(
  fc.webSegment(),
  fc.constantFrom("__proto__", "constructor", "%ff", "..", "GZ-1", "a".repeat(7_000)),
);
const request = fc.record({
  path: fc
    .tuple(fc.constantFrom(...PATHS), word)
    .map(([path, more]) => `/api/v1/${path}${path.endsWith("/") ? more : ""}`),
  query: fc.array(fc.tuple(fc.oneof(fc.constantFrom("limit", "after", "open", "state", "__proto__"), word), word), {
    maxLength: 3,
  }),
  method: fc.constantFrom("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"),
  body: fc.constantFrom(undefined, '{"__proto__":1}', "x".repeat(2 ** 20)),
  token: fc.constantFrom("story-token", "story-token", "story-token", "wrong", "", "\u00ff"),
});

/** Each answer is as asked, or a refusal with a code of the table; refusals are counted. */
async function answersEverything({ api }: House): Promise<void> {
  let refused = 0;
  const before = (await api.metric("vigil_http_refused_total")) ?? 0;
  const property = fc.asyncProperty(request, async ({ path, query, method, body, token }) => {
    const url = `${api.url}${path}?${query.map(([key, value]) => `${key}=${value}`).join("&")}`;
    const more = method === "GET" || method === "HEAD" || body === undefined ? {} : { body };
    const answer = await fetch(url, { method, headers: { authorization: `Bearer ${token}` }, ...more }).catch(
      () => undefined,
    );
    if (answer === undefined) return; // cut off in the middle of its megabyte
    const words = await answer.text().catch(() => "");
    expect(answer.status, url).toBeLessThan(500);
    if (answer.status >= 400) refused += 1;
    if (answer.status >= 400 && words !== "") expect(Object.keys(FAILURES)).toContain(JSON.parse(words).code);
  });
  await fc.assert(property, { numRuns: 150 });
  expect(refused).toBeGreaterThan(50); // or the requests were not hostile
  expect(await api.metric("vigil_http_refused_total")).toBeGreaterThanOrEqual(before + refused);
}

/** Opens a connection, throws bytes, and waits until one side is done. */
async function throwAt(port: number, bytes: Uint8Array): Promise<void> {
  await new Promise<void>((done) => {
    const socket = connect(port, "127.0.0.1", () => socket.end(bytes));
    socket.setTimeout(200, () => socket.destroy());
    socket.on("data", () => {});
    socket.on("error", () => {});
    socket.on("close", () => done());
  });
}
