import { createHash, timingSafeEqual } from "node:crypto";
import { Failure } from "./failure.ts";

/** A bearer token as the aggregator keeps it: whose it is, and SHA-256 of it in hex. The token itself is stored nowhere. */
export interface TokenEntry {
  name: string;
  sha256: string;
}
const NAME = /^[a-z0-9][a-z0-9._-]{0,39}$/;
const SHA256 = /^[0-9a-f]{64}$/;
const PREFIX = "vgl_";

/** A new token from 32 random bytes; the prefix lets secret scanners know it. */
export const tokenOf = (random: Uint8Array): string => `${PREFIX}${Buffer.from(random).toString("base64url")}`;

export const hashOf = (token: string): string => createHash("sha256").update(token).digest("hex");

/** The line of a tokens file for a token. Throws ARGUMENT_INVALID when `name` is not one. */
export function tokenLine(name: string, token: string): string {
  if (!NAME.test(name)) {
    throw new Failure("ARGUMENT_INVALID", "the name of a token is 1–40 of a–z 0–9 . _ -", { facts: { name } });
  }
  return `${name} ${hashOf(token)}`;
}

/** Reads a tokens file: `name sha256hex` lines, blank lines and `#` comments. Throws CONFIG_INVALID with the line's number. */
export function parseTokens(text: string): TokenEntry[] {
  return text.split(/\r?\n/).flatMap((line, index) => {
    const [name = "", sha256 = "", ...rest] = line.trim().split(/\s+/);
    if (name === "" || name.startsWith("#")) return [];
    if (NAME.test(name) && SHA256.test(sha256) && rest.length === 0) return [{ name, sha256 }];
    // Never shows the line: a token may have been put there by mistake.
    throw new Failure("CONFIG_INVALID", `line ${index + 1} of the tokens file is not \`name sha256hex\``, {
      facts: { line: index + 1 },
    });
  });
}

/** The entry whose token this is. Every entry is compared, each in constant time. */
export function findToken(entries: readonly TokenEntry[], token: string): TokenEntry | undefined {
  const hash = Buffer.from(hashOf(token), "hex");
  let found: TokenEntry | undefined;
  for (const entry of entries) if (timingSafeEqual(hash, Buffer.from(entry.sha256, "hex"))) found = entry;
  return found;
}
