import { closeSync, openSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { Failure } from "../../protocol/failure.ts";

export type Cell = string | number | null | Uint8Array;
export type Record_ = Record<string, Cell>;
/** Bytes as they were stored; none where something else was. */
export const blobOf = (cell: Cell | undefined): Uint8Array => (cell instanceof Uint8Array ? cell : new Uint8Array());

/** SQLite result codes that say "the disk or another process, not the statement": the same work may succeed later. */
const PASSING = new Set([5, 6, 7, 8, 10, 13, 14, 15]); // BUSY LOCKED NOMEM READONLY IOERR FULL CANTOPEN PROTOCOL
const DAMAGED = new Set([11, 26]); // CORRUPT NOTADB

/** One connection with its prepared statements, each made once. */
export class Sql {
  readonly #database: DatabaseSync;
  readonly #file: string;
  readonly #before: ((statement: string) => void) | undefined;
  readonly #statements = new Map<string, StatementSync>();

  /** `before` sees every statement and may throw in its stead: how tests pull the plug at each one. */
  constructor(file: string, before?: (statement: string) => void) {
    this.#file = file;
    this.#before = before;
    this.#database = this.#mapped(() => new DatabaseSync(file));
  }
  get inTransaction(): boolean {
    return this.#database.isTransaction;
  }
  exec(text: string): void {
    this.#before?.(text);
    this.#mapped(() => this.#database.exec(text));
  }
  /** Says how many rows changed. */
  run(text: string, ...cells: Cell[]): number {
    this.#before?.(text);
    return this.#mapped(() => Number(this.#statement(text).run(...cells).changes));
  }
  get(text: string, ...cells: Cell[]): Record_ | undefined {
    this.#before?.(text);
    return this.#mapped(() => this.#statement(text).get(...cells)) as Record_ | undefined;
  }
  all(text: string, ...cells: Cell[]): Record_[] {
    this.#before?.(text);
    return this.#mapped(() => this.#statement(text).all(...cells)) as Record_[];
  }
  /** Ends the connection; an open transaction is undone. */
  close(): void {
    this.#statements.clear();
    if (this.#database.isOpen) this.#database.close();
  }
  #statement(text: string): StatementSync {
    const known = this.#statements.get(text);
    if (known !== undefined) return known;
    const made = this.#database.prepare(text);
    this.#statements.set(text, made);
    return made;
  }
  #mapped<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw this.#failure(error);
    }
  }
  #failure(error: unknown): unknown {
    if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return error;
    const code = error.errcode & 0xff;
    const facts = { file: this.#file, sqlite: error.errcode };
    if (PASSING.has(code)) {
      return new Failure("STORE_BUSY", `${this.#file}: ${error.message}`, { facts, cause: error });
    }
    if (DAMAGED.has(code)) {
      return new Failure("STORE_CORRUPT", `${this.#file}: ${error.message}`, { facts, cause: error });
    }
    return error;
  }
}

/** Makes the file of a store where it is missing, its owner's alone. Throws STORE_BUSY when it cannot be opened. */
export function makePrivate(file: string): void {
  try {
    closeSync(openSync(file, "a", 0o600));
  } catch (cause) {
    throw new Failure("STORE_BUSY", `cannot open ${file}`, { facts: { file }, cause });
  }
}
