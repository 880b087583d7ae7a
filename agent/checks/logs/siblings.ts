import { basename, dirname, extname, join } from "node:path";
import { type GrowingFile, type Look, lookAt, namesIn, openGrowing, realPath } from "../../../platform/growing-file.ts";
import { tailLength, tailOf } from "./tail.ts";

/** What became of a log that was rotated, copied or packed? Files beside it that are, or were, its own. */

/** A file by what it is, not by its name. */
export interface Identity {
  dev: number;
  ino: number;
  bornMs: number;
}

/** Of a file that was seen in another boot: the kernel numbers disks as it finds them, and overlays as they are mounted. */
export const ANY_DEV = 0;

/** Whether both are one file. Where the file system knows when a file was made, an inode used again is told apart. */
export const isSame = (a: Identity, b: Identity): boolean =>
  (a.dev === b.dev || a.dev === ANY_DEV || b.dev === ANY_DEV) &&
  a.ino === b.ino &&
  (a.bornMs === b.bornMs || a.bornMs === 0 || b.bornMs === 0);

/** As it is remembered. */
export const keyOf = ({ ino, bornMs }: Identity): string => `${ino}:${bornMs}`;

/** Whether it is among `keys`; a file just made tells its beginning only later. */
export const isKnown = (keys: readonly string[], { ino, bornMs }: Identity): boolean =>
  keys.some((key) => {
    const [known, born] = key.split(":");
    return Number(known) === ino && (Number(born) === bornMs || born === "0" || bornMs === 0);
  });

/** A file that was read to its end, as it can be told again once it is packed: packers keep the time of the last change. */
export const pastOf = ({ mtimeMs }: { mtimeMs: number }): string => `past:${Math.floor(mtimeMs / 1_000)}`;
export const isPast = (key: string): boolean => key.startsWith("past:");

/** So many files beside a log are remembered, the newest. */
export const MOST_KNOWN = 40;
/** A folder with more names is not searched to its end. */
const MOST_NAMES = 4_096;
/** A rotation is over after a few milliseconds. */
const MOST_LOOKS = 20;
const PACKED = /\.(gz|xz|bz2|zst|lz4|Z|zip)$/;

interface Sibling {
  path: string;
  look: Look;
}

/** Where we stood: what a copy must have at the same place. */
interface Place extends Identity {
  offset: number;
  tail: string;
  mtimeMs: number;
}

const probe = Buffer.allocUnsafeSlow(256);

export class Siblings {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** All that were rotated away, packed or not: the newest. */
  all(): string[] {
    return this.#list(isRotated)
      .toSorted((a, b) => b.look.mtimeMs - a.look.mtimeMs)
      .slice(0, MOST_KNOWN)
      .map(({ look }) => keyOf(look));
  }

  /**
   * Those that are not in `held` and do not begin with `beginning`, oldest first. What is older than `sinceMs` was there
   * before, too, where there are more than are remembered.
   */
  newOnes(held: readonly string[], beginning: string | undefined, sinceMs: number): Look[] {
    return this.#list(isRotated)
      .toSorted((a, b) => b.look.mtimeMs - a.look.mtimeMs)
      .filter(({ look }, i) => i < MOST_KNOWN || look.mtimeMs >= sinceMs)
      .filter(({ path, look }) => !PACKED.test(path) && !isKnown(held, look) && !beginsWith(path, beginning))
      .map(({ look }) => look)
      .toSorted((a, b) => a.mtimeMs - b.mtimeMs);
  }

  /** Opens the file wherever in the folder it is now. */
  open({ offset, tail, ...file }: Omit<Place, "mtimeMs">): GrowingFile | undefined {
    for (let i = 0; i < MOST_LOOKS; i += 1) {
      const found = this.#list(() => true).find(({ look }) => isSame(file, look));
      if (found === undefined) return undefined;
      const opened = openSafely(found.path);
      if (opened === undefined) continue;
      const isRenamed = !isSame(file, opened.look()); // since it was found: another has its name
      if (!isRenamed && stoodIn(opened, offset, tail)) return opened;
      opened.close();
      if (!isRenamed) return undefined;
    }
    return undefined;
  }

  /** A copy of the file as it was when it was cut: as long, made since, and with the same bytes where we stood. */
  copyOf({ offset, tail, mtimeMs }: Place): Look | undefined {
    return this.#list((name, base) => isRotated(name, base) && !PACKED.test(name))
      .filter(({ look }) => look.size >= offset && look.size > 0 && look.mtimeMs >= mtimeMs)
      .toSorted((a, b) => b.look.mtimeMs - a.look.mtimeMs)
      .find(({ path }) => stoodAt(path, offset, tail))?.look;
  }

