import { constants, type Stats } from "node:fs";
import { lstat, open, readdir, readlink, stat } from "node:fs/promises";
import { type FileStat, toStat } from "./machine.ts";

/** What is at a path: itself, and what it leads to where it is a symbolic link. */
export interface Found {
  /** Where the link leads, as written in it; undefined for what is no link. */
  link?: string;
  /** What is there in the end; undefined for a link that leads nowhere. */
  end?: FileStat;
  /** Equal as long as nothing was changed: not the content, not the rights, not the link. */
  mark: string;
}

/** The content of a file that stood still while it was read, or why there is none. */
export type Steady =
  | { got: "whole"; bytes: Buffer }
  /** More than was asked for. */
  | { got: "large"; bytes: number }
  /** Written to or replaced, twice in a row. */
  | { got: "changing" }
  /** No plain file any more. */
  | { got: "other" };

const GONE = new Set(["ENOENT", "ENOTDIR"]);
export const errnoOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);

/** Looks at `path` without opening it; undefined when nothing is there. Rejects with the system's error. */
export async function findAt(path: string): Promise<Found | undefined> {
  const own = await orUndefined(lstat(path));
  if (own === undefined) return undefined;
  if (!own.isSymbolicLink()) return { end: toStat(own), mark: markOf(own) };
  const link = await readlink(path);
  const end = await orUndefined(stat(path));
  return {
    link,
    ...(end === undefined ? {} : { end: toStat(end) }),
    mark: `${markOf(own)} ${link} ${end === undefined ? "" : markOf(end)}`,
  };
}

/** What changes with every write to a file and every replacing of it; undefined when it is not there. Rejects with the system's error. */
export async function markAt(path: string): Promise<string | undefined> {
  const found = await orUndefined(stat(path));
  return found === undefined ? undefined : markOf(found);
}

/** Names in a folder, sorted; at most `most` and one more. Rejects with the system's error. */
export async function namesIn(path: string, most: number): Promise<string[]> {
  return (await readdir(path)).toSorted().slice(0, most + 1);
}

const markOf = ({ mode, size, uid, gid, mtimeMs, ctimeMs, ino, dev }: Stats): string =>
  [mode, size, uid, gid, mtimeMs, ctimeMs, ino, dev].join();

async function orUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (cause) {
    if (GONE.has(errnoOf(cause))) return undefined;
    throw cause;
  }
}

/**
 * Reads a plain file of at most `mostBytes` whole. A pipe or a device in its place is not waited for and not read; a file
 * that is written to or replaced meanwhile is read once more. Rejects with the system's error.
 */
export async function readSteady(path: string, mostBytes: number): Promise<Steady> {
  const first = await readOnce(path, mostBytes);
  return first.got === "changing" ? readOnce(path, mostBytes) : first;
}

async function readOnce(path: string, mostBytes: number): Promise<Steady> {
  await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  const before = await handle.stat();
  if (!before.isFile()) return { got: "other" };
  if (before.size > mostBytes) return { got: "large", bytes: before.size };
  const room = Buffer.allocUnsafeSlow(before.size + 1);
  let length = 0;
  while (length < room.length) {
    const { bytesRead } = await handle.read(room, length, room.length - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  const [after, named] = [await handle.stat(), await orUndefined(stat(path))];
  const steady = markOf(before) === markOf(after) && named !== undefined && markOf(named) === markOf(after);
  return steady && length === before.size ? { got: "whole", bytes: room.subarray(0, length) } : { got: "changing" };
}
