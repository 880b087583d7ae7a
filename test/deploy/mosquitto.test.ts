import { readFileSync } from "node:fs";
import { join } from "node:path";
import { connectAsync, type MqttClient } from "mqtt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { topics } from "../../protocol/topics.ts";
import type { TestBroker } from "../kit/broker.ts";
import type { TestCa } from "../kit/certs.ts";
import { needs } from "../kit/peers.ts";
import { startShipped } from "../kit/shipped-broker.ts";
import { tempFolder } from "../kit/temp.ts";

const skip = needs("mosquitto", "mosquitto") || needs("openssl", "openssl");
const folder = tempFolder();
const at = (name: string): string => join(folder.path, name);
const clients: MqttClient[] = [];
let ca: TestCa;
let broker: TestBroker | undefined;

beforeAll(async () => {
  if (!skip) ({ broker, ca } = await startShipped(folder.path, ["stolen"]));
});

afterAll(async () => {
  for (const client of clients) await client.endAsync(true);
  await broker?.stop();
  folder[Symbol.dispose]();
});

const url = (): string => `mqtts://127.0.0.1:${broker?.port}`;
const options = (name?: string) => ({
  protocolVersion: 5 as const,
  ca: readFileSync(ca.ca),
  reconnectPeriod: 0,
  connectTimeout: 5_000,
  clientId: "whatever-it-says",
  ...(name === undefined ? {} : identity(name)),
});
const identity = (name: string) => {
  const { cert, key } = ca.client(name);
  return { cert: readFileSync(cert), key: readFileSync(key) };
};

async function joined(name: string): Promise<MqttClient> {
  const client = await connectAsync(url(), options(name), false);
  clients.push(client);
  return client;
}

/** Publishes and waits until `reader`, who is subscribed to everything it may see, has heard `last`. */
async function heardBy(reader: MqttClient, publish: () => Promise<unknown>, last: string): Promise<string[]> {
  const heard: string[] = [];
  const all = new Promise<void>((done) => {
    reader.on("message", (topic) => {
      heard.push(topic);
      if (topic === last) done();
    });
  });
  await publish();
  await all;
  return heard;
}

const said = (client: MqttClient, topic: string): Promise<unknown> => client.publishAsync(topic, "{}", { qos: 1 });

test.skipIf(skip)("a device writes under its own name only", async () => {
  const device = await joined("terminal-1");
  const own = [
    ...[topics.state("terminal-1"), topics.info("terminal-1"), topics.alarm("terminal-1", "disk.var")],
    topics.daily("terminal-1"),
    topics.inventory("terminal-1"),
  ];
  for (const topic of [...own, topics.event("terminal-1", "agent.start"), topics.tele("terminal-1", "cpu")])
    await said(device, topic);
  const foreign = [
    topics.state("terminal-2"),
    topics.alarm("terminal-2", "disk.var"),
    topics.daily("terminal-2"),
    topics.inventory("terminal-2"),
    topics.command("terminal-1", "inventory"),
    topics.ack("terminal-1"),
    topics.ticket("GZ-20261122-0001"),
    topics.aggregator("desk"),
  ];
  for (const topic of foreign) await expect(said(device, topic), topic).rejects.toThrow(/not authorized/i);
});

test.skipIf(skip)("a device hears what is meant for it and how the aggregators are, and nothing else", async () => {
  const aggregator = await joined("aggregator");
  const device = await joined("terminal-3");
  await device.subscribeAsync("#", { qos: 1 });
  const heard = await heardBy(
    device,
    async () => {
      await said(aggregator, topics.ack("terminal-4"));
      await said(aggregator, topics.ticket("GZ-20261122-0002"));
      await said(aggregator, topics.command("terminal-3", "resync"));
      await said(aggregator, topics.aggregator("desk"));
      await said(aggregator, topics.ack("terminal-3"));
    },
    topics.ack("terminal-3"),
  );
  expect(heard).toEqual([topics.command("terminal-3", "resync"), topics.aggregator("desk"), topics.ack("terminal-3")]);
});

test.skipIf(skip)("an aggregator reads every device and cannot speak for one", async () => {
  const aggregator = await joined("aggregator");
  const device = await joined("terminal-5");
  await aggregator.subscribeAsync("vigil/v1/d/#", { qos: 1 });
  const alarm = topics.alarm("terminal-5", "cpu");
  expect(await heardBy(aggregator, () => said(device, alarm), alarm)).toContain(alarm);
  await expect(said(aggregator, alarm)).rejects.toThrow(/not authorized/i);
});

test.skipIf(skip)("a dashboard sees everything and says nothing", async () => {
  const dashboard = await joined("dashboard");
  const device = await joined("terminal-6");
  await dashboard.subscribeAsync("vigil/v1/#", { qos: 1 });
  const alarm = topics.alarm("terminal-6", "cpu");
  expect(await heardBy(dashboard, () => said(device, alarm), alarm)).toContain(alarm);
  await expect(said(dashboard, topics.command("terminal-6", "resync"))).rejects.toThrow(/not authorized/i);
});

test.skipIf(skip)("who shows no certificate, or a withdrawn one, stays outside", async () => {
  await expect(connectAsync(url(), options(), false)).rejects.toThrow(/certificate required/i);
  const stolen = {
    ...options(),
    cert: readFileSync(at("test-ca-stolen.pem")),
    key: readFileSync(at("test-ca-stolen.key")),
  };
  await expect(connectAsync(url(), stolen, false)).rejects.toThrow(/revoked/i);
});
