import * as z from "zod/mini";
import type { Clock } from "../../../platform/clock.ts";
import type { Source } from "../../../platform/machine.ts";
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
  type Title,
  type Verdict,
  worstOf,
} from "../check.ts";
import { Growth, Waiting } from "../growth.ts";
import { type LoopMeter, loopMeter } from "./loop.ts";

const ms = highBand(0, 3_600_000);
const bytes = highBand(0, Number.MAX_SAFE_INTEGER);
const percent = highBand(0, 100);
const count = highBand(1, 1_000_000_000);
const windowMs = (fallback: number) => z._default(z.int().check(z.minimum(60_000), z.maximum(86_400_000)), fallback);

export const SelfConfig = z.strictObject({
  ...commonConfig({ every: "slow", holdOnMs: 20_000, holdOffMs: 60_000 }),
  /** How much too late the rounds were, at worst. */
  lateMs: z.prefault(
    z.strictObject({
      warning: z._default(ms, { raise: 1_000, clear: 500 }),
      minor: z._default(ms, { raise: 5_000, clear: 2_000 }),
    }),
    {},
  ),
  /** Memory of the agent that no file backs. */
  anonBytes: z.prefault(
    z.strictObject({
      warning: z._default(bytes, { raise: 128 * 2 ** 20, clear: 96 * 2 ** 20 }),
      minor: z._default(bytes, { raise: 256 * 2 ** 20, clear: 192 * 2 ** 20 }),
    }),
    {},
  ),
  /** How full the outbox is, percent of its bound. */
  outboxPct: z.prefault(
    z.strictObject({
      warning: z._default(percent, { raise: 70, clear: 50 }),
      minor: z._default(percent, { raise: 90, clear: 70 }),
    }),
    {},
  ),
  /** How long the oldest record has waited for its ack while a broker was there. */
  unackedMs: z.prefault(z.strictObject({ minor: z._default(ms, { raise: 900_000, clear: 60_000 }) }), {}),
  /** Records given up within the window because the outbox was full: alarms and events minor, telemetry a warning. */
  droppedWindowMs: windowMs(3_600_000),
  /** Messages and orders refused within the window. */
  refused: z.prefault(z.strictObject({ warning: z._default(count, { raise: 10, clear: 1 }) }), {}),
  refusedWindowMs: windowMs(600_000),
});
export type SelfConfig = z.infer<typeof SelfConfig>;

/** What the agent lets its own check see of it. */
export interface SelfPorts {
  stats(): {
    durable: boolean;
    because?: string;
    pending: number;
    pendingBytes: number;
    /** Device time of the oldest unacknowledged record, epoch ms. */
    oldestTs?: number;
    droppedTelemetry: number;
    droppedRecords: number;
    /** The outbox's bound. */
    maxBytes: number;
  };
  linkUp(): boolean;
  /** Messages and orders refused since the start. */
  refused(): number;
}

const titles: Readonly<Record<string, Title>> = {
  late: { zh: "监测程序响应迟缓", en: "Agent too slow" },
  memory: { zh: "监测程序内存占用过高", en: "Agent uses too much memory" },
  full: { zh: "待发送队列将满", en: "Outbox nearly full" },
  dropped: { zh: "待发送队列已满，记录被丢弃", en: "Outbox full, records dropped" },
  old: { zh: "上报长时间未被确认", en: "Reports not acknowledged" },
  store: { zh: "监测状态无法写入存储", en: "Agent state cannot be stored" },
  refused: { zh: "无效消息被拒绝", en: "Messages refused" },
  gone: { zh: "监测程序自检项已取消", en: "Self check gone" },
};

export interface SelfCheck extends CheckKind<SelfConfig, LocalPorts> {
  /** To be told how late (ms) each tick of the rounds came. */
  late(lateMs: number): void;
}

/** What the check is called, also where it does not run. */
export const SELF = { id: "self", name: { zh: "监测程序自检", en: "Agent itself" }, titles } as const;

/** Is the watcher itself well? The agent's own parts are its ports. */
export function selfCheck(ports: SelfPorts): SelfCheck {
  const meter = loopMeter();
  return {
    ...SELF,
    Config: SelfConfig,
    begin: (config, checkPorts) => new SelfJudge(config, ports, meter, checkPorts),
    late: (lateMs) => meter.note(lateMs),
  };
}

const round = (value: number): number => Math.round(value * 10) / 10;
const mebibytes = (amount: number): number => round(amount / 2 ** 20);
const well = (reason: string): Pick<Judged, "grade" | "holds" | "reason"> => ({ grade: "ok", holds: "ok", reason });

class SelfJudge implements Judge {
  readonly #config: SelfConfig;
  readonly #ports: SelfPorts;
  readonly #meter: LoopMeter;
  readonly #clock: Clock;
  readonly #status: Source;
  readonly #waiting = new Waiting();
  readonly #droppedRecords: Growth;
  readonly #droppedTelemetry: Growth;
  readonly #refused: Growth;
  readonly #outboxLatch = new Latch();

