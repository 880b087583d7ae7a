import { open } from "node:fs/promises";
import { Failure } from "../../protocol/failure.ts";
import { parseTokens, type TokenEntry } from "../../protocol/token.ts";

/**
 * Reads a tokens file: `name sha256hex` lines, as `vigil token new` prints them.
 * Throws CONFIG_UNREADABLE, TOKENS_UNSAFE when others than its owner may read or write it, CONFIG_INVALID with the line.
 */
export async function readTokens(path: string): Promise<TokenEntry[]> {
  const unreadable = (cause: unknown) =>
    new Failure("CONFIG_UNREADABLE", `cannot read the tokens file ${path}`, { facts: { path }, cause });
  await using file = await open(path, "r").catch((cause: unknown) => {
    throw unreadable(cause);
  });
  const mode = (await file.stat()).mode & 0o777; // of the open file: a name can be put in another's place meanwhile
  if ((mode & 0o077) !== 0) {
    const is = mode.toString(8).padStart(4, "0");
    throw new Failure("TOKENS_UNSAFE", `${path} has mode ${is}, allowed: 0600 or less`, { facts: { path, mode: is } });
  }
  const text = await file.readFile("utf8").catch((cause: unknown) => {
    throw unreadable(cause);
  });
  return parseTokens(text);
}
