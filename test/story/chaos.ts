import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { openJournal } from "../../agent/outbox/journal.ts";
import { openSqliteStore } from "../../aggregator/sqlite-store.ts";
import { verifyTickets } from "../../aggregator/tickets/verify.ts";
import { systemClock } from "../../platform/clock.ts";
import { folderAt } from "../../platform/files.ts";
import { comparePlaces, type Place } from "../../protocol/boot.ts";
import type { TestBroker } from "../kit/broker.ts";
import { silentLog } from "../kit/logs.ts";
import { type Api, agentProgram, aggregatorProgram, type Program, type Row, until } from "../kit/stack.ts";
import { tempFolder } from "../kit/temp.ts";
import { type WatchedProcesses, watchedProcesses } from "../kit/watched.ts";

/** Kills all programs again and again at random moments while real faults come and go: what is left must be exact. */

export interface ChaosPlan {
  /** The same seed draws the same order of faults and the same pauses; the machine's own timing stays its own. */
  seed: number;
  /** Watched processes of each of the two devices (the configuration takes 100). */
  subjects: number;
  /** `kill -9` of each program. */
  kills: number;
  /** Pause before a kill, drawn between these. */
  pauseMs: readonly [number, number];
}

export interface ChaosReport {
  /** What was not as it must be; none is good. */
  violations: string[];
  changes: number;
  kills: number;
  tickets: number;
  tookMs: number;
}

const DEVICES = ["chaos-a", "chaos-b"] as const;
/** The programs may need so long to agree once they are left alone: a lost message is asked for or sent again. */
const SETTLE_MS = 90_000;

/** Reproducible random numbers in [0, 1) (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function shuffled<T>(list: readonly T[], random: () => number): T[] {
  const order = list.map((item) => ({ item, at: random() }));
  return order.sort((a, b) => a.at - b.at).map(({ item }) => item);
}

/** Something that is killed and comes back. */
interface Victim {
  kill9(): Promise<unknown>;
  restart(): unknown;
}

/** Runs the whole thing against `broker`, which stays the caller's. */
export async function chaos(
  broker: TestBroker,
  plan: ChaosPlan,
  say: (line: string) => void = () => {},
): Promise<ChaosReport> {
  const began = performance.now();
  const random = randomOf(plan.seed);
  using folder = tempFolder("vigil-chaos");
  await using fleet = watchedProcesses(2 * plan.subjects, "chaos");
  const { names: all } = fleet;
  const names = new Map(DEVICES.map((device, i) => [device, all.slice(i * plan.subjects, (i + 1) * plan.subjects)]));

  const { program: aggregator, api } = await aggregatorProgram(folder.path, broker.port);
  await using desk = aggregator;
  await using a = agentOf(folder.path, broker.port, "chaos-a", names.get("chaos-a") ?? []);
  await using b = agentOf(folder.path, broker.port, "chaos-b", names.get("chaos-b") ?? []);
  for (const program of [desk, a, b]) program.start();
  await settled(api, fleet, names);

  const victims: Victim[] = [
    { kill9: () => broker.kill9(), restart: () => broker.restart() },
    ...[desk, a, b].map((one) => ({ kill9: () => one.end("SIGKILL"), restart: () => one.start() })),
  ];
  const half = shuffled(all, random).slice(0, Math.ceil(all.length / 2));
  const waves: [string, readonly string[], (name: string) => unknown][] = [
    ["every process dies", all, (name) => fleet.kill(name)],
    ["every process comes back", all, (name) => fleet.start(name)],
    ["half of them die again", half, (name) => fleet.kill(name)],
  ];
  for (const [index, [title, subjects, change]] of waves.entries()) {
    const share =
      Math.floor((plan.kills * (index + 1)) / waves.length) - Math.floor((plan.kills * index) / waves.length);
    await wave(shuffled(subjects, random), change, victims, { ...plan, kills: share }, random);
    const took = await settled(api, fleet, names);
    say(`${title}: ${subjects.length} changes, ${share} kills of each; all agree after ${Math.round(took)} ms`);
  }

  for (const device of DEVICES) await acknowledged(api, device);
  const tickets = (await api.all("tickets")) ?? [];
  const alarms = (await api.all("alarms")) ?? [];
  const violations = [...wrongTickets(tickets, fleet, names), ...wrongAlarms(alarms, fleet, names)];
  for (const program of [a, b, desk]) await program.end("SIGTERM");
  violations.push(...(await wrongTimelines(join(folder.path, "vigil.db"))));
  for (const device of DEVICES) violations.push(...(await wrongJournal(folder.path, device, alarms)));
  const changes = waves.reduce((sum, [, subjects]) => sum + subjects.length, 0);
  const kills = plan.kills * victims.length;
  return { violations, changes, kills, tickets: tickets.length, tookMs: Math.round(performance.now() - began) };
}

function agentOf(folder: string, port: number, device: string, names: readonly string[]): Program {
  const watch = names.map((name) => ({ name, command: [name, "900"] }));
  return agentProgram(folder, port, {
    device,
    rounds: { fastMs: 500, slowMs: 1_000 },
    checks: { process: { holdOffMs: 0, watch }, self: { holdOnMs: 3_600_000 } },
  });
}

