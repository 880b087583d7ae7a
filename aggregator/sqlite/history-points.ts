import { type HistoryQuery, HOUR_MS, type HourPoint, hourOf, type RawPoint, type Series } from "../history-store.ts";
import { copyMeans, openDay, readHour } from "./history-day.ts";
import { addMoments, readMoment, readMoments } from "./history-samples.ts";
import type { SeriesBook } from "./history-series.ts";
import { BUCKETS, placeOf, timeOf } from "./schema-history.ts";
import { blobOf, type Sql } from "./sql.ts";

export const HOURS_A_DAY = 24;
/** Day of an hour, both since the epoch. */
export const dayOf = (hour: number): number => Math.floor(hour / HOURS_A_DAY);

/** The reading half of the history: points of one series over time. */
export class HistoryPoints {
  readonly #sql: Sql;
  readonly #book: SeriesBook;
  readonly #everyMs: number;

  constructor(sql: Sql, book: SeriesBook, everyMs: number) {
    this.#sql = sql;
    this.#book = book;
    this.#everyMs = everyMs;
  }

  raw(query: HistoryQuery): readonly RawPoint[] {
    return this.#read("raw", query, function* (hour, bytes, figures, isAsked) {
      for (const { offset, values } of readMoments(bytes)) {
        const ts = hour * HOUR_MS + offset;
        for (const [place, figure] of figures.entries()) {
          const value = values[place] ?? Number.NaN;
          if (!Number.isNaN(value) && isAsked(ts, figure)) yield { ts, figure, value };
        }
      }
    });
  }

  hours(query: HistoryQuery): readonly HourPoint[] {
    return this.#read("day", query, function* (day, bytes, figures, isAsked) {
      const plain = openDay(bytes);
      for (let hour = 0; plain !== undefined && hour < HOURS_A_DAY; hour += 1) {
        const ts = (day * HOURS_A_DAY + hour) * HOUR_MS;
        for (const [place, figure] of figures.entries()) {
          const summary = isAsked(ts, figure) ? readHour(plain, place, hour) : undefined;
          if (summary !== undefined) yield { ts, figure, ...summary };
        }
      }
    });
  }

  #read<P>(table: "raw" | "day", query: HistoryQuery, read: ReadPoints<P>): readonly P[] {
    const { device, code, figure, after, from, to, limit } = query;
    const series = this.#book.find(device, code);
    if (series === undefined) return [];
    const [first, last] = [hourOf(Math.max(from, after?.ts ?? from)), hourOf(to - 1)];
    const afterPlace = after === undefined ? -1 : series.figures.indexOf(after.figure);
    const isAsked = (ts: number, name: string): boolean =>
      ts >= from && ts < to && (figure === undefined || figure === name) && isAfter(ts, name);
    const isAfter = (ts: number, name: string): boolean =>
      after === undefined || ts > after.ts || (ts === after.ts && series.figures.indexOf(name) > afterPlace);
    const [begin, end] = table === "raw" ? [first, last] : [dayOf(first), dayOf(last)];
    const points: P[] = [];
    for (const { at, bytes } of this.#rows(table, series.id, begin, end)) {
      for (const point of read(at, bytes, series.figures, isAsked)) {
        if (points.length >= limit) return points;
        points.push(point);
      }
      if (points.length >= limit) return points;
    }
    return points;
  }

  /** Rows of one series in the order of time, one by one: how many are needed shows on the way. */
  *#rows(table: "raw" | "day", series: number, from: number, to: number): Generator<{ at: number; bytes: Uint8Array }> {
    const text = `SELECT ${table === "raw" ? "samples" : "hours"} AS bytes FROM ${table} WHERE at = ?`;
    const [first, last] = this.#ends(table);
    for (let at = Math.max(from, first); at <= Math.min(to, last); at += 1) {
      const row = this.#sql.get(text, placeOf(at, series));
      const known = row === undefined ? undefined : blobOf(row["bytes"]);
      const whole = table === "raw" ? this.#withRecent(known, series, at) : known;
      if (whole !== undefined) yield { at, bytes: whole };
    }
  }

  /** The first and the last time there is anything of; of samples those that are not worked out too. */
  #ends(table: "raw" | "day"): [first: number, last: number] {
    const ends = [
      this.#sql.get(`SELECT (SELECT min(at) FROM ${table}) AS first, (SELECT max(at) FROM ${table}) AS last`),
    ]
      .filter((row) => typeof row?.["first"] === "number")
      .map((row) => [timeOf(Number(row?.["first"])), timeOf(Number(row?.["last"]))] as const);
    if (table === "raw") {
      const row = this.#sql.get(
        "SELECT (SELECT min(hour) FROM recent) AS first, (SELECT max(hour) FROM recent) AS last",
      );
      if (typeof row?.["first"] === "number") ends.push([row["first"], Number(row["last"])]);
    }
    return [Math.min(...ends.map(([first]) => first)), Math.max(...ends.map(([, last]) => last))];
  }

  #withRecent(known: Uint8Array | undefined, series: number, hour: number): Uint8Array | undefined {
    const text = "SELECT sample FROM recent WHERE hour = ? AND bucket = ? AND series = ? ORDER BY seq";
    const moments = this.#sql.all(text, hour, series % BUCKETS, series).map((row) => readMoment(blobOf(row["sample"])));
    if (moments.length === 0) return known;
    const width = moments.reduce((most, { values }) => Math.max(most, values.length), 0);
    return (
      addMoments(
        known,
        moments.toSorted((a, b) => a.offset - b.offset),
        width,
        this.#everyMs,
      ) ?? known
    );
  }

  /** See HistoryStore. */
  levels(
    { id, figures: all }: Series,
    figures: readonly string[],
    from: number,
    count: number,
  ): readonly Float64Array[] {
    const places = figures.map((figure) => all.indexOf(figure));
    const levels = figures.map(() => new Float64Array(count).fill(Number.NaN));
    const [first, last] = [dayOf(from), dayOf(from + count - 1)];
    for (let day = first; day <= last; day += 1) {
      const row = this.#sql.get("SELECT hours FROM day WHERE at = ?", placeOf(day, id));
      const plain = row === undefined ? undefined : openDay(blobOf(row["hours"]));
      if (plain === undefined) continue;
      const begins = day * HOURS_A_DAY;
      const [a, b] = [Math.max(from, begins), Math.min(from + count, begins + HOURS_A_DAY)];
      for (const [i, place] of places.entries()) {
        const into = levels[i];
        if (place >= 0 && into !== undefined) copyMeans(plain, place, a - begins, b - a, into, a - from);
      }
    }
    return levels;
  }
}

/** Points of one row; `at`: its hour or day. */
type ReadPoints<P> = (
  at: number,
  bytes: Uint8Array,
  figures: readonly string[],
  isAsked: (ts: number, figure: string) => boolean,
) => Iterable<P>;
