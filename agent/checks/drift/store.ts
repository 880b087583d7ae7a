import { createHash, randomBytes } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import * as z from "zod/mini";
import type { Folder } from "../../../platform/files.ts";
import { Failure } from "../../../protocol/failure.ts";
import type { Line } from "./lines.ts";

/** What was signed off, what was first seen, and how it was before: the drift check's files in the state folder. */

const rights = { mode: z.int(), uid: z.int(), gid: z.int(), owner: z.string() };
const link = { link: z.optional(z.string()) };
const some = {
  mode: z.optional(z.int()),
  uid: z.optional(z.int()),
  gid: z.optional(z.int()),
  owner: z.optional(z.string()),
};
const file = {
  kind: z.literal("file"),
  bytes: z.int(),
  /** HMAC of the content with the local key. */
  hash: z.string(),
  /** SHA-256 of a content without secrets, to compare by hand. */
  sha256: z.optional(z.string()),
};
const flat = [
  z.object({ kind: z.literal("absent") }),
  z.object({ ...file, ...rights, ...link }),
  /** More than is read. */
  z.object({ kind: z.literal("large"), bytes: z.int(), ...rights, ...link }),
  z.object({ kind: z.literal("other"), type: z.string(), ...some, ...link }),
  z.object({ kind: z.literal("unreadable"), because: z.string(), ...some, ...link }),
] as const;
const Member = z.discriminatedUnion("kind", [
  ...flat,
  z.object({ kind: z.literal("folder"), members: z.record(z.string(), z.never()), ...rights, ...link }),
]);
const Seen = z.discriminatedUnion("kind", [
  ...flat,
  z.object({ kind: z.literal("folder"), members: z.record(z.string(), Member), ...rights, ...link }),
]);
/** What was seen at a path; a folder with all that is in it, by their names below it. */
export type Seen = z.infer<typeof Seen>;
export type Member = z.infer<typeof Member>;
export interface Rights {
  mode: number;
  uid: number;
  gid: number;
  owner: string;
}

const Lines = z.array(z.union([z.string(), z.tuple([z.string(), z.string()])]));
const Entry = z.object({
  /** Wall clock, epoch ms. */
  at: z.int(),
  /** Who signed it off; absent for what was only seen first. */
  by: z.optional(z.string()),
  seen: Seen,
  /** By the file's name below the path, `""` for the path itself. What is not here cannot be shown. */
  lines: z.record(z.string(), Lines),
});
export type Entry = z.infer<typeof Entry>;
/** The lines kept of one file. A file may be called like something that every object has. */
export const linesKept = (entry: Entry | undefined, name: string): readonly Line[] | undefined =>
  entry !== undefined && Object.hasOwn(entry.lines, name) ? entry.lines[name] : undefined;
const Baseline = z.object({
  v: z.literal(1),
  /** Tells by which key its hashes were made. */
  key: z.string(),
  entries: z.record(z.string(), Entry),
});
export type Entries = Readonly<Record<string, Entry>>;

const Snapshot = z.object({ at: z.int(), seen: Seen, lines: z.optional(Lines) });
/** How a file once was. Without `lines` where nothing may be shown, or it was too old to keep room for. */
export type Snapshot = z.infer<typeof Snapshot>;
const History = z.object({ v: z.literal(1), paths: z.record(z.string(), z.array(Snapshot)) });
type History = z.infer<typeof History>;

const NAMES = { signed: "drift-baseline.json", unsigned: "drift-seen.json" } as const;
const KEY = "drift-key";
const KEY_BYTES = 32;
const MOST_BASELINE = 16_777_216;
/** Text of one file, characters, that a baseline and a snapshot keep. */
const MOST_TEXT = { baseline: 65_536, snapshot: 32_768, all: 1_000_000 } as const;
/** Paths share these files: their number and size, and so the room on flash, are bounded whatever comes and goes. */
const BUCKETS = 32;
const MOST_BUCKET = 65_536;
const MOST_UNPACKED = 4_194_304;
const MOST_SNAPSHOTS = 10;

export type Kind = keyof typeof NAMES;
/** Where the signed baseline lies in the folder: whoever waits for a new one looks at it. */
export const SIGNED_FILE = NAMES.signed;

const unusable = (what: string, cause?: unknown): Failure =>
  new Failure("BASELINE_UNREADABLE", `${what}: sign off again`, { cause });

/** The store in `folder`. Methods throw the system's error where the folder cannot be read or written. */
export class DriftStore {
  readonly #folder: Folder;
  #key: Uint8Array | undefined;

  constructor(folder: Folder) {
    this.#folder = folder;
  }

