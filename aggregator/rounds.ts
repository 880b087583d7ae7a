import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/log.ts";
import { Failure } from "../protocol/failure.ts";
import type { Alarms } from "./alarms.ts";
import type { DailyDesk } from "./daily/desk.ts";
import type { Devices } from "./devices.ts";
import type { Gaps } from "./gaps.ts";
import type { Intake } from "./intake.ts";
import type { InventoryLibrary } from "./inventory/library.ts";
import { type News, noNews } from "./news.ts";
import type { SilenceWatch } from "./silence.ts";
import type { MqttSink } from "./sinks/mqtt.ts";
import type { Store } from "./store.ts";
import type { TicketDesk } from "./tickets/desk.ts";

/** Silence, hold-ons and observations are looked at so often, milliseconds. */
const EVERY_MS = 500;
/** Our state is said anew so often: one that is older tells devices that we hang. */
const STATE_MS = 60_000;
/** Old claims and topics are cleared away so often. */
const TIDY_MS = 600_000;
const DAY_MS = 86_400_000;
/** What changed in inventories is kept for three years, the longest service term of the contract. */
const INVENTORY_DAYS = 1_096;
/** Rows dealt with in one transaction, so that messages need not wait long. */
const AT_ONCE = 200;

export interface RoundsParts {
  store: Store;
  devices: Devices;
  alarms: Alarms;
  desk: TicketDesk;
  daily: DailyDesk;
  /** Configuration and performance data of daily checks are kept for so many days. */
  dailyKeepDays: number;
  watch: SilenceWatch;
  gaps: Gaps;
  library: InventoryLibrary;
  intake: Pick<Intake, "wasBehind">;
  sink: Pick<MqttSink, "resync" | "refresh" | "askInventory">;
  clock: Clock;
  log: Logger;
  committed(news: News): void;
}

/** What time alone brings about: silence, tickets that are due, questions to devices, tidying. */
export class Rounds {
  readonly #parts: RoundsParts;
  /** Found silent, not committed yet. */
  readonly #silent = new Set<string>();
  /** Work that failed at its last try, by name. */
  readonly #failing = new Map<string, string>();

  constructor(parts: RoundsParts) {
    this.#parts = parts;
  }

  /** What of the last round could not be done, as a failure code or in words; undefined when all was. */
  get failing(): string | undefined {
    return [...this.#failing.values()][0];
  }

  /** After a restart everybody known to be there gets its full time again. */
  async watchKnown(): Promise<void> {
    const { store, watch, clock } = this.#parts;
    for (let after = ""; ; ) {
      const rows = await store.reading.devices({ after, limit: 500 });
      for (const { id, presence, heartbeatS } of rows) {
        if (presence === "online" || presence === "unknown") watch.heard(id, clock.now(), heartbeatS);
      }
      const last = rows.at(-1);
      if (last === undefined) return;
      after = last.id;
    }
  }

  /** Until `signal` aborts. `alive` is called after each round. */
  async walk(signal: AbortSignal, inboxDays: number, alive: () => void = () => {}): Promise<void> {
    const { clock, sink } = this.#parts;
    let [stateAt, tidyAt] = [clock.now(), clock.now()];
    while (!signal.aborted) {
      await this.round();
      const now = clock.now();
      if (now - stateAt >= STATE_MS) {
        const tidy = now - tidyAt >= TIDY_MS;
        sink.refresh(tidy);
        stateAt = now;
        if (tidy) {
          await this.#guarded("tidy", () => this.#forgetOld(inboxDays));
          tidyAt = now;
        }
      }
      alive();
      await clock.sleep(EVERY_MS, signal).catch(() => {}); // aborted: the loop ends
    }
  }

  async round(): Promise<void> {
    const { watch, intake, clock, gaps, sink, library } = this.#parts;
    if (intake.wasBehind()) watch.late(clock.now());
    for (const device of watch.sweep(clock.now())) this.#silent.add(device);
    await this.#guarded("silence", () => this.#silence());
    await this.#guarded("due", () => this.#due());
    for (const { device, because } of gaps.due(clock.now())) sink.resync(device, because);
    for (const device of library.due(clock.now())) sink.askInventory(device, "info names another one than we have");
  }

  async #silence(): Promise<void> {
    const { store, devices, watch, clock, committed } = this.#parts;
    while (this.#silent.size > 0) {
      const some = [...this.#silent].slice(0, AT_ONCE);
      const news = noNews(clock.wall());
      await store.transaction(async (tx) => {
        for (const device of some) if (!watch.has(device)) await devices.silent(tx, device, news);
      });
      for (const device of some) this.#silent.delete(device);
      committed(news);
    }
  }

  async #due(): Promise<void> {
    const { store, alarms, desk, clock, committed } = this.#parts;
    for (let more = true; more; ) {
      const news = noNews(clock.wall());
      const found = await store.transaction(async (tx) =>
        Math.max(await alarms.openDue(tx, news, AT_ONCE), await desk.resolveObserved(tx, news, AT_ONCE)),
      );
      committed(news);
      more = found >= AT_ONCE;
    }
  }

  async #forgetOld(days: number): Promise<void> {
    const { store, clock } = this.#parts;
    const before = clock.wall() - days * DAY_MS;
    while ((await store.transaction((tx) => tx.forgetOldClaims(before, 1_000))) >= 1_000);
    const old = clock.wall() - INVENTORY_DAYS * DAY_MS;
    while ((await store.transaction((tx) => tx.inventory.forgetChanges(old, 1_000))) >= 1_000);
    const { daily, dailyKeepDays } = this.#parts;
    while ((await store.transaction((tx) => daily.forget(tx, clock.wall(), dailyKeepDays, 1_000))) >= 1_000);
  }

  /** The store may be busy: the next round tries again. Said once until it works again. */
  async #guarded(name: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#failing.delete(name);
    } catch (error) {
      const known = error instanceof Failure;
      const because = error instanceof Error ? error.message : String(error);
      if (!this.#failing.has(name) || !known) {
        const facts = { event: "rounds.failed", work: name, because };
        this.#parts.log.error(
          known ? facts : { ...facts, stack: error instanceof Error ? error.stack : "" },
          "tried again",
        );
      }
      this.#failing.set(name, known ? error.code : because);
    }
  }
}
