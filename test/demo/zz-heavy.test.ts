import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, test } from "vitest";
import { systemClock } from "../../platform/clock.ts";
import { openMqttLink } from "../../platform/mqtt-link.ts";
import { startEmbedded, type TestBroker } from "../kit/broker.ts";
import { startChild } from "../kit/child.ts";
import { linkOptions, recordLink } from "../kit/link-recorder.ts";
import { listener } from "../kit/listener.ts";
import { silentLog } from "../kit/logs.ts";
import { needs, run } from "../kit/peers.ts";

const PROGRAM = fileURLToPath(new URL("../../demo/broker.ts", import.meta.url));
const noClients = needs("mosquitto_sub", "mosquitto-clients");
const openLink = openMqttLink({ clock: systemClock, random: Math.random, log: silentLog });

async function linkTo(broker: TestBroker, clientId: string, subscriptions: string[] = []) {
  const said = recordLink();
  const link = openLink(
    linkOptions(clientId, { brokers: [{ host: "127.0.0.1", port: broker.port }], subscriptions }),
    said.events,
  );
  await said.until(() => link.up);
  return Object.assign(link, { said });
}

/** Sends bytes and waits until the broker has had enough of us, or has seen our end. */
function attack(port: number, bytes: Uint8Array): Promise<void> {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1", () => socket.end(bytes));
    socket.on("error", () => {});
    socket.on("close", () => done());
    socket.resume();
  });
}

const text = (value: string): number[] => [value.length >> 8, value.length & 255, ...Buffer.from(value)];
const length = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...length(value >> 7)]);
const packet = (head: number, body: readonly number[]): number[] => [head, ...length(body.length), ...body];
const connectAs = (version: number, id: string): number[] =>
  packet(0x10, [...text("MQTT"), version, 2, 0, 60, ...(version === 5 ? [0] : []), ...text(id)]);

test("no bytes stop it: garbage, cut-off packets, unknown versions, a publish of 1 MB", async () => {
  await using broker = await startEmbedded();
  await using witness = await linkTo(broker, "witness", ["mark"]);
  const byte = fc.integer({ min: 0, max: 255 });
  const body = fc.oneof(
    fc.array(byte, { maxLength: 60 }),
    fc
      .tuple(fc.string({ maxLength: 12 }), fc.array(byte, { maxLength: 40 }))
      .map(([topic, rest]) => [...text(topic), ...rest]),
  );
  const frames = fc
    .array(fc.tuple(byte, body), { maxLength: 5 })
    .map((all) => all.flatMap(([head, rest]) => packet(head, rest)));
  const opening = fc.oneof(
    fc.constant<number[]>([]),
    fc
      .tuple(fc.constantFrom(3, 4, 5, 6, 0x84, 255), fc.string({ maxLength: 30 }))
      .map(([version, id]) => connectAs(version, id)),
  );
  const attacks = fc.sample(fc.tuple(opening, frames, fc.nat(12)), 60000);
  for (let i = 0; i < attacks.length; i += 50) {
    const some = attacks
      .slice(i, i + 50)
      .map(([open, rest, cut]) => [...open, ...rest].slice(0, open.length + rest.length - cut));
    await Promise.all(some.map((bytes) => attack(broker.port, Uint8Array.from(bytes))));
  }
  await attack(
    broker.port,
    Uint8Array.from([...connectAs(5, "big"), ...packet(0x30, [...text("a"), 0, ...new Array(1_048_576).fill(120)])]),
  );
  await attack(
    broker.port,
    Uint8Array.from([...connectAs(4, "deep"), ...packet(0x30, [...text("a/".repeat(500)), 120])]),
  );
  await witness.publish({ topic: "mark", payload: "{}", qos: 1 });
  await witness.said.until(() => witness.said.messages.some(({ topic }) => topic === "mark"));
  expect(witness.said.downs).toEqual([]);
  expect(broker.output()).not.toMatch(/Error:|Warning/);
});

test("names that every JavaScript object knows are names like others, for clients and topics", async () => {
  await using broker = await startEmbedded();
  await using witness = await linkTo(broker, "witness", ["mark"]);
  for (const name of ["constructor", "valueOf", "__proto__", "hasOwnProperty"]) {
    const subscribe = packet(0x82, [0, 1, 0, ...text(name), 1]);
    const publish = packet(0x32, [...text(name), 0, 2, 0, 120]);
    const unsubscribe = packet(0xa2, [0, 3, 0, ...text(name)]);
    await attack(
      broker.port,
      Uint8Array.from([...connectAs(5, name), ...unsubscribe, ...subscribe, ...publish, ...unsubscribe]),
    );
    await using link = await linkTo(broker, name, [name]);
    await link.publish({ topic: name, payload: "{}", qos: 1 });
    await link.said.until(() => link.said.messages.some(({ topic }) => topic === name));
  }
  await witness.publish({ topic: "mark", payload: "{}", qos: 1 });
  expect(witness.said.downs).toEqual([]);
});