  constructor(config: SelfConfig, ports: SelfPorts, meter: LoopMeter, { machine, clock }: LocalPorts) {
    this.#config = config;
    this.#ports = ports;
    this.#meter = meter;
    this.#clock = clock;
    this.#status = machine.source("/proc/self/status");
    this.#droppedRecords = new Growth(config.droppedWindowMs);
    this.#droppedTelemetry = new Growth(config.droppedWindowMs);
    this.#refused = new Growth(config.refusedWindowMs);
  }

  judge(): readonly Verdict[] {
    const now = this.#clock.now();
    const wall = this.#clock.wall();
    const stats = this.#ports.stats();
    return [
      this.#judgeLoop(),
      this.#judgeMemory(),
      this.#judgeOutbox(stats, now, wall),
      this.#judgeStore(stats),
      this.#judgeRefused(now),
    ];
  }

  close(): void {
    this.#status.close();
  }

  #judgeLoop(): Judged {
    const { lateMs, busyPct } = this.#meter.take();
    return {
      state: "judged",
      subject: "loop",
      ...gradeHigh(lateMs, this.#config.lateMs),
      reason: "late",
      value: Math.round(lateMs),
      unit: "ms",
      says: `the rounds came up to ${Math.round(lateMs)} ms late, ${round(busyPct)} % of the time was work`,
      readings: { loop_late_ms: Math.round(lateMs), loop_busy_pct: round(busyPct) },
    };
  }

  #judgeMemory(): Verdict {
    const figures = memoryOf(this.#status.read() ?? "");
    if (figures === undefined)
      return { state: "unknown", subject: "memory", because: "/proc/self/status does not tell VmRSS" };
    const { anonBytes, rssBytes } = figures;
    return {
      state: "judged",
      subject: "memory",
      ...gradeHigh(anonBytes, this.#config.anonBytes),
      reason: "memory",
      value: anonBytes,
      unit: "bytes",
      says: `${mebibytes(anonBytes)} MiB of its own, ${mebibytes(rssBytes)} MiB resident`,
      readings: { anon_bytes: anonBytes, rss_bytes: rssBytes },
    };
  }

  #judgeOutbox(stats: ReturnType<SelfPorts["stats"]>, now: number, wall: number): Judged {
    const full = (100 * stats.pendingBytes) / stats.maxBytes;
    const { ageMs, linkedMs } = this.#waiting.look(stats.oldestTs, this.#ports.linkUp(), now, wall);
    const age = Math.round(ageMs / 1_000);
    const says = `${stats.pending} records in ${stats.pendingBytes} bytes wait, the oldest for ${age} s`;
    const filled: Condition = {
      ...gradeHigh(full, this.#config.outboxPct),
      reason: "full",
      value: round(full),
      unit: "%",
      says: `${says}; ${round(full)} % full`,
      readings: {
        pending_count: stats.pending,
        pending_bytes: stats.pendingBytes,
        outbox_pct: round(full),
        oldest_s: age,
        dropped_records_count: stats.droppedRecords,
        dropped_telemetry_count: stats.droppedTelemetry,
      },
    };
    const waited: Condition = {
      ...gradeHigh(linkedMs, this.#config.unackedMs),
      reason: "old",
      value: Math.round(linkedMs / 1_000),
      unit: "s",
      says: `${says}, with a broker for ${Math.round(linkedMs / 1_000)} s of it`,
      readings: {},
    };
    return worstOf("outbox", [this.#dropped(stats, now), filled, waited], this.#outboxLatch);
  }

  #dropped(stats: ReturnType<SelfPorts["stats"]>, now: number): Condition {
    const records = this.#droppedRecords.look(stats.droppedRecords, now);
    const telemetry = this.#droppedTelemetry.look(stats.droppedTelemetry, now);
    const grade = records > 0 ? "minor" : telemetry > 0 ? "warning" : "ok";
    const says = `${records} alarms and events and ${telemetry} telemetry records were given up lately`;
    return { grade, holds: grade, reason: "dropped", value: records + telemetry, unit: "records", says, readings: {} };
  }

  #judgeStore({ durable, because }: ReturnType<SelfPorts["stats"]>): Judged {
    const readings = { durable_count: durable ? 1 : 0 };
    const about = { state: "judged", subject: "store", readings } as const;
    if (durable) return { ...about, ...well("store"), says: "the state folder takes what is written" };
    const says = `alarms are kept in memory only: ${because ?? "the state folder cannot be written"}`;
    return { ...about, grade: "major", holds: "major", reason: "store", says };
  }

  #judgeRefused(now: number): Judged {
    const total = this.#ports.refused();
    const lately = this.#refused.look(total, now);
    return {
      state: "judged",
      subject: "refused",
      ...gradeHigh(lately, this.#config.refused),
      reason: "refused",
      value: lately,
      unit: "messages",
      says: `${lately} messages were refused lately`,
      readings: { refused_count: total },
    };
  }
}

const RESIDENT = /^VmRSS:\s*(\d+) kB$/m;
const ANONYMOUS = /^RssAnon:\s*(\d+) kB$/m;

function memoryOf(status: string): { anonBytes: number; rssBytes: number } | undefined {
  const rss = RESIDENT.exec(status)?.[1];
  if (rss === undefined) return undefined;
  const anon = ANONYMOUS.exec(status)?.[1] ?? rss; // kernels before 4.5 do not tell them apart
  return { anonBytes: Number(anon) * 1_024, rssBytes: Number(rss) * 1_024 };
}
