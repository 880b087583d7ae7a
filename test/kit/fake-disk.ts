import type { Folder, OpenFile } from "../../platform/files.ts";

type Change = { name: string; at: number; bytes: Uint8Array } | { name: string; resize: number };

/** How a power cut treats one write that was not synced: `cut` keeps only its first so many bytes, `hole` all but those from one to the other. */
export type Fate = "kept" | "lost" | { cut: number } | { hole: readonly [number, number] };

/**
 * A state folder in memory that remembers which writes were synced, so that a test can pull the plug after any of them.
 * `changes` grows by one with every write, resize and sync.
 */
export class FakeDisk implements Folder {
  readonly path = "/state";
  /** What a program reads: everything written. */
  #files: Map<string, Buffer>;
  /** What certainly survives: everything synced. */
  #synced: Map<string, Buffer>;
  #unsynced: Change[] = [];
  /** Writes, resizes and syncs so far. */
  changes = 0;
  /** Bytes given to `write`, and flash pages a sync had to bring out. */
  writtenBytes = 0;
  /** Called before every change; throw to fail it, return a pending promise to hang it. */
  before: (what: "write" | "resize" | "sync", name: string) => void | Promise<void> = () => undefined;
  /** Called before every open for writing and every read. */
  beforeOpen: (what: "open" | "read", name: string) => void | Promise<void> = () => undefined;
  holder: number | undefined;

  constructor(files: ReadonlyMap<string, Buffer> = new Map()) {
    this.#files = copied(files);
    this.#synced = copied(files);
  }

  async claim(): Promise<number | undefined> {
    return this.holder;
  }
  async release(): Promise<void> {}
  async read(name: string): Promise<Buffer | undefined> {
    await this.beforeOpen("read", name);
    const bytes = this.#files.get(name);
    return bytes === undefined ? undefined : Buffer.from(bytes);
  }
  async open(name: string): Promise<OpenFile> {
    await this.beforeOpen("open", name);
    if (!this.#files.has(name)) {
      this.#files.set(name, Buffer.alloc(0));
      this.#synced.set(name, Buffer.alloc(0));
    }
    return {
      isInPlace: async () => true,
      size: async () => this.#files.get(name)?.length ?? 0,
      write: async (at, bytes) => {
        await this.#change("write", name);
        this.writtenBytes += bytes.length;
        this.#do({ name, at, bytes: Uint8Array.from(bytes) });
      },
      sync: async () => {
        await this.#change("sync", name);
        this.#sync(name);
      },
      resize: async (bytes) => {
        await this.#change("resize", name);
        this.#do({ name, resize: bytes });
        this.#sync(name);
      },
      [Symbol.asyncDispose]: async () => undefined,
    };
  }
  async replace(name: string, bytes: Uint8Array): Promise<void> {
    this.#files.set(name, Buffer.from(bytes));
    this.#synced.set(name, Buffer.from(bytes));
  }

  /** The same disk as it is at this moment, with the same writes in doubt. */
  copy(): FakeDisk {
    const twin = new FakeDisk();
    twin.#files = copied(this.#files);
    twin.#synced = copied(this.#synced);
    twin.#unsynced = [...this.#unsynced];
    return twin;
  }

  /** How many writes a power cut now would put in doubt. */
  get inDoubt(): readonly { bytes: number }[] {
    return this.#unsynced.map((change) => ({ bytes: "bytes" in change ? change.bytes.length : 0 }));
  }

  /** The disk as it is found after a power cut now, when each unsynced write had the fate named. */
  afterCut(fates: readonly Fate[] = []): FakeDisk {
    const files = copied(this.#synced);
    for (const [index, change] of this.#unsynced.entries()) {
      const fate = fates[index] ?? "lost";
      if (fate === "lost") continue;
      if (fate === "kept" || !("bytes" in change)) put(files, change);
      else for (const part of survivors(change, fate)) put(files, part);
    }
    return new FakeDisk(files);
  }

  /** The same bytes, everything on flash: what a new process finds after `kill -9`. */
  afterKill(): FakeDisk {
    return this.afterCut(this.#unsynced.map(() => "kept"));
  }

  /** Spoils one stored byte. */
  spoil(name: string, at: number): void {
    for (const bytes of [this.#files.get(name), this.#synced.get(name)]) {
      if (bytes !== undefined && at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ 0xff;
    }
  }

  async #change(what: "write" | "resize" | "sync", name: string): Promise<void> {
    await this.before(what, name);
    this.changes += 1;
  }
  #do(change: Change): void {
    put(this.#files, change);
    this.#unsynced.push(change);
  }
  #sync(name: string): void {
    this.#synced.set(name, Buffer.from(this.#files.get(name) ?? []));
    this.#unsynced = this.#unsynced.filter((change) => change.name !== name);
  }
}

function put(files: Map<string, Buffer>, change: Change): void {
  const old = files.get(change.name) ?? Buffer.alloc(0);
  const size = "bytes" in change ? Math.max(old.length, change.at + change.bytes.length) : change.resize;
  const bytes = size === old.length ? old : Buffer.alloc(size);
  if (bytes !== old) old.copy(bytes);
  if ("bytes" in change) bytes.set(change.bytes, change.at);
  files.set(change.name, bytes);
}

type Write = Extract<Change, { bytes: Uint8Array }>;

/** What is left of a torn write. A disk brings a long one out in any order. */
function survivors(write: Write, fate: Exclude<Fate, string>): Write[] {
  if ("cut" in fate) return [{ ...write, bytes: write.bytes.subarray(0, fate.cut) }];
  const [from, to] = fate.hole;
  return [
    { ...write, bytes: write.bytes.subarray(0, from) },
    { ...write, at: write.at + to, bytes: write.bytes.subarray(to) },
  ];
}

const copied = (files: ReadonlyMap<string, Buffer>): Map<string, Buffer> =>
  new Map([...files].map(([name, bytes]) => [name, Buffer.from(bytes)]));

/** The system's error of that code. */
export const systemError = (code: string): Error => Object.assign(new Error(`${code}: as the test wants it`), { code });
