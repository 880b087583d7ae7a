import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/log.ts";
import { DAY_MS, type HistorySize, type HistoryStore, HOUR_MS, hourOf } from "../history-store.ts";
import { fileTime, Stretches } from "./stretches.ts";

/** A committed telemetry message. */
export interface Told {
  device: string;
  code: string;
  body: Readonly<Record<string, number>> & { ts: number };
  /** Wall clock at arrival, epoch ms. */
  receivedAt: number;
}

export interface HistoryRules {
  rawDays: number;
  hourlyDays: number;
  rawEveryS: number;
  /** Pages in use at most: beyond it the oldest samples go, then the oldest hourly values. */
  maxBytes: number;
  /** Room on the disk below which nothing more is written: it belongs to the tickets. */
  leaveFreeBytes: number;
}

const EVERY_MS = 1_000;
/** Work in one transaction, and transactions of one kind in one round: messages come in between. */
const SAMPLES_AT_ONCE = 1_000;
const ROLLED_AT_ONCE = 2_000;
const ROWS_AT_ONCE = 500;
const SEALS_AT_ONCE = 25;
const TURNS = 8;
/** Fewer samples than that wait so long for company: then more of them go to one page. */
const FILE_MS = 5_000;
/** What can wait is looked at so often, unless there was more to do. */
const SELDOM_MS = 10_000;
/** An hour is worked out so long after its end: what was under way has arrived. */
const SETTLE_MS = 120_000;
/** Hourly values are packed after so many days: trends read the younger ones. */
const SEAL_DAYS = 40;
/** Size and room are looked at so often. */
const SIZE_MS = 10_000;
/** Pages given back to a full disk in one round. */
const SHRINK_PAGES = 2_000;

type Because = "waiting" | "disk" | "figures" | "fault";

