import type { Machine } from "../../../platform/machine.ts";
import { Failure } from "../../../protocol/failure.ts";
import { Trail } from "../trend.ts";
import { parseOpenFilesLimit, parseStat, residentPages } from "./stat.ts";
import type { Known } from "./watched.ts";

/** Clock ticks a second in /proc: 100 on every machine we know, whatever the kernel's own tick. */
export const TICKS_PER_S = 100;
const MOST_MEASURED = 32;
const GROWTH_SAMPLE_MS = 300_000;

export interface Figures {
  rssBytes?: number;
  growthBytesPerHour?: number;
  cpuPct?: number;
  fds?: number;
  growthFdsPerHour?: number;
  /** Open files of the fullest process, in percent of its own limit. */
  fdsPct?: number;
  fdsLimit?: number;
}

export interface Pace {
  figuresEveryMs: number;
  descriptorsEveryMs: number;
  growthWindowMs: number;
}

/** What one watch's processes use, measured at its own slow pace: these reads cost more than the question who lives. */
export class ProcessFigures {
  readonly #machine: Machine;
  readonly #pace: Pace;
  readonly #pageBytes: number | undefined;
  readonly #growth: Trail;
  readonly #fdsGrowth: Trail;
  #fdsSampledAtMs = Number.NEGATIVE_INFINITY;
  #sampledAtMs = Number.NEGATIVE_INFINITY;
  #figuresAtMs = Number.NEGATIVE_INFINITY;
  #descriptorsAtMs = Number.NEGATIVE_INFINITY;
  #ticks = new Map<number, number>();
  #used: Figures = {};
  #open: Figures = {};

  /** `page`: bytes of a page of memory on this machine; without, resident memory is not told. */
  constructor(machine: Machine, pace: Pace, page: number | undefined) {
    this.#machine = machine;
    this.#pace = pace;
    this.#pageBytes = page;
    this.#growth = new Trail(pace.growthWindowMs);
    this.#fdsGrowth = new Trail(pace.growthWindowMs);
  }

  /** Another process took over: what was measured was not its. */
  reset(): void {
    this.#growth.clear();
    this.#fdsGrowth.clear();
    this.#fdsSampledAtMs = Number.NEGATIVE_INFINITY;
    this.#used = {};
    this.#open = {};
    this.#figuresAtMs = this.#descriptorsAtMs = this.#sampledAtMs = Number.NEGATIVE_INFINITY;
  }

