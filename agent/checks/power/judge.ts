import { type CheckPorts, type Condition, gradeLow, type Judge, Latch, type Verdict, worstOf } from "../check.ts";
import { inTurns, type Turns } from "../turns.ts";
import type { PowerConfig } from "./power.ts";
import { openPowerFiles, type PowerFiles, type Rail, type Supply, wholeIn, wordIn } from "./sources.ts";

const SEARCH_AGAIN_MS = 600_000;
const UPS_AT_ONCE = 4;

/** Watches what the board tells of its power, and the UPSs of the config. */
export async function openPower(config: PowerConfig, ports: CheckPorts): Promise<Judge> {
  return new PowerJudge(config, ports, await upsTurns(config, ports));
}

async function upsTurns(config: PowerConfig, ports: CheckPorts): Promise<Turns | undefined> {
  if (config.ups.length === 0) return undefined;
  const { upsTurn } = await import("./ups.ts");
  const { clock, random, redact } = ports;
  const pace = { clock, random, redact, atOnce: UPS_AT_ONCE, waitMs: config.deadlineMs * 0.9 };
  return inTurns(
    config.ups.map((ups) => upsTurn(ups, ports)),
    pace,
  );
}

class PowerJudge implements Judge {
  readonly #config: PowerConfig;
  readonly #ports: CheckPorts;
  readonly #turns: Turns | undefined;
  readonly #rails = new Map<string, RailState>();
  readonly #latches = new Map<string, Latch>();
  #files: PowerFiles;
  #searchedAtMs: number;
  /** The verdicts of the last round with what they were judged from: the same array again means that nothing changed. */
  #last: { mark: string; ups: readonly Verdict[]; told: readonly Verdict[] } | undefined;

  constructor(config: PowerConfig, ports: CheckPorts, turns: Turns | undefined) {
    this.#config = config;
    this.#ports = ports;
    this.#turns = turns;
    this.#files = openPowerFiles(ports.machine, config);
    this.#searchedAtMs = ports.clock.now();
  }

  judge(signal: AbortSignal): readonly Verdict[] | Promise<readonly Verdict[]> {
    const ups = this.#turns?.judge(signal) ?? NONE;
    return ups instanceof Promise ? ups.then((known) => this.#all(known)) : this.#all(ups);
  }

  stirred(): boolean {
    return this.#turns?.stirred() === true;
  }

  close(): void {
    this.#turns?.close();
    this.#files.close();
  }

  #all(ups: readonly Verdict[]): readonly Verdict[] {
    const nowMs = this.#ports.clock.now();
    if (nowMs - this.#searchedAtMs >= SEARCH_AGAIN_MS) {
      this.#files.close();
      this.#files = openPowerFiles(this.#ports.machine, this.#config);
      this.#searchedAtMs = nowMs;
    }
    const own = [...this.#judgeRails(nowMs), ...this.#judgeSupplies()].filter(
      ({ subject }) => !this.#config.ignore.includes(subject),
    );
    const mark = JSON.stringify(own);
    if (this.#last?.mark === mark && this.#last.ups === ups) return this.#last.told;
    this.#last = { mark, ups, told: [...own, ...ups] };
    return this.#last.told;
  }

  #latch(subject: string): Latch {
    const latch = this.#latches.get(subject) ?? new Latch();
    this.#latches.set(subject, latch);
    return latch;
  }

  #judgeRails(nowMs: number): Verdict[] {
    const upS = Number(this.#ports.machine.read("/proc/uptime")?.split(" ")[0]);
    return this.#files.rails.map((rail): Verdict => {
      const state = this.#rails.get(rail.subject) ?? new RailState(this.#config.latelyMs, upS * 1_000);
      this.#rails.set(rail.subject, state);
      return worstOf(rail.subject, [state.look(rail, nowMs)]);
    });
  }

  #judgeSupplies(): Verdict[] {
    const seen = this.#files.supplies.flatMap((supply) => {
      const online = wholeIn(supply.source("online"));
      const isFeed = supply.kind === "mains" || this.#config.expect.includes(supply.subject);
      return [{ supply, online, isFeed }];
    });
    const feeds = seen.filter(({ isFeed, online }) => isFeed && online !== undefined);
    const live = feeds.filter(({ online }) => online !== 0).length;
    const verdicts = seen.flatMap(({ supply, online, isFeed }): Verdict[] => {
      if (supply.kind === "battery") return batteryVerdict(supply, this.#config, this.#latch(supply.subject));
      return isFeed && online !== undefined ? [feedVerdict(supply.subject, online !== 0, live, feeds.length)] : [];
    });
    const missing = this.#config.expect.filter((name) => !seen.some(({ supply }) => supply.subject === name));
    return [...verdicts, ...missing.map((name) => feedVerdict(name, false, live, feeds.length + 1))];
  }
}

