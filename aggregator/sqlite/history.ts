import { renameSync, rmSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { Failure } from "../../protocol/failure.ts";
import {
  type Finding,
  type FindingKey,
  type HistoryQuery,
  type HistorySize,
  type HistoryStore,
  HOUR_MS,
  type HourPoint,
  hourOf,
  type RawPoint,
  type Sample,
  type Series,
  type Staged,
} from "../history-store.ts";
import { openDay, putHour, sealDay } from "./history-day.ts";
import { dropFindings, finding, findings, saveFindings } from "./history-findings.ts";
import { dayOf, HistoryPoints, HOURS_A_DAY } from "./history-points.ts";
import { addMoments, type Moment, readMoment, readMoments } from "./history-samples.ts";
import { SeriesBook } from "./history-series.ts";
import { Staging } from "./history-staging.ts";
import { migrate } from "./schema.ts";
import { BUCKETS, HISTORY_MIGRATIONS, placeOf } from "./schema-history.ts";
import { blobOf, makePrivate, Sql } from "./sql.ts";

export interface HistoryOptions {
  /** A path, or `:memory:`. Made where it is missing, readable by its owner alone. */
  file: string;
  /** Of each series at most one sample is kept in each stretch of so many milliseconds. */
  rawEveryMs?: number;
  /** Figures one code of one device may have, 255 at most. */
  maxFigures?: number;
  /** Sees every statement before it runs and may throw in its stead: tests pull the plug with it. */
  before?: (statement: string) => void;
  /** Called when the file is damaged and was put aside under another name, for a new one to begin. */
  putAside?(as: string, cause: Failure): void;
}

/** Page cache, KiB: inserts go all over the file, so that more would not help. */
const CACHE_KIB = 2_048;
/** More samples of one bucket and hour are worked out in pieces: memory is bounded. */
const MOST_OF_BUCKET = 16_000;

/**
 * The history in a file of its own beside the ticket store: WAL, synced at checkpoints only, so that a power cut costs its
 * last seconds and nothing else. Throws STORE_SCHEMA (of a newer version) or STORE_BUSY; a damaged file is put aside.
 */
export function openSqliteHistory(options: HistoryOptions): HistoryStore {
  try {
    return open(options);
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== "STORE_CORRUPT") throw error;
    const as = `${options.file}.damaged`;
    renameSync(options.file, as);
    for (const end of ["-wal", "-shm"]) rmSync(options.file + end, { force: true });
    options.putAside?.(as, error);
    return open(options);
  }
}

function open(options: HistoryOptions): HistoryStore {
  const { file, before } = options;
  if (file !== ":memory:") makePrivate(file);
  const sql = new Sql(file, before);
  try {
    sql.exec(`PRAGMA busy_timeout = 250; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA cache_size = -${CACHE_KIB}`);
    sql.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216");
    migrate(sql, file, HISTORY_MIGRATIONS);
    return new SqliteHistory(sql, options);
  } catch (error) {
    sql.close();
    throw error;
  }
}

class SqliteHistory implements HistoryStore {
  readonly #sql: Sql;
  readonly #book: SeriesBook;
  readonly #points: HistoryPoints;
  readonly #staging = new Staging();
  readonly #file: string;
  readonly #everyMs: number;
  /** Number of the last sample filed. */
  #seq: number;

  constructor(sql: Sql, { file, rawEveryMs = 60_000, maxFigures = 64 }: HistoryOptions) {
    this.#sql = sql;
    this.#file = file;
    this.#everyMs = rawEveryMs;
    this.#seq = Number(sql.get("SELECT max(seq) AS last FROM recent")?.["last"] ?? 0);
    this.#book = new SeriesBook(sql, Math.min(maxFigures, 255));
    this.#points = new HistoryPoints(sql, this.#book, rawEveryMs);
  }

  stage({ device, code, ts, figures }: Sample): Staged {
    const hour = hourOf(ts);
    const { id, values, refused } = this.#book.place({ device, code, figures, day: dayOf(hour) });
    if (values.length === 0) return { isTaken: true, figuresRefused: refused };
    const isTaken = this.#staging.add(id, hour, { offset: ts - hour * HOUR_MS, values });
    return { isTaken, figuresRefused: refused };
  }

