import type { ApiDailyRecord, ApiDailyRow } from "../../protocol/api-daily.ts";
import { worstOfDay } from "../../protocol/daily-state.ts";
import type { DailyFilter, DailyHead, DailyReading, DailyRow } from "../daily-store.ts";
import type { Page } from "../store.ts";
import { dayNumber, localDay } from "./calendar.ts";

export interface DailyRules {
  timeZone: string;
  /** When devices make their checks, `HH:MM` in that time zone. */
  at: string;
  /** So much later one that is not there is missing, milliseconds. */
  graceMs: number;
}

/** The daily checks as the desk reads them: which are there, which are missing, and what each says. */
export class DailySheets {
  readonly #reading: DailyReading;
  readonly #wall: () => number;
  readonly #local: ReturnType<typeof localDay>;
  readonly #dueSecond: number;

  constructor(reading: DailyReading, rules: DailyRules, wall: () => number) {
    this.#reading = reading;
    this.#wall = wall;
    this.#local = localDay(rules.timeZone);
    const [hour = 0, minute = 0] = rules.at.split(":").map(Number);
    this.#dueSecond = hour * 3600 + minute * 60 + rules.graceMs / 1000;
  }

  /** The desk's date now. */
  today(): string {
    return this.#local(this.#wall()).date;
  }

  /** Whether by now a check of `date` that is not there is missing. */
  isOver(date: string): boolean {
    const { date: today, second } = this.#local(this.#wall());
    return (dayNumber(today) - dayNumber(date)) * 86_400 + second >= this.#dueSecond;
  }

  /** The devices of one day's sheet, by id. */
  async rows(date: string, filter: DailyFilter, page: Page): Promise<ApiDailyRow[]> {
    const lacking = this.isOver(date) ? "missing" : "due";
    const rows = await this.#reading.sheet(date, filter, page);
    return rows.map((row) => this.#row(row, date, lacking));
  }

  /** One device's whole record of a day, undefined where there is none. */
  async day(date: string, device: string): Promise<ApiDailyRecord | undefined> {
    const [record, row] = await Promise.all([
      this.#reading.day(date, device),
      this.#reading.sheet(date, { device }, { limit: 1 }),
    ]);
    if (record === undefined) return undefined;
    const { head, config, performance, faults } = record;
    const site = row[0]?.device.site;
    return {
      ...{ device, date, ...(site === undefined ? {} : { site }), state: "made" as const, ...this.#told(head) },
      ...{ boot: head.boot, seq: head.seq },
      ...(config === undefined ? {} : { config }),
      ...(performance === undefined ? {} : { performance: [...performance] }),
      faults,
    };
  }

  /** Devices by how their check of today stands. */
  async counts(): Promise<Record<ApiDailyRow["state"], number>> {
    const today = this.today();
    const { made, lacking } = await this.#reading.counts(today);
    const over = this.isOver(today);
    return { made, missing: over ? lacking : 0, due: over ? 0 : lacking };
  }

  #row({ device, head }: DailyRow, date: string, lacking: "missing" | "due"): ApiDailyRow {
    const { id, site, presence, seenAt } = device;
    const known = { device: id, ...(site === undefined ? {} : { site }), date, presence, seen_at: seenAt };
    return head === undefined ? { ...known, state: lacking } : { ...known, state: "made", ...this.#told(head) };
  }

  #told(head: DailyHead) {
    const { device: _device, date, boot: _boot, seq: _seq, ts, receivedAt, alarms, tickets, again, ...counts } = head;
    return {
      worst: worstOfDay(counts),
      ...counts,
      ...{ alarms_count: alarms, tickets_count: tickets, again_count: again, ts, received_at: receivedAt },
      late: this.#local(receivedAt).date > date,
    };
  }
}
