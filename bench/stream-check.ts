import { debounce } from "../agent/alarms/debounce.ts";
import { type Ledger, newLedger } from "../agent/alarms/ledger.ts";
import type { Judge, Verdict } from "../agent/checks/check.ts";
import type { StreamConfig } from "../agent/checks/stream/config.ts";
import { streams } from "../agent/checks/stream/stream.ts";
import { systemClock } from "../platform/clock.ts";
import { checkPorts } from "../test/kit/check-ports.ts";

/** The rounds' fast tier: how soon news of a check is asked for. */
const STIR_MS = 250;
const never = new AbortController().signal;

/** What became of a stream. */
export interface Event {
  at: number;
  subject: string;
  what: "verdict" | "raised" | "changed" | "cleared" | "unknown";
  reason: string;
  says: string;
}

/** The stream check at work on this machine, with the debounce of alarms behind it, as the agent's rounds have it. */
export class LiveCheck implements Disposable {
  readonly events: Event[] = [];
  readonly #config: StreamConfig;
  readonly #judge: Judge;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  readonly #last = new Map<string, string>();
  #ledger: Ledger = newLedger();
  #verdicts: readonly Verdict[] = [];

  constructor(config: object, folder: string) {
    this.#config = streams.Config.parse(config);
    const judge = streams.begin(this.#config, checkPorts(folder, { random: Math.random }));
    if (judge === undefined) throw new Error("no target");
    this.#judge = judge;
    this.#running = this.#rounds();
  }
  get verdicts(): readonly Verdict[] {
    return this.#verdicts;
  }
  /** Whether a stream, or each, is judged and well. */
  isWell(subject?: string): boolean {
    const those = this.#verdicts.filter((one) => subject === undefined || one.subject === subject);
    return those.length > 0 && those.every((one) => one.state === "judged" && one.grade === "ok");
  }
  /** The first event of that kind since `at`, ms later; undefined where there is none within the time. */
  async first(since: number, withinMs: number, fits: (event: Event) => boolean): Promise<Event | undefined> {
    for (;;) {
      const found = this.events.find((event) => event.at >= since && fits(event));
      if (found !== undefined || systemClock.now() > since + withinMs) return found;
      await systemClock.sleep(20);
    }
  }
  async wellWithin(withinMs: number, subject?: string): Promise<boolean> {
    for (const until = systemClock.now() + withinMs; systemClock.now() < until; await systemClock.sleep(100))
      if (this.isWell(subject)) return true;
    return false;
  }
  /** Resolves when it has nothing more to do: a round that broke is thrown here. */
  get over(): Promise<void> {
    return this.#running;
  }
  [Symbol.dispose](): void {
    this.#stop.abort();
    this.#judge.close?.();
  }

  async #rounds(): Promise<void> {
    for (let asked = Number.NEGATIVE_INFINITY; !this.#stop.signal.aborted; ) {
      if (this.#judge.stirred?.() === true || systemClock.now() - asked >= 2_000) {
        asked = systemClock.now();
        this.#take(await this.#judge.judge(never));
      }
      await systemClock.sleep(STIR_MS / 5, this.#stop.signal).catch(() => {}); // the signal is the only reason
    }
  }

  #take(verdicts: readonly Verdict[]): void {
    this.#verdicts = verdicts;
    const { id, titles } = streams;
    const { holdOnMs, holdOffMs } = this.#config;
    const now = systemClock.now();
    const { ledger, drafts } = debounce(
      this.#ledger,
      { check: { id, titles, holdOnMs, holdOffMs }, verdicts },
      { now, wall: systemClock.wall() },
    );
    this.#ledger = ledger;
    for (const one of verdicts) this.#note(one, now);
    for (const draft of drafts) {
      if (draft.kind !== "alarm") continue;
      const { kind, reason } = draft.body;
      this.events.push({ at: now, subject: draft.code.slice(id.length + 1), what: kind, reason, says: "" });
    }
  }

  /** A verdict is an event when it is another than before. */
  #note(verdict: Verdict, at: number): void {
    const { subject } = verdict;
    const isBad = verdict.state === "judged" && verdict.grade !== "ok";
    const key = verdict.state === "unknown" ? "unknown" : isBad ? verdict.reason : "ok";
    if (this.#last.get(subject) === key) return;
    this.#last.set(subject, key);
    if (verdict.state === "unknown")
      this.events.push({ at, subject, what: "unknown", reason: "unknown", says: verdict.because });
    else if (isBad)
      this.events.push({ at, subject, what: "verdict", reason: verdict.reason, says: verdict.says ?? "" });
  }
}