  /** Sizes before packing of what was packed since, oldest first; undefined where that cannot be told. */
  packed(known: readonly string[]): (number | undefined)[] {
    return this.#list((name, base) => isRotated(name, base) && PACKED.test(name))
      .filter(({ look }) => !isKnown(known, look) && !known.includes(pastOf(look)))
      .toSorted((a, b) => a.look.mtimeMs - b.look.mtimeMs)
      .map(({ path, look }) => (path.endsWith(".gz") ? unpackedSize(path, look.size) : undefined));
  }

  /** A file that is renamed while names are looked at is found under none of them: looked at until nothing moves. */
  #list(fits: (name: string, base: string) => boolean): Sibling[] {
    const real = realPath(this.#path) ?? this.#path;
    let found = listOnce(real, fits);
    for (let i = 0; i < MOST_LOOKS; i += 1) {
      const before = found;
      found = listOnce(real, fits);
      if (found.length === before.length && found.every((one, n) => isAsBefore(one, before[n]))) break;
    }
    return found;
  }
}

function listOnce(real: string, fits: (name: string, base: string) => boolean): Sibling[] {
  const folder = dirname(real);
  const base = basename(real);
  const found: Sibling[] = [];
  for (const name of namesIn(folder, MOST_NAMES)) {
    if (name === base || !fits(name, base)) continue;
    const path = join(folder, name);
    const look = lookSafely(path);
    if (look?.kind === "file") found.push({ path, look });
  }
  return found;
}

const isAsBefore = (one: Sibling, before: Sibling | undefined): boolean =>
  one.path === before?.path && one.look.ino === before.look.ino;

/** `app.log.1`, `app.log-20261122.gz`; `app-1.log` and `app.2026-11-22.log` of `app.log`. Not what editors leave. */
function isRotated(name: string, base: string): boolean {
  if (/(~|\.sw[a-z]|\.tmp)$/.test(name)) return false;
  if (name.startsWith(base)) return true;
  const end = extname(base);
  const stem = base.slice(0, base.length - end.length);
  const plain = name.replace(PACKED, "");
  return (
    end !== "" &&
    plain.startsWith(stem) &&
    plain.endsWith(end) &&
    /^[._-][\d._-]*\d[\d._-]*$/.test(plain.slice(stem.length, -end.length))
  );
}

/** What of a packed file was not read: `sizes` are those of it and of what came after it. Undefined when nobody knows. */
export function leftBehind(sizes: readonly (number | undefined)[], offset: number): number | undefined {
  const [own, ...later] = sizes;
  if (own === undefined || own < offset) return undefined;
  return later.reduce<number>((sum, size) => sum + (size ?? 0), own - offset);
}

function lookSafely(path: string): Look | undefined {
  try {
    return lookAt(path);
  } catch {
    return undefined; // ELOOP, EACCES: not ours
  }
}

function openSafely(path: string): GrowingFile | undefined {
  try {
    return openGrowing(path);
  } catch {
    return undefined; // EACCES: not ours
  }
}

function bytesIn(file: GrowingFile, offset: number, length: number): string {
  try {
    return probe.toString("latin1", 0, file.read(probe, length, offset));
  } catch {
    return ""; // a bad disk, or removed on a network file system
  }
}

function within<T>(path: string, look: (file: GrowingFile) => T): T | undefined {
  const file = openSafely(path);
  if (file === undefined) return undefined;
  try {
    return look(file);
  } finally {
    file.close();
  }
}

function stoodIn(file: GrowingFile, offset: number, tail: string): boolean {
  const length = tailLength(tail);
  const bytes = Buffer.from(bytesIn(file, offset - length, length), "latin1");
  return bytes.length === length && tailOf(bytes, 0, length) === tail;
}

const bytesAt = (path: string, offset: number, length: number): string | undefined =>
  within(path, (file) => bytesIn(file, offset, length));

const stoodAt = (path: string, offset: number, tail: string): boolean =>
  within(path, (file) => stoodIn(file, offset, tail)) === true;

const beginsWith = (path: string, beginning: string | undefined): boolean =>
  beginning !== undefined && beginning !== "" && bytesAt(path, 0, beginning.length) === beginning;

/** gzip's last four bytes: the length before packing, modulo 4 GiB (RFC 1952). */
function unpackedSize(path: string, size: number): number | undefined {
  const end = size < 18 ? undefined : bytesAt(path, size - 4, 4);
  return end?.length === 4 ? Buffer.from(end, "latin1").readUInt32LE(0) : undefined;
}
