import type { Clock } from "../../../platform/clock.ts";
import { Failure } from "../../../protocol/failure.ts";
import type { Conclusion } from "./conclusion.ts";
import { isFed, type PassiveLooks, type WayFacts } from "./hop.ts";
import type { LookPassive, PassiveFacts } from "./passive.ts";

/** Looks at what lies around a stream: the counters of its forwarder, and, while something is wrong, the way to it. */

export interface ScoutOrder {
  clock: Clock;
  look: LookPassive | undefined;
  way: ((signal: AbortSignal) => Promise<WayFacts>) | undefined;
  /** Told what a look brought; undefined where nothing could be told. */
  looked(facts: PassiveFacts | undefined): void;
  went(way: WayFacts): void;
  /** The counters stand, though the stream was well when it was looked at last. */
  standing(): void;
}

/** While the stream is well, and while it is not: two looks at least 2 s apart tell whether bytes move. */
const WELL_MS = 10_000;
const TROUBLED_MS = 3_000;
const WAY_MS = 10_000;

export class Scout {
  readonly #order: ScoutOrder;
  readonly #ending = new AbortController();
  #troubled = false;
  #started = false;
  #busy = false;
  #askedAt = Number.NEGATIVE_INFINITY;
  #wayAt = Number.NEGATIVE_INFINITY;
  #before: PassiveFacts | undefined;
  #way: WayFacts = {};
  #callOff = (): void => {};

  constructor(order: ScoutOrder) {
    this.#order = order;
  }
  start(): void {
    this.#started = true;
    if (this.#order.look !== undefined) this.#turn();
  }
  stop(): void {
    this.#started = false;
    this.#ending.abort();
    this.#callOff();
  }
  /** Told of each other conclusion. What was counted while all was well says nothing of the fault. */
  heard({ reason }: Conclusion): void {
    const troubled = reason !== undefined;
    if (troubled === this.#troubled || !this.#started) return;
    this.#troubled = troubled;
    this.#way = {};
    if (!troubled) {
      this.#order.went({});
      return;
    }
    this.#before = undefined;
    this.#order.looked(undefined);
    this.#askedAt = Number.NEGATIVE_INFINITY;
    this.#wayAt = Number.NEGATIVE_INFINITY;
    this.#callOff();
    this.#turn();
  }

  #turn(): void {
    const { clock, look } = this.#order;
    if (!this.#started) return;
    this.#callOff = look === undefined && !this.#troubled ? () => {} : clock.after(TROUBLED_MS, () => this.#turn());
    if (this.#busy) return;
    this.#busy = true;
    void Promise.all([this.#counters(), this.#wayLook()]).finally(() => {
      this.#busy = false;
    });
  }

  async #counters(): Promise<void> {
    const { clock, look, looked, standing } = this.#order;
    const now = clock.now();
    if (look === undefined || now - this.#askedAt < (this.#troubled ? TROUBLED_MS : WELL_MS)) return;
    this.#askedAt = now;
    let silent = false;
    const facts = await look(this.#ending.signal).catch((cause: unknown) => {
      silent = isSilence(cause);
      return undefined; // unknown, then: that is what undefined says
    });
    if (!this.#started) return;
    looked(facts);
    if (this.#troubled && silent !== (this.#way.forwarderSilent ?? false)) this.#went({ forwarderSilent: silent });
    const looks: PassiveLooks | undefined =
      this.#before === undefined || facts === undefined ? undefined : { before: this.#before, now: facts };
    this.#before = facts;
    if (!this.#troubled && looks !== undefined && isFed(looks) === false) standing();
  }

  async #wayLook(): Promise<void> {
    const { clock, way } = this.#order;
    const now = clock.now();
    if (way === undefined || !this.#troubled || now - this.#wayAt < WAY_MS) return;
    this.#wayAt = now;
    const facts = await way(this.#ending.signal).catch(() => ({}));
    if (this.#troubled) this.#went(facts);
  }

  #went(facts: WayFacts): void {
    this.#way = { ...this.#way, ...facts };
    this.#order.went(this.#way);
  }
}

const isSilence = (cause: unknown): boolean => cause instanceof Failure && SILENCE.has(cause.code);
const SILENCE = new Set(["DIAL_TIMEOUT", "DIAL_REFUSED", "DIAL_RESET", "STREAM_TIMEOUT"]);
