import { chmodSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { BrokerLink, LinkOptions } from "../../platform/broker-link.ts";
import { systemClock } from "../../platform/clock.ts";
import { openMqttLink } from "../../platform/mqtt-link.ts";
import { BROKERS, startMosquitto } from "../kit/broker.ts";
import { testCa } from "../kit/certs.ts";
import { HandClock } from "../kit/hand-clock.ts";
import { type LinkRecorder, linkOptions, recordLink } from "../kit/link-recorder.ts";
import { keptLog, silentLog } from "../kit/logs.ts";
import { needs } from "../kit/peers.ts";
import { freePort } from "../kit/ports.ts";
import { tempFolder } from "../kit/temp.ts";
import { openWire } from "../kit/wire.ts";

const noMosquitto = needs("mosquitto", "mosquitto");
const parts = { clock: systemClock, random: Math.random, log: silentLog };
const at = (port: number) => ({ host: "127.0.0.1", port });
type Opened = BrokerLink & { said: LinkRecorder };

function open(port: number, more: Partial<LinkOptions> = {}, take?: Parameters<typeof recordLink>[0]): Opened {
  const said = recordLink(take);
  const options = linkOptions("subject", { brokers: [at(port)], ...more });
  return Object.assign(openMqttLink(parts)(options, said.events), { said });
}

async function opened(
  port: number,
  more: Partial<LinkOptions> = {},
  take?: Parameters<typeof recordLink>[0],
): Promise<Opened> {
  const link = open(port, more, take);
  await link.said.until(() => link.up);
  return link;
}

const CONNACK = [0x20, 3, 0, 0, 0];
const PUBACK = (id: number): number[] => [0x40, 2, id >> 8, id & 255];

/** A broker made by an enemy: `serve` gets each connection once its CONNECT is there, and its number from 0. */
async function enemy(serve: (socket: Socket, nth: number) => void): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  let nth = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.once("data", () => serve(socket, nth++));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const end = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((closed) => server.close(() => closed()));
  };
  return { port: address.port, [Symbol.asyncDispose]: end };
}

