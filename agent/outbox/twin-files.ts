import type { Folder, OpenFile } from "../../platform/files.ts";
import { Failure } from "../../protocol/failure.ts";
import { type Entry, readEntry } from "./entries.ts";
import { encode, newestGeneration, scan } from "./frames.ts";
import { Holding } from "./holding.ts";

const NAMES = ["journal.a", "journal.b"] as const;
type Side = 0 | 1;
const other = (side: Side): Side => (side === 0 ? 1 : 0);
/** Both files are read up to here, whatever their size. */
const MOST_READ_BYTES = 8 * 1024 * 1024;

/** One file as it was found. */
interface Found {
  side: Side;
  generation: number;
  entries: readonly (Entry | undefined)[];
  /** Its snapshot has its head, its end and everything between. */
  isWhole: boolean;
  /** Something was written after the end of the snapshot, so that was on flash once. */
  wentOn: boolean;
  tail: number;
  skippedBytes: number;
}

/**
 * The journal's two files of equal size. One is written at its tail; when it is full a snapshot goes into the other
 * under the next generation, and that one is written on. A cut at any byte leaves one of them whole.
 */
export class TwinFiles {
  readonly #folder: Folder;
  readonly #fileBytes: number;
  #files: [OpenFile, OpenFile] | undefined;
  #generation = 0;
  /** The file whose contents must not be touched by a snapshot. */
  #good: Side = 1;
  /** Where the good file is written on; undefined when only a snapshot may follow. */
  #tail: number | undefined;
  /** Damaged bytes that were stepped over at the last survey. */
  skippedBytes = 0;

  constructor(folder: Folder, fileBytes: number) {
    this.#folder = folder;
    this.#fileBytes = fileBytes;
  }

  get isOpen(): boolean {
    return this.#files !== undefined;
  }

  /** Reads what both files hold; writes nothing. Throws the system's error when a file could not be read and nothing was found. */
  async survey(): Promise<Holding> {
    const reads = await Promise.allSettled(NAMES.map((name) => this.#folder.read(name, MOST_READ_BYTES)));
    const holding = new Holding();
    const empty = Buffer.alloc(0);
    const found = reads.map((read, side) =>
      look(side === 0 ? 0 : 1, read.status === "fulfilled" ? (read.value ?? empty) : empty),
    );
    const [older, newer] = found.sort((a, b) => a.generation - b.generation);
    if (older === undefined || newer === undefined) return holding;
    const broken = reads.find((read) => read.status === "rejected");
    if (broken !== undefined && newer.generation === 0) throw broken.reason;
    for (const { entries } of newer.isWhole ? [newer] : [older, newer]) {
      for (const entry of entries) if (entry !== undefined) holding.apply(entry);
    }
    this.#generation = Math.max(this.#generation, newer.generation);
    this.#good = newer.isWhole || newer.wentOn ? newer.side : older.side;
    const mayGoOn = newer.isWhole && newer.skippedBytes === 0 && broken === undefined;
    this.#tail = mayGoOn && newer.tail < (this.#fileBytes * 7) / 8 ? newer.tail : undefined;
    this.skippedBytes = newer.skippedBytes;
    return holding;
  }

  /** Takes the folder and makes both files ready. Throws JOURNAL_UNWRITABLE when another agent has it, or the system's error. */
  async open(): Promise<void> {
    const holder = await this.#folder.claim().catch(() => undefined); // the lock is a courtesy: without it we go on
    if (holder !== undefined) {
      throw new Failure("JOURNAL_UNWRITABLE", `another agent (process ${holder}) holds ${this.#folder.path}`, {
        facts: { path: this.#folder.path, pid: holder },
      });
    }
    const first = await this.#folder.open(NAMES[0]);
    const opened: OpenFile[] = [first];
    try {
      const second = await this.#folder.open(NAMES[1]);
      opened.push(second);
      for (const file of opened) if ((await file.size()) < this.#fileBytes) await file.resize(this.#fileBytes);
      this.#files = [first, second];
    } catch (cause) {
      for (const file of opened) await file[Symbol.asyncDispose]();
      throw cause;
    }
  }

  /** Writes at the tail. False, with nothing written, when there is no room: a snapshot must follow. */
  async append(entries: readonly Entry[], sync: boolean): Promise<boolean> {
    const tail = this.#tail;
    if (tail === undefined) return false;
    const bytes = Buffer.concat(entries.map((entry) => encode(this.#generation, JSON.stringify(entry))));
    if (tail + bytes.length > this.#fileBytes) return false;
    const file = this.#file(this.#good);
    this.#tail = undefined; // until we know how it ended, what lies there is uncertain
    await file.write(tail, bytes);
    if (sync) await this.#certify(file);
    this.#tail = tail + bytes.length;
    return true;
  }

  /** Writes everything anew into the other file and goes on there. Throws JOURNAL_UNWRITABLE when it is too much. */
  async snapshot(entries: readonly Entry[]): Promise<void> {
    const side = other(this.#good);
    this.#generation += 1; // every try its own: half of one must never be read with half of another
    const whole: Entry[] = [...entries, { k: "end", count: entries.length }];
    const bytes = Buffer.concat(whole.map((entry) => encode(this.#generation, JSON.stringify(entry))));
    if (bytes.length > this.#fileBytes) {
      throw new Failure("JOURNAL_UNWRITABLE", `${bytes.length} bytes of alarms do not fit the journal`, {
        facts: { path: this.#folder.path, needBytes: bytes.length, roomBytes: this.#fileBytes },
      });
    }
    const file = this.#file(side);
    if ((await file.size()) !== this.#fileBytes) await file.resize(this.#fileBytes);
    await file.write(0, bytes);
    await this.#certify(file);
    this.#good = side;
    this.#tail = bytes.length;
  }

  async close(): Promise<void> {
    if (this.#files === undefined) return;
    const files = this.#files;
    this.#files = undefined;
    for (const file of files) await file[Symbol.asyncDispose]();
    await this.#folder.release().catch(() => undefined);
  }

  /** What is written is on flash, and in a file that the next start will find. */
  async #certify(file: OpenFile): Promise<void> {
    await file.sync();
    if (await file.isInPlace()) return;
    throw new Failure("JOURNAL_UNWRITABLE", "the journal was taken away while it was in use", {
      facts: { path: this.#folder.path },
    });
  }

  #file(side: Side): OpenFile {
    if (this.#files === undefined) throw new Failure("JOURNAL_UNWRITABLE", "the journal is not open");
    return this.#files[side];
  }
}

function look(side: Side, bytes: Buffer): Found {
  const generation = newestGeneration(bytes);
  const { texts, end: tail, skippedBytes } = generation === 0 ? scan(Buffer.alloc(0), 0) : scan(bytes, generation);
  const entries = texts.map(readEntry);
  const endAt = entries.findIndex((entry) => entry?.k === "end");
  const end = entries[endAt];
  return {
    side,
    generation,
    entries,
    isWhole: entries[0]?.k === "head" && end?.k === "end" && end.count === endAt,
    wentOn: endAt !== -1 && entries.length > endAt + 1,
    tail,
    skippedBytes,
  };
}
