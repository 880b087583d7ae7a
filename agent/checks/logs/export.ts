/** What does `journalctl -o export` say? systemd.io/JOURNAL_EXPORT_FORMATS: fields by line, or with their length in bytes. */

/** An entry of the journal: the fields asked for, UTF-8 with what is not replaced. */
export type JournalEntry = ReadonlyMap<string, string>;

/** A longer value is kept up to here, bytes. */
const MOST_VALUE = 8_192;
const MOST_NAME = 256;
const NEWLINE = 10;
const EQUALS = 61;

interface BinaryValue {
  name: string;
  left: number;
  kept: Buffer[];
  keptBytes: number;
}

/** Reads the stream in pieces as they come. What it keeps is bounded, whatever comes. */
export class ExportReader {
  readonly #wanted: ReadonlySet<string>;
  #rest: Buffer = Buffer.alloc(0);
  #entry = new Map<string, string>();
  /** A value told by its length: how many bytes of it, and the newline after it, are still to come. */
  #binary: BinaryValue | undefined;
  /** Within a line too long to be kept, of which this much is. */
  #long: string | undefined;

  constructor(wanted: readonly string[]) {
    this.#wanted = new Set(wanted);
  }

  /** The entries that are whole now. Throws when the stream is no export of a journal. */
  push(bytes: Buffer): JournalEntry[] {
    const done: JournalEntry[] = [];
    let data = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    for (let used = this.#step(data, done); used > 0; used = this.#step(data, done)) data = data.subarray(used);
    this.#rest = Buffer.from(data); // not a view: the piece it came in is not held on to
    return done;
  }

  /** Takes one field, or a part of one; returns how many bytes that were, 0 when more must come. */
  #step(data: Buffer, done: JournalEntry[]): number {
    if (data.length === 0) return 0;
    if (this.#binary !== undefined) return this.#binaryPart(this.#binary, data);
    const end = data.indexOf(NEWLINE);
    if (this.#long !== undefined || end < 0) return this.#longPart(data, end);
    if (end === 0) {
      if (this.#entry.size > 0) done.push(this.#entry);
      this.#entry = new Map();
      return 1;
    }
    const equals = data.subarray(0, end).indexOf(EQUALS);
    if (equals >= 0) {
      this.#keep(data.toString("latin1", 0, equals), data.subarray(equals + 1, end));
      return end + 1;
    }
    return this.#binaryHead(data, end);
  }

  /** A line without `=` is a name; after it stands the length of its value, 64 bits, little-endian. */
  #binaryHead(data: Buffer, end: number): number {
    const name = data.toString("latin1", 0, end);
    if (!/^[A-Z_][A-Z0-9_]{0,63}$/.test(name)) throw new Error("not the export format of a journal");
    if (data.length < end + 9) return 0;
    const length = data.readBigUInt64LE(end + 1);
    if (length > 1n << 32n) throw new Error("not the export format of a journal");
    this.#binary = { name, left: Number(length) + 1, kept: [], keptBytes: 0 };
    return end + 9;
  }

  #binaryPart(binary: BinaryValue, data: Buffer): number {
    const part = data.subarray(0, binary.left);
    const room = MOST_VALUE + 1 - binary.keptBytes;
    if (room > 0 && this.#wanted.has(binary.name)) {
      binary.kept.push(Buffer.from(part.subarray(0, room)));
      binary.keptBytes += Math.min(room, part.length);
    }
    binary.left -= part.length;
    if (binary.left === 0) {
      const value = Buffer.concat(binary.kept);
      // the newline that ends it is no part of it, unless it was cut off before
      this.#keep(binary.name, value.at(-1) === NEWLINE && value.length <= MOST_VALUE ? value.subarray(0, -1) : value);
      this.#binary = undefined;
    }
    return part.length;
  }

  /** A line that has no end yet: a short one waits, of a long one only the beginning is kept. */
  #longPart(data: Buffer, end: number): number {
    if (this.#long === undefined) {
      if (data.length < MOST_VALUE + MOST_NAME) return 0;
      this.#long = data.toString("latin1", 0, MOST_VALUE + MOST_NAME);
    }
    if (end < 0) return data.length;
    const equals = this.#long.indexOf("=");
    if (equals < 0) throw new Error("not the export format of a journal");
    this.#keep(this.#long.slice(0, equals), Buffer.from(this.#long.slice(equals + 1), "latin1"));
    this.#long = undefined;
    return end + 1;
  }

  #keep(name: string, value: Buffer): void {
    if (this.#wanted.has(name)) this.#entry.set(name, value.toString("utf8", 0, MOST_VALUE));
  }
}
