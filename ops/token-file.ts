import { open } from "node:fs/promises";
import { Failure } from "../protocol/failure.ts";

/**
 * The token to send: of `file`, else VIGIL_TOKEN, else of VIGIL_TOKEN_FILE; none when nothing is set. A file's first
 * word counts. `loose`: others than its owner may read the file. Throws CONFIG_UNREADABLE.
 */
export async function readToken(
  env: Readonly<Record<string, string | undefined>>,
  file: string | undefined,
): Promise<{ token: string | undefined; loose: boolean }> {
  const path = file ?? (env["VIGIL_TOKEN"] ? undefined : env["VIGIL_TOKEN_FILE"] || undefined);
  if (path === undefined) return { token: usable(env["VIGIL_TOKEN"]?.trim(), "VIGIL_TOKEN"), loose: false };
  const unreadable = (cause: unknown) =>
    new Failure("CONFIG_UNREADABLE", `cannot read the token file ${path}`, { facts: { path }, cause });
  await using handle = await open(path, "r").catch((cause: unknown) => {
    throw unreadable(cause);
  });
  const { mode } = await handle.stat();
  const text = await handle.readFile("utf8").catch((cause: unknown) => {
    throw unreadable(cause);
  });
  return { token: usable(text.trim().split(/\s/)[0], path), loose: (mode & 0o077) !== 0 };
}

/** A token as a header can carry it. Throws CONFIG_INVALID, without showing it. */
function usable(token: string | undefined, from: string): string | undefined {
  if (token === undefined || token === "") return undefined;
  if (/^[\x21-\x7e]{1,512}$/.test(token)) return token;
  throw new Failure("CONFIG_INVALID", `what ${from} holds is not a token`, { facts: { from } });
}