const NONE: readonly Verdict[] = [];
const UNDER_VOLTAGE_NOW = 1 << 0;
const UNDER_VOLTAGE_SINCE_BOOT = 1 << 16;

/** One rail from look to look: a dip between two looks is only seen by what the firmware remembers. */
class RailState {
  readonly #latelyMs: number;
  readonly #upMs: number;
  #lastMs: number | undefined;
  #remembered: boolean | undefined;

  constructor(latelyMs: number, upMs: number) {
    this.#latelyMs = latelyMs;
    this.#upMs = upMs;
  }

  look({ alarms, flags, volts }: Rail, nowMs: number): Condition {
    const bits = Number.parseInt((flags === undefined ? undefined : wordIn(flags)) ?? "0", 16);
    const now = (bits & UNDER_VOLTAGE_NOW) !== 0 || alarms.some((alarm) => wholeIn(alarm) === 1);
    const remembered = (bits & UNDER_VOLTAGE_SINCE_BOOT) !== 0;
    // what it remembers at our first look is lately only when the machine itself has not been up for longer
    const news = remembered && (this.#remembered ?? !(this.#upMs <= this.#latelyMs)) === false;
    if (now || news) this.#lastMs = nowMs;
    this.#remembered = remembered;
    const lately = this.#lastMs !== undefined && nowMs - this.#lastMs < this.#latelyMs;
    const grade = now ? "major" : lately ? "warning" : "ok";
    const millivolts = volts === undefined ? undefined : wholeIn(volts);
    const readings = {
      undervoltage_count: now ? 1 : 0,
      ...(flags === undefined ? {} : { undervoltage_since_boot_count: remembered ? 1 : 0 }),
      ...(millivolts === undefined ? {} : { voltage_v: Math.round(millivolts / 10) / 100 }),
    };
    const figure = millivolts === undefined ? "" : `, ${(millivolts / 1_000).toFixed(2)} V`;
    const says = now
      ? `the voltage is too low${figure}`
      : lately
        ? `the voltage was too low within the last ${Math.round(this.#latelyMs / 60_000)} min, now it is not${figure}`
        : `the voltage is well${figure}`;
    return { grade, holds: grade, reason: "undervoltage", says, readings };
  }
}

function feedVerdict(subject: string, online: boolean, live: number, feeds: number): Verdict {
  const readings = { online_count: online ? 1 : 0 };
  if (online)
    return { ...{ state: "judged", subject, grade: "ok", holds: "ok", reason: "mains" }, says: "connected", readings };
  const [grade, reason, says] =
    live > 0
      ? (["warning", "feed", `no power comes in here; ${live} of ${feeds} supplies are live`] as const)
      : (["major", "mains", "no power comes in: the machine runs on its battery"] as const);
  return { ...{ state: "judged", subject, grade, holds: grade, reason, says, readings } };
}

const WELL = new Set(["Good", "Unknown", "Warm", "Cool", "Cold"]);

function batteryVerdict({ subject, source }: Supply, { chargePct }: PowerConfig, latch: Latch): Verdict[] {
  if (wholeIn(source("present")) === 0) return [];
  const capacity = wholeIn(source("capacity"));
  const status = wordIn(source("status")) ?? "Unknown";
  const health = wordIn(source("health")) ?? "Unknown";
  const microvolts = wholeIn(source("voltage_now"));
  const used = status === "Discharging";
  const bad = WELL.has(health) ? "ok" : "minor";
  const readings = {
    ...(capacity === undefined ? {} : { charge_pct: capacity }),
    ...(microvolts === undefined ? {} : { voltage_v: Math.round(microvolts / 10_000) / 100 }),
  };
  const charge: Condition = {
    ...(used && capacity !== undefined ? gradeLow(capacity, chargePct) : ({ grade: "ok", holds: "ok" } as const)),
    ...(capacity === undefined ? {} : { value: capacity, unit: "%" }),
    ...{ reason: "battery-low", says: `${status.toLowerCase()}, ${capacity ?? "?"} % charged`, readings },
  };
  const says = `the battery says: ${health.toLowerCase()}`;
  return [worstOf(subject, [charge, { grade: bad, holds: bad, reason: "battery-bad", says, readings: {} }], latch)];
}