/** Keeps the performance history: files what devices told, works out hours, and forgets what is old or too much. */
export class HistoryKeeper {
  readonly #store: HistoryStore;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #rules: HistoryRules;
  readonly #stretches: Stretches;
  #size: HistorySize = {
    bytes: 0,
    freeBytes: Number.POSITIVE_INFINITY,
    series: 0,
    recentRows: 0,
    rawRows: 0,
    dayRows: 0,
  };
  #sizeAt = Number.NEGATIVE_INFINITY;
  readonly #told = new Set<string>();
  #filed = 0;
  #filedAt = Number.NEGATIVE_INFINITY;
  #tidiedAt = Number.NEGATIVE_INFINITY;
  readonly #dropped: Record<Because, number> = { waiting: 0, disk: 0, figures: 0, fault: 0 };
  readonly #removed = { age: 0, limit: 0 };

  constructor(parts: { store: HistoryStore; clock: Clock; log: Logger; rules: HistoryRules }) {
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#rules = parts.rules;
    this.#stretches = new Stretches(parts.rules.rawEveryS * 1_000);
  }

  /** Takes committed messages. Never throws, never waits: what cannot be kept is counted. */
  take(messages: readonly Told[]): void {
    let isWell = true;
    for (const message of messages) {
      try {
        this.#take(message);
      } catch (error) {
        isWell = false;
        this.#dropped.fault += 1;
        this.#fails("take", error);
      }
    }
    if (isWell) this.#told.delete("take");
  }

  #take({ device, code, body, receivedAt }: Told): void {
    const ts = fileTime(body.ts, receivedAt);
    if (!this.#stretches.isFirst(device, code, ts)) return;
    if (this.#isShort()) {
      this.#dropped.disk += 1;
      return;
    }
    const { isTaken, figuresRefused } = this.#store.stage({ device, code, ts, figures: body });
    this.#dropped.figures += figuresRefused;
    if (!isTaken) this.#dropped.waiting += 1;
  }

  /** Until `signal` aborts. */
  async walk(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.round();
      await this.#clock.sleep(EVERY_MS, signal).catch(() => {}); // aborted: the loop ends
    }
  }

  /** After the last message: what waits is filed, as far as the disk takes it. */
  async finish(): Promise<void> {
    while (this.#store.staged > 0 && (await this.#guarded("file", () => this.#file())) === true);
  }

  async round(): Promise<void> {
    await this.#guarded("size", () => this.#look());
    if (this.#store.staged >= SAMPLES_AT_ONCE || this.#clock.now() - this.#filedAt >= FILE_MS) {
      this.#filedAt = this.#clock.now();
      await this.#turns("file", () => this.#file());
    }
    if (this.#clock.now() - this.#tidiedAt < SELDOM_MS) return;
    if (!(await this.#tidy(this.#clock.wall()))) this.#tidiedAt = this.#clock.now();
  }

  /** Works out hours, packs and forgets, a bounded part of each. Whether there is more to do. */
  async #tidy(now: number): Promise<boolean> {
    const { rawDays, hourlyDays } = this.#rules;
    const rollUp = async () => (await this.#store.rollUp(hourOf(now - SETTLE_MS), ROLLED_AT_ONCE)) >= ROLLED_AT_ONCE;
    const isBehind = await this.#turns("roll-up", rollUp);
    const sealed = await this.#guarded("seal", () => this.#store.seal(dayOf(now) - SEAL_DAYS, SEALS_AT_ONCE));
    const gone = await this.#guarded("forget", async () => {
      const raw = await this.#store.forgetRaw(hourOf(now - rawDays * DAY_MS), ROWS_AT_ONCE);
      const days = await this.#store.forgetDays(dayOf(now) - hourlyDays, ROWS_AT_ONCE);
      this.#removed.age += raw + days;
      return Math.max(raw, days);
    });
    await this.#guarded("limit", () => this.#limit(now));
    return isBehind || (sealed ?? 0) >= SEALS_AT_ONCE || (gone ?? 0) >= ROWS_AT_ONCE || this.#isOver();
  }

  /** For /metrics. */
  figures() {
    const { bytes, series, recentRows, rawRows, dayRows } = this.#size;
    const by = (label: string, counts: object) =>
      Object.entries(counts).map(([name, value]) => ({ labels: { [label]: name }, value: Number(value) }));
    return {
      vigil_history_samples_total: this.#filed,
      vigil_history_dropped_total: by("because", this.#dropped),
      vigil_history_removed_total: by("because", this.#removed),
      vigil_history_rows: by("kind", { series, recent: recentRows, raw: rawRows, day: dayRows }),
      vigil_history_bytes: bytes,
    };
  }

  /** Files the first that wait. True when there may be more to do. */
  async #file(): Promise<boolean> {
    if (this.#store.staged === 0 || this.#isShort()) return false;
    const filed = await this.#store.file(SAMPLES_AT_ONCE);
    this.#filed += filed;
    return filed >= SAMPLES_AT_ONCE;
  }

  #isOver(): boolean {
    return this.#size.bytes > this.#rules.maxBytes;
  }

  /** What is left of the disk belongs to the tickets. */
  #isShort(): boolean {
    return this.#size.freeBytes < this.#rules.leaveFreeBytes;
  }

  async #look(): Promise<void> {
    if (this.#clock.now() - this.#sizeAt < SIZE_MS) return;
    this.#sizeAt = this.#clock.now();
    this.#size = await this.#store.size();
    const { leaveFreeBytes } = this.#rules;
    const { freeBytes, bytes } = this.#size;
    this.#once("disk", this.#isShort(), "the disk is nearly full: figures are not kept", {
      freeBytes,
      leaveFreeBytes,
    });
    if (this.#isShort()) await this.#store.shrink(SHRINK_PAGES);
    const { maxBytes } = this.#rules;
    this.#once("limit", bytes > maxBytes, "the history is at its limit: its oldest samples go early", {
      bytes,
      maxBytes,
    });
  }

  /** Over the limit the oldest goes early: samples first, then hourly values; what belongs to today stays. */
  async #limit(now: number): Promise<void> {
    for (let turn = 0; turn < TURNS && this.#isOver(); turn += 1) {
      const raw = await this.#store.forgetRaw(hourOf(now - HOUR_MS), ROWS_AT_ONCE);
      const gone = raw > 0 ? raw : await this.#store.forgetDays(dayOf(now), ROWS_AT_ONCE);
      if (gone === 0) return;
      this.#removed.limit += gone;
      this.#size = await this.#store.size();
    }
  }

  /** So often as there may be more to do, a few times at most; between two the messages have their turn. Whether there is more. */
  async #turns(name: string, work: () => Promise<boolean>): Promise<boolean> {
    for (let turn = 0; turn < TURNS; turn += 1) {
      if ((await this.#guarded(name, work)) !== true) return false;
      await new Promise((done) => setImmediate(done));
    }
    return true;
  }

  /** The disk may be full or busy: the next round tries again. Said once until it works again. */
  async #guarded<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      const result = await work();
      this.#told.delete(name);
      return result;
    } catch (error) {
      this.#fails(name, error);
      return undefined;
    }
  }

  #fails(name: string, error: unknown): void {
    const because = error instanceof Error ? error.message : String(error);
    if (!this.#told.has(name))
      this.#log.error({ event: "history.failed", work: name, because }, "figures wait or are lost");
    this.#told.add(name);
  }

  #once(name: string, is: boolean, text: string, facts: Record<string, number>): void {
    const was = this.#told.has(`at ${name}`);
    if (is && !was) this.#log.warn({ event: `history.${name}`, ...facts }, text);
    if (!is && was) this.#log.info({ event: `history.${name}.over`, ...facts }, "figures are kept as before");
    if (is) this.#told.add(`at ${name}`);
    else this.#told.delete(`at ${name}`);
  }
}

const dayOf = (at: number): number => Math.floor(at / DAY_MS);
