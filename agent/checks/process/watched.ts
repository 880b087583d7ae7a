import type { Machine, Source } from "../../../platform/machine.ts";
import { Failure } from "../../../protocol/failure.ts";
import { isDead, isNonZeroDigit, type ProcStat, parseStat } from "./stat.ts";

/** A process we follow. Its start time tells it from a later one with the same pid. */
export interface Known {
  readonly pid: number;
  readonly startTicks: number;
  /** Its statm, held open: it ends with the process, whoever gets the pid. */
  readonly pulse: Source;
}

/** How many processes a watch asks for, and what counts as a restart loop. */
export interface Wanted {
  min: number;
  max?: number | undefined;
  restarts: { raise: number; withinMs: number };
}

const RESCAN_MS = 10_000;
const LOOK_EVERY_ROUND_MS = 60_000;
const LOOK_SELDOM_MS = 5_000;
const MOST_FOLLOWED = 256;

/** The processes of one watch from round to round: who lives, who was lost, how often it was started again. */
export class Watched {
  readonly #machine: Machine;
  readonly #wanted: Wanted;
  /** A unit's control group is cheap to ask again; the whole of /proc is not. */
  readonly #cheapToFind: boolean;
  readonly #known = new Map<number, Known>();
  #main: Pick<Known, "pid" | "startTicks"> | undefined;
  #restartsAtMs: number[] = [];
  #foundAtMs: number | undefined;
  #shortSinceMs: number | undefined;
  #fellShort = false;
  #lostSome = false;
  #overFinds = 0;
  #looping = false;
  /** Whether it ran at all since we look. */
  seen = false;
  /** How many of those lost last were zombies. */
  zombies = 0;