/** Changes spread over the time in which every victim is killed its times, each at its own moments. */
async function wave(
  subjects: readonly string[],
  change: (name: string) => unknown,
  victims: readonly Victim[],
  { kills, pauseMs: [least, most] }: ChaosPlan,
  random: () => number,
): Promise<void> {
  const pauses = victims.map(() =>
    Array.from({ length: kills }, () => [least + random() * (most - least), random() * 800]),
  );
  const lastsMs = Math.max(...pauses.map((list) => list.flat().reduce((sum, ms) => sum + ms, 0)));
  const moments = subjects.map(() => random() * lastsMs).sort((x, y) => x - y);
  const begin = performance.now();
  const changing = (async () => {
    for (const [index, name] of subjects.entries()) {
      await wait(Math.max(0, begin + (moments[index] ?? 0) - performance.now()));
      await change(name);
    }
  })();
  const killing = victims.map(async (victim, index) => {
    for (const [before = 0, down = 0] of pauses[index] ?? []) {
      await wait(before);
      await victim.kill9();
      await wait(down);
      await victim.restart();
    }
  });
  await Promise.all([changing, ...killing]);
}

type Names = ReadonlyMap<string, readonly string[]>;
const codeOf = (name: string): string => `process.${name}`;
const keyOf = ({ device, code }: Row): string => `${String(device)}/${String(code)}`;

/** Waits until devices, alarms and tickets are as the processes are. Returns how long that took. */
async function settled(api: Api, fleet: WatchedProcesses, names: Names): Promise<number> {
  const began = performance.now();
  let last = "";
  const question = async (): Promise<boolean> => {
    const [devices, alarms, tickets] = await Promise.all([api.all("devices"), api.all("alarms"), api.all("tickets")]);
    if (devices === undefined || alarms === undefined || tickets === undefined) return false;
    const offline = [...names.keys()].filter(
      (id) => !devices.some((device) => device["id"] === id && device["online"] === true),
    );
    const wrong = [...offline, ...wrongAlarms(alarms, fleet, names), ...unsettledTickets(tickets, fleet)];
    last = wrong.slice(0, 10).join("; ");
    return wrong.length === 0;
  };
  await until("all agree", SETTLE_MS, question).catch((cause: unknown) => {
    throw new Error(`not settled within ${SETTLE_MS} ms: ${last}`, { cause });
  });
  return performance.now() - began;
}

/** Waits until the device itself tells that nothing of it waits any more: what was lost is asked for, or sent again. */
async function acknowledged(api: Api, device: string): Promise<void> {
  const from = Date.now();
  await until(`${device} has its acks`, SETTLE_MS, async () => {
    const outbox = await api.telemetry(device, "self.outbox");
    return Number(outbox?.["ts"]) > from && outbox?.["pending_count"] === 0;
  });
}

/** Alarms that do not say what their process is, and any that should not be active. */
function wrongAlarms(alarms: readonly Row[], fleet: WatchedProcesses, names: Names): string[] {
  const active = new Set(alarms.filter((alarm) => alarm["active"] === true).map(keyOf));
  const wanted = new Set(
    [...names].flatMap(([device, list]) =>
      list.filter((name) => !fleet.lives(name)).map((name) => keyOf({ device, code: codeOf(name) })),
    ),
  );
  return [
    ...[...wanted.difference(active)].map((key) => `${key}: dead, but no alarm is active`),
    ...[...active.difference(wanted)].map((key) => `${key}: active, but nothing is wrong`),
  ];
}

function unsettledTickets(tickets: readonly Row[], fleet: WatchedProcesses): string[] {
  return tickets.flatMap(({ code, state }) => {
    const lives = fleet.lives(String(code).slice("process.".length));
    return lives === (state === "已恢复") ? [] : [`ticket of ${String(code)} is ${String(state)}`];
  });
}

/** One ticket for each fault there was, and none beside. */
function wrongTickets(tickets: readonly Row[], fleet: WatchedProcesses, names: Names): string[] {
  const wanted = new Set(
    [...names].flatMap(([device, list]) => list.map((name) => keyOf({ device, code: codeOf(name) }))),
  );
  const found = tickets.map(keyOf);
  const twice = found.filter((key, index) => found.indexOf(key) !== index);
  return [
    ...[...wanted.difference(new Set(found))].map((key) => `${key}: a fault without a ticket`),
    ...[...new Set(found).difference(wanted)].map((key) => `${key}: a ticket without a fault`),
    ...twice.map((key) => `${key}: two tickets of one fault`),
    ...unsettledTickets(tickets, fleet),
  ];
}

/** Every timeline must be whole, and every ticket the fold of its timeline. */
export async function wrongTimelines(file: string): Promise<string[]> {
  await using store = openSqliteStore({ file });
  return (await verifyTickets(store.reading)).map(
    ({ ticket, id, because }) => `${ticket} entry ${id ?? "-"}: ${because}`,
  );
}

/** The device must be rid of everything, and its own last word on each alarm must be the one that is known. */
async function wrongJournal(folder: string, device: string, alarms: readonly Row[]): Promise<string[]> {
  const state = folderAt(join(folder, `${device}-state`));
  await using journal = await openJournal({ folder: state, clock: systemClock, log: silentLog, maxBytes: 4_194_304 });
  const pending = journal.pending().map(({ kind, code }) => `${device}: ${kind} ${code} was never acknowledged`);
  const known = new Map(alarms.map((alarm) => [keyOf(alarm), alarm]));
  const other = journal
    .latest()
    .filter(({ code, body }) => !says(known.get(keyOf({ device, code })), body))
    .map(({ code }) => `${device}: another word on ${code} is known than the device's last`);
  return [...pending, ...other];
}

/** Whether what is known is the device's last word: that record itself, or a later state that lists the alarm no more. */
function says(known: Row | undefined, last: Place & { active: boolean }): boolean {
  if (known === undefined || known["active"] !== last.active) return false;
  const order = comparePlaces({ boot: String(known["boot"]), seq: Number(known["seq"]) }, last);
  return order === 0 || (order > 0 && !last.active);
}
