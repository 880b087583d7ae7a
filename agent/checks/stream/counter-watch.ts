import type { Clock } from "../../../platform/clock.ts";
import { Failure } from "../../../protocol/failure.ts";
import type { Conclusion } from "./conclusion.ts";
import type { LookPassive, PassiveFacts } from "./passive.ts";
import { isOurs, isSame, wordsOf } from "./watch.ts";

export interface CounterOrder {
  name: string;
  clock: Clock;
  look: LookPassive;
  examiner: {
    looked(facts: PassiveFacts | undefined): void;
    conclude(): Conclusion;
    failed(failure: Failure): Conclusion;
  };
  changed(): void;
}

/** Over the 3 s that make a stand-still. */
const EVERY_MS = 3_100;

/** A stream that is known by counters alone: no session is opened to it. */
export class CounterWatch {
  readonly name: string;
  readonly everyMs = EVERY_MS;
  readonly #order: CounterOrder;
  readonly #ending = new AbortController();
  #conclusion: Conclusion = { state: "unknown", says: "not looked at yet" };
  #provenAt: number;
  #tries = 0;
  #running: Promise<void> | undefined;

  constructor(order: CounterOrder) {
    this.name = order.name;
    this.#order = order;
    this.#provenAt = order.clock.now();
  }
  get conclusion(): Conclusion {
    return this.#conclusion;
  }
  get provenAt(): number {
    return this.#provenAt;
  }
  get tries(): number {
    return this.#tries;
  }
  get open(): boolean {
    return this.#running !== undefined;
  }
  start(): void {
    this.#running ??= this.#run();
  }
  stop(): Promise<void> {
    this.#ending.abort();
    return this.#running ?? Promise.resolve();
  }
  modeChanged(): void {}

  async #run(): Promise<void> {
    const { clock } = this.#order;
    const { signal } = this.#ending;
    while (!signal.aborted) {
      const conclusion = await this.#look();
      if (signal.aborted) return;
      const before = this.#conclusion;
      this.#conclusion = conclusion;
      if (conclusion.state !== "unknown") this.#provenAt = clock.now();
      if (!isSame(before, conclusion)) this.#order.changed();
      await clock.sleep(EVERY_MS, signal).catch(() => {}); // we are ending
    }
  }

  async #look(): Promise<Conclusion> {
    const { look, examiner } = this.#order;
    this.#tries += 1;
    try {
      examiner.looked(await look(this.#ending.signal));
      return examiner.conclude();
    } catch (cause) {
      examiner.looked(undefined);
      if (!(cause instanceof Failure)) return { state: "unknown", says: "the probe itself failed" };
      return isOurs(cause) ? { state: "unknown", says: wordsOf(cause) } : examiner.failed(cause);
    }
  }
}
