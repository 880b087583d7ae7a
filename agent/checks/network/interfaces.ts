import type { Machine, Source } from "../../../platform/machine.ts";
import type { InterfaceAddresses } from "../../../platform/net-addresses.ts";
import type { Verdict } from "../check.ts";
import type { NetworkMemory } from "./memory.ts";
import type { NetworkConfig } from "./network.ts";
import { Port } from "./port.ts";
import { parseNetDev } from "./text.ts";

const FOLDER = "/sys/class/net";
/** A round by hand looks twice, a second apart. */
const SOON_MS = 900;

export type AddressesOf = () => ReadonlyMap<string, InterfaceAddresses>;

/** All interfaces that are judged: which there are is looked up with the figures. */
export class Interfaces {
  readonly #config: NetworkConfig;
  readonly #machine: Machine;
  readonly #memory: NetworkMemory;
  readonly #addressesOf: AddressesOf;
  readonly #totals: Source;
  readonly #ignored: readonly ((name: string) => boolean)[];
  readonly #ports = new Map<string, Port>();
  /** Names looked at and passed over, until they are gone. */
  #passed = new Set<string>();
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looks = 0;
  #last: readonly Verdict[] = [];

  constructor(config: NetworkConfig, machine: Machine, memory: NetworkMemory, addressesOf: AddressesOf) {
    this.#config = config;
    this.#machine = machine;
    this.#memory = memory;
    this.#addressesOf = addressesOf;
    this.#totals = machine.source("/proc/net/dev");
    this.#ignored = config.ignore.map(matcher);
    const kept = Object.entries(memory.learned.ports).filter(([, { carrier }]) => carrier === true);
    // what was there and is not any more is a fault, and no subject less
    for (const name of [...Object.keys(config.interfaces), ...kept.map(([name]) => name)])
      if (!this.#isIgnored(name)) this.#add(name);
  }

  /** The one whose loss is the loss of everything behind the gateway. */
  get uplink(): string | undefined {
    const known = this.#memory.learned.uplink;
    if (known !== undefined) return known;
    const [only, ...more] = this.#ports.keys();
    return more.length === 0 ? only : undefined;
  }

  /** Whether anything can go out through `name`; one that is not judged is believed. */
  carries(name: string): boolean {
    const port = this.#ports.get(name);
    return port === undefined || (port.isUp && port.hasAddress);
  }

  /** Judges all; the same array while nothing is new. `again`: addresses may have changed, so look at everything. */
  look(nowMs: number, again: boolean): readonly Verdict[] {
    // the second look follows soon: a rate needs two, and time in between
    const due =
      again ||
      (this.#looks === 1 && nowMs - this.#lookedAt >= SOON_MS) ||
      nowMs - this.#lookedAt >= this.#config.figuresEveryMs;
    const figures = due ? this.#figures(nowMs) : undefined;
    const { uplink } = this;
    let same = true;
    const verdicts: Verdict[] = [];
    let addresses: ReturnType<AddressesOf> | undefined;
    for (const port of this.#ports.values()) {
      let verdict = port.look(nowMs, port.name === uplink, figures?.(port.name));
      if (figures === undefined && port.isWaiting(nowMs)) {
        addresses ??= this.#addressesOf();
        verdict = port.look(nowMs, port.name === uplink, { counters: undefined, addresses: addresses.get(port.name) });
      }
      same &&= verdict === this.#last[verdicts.length];
      verdicts.push(verdict);
    }
    if (!same || verdicts.length !== this.#last.length) this.#last = verdicts;
    return this.#last;
  }

  close(): void {
    this.#totals.close();
    for (const port of this.#ports.values()) port.close();
  }

  #figures(nowMs: number) {
    this.#lookedAt = nowMs;
    this.#looks += 1;
    const totals = parseNetDev(this.#totals.read() ?? "");
    const addresses = this.#addressesOf();
    this.#passed = new Set([...this.#passed].filter((name) => totals.has(name)));
    const { uplink } = this.#memory.learned;
    for (const name of totals.keys())
      if (!this.#ports.has(name) && (!this.#passed.has(name) || name === uplink)) {
        if (this.#isJudged(name)) this.#add(name);
        else this.#passed.add(name);
      }
    return (name: string) => ({ counters: totals.get(name), addresses: addresses.get(name) });
  }

  #add(name: string): void {
    this.#ports.set(name, new Port(name, this.#config, this.#machine, this.#memory));
  }

  /** A port of the board, or what carries the default route; what is virtual only when it is named. */
  #isJudged(name: string): boolean {
    if (this.#isIgnored(name) || name.includes(":")) return false; // an alias: its interface is judged
    if (Object.hasOwn(this.#config.interfaces, name) || name === this.#memory.learned.uplink) return true;
    return this.#machine.link(`${FOLDER}/${name}/device`) !== undefined;
  }

  #isIgnored(name: string): boolean {
    return !Object.hasOwn(this.#config.interfaces, name) && this.#ignored.some((fits) => fits(name));
  }
}

/** `veth*`: any text for the star. */
export function matcher(pattern: string): (name: string) => boolean {
  const [head = "", ...rest] = pattern.split("*");
  if (rest.length === 0) return (name) => name === pattern;
  return (name) => {
    if (!name.startsWith(head)) return false;
    let at = head.length;
    for (const [i, part] of rest.entries()) {
      const found = i === rest.length - 1 && part !== "" ? name.length - part.length : name.indexOf(part, at);
      if (found < at || !name.startsWith(part, found)) return false;
      at = found + part.length;
    }
    return true;
  };
}
