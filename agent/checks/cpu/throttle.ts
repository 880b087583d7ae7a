import type { Machine, Source } from "../../../platform/machine.ts";
import { Failure } from "../../../protocol/failure.ts";
import { numbered } from "../numbered.ts";

/** What slows the processors down now, in words; empty when nothing does. */
export interface Throttling {
  by: readonly string[];
  /** Lowest frequency limit of all processors, percent of what the hardware can. */
  freqCapPct?: number;
}

/** One thing that can tell: what slows the processors by its account, or undefined. */
type Witness = (nowMs: number) => string | undefined;

const CPU = "/sys/devices/system/cpu";
const THERMAL = "/sys/class/thermal";
const PI_FIRMWARE = "/sys/devices/platform/soc/soc:firmware/get_throttled";
const MOST_CORES = 16;
const RISEN_LATELY_MS = 30_000;
/** Cooling devices that take speed from the processors; a fan takes none. */
const SLOWS = ["cpufreq", "cpuidle", "thermal-idle", "powerclamp", "Processor"];
const PI_FLAGS = ["under-voltage", "frequency capped", "throttled", "soft temperature limit"];

/** Every witness this machine has, kept open; see `Throttling`. */
export class Throttle {
  readonly #sources: Source[] = [];
  readonly #witnesses: Witness[];
  readonly #caps: Cap[];

  constructor(machine: Machine) {
    const open = (path: string): Source => {
      const source = machine.source(path);
      this.#sources.push(source);
      return source;
    };
    this.#caps = findCaps(machine, open);
    this.#witnesses = [
      ...this.#caps.map((cap) => () => cap.says()),
      ...findCoolers(machine, open),
      ...findCounters(machine, open),
      ...findPi(machine, open),
    ];
  }
  look(nowMs: number): Throttling {
    const by = this.#witnesses.flatMap((witness) => witness(nowMs) ?? []);
    const caps = this.#caps.map((cap) => cap.pct);
    return { by, ...(caps.length === 0 ? {} : { freqCapPct: Math.min(...caps) }) };
  }
  close(): void {
    for (const source of this.#sources) source.close();
  }
}

/** A whole number in a file of /sys, undefined when there is none: throttling is told by what can be read. */
function figure(source: Source): number | undefined {
  try {
    return parseWhole(source.read());
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

/** A whole number as /sys writes it. */
export function parseWhole(text: string | undefined): number | undefined {
  const word = text?.trim() ?? "";
  const value = Number(word);
  return word !== "" && Number.isSafeInteger(value) ? value : undefined;
}

/** Frequency limit of one policy. What an administrator capped before we began is his will; a limit lower than we have seen is not. */
class Cap {
  readonly #policy: string;
  readonly #hardware: number;
  readonly #limit: Source;
  #usual: number;
  pct = 100;
  constructor(policy: string, hardware: number, limit: Source) {
    this.#policy = policy;
    this.#hardware = hardware;
    this.#limit = limit;
    this.#usual = figure(limit) ?? hardware;
  }
  says(): string | undefined {
    const now = figure(this.#limit);
    if (now === undefined) return undefined;
    this.pct = Math.min(100, (100 * now) / this.#hardware);
    if (now >= this.#usual) {
      this.#usual = now;
      return undefined;
    }
    return `${this.#policy} limited to ${mhz(now)} of ${mhz(this.#usual)} MHz`;
  }
}
const mhz = (khz: number): number => Math.round(khz / 1000);

function findCaps(machine: Machine, open: (path: string) => Source): Cap[] {
  const policies = numbered(machine, `${CPU}/cpufreq`, "policy").map(
    (name) => [name, `${CPU}/cpufreq/${name}`] as const,
  );
  // before Linux 4.3 each processor had a folder of its own
  const older = numbered(machine, CPU, "cpu").map((name) => [name, `${CPU}/${name}/cpufreq`] as const);
  return (policies.length > 0 ? policies : older).slice(0, MOST_CORES).flatMap(([name, folder]) => {
    const hardware = parseWhole(machine.read(`${folder}/cpuinfo_max_freq`));
    const limited = machine.read(`${folder}/scaling_max_freq`) !== undefined;
    return hardware === undefined || hardware <= 0 || !limited
      ? []
      : [new Cap(name, hardware, open(`${folder}/scaling_max_freq`))];
  });
}

function findCoolers(machine: Machine, open: (path: string) => Source): Witness[] {
  return numbered(machine, THERMAL, "cooling_device").flatMap((name) => {
    const type = machine.read(`${THERMAL}/${name}/type`)?.trim() ?? "";
    if (!SLOWS.some((word) => type.includes(word))) return [];
    const state = open(`${THERMAL}/${name}/cur_state`);
    return [() => ((figure(state) ?? 0) > 0 ? `${type} cools` : undefined)];
  });
}

/** x86 counts how often the hardware slowed itself: rising lately means it does. */
function findCounters(machine: Machine, open: (path: string) => Source): Witness[] {
  return numbered(machine, CPU, "cpu")
    .slice(0, MOST_CORES)
    .flatMap((cpu) => {
      const path = `${CPU}/${cpu}/thermal_throttle/core_throttle_count`;
      if (machine.read(path) === undefined) return [];
      const counter = open(path);
      let last = figure(counter) ?? 0;
      let roseAtMs = Number.NEGATIVE_INFINITY;
      return [
        (nowMs: number) => {
          const now = figure(counter) ?? last;
          if (now > last) roseAtMs = nowMs;
          last = now;
          return nowMs - roseAtMs < RISEN_LATELY_MS ? `${cpu} throttled by its hardware` : undefined;
        },
      ];
    });
}

/** The Raspberry Pi's firmware: bits 0–3 are what it does now, the higher ones what it did at some time. */
function findPi(machine: Machine, open: (path: string) => Source): Witness[] {
  if (machine.read(PI_FIRMWARE) === undefined) return [];
  const flags = open(PI_FIRMWARE);
  return [
    () => {
      const now = piFlags(readOr(flags));
      return now.length > 0 ? `firmware reports ${now.join(", ")}` : undefined;
    },
  ];
}

/** Names of what the Raspberry Pi's firmware does now, from its hexadecimal flags. */
export function piFlags(text: string): readonly string[] {
  const word = text.trim();
  const bits = Number.parseInt(word, 16);
  return Number.isSafeInteger(bits) ? PI_FLAGS.filter((_, bit) => ((bits >> bit) & 1) === 1) : [];
}

function readOr(source: Source): string {
  try {
    return source.read() ?? "";
  } catch (error) {
    if (error instanceof Failure) return "";
    throw error;
  }
}
