import type { ApiDailyConfig, ApiDailyFaults, ApiDailyFigures } from "../protocol/api-daily.ts";
import type { DailyCounts } from "../protocol/daily-state.ts";
import type { DeviceInfo } from "../protocol/from-device.ts";
import type { DeviceRow, Page, TicketRow } from "./store.ts";

/**
 * What is kept of the daily checks (日检): configuration, performance and fault data of each day and device apart, so that
 * each can be kept as long as the contract wants it.
 */

/** What a day's record is known by, and its counts: kept with the fault data, for ever. */
export interface DailyHead extends DailyCounts {
  device: string;
  /** `2026-11-22`, the device's own calendar. */
  date: string;
  boot: string;
  seq: number;
  /** Device clock. */
  ts: number;
  receivedAt: number;
  cut_count: number;
  alarms: number;
  tickets: number;
  /** Further records of the same day, which changed nothing. */
  again: number;
}

export interface DailyRecord {
  head: DailyHead;
  /** Absent once it was forgotten. */
  config?: ApiDailyConfig;
  performance?: readonly ApiDailyFigures[];
  faults: ApiDailyFaults;
}

/** A device on the sheet of a day. */
export interface DailyRow {
  device: Pick<DeviceRow, "id" | "site" | "presence" | "seenAt">;
  /** Absent while there is none. */
  head?: DailyHead;
}

export interface DailyFilter {
  device?: string;
  site?: string;
}

/** The daily checks' share of a transaction; see `Tx` for its rules. */
export interface DailyTx {
  /** A device is there: its checks are expected from `date` on. The first word stands. */
  meet(device: string, date: string): Promise<void>;
  /** Enters a day's record. False, and only counted, when the day has one already: the first one stands. */
  enter(record: DailyRecord): Promise<boolean>;
  /** The device's inventory as it told it last. */
  info(device: string): Promise<DeviceInfo | undefined>;
  /** Tickets of a device that were open at `at` (epoch ms), by opening; at most `limit`. */
  ticketsOpenAt(device: string, at: number, limit: number): Promise<readonly TicketRow[]>;
  /** Forgets configuration and performance data of days before `date`; at most `limit` of each. Says how many went. */
  forget(date: string, limit: number): Promise<number>;
}

export interface DailyReading {
  /** The devices whose check of `date` is there or was to be expected, by id. */
  sheet(date: string, filter: DailyFilter, page: Page): Promise<readonly DailyRow[]>;
  day(date: string, device: string): Promise<DailyRecord | undefined>;
  /** How many devices' checks of `date` are there, and how many are not of those expected. */
  counts(date: string): Promise<{ made: number; lacking: number }>;
}
