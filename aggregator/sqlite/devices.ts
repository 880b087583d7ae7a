import type { DeviceRow } from "../store.ts";
import { deviceCodec, upsert } from "./rows.ts";
import type { Sql } from "./sql.ts";

const SAVE = upsert("device", deviceCodec, ["id"]);
/** Signs of life reach the disk at most so late, milliseconds of the wall clock they carry. */
const FLUSH_MS = 10_000;

interface Touched {
  row: DeviceRow;
  /** Changed by a sign of life only: the disk may wait. */
  unsaved: boolean;
}

/** All devices in memory, so that a message costs no read and a sign of life no write of its own. */
export class DeviceCache {
  #sql: Sql;
  #rows = new Map<string, DeviceRow>();
  #unflushed = new Set<string>();
  #touched = new Map<string, Touched>();
  #flushedAt = 0;
  #latest = 0;

  constructor(sql: Sql) {
    this.#sql = sql;
    this.load();
  }
  /** Reads everything anew: at start, and when another process wrote to the file. */
  load(): void {
    const rows = this.#sql.all(`SELECT ${deviceCodec.columns} FROM device`).map((record) => deviceCodec.read(record));
    this.#rows = new Map(rows.map((row) => [row.id, row]));
    this.#unflushed.clear();
    this.#touched.clear();
  }
  committed(id: string): DeviceRow | undefined {
    return this.#rows.get(id);
  }
  get size(): number {
    let added = 0;
    for (const id of this.#touched.keys()) if (!this.#rows.has(id)) added += 1;
    return this.#rows.size + added;
  }
  get(id: string): DeviceRow | undefined {
    return this.#touched.get(id)?.row ?? this.#rows.get(id);
  }
  save(row: DeviceRow): void {
    const { info: _, ...kept } = row;
    this.#sql.run(SAVE, ...deviceCodec.cells(kept));
    this.#touched.set(row.id, { row: kept, unsaved: false });
  }
  seen(id: string, at: number, skewMs: number | undefined): void {
    const row = this.get(id);
    if (row === undefined) return;
    this.#latest = at;
    this.#touched.set(id, { row: { ...row, seenAt: at, ...(skewMs !== undefined && { skewMs }) }, unsaved: true });
  }
  /** Inside the transaction, last thing before the commit. */
  beforeCommit(everything = false): void {
    const waited = Math.abs(this.#latest - this.#flushedAt); // a clock set back must not stop it
    if (!everything && waited < FLUSH_MS) return;
    const due = new Set(this.#unflushed);
    for (const [id, { unsaved }] of this.#touched) if (unsaved) due.add(id);
    for (const id of due) {
      const row = this.get(id);
      if (row !== undefined) {
        this.#sql.run("UPDATE device SET seen_at = ?, skew_ms = ? WHERE id = ?", row.seenAt, row.skewMs ?? null, id);
      }
    }
  }
  committedNow(): void {
    const flushed = Math.abs(this.#latest - this.#flushedAt) >= FLUSH_MS;
    if (flushed) {
      this.#flushedAt = this.#latest;
      this.#unflushed.clear();
    }
    for (const [id, { row, unsaved }] of this.#touched) {
      this.#rows.set(id, row);
      if (unsaved && !flushed) this.#unflushed.add(id);
      else this.#unflushed.delete(id);
    }
    this.#touched.clear();
  }
  undone(): void {
    this.#touched.clear();
  }
}