  constructor(machine: Machine, wanted: Wanted, cheapToFind: boolean) {
    this.#machine = machine;
    this.#wanted = wanted;
    this.#cheapToFind = cheapToFind;
  }
  get known(): readonly Known[] {
    return [...this.#known.values()];
  }
  get alive(): number {
    return this.#known.size;
  }
  /** More than allowed, seen twice: a child between fork and exec looks like its parent for a moment. */
  get tooMany(): boolean {
    return this.#overFinds >= 2;
  }
  /** The oldest process: the one the others descend from. */
  get main(): Known | undefined {
    return this.#main === undefined ? undefined : this.#known.get(this.#main.pid);
  }

  /** Asks every followed process whether it still lives and forgets the others; whether all did. Throws Failure MACHINE_READ. */
  followUp(nowMs: number): boolean {
    const before = this.alive;
    if (before > 0) this.zombies = 0;
    for (const process of this.#known.values()) if (!beats(process.pulse)) this.#follow(process);
    this.#noteShort(nowMs);
    return this.alive === before;
  }

  /** The first thread of a process may end before the others: then it is a zombie without memory, and yet alive. */
  #follow(process: Known): void {
    const stat = this.#stat(process.pid);
    const same = stat?.startTicks === process.startTicks;
    if (stat !== undefined && same && !isDead(stat)) return;
    if (same) this.zombies += 1;
    this.#forget(process);
    this.#lostSome = true;
    this.#fellShort ||= this.alive < this.#wanted.min;
  }

  /** Whether the processes should be searched for in this round: always when one is missed, seldom to count them. */
  mustFind(nowMs: number): boolean {
    if (this.#foundAtMs === undefined) return true;
    if (this.#shortSinceMs !== undefined)
      return nowMs - this.#shortSinceMs < LOOK_EVERY_ROUND_MS || nowMs - this.#foundAtMs >= LOOK_SELDOM_MS;
    return nowMs >= this.calmUntilMs;
  }

  /** They need not be searched for before, monotonic ms, as long as they all live. */
  get calmUntilMs(): number {
    if (this.#foundAtMs === undefined || this.#shortSinceMs !== undefined) return Number.NEGATIVE_INFINITY;
    const mainLost = this.#main !== undefined && this.main === undefined;
    if (this.#overFinds > 0 || mainLost) return Number.NEGATIVE_INFINITY;
    const counts = this.#lostSome || this.#cheapToFind || this.#wanted.max !== undefined;
    return counts ? this.#foundAtMs + RESCAN_MS : Number.POSITIVE_INFINITY;
  }

  /** Takes what a search found as the whole truth; whether it is another one than before. Throws Failure MACHINE_READ. */
  found(pids: readonly number[], nowMs: number): boolean {
    const first = this.#foundAtMs === undefined;
    const before = this.alive;
    const earlier = this.#main;
    const fellShort = this.#fellShort;
    const fresh = this.#adopt(new Set(pids));
    const mainLost = earlier !== undefined && this.#known.get(earlier.pid)?.startTicks !== earlier.startTicks;
    this.#chooseMain();
    if ((mainLost && this.alive > 0) || (earlier !== undefined && fellShort && fresh > 0))
      this.#restartsAtMs.push(nowMs);
    if (this.alive > 0) this.seen = true;
    this.#foundAtMs = nowMs;
    this.#lostSome = false;
    this.#overFinds = this.alive > (this.#wanted.max ?? Number.POSITIVE_INFINITY) ? this.#overFinds + 1 : 0;
    if (fresh > 0) this.#fellShort = false;
    this.#noteShort(nowMs);
    return first || fresh > 0 || this.alive !== before || this.#overFinds > 0;
  }

  /** Restarts within the window that ends now, and whether they are a loop: one that was stays one until the window is quiet. */
  restarts(nowMs: number): { count: number; loop: boolean } {
    const { raise, withinMs } = this.#wanted.restarts;
    this.#restartsAtMs = this.#restartsAtMs.filter((at) => nowMs - at < withinMs);
    const count = this.#restartsAtMs.length;
    this.#looping = count >= raise || (this.#looping && count > 0);
    return { count, loop: this.#looping };
  }

  close(): void {
    for (const process of this.#known.values()) this.#forget(process);
  }

  #adopt(pids: ReadonlySet<number>): number {
    for (const process of this.#known.values()) if (!pids.has(process.pid)) this.#forget(process);
    let fresh = 0;
    for (const pid of pids) {
      if (this.#known.has(pid) || this.#known.size >= MOST_FOLLOWED) continue;
      const process = this.#meet(pid);
      if (process === undefined) continue;
      this.#known.set(pid, process);
      fresh += 1;
    }
    return fresh;
  }
  /** Undefined where it is dead. Whatever comes of it, no file stays open that nobody knows of. */
  #meet(pid: number): Known | undefined {
    const pulse = this.#machine.source(`/proc/${pid}/statm`);
    let met: Known | undefined;
    try {
      pulse.first(); // opened before it is known who it is: from then on it is nobody else's
      const stat = this.#stat(pid);
      if (stat !== undefined && !isDead(stat)) met = { pid, startTicks: stat.startTicks, pulse };
      return met;
    } finally {
      if (met === undefined) pulse.close();
    }
  }
  #stat(pid: number): ProcStat | undefined {
    const text = this.#machine.read(`/proc/${pid}/stat`);
    return text === undefined ? undefined : statOf(text);
  }
  /** A main that is gone stays named until another runs: its successor is then a restart. */
  #chooseMain(): void {
    let oldest: Known | undefined;
    for (const process of this.#known.values()) if (oldest === undefined || older(process, oldest)) oldest = process;
    if (oldest !== undefined) this.#main = { pid: oldest.pid, startTicks: oldest.startTicks };
  }
  #noteShort(nowMs: number): void {
    this.#shortSinceMs = this.alive < this.#wanted.min ? (this.#shortSinceMs ?? nowMs) : undefined;
  }
  #forget(process: Known): void {
    process.pulse.close();
    this.#known.delete(process.pid);
  }
}

/**
 * Whether a process has memory of its own, by its statm: then it is alive. One without may be dead. Asking for its stat
 * would cost twice as much, once a second for years. Throws Failure MACHINE_READ.
 */
export const beats = (pulse: Source): boolean => isNonZeroDigit(pulse.first());

const older = (a: Known, b: Known): boolean =>
  a.startTicks < b.startTicks || (a.startTicks === b.startTicks && a.pid < b.pid);

function statOf(text: string): ProcStat {
  const stat = parseStat(text);
  if (stat === undefined) throw new Failure("MACHINE_READ", "a process's stat is not as the kernel writes it");
  return stat;
}
