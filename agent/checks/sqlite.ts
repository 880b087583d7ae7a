import { statSync } from "node:fs";
import type { DatabaseSync } from "node:sqlite";
import { type Answered, MOST_LARGEST, type Question, toNumber } from "./database/answer.ts";

type Open = Pick<DatabaseSync, "prepare" | "close">;

async function openReadOnly(place: string, waitMs: number): Promise<Open> {
  const { DatabaseSync: Sqlite } = await import("node:sqlite");
  return new Sqlite(place, { readOnly: true, timeout: waitMs });
}

const sizeOf = (place: string): number | undefined => statSync(place, { throwIfNoEntry: false })?.size;

/** Asks a SQLite file, read-only. Throws the system's or SQLite's error. */
export async function askSqlite({ url, at, deadlineMs, tables, full }: Question): Promise<Answered> {
  const place = at(decodeURIComponent(url.pathname));
  statSync(place); // ENOENT in plain words, where SQLite says "unable to open database file"
  const database = await openReadOnly(place, deadlineMs / 2);
  try {
    const one = (sql: string): number => toNumber(Object.values(database.prepare(sql).get() ?? {})[0]);
    const pages = one("PRAGMA page_count");
    const wal = sizeOf(`${place}-wal`);
    const known = new Set(
      database
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table'")
        .all()
        .map(({ name }) => String(name)),
    );
    const rows = tables
      .filter((name) => known.has(name))
      .map((name) => [name, one(`SELECT count(*) FROM ${quoted(name)}`)]);
    const damage = full ? damageOf(database) : undefined;
    return {
      state: "answered",
      figures: {
        size_bytes: pages * one("PRAGMA page_size"),
        free_pct: pages > 0 ? (one("PRAGMA freelist_count") / pages) * 100 : 0,
        ...(wal === undefined ? {} : { wal_bytes: wal }),
      },
      largest: largestOf(database),
      rows: Object.fromEntries(rows),
      ...(damage === undefined ? {} : { damage }),
    };
  } catch (cause) {
    const damage = damageSaid(cause);
    if (damage === undefined) throw cause;
    return { state: "answered", figures: { size_bytes: sizeOf(place) ?? 0 }, largest: [], rows: {}, damage };
  } finally {
    database.close();
  }
}

/** What SQLite's quick check finds wrong, in a few words and without content; undefined when nothing. Throws the system's error. */
export async function quickCheck(place: string): Promise<string | undefined> {
  const database = await openReadOnly(place, 10_000);
  try {
    return damageOf(database);
  } catch (cause) {
    const damage = damageSaid(cause);
    if (damage === undefined) throw cause;
    return damage;
  } finally {
    database.close();
  }
}

const MOST_FAULTS = 100;

function damageOf(database: Open): string | undefined {
  const found = database
    .prepare(`PRAGMA quick_check(${MOST_FAULTS})`)
    .all()
    .map((row) => String(Object.values(row)[0]));
  if (found.length === 1 && found[0] === "ok") return undefined;
  return `quick_check finds ${found.length < MOST_FAULTS ? found.length : `at least ${MOST_FAULTS}`} faults`;
}

/** SQLITE_CORRUPT and SQLITE_NOTADB: what SQLite says of a file that is none. */
const DAMAGED = new Set([11, 26]);
function damageSaid(cause: unknown): string | undefined {
  const code = cause instanceof Error && "errcode" in cause ? Number(cause.errcode) & 0xff : 0;
  return DAMAGED.has(code) && cause instanceof Error ? cause.message : undefined;
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** Where SQLite was built with dbstat. */
function largestOf(database: Open): Answered["largest"] {
  try {
    const sql = `SELECT name, sum(pgsize) AS bytes FROM dbstat WHERE aggregate = TRUE GROUP BY name ORDER BY bytes DESC LIMIT ${MOST_LARGEST}`;
    return database
      .prepare(sql)
      .all()
      .map(({ name, bytes }) => ({ name: String(name), bytes: toNumber(bytes) }));
  } catch {
    return [];
  }
}
