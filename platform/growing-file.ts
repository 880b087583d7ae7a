import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  type Stats,
  statSync,
} from "node:fs";

/** Which file a name leads to, and how far it is written: what a follower needs to know between two looks. */
export interface Look {
  /** A plain file; everything else (FIFO, socket, device, folder) is named, and must never be read. */
  kind: "file" | "folder" | "fifo" | "socket" | "device";
  /** The file itself, whatever its name: device and inode, and when it was made where the file system knows. */
  dev: number;
  ino: number;
  bornMs: number;
  size: number;
  mtimeMs: number;
}

/** A file that others write to, open for reading. It stays readable when it is renamed or removed. */
export interface GrowingFile {
  look(): Look;
  /** Reads up to `length` bytes at `position` into the beginning of `into`; how many there were. Throws the system's error. */
  read(into: Buffer, length: number, position: number): number;
  close(): void;
}

const ABSENT = { throwIfNoEntry: false } as const;

/** What `path` leads to now, through symbolic links; undefined when there is nothing. Throws the system's error. */
export function lookAt(path: string): Look | undefined {
  try {
    const stats = statSync(path, ABSENT);
    return stats === undefined ? undefined : lookOf(stats);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOTDIR") return undefined;
    throw cause;
  }
}

/**
 * Opens `path` to read along. Never waits, whatever is there; undefined when it is gone or no plain file. Throws the
 * system's error.
 */
export function openGrowing(path: string): GrowingFile | undefined {
  let fd: number;
  try {
    // a FIFO without a writer would hold a plain open for ever
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && (cause.code === "ENOENT" || cause.code === "ENXIO"))
      return undefined;
    throw cause;
  }
  const close = (): void => closeSync(fd);
  if (lookOf(fstatSync(fd)).kind !== "file") {
    close();
    return undefined;
  }
  return {
    look: () => lookOf(fstatSync(fd)),
    read: (into, length, position) => readSync(fd, into, 0, length, position),
    close,
  };
}

/** Where a path leads to once all symbolic links are followed; undefined when it leads nowhere. */
export function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

/** Names in a folder, at most `most` of them; [] when it cannot be listed. */
export function namesIn(folder: string, most: number): string[] {
  try {
    return readdirSync(folder).slice(0, most);
  } catch {
    return []; // a log in a folder one may pass through but not list: it is followed by its name alone
  }
}

function lookOf(stats: Stats): Look {
  const { dev, ino, size, mtimeMs, ctimeMs, birthtimeMs } = stats;
  // a file system that does not know tells 0, or its last change instead
  const bornMs = birthtimeMs === ctimeMs ? 0 : Math.floor(birthtimeMs);
  return { kind: kindOf(stats), dev, ino, bornMs, size, mtimeMs };
}

function kindOf(stats: Stats): Look["kind"] {
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "folder";
  if (stats.isFIFO()) return "fifo";
  return stats.isSocket() ? "socket" : "device";
}

/** The kernel's log: a device that gives one record per read and never waits. */
export interface RecordDevice {
  /**
   * The next record (UTF-8 text), "none" when there is none yet, "overwritten" when records were lost before it was read.
   * Throws the system's error.
   */
  next(): string;
  close(): void;
}

export const NONE = "none";
export const OVERWRITTEN = "overwritten";

/** Opens a device like /dev/kmsg from its oldest record. Throws the system's error. */
export function openRecords(path: string): RecordDevice {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const record = Buffer.allocUnsafeSlow(8_192); // the kernel's longest
  return {
    next() {
      const { stackTraceLimit } = Error;
      Error.stackTraceLimit = 0; // "nothing new" is thrown too, once a second for years: nobody reads where
      try {
        const length = readSync(fd, record, 0, record.length, null);
        return length === 0 ? NONE : record.toString("utf8", 0, length);
      } catch (cause) {
        const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
        if (code === "EAGAIN") return NONE;
        if (code === "EPIPE") return OVERWRITTEN;
        throw cause;
      } finally {
        Error.stackTraceLimit = stackTraceLimit;
      }
    },
    close: () => closeSync(fd),
  };
}
