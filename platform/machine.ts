import type { Stats, StatsFs } from "node:fs";
import {
  accessSync,
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  statfsSync,
  statSync,
} from "node:fs";
import { statfs } from "node:fs/promises";
import { Failure } from "../protocol/failure.ts";

/** Room of one file system, in bytes and inodes. `freeBytes` is what an ordinary user may still use. */
export interface Space {
  totalBytes: number;
  freeBytes: number;
  /** Blocks that only root may use are not in `freeBytes` but in here. */
  unusedBytes: number;
  totalInodes: number;
  freeInodes: number;
}

/** A file that is read again and again: opened once, read in place. */
export interface Source {
  /** The whole text, or undefined when the file (or the process behind it) is gone. Throws MACHINE_READ. */
  read(): string | undefined;
  /** Its first byte, as it is now; undefined when the file is empty or gone. Costs half of reading it. Throws MACHINE_READ. */
  first(): number | undefined;
  close(): void;
}

/** What the kernel knows of a file without opening it. */
export interface FileStat {
  type: "file" | "folder" | "link" | "fifo" | "socket" | "device";
  /** Bytes. */
  size: number;
  /** Permission bits with setuid, setgid and sticky: 0o7777 at most. */
  mode: number;
  uid: number;
  gid: number;
  /** Last change of the content; anyone who may write may also set it. */
  mtimeMs: number;
  /** Last change of the content or of what is told here; only the kernel sets it. */
  ctimeMs: number;
  ino: number;
  dev: number;
}

/** The Linux machine under us: /proc, /sys, /etc and the file systems. Reads are synchronous: the kernel answers them from memory. */
export interface Machine {
  /** Where `path` of the machine lies for us: tests run on a captured tree. */
  at(path: string): string;
  /** Text of a small file (up to 1 MiB), undefined when it is not there. Throws MACHINE_READ. */
  read(path: string): string | undefined;
  source(path: string): Source;
  /** Names in a folder, [] when it is not there. Throws MACHINE_READ. */
  list(path: string): readonly string[];
  /** Target of a symbolic link, undefined when there is none. */
  link(path: string): string | undefined;
  /**
   * What is at `path`, undefined when nothing is; of a symbolic link what it leads to, or with `follow: false` the link
   * itself. Waits for the file system: not for a mount that may hang. Throws MACHINE_READ.
   */
  stat(path: string, options?: { follow?: boolean }): FileStat | undefined;
  /** Room of the file system mounted at `path`; only for local file systems, which cannot hang. Throws MACHINE_READ. */
  space(path: string): Space;
  /** The same for a mount that may hang for ever: costs a pool thread until the kernel answers, so never ask twice at once. */
  remoteSpace(path: string): Promise<Space>;
  /** Whether a write would be let through: `readonly` is the file system's word, `denied` the permissions'. */
  writable(path: string): "yes" | "readonly" | "denied";
}

const GONE = new Set(["ENOENT", "ESRCH", "ENOTDIR", "ENODEV", "ENXIO"]);
const errno = (cause: unknown): string => (cause instanceof Error && "code" in cause ? String(cause.code) : "");

function unreadable(path: string, cause: unknown): Failure {
  return new Failure("MACHINE_READ", `cannot read ${path}: ${errno(cause) || String(cause)}`, {
    facts: { path, errno: errno(cause) },
    cause,
  });
}

/** Runs `work`; what is simply not there becomes `absent`, everything else MACHINE_READ. */
function orAbsent<T>(path: string, absent: T, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (GONE.has(errno(cause))) return absent;
    throw unreadable(path, cause);
  }
}

const MOST_BYTES = 1 << 20;
const oneByte = Buffer.allocUnsafeSlow(1);
let shared = Buffer.allocUnsafeSlow(16_384); // one buffer for all reads: a fresh one each time grew the heap by 50 MB (docs/performance.md)

/**
 * Reads to the end. `whole`: the kernel writes this file as one piece, so that a read which does not fill the buffer was
 * the last; asking /proc once more would make it write everything anew only to say that there is no more.
 */
