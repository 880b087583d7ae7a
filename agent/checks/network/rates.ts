import { type Counters, grown } from "./text.ts";

/** What one interface carried between two looks, and how well. */
export interface Rates {
  rxKbps: number;
  txKbps: number;
  /** Share of the packets of the last looks that had errors, or were dropped, percent. */
  errorPct: number;
  dropPct: number;
  errors: number;
  drops: number;
}

/** Faults are counted over so many looks: five minutes at the usual pace. */
const LOOKS = 5;
/** In less a single burst would look like a full line. */
const LEAST_S = 0.5;
/** Fewer are chance. */
const LEAST_FAULTS = 10;

interface Step {
  packets: number;
  errors: number;
  drops: number;
}

/** Turns an interface's totals into rates. */
export class RateWatch {
  #last: { at: number; counters: Counters } | undefined;
  #steps: Step[] = [];
  #speed: Pick<Rates, "rxKbps" | "txKbps"> | undefined;

  /** Takes in the totals at `nowMs` (monotonic). */
  look(counters: Counters, nowMs: number): void {
    const last = this.#last;
    const seconds = last === undefined ? 0 : (nowMs - last.at) / 1_000;
    if (last !== undefined && seconds < LEAST_S) return;
    this.#last = { at: nowMs, counters };
    if (last === undefined) return;
    const by = (key: keyof Counters): number | undefined => grown(last.counters[key], counters[key]);
    const [rxBytes, txBytes] = [by("rxBytes"), by("txBytes")];
    if (rxBytes !== undefined && txBytes !== undefined)
      this.#speed = { rxKbps: kbps(rxBytes, seconds), txKbps: kbps(txBytes, seconds) };
    const step = stepOf(by);
    if (step !== undefined) this.#steps = [...this.#steps.slice(1 - LOOKS), step];
  }

  /** Undefined before two looks. */
  rates(): Rates | undefined {
    if (this.#speed === undefined) return undefined;
    const sum = (key: keyof Step): number => this.#steps.reduce((total, step) => total + step[key], 0);
    const [packets, errors, drops] = [sum("packets"), sum("errors"), sum("drops")];
    return {
      ...this.#speed,
      errors,
      drops,
      errorPct: share(errors, packets),
      dropPct: share(drops, packets),
    };
  }
}

function stepOf(by: (key: keyof Counters) => number | undefined): Step | undefined {
  const both = (rx: keyof Counters, tx: keyof Counters): number | undefined => {
    const [received, sent] = [by(rx), by(tx)];
    return received === undefined || sent === undefined ? undefined : received + sent;
  };
  const packets = both("rxPackets", "txPackets");
  const errors = both("rxErrors", "txErrors");
  const drops = both("rxDrops", "txDrops");
  return packets === undefined || errors === undefined || drops === undefined ? undefined : { packets, errors, drops };
}

const kbps = (bytes: number, seconds: number): number => Math.round((bytes * 8) / seconds / 100) / 10;

/** Packets with faults are not among those counted as received. */
const share = (faults: number, packets: number): number =>
  faults < LEAST_FAULTS ? 0 : Math.round((10_000 * faults) / (packets + faults)) / 100;
