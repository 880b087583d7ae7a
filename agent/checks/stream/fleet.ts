import type { Clock } from "../../../platform/clock.ts";
import type { Judge, Readings, Verdict } from "../check.ts";
import { within } from "../within.ts";
import { type Choice, firstChoice, type Limits, type Mode, nextChoice } from "./budget.ts";
import type { Conclusion } from "./conclusion.ts";
import type { SipWatch } from "./sip-watch.ts";
import { verdictOf } from "./verdict.ts";

/** What the fleet must know of a `Watch`. */
export interface Watching {
  readonly name: string;
  readonly conclusion: Conclusion;
  readonly provenAt: number;
  readonly tries: number;
  readonly open: boolean;
  readonly everyMs: number;
  start(): void;
  stop(): Promise<void>;
  modeChanged(): void;
}

/** One stream of the fleet. */
export interface Ship {
  watch: Watching;
  /** As the config has it; `auto` goes by the budget. */
  mode: "auto" | Mode;
  /** Its figures, by names that end in their units. */
  readings(): Readings;
  /** What else should be read beside the conclusion: that the picture itself is not known. */
  aside(): string;
  /** Begins, and ends, what it does beside the session. */
  start(): void;
  close(): void;
}

export interface FleetOrder {
  clock: Clock;
  limits: Limits;
  /** CPU time this agent has used so far, ms. */
  cpuMs: () => number;
  /** A round waits so long at most for first conclusions, ms. */
  waitMs: number;
  /** The choice has changed. */
  log: (choice: Choice) => void;
  /** Once a minute. */
  tick(): void;
  /** Builds the streams; `mode` tells what the fleet has chosen, `changed` is to be told of every other conclusion. */
  build(mode: () => Mode, changed: () => void): { ships: readonly Ship[]; sips: readonly SipWatch[] };
}

const MINUTE_MS = 60_000;
/** A stream of which nothing was known for so long beyond its pauses is not what it was. */
const STALE_MS = 5 * MINUTE_MS;

/** All streams together: who is watched without a gap, and what the check says of them at any moment. */
export class Fleet implements Judge {
  readonly #order: FleetOrder;
  readonly #ships: readonly Ship[];
  readonly #sips: readonly SipWatch[];
  #choice: Choice;
  #told: readonly Verdict[] = [];
  #hasNews = true;
  #started = false;
  #closed = false;
  #arrived = Promise.withResolvers<void>();
  #cpu: { at: number; ms: number };
  #callOff = (): void => {};

  constructor(order: FleetOrder) {
    this.#order = order;
    this.#cpu = { at: order.clock.now(), ms: order.cpuMs() };
    const { ships, sips } = order.build(
      () => this.#choice.mode,
      () => this.#changed(),
    );
    this.#ships = ships;
    this.#sips = sips;
    this.#choice = firstChoice(this.#count(), order.limits);
  }

  /** What is known now; at first it waits a little for all to be known, as it decides about alarms kept over a restart. */
  judge(signal: AbortSignal): readonly Verdict[] | Promise<readonly Verdict[]> {
    if (this.#closed) return this.#told;
    if (this.#started) return this.#answer();
    this.#start();
    return this.#first(signal);
  }
  stirred(): boolean {
    return this.#hasNews && this.#told.length > 0;
  }
  close(): void {
    this.#closed = true;
    this.#callOff();
    for (const { watch, close } of this.#ships) {
      void watch.stop();
      close();
    }
    for (const sip of this.#sips) sip.stop();
  }

  #start(): void {
    this.#started = true;
    this.#order.log(this.#choice);
    for (const { watch, start } of this.#ships) {
      watch.start();
      start();
    }
    for (const sip of this.#sips) sip.start();
    const minute = (): void => {
      this.#weigh();
      this.#order.tick();
      this.#callOff = this.#order.clock.after(MINUTE_MS, minute);
    };
    this.#callOff = this.#order.clock.after(MINUTE_MS, minute);
  }

  /** How much the agent has used since the last time, and whether that is too much. */
  #weigh(): void {
    const { clock, limits, cpuMs, log } = this.#order;
    const now = { at: clock.now(), ms: cpuMs() };
    const cpuPct = ((now.ms - this.#cpu.ms) / Math.max(1, now.at - this.#cpu.at)) * 100;
    this.#cpu = now;
    const before = this.#choice;
    this.#choice = nextChoice(before, cpuPct, this.#count(), limits, now.at);
    if (this.#choice.mode === before.mode) return;
    log(this.#choice);
    for (const { watch } of this.#ships) watch.modeChanged();
    this.#changed();
  }

  /** Those watched without a gap whatever happens count, too. */
  #count(): number {
    return this.#ships.filter(({ mode }) => mode !== "sampled").length;
  }

  #changed(): void {
    this.#hasNews = true;
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers<void>();
  }

  async #first(signal: AbortSignal): Promise<readonly Verdict[]> {
    const { clock, waitMs } = this.#order;
    const until = clock.now() + waitMs;
    const open = (): boolean => this.#verdicts().some(({ state }) => state === "unknown");
    while (!this.#closed && open() && (await within(this.#arrived.promise, until - clock.now(), clock, signal)));
    return this.#answer();
  }

  #answer(): readonly Verdict[] {
    if (!this.#hasNews && !this.#ships.some(({ watch }) => watch.open)) return this.#told;
    this.#hasNews = false;
    this.#told = this.#verdicts();
    return this.#told;
  }

  #verdicts(): Verdict[] {
    const now = this.#order.clock.now();
    return [...this.#ships.map((ship) => this.#verdict(ship, now)), ...this.#sips.map(({ verdict }) => verdict)];
  }

  #verdict({ watch, mode, readings, aside }: Ship, now: number): Verdict {
    const { name, conclusion, provenAt, tries } = watch;
    const chosen = mode === "auto" ? this.#choice.mode : mode;
    const silentMs = now - provenAt;
    if (conclusion.state !== "unknown" && silentMs > STALE_MS + watch.everyMs)
      return verdictOf(name, { state: "unknown", says: `nothing was seen for ${minutes(silentMs)} min` }, {}, tries);
    const sampled = chosen === "sampled" ? "; looked at now and then (sampled)" : "";
    // of a stream that nothing comes of its picture says nothing more
    const says = `${conclusion.says}${SHOWN.has(conclusion.state) ? aside() : ""}${sampled}`;
    return verdictOf(
      name,
      { ...conclusion, says },
      { ...readings(), gapless_pct: chosen === "continuous" ? 100 : 0 },
      tries,
    );
  }
}

/** What comes of it can be looked at. */
const SHOWN: ReadonlySet<Conclusion["state"]> = new Set(["ok", "degraded", "still"]);

const minutes = (ms: number): number => Math.round(ms / MINUTE_MS);
