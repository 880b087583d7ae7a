import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { Failure } from "../protocol/failure.ts";

const OTHERS_MAY = 0o077;

function unusable(path: string, reason: string, cause?: unknown): Failure {
  return new Failure("FILE_UNUSABLE", `cannot use ${path}: ${reason}`, { facts: { path, reason }, cause });
}

const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause ? String(cause.code) : "unreadable";

/**
 * The bytes of a file that a person named: a plain file of at most `mostBytes`. A pipe or a device in its place is refused
 * without waiting for it. `ours`: nobody but its owner may read it. Throws Failure FILE_UNUSABLE.
 */
export async function readSmallFile(
  path: string,
  { mostBytes = 65_536, ours = false }: { mostBytes?: number; ours?: boolean } = {},
): Promise<Buffer> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const { mode, size } = await handle.stat(); // of what was opened: a name may lead elsewhere by now
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw unusable(path, "it is no plain file");
    if (ours && (mode & OTHERS_MAY) !== 0) throw unusable(path, "others may read it, it must be 0600");
    if (size > mostBytes) throw unusable(path, `it has ${size} bytes, at most ${mostBytes} are taken`);
    const bytes = Buffer.alloc(size);
    const { bytesRead } = await handle.read(bytes, 0, size, 0);
    return bytes.subarray(0, bytesRead);
  } catch (cause) {
    throw cause instanceof Failure ? cause : unusable(path, codeOf(cause), cause);
  } finally {
    await handle?.close();
  }
}

/** A password, token or community from a file that only its owner may read (0600), without its last line end. Throws Failure FILE_UNUSABLE. */
export async function readSecretFile(path: string): Promise<string> {
  const text = (await readSmallFile(path, { mostBytes: 4_096, ours: true })).toString("utf8").replace(/\r?\n$/, "");
  if (text === "") throw unusable(path, "it is empty");
  if (/[\r\n\0]/.test(text)) throw unusable(path, "it holds more than one line");
  return text;
}