test("a packet larger than the shipped broker takes is refused, the link says so before it is sent", async () => {
  await using broker = await startEmbedded();
  await using link = await linkTo(broker, "large", ["a"]);
  await expect(link.publish({ topic: "a", payload: "x".repeat(262_144), qos: 1 })).rejects.toMatchObject({
    code: "MESSAGE_TOO_LARGE",
  });
  await link.publish({ topic: "a", payload: "x".repeat(200_000), qos: 1 });
  await link.said.until(() => link.said.messages.length === 1);
});

test("a taken port is an error that names it, not a stack trace", async () => {
  await using broker = await startEmbedded();
  const second = startChild(process.execPath, [PROGRAM, "--port", String(broker.port)]);
  const code = await new Promise((done) => second.process.once("close", done));
  expect(code).toBe(1);
  expect(second.output()).toBe(`port ${broker.port} of 127.0.0.1 is taken (PORT_TAKEN)\n`);
});

test("it says where it listens, and a signal ends it at once with code 0, clients or not", async () => {
  const child = startChild(process.execPath, [PROGRAM, "--port", "0"]);
  const line = await new Promise<string>((done) => child.process.stdout?.once("data", (chunk) => done(String(chunk))));
  const said = JSON.parse(line);
  expect(said).toMatchObject({ event: "broker.listening", host: "127.0.0.1" });
  const socket = connect(said.port, "127.0.0.1").on("error", () => {});
  await new Promise((done) => socket.once("connect", done));
  const ended = new Promise((done) => child.process.once("close", (...how) => done(how)));
  child.process.kill("SIGTERM");
  expect(await ended).toEqual([0, null]);
  socket.destroy();
});

test("a wrong argument is told with what is allowed", async () => {
  const child = startChild(process.execPath, [PROGRAM, "--port", "many"]);
  expect(await new Promise((done) => child.process.once("close", done))).toBe(64);
  expect(child.output()).toMatch(/--port takes a number from 0 to 65535, not "many"/);
});

test.skipIf(noClients)(
  "off-the-shelf subscribers of both versions hear what our link publishes, retained and live",
  async () => {
    await using broker = await startEmbedded();
    await using link = await linkTo(broker, "device");
    await link.publish({ topic: "v/kept", payload: '{"ts":1}', qos: 1, retain: true });
    await using old = await listener(broker.port, ["v/#"], "mqttv311");
    await using fresh = await listener(broker.port, ["v/#"], "mqttv5");
    await link.publish({ topic: "v/live", payload: '{"ts":2}', qos: 1 });
    for (const hearer of [old, fresh]) {
      await hearer.waitFor(({ topic }) => topic === "v/live");
      expect(hearer.heard()).toMatchObject([
        { topic: "v/kept", payload: '{"ts":1}', retained: true },
        { topic: "v/live", payload: '{"ts":2}', retained: false },
      ]);
    }
  },
);

test.skipIf(noClients)("what expires is not delivered late, and user properties pass through", async () => {
  await using broker = await startEmbedded();
  const pub = (...args: string[]): string =>
    run("mosquitto_pub", ["-h", "127.0.0.1", "-p", String(broker.port), "-V", "5", ...args]);
  pub("-t", "e/short", "-m", "1", "-r", "-D", "publish", "message-expiry-interval", "1");
  pub(
    "-t",
    "e/long",
    "-m",
    "1",
    "-r",
    "-D",
    "publish",
    "message-expiry-interval",
    "60",
    "-D",
    "publish",
    "user-property",
    "schema",
    "7",
  );
  await using late = await linkTo(broker, "clock", ["e/#"]);
  await late.said.until(() => late.said.messages.length === 2); // both are there at first
  const wait = ["-W", "1", "-t", "nothing", "-h", "127.0.0.1", "-p", String(broker.port)];
  expect(() => run("mosquitto_sub", wait)).toThrow(); // ends after its own time limit of 1 s: the short one is over
  await using hearer = await linkTo(broker, "late", ["e/#"]);
  await hearer.said.until(() => hearer.said.messages.length > 0);
  expect(hearer.said.messages.map(({ topic }) => topic)).toEqual(["e/long"]);
  const got = run("mosquitto_sub", [
    "-V",
    "5",
    "-C",
    "1",
    "-t",
    "e/long",
    "-F",
    "%P",
    "-h",
    "127.0.0.1",
    "-p",
    String(broker.port),
  ]);
  expect(got.trim()).toBe("schema:7");
});