function readAll(fd: number, whole: boolean): string {
  let length = 0;
  for (;;) {
    const wanted = shared.length - length;
    const got = readSync(fd, shared, length, wanted, length);
    length += got;
    if (got === 0 || (whole && got < wanted) || length >= MOST_BYTES) return shared.toString("utf8", 0, length);
    if (length === shared.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(shared.length * 4, MOST_BYTES));
      shared.copy(larger);
      shared = larger;
    }
  }
}

/** What the kernel writes as one piece. Everything else may end a read between two records (seq_file with an iterator). */
const WHOLE =
  /^\/proc\/(\d+|self)\/(stat|statm|status)$|^\/proc\/(stat|meminfo|loadavg|uptime)$|^\/proc\/pressure\/|^\/sys\//;

const isWhole = (path: string): boolean => WHOLE.test(path);

const toSpace = ({ bsize, blocks, bavail, bfree, files, ffree }: StatsFs): Space => ({
  totalBytes: blocks * bsize,
  freeBytes: bavail * bsize,
  unusedBytes: bfree * bsize,
  totalInodes: files,
  freeInodes: ffree,
});

/** A stat of Node as checks use it. */
export function toStat(stats: Stats): FileStat {
  const { size, mode, uid, gid, mtimeMs, ctimeMs, ino, dev } = stats;
  return { type: typeOf(stats), size, mode: mode & 0o7777, uid, gid, mtimeMs, ctimeMs, ino, dev };
}

function typeOf(stats: Stats): FileStat["type"] {
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "folder";
  if (stats.isSymbolicLink()) return "link";
  if (stats.isFIFO()) return "fifo";
  return stats.isSocket() ? "socket" : "device";
}

/** The machine whose root folder is `root`: `/` on a device, a captured tree in a test. */
export function machineAt(root = "/"): Machine {
  const at = (path: string): string => (root === "/" ? path : root + path);
  return {
    at,
    read: (path) =>
      orAbsent(path, undefined, () => {
        const fd = openSync(at(path), "r");
        try {
          return readAll(fd, isWhole(path));
        } finally {
          closeSync(fd);
        }
      }),
    source: (path) => keptOpen(path, at(path)),
    list: (path) => orAbsent<readonly string[]>(path, [], () => readdirSync(at(path))),
    link: (path) =>
      orAbsent(path, undefined, () => {
        try {
          return readlinkSync(at(path));
        } catch (cause) {
          if (errno(cause) === "EINVAL") return undefined; // there, but no link
          throw cause;
        }
      }),
    stat: (path, { follow = true } = {}) =>
      orAbsent(path, undefined, () => {
        const stats = (follow ? statSync : lstatSync)(at(path), { throwIfNoEntry: false });
        return stats === undefined ? undefined : toStat(stats);
      }),
    space(path) {
      try {
        return toSpace(statfsSync(at(path)));
      } catch (cause) {
        throw unreadable(path, cause);
      }
    },
    async remoteSpace(path) {
      try {
        return toSpace(await statfs(at(path)));
      } catch (cause) {
        throw unreadable(path, cause);
      }
    },
    writable(path) {
      try {
        accessSync(at(path), constants.W_OK);
        return "yes";
      } catch (cause) {
        if (errno(cause) === "EROFS") return "readonly";
        if (errno(cause) === "EACCES" || errno(cause) === "EPERM") return "denied";
        throw unreadable(path, cause);
      }
    },
  };
}

function keptOpen(path: string, place: string): Source {
  let fd: number | undefined;
  const whole = isWhole(path);
  const close = (): void => {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  };
  const opened = (): number => {
    fd ??= openSync(place, "r");
    return fd;
  };
  const failed = (cause: unknown): undefined => {
    if (GONE.has(errno(cause))) return undefined;
    close(); // a stale descriptor must not outlive its fault
    throw unreadable(path, cause);
  };
  return {
    read() {
      try {
        return readAll(opened(), whole);
      } catch (cause) {
        return failed(cause);
      }
    },
    first() {
      try {
        return readSync(opened(), oneByte, 0, 1, 0) === 1 ? oneByte[0] : undefined;
      } catch (cause) {
        return failed(cause);
      }
    },
    close,
  };
}
