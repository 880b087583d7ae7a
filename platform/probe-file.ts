import { constants } from "node:fs";
import { type FileHandle, open, unlink } from "node:fs/promises";

/** How a write of one byte ended; `errno` tells why it was not written. */
export interface WriteOutcome {
  /** `denied`: we may not write there, which says nothing of the disk. `full`: no room, no quota. */
  ended: "written" | "readonly" | "io" | "full" | "denied";
  errno?: string;
}

/**
 * Writes one byte into `folder`, makes it durable and takes it away again; in a folder that is `ours` alone it stays and is
 * overwritten the next time, which costs the flash a sixth. Never rejects; may hang as long as the disk does.
 */
export type ProbeWrite = (folder: string, ours: boolean) => Promise<WriteOutcome>;

const NAME = ".vigil-probe";
const ENDS: Readonly<Record<string, WriteOutcome["ended"]>> = {
  EROFS: "readonly",
  EIO: "io",
  ENXIO: "io",
  ENODEV: "io",
  ENOMEDIUM: "io",
  EUCLEAN: "io",
  EBADMSG: "io",
  ESHUTDOWN: "io",
  EREMOTEIO: "io",
  ENOSPC: "full",
  EDQUOT: "full",
};

const KEPT = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW;

/** The real probe. Costs a pool thread while it runs, so never run two at once. */
export const probeFile: ProbeWrite = async (folder, ours) => {
  const path = `${folder === "/" ? "" : folder}/${NAME}`;
  try {
    const file = ours ? await open(path, KEPT, 0o600) : await create(path);
    try {
      await file.write("\n", 0);
      await file.datasync();
    } finally {
      await file.close();
      if (!ours) await unlink(path);
    }
    return { ended: "written" };
  } catch (cause) {
    const errno = errnoOf(cause);
    return { ended: ENDS[errno] ?? "denied", errno };
  }
};

/** Never opens what is there already: in a folder anyone may write to it could be a link to another's file. */
async function create(path: string): Promise<FileHandle> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  try {
    return await open(path, flags, 0o600);
  } catch (cause) {
    if (errnoOf(cause) !== "EEXIST") throw cause;
    await unlink(path); // left by a power cut in the middle of the last probe
    return open(path, flags, 0o600);
  }
}

const ERRNO_NAMES: Readonly<Record<number, string>> = {
  [-108]: "ESHUTDOWN",
  [-117]: "EUCLEAN",
  [-121]: "EREMOTEIO",
  [-122]: "EDQUOT",
  [-123]: "ENOMEDIUM",
  [-74]: "EBADMSG",
};

/** libuv names the common errors only; the file systems' own come as bare Linux numbers. */
function errnoOf(cause: unknown): string {
  if (!(cause instanceof Error) || !("code" in cause)) return "unknown";
  const number = "errno" in cause && typeof cause.errno === "number" ? cause.errno : 0;
  return ERRNO_NAMES[number] ?? String(cause.code);
}
