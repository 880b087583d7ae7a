import { FIGURE_PATTERN, type Series } from "../history-store.ts";
import type { Record_, Sql } from "./sql.ts";

/** Series remembered; the least used one goes. A miss costs one read. */
const MOST_REMEMBERED = 20_000;
/** Lists of figure names shared by series that tell the same: most do. */
const MOST_SHARED = 2_000;

interface Known extends Series {
  figures: readonly string[];
  /** The newest day anything was told of it, since the epoch. */
  lastDay: number;
  isNew: boolean;
}
/** What a sample says of its series; `day` (since the epoch) is the day it belongs to. */
interface Told extends Pick<Series, "device" | "code"> {
  figures: Readonly<Record<string, number>>;
  day: number;
}
/** A sample's values by the place of their figure. */
export interface Placed {
  id: number;
  /** NaN where a figure was not told; empty when nothing of the sample may be kept. */
  values: number[];
  refused: number;
}

/**
 * Which number a series has, and at which place each of its figures stands. What is new is known at once, and in the file
 * with the first sample that needs it.
 */
export class SeriesBook {
  readonly #sql: Sql;
  readonly #maxFigures: number;
  readonly #known = new Map<string, Known>();
  /** Changed since they were written: by key and by number. */
  readonly #unsaved = new Map<string, Known>();
  readonly #unsavedIds = new Map<number, Known>();
  readonly #shared = new Map<string, readonly string[]>();
  readonly #jsonOf = new WeakMap<readonly string[], string>();
  /** What a code of any device told last: a new device most likely tells the same. */
  readonly #usual = new Map<string, readonly string[]>();
  #lastId: number;

  constructor(sql: Sql, maxFigures: number) {
    this.#sql = sql;
    this.#maxFigures = maxFigures;
    this.#lastId = Number(sql.get("SELECT max(id) AS last FROM series")?.["last"] ?? 0);
  }

  /** The values of a sample, its series and figures entered as long as there is room for them. */
  place({ device, code, figures, day }: Told): Placed {
    const series = this.#of(device, code);
    if (series.figures.length === 0) series.figures = this.#guess(code, figures);
    const values: number[] = [];
    let [refused, changed] = [0, false];
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
        changed = true;
      }
      while (values.length < place) values.push(Number.NaN);
      values[place] = value;
      next = place + 1;
    }
    if (values.length > 0 && series.lastDay < day) {
      series.lastDay = day;
      changed = true;
    }
    if (changed) this.#change(series);
    return { id: series.id, values, refused };
  }

  /** Writes what changed of a series. Inside the caller's transaction; `saved` tells that it was committed. */
  save(id: number): boolean {
    const series = this.#unsavedIds.get(id);
    if (series === undefined) return false;
    const figures = this.#json(series.figures);
    this.#sql.run(
      `INSERT INTO series (id, device, code, figures, last_day) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET figures = excluded.figures, last_day = excluded.last_day`,
      ...[id, series.device, series.code, figures, series.lastDay],
    );
    if (series.isNew) this.#count(1);
    return true;
  }
  saved(ids: Iterable<number>): void {
    for (const id of ids) {
      const series = this.#unsavedIds.get(id);
      if (series === undefined) continue;
      series.isNew = false;
      series.figures = this.#share(this.#json(series.figures));
      if (this.#usual.size >= MOST_SHARED) this.#usual.clear();
      this.#usual.set(series.code, series.figures);
      this.#unsavedIds.delete(id);
      this.#unsaved.delete(keyOf(series.device, series.code));
    }
  }

  find(device: string, code: string): Series | undefined {
    const row = this.#row(device, code);
    return row && this.#read(row);
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

  #of(device: string, code: string): Known {
    const key = keyOf(device, code);
    const known = this.#known.get(key);
    if (known !== undefined) {
      this.#known.delete(key); // to the end: used last
      this.#known.set(key, known);
      return known;
    }
    const series = this.#unsaved.get(key) ?? this.#load(device, code);
    if (this.#known.size >= MOST_REMEMBERED) {
      const [oldest] = this.#known.keys();
      if (oldest !== undefined) this.#known.delete(oldest);
    }
    this.#known.set(key, series);
    return series;
  }
  #load(device: string, code: string): Known {
    const row = this.#row(device, code);
    if (row !== undefined) return { ...this.#read(row), lastDay: Number(row["last_day"]), isNew: false };
    this.#lastId += 1;
    return { id: this.#lastId, device, code, figures: [], lastDay: 0, isNew: true };
  }
  #change(series: Known): void {
    this.#unsaved.set(keyOf(series.device, series.code), series);
    this.#unsavedIds.set(series.id, series);
  }
  #row(device: string, code: string): Record_ | undefined {
    const text = "SELECT id, device, code, figures, last_day FROM series WHERE device = ? AND code = ?";
    return this.#sql.get(text, device, code);
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
    this.#jsonOf.set(figures, json);
    return figures;
  }
  #json(figures: readonly string[]): string {
    return this.#jsonOf.get(figures) ?? JSON.stringify(figures);
  }
  /** The usual figures of this code, if a sample has just these. */
  #guess(code: string, figures: Readonly<Record<string, number>>): readonly string[] {
    const usual = this.#usual.get(code);
    if (usual === undefined) return [];
    let next = 0;
    for (const name in figures) if (name !== "ts" && usual[next++] !== name) return [];
    return next === usual.length ? usual : [];
  }
  #count(more: number): void {
    this.#sql.run("UPDATE tally SET rows = rows + ? WHERE kind = 'series'", more);
  }
}

const keyOf = (device: string, code: string): string => `${device}/${code}`;
