import type { Machine, Source } from "../../../platform/machine.ts";
import type { InterfaceAddresses } from "../../../platform/net-addresses.ts";
import { Failure } from "../../../protocol/failure.ts";
import type { Severity } from "../../../protocol/severity.ts";
import { type Condition, gradeHigh, Latch, type Verdict, worstOf } from "../check.ts";
import { Growth } from "../growth.ts";
import type { LearnedPort, NetworkMemory } from "./memory.ts";
import type { NetworkConfig } from "./network.ts";
import { RateWatch } from "./rates.ts";
import type { Counters } from "./text.ts";

const BOUNCE_MS = 600_000;
/** So long after it came up its address may still be on its way. */
const FRESH_MS = 60_000;
const NO_ADDRESSES: InterfaceAddresses = { global: [], link: [] };

/** What is looked at seldom. */
interface Figures {
  counters: Counters | undefined;
  addresses: InterfaceAddresses | undefined;
}

type State = "up" | "down" | "off" | "lower" | "missing";

/** One interface from round to round. */
export class Port {
  readonly name: string;
  readonly #config: NetworkConfig;
  readonly #own: NetworkConfig["interfaces"][string];
  readonly #machine: Machine;
  readonly #memory: NetworkMemory;
  readonly #learned: LearnedPort;
  readonly #operstate: Source;
  readonly #carrier: Source;
  readonly #latch = new Latch();
  readonly #rates = new RateWatch();
  readonly #bounces = new Growth(BOUNCE_MS);
  #bounced = 0;
  #state: State | undefined;
  /** What the kernel calls it. */
  #word: string | undefined;
  #uplink = false;
  #upSince: number | undefined;
  #addresses = NO_ADDRESSES;
  #changedAt: number | undefined;
  #speedMbps: number | undefined;
  #fullDuplex: boolean | undefined;
  #verdict: Verdict | undefined;

  constructor(name: string, config: NetworkConfig, machine: Machine, memory: NetworkMemory) {
    this.name = name;
    this.#config = config;
    this.#own = Object.hasOwn(config.interfaces, name) ? (config.interfaces[name] ?? {}) : {};
    this.#machine = machine;
    this.#memory = memory;
    this.#learned = memory.port(name);
    this.#operstate = machine.source(`/sys/class/net/${name}/operstate`);
    this.#carrier = machine.source(`/sys/class/net/${name}/carrier`);
  }

  /** Whether it is up: what lies behind it can be asked. */
  get isUp(): boolean {
    return this.#state === "up";
  }
  /** Whether it has just come up, and its address may come any moment. */
  isWaiting(nowMs: number): boolean {
    return this.#upSince !== undefined && nowMs - this.#upSince < FRESH_MS && !this.hasAddress;
  }
  /** Whether it has an address that reaches beyond its own line. */
  get hasAddress(): boolean {
    return this.#addresses.global.length > 0;
  }