  /** The local key, which never leaves the device; undefined when there is none yet and none is to be made. */
  async key(make: boolean): Promise<Uint8Array | undefined> {
    if (this.#key !== undefined) return this.#key;
    const found = await this.#folder.read(KEY, KEY_BYTES);
    if (found?.length === KEY_BYTES) this.#key = found;
    else if (make) {
      await this.#folder.replace(KEY, randomBytes(KEY_BYTES));
      this.#key = await this.#folder.read(KEY, KEY_BYTES); // of two made at once the last one counts
    }
    return this.#key;
  }

  /** All entries, none when there is no such baseline. Throws Failure BASELINE_UNREADABLE. */
  async load(kind: Kind): Promise<Entries> {
    const bytes = await this.#folder.read(NAMES[kind], MOST_BASELINE);
    if (bytes === undefined) return {};
    const read = Baseline.safeParse(parsed(bytes));
    if (!read.success) throw unusable(`the file ${NAMES[kind]} is damaged`);
    const key = await this.key(false);
    if (key === undefined || read.data.key !== nameOf(key))
      throw unusable(`the file ${NAMES[kind]} was made with another key than ${KEY} holds`);
    return read.data.entries;
  }

  /** Puts `entries` in place of what was there, at once. */
  async save(kind: Kind, entries: Entries): Promise<void> {
    const key = await this.key(true);
    if (key === undefined) throw unusable(`the key ${KEY} cannot be kept`);
    const baseline = { v: 1, key: nameOf(key), entries: fitting(entries) };
    await this.#folder.replace(NAMES[kind], Buffer.from(JSON.stringify(baseline)));
  }

  /** How a file was, oldest first. */
  async history(path: string): Promise<readonly Snapshot[]> {
    return (await this.#bucket(path)).paths[path] ?? [];
  }

  /** Keeps one more, and of this file the last ten. Returns the bytes written. */
  async remember(path: string, snapshot: Snapshot): Promise<number> {
    const history = await this.#bucket(path);
    const kept = [...(history.paths[path] ?? []), within(snapshot)].slice(-MOST_SNAPSHOTS);
    const bytes = packed({ v: 1, paths: { ...history.paths, [path]: kept } }, path);
    await this.#folder.replace(bucketOf(path), bytes);
    return bytes.length;
  }

  /** A damaged bucket is begun anew: what it told of the past is lost, and nothing else. */
  async #bucket(path: string): Promise<History> {
    const bytes = await this.#folder.read(bucketOf(path), MOST_BUCKET * 2);
    const read = History.safeParse(bytes === undefined ? undefined : unpacked(bytes));
    return read.success ? read.data : { v: 1, paths: {} };
  }
}

const bucketOf = (path: string): string => {
  const [first = 0] = createHash("sha256").update(path).digest();
  return `drift-history-${String(first % BUCKETS).padStart(2, "0")}.gz`;
};

const nameOf = (key: Uint8Array): string =>
  createHash("sha256").update("name\0").update(key).digest("hex").slice(0, 16);

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    return undefined;
  }
}

function unpacked(bytes: Uint8Array): unknown {
  try {
    return parsed(gunzipSync(bytes, { maxOutputLength: MOST_UNPACKED }));
  } catch {
    return undefined;
  }
}

const lengthOf = (lines: readonly Line[]): number =>
  lines.reduce((sum, line) => sum + (typeof line === "string" ? line.length : line[0].length + line[1].length) + 4, 0);

/** Texts that are too long, and beyond the room for all of them the longest ones, are kept by their hash alone. */
function fitting(entries: Entries): Entries {
  const texts = Object.values(entries)
    .flatMap(({ lines }) => Object.values(lines).map((text) => ({ text, length: lengthOf(text) })))
    .toSorted((a, b) => a.length - b.length);
  const kept = new Set<readonly Line[]>();
  let room: number = MOST_TEXT.all;
  for (const { text, length } of texts) {
    room -= length;
    if (length <= MOST_TEXT.baseline && room >= 0) kept.add(text);
  }
  return Object.fromEntries(
    Object.entries(entries).map(([path, entry]) => [
      path,
      { ...entry, lines: Object.fromEntries(Object.entries(entry.lines).filter(([, text]) => kept.has(text))) },
    ]),
  );
}

function within({ lines, ...rest }: Snapshot): Snapshot {
  if (lines === undefined) return rest;
  const kept: typeof lines = [];
  let room: number = MOST_TEXT.snapshot;
  for (const line of lines) {
    room -= lengthOf([line]);
    if (room < 0) return { ...rest, lines: [...kept, "… (the rest was not kept)"] };
    kept.push(line);
  }
  return { ...rest, lines: kept };
}

/** A bucket that is too large gives up its oldest texts first, then other paths. */
function packed(history: History, newest: string): Buffer {
  let paths = history.paths;
  for (;;) {
    const bytes = gzipSync(JSON.stringify({ v: 1, paths }));
    if (bytes.length <= MOST_BUCKET) return bytes;
    const all = Object.entries(paths).flatMap(([path, snapshots]) => snapshots.map((one) => ({ path, one })));
    const oldest = all.filter(({ one }) => one.lines !== undefined).toSorted((a, b) => a.one.at - b.one.at)[0];
    const other = all.filter(({ path }) => path !== newest).toSorted((a, b) => a.one.at - b.one.at)[0];
    if (oldest !== undefined) {
      const { lines: _lines, ...rest } = oldest.one;
      const without = (paths[oldest.path] ?? []).map((one) => (one === oldest.one ? rest : one));
      paths = { ...paths, [oldest.path]: without };
    } else if (other !== undefined) {
      const { [other.path]: _gone, ...rest } = paths;
      paths = rest;
    } else return bytes;
  }
}
