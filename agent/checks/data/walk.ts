import type { Dirent, Stats } from "node:fs";
import { lstat, opendir, stat } from "node:fs/promises";

/** What lies in a folder. */
export interface Walked {
  count: number;
  bytes: number;
  /** Last change of the newest and of the oldest file, epoch ms; of an empty folder both are its own. */
  newestMs: number;
  oldestMs: number;
  /** More entries than `maxEntries`: the figures are of those that were seen. */
  cut: boolean;
  /** Folders inside that we may not read. */
  unreadable: number;
}

export interface WalkLimits {
  /** Only files whose names end so, in any case; all when empty. */
  match: readonly string[];
  /** How many folders deep; 0: what lies in it directly. */
  depth: number;
  maxEntries: number;
  crossMounts: boolean;
}

/** So many entries are read, and so many asked for their size, at one time. */
const BATCH = 32;

/**
 * Walks through the folder `root` without following links, a few entries at a time: the event loop is free in between,
 * whatever the folder holds. "missing" when there is no such folder. Rejects with the system's error when it cannot be read,
 * with the signal's reason when that aborts.
 */
export async function walk(root: string, limits: WalkLimits, signal: AbortSignal): Promise<Walked | "missing"> {
  const own = await stat(root).catch(orGone);
  if (own === undefined) return "missing";
  const tour = new Tour(limits, own.dev, signal);
  await tour.enter(root, 0);
  for (let next = tour.folders.pop(); next !== undefined && !tour.found.cut; next = tour.folders.pop()) {
    try {
      await tour.enter(next.path, next.depth);
    } catch (cause) {
      if (signal.aborted) throw cause;
      if (!isGone(cause)) tour.found.unreadable += 1;
    }
  }
  const { found } = tour;
  return found.count > 0 ? found : { ...found, newestMs: own.mtimeMs, oldestMs: own.mtimeMs };
}

class Tour {
  readonly found: Walked = {
    ...{ count: 0, bytes: 0, cut: false, unreadable: 0 },
    ...{ newestMs: Number.NEGATIVE_INFINITY, oldestMs: Number.POSITIVE_INFINITY },
  };
  /** Still to be entered. */
  readonly folders: { path: string; depth: number }[] = [];
  readonly #limits: WalkLimits;
  readonly #endings: readonly string[];
  readonly #dev: number;
  readonly #signal: AbortSignal;
  #left: number;

  constructor(limits: WalkLimits, dev: number, signal: AbortSignal) {
    this.#limits = limits;
    this.#endings = limits.match.map((ending) => ending.toLowerCase());
    this.#dev = dev;
    this.#signal = signal;
    this.#left = limits.maxEntries;
  }

  async enter(path: string, depth: number): Promise<void> {
    let batch: Promise<void>[] = [];
    for await (const entry of await opendir(path, { bufferSize: BATCH })) {
      this.#signal.throwIfAborted();
      if (this.#left === 0) {
        this.found.cut = true;
        break;
      }
      this.#left -= 1;
      if (this.#isOfInterest(entry, depth)) batch.push(this.#look(path, entry.name, depth));
      if (batch.length < BATCH) continue;
      await Promise.all(batch);
      batch = [];
    }
    await Promise.all(batch);
  }

  /** Asked of the folder alone: what is not wanted costs no look at the file. */
  #isOfInterest(entry: Dirent, depth: number): boolean {
    if (entry.isSymbolicLink()) return false;
    if (entry.isDirectory()) return depth < this.#limits.depth;
    return this.#isWanted(entry.name) || !entry.isFile(); // some file systems do not tell the kind
  }

  #isWanted(name: string): boolean {
    const plain = name.toLowerCase();
    return this.#endings.length === 0 || this.#endings.some((ending) => plain.endsWith(ending));
  }

  async #look(folder: string, name: string, depth: number): Promise<void> {
    const path = `${folder === "/" ? "" : folder}/${name}`;
    const stats = await lstat(path).catch(orGone);
    if (stats === undefined) return;
    if (stats.isFile() && this.#isWanted(name)) this.#add(stats);
    const entered = stats.dev === this.#dev || this.#limits.crossMounts;
    if (stats.isDirectory() && entered && depth < this.#limits.depth) this.folders.push({ path, depth: depth + 1 });
  }

  #add({ size, mtimeMs }: Stats): void {
    const { found } = this;
    found.count += 1;
    found.bytes += size;
    if (mtimeMs > found.newestMs) found.newestMs = mtimeMs;
    if (mtimeMs < found.oldestMs) found.oldestMs = mtimeMs;
  }
}

const isGone = (cause: unknown): boolean => cause instanceof Error && "code" in cause && cause.code === "ENOENT";

/** Files come and go while we walk. */
function orGone(cause: unknown): undefined {
  if (!isGone(cause)) throw cause;
}