  get staged(): number {
    return this.#staging.count;
  }

  async file(limit: number): Promise<number> {
    let filed = 0;
    const series = new Set<number>();
    const end = this.#transact(() => {
      const text = "INSERT INTO recent (hour, bucket, seq, series, sample) VALUES (?, ?, ?, ?, ?)";
      const at = this.#staging.each(limit, (id, hour, sample) => {
        if (!series.has(id) && this.#book.save(id)) series.add(id);
        filed += 1;
        this.#sql.run(text, hour, id % BUCKETS, this.#seq + filed, id, sample);
      });
      this.#count("recent", filed);
      return at;
    });
    this.#seq += filed;
    this.#book.saved(series);
    this.#staging.drop(filed, end);
    return filed;
  }

  async rollUp(before: number, limit: number): Promise<number> {
    return this.#transact(() => {
      let taken = 0;
      while (taken < limit) {
        const more = this.#rollUpBucket(before);
        if (more === 0) break;
        taken += more;
      }
      return taken;
    });
  }

  /** A whole bucket of the oldest hour: then each of its series is read and written once. Says how many samples it had. */
  #rollUpBucket(before: number): number {
    const first = this.#sql.get("SELECT hour, bucket FROM recent WHERE hour < ? ORDER BY hour, bucket LIMIT 1", before);
    if (first === undefined) return 0;
    const [hour, bucket] = [Number(first["hour"]), Number(first["bucket"])];
    const text = "SELECT seq, series, sample FROM recent WHERE hour = ? AND bucket = ? ORDER BY seq LIMIT ?";
    const rows = this.#sql.all(text, hour, bucket, MOST_OF_BUCKET);
    for (const [series, own] of Map.groupBy(rows, (row) => Number(row["series"]))) {
      const moments = own.map((row) => readMoment(blobOf(row["sample"])));
      this.#move(
        series,
        hour,
        moments.toSorted((a, b) => a.offset - b.offset),
      );
    }
    const last = Number(rows.at(-1)?.["seq"]);
    this.#sql.run("DELETE FROM recent WHERE hour = ? AND bucket = ? AND seq <= ?", hour, bucket, last);
    this.#count("recent", -rows.length);
    return rows.length;
  }

  /** To the samples of that hour, and from all of them to its hourly values. */
  #move(series: number, hour: number, moments: readonly Moment[]): void {
    const at = placeOf(hour, series);
    const row = this.#sql.get("SELECT samples FROM raw WHERE at = ?", at);
    const known = row === undefined ? undefined : blobOf(row["samples"]);
    const width = moments.reduce((most, { values }) => Math.max(most, values.length), 0);
    const made = addMoments(known, moments, width, this.#everyMs);
    if (made === undefined) return;
    if (row === undefined) {
      this.#sql.run("INSERT INTO raw (at, samples) VALUES (?, ?)", at, made);
      this.#count("raw", 1);
    } else this.#sql.run("UPDATE raw SET samples = ? WHERE at = ?", made, at);
    this.#workOut(series, hour, readMoments(made));
  }

  #workOut(series: number, hour: number, moments: readonly Moment[]): void {
    const day = dayOf(hour);
    const at = placeOf(day, series);
    const row = this.#sql.get("SELECT hours FROM day WHERE at = ?", at);
    const known = row === undefined ? undefined : openDay(blobOf(row["hours"]));
    const hours = putHour(known, hour - day * HOURS_A_DAY, moments);
    if (row !== undefined) {
      this.#sql.run("UPDATE day SET hours = ?, sealed = 0 WHERE at = ?", hours, at);
      return;
    }
    this.#sql.run("INSERT INTO day (at, sealed, hours) VALUES (?, 0, ?)", at, hours);
    this.#count("day", 1);
  }

  async seal(before: number, limit: number): Promise<number> {
    return this.#transact(() => {
      const text = "SELECT at, hours FROM day WHERE sealed = 0 AND at < ? ORDER BY at LIMIT ?";
      const rows = this.#sql.all(text, placeOf(before, 0), limit);
      for (const { at = 0, hours } of rows) {
        const plain = openDay(blobOf(hours));
        const bytes = plain === undefined ? blobOf(hours) : sealDay(plain);
        this.#sql.run("UPDATE day SET hours = ?, sealed = 1 WHERE at = ?", bytes, at);
      }
      return rows.length;
    });
  }

  async forgetRaw(hour: number, limit: number): Promise<number> {
    return this.#transact(() => this.#forget("raw", hour, limit));
  }

  async forgetDays(day: number, limit: number): Promise<number> {
    return this.#transact(() => {
      const gone = this.#forget("day", day, limit);
      if (gone < limit) this.#book.forget(day, limit);
      return gone;
    });
  }

  #forget(table: "raw" | "day", before: number, limit: number): number {
    const old = `SELECT at FROM ${table} WHERE at < ? ORDER BY at LIMIT ?`;
    const gone = this.#sql.run(`DELETE FROM ${table} WHERE at IN (${old})`, placeOf(before, 0), limit);
    this.#count(table, -gone);
    return gone;
  }

  async shrink(pages: number): Promise<void> {
    this.#sql.exec(`PRAGMA incremental_vacuum(${pages})`);
  }

  async size(): Promise<HistorySize> {
    const pragma = (name: string): number => Number(Object.values(this.#sql.get(`PRAGMA ${name}`) ?? {})[0]);
    const rows = this.#sql.all("SELECT kind, rows FROM tally");
    const of = (kind: string): number => Number(rows.find((row) => row["kind"] === kind)?.["rows"] ?? 0);
    return {
      bytes: (pragma("page_count") - pragma("freelist_count")) * pragma("page_size"),
      freeBytes: freeBytes(this.#file),
      ...{ series: of("series"), recentRows: of("recent"), rawRows: of("raw"), dayRows: of("day") },
    };
  }

  async raw(query: HistoryQuery): Promise<readonly RawPoint[]> {
    return this.#points.raw(query);
  }
  async hours(query: HistoryQuery): Promise<readonly HourPoint[]> {
    return this.#points.hours(query);
  }
  async series(after: number, limit: number): Promise<readonly Series[]> {
    return this.#book.page(after, limit);
  }
  async levels(series: Series, figures: readonly string[], from: number, count: number) {
    return this.#points.levels(series, figures, from, count);
  }

  async findings(filter: { device?: string }, page: { after?: FindingKey; limit: number }) {
    return findings(this.#sql, filter, page);
  }
  async finding(key: FindingKey): Promise<Finding | undefined> {
    return finding(this.#sql, key);
  }
  async saveFindings(all: readonly Finding[]): Promise<void> {
    this.#transact(() => saveFindings(this.#sql, all));
  }
  async dropFindings(keys: readonly FindingKey[]): Promise<void> {
    this.#transact(() => dropFindings(this.#sql, keys));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#sql.close();
  }

  #count(kind: "recent" | "raw" | "day", more: number): void {
    if (more !== 0) this.#sql.run("UPDATE tally SET rows = rows + ? WHERE kind = ?", more, kind);
  }

  /** All of `work` or nothing of it. It runs through without waiting, so that nothing can come between. */
  #transact<T>(work: () => T): T {
    if (this.#sql.inTransaction) this.#sql.exec("ROLLBACK"); // an undo that failed before
    this.#sql.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#sql.exec("COMMIT");
      return result;
    } catch (error) {
      try {
        if (this.#sql.inTransaction) this.#sql.exec("ROLLBACK");
      } catch {
        // What brought us here is the error to tell.
      }
      throw error;
    }
  }
}

/** Room for whoever may use it, root's reserve left out. */
function freeBytes(file: string): number {
  if (file === ":memory:") return Number.POSITIVE_INFINITY;
  try {
    const { bavail, bsize } = statfsSync(dirname(file));
    return bavail * bsize;
  } catch {
    return Number.POSITIVE_INFINITY; // it cannot be told: the limit in bytes still holds
  }
}