  /** When something is to be measured again, monotonic ms. */
  get dueAtMs(): number {
    const { figuresEveryMs, descriptorsEveryMs } = this.#pace;
    return Math.min(this.#figuresAtMs + figuresEveryMs, this.#descriptorsAtMs + descriptorsEveryMs);
  }

  /**
   * Measures resident memory where that alone is due; whether it is still below `raise` (bytes) then, and everything else
   * as it was. Throws Failure MACHINE_READ.
   */
  staysBelow(raise: number, processes: readonly Known[], nowMs: number): boolean {
    if (nowMs < this.dueAtMs) return true;
    if (nowMs - this.#descriptorsAtMs >= this.#pace.descriptorsEveryMs) return false;
    const { growthBytesPerHour } = this.#used;
    this.#measure(processes.slice(0, MOST_MEASURED), nowMs);
    return this.#used.growthBytesPerHour === growthBytesPerHour && (this.#used.rssBytes ?? 0) < raise;
  }

  /** The figures as last measured, renewed where it is time. Throws Failure MACHINE_READ. */
  of(processes: readonly Known[], nowMs: number): Figures {
    const measured = processes.slice(0, MOST_MEASURED);
    if (nowMs - this.#descriptorsAtMs >= this.#pace.descriptorsEveryMs) {
      const cpuPct = this.#cpu(measured, nowMs);
      this.#descriptorsAtMs = nowMs;
      this.#open = { ...this.#descriptors(measured, nowMs), ...(cpuPct === undefined ? {} : { cpuPct }) };
    }
    if (nowMs - this.#figuresAtMs >= this.#pace.figuresEveryMs) this.#measure(measured, nowMs);
    return { ...this.#used, ...this.#open };
  }

  #measure(processes: readonly Known[], nowMs: number): void {
    let rssBytes: number | undefined;
    for (const { pulse } of processes) {
      const pages = residentPages(pulse.read() ?? "");
      if (pages !== undefined && this.#pageBytes !== undefined) rssBytes = (rssBytes ?? 0) + pages * this.#pageBytes;
    }
    this.#figuresAtMs = nowMs;
    if (rssBytes !== undefined && nowMs - this.#sampledAtMs >= this.#sampleEveryMs) {
      this.#growth.add(nowMs, rssBytes);
      this.#sampledAtMs = nowMs;
    }
    const perMs = this.#growth.rise(0.75);
    this.#used = {
      ...(rssBytes === undefined ? {} : { rssBytes }),
      ...(perMs === undefined ? {} : { growthBytesPerHour: perMs * 3_600_000 }),
    };
  }

  get #sampleEveryMs(): number {
    return Math.min(GROWTH_SAMPLE_MS, this.#pace.growthWindowMs / 12);
  }

  /** Percent of one core, over the processes that lived the whole time. */
  #cpu(processes: readonly Known[], nowMs: number): number | undefined {
    const seconds = (nowMs - this.#descriptorsAtMs) / 1000;
    let used = 0;
    const ticks = new Map<number, number>();
    for (const { pid, startTicks } of processes) {
      const stat = parseStat(this.#machine.read(`/proc/${pid}/stat`) ?? "");
      if (stat?.startTicks !== startTicks) continue;
      ticks.set(pid, stat.cpuTicks);
      used += Math.max(0, stat.cpuTicks - (this.#ticks.get(pid) ?? stat.cpuTicks));
    }
    this.#ticks = ticks;
    return Number.isFinite(seconds) && seconds > 0 ? (100 * used) / TICKS_PER_S / seconds : undefined;
  }

  #descriptors(
    processes: readonly Known[],
    nowMs: number,
  ): Pick<Figures, "fds" | "fdsPct" | "fdsLimit" | "growthFdsPerHour"> {
    const counted: { fds: number; limit: number | undefined }[] = [];
    for (const { pid } of processes) {
      const fds = openFiles(this.#machine, pid);
      if (fds !== undefined)
        counted.push({ fds, limit: parseOpenFilesLimit(this.#machine.read(`/proc/${pid}/limits`) ?? "") });
    }
    if (counted.length === 0) return {};
    const fds = counted.reduce((sum, one) => sum + one.fds, 0);
    if (nowMs - this.#fdsSampledAtMs >= this.#sampleEveryMs) {
      this.#fdsGrowth.add(nowMs, fds);
      this.#fdsSampledAtMs = nowMs;
    }
    const perMs = this.#fdsGrowth.rise(0.75);
    const growth = perMs === undefined ? {} : { growthFdsPerHour: perMs * 3_600_000 };
    const fullest = counted
      .flatMap(({ fds: open, limit }) =>
        limit === undefined ? [] : [{ fdsPct: (100 * open) / limit, fdsLimit: limit }],
      )
      .reduce<Pick<Figures, "fdsPct" | "fdsLimit">>((top, one) => (one.fdsPct > (top.fdsPct ?? -1) ? one : top), {});
    return { fds, ...fullest, ...growth };
  }
}

/** Another user's descriptors may not be listed without the right to trace it: then there is no figure, and no fault. */
function openFiles(machine: Machine, pid: number): number | undefined {
  try {
    return machine.list(`/proc/${pid}/fd`).length;
  } catch (error) {
    if (error instanceof Failure && (error.facts.errno === "EACCES" || error.facts.errno === "EPERM")) return undefined;
    throw error;
  }
}