describe("a broker that cannot be trusted", () => {
  test("whatever bytes it sends, the link lives, and comes up when a real one answers", async () => {
    const frame = fc
      .tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 40 }))
      .map(([head, body]) => [head, body.length, ...body]);
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((a) => [...a]),
      fc.array(frame, { maxLength: 4 }).map((a) => a.flat()),
    );
    // The first made mqtt.js throw: a QoS 2 message whose id is cut off, then its release.
    const attacks: [boolean, number[]][] = [
      [true, [0x34, 3, 0, 1, 97, 0x62, 0]],
      ...fc.sample(fc.tuple(fc.boolean(), bytes), 600),
    ];
    await using server = await enemy((socket, nth) => {
      const attack = attacks[nth];
      if (attack === undefined) socket.write(Uint8Array.from(CONNACK));
      else socket.end(Uint8Array.from([...(attack[0] ? CONNACK : []), ...attack[1]]));
    });
    await using link = open(server.port, { backoff: { firstMs: 0, mostMs: 0 }, subscriptions: [] });
    await link.said.until(() => link.up && (link.said.ups.at(-1) ?? 0) > attacks.length);
    await expect(link.publish({ topic: "a", payload: "{}", qos: 0 })).resolves.toBeUndefined();
  });

  test("one that never answers is given up after 10 s", async () => {
    const reached = Promise.withResolvers<void>();
    const left = Promise.withResolvers<void>();
    await using server = await enemy((socket) => {
      socket.once("close", () => left.resolve()).resume();
      reached.resolve();
    });
    const clock = new HandClock();
    const said = recordLink();
    const options = linkOptions("subject", { brokers: [at(server.port)] });
    await using link = openMqttLink({ ...parts, clock })(options, said.events);
    await reached.promise;
    await clock.wind(9_999);
    expect(said.downs).toEqual([]);
    await clock.wind(1);
    expect(said.downs).toMatchObject([{ code: "LINK_DOWN", facts: { reason: "no-answer" } }]);
    await left.promise;
    expect(link.up).toBe(false);
  });

  test("one that answers pings and takes no message is left after a minute, for the next of the list", async () => {
    await using server = await enemy((socket) => {
      socket.write(Uint8Array.from(CONNACK));
    });
    const taken = Promise.withResolvers<void>();
    await using second = await enemy((socket) => {
      socket.write(Uint8Array.from(CONNACK));
      taken.resolve();
    });
    const clock = new HandClock();
    const said = recordLink();
    const brokers = [at(server.port), at(second.port)] as const;
    // no ping in all this time: pings go by the clock that is wound, and their answers come by the real one
    const options = linkOptions("subject", { brokers, subscriptions: [], keepaliveS: 65_535 });
    await using link = openMqttLink({ ...parts, clock })(options, said.events);
    await said.until(() => link.up);
    await clock.wind(3_600_000); // with nothing to answer a broker may be silent
    expect(link.up).toBe(true);
    const publishing = link.publish({ topic: "a", payload: "{}", qos: 1 });
    const lost = expect(publishing).rejects.toMatchObject({ code: "LINK_DOWN" });
    await clock.wind(60_000);
    await lost;
    expect(said.downs).toMatchObject([{ code: "LINK_DOWN", facts: { port: server.port } }]);
    await clock.wind(1_000); // the pause before the next try
    await taken.promise;
  });

  test("one that closes every connection at once is told of once, not per try", async () => {
    const fifth = Promise.withResolvers<void>();
    await using server = await enemy((socket, nth) => {
      if (nth === 5) fifth.resolve();
      socket.destroy();
    });
    await using link = open(server.port, { backoff: { firstMs: 1, mostMs: 1 } });
    await fifth.promise;
    expect(link.said.downs.map(({ code }) => code)).toEqual(["LINK_DOWN"]);
  });

  test("a packet larger than any of ours ends the connection long before it is complete", async () => {
    let sent = 0;
    const closed = Promise.withResolvers<void>();
    await using server = await enemy((socket, nth) => {
      if (nth > 0) return;
      socket.on("close", () => closed.resolve());
      socket.write(Uint8Array.from([...CONNACK, 0x30, 0xff, 0xff, 0xff, 0x7f])); // PUBLISH of 256 MB
      const pour = (): void => {
        sent += 65_536;
        if (sent < 268_000_000 && !socket.destroyed) socket.write(new Uint8Array(65_536), pour);
      };
      pour();
    });
    await using link = open(server.port);
    await closed.promise;
    await link.said.until(() => link.said.downs.length > 0);
    expect(sent).toBeLessThan(20_000_000); // what the kernel's buffers hold, and not 256 MB
    expect(link.said.downs[0]?.facts).toMatchObject({ reason: "protocol" });
  });

  test("one that no longer answers pings is left", async () => {
    await using server = await enemy((socket) => socket.write(Uint8Array.from(CONNACK)));
    await using link = await opened(server.port, { keepaliveS: 1 });
    await link.said.until(() => link.said.downs.length > 0);
    expect(link.said.downs[0]).toMatchObject({ code: "LINK_DOWN" });
  });

  test("never more messages are under way than it allows", async () => {
    const ids: number[] = [];
    let most = 0;
    await using server = await enemy((socket) => {
      socket.write(Uint8Array.from([0x20, 6, 0, 0, 3, 0x21, 0, 2])); // receive maximum 2
      socket.on("data", (chunk) => {
        for (let i = 0; chunk[i] === 0x32; i += 2 + (chunk[i + 1] ?? 0)) ids.push(chunk.readUInt16BE(i + 5));
        most = Math.max(most, ids.length);
        setImmediate(() => {
          for (const id of ids.splice(0)) socket.write(Uint8Array.from(PUBACK(id)));
        });
      });
    });
    await using link = await opened(server.port);
    await Promise.all(Array.from({ length: 20 }, () => link.publish({ topic: "a", payload: "{}", qos: 1 })));
    expect(most).toBe(2);
  });
});

