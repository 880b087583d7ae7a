import * as z from "zod/mini";
import type { Source } from "../../../platform/machine.ts";
import { Failure } from "../../../protocol/failure.ts";
import { SEVERITIES } from "../../../protocol/severity.ts";
import {
  type CheckKind,
  type Condition,
  commonConfig,
  gradeHigh,
  highBand,
  type Judge,
  type Judged,
  Latch,
  type LocalPorts,
  worstOf,
} from "../check.ts";
import {
  type CpuShares,
  type CpuTimes,
  parseCpuList,
  parseCpuTimes,
  parseLoad,
  parsePressure,
  sharesOf,
} from "./text.ts";
import { Throttle } from "./throttle.ts";

const load = highBand(0, 1000);
const percent = highBand(0, 100);

const Config = z.strictObject({
  ...commonConfig({ every: "slow", holdOnMs: 60_000, holdOffMs: 60_000 }),
  /** Load over one minute for each online core. */
  loadPerCore: z.prefault(
    z.strictObject({
      minor: z._default(load, { raise: 2, clear: 1.5 }),
      major: z._default(load, { raise: 4, clear: 3 }),
    }),
    {},
  ),
  /** Share of a minute in which a task waited for a processor (PSI, Linux 4.20). */
  pressurePct: z.prefault(
    z.strictObject({ minor: z._default(percent, { raise: 80, clear: 60 }), major: z.optional(percent) }),
    {},
  ),
  /** Share of time the processors were idle because they waited for a disk. Only judged when given. */
  iowaitPct: z.prefault(z.strictObject({ warning: z.optional(percent), minor: z.optional(percent) }), {}),
  throttled: z._default(z.enum(SEVERITIES), "minor"),
});
type Config = z.infer<typeof Config>;

/** Have the processors more to do than they can, or are they slowed down? */
export const cpu: CheckKind<Config, LocalPorts> = {
  id: "cpu",
  name: { zh: "处理器", en: "CPU" },
  Config,
  titles: {
    load: { zh: "处理器负载过高", en: "CPU load high" },
    pressure: { zh: "处理器争用严重", en: "Tasks wait for the CPU" },
    iowait: { zh: "处理器等待磁盘读写", en: "CPU waits for disks" },
    throttled: { zh: "处理器被降频", en: "CPU throttled" },
    gone: { zh: "处理器不再受监视", en: "CPU no longer watched" },
  },
  begin(config, ports) {
    if (ports.machine.read("/proc/loadavg") === undefined) return undefined;
    return new CpuJudge(config, ports);
  },
};

class CpuJudge implements Judge {
  readonly #latch = new Latch();
  readonly #config: Config;
  readonly #clock: LocalPorts["clock"];
  readonly #load: Source;
  readonly #stat: Source;
  readonly #pressure: Source;
  readonly #online: Source;
  readonly #throttle: Throttle;
  #times: CpuTimes | undefined;

  constructor(config: Config, { machine, clock }: LocalPorts) {
    this.#config = config;
    this.#clock = clock;
    this.#load = machine.source("/proc/loadavg");
    this.#stat = machine.source("/proc/stat");
    this.#pressure = machine.source("/proc/pressure/cpu");
    this.#online = machine.source("/sys/devices/system/cpu/online");
    this.#throttle = new Throttle(machine);
    this.#times = parseCpuTimes(this.#stat.read() ?? "");
  }

  judge(): readonly Judged[] {
    const shares = this.#shares();
    return [
      worstOf(
        "all",
        [this.#loadCondition(shares), ...this.#pressureCondition(), this.#iowait(shares), this.#throttling()],
        this.#latch,
      ),
    ];
  }

  close(): void {
    for (const source of [this.#load, this.#stat, this.#pressure, this.#online]) source.close();
    this.#throttle.close();
  }

  #shares(): CpuShares | undefined {
    const times = parseCpuTimes(this.#stat.read() ?? "");
    const shares = times === undefined || this.#times === undefined ? undefined : sharesOf(this.#times, times);
    this.#times = times;
    return shares;
  }

  #loadCondition(shares: CpuShares | undefined): Condition {
    const figures = parseLoad(this.#load.read() ?? "");
    if (figures === undefined) throw new Failure("MACHINE_READ", "/proc/loadavg is not as the kernel writes it");
    const [one, five] = figures;
    const cores = Math.max(1, parseCpuList(this.#online.read() ?? "").length);
    const ratio = one / cores;
    const busy =
      shares === undefined
        ? ""
        : `, ${shares.busyPct.toFixed(0)} % busy, ${shares.iowaitPct.toFixed(0)} % waiting for disks`;
    return {
      ...gradeHigh(ratio, this.#config.loadPerCore),
      reason: "load",
      value: ratio,
      unit: "ratio",
      says: `load ${one.toFixed(2)} (5 min ${five.toFixed(2)}) on ${cores} cores${busy}`,
      readings: {
        load_ratio: ratio,
        load1_count: one,
        load5_count: five,
        cores_count: cores,
        ...(shares === undefined
          ? {}
          : { busy_pct: shares.busyPct, iowait_pct: shares.iowaitPct, steal_pct: shares.stealPct }),
      },
    };
  }

  #pressureCondition(): Condition[] {
    const text = readPressure(this.#pressure);
    const pressure = text === undefined ? undefined : parsePressure(text);
    if (pressure === undefined) return []; // an older kernel, or one started with psi=0
    const { avg10Pct, avg60Pct } = pressure;
    return [
      {
        ...gradeHigh(avg60Pct, this.#config.pressurePct),
        reason: "pressure",
        value: avg60Pct,
        unit: "%",
        says: `in ${avg60Pct.toFixed(0)} % of the last minute a task waited for a processor`,
        readings: { psi10_pct: avg10Pct, psi60_pct: avg60Pct },
      },
    ];
  }

  #iowait(shares: CpuShares | undefined): Condition {
    return {
      ...gradeHigh(shares?.iowaitPct ?? 0, this.#config.iowaitPct),
      reason: "iowait",
      value: shares?.iowaitPct ?? 0,
      unit: "%",
      says: `${(shares?.iowaitPct ?? 0).toFixed(0)} % of processor time waited for disks`,
      readings: {},
    };
  }

  #throttling(): Condition {
    const { by, freqCapPct } = this.#throttle.look(this.#clock.now());
    const grade = by.length > 0 ? this.#config.throttled : "ok";
    return {
      grade,
      holds: grade,
      reason: "throttled",
      ...(freqCapPct === undefined ? {} : { value: freqCapPct, unit: "%" }),
      ...(by.length > 0 ? { says: by.slice(0, 4).join("; ") } : {}),
      readings: { throttles_count: by.length, ...(freqCapPct === undefined ? {} : { freq_cap_pct: freqCapPct }) },
    };
  }
}

/** A kernel started with psi=0 has the file and refuses to read it. */
function readPressure(source: Source): string | undefined {
  try {
    return source.read();
  } catch (error) {
    if (error instanceof Failure && error.facts.errno === "EOPNOTSUPP") return undefined;
    throw error;
  }
}
