/** Milliseconds of an hour and of a day; hours and days here are whole ones since the epoch (UTC). */
export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
export const hourOf = (at: number): number => Math.floor(at / HOUR_MS);

/** What a figure may be called: short, and safe in a table, a URL and a spreadsheet. */
export const FIGURE_PATTERN = /^[a-z][a-z0-9_]{0,59}$/;

/** The figures of one telemetry message at the time they are filed under, epoch ms. */
export interface Sample {
  device: string;
  code: string;
  ts: number;
  figures: Readonly<Record<string, number>>;
}

/** One figure of one device and code over time. */
export interface Series {
  id: number;
  device: string;
  code: string;
  /** In the order in which they were first told. */
  figures: readonly string[];
}

export interface RawPoint {
  ts: number;
  figure: string;
  value: number;
}
/** One hour of one figure; `ts` is its beginning. */
export interface HourPoint {
  ts: number;
  figure: string;
  min: number;
  max: number;
  mean: number;
  /** The last value in it. */
  last: number;
  n: number;
}

export interface HistoryQuery {
  device: string;
  code: string;
  /** All of the code's figures where absent. */
  figure?: string | undefined;
  /** Epoch ms; from is included, to is not. */
  from: number;
  to: number;
  /** Only what follows this point. */
  after?: PointKey | undefined;
  /** Points at most. */
  limit: number;
}
/** Points are in the order of their time, and of one time in the order in which the figures were first told. */
export type PointKey = Pick<RawPoint, "ts" | "figure">;

export interface HistorySize {
  /** Pages in use. */
  bytes: number;
  /** Room left on the disk; infinite in memory. */
  freeBytes: number;
  series: number;
  /** Samples not worked out yet, series and hours with samples, series and days with hourly values. */
  recentRows: number;
  rawRows: number;
  dayRows: number;
}

/** A trend or an outlier as it was last seen; what is told of it goes through alarms and tickets. */
export interface Finding {
  device: string;
  code: string;
  figure: string;
  /** Code of its alarm. */
  alarm: string;
  reason: "forecast" | "outlier";
  /** When it was first seen, last seen, and when the figure was last looked at (epoch ms). */
  since: number;
  seen: number;
  looked: number;
  /** The figure now. */
  level: number;
  /** Change a day, with the interval it lies in. */
  perDay: number;
  perDayLow: number;
  perDayHigh: number;
  /** From 0 to 1: how sure it is that the figure moves towards its limit. */
  confidence: number;
  /** Days it rests on. */
  days: number;
  limit?: number;
  /** When the limit is reached, and between which times; a last one is absent when it may never be. */
  reachesAt?: number;
  reachesFrom?: number;
  reachesTo?: number;
  /** Of an outlier: its distance from the class in robust standard deviations, the class's median, and devices in it. */
  score?: number;
  median?: number;
  peers?: number;
  /** What was last told of it. */
  toldAt?: number;
  toldReachesAt?: number;
}
export type FindingKey = Pick<Finding, "device" | "code" | "figure">;

export interface Staged {
  /** False when too much waits already. */
  isTaken: boolean;
  /** Figures left out because of their name, or because the code has as many as it may. */
  figuresRefused: number;
}

/**
 * The performance history: apart from the ticket store, so that neither its size nor its failures touch a ticket. Every
 * writing method is one bounded transaction. All may throw Failure STORE_BUSY (full, locked: try again) or STORE_CORRUPT.
 */
export interface HistoryStore extends AsyncDisposable {
  /** Takes a sample, to be filed later; what waits is bounded. At once: it may be called for every message. */
  stage(sample: Sample): Staged;
  /** How many samples wait to be filed. */
  readonly staged: number;
  /** Files the first `limit` that wait; late ones go to their hour, which is worked out anew. Says how many. */
  file(limit: number): Promise<number>;
  /**
   * Works out hourly values (anew) from samples filed for hours before `before`, oldest hour first, until it took `limit` or
   * somewhat more; of those that fall into one stretch of a series the first is kept. Says how many it took.
   */
  rollUp(before: number, limit: number): Promise<number>;
  /** Packs the hourly values of at most `limit` series-days before the day `before`. Says how many. */
  seal(before: number, limit: number): Promise<number>;
  /** Deletes at most `limit` rows of samples that were worked out, of hours before `hour`, oldest first. Says how many. */
  forgetRaw(hour: number, limit: number): Promise<number>;
  /** Deletes at most `limit` rows of hourly values of days before `day`, oldest first, and series nothing is left of. */
  forgetDays(day: number, limit: number): Promise<number>;
  /** Gives pages that are not used any more back to the disk, at most `pages`. */
  shrink(pages: number): Promise<void>;

  size(): Promise<HistorySize>;
  raw(query: HistoryQuery): Promise<readonly RawPoint[]>;
  hours(query: HistoryQuery): Promise<readonly HourPoint[]>;
  /** Series with an id after `after`, by id. */
  series(after: number, limit: number): Promise<readonly Series[]>;
  /** Hourly means of some figures of a series for `count` hours from the hour `from`, NaN where there is none. */
  levels(series: Series, figures: readonly string[], from: number, count: number): Promise<readonly Float64Array[]>;

  findings(filter: { device?: string }, page: { after?: FindingKey; limit: number }): Promise<readonly Finding[]>;
  finding(key: FindingKey): Promise<Finding | undefined>;
  saveFindings(findings: readonly Finding[]): Promise<void>;
  dropFindings(keys: readonly FindingKey[]): Promise<void>;
}

/** What people and programs may read of the history. */
export type HistoryReading = Pick<HistoryStore, "raw" | "hours" | "findings">;