describe.skipIf(noMosquitto)("mosquitto's answers", () => {
  test("nobody subscribed: LINK_UNHEARD; forbidden by the ACL: LINK_DENIED; the connection lives on", async () => {
    await using broker = await startMosquitto({ acl: ["topic readwrite open/#"] });
    await using link = await opened(broker.port);
    const tell = (topic: string) => link.publish({ topic, payload: "{}", qos: 1 });
    await expect(tell("open/empty")).rejects.toMatchObject({ code: "LINK_UNHEARD" });
    await expect(tell("shut/door")).rejects.toMatchObject({
      code: "LINK_DENIED",
      facts: { topic: "shut/door", reason: "not-authorized" },
    });
    await using hearer = await opened(broker.port, { clientId: "hearer", subscriptions: ["open/#"] });
    await expect(tell("open/full")).resolves.toBeUndefined();
    await hearer.said.until(() => hearer.said.messages.length === 1);
    expect(link.said.downs).toEqual([]);
  });

  test("a message over its packet size fails alone", async () => {
    await using broker = await startMosquitto({ config: ["max_packet_size 2000"] });
    await using link = await opened(broker.port, { subscriptions: ["a"] });
    const payload = "x".repeat(2000);
    await expect(link.publish({ topic: "a", payload, qos: 1 })).rejects.toMatchObject({ code: "MESSAGE_TOO_LARGE" });
    await link.publish({ topic: "a", payload: "{}", qos: 1 });
    await link.said.until(() => link.said.messages.length === 1);
  });

  test("a broker that keeps no retained messages is refused", async () => {
    await using broker = await startMosquitto({ config: ["retain_available false"] });
    await using link = open(broker.port, { will: () => ({ topic: "w", payload: "{}", qos: 1, delayS: 0 }) });
    await link.said.until(() => link.said.downs.length > 0);
    expect(link.said.downs[0]).toMatchObject({ code: "LINK_REFUSED", facts: { reason: "retain-not-supported" } });
  });

  test("a wrong password is refused, waits the longest, and shows in no log", async () => {
    using folder = tempFolder();
    const passwordFile = join(folder.path, "password");
    writeFileSync(passwordFile, "hunter2-wrong\n", { mode: 0o600 });
    await using broker = await startMosquitto({ users: { device: "the-right-one" } });
    await using wire = await openWire(broker.port);
    const clock = new HandClock();
    const log = keptLog();
    const said = recordLink();
    const options = linkOptions("subject", { brokers: [at(wire.port)], username: "device", passwordFile });
    await using link = openMqttLink({ clock, log, random: () => 0 })(
      { ...options, backoff: { firstMs: 1000, mostMs: 60_000 } },
      said.events,
    );
    await said.until(() => said.downs.length > 0);
    expect(said.downs[0]).toMatchObject({ code: "LINK_REFUSED", facts: { reason: "not-authorized" } });
    await clock.wind(29_999);
    expect(wire.connections()).toBe(1);
    writeFileSync(passwordFile, "the-right-one\n", { mode: 0o600 });
    await clock.wind(1);
    await said.until(() => link.up);
    expect(JSON.stringify([log.lines, said.downs.map(({ message, facts }) => [message, facts])])).not.toMatch(
      /hunter2|right-one/,
    );
  });

  test("while a message is in hand the broker sends no more than the window, and then everything", async () => {
    await using broker = await startMosquitto();
    await using wire = await openWire(broker.port);
    const hand = Promise.withResolvers<void>();
    await using slow = await opened(
      wire.port,
      { clientId: "slow", subscriptions: ["work"], receiveMaximum: 5 },
      () => hand.promise,
    );
    await using speaker = await opened(broker.port, { subscriptions: ["mark"] });
    const payload = JSON.stringify({ text: "x".repeat(1000) });
    const before = wire.bytesToClient();
    await Promise.all(Array.from({ length: 200 }, () => speaker.publish({ topic: "work", payload, qos: 1 })));
    await speaker.publish({ topic: "mark", payload: "{}", qos: 1 });
    await speaker.said.until(() => speaker.said.messages.length === 1);
    expect(wire.bytesToClient() - before).toBeLessThan(6 * 1100);
    expect(slow.said.messages).toHaveLength(1);
    hand.resolve();
    await slow.said.until(() => slow.said.messages.length === 200);
  });
});

