import { join } from "node:path";
import { connectAsync } from "mqtt";
import { systemClock } from "../platform/clock.ts";
import { slug, topics } from "../protocol/topics.ts";
import { tempFolder } from "../test/kit/temp.ts";
import { Aggregator } from "./aggregator.ts";
import { bench, median, round, tell } from "./bench.ts";
import { makeGroup } from "./cgroup.ts";
import { Services } from "./services.ts";
import { install, loopbackOnly, startTlsBroker } from "./shipped.ts";

const DEVICE = "bench-detect";
/** First rounds, the inventory and the birth are over by then. */
const SETTLE_MS = 25_000;

export const detect = bench({
  asks: "How long from the death of a watched process to its MQTT event, and to its ticket?",
  minutes: 2,
  options: { kills: 20 },
  async run({ kills }) {
    using folder = tempFolder("detect");
    using services = new Services(folder.path, kills); // each dies once: a process killed again and again is a fault of its own
    await using broker = await startTlsBroker(folder.path);
    using _aggregator = await Aggregator.start(join(folder.path, "aggregator"), broker.plainPort);
    const own = join(folder.path, "agent");
    const { argv, env } = install("agent", own, {
      device: DEVICE,
      brokers: [broker.asTls(DEVICE)],
      stateDir: join(own, "state"),
      runtimeDir: join(own, "run"),
      checks: { ...loopbackOnly, process: { watch: services.watch } },
    });
    using group = makeGroup("detect");
    group.start(argv, join(own, "log"), env);
    await using ear = await listen(broker.plainPort, DEVICE);
    tell(`${SETTLE_MS / 1000} s to settle`);
    await systemClock.sleep(SETTLE_MS);

    const rows: { eventMs: number; ticketMs: number }[] = [];
    for (const name of services.names) {
      await systemClock.sleep(1_000 + 2_000 * Math.random());
      const event = ear.first(topics.alarm(DEVICE, `process.${slug(name)}`), /"active":true/);
      const ticket = ear.first(topics.ticket(""), new RegExp(`process\\.${slug(name)}\\b`));
      const killed = systemClock.now();
      services.kill(name);
      rows.push({ eventMs: (await event) - killed, ticketMs: (await ticket) - killed });
    }
    const events = rows.map(({ eventMs }) => eventMs);
    const tickets = rows.map(({ ticketMs }) => ticketMs);
    const seconds = (ms: number): number => round(ms / 1000, 3);
    return {
      figures: [
        { figure: "process death to MQTT event, median", measured: seconds(median(events)), unit: "s", atMost: 0.6 },
        { figure: "… most", measured: seconds(Math.max(...events)), unit: "s", atMost: 1.2 },
        { figure: "process death to ticket, median", measured: seconds(median(tickets)), unit: "s" },
        { figure: "… most", measured: seconds(Math.max(...tickets)), unit: "s" },
        {
          figure: "MQTT event to ticket, median",
          measured: seconds(median(rows.map((row) => row.ticketMs - row.eventMs))),
          unit: "s",
        },
      ],
      eventMs: events.map((ms) => round(ms, 0)),
      ticketMs: tickets.map((ms) => round(ms, 0)),
    };
  },
});

/** A subscriber that notes when a message was heard. */
export async function listen(port: number, device: string, patienceMs = 30_000) {
  const client = await connectAsync({ host: "127.0.0.1", port, protocolVersion: 5 });
  const waiting = new Set<{ topic: string; says: RegExp; heard(at: number): void }>();
  client.on("message", (topic, payload) => {
    const at = systemClock.now();
    for (const one of waiting) {
      if (!topic.startsWith(one.topic) || !one.says.test(payload.toString())) continue;
      waiting.delete(one);
      one.heard(at);
    }
  });
  await client.subscribeAsync(["alm/+"].map((branch) => `vigil/v1/d/${device}/${branch}`).concat(topics.ticket("+")), {
    qos: 1,
  });
  return {
    /** When a message on a topic that begins so says this. */
    first: (topic: string, says: RegExp): Promise<number> =>
      new Promise((heard, failed) => {
        const enough = new AbortController();
        waiting.add({ topic, says, heard: (at) => [enough.abort(), heard(at)] });
        const late = () => failed(new Error(`nothing on ${topic} within ${patienceMs / 1000} s`));
        systemClock.sleep(patienceMs, enough.signal).then(late, () => {});
      }),
    [Symbol.asyncDispose]: () => client.endAsync(),
  };
}
