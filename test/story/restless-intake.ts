import { setTimeout as wait } from "node:timers/promises";
import { connectAsync, type MqttClient } from "mqtt";
import { nextBoot, type Place } from "../../protocol/boot.ts";
import type { AlarmChange, DeviceState } from "../../protocol/from-device.ts";
import { Ack } from "../../protocol/to-device.ts";
import { topics } from "../../protocol/topics.ts";
import { alarmChange } from "../kit/alarm-change.ts";
import type { TestBroker } from "../kit/broker.ts";
import { aggregatorProgram, type Row, until } from "../kit/stack.ts";
import { tempFolder } from "../kit/temp.ts";
import { type ChaosReport, randomOf, shuffled, wrongTimelines } from "./chaos.ts";

/** Records straight into the intake, in no order and some of them again, while the aggregator is killed: nothing may double. */

export interface IntakePlan {
  seed: number;
  faults: number;
  /** Share of records that are sent twice or more. */
  repeats: number;
  /** `kill -9` of the aggregator. */
  kills: number;
}

const DEVICE = "restless";

interface Recorded {
  code: string;
  body: AlarmChange;
}

/** What a device would tell of so many faults: each raised and cleared, every second raised again. */
function recorded(faults: number, random: () => number): Recorded[] {
  const boot = nextBoot(Date.UTC(2026, 10, 22), new Uint8Array(10));
  const codes = Array.from({ length: faults }, (_, index) => `disk.fault-${index}`);
  const lives = codes.map((code, index) =>
    (index % 2 === 0 ? [true, false] : [true, false, true]).map((active) => ({ code, active })),
  );
  const order: { code: string; active: boolean }[] = [];
  for (let left = lives; left.length > 0; left = left.filter((life) => life.length > 0)) {
    const next = left[Math.floor(random() * left.length)]?.shift();
    if (next !== undefined) order.push(next);
  }
  return order.map(({ code, active }, index) => {
    const seq = index + 1;
    return { code, body: { ...alarmChange(code, active, seq).body, boot, seq, ts: seq } };
  });
}

/** Runs it against `broker`, which stays the caller's. */
export async function restlessIntake(broker: TestBroker, plan: IntakePlan): Promise<ChaosReport> {
  const began = performance.now();
  const random = randomOf(plan.seed);
  using folder = tempFolder("vigil-restless");
  const { program, api } = await aggregatorProgram(folder.path, broker.port);
  await using aggregator = program;
  aggregator.start();
  await until("the aggregator answers", 20_000, () => api.all("tickets"));

  const records = recorded(plan.faults, random);
  const device = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, { protocolVersion: 5, clientId: DEVICE });
  try {
    await sendAll(device, records, plan, random, async () => {
      await aggregator.end("SIGKILL");
      await wait(random() * 500);
      aggregator.start();
    });
  } finally {
    await device.endAsync(true);
  }
  const violations = await until("the aggregator answers", 20_000, async () => {
    const [tickets, alarms] = [await api.all("tickets"), await api.all("alarms", `&device=${DEVICE}`)];
    return tickets && alarms && [...wrongTickets(tickets, records), ...wrongAlarms(alarms, records)];
  });
  const tickets = (await api.all("tickets"))?.filter(({ device: of }) => of === DEVICE).length ?? 0;
  await aggregator.end();
  violations.push(...(await wrongTimelines(`${folder.path}/vigil.db`)));
  const tookMs = Math.round(performance.now() - began);
  return { violations, changes: records.length, kills: plan.kills, tickets, tookMs };
}

/** Sends what is not acknowledged, shuffled and with repeats, again and again until everything is; kills in between. */
async function sendAll(
  device: MqttClient,
  records: readonly Recorded[],
  { repeats, kills }: IntakePlan,
  random: () => number,
  kill: () => Promise<void>,
): Promise<void> {
  const last = records.at(-1)?.body as Place;
  let [acked, link, isAsked] = [0, 1, false];
  device.on("message", (topic, payload) => {
    if (topic === topics.ack(DEVICE)) acked = Math.max(acked, Ack.parse(JSON.parse(payload.toString())).seq);
    else isAsked = true;
  });
  await device.subscribeAsync([topics.ack(DEVICE), topics.command(DEVICE, "+")], { qos: 1 });
  await say(device, topics.state(DEVICE), birth({ boot: last.boot, seq: 0 }, link, []));
  const every = Math.ceil((records.length * (1 + repeats)) / (kills + 1));
  let [sent, killed] = [0, 0];
  await until("everything is acknowledged", 120_000, async () => {
    const pending = records.filter(({ body }) => body.seq > acked);
    const twice = pending.filter(() => random() < repeats);
    for (const { code, body } of shuffled([...pending, ...twice], random)) {
      await say(device, topics.alarm(DEVICE, code), body);
      sent += 1;
      if (killed < kills && sent >= (killed + 1) * every) {
        killed += 1;
        await kill();
      }
    }
    if (isAsked) {
      [isAsked, link] = [false, link + 1];
      await say(device, topics.state(DEVICE), birth(last, link, records));
    }
    await wait(300);
    return acked >= last.seq && killed >= kills;
  });
}

/** The state that closes a telling of everything up to `place`. */
function birth({ boot, seq }: Place, link: number, records: readonly Recorded[]): DeviceState {
  const last = new Map(records.map(({ code, body }) => [code, body.active]));
  const active = [...last].filter(([, isActive]) => isActive).map(([code]) => code);
  return {
    online: true,
    boot,
    seq,
    ts: seq,
    reason: "birth",
    agent: "test",
    link,
    heartbeat_s: 3_600,
    active: active.join(" "),
  };
}

const say = (device: MqttClient, topic: string, body: object): Promise<unknown> =>
  device.publishAsync(topic, JSON.stringify(body), { qos: 1, retain: true });

function wrongTickets(tickets: readonly Row[], records: readonly Recorded[]): string[] {
  const wanted = new Set(records.map(({ code }) => code));
  const found = tickets.filter(({ device }) => device === DEVICE).map(({ code }) => String(code));
  return [
    ...[...wanted.difference(new Set(found))].map((code) => `${code}: a fault without a ticket`),
    ...[...new Set(found).difference(wanted)].map((code) => `${code}: a ticket without a fault`),
    ...found.filter((code, index) => found.indexOf(code) !== index).map((code) => `${code}: two tickets of one fault`),
  ];
}

/** Every alarm must be as the last record of its code by place says. */
function wrongAlarms(alarms: readonly Row[], records: readonly Recorded[]): string[] {
  const last = new Map(records.map(({ code, body }) => [code, body]));
  const known = new Map(alarms.map((alarm) => [String(alarm["code"]), alarm]));
  return [...last].flatMap(([code, { active, seq }]) => {
    const row = known.get(code);
    return row?.["active"] === active && row["seq"] === seq
      ? []
      : [`${code}: ${row === undefined ? "not known" : `known at ${String(row["seq"])}`}, the last is ${seq}`];
  });
}