describe.skipIf(noMosquitto)("where it connects to", () => {
  test("the next broker of the list, when the first is not there or dies", async () => {
    await using one = await startMosquitto();
    await using two = await startMosquitto();
    const brokers: LinkOptions["brokers"] = [at(await freePort()), at(one.port), at(two.port)];
    await using link = await opened(0, { brokers, subscriptions: ["mark"] });
    await one.kill9();
    await link.said.until(() => link.said.ups.length === 2);
    await using witness = await opened(two.port, { clientId: "witness" });
    await witness.publish({ topic: "mark", payload: "{}", qos: 1 });
    await link.said.until(() => link.said.messages.length === 1);
    expect(new Set(link.said.downs.map(({ code }) => code))).toEqual(new Set(["LINK_DOWN"]));
  });

  test("the same broker, killed and started again; what was under way is rejected, and never sent behind our back", async () => {
    await using broker = await startMosquitto();
    await using wire = await openWire(broker.port);
    await using link = await opened(wire.port, { subscriptions: ["mine"] });
    wire.stall(); // the PUBACK will not arrive
    const lost = link.publish({ topic: "mine", payload: '{"n":1}', qos: 1 });
    lost.catch(() => {});
    await broker.kill9();
    wire.cut();
    await expect(lost).rejects.toMatchObject({ code: "LINK_DOWN" });
    await expect(link.publish({ topic: "mine", payload: "{}", qos: 1 })).rejects.toMatchObject({ code: "LINK_DOWN" });
    wire.flow();
    await using witness = open(broker.port, { clientId: "witness", subscriptions: ["mine"] });
    await broker.restart();
    await link.said.until(() => link.up);
    await witness.said.until(() => witness.up);
    await link.publish({ topic: "mine", payload: '{"n":2}', qos: 1 });
    await witness.said.until(() => witness.said.messages.length > 0);
    expect(witness.said.messages.map(({ payload }) => payload)).toEqual(['{"n":2}']);
  });

  test("two hundred lost connections leave nothing behind", async () => {
    await using broker = await startMosquitto();
    await using wire = await openWire(broker.port);
    await using link = await opened(wire.port, { subscriptions: ["a"], backoff: { firstMs: 1, mostMs: 1 } });
    const lose = async (times: number): Promise<void> => {
      for (let i = 0; i < times; i += 1) {
        const { length } = link.said.ups;
        wire.cut();
        await link.said.until(() => link.said.ups.length > length);
      }
    };
    const count = (): number => process.getActiveResourcesInfo().length;
    await lose(10);
    const before = count();
    await lose(200);
    expect(count()).toBeLessThanOrEqual(before + 5);
    expect(process.listenerCount("exit") + process.listenerCount("uncaughtException")).toBeLessThan(20);
  });
});

test("after a short connection the next broker of the list is tried, after a long one the first again", async () => {
  const sockets: { name: string; socket: Socket }[] = [];
  const serve = (name: string) => (socket: Socket) => {
    sockets.push({ name, socket });
    socket.write(Uint8Array.from(CONNACK));
  };
  await using one = await enemy(serve("one"));
  await using two = await enemy(serve("two"));
  const clock = new HandClock();
  const said = recordLink();
  const options = linkOptions("subject", { brokers: [at(one.port), at(two.port)] });
  await using _link = openMqttLink({ ...parts, clock, random: () => 0 })(options, said.events);
  const lose = async (nth: number): Promise<void> => {
    await said.until(() => said.ups.length === nth);
    sockets.at(-1)?.socket.destroy();
    await said.until(() => said.downs.length === nth);
  };
  await said.until(() => said.ups.length === 1);
  await clock.wind(29_999);
  await lose(1);
  await clock.wind(0);
  await said.until(() => said.ups.length === 2);
  await clock.wind(30_000);
  await lose(2);
  await clock.wind(0);
  await said.until(() => said.ups.length === 3);
  expect(sockets.map(({ name }) => name)).toEqual(["one", "two", "one"]);
});

