import { expect, test } from "vitest";
import { safeParse } from "zod/v4/core";
import { MESSAGES, type MessageKind } from "../../protocol/messages.ts";
import { ROOT, topics } from "../../protocol/topics.ts";
import { figureProblems, grafanaReader, telegrafProblems } from "../contract/payload-rules.ts";
import { BROKERS } from "../kit/broker.ts";
import { type Heard, listener, type MqttVersion } from "../kit/listener.ts";
import { needs } from "../kit/peers.ts";
import { openHouse, ticketInState, until } from "../kit/stack.ts";
import { watchedProcesses } from "../kit/watched.ts";

/** What programs we did not write make of everything the running agent and aggregator publish. */

const noSubscriber = needs("mosquitto_sub", "mosquitto-clients");
const VERSIONS: readonly MqttVersion[] = ["mqttv311", "mqttv5"];
const ON = { enabled: true };
/** Its time has passed whenever the test runs: today's check is made at the start. */
const TODAY = { enabled: true, at: "0 0 * * *", spreadMs: 0 };

interface Known extends MessageKind {
  name: string;
  fits: RegExp;
}
const KNOWN: readonly Known[] = Object.entries<MessageKind>(MESSAGES).map(([name, kind]) => {
  const pattern = kind.topic.replaceAll(/\{\w+\}/g, "[^/]+").replaceAll("/", "\\/");
  return { ...kind, name, fits: new RegExp(`^${pattern}$`) };
});
const kindOf = ({ topic }: Heard): Known | undefined => KNOWN.find(({ fits }) => fits.test(topic));

/** Nested, and graphed by nobody: docs/decisions/0010-documents.md. */
const DOCUMENTS = new Set(["InventoryDocument", "DailyCheck"]);

/** What is wrong with a message by its own schema; a topic that no message of ours has is wrong too. */
function misfits(message: Heard): string[] {
  const kind = kindOf(message);
  if (kind === undefined) return [`${message.topic}: not a topic of the protocol`];
  const read = safeParse(kind.schema, JSON.parse(message.payload));
  return read.success ? [] : [`${message.topic}: ${message.payload}: ${read.error.message}`];
}

/** What dashboards off the shelf would lose of all that was heard, topic by topic. */
function lostByDashboards(heard: readonly Heard[]): string[] {
  const readers = new Map<string, (payload: string) => string[]>();
  return heard.flatMap((message) => {
    const { topic, payload } = message;
    const reader = readers.get(topic) ?? grafanaReader();
    readers.set(topic, reader);
    const name = kindOf(message)?.name;
    if (name !== undefined && DOCUMENTS.has(name)) return [];
    const listed = Object.keys(JSON.parse(payload)); // text and booleans are listed in the shipped Telegraf configuration
    const timed =
      name === "Ack" || name === "Resync" || name === "TicketLogEntry" ? [] : telegrafProblems(payload, listed);
    const figures = name === "Telemetry" ? [...telegrafProblems(payload), ...figureProblems(payload)] : [];
    return [...reader(payload), ...timed, ...figures].map((problem) => `${topic}: ${problem}`);
  });
}

for (const { name, skip, start } of BROKERS) {
  test
    .skipIf(skip || noSubscriber)
    .concurrent(
      `with ${name}, subscribers of MQTT 3.1.1 and 5 understand all that is published`,
      { timeout: 90_000 },
      async () => {
        await using fleet = watchedProcesses(1);
        const [encoder = ""] = fleet.names;
        const code = `process.${encoder}`;
        const checks = { ...fleet.checks, disk: ON, memory: ON, cpu: ON, temperature: ON };
        await using house = await openHouse(await start(), { agent: { checks, daily: TODAY } });
        await using old = await listener(house.broker.port, [`${ROOT}/#`], "mqttv311");
        await using young = await listener(house.broker.port, [`${ROOT}/#`], "mqttv5");

        await fleet.kill(encoder);
        await ticketInState(house.api, code, "新建", 10_000);
        fleet.start(encoder);
        const { no } = await ticketInState(house.api, code, "已恢复", 10_000);
        await fleet.kill(encoder);
        await ticketInState(house.api, code, "重新打开", 10_000);
        for (const version of VERSIONS) await findsRetained(house.broker.port, version, code, String(no));

        const info = ({ topic, payload }: Heard): boolean =>
          topic === topics.info("ft-0042") && payload.includes("packages_hash");
        await old.waitFor(info); // the inventory is taken 20 s after the start
        await old.waitFor(({ topic }) => topic === topics.inventory("ft-0042"));
        await young.waitFor(({ topic }) => topic === topics.inventory("ft-0042"));
        for (const subscriber of [old, young])
          await subscriber.waitFor(({ topic }) => topic === topics.daily("ft-0042"));
        await house.agent.end("SIGTERM");
        const before = young.heard().length;
        house.agent.start();
        const started = ({ topic }: Heard): boolean => topic === topics.event("ft-0042", "agent-start");
        await until("it says that it started", 15_000, () => young.heard().slice(before).some(started));
        await house.agent.end("SIGTERM");
        await house.aggregator.end("SIGTERM");
        await young.waitFor(
          ({ topic, payload }) => topic === topics.aggregator("story") && payload.includes("shutdown"),
        );

        const kinds = new Set(young.heard().map((message) => kindOf(message)?.name));
        const seldom = ["Resync", "InventoryAsk"]; // only sent when something is missing
        const always = Object.keys(MESSAGES).filter((kind) => !seldom.includes(kind));
        expect([...kinds]).toEqual(expect.arrayContaining(always));
        for (const heard of [old.heard(), young.heard()]) {
          expect(heard.flatMap(misfits)).toEqual([]);
          expect(lostByDashboards(heard)).toEqual([]);
        }
      },
    );
}

/** A subscriber that comes late finds how things stand. */
async function findsRetained(port: number, version: MqttVersion, code: string, no: string): Promise<void> {
  const device = "ft-0042";
  const wanted = [
    topics.state(device),
    topics.info(device),
    topics.alarm(device, code),
    topics.ticket(no),
    topics.aggregator("story"),
  ];
  await using late = await listener(port, wanted, version);
  for (const topic of wanted) await late.waitFor((message) => message.topic === topic && message.retained);
}
