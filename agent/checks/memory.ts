import * as z from "zod/mini";
import type { Clock } from "../../platform/clock.ts";
import type { Machine, Source } from "../../platform/machine.ts";
import { Failure } from "../../protocol/failure.ts";
import {
  type CheckKind,
  type Condition,
  commonConfig,
  gradeHigh,
  gradeLow,
  highBand,
  type Judge,
  type Judged,
  Latch,
  type LocalPorts,
  lowBand,
  worstOf,
} from "./check.ts";

const bandsOf = (band: z.ZodMiniOptional<ReturnType<typeof lowBand>>) =>
  z.strictObject({ warning: band, minor: band, major: band, critical: band });
const low = bandsOf(z.optional(lowBand(0, 100)));
const high = bandsOf(z.optional(highBand(0, 100)));

export const MemoryConfig = z
  .strictObject({
    ...commonConfig({ every: "slow", holdOnMs: 30_000, holdOffMs: 60_000 }),
    /** Memory a new program could get without swapping, percent of all. */
    available: z._default(low, {
      minor: { raise: 12, clear: 15 },
      major: { raise: 6, clear: 9 },
      critical: { raise: 3, clear: 5 },
    }),
    /** Share of the last 10 s in which some task waited for memory, percent. */
    psiSome: z._default(high, { warning: { raise: 40, clear: 20 } }),
    /** Share of the last 10 s in which all tasks waited for memory, percent. */
    psiFull: z._default(high, { minor: { raise: 15, clear: 8 }, major: { raise: 35, clear: 20 } }),
    /** How bad it is when the kernel has killed a process for want of memory. */
    oom: z._default(z.enum(["off", "warning", "minor", "major", "critical"]), "major"),
    /** Such a kill stands for so long after the last one, milliseconds. */
    oomHoldMs: z._default(z.int().check(z.minimum(60_000), z.maximum(86_400_000)), 600_000),
  })
  .check(z.refine(({ holdOnMs, oomHoldMs }) => holdOnMs < oomHoldMs, "holdOnMs must be below oomHoldMs"));
export type MemoryConfig = z.infer<typeof MemoryConfig>;

/** Is there memory left, and does the device wait for it? */
export const memory: CheckKind<MemoryConfig, LocalPorts> = {
  id: "memory",
  name: { zh: "内存", en: "Memory" },
  Config: MemoryConfig,
  titles: {
    available: { zh: "可用内存不足", en: "Memory low" },
    pressure: { zh: "内存压力过高", en: "Memory pressure high" },
    oom: { zh: "内存耗尽，进程被内核终止", en: "Process killed for want of memory" },
    gone: { zh: "内存信息不再可读", en: "Memory figures gone" },
  },
  begin(config, ports) {
    const source = ports.machine.source("/proc/meminfo");
    if (source.read() !== undefined) return new MemoryJudge(config, ports, source);
    source.close();
    return undefined;
  },
};

const round = (value: number): number => Math.round(value * 100) / 100;
const well = (reason: string): Condition => ({ grade: "ok", holds: "ok", reason, readings: {} });

class MemoryJudge implements Judge {
  readonly #latch = new Latch();
  readonly #config: MemoryConfig;
  readonly #clock: Clock;
  readonly #meminfo: Source;
  readonly #vmstat: Source;
  #pressure: Source | undefined;
  readonly #minFreeBytes: number;
  #kills: number | undefined;
  /** Kills not yet forgotten, and until when. */
  #fresh = { kills: 0, untilMs: 0 };

  constructor(config: MemoryConfig, { machine, clock }: LocalPorts, meminfo: Source) {
    this.#config = config;
    this.#clock = clock;
    this.#meminfo = meminfo;
    this.#vmstat = machine.source("/proc/vmstat");
    this.#pressure = machine.source("/proc/pressure/memory");
    this.#minFreeBytes = minFree(machine);
    this.#kills = this.#readKills();
  }