describe.skipIf(needs("openssl", "openssl"))("what it needs to trust", () => {
  test.skipIf(noMosquitto)(
    "an unknown authority, a missing client certificate and a wrong name are refused, each by its reason",
    async () => {
      using folder = tempFolder();
      const { ca, server, client } = testCa(folder.path);
      const other = testCa(folder.path, "other");
      const { cert, key } = client("device");
      await using broker = await startMosquitto({ tls: { ...server, ca } });
      const down = async (tls: NonNullable<LinkOptions["brokers"][0]["tls"]>) => {
        await using link = open(0, { brokers: [{ ...at(broker.port), tls }] });
        await link.said.until(() => link.said.downs.length > 0);
        return link.said.downs[0];
      };
      const good = { caFile: ca, certFile: cert, keyFile: key };
      expect(await down({ ...good, caFile: other.ca })).toMatchObject({
        code: "LINK_REFUSED",
        facts: { reason: /UNABLE_TO_VERIFY|SELF_SIGNED/ },
      });
      expect(await down({ ...good, servername: "elsewhere" })).toMatchObject({
        code: "LINK_REFUSED",
        facts: { reason: "ERR_TLS_CERT_ALTNAME_INVALID" },
      });
      expect((await down({ caFile: ca }))?.code).toMatch(/LINK_REFUSED|LINK_DOWN/); // an alert, or a reset that overtook it
      await using link = await opened(0, { brokers: [{ ...at(broker.port), tls: good }] });
      expect(link.up).toBe(true);
    },
  );

  test("a file that is not there, not a certificate, or readable by others is named", async () => {
    using folder = tempFolder();
    const junk = join(folder.path, "junk.pem");
    writeFileSync(junk, "-----BEGIN CERTIFICATE-----\nnot\n-----END CERTIFICATE-----\n");
    const secret = join(folder.path, "secret");
    writeFileSync(secret, "x");
    chmodSync(secret, 0o644);
    const down = async (more: Partial<LinkOptions>) => {
      await using link = open(1, more);
      await link.said.until(() => link.said.downs.length > 0);
      return link.said.downs[0];
    };
    const missing = join(folder.path, "missing.pem");
    expect(await down({ brokers: [{ ...at(1), tls: { caFile: missing } }] })).toMatchObject({
      code: "LINK_FILES",
      facts: { path: missing, reason: "ENOENT" },
    });
    expect(await down({ brokers: [{ ...at(1), tls: { caFile: junk } }] })).toMatchObject({
      code: "LINK_FILES",
      facts: { path: junk },
    });
    expect(await down({ passwordFile: secret })).toMatchObject({ code: "LINK_FILES", facts: { path: secret } });
  });
});

for (const { name, skip, start } of BROKERS) {
  test.skipIf(skip)(
    `on ${name} the will of a device that is back in time is not said, that of one which stays away is`,
    async () => {
      await using broker = await start();
      await using witness = await opened(broker.port, { clientId: "witness", subscriptions: ["will/+"] });
      const delayed = (clientId: string) => ({
        clientId,
        will: (link: number) => ({
          topic: `will/${clientId}`,
          payload: `{"link":${link}}`,
          qos: 1 as const,
          delayS: 4, // a machine may stand still for longer than a second
        }),
      });
      await using wire = await openWire(broker.port);
      await using back = await opened(wire.port, delayed("back"));
      wire.cut();
      await back.said.until(() => back.said.ups.length === 2);
      const lastWire = await openWire(broker.port);
      await using gone = await opened(lastWire.port, delayed("gone"));
      await lastWire[Symbol.asyncDispose](); // cut after the other: its will comes later
      await witness.said.until(() => witness.said.messages.length > 0);
      expect(witness.said.messages).toMatchObject([{ topic: "will/gone", payload: `{"link":${gone.said.ups[0]}}` }]);
    },
  );
}
