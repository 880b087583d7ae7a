import type { Clock } from "../../../platform/clock.ts";
import { Failure } from "../../../protocol/failure.ts";
import type { Severity } from "../../../protocol/severity.ts";
import type { Verdict } from "../check.ts";
import type { AuthHold } from "./auth-hold.ts";
import type { SipRoundTrip } from "./gb28181/keepalive.ts";
import { type SipReason, titleAt } from "./titles.ts";
import { isOurs, wordsOf } from "./watch.ts";

export interface SipOrder {
  /** The subject of its alarms. */
  name: string;
  severity: Severity;
  everyMs: number;
  clock: Clock;
  /** In [0, 1). */
  random: () => number;
  /** One round trip to the platform. */
  ask(signal: AbortSignal): Promise<SipRoundTrip>;
  key(): Promise<string>;
  hold: AuthHold;
  changed(): void;
}

/** After so many unanswered in a row it is late, and down (GB/T 28181 gives a device three heartbeats). */
const LATE = 2;
const DOWN = 3;
/** One that did not answer is asked again so soon. */
const RETRY_MS = 10_000;
const KEY_LOOK_MS = 10_000;
const JITTER = 0.1;

/** The SIP side of one platform, asked again and again: a fact of its own, whatever becomes of the media. */
export class SipWatch {
  readonly #order: SipOrder;
  readonly #ending = new AbortController();
  #verdict: Verdict;
  #missed = 0;
  #asked = 0;
  #hasAnswered = false;
  #running = false;

  constructor(order: SipOrder) {
    this.#order = order;
    this.#verdict = { state: "unknown", subject: order.name, because: "not asked yet", asked: 0 };
  }
  get verdict(): Verdict {
    return this.#verdict;
  }
  start(): void {
    if (!this.#running) void this.#run();
    this.#running = true;
  }
  stop(): void {
    this.#ending.abort();
  }

  async #run(): Promise<void> {
    const { clock, everyMs, random } = this.#order;
    const { signal } = this.#ending;
    while (!signal.aborted) {
      const restMs = await this.#turn();
      const pauseMs = restMs ?? (this.#missed > 0 ? Math.min(RETRY_MS, everyMs) : everyMs);
      await clock.sleep(pauseMs * (1 - JITTER + 2 * JITTER * random()), signal).catch(() => {}); // we are ending
    }
  }

  /** One question; how long to rest where that is not the usual pace. */
  async #turn(): Promise<number | undefined> {
    const { name, hold, ask } = this.#order;
    const key = await this.#order.key();
    const leftMs = hold.leftMs(name, key);
    if (leftMs > 0) {
      const minutes = Math.ceil(leftMs / 60_000);
      this.#refused(`the platform refused us; no new try for ${minutes} min, or before user or password are changed`);
      return Math.min(leftMs, KEY_LOOK_MS);
    }
    this.#asked += 1;
    try {
      this.#answered(await ask(this.#ending.signal));
      hold.accepted(name);
    } catch (cause) {
      if (this.#ending.signal.aborted) return undefined;
      if (cause instanceof Failure && cause.code === "STREAM_AUTH") hold.refused(name, key);
      this.#failed(cause);
    }
    return undefined;
  }

  #answered({ ms, status, retransmitted }: SipRoundTrip): void {
    this.#missed = 0;
    this.#hasAnswered = true;
    const rtt = Math.round(ms * 10) / 10;
    const says = `the platform answered with ${status} after ${rtt} ms`;
    const readings = { rtt_ms: rtt, status_code: status, retransmitted_count: retransmitted, missed_count: 0 };
    this.#tell({ grade: "ok", holds: "ok", reason: "ok", says, readings });
  }

  #failed(cause: unknown): void {
    const { name, severity } = this.#order;
    if (!(cause instanceof Failure) || isOurs(cause)) {
      const because = cause instanceof Failure ? wordsOf(cause) : "the probe itself failed";
      this.#keep({ state: "unknown", subject: name, because, asked: this.#asked });
      return;
    }
    this.#missed += 1;
    const says = `${this.#missed} not answered in a row: ${wordsOf(cause)}`;
    if (cause.code === "STREAM_AUTH" || cause.code === "STREAM_STATUS") this.#refused(wordsOf(cause));
    else if (this.#missed >= DOWN) this.#fault("sip-down", severity, says);
    // nothing proves yet that it lives
    else if (this.#missed < LATE && !this.#hasAnswered)
      this.#keep({ state: "unknown", subject: name, because: says, asked: this.#asked });
    else this.#fault("sip-late", this.#missed >= LATE ? "warning" : "ok", says);
  }

  #refused(says: string): void {
    this.#fault("sip-refused", this.#order.severity, says);
  }

  /** One that is missed raises nothing, but an alarm from before a restart of the agent stays until it is answered. */
  #fault(reason: SipReason, grade: Severity | "ok", says: string): void {
    const { severity: holds } = this.#order;
    const figure = { value: this.#missed, unit: "missed", readings: { missed_count: this.#missed } };
    this.#tell({ grade, holds, reason, title: titleAt(reason, "platform"), says, ...figure });
  }

  #tell(finding: Omit<Extract<Verdict, { state: "judged" }>, "state" | "subject">): void {
    this.#keep({ state: "judged", subject: this.#order.name, ...finding });
  }

  #keep(verdict: Verdict): void {
    this.#verdict = verdict;
    this.#order.changed();
  }
}