  judge(): readonly Judged[] {
    return [worstOf("ram", [this.#available(), this.#oom(), this.#waiting()], this.#latch)];
  }

  close(): void {
    for (const source of [this.#meminfo, this.#vmstat, this.#pressure]) source?.close();
  }

  #available(): Condition {
    const figures = readMeminfo(this.#meminfo.read() ?? "", this.#minFreeBytes);
    if (figures === undefined) throw new Failure("MACHINE_READ", "/proc/meminfo does not tell the memory there is");
    const { totalBytes, availableBytes, swapTotalBytes, swapFreeBytes } = figures;
    const share = (100 * availableBytes) / totalBytes;
    const swap = swapTotalBytes > 0 ? { swap_used_pct: round(100 * (1 - swapFreeBytes / swapTotalBytes)) } : {};
    return {
      ...gradeLow(share, this.#config.available),
      reason: "available",
      value: round(share),
      unit: "%",
      says: `${round(share)} % available, ${mebibytes(availableBytes)} of ${mebibytes(totalBytes)} MiB`,
      readings: { available_pct: round(share), available_bytes: availableBytes, ...swap },
    };
  }

  #oom(): Condition {
    const kills = this.#readKills();
    if (kills === undefined) return well("oom"); // before Linux 4.13 nobody counts them
    const more = kills - (this.#kills ?? kills);
    this.#kills = kills;
    const now = this.#clock.now();
    if (now >= this.#fresh.untilMs) this.#fresh.kills = 0;
    if (more > 0) this.#fresh = { kills: this.#fresh.kills + more, untilMs: now + this.#config.oomHoldMs };
    const found = this.#fresh.kills;
    const grade = found > 0 && this.#config.oom !== "off" ? this.#config.oom : "ok";
    const says = `the kernel killed ${found} process${found === 1 ? "" : "es"} for want of memory`;
    return {
      grade,
      holds: grade,
      reason: "oom",
      ...(found > 0 ? { value: found, unit: "kills", says } : {}),
      readings: { oom_kills_count: kills },
    };
  }

  #waiting(): Condition {
    const psi = this.#readPressure();
    if (psi === undefined) return well("pressure");
    const readings = { psi_some_pct: psi.some, ...(psi.full === undefined ? {} : { psi_full_pct: psi.full }) };
    const says = `tasks waited for memory ${psi.some} % of the last 10 s, all of them ${psi.full ?? 0} %`;
    const common = { reason: "pressure", unit: "%", says, readings };
    return worstOf("ram", [
      { ...gradeHigh(psi.full ?? 0, this.#config.psiFull), ...common, value: psi.full ?? 0 },
      { ...gradeHigh(psi.some, this.#config.psiSome), ...common, value: psi.some },
    ]);
  }

  #readKills(): number | undefined {
    return readOomKills(this.#vmstat.read() ?? "");
  }

  /** Kernels built with it but started without refuse every read: they are asked once. */
  #readPressure(): Pressure | undefined {
    try {
      const text = this.#pressure?.read();
      if (text !== undefined) return readPressure(text);
    } catch (cause) {
      if (!(cause instanceof Failure)) throw cause;
    }
    this.#pressure?.close();
    this.#pressure = undefined;
    return undefined;
  }
}

const mebibytes = (bytes: number): number => Math.round(bytes / 1_048_576);

function minFree(machine: Machine): number {
  const kilobytes = Number(machine.read("/proc/sys/vm/min_free_kbytes") ?? 0);
  return Number.isSafeInteger(kilobytes) && kilobytes > 0 ? kilobytes * 1024 : 0;
}

/** What /proc/meminfo tells, bytes. */
export interface MemoryFigures {
  totalBytes: number;
  availableBytes: number;
  swapTotalBytes: number;
  swapFreeBytes: number;
}

/**
 * Reads /proc/meminfo; undefined when it does not tell the total. Before Linux 3.14 it has no MemAvailable: then it is
 * reckoned as the kernel does since, from free memory, file pages and slabs, less what the kernel keeps for itself.
 */
export function readMeminfo(text: string, minFreeBytes: number): MemoryFigures | undefined {
  const of = (name: string): number | undefined => {
    const kilobytes = fieldOf(text, `${name}:`);
    return kilobytes === undefined ? undefined : kilobytes * 1024;
  };
  const totalBytes = of("MemTotal") ?? 0;
  const free = of("MemFree");
  if (totalBytes <= 0 || free === undefined) return undefined;
  const lowMark = minFreeBytes * 1.25;
  const spare = (bytes: number): number => bytes - Math.min(bytes / 2, lowMark);
  const files = (of("Active(file)") ?? 0) + (of("Inactive(file)") ?? 0);
  const reckoned = free - lowMark + spare(files) + spare(of("SReclaimable") ?? 0);
  return {
    totalBytes,
    availableBytes: Math.round(Math.min(totalBytes, Math.max(0, of("MemAvailable") ?? reckoned))),
    swapTotalBytes: of("SwapTotal") ?? 0,
    swapFreeBytes: Math.min(of("SwapFree") ?? 0, of("SwapTotal") ?? 0),
  };
}

/** The count of OOM kills in /proc/vmstat, undefined where the kernel does not keep it. */
export const readOomKills = (text: string): number | undefined => fieldOf(text, "oom_kill ");

/** The whole number after a name at a line's beginning. */
function fieldOf(text: string, name: string): number | undefined {
  const at = text.startsWith(name) ? 0 : text.indexOf(`\n${name}`) + 1;
  if (at === 0 && !text.startsWith(name)) return undefined;
  const digits = /^\s*(\d{1,15})\b/.exec(text.slice(at + name.length, at + name.length + 40))?.[1];
  return digits === undefined ? undefined : Number(digits);
}

const PSI = [/^some avg10=(\d{1,3}(?:\.\d{1,6})?) /m, /^full avg10=(\d{1,3}(?:\.\d{1,6})?) /m] as const;

/** Shares of the last 10 s spent waiting, percent. */
export interface Pressure {
  some: number;
  full: number | undefined;
}

/** Reads a file of /proc/pressure; undefined when it is not one. */
export function readPressure(text: string): Pressure | undefined {
  const [some, full] = PSI.map((kind) => {
    const found = kind.exec(text)?.[1];
    return found === undefined ? undefined : Math.min(100, Number(found));
  });
  return some === undefined ? undefined : { some, full };
}
