import { FIGURE_PATTERN, type Series } from "../history-store.ts";
import type { Record_, Sql } from "./sql.ts";

/** Series remembered; the least used one goes. A miss costs one read. */
const MOST_REMEMBERED = 20_000;
/** Lists of figure names shared by series that tell the same: most do. */
const MOST_SHARED = 2_000;

interface Known extends Series {
  figures: readonly string[];
}
/** What a sample says of its series; `day` (since the epoch) is the day it belongs to. */
interface Told extends Pick<Series, "device" | "code"> {
  figures: Readonly<Record<string, number>>;
  day: number;
}
/** A sample's values by the place of their figure. */
export interface Placed {
  series: Series;
  /** NaN where a figure was not told; empty when nothing of the sample may be kept. */
  values: number[];
  refused: number;
}

/** Which number a series has, and at which place each of its figures stands. Inside the caller's transaction. */
export class SeriesBook {
  readonly #sql: Sql;
  readonly #maxFigures: number;
  readonly #known = new Map<string, Known>();
  readonly #shared = new Map<string, readonly string[]>();

  constructor(sql: Sql, maxFigures: number) {
    this.#sql = sql;
    this.#maxFigures = maxFigures;
  }

  /** The values of a sample, with new series and figures entered, as long as there is room for them. */
  place({ device, code, figures, day }: Told): Placed {
    const series = this.#of(device, code);
    const values: number[] = [];
    let [refused, fresh] = [0, false];
    let next = 0;
    for (const name in figures) {
      const value = figures[name];
      if (name === "ts" || value === undefined || !Number.isFinite(value)) continue;
      let place = series.figures[next] === name ? next : series.figures.indexOf(name); // mostly as they came last
      if (place === -1) {
        if (series.figures.length >= this.#maxFigures || !FIGURE_PATTERN.test(name)) {
          refused += 1;
          continue;
        }
        place = series.figures.length;
        series.figures = [...series.figures, name];
        fresh = true;
      }
      while (values.length < place) values.push(Number.NaN);
      values[place] = value;
      next = place + 1;
    }
    if (fresh) this.#save(series, day);
    return { series, values, refused };
  }

  find(device: string, code: string): Series | undefined {
    const row = this.#sql.get("SELECT id, figures FROM series WHERE device = ? AND code = ?", device, code);
    return row && this.#read({ ...row, device, code });
  }
  page(after: number, limit: number): Series[] {
    return this.#sql
      .all("SELECT id, device, code, figures FROM series WHERE id > ? ORDER BY id LIMIT ?", after, limit)
      .map((row) => this.#read(row));
  }
  /** Forgets at most `limit` series that told nothing since before `day`. */
  forget(day: number, limit: number): void {
    const old = "SELECT id FROM series WHERE last_day < ? ORDER BY last_day LIMIT ?";
    const rows = this.#sql.all(`DELETE FROM series WHERE id IN (${old}) RETURNING device, code`, day, limit);
    for (const row of rows) this.#known.delete(keyOf(String(row["device"]), String(row["code"])));
    if (rows.length > 0) this.#count(-rows.length);
  }
  /** The transaction was undone: what was entered in it is not there. */
  undone(): void {
    this.#known.clear();
  }

  /** The series as known; one that is new has the id 0 until it is saved with its first figure. */
  #of(device: string, code: string): Known {
    const key = keyOf(device, code);
    const known = this.#known.get(key);
    if (known !== undefined) {
      this.#known.delete(key); // to the end: used last
      this.#known.set(key, known);
      return known;
    }
    const series: Known = (this.find(device, code) as Known | undefined) ?? { id: 0, device, code, figures: [] };
    if (this.#known.size >= MOST_REMEMBERED) {
      const [oldest] = this.#known.keys();
      if (oldest !== undefined) this.#known.delete(oldest);
    }
    this.#known.set(key, series);
    return series;
  }
  #save(series: Known, day: number): void {
    const figures = JSON.stringify(series.figures);
    series.figures = this.#share(figures);
    if (series.id !== 0) {
      this.#sql.run("UPDATE series SET figures = ? WHERE id = ?", figures, series.id);
      return;
    }
    const insert = "INSERT INTO series (device, code, figures, last_day) VALUES (?, ?, ?, ?) RETURNING id";
    series.id = Number(this.#sql.get(insert, series.device, series.code, figures, day)?.["id"]);
    this.#count(1);
  }
  #read(row: Record_): Series {
    const figures = this.#share(String(row["figures"]));
    return { id: Number(row["id"]), device: String(row["device"]), code: String(row["code"]), figures };
  }
  #share(json: string): readonly string[] {
    const known = this.#shared.get(json);
    if (known !== undefined) return known;
    if (this.#shared.size >= MOST_SHARED) this.#shared.clear();
    const figures = JSON.parse(json) as string[];
    this.#shared.set(json, figures);
    return figures;
  }
  #count(more: number): void {
    this.#sql.run("UPDATE tally SET rows = rows + ? WHERE kind = 'series'", more);
  }
}

const keyOf = (device: string, code: string): string => `${device}/${code}`;
