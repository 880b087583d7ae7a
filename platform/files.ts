import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readFile, rename, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

/** A file that is written in place. Nothing is certain to survive a power cut before `sync`. */
export interface OpenFile extends AsyncDisposable {
  /** Whether its name still leads to it: it was not removed, replaced, unmounted or mounted over. */
  isInPlace(): Promise<boolean>;
  /** Length now, bytes. */
  size(): Promise<number>;
  /** Writes all of `bytes` at `offset`. Throws the system's error (ENOSPC, EROFS, EIO …). */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Resolves when everything written is on flash (fdatasync). */
  sync(): Promise<void>;
  /** Makes it `bytes` long, new room filled with real zeros and synced: later writes inside need no further block. */
  resize(bytes: number): Promise<void>;
}

/** A folder of our own: files 0600, the folder 0700, made when first written to. All methods throw the system's error. */
export interface Folder {
  readonly path: string;
  /** Takes the folder for this process; returns the pid of another living process that has it, else undefined. */
  claim(): Promise<number | undefined>;
  /** Gives up what `claim` took. */
  release(): Promise<void>;
  /** The first `most` bytes of a file, undefined when there is none. */
  read(name: string, most: number): Promise<Buffer | undefined>;
  /** Opens for writing in place, empty when it was not there. */
  open(name: string): Promise<OpenFile>;
  /** Puts `bytes` in place of the file at once: after a power cut it is the old one or the new one, whole. */
  replace(name: string, bytes: Uint8Array): Promise<void>;
}

const CLAIM = "lock";
const CHUNK = 65_536;
const READ_WRITE = constants.O_RDWR | constants.O_CREAT;

/** The folder at `path` of this machine. */
export function folderAt(path: string): Folder {
  const at = (name: string): string => join(path, name);
  const openMade = async (name: string, flags = READ_WRITE): Promise<FileHandle> => {
    await mkdir(path, { recursive: true, mode: 0o700 });
    return await open(at(name), flags, 0o600);
  };
  return {
    path,
    async claim() {
      await using handle = await openMade(CLAIM);
      const mine = await identity(process.pid);
      const holder = Number((await handle.readFile("utf8")).split(" ")[0]);
      if (holder > 0 && holder !== process.pid && (await textAt(handle)) === (await identity(holder))) return holder;
      // In place and never removed: on a full disk no block is needed to start again.
      await handle.write(mine.padEnd(80), 0);
      const winner = await textAt(handle);
      return winner === mine ? undefined : Number(winner.split(" ")[0]);
    },
    async release() {
      await using handle = await openMade(CLAIM);
      await handle.write(" ".repeat(80), 0);
    },
    async read(name, most) {
      try {
        await using handle = await open(at(name), constants.O_RDONLY);
        const bytes = Buffer.allocUnsafeSlow(Math.min((await handle.stat()).size, most));
        let length = 0;
        while (length < bytes.length) {
          const { bytesRead } = await handle.read(bytes, length, bytes.length - length, length);
          if (bytesRead === 0) break;
          length += bytesRead;
        }
        return bytes.subarray(0, length);
      } catch (cause) {
        if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
        throw cause;
      }
    },
    async open(name) {
      const handle = await openMade(name);
      await syncFolder(path).catch(async (cause: unknown) => {
        await handle.close();
        throw cause;
      });
      return openFile(handle, at(name));
    },
    async replace(name, bytes) {
      {
        await using handle = await openMade(`${name}.new`, READ_WRITE | constants.O_TRUNC);
        await handle.writeFile(bytes);
        await handle.sync();
      }
      await rename(at(`${name}.new`), at(name));
      await syncFolder(dirname(at(name)));
    },
  };
}

function openFile(handle: FileHandle, path: string): OpenFile {
  const write = async (offset: number, bytes: Uint8Array): Promise<void> => {
    for (let done = 0; done < bytes.length; ) {
      done += (await handle.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
    }
  };
  return {
    async isInPlace() {
      const [own, named] = await Promise.all([handle.stat(), stat(path).catch(() => undefined)]);
      return own.ino === named?.ino && own.dev === named.dev;
    },
    size: async () => (await handle.stat()).size,
    write,
    sync: () => handle.datasync(),
    async resize(bytes) {
      const { size } = await handle.stat();
      if (size > bytes) await handle.truncate(bytes);
      const zeros = new Uint8Array(CHUNK);
      for (let at = size; at < bytes; at += CHUNK) await write(at, zeros.subarray(0, Math.min(CHUNK, bytes - at)));
      await handle.sync();
    },
    [Symbol.asyncDispose]: () => handle.close(),
  };
}

/** A new name in a folder is only certain once the folder itself is on flash. */
async function syncFolder(path: string): Promise<void> {
  await using handle = await open(path, constants.O_RDONLY);
  await handle.sync();
}

async function textAt(handle: FileHandle): Promise<string> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(80), 0, 80, 0);
  return buffer.toString("utf8", 0, bytesRead).trim();
}

/** A process as no other is named: its pid, its start in ticks since boot, and the machine's boot. "" when it is gone. */
async function identity(pid: number): Promise<string> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    const started = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
    const machine = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
    return `${pid} ${started} ${machine}`;
  } catch {
    return pid === process.pid ? `${pid}` : "";
  }
}