  /** Judges; `figures` where it is time for them. The same verdict while nothing is new. */
  look(nowMs: number, uplink: boolean, figures?: Figures): Verdict {
    const state = this.#readState();
    const known = state === this.#state && uplink === this.#uplink && figures === undefined;
    if (known && this.#verdict !== undefined) return this.#verdict;
    if (state === "up") this.#upSince ??= nowMs;
    else this.#upSince = undefined;
    this.#state = state;
    this.#uplink = uplink;
    if (figures !== undefined) this.#take(figures, nowMs);
    this.#learn(nowMs);
    this.#verdict = this.#judge();
    return this.#verdict;
  }

  close(): void {
    this.#operstate.close();
    this.#carrier.close();
  }

  #readState(): State {
    const word = textOf(this.#operstate);
    if (word === undefined) this.#operstate.close(); // one that comes back under its name is another file
    if (word === "unknown") return this.#readCarrier(); // some drivers tell only this
    if (word === this.#word && this.#state !== undefined) return this.#state;
    this.#word = word;
    if (word === "up") return "up";
    if (word === undefined || word === "notpresent") return "missing";
    if (word === "lowerlayerdown" && this.#hasLower()) return "lower";
    return this.#isOff() ? "off" : "down";
  }

  #readCarrier(): State {
    this.#word = "unknown";
    const carrier = textOf(this.#carrier);
    if (carrier === undefined) this.#carrier.close();
    if (carrier === "1") return "up";
    return this.#state === "down" || this.#state === "off" ? this.#state : this.#isOff() ? "off" : "down";
  }

  /** A VLAN, bond or bridge: what is below it is named in its folder. (A virtual pair has none.) */
  #hasLower(): boolean {
    return this.#machine.list(`/sys/class/net/${this.name}`).some((file) => file.startsWith("lower_"));
  }

  #take({ counters, addresses }: Figures, nowMs: number): void {
    if (counters !== undefined) this.#rates.look(counters, nowMs);
    this.#addresses = addresses ?? NO_ADDRESSES;
    const lost = Number(this.#read("carrier_down_count") ?? Number.NaN); // since Linux 4.16
    if (Number.isSafeInteger(lost)) this.#bounced = this.#bounces.look(lost, nowMs);
    const speed = this.#state === "up" ? Number(this.#read("speed") ?? Number.NaN) : Number.NaN;
    this.#speedMbps = speed > 0 && speed < 10_000_000 ? speed : undefined; // -1: the driver does not know
    const duplex = this.#state === "up" ? this.#read("duplex") : undefined;
    this.#fullDuplex = duplex === "full" ? true : duplex === "half" ? false : undefined;
    if (this.#state === "down" || this.#state === "off") this.#state = this.#isOff() ? "off" : "down";
  }

  #isOff(): boolean {
    return (Number(this.#read("flags")) & 1) === 0;
  }

  /** What has lasted is what is usual: the fastest it ran at, the addresses it had. */
  #learn(nowMs: number): void {
    const { learnMs, changedHoldMs } = this.#config;
    const learned = this.#learned;
    this.#noteChange(nowMs);
    if (this.#upSince === undefined || (nowMs - this.#upSince < learnMs && !this.#uplink)) return;
    const before = JSON.stringify(learned);
    learned.carrier = true;
    if (nowMs - this.#upSince >= learnMs) {
      if ((this.#speedMbps ?? 0) > (learned.speedMbps ?? 0)) learned.speedMbps = this.#speedMbps;
      if (this.#fullDuplex === true) learned.fullDuplex = true;
    }
    const now = ipv4Of(this.#addresses);
    const settled = this.#changedAt === undefined || nowMs - this.#changedAt >= changedHoldMs;
    if (now.length > 0 && settled) {
      learned.addresses = now;
      this.#changedAt = undefined;
    }
    if (JSON.stringify(learned) !== before) this.#memory.touch();
  }

  #noteChange(nowMs: number): void {
    const now = ipv4Of(this.#addresses);
    const before = this.#learned.addresses ?? [];
    const changed = now.length > 0 && before.some((one) => !now.includes(one)); // one more is none
    if (!changed && (now.length > 0 || before.length === 0)) this.#changedAt = undefined;
    else if (changed) this.#changedAt ??= nowMs;
  }

  #judge(): Verdict {
    const conditions = [
      this.#link(),
      ...(this.#state === "up" ? [this.#address(), ...this.#change(), ...this.#speed(), ...this.#duplex()] : []),
      ...this.#quality(),
      ...this.#bouncing(),
    ];
    return worstOf(this.name, conditions, this.#latch);
  }

  #severity(): Severity {
    return this.#own.severity ?? (this.#uplink ? "major" : "minor");
  }

  #link(): Condition {
    const named = Object.hasOwn(this.#config.interfaces, this.name);
    const expected = this.#own.expectCarrier ?? (this.#uplink || named || this.#learned.carrier === true);
    const grade = this.#state === "up" || !expected ? "ok" : this.#severity();
    const side = this.#uplink ? "carrier" : "side-carrier";
    return {
      grade,
      holds: grade,
      reason: this.#state === "lower" ? "lower" : side,
      says: `${this.name} ${WORDS[this.#state ?? "missing"]}`,
      readings: {
        up_count: this.#state === "up" ? 1 : 0,
        ...(this.#speedMbps === undefined ? {} : { speed_mbps: this.#speedMbps }),
      },
    };
  }

  #address(): Condition {
    const { expectAddress } = this.#own;
    const { global, link } = this.#addresses;
    const about = { reason: this.#uplink ? "address" : "side-address", readings: { address_count: global.length } };
    const found = expectAddress !== undefined && [...global, ...link].includes(expectAddress);
    const expected = expectAddress !== undefined || this.#uplink || (this.#learned.addresses ?? []).length > 0;
    if (global.length === 0 && expected && !found) {
      const grade = this.#severity();
      const only = link.length === 0 ? "" : `, only ${link.join(" ")} of the line itself: no DHCP server answered`;
      return { ...about, grade, holds: grade, says: `${this.name} has a link but no IP address${only}` };
    }
    if (expectAddress === undefined || found)
      return { ...about, grade: "ok", holds: "ok", says: `${this.name} has ${global.join(" ") || "no address"}` };
    const says = `${this.name} has ${global.join(" ")}, not ${expectAddress}`;
    return { ...about, reason: "wrong", grade: "minor", holds: "minor", says };
  }

  #change(): Condition[] {
    if (this.#changedAt === undefined || this.#own.expectAddress !== undefined) return [];
    const says = `${this.name} has ${ipv4Of(this.#addresses).join(" ")} now, it had ${(this.#learned.addresses ?? []).join(" ")}`;
    return [{ grade: "warning", holds: "warning", reason: "changed", says, readings: {} }];
  }

  #speed(): Condition[] {
    const { expectSpeedMbps } = this.#own;
    const usual = expectSpeedMbps ?? this.#learned.speedMbps;
    const now = this.#speedMbps;
    if (usual === undefined || now === undefined) return [];
    const grade = now < usual ? "minor" : "ok";
    const accept = expectSpeedMbps === undefined ? "; if that is right, set expectSpeedMbps" : "";
    const says = `${this.name} runs at ${now} Mbit/s, ${expectSpeedMbps === undefined ? "it ran" : "it should run"} at ${usual}${accept}`;
    return [{ grade, holds: grade, reason: "speed", value: now, unit: "Mbit/s", says, readings: {} }];
  }

  #duplex(): Condition[] {
    const expected = this.#own.expectFullDuplex ?? this.#learned.fullDuplex === true;
    if (this.#fullDuplex === undefined) return [];
    const grade = expected && !this.#fullDuplex ? "minor" : "ok";
    const says = `${this.name} runs at ${this.#fullDuplex ? "full" : "half"} duplex`;
    return [{ grade, holds: grade, reason: "duplex", says, readings: {} }];
  }

  #quality(): Condition[] {
    const rates = this.#rates.rates();
    if (rates === undefined) return [];
    const { errorPct, dropPct, rxKbps, txKbps } = rates;
    const { errorsPct, dropsPct, busyPct } = this.#config;
    const speed = this.#speedMbps;
    const busy = speed === undefined ? undefined : Math.round(Math.max(rxKbps, txKbps) / speed) / 10;
    const faults = (reason: string, pct: number, count: number, bands: typeof errorsPct): Condition => ({
      ...gradeHigh(pct, bands),
      ...{ reason, value: pct, unit: "%" },
      says: `${count} packets of ${this.name} (${pct} %) ${reason === "errors" ? "had errors" : "were dropped"} lately`,
      readings: reason === "errors" ? { error_pct: pct } : { drop_pct: pct },
    });
    const use: Condition[] =
      busy === undefined
        ? []
        : [
            {
              ...gradeHigh(busy, busyPct),
              ...{ reason: "busy", value: busy, unit: "%" },
              says: `${this.name} carries ${Math.max(rxKbps, txKbps)} kbit/s of ${speed} Mbit/s`,
              readings: { busy_pct: busy },
            },
          ];
    const carried = { rx_kbps: rxKbps, tx_kbps: txKbps };
    return [
      faults("errors", errorPct, rates.errors, errorsPct),
      faults("drops", dropPct, rates.drops, dropsPct),
      ...use,
    ].map((one, i) => (i === 0 ? { ...one, readings: { ...one.readings, ...carried } } : one));
  }

  #bouncing(): Condition[] {
    const times = this.#bounced;
    if (times === 0) return [];
    const says = `${this.name} lost its link ${times} times within ten minutes`;
    const about = { reason: "bounce", value: times, unit: "times", says, readings: { bounce_count: times } };
    return [{ ...gradeHigh(times, this.#config.bounces), ...about }];
  }

  #read(file: string): string | undefined {
    try {
      return this.#machine.read(`/sys/class/net/${this.name}/${file}`)?.trim();
    } catch (error) {
      if (error instanceof Failure) return undefined; // EINVAL: the driver does not tell, or not while it is down
      throw error;
    }
  }
}

const WORDS: Readonly<Record<State, string>> = {
  up: "has a link",
  down: "has no carrier: cable, plug, or the other side",
  off: "is switched off (administratively down)",
  lower: "is down with the interface below it",
  missing: "is not there any more",
};

const ipv4Of = ({ global }: InterfaceAddresses): string[] => global.filter((one) => !one.includes(":")).toSorted();

function textOf(source: Source): string | undefined {
  try {
    return source.read()?.trim();
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}
