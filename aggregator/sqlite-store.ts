import { DeviceCache } from "./sqlite/devices.ts";
import { sqliteReading } from "./sqlite/reading.ts";
import { ticketCodec } from "./sqlite/rows.ts";
import { migrate } from "./sqlite/schema.ts";
import { makePrivate, Sql } from "./sqlite/sql.ts";
import { SqliteTx } from "./sqlite/tx.ts";
import type { Page, Reading, Store, TicketRow, Tx } from "./store.ts";

export interface SqliteOptions {
  /** A path, or `:memory:`. The file is made where it is missing, readable by its owner alone. */
  file: string;
  /** Page cache, MiB. */
  cacheMiB?: number;
  /** Sees every statement before it runs and may throw in its stead: tests pull the plug with it. */
  before?: (statement: string) => void;
}

/**
 * The embedded ticket store: SQLite in WAL mode, every commit on the disk before it is told.
 * Throws STORE_SCHEMA (made by a newer version), STORE_CORRUPT, or STORE_BUSY (cannot be opened or is locked).
 */
export function openSqliteStore({ file, cacheMiB = 16, before }: SqliteOptions): Store {
  if (file !== ":memory:") makePrivate(file);
  const sql = new Sql(file, before);
  try {
    sql.exec(`PRAGMA busy_timeout = 250; PRAGMA foreign_keys = ON; PRAGMA cache_size = -${cacheMiB * 1024}`);
    sql.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 16777216");
    migrate(sql, file);
    return new SqliteStore(sql);
  } catch (error) {
    sql.close();
    throw error;
  }
}

class SqliteStore implements Store {
  readonly reading: Reading;
  readonly #sql: Sql;
  readonly #devices: DeviceCache;
  #last: Promise<unknown> = Promise.resolve();
  #version: number;

  constructor(sql: Sql) {
    this.#sql = sql;
    this.#devices = new DeviceCache(sql);
    this.#version = this.#dataVersion();
    this.reading = sqliteReading(sql, this.#devices, (work) => this.#turn(async () => work()));
  }

  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.#turn(() => this.#transact(work));
  }

  shownTickets({ after, limit }: Page): Promise<readonly TicketRow[]> {
    const from = after === undefined ? "0" : "(SELECT id FROM ticket WHERE no = ?)";
    const text = `SELECT ${ticketCodec.columns} FROM shown JOIN ticket ON ticket.id = shown.ticket
      WHERE shown.ticket > ${from} ORDER BY shown.ticket LIMIT ?`;
    const cells = after === undefined ? [limit] : [after, limit];
    return this.#turn(async () => this.#sql.all(text, ...cells).map((record) => ticketCodec.read(record)));
  }

  hideTickets(nos: readonly string[]): Promise<void> {
    return this.#turn(async () => {
      const list = JSON.stringify(nos);
      this.#sql.run(
        "DELETE FROM shown WHERE ticket IN (SELECT id FROM ticket WHERE no IN (SELECT value FROM json_each(?)))",
        list,
      );
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn(async () => {
      try {
        this.#sql.exec("BEGIN IMMEDIATE");
        this.#devices.beforeCommit(true);
        this.#sql.exec("COMMIT");
      } catch {
        // The last signs of life are all that is lost; every other write was committed when it was told.
      } finally {
        this.#sql.close();
      }
    });
  }

  async #transact<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    if (this.#sql.inTransaction) this.#sql.exec("ROLLBACK"); // an undo that failed before
    this.#sql.exec("BEGIN IMMEDIATE");
    const tx = new SqliteTx(this.#sql, this.#devices);
    try {
      this.#refresh();
      const result = await work(tx);
      this.#devices.beforeCommit();
      this.#sql.exec("COMMIT");
      this.#devices.committedNow();
      return result;
    } catch (error) {
      this.#undo();
      throw error;
    } finally {
      tx.end();
    }
  }

  /** A full disk may have made SQLite roll back by itself already; where even that fails the next turn tries again. */
  #undo(): void {
    this.#devices.undone();
    try {
      if (this.#sql.inTransaction) this.#sql.exec("ROLLBACK");
    } catch {
      // What brought us here is the error to tell.
    }
  }

  /** Another process wrote to the file (a restore, a second aggregator by mistake): what is cached may be wrong. */
  #refresh(): void {
    const version = this.#dataVersion();
    if (version === this.#version) return;
    this.#version = version;
    this.#devices.load();
  }

  #dataVersion(): number {
    return Number(this.#sql.get("PRAGMA data_version")?.["data_version"]);
  }

  /** One after the other, in the order asked. */
  #turn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => {});
    return turn;
  }
}
