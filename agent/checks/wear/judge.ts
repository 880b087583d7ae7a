import * as z from "zod/mini";
import type { Slot } from "../../../platform/slot.ts";
import { type CheckPorts, type Judge, Latch, type Verdict, worstOf, worstYet } from "../check.ts";
import { inTurns, type Turns } from "../turns.ts";
import { diskConditions, fsConditions } from "./conditions.ts";
import { type Disk, findDisks, readDisk, readExt4 } from "./disks.ts";
import { askSmart, SmartFacts } from "./smart.ts";
import type { WearConfig } from "./wear.ts";

const DAY_MS = 86_400_000;
const LEAST_SPAN_MS = 3_000_000;
const SMART_DEADLINE_MS = 40_000;
const SLOT = "wear";

/** Watches every disk and every ext4 file system of the machine; what smartctl tells is asked once a day in between. */
export function openWear(config: WearConfig, ports: CheckPorts): Judge {
  const { machine, clock } = ports;
  const states = new Map<string, DiskState>();
  const slot = ports.keep?.slot(SLOT);
  const smart = keptFacts(slot);
  const disks = findDisks(machine);
  const turns = config.smart === "off" ? undefined : smartTurns(config, ports, disks, smart, slot);

  function look(untold: readonly Verdict[]): readonly Verdict[] {
    const { ignore } = config;
    const found = findDisks(machine).filter(({ name }) => !ignore.includes(name));
    const known = new Set(found.map(({ name }) => name));
    for (const name of states.keys()) if (!known.has(name)) states.delete(name);
    const verdicts = found.map((disk): Verdict => {
      const state = states.get(disk.name) ?? new DiskState();
      states.set(disk.name, state);
      const facts = readDisk(machine, disk);
      const { errorsPerDay, writtenPerDayBytes } = state.rates(facts, clock.now());
      const seen = { facts, smart: smart.get(disk.name), errorsPerDay, writtenPerDayBytes, wallMs: clock.wall() };
      // errors are counted from our start
      const unmeasured = facts.errors !== undefined && errorsPerDay === undefined ? ["errors"] : [];
      return worstYet(disk.name, diskConditions(config, seen), unmeasured, state.latch);
    });
    const filesystems = readExt4(machine)
      .filter(({ name }) => !ignore.includes(name) && !known.has(name))
      .map((one): Verdict => worstOf(one.name, [fsConditions(one, clock.wall())]));
    return [...verdicts, ...filesystems, ...untold.filter(({ subject }) => known.has(subject))];
  }

  return {
    judge(signal) {
      const asked = turns?.judge(signal) ?? [];
      return asked instanceof Promise ? asked.then(look) : look(asked);
    },
    close() {
      turns?.close();
      slot?.close();
    },
  };
}

const Facts = z.array(z.tuple([z.string(), SmartFacts]));

/** What each disk told last, kept over a restart of the agent: it may sleep just then, and is as bad as it was. */
function keptFacts(slot: Slot | undefined): Map<string, SmartFacts> {
  try {
    const kept = z.safeParse(Facts, JSON.parse(slot?.read() ?? "[]"));
    return new Map(kept.success ? kept.data : []);
  } catch {
    return new Map();
  }
}

function keepFacts(slot: Slot | undefined, smart: ReadonlyMap<string, SmartFacts>): void {
  try {
    slot?.write(JSON.stringify([...smart]));
  } catch {
    // /run is full: a disk that sleeps at our next start tells nothing till it wakes
  }
}

function smartTurns(
  config: WearConfig,
  ports: CheckPorts,
  disks: readonly Disk[],
  smart: Map<string, SmartFacts>,
  slot: Slot | undefined,
): Turns {
  const { clock, random, redact } = ports;
  const asked = disks.filter(({ name, kind }) => kind === "other" && !config.ignore.includes(name));
  const turns = asked.map(({ name }) => ({
    subject: name,
    everyMs: config.smartEveryMs,
    deadlineMs: SMART_DEADLINE_MS,
    async ask(signal: AbortSignal): Promise<Verdict[]> {
      try {
        const facts = await askSmart(ports, name, signal);
        if (facts !== undefined) {
          smart.set(name, facts);
          keepFacts(slot, smart);
        } else if (config.smart === "on") throw new Error("smartctl is not installed: apt-get install smartmontools");
        return [];
      } catch (cause) {
        if (config.smart === "auto") return []; // what was told before stands
        throw cause;
      }
    },
  }));
  return inTurns(turns, { clock, random, redact, atOnce: 1, waitMs: config.deadlineMs * 0.9 });
}

interface Counted {
  errors?: number;
  writtenBytes?: number;
}

/** One disk from look to look. */
class DiskState {
  readonly latch = new Latch();
  #looks: ({ atMs: number } & Counted)[] = [];

  /** Per day, over the last day at most; undefined in the first hour, and after a counter began anew. */
  rates(
    { errors, writtenBytes }: Counted,
    nowMs: number,
  ): { errorsPerDay: number | undefined; writtenPerDayBytes: number | undefined } {
    const now = {
      atMs: nowMs,
      ...(errors === undefined ? {} : { errors }),
      ...(writtenBytes === undefined ? {} : { writtenBytes }),
    };
    this.#looks = [...this.#looks.filter(({ atMs }) => nowMs - atMs <= DAY_MS), now];
    const first = this.#looks[0];
    const spanMs = nowMs - (first?.atMs ?? nowMs);
    const rate = (before: number | undefined, after: number | undefined): number | undefined => {
      if (before === undefined || after === undefined || spanMs < LEAST_SPAN_MS || after < before) return undefined;
      return ((after - before) / spanMs) * DAY_MS;
    };
    return {
      // what came is counted, not multiplied: three errors in the first hour are no 72 a day
      errorsPerDay: rate(first?.errors, errors) === undefined ? undefined : (errors ?? 0) - (first?.errors ?? 0),
      writtenPerDayBytes: rate(first?.writtenBytes, writtenBytes),
    };
  }
}
