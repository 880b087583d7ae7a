import { debounce } from "../../agent/alarms/debounce.ts";
import { type Ledger, newLedger } from "../../agent/alarms/ledger.ts";
import type { CheckConfig, CheckKind, CheckPorts, Judge, Judged, Verdict } from "../../agent/checks/check.ts";
import { type Clock, systemClock } from "../../platform/clock.ts";
import { checkPorts } from "./check-ports.ts";
import { HandClock } from "./hand-clock.ts";
import { type TempFolder, tempFolder } from "./temp.ts";

/** A clock that knows whether anything still waits by it. */
function counted(clock: Clock): Clock & { waits(): number } {
  let waiting = 0;
  return {
    now: () => clock.now(),
    wall: () => clock.wall(),
    sleep(ms, signal) {
      waiting += 1;
      return clock.sleep(ms, signal).finally(() => {
        waiting -= 1;
      });
    },
    after(ms, work) {
      waiting += 1;
      let open = true;
      const end = (): void => {
        if (open) waiting -= 1;
        open = false;
      };
      const callOff = clock.after(ms, () => {
        end();
        work();
      });
      return () => {
        end();
        callOff();
      };
    },
    every(ms, work) {
      waiting += 1;
      const callOff = clock.every(ms, work);
      return () => {
        waiting -= 1;
        callOff();
      };
    },
    waits: () => waiting,
  };
}

/** One check at work on a clock wound by hand, with the debounce behind it, as in the agent's rounds. */
export class CheckRig<Config extends CheckConfig> implements Disposable {
  readonly clock: HandClock;
  readonly folder: TempFolder = tempFolder("vigil-check");
  /** What became of its verdicts: `raised service.web major down`. */
  readonly told: string[] = [];
  /** Everything it ever said, for what must never be in it. */
  readonly words: string[] = [];
  verdicts: readonly Verdict[] = [];
  readonly #kind: CheckKind<Config>;
  readonly #config: Config;
  readonly #ports: CheckPorts;
  readonly #waits: () => number;
  #judge: Judge | undefined;
  #ledger: Ledger = newLedger();

  constructor(kind: CheckKind<Config>, config: unknown, more: Partial<CheckPorts> = {}, clock = new HandClock()) {
    this.clock = clock;
    this.#kind = kind;
    this.#config = kind.Config.parse(config);
    const own = counted(clock);
    this.#waits = own.waits;
    this.#ports = checkPorts(this.folder.path, { clock: own, ...more });
    this.#judge = kind.begin(this.#config, this.#ports);
  }
  get present(): boolean {
    return this.#judge !== undefined;
  }
  /** Forgets everything but what it keeps on disk, as a restart of the agent does. */
  restart(): void {
    this.#judge?.close?.();
    this.#judge = this.#kind.begin(this.#config, this.#ports);
  }
  /** Starts a question and returns at once. */
  ask(signal: AbortSignal = new AbortController().signal): Promise<readonly Verdict[]> {
    return Promise.resolve(this.#judge?.judge(signal) ?? []).then((verdicts) => this.#take(verdicts));
  }
  /** What it answers without waiting: the very object. */
  now(): unknown {
    return this.#judge?.judge(new AbortController().signal);
  }
  /** One round `afterMs` later, and what it has begun in the background brought to its end. */
  async round(afterMs = 10_000): Promise<readonly Verdict[]> {
    await this.clock.wind(afterMs);
    await this.ask();
    while (this.#waits() > 0) await systemClock.sleep(2);
    return this.#judge?.stirred?.() === true ? this.ask() : this.verdicts;
  }
  async rounds(count: number, afterMs = 10_000): Promise<void> {
    for (let i = 0; i < count; i += 1) await this.round(afterMs);
  }
  of(subject: string): Verdict {
    const found = this.verdicts.find((verdict) => verdict.subject === subject);
    if (found === undefined) throw new Error(`no ${subject} in ${JSON.stringify(this.verdicts)}`);
    return found;
  }
  judged(subject: string): Judged {
    const verdict = this.of(subject);
    if (verdict.state !== "judged") throw new Error(`not judged: ${verdict.because}`);
    return verdict;
  }
  [Symbol.dispose](): void {
    this.#judge?.close?.();
    this.folder[Symbol.dispose]();
  }
  #take(verdicts: readonly Verdict[]): readonly Verdict[] {
    this.verdicts = verdicts;
    this.words.push(JSON.stringify(verdicts));
    const { id, titles } = this.#kind;
    const check = { id, titles, holdOnMs: this.#config.holdOnMs, holdOffMs: this.#config.holdOffMs };
    const at = { now: this.clock.now(), wall: this.clock.wall() };
    const { ledger, drafts } = debounce(this.#ledger, { check, verdicts }, at);
    this.#ledger = ledger;
    for (const draft of drafts)
      if (draft.kind === "alarm")
        this.told.push(`${draft.body.kind} ${draft.code} ${draft.body.severity} ${draft.body.reason}`);
    return verdicts;
  }
}
