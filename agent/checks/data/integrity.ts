import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { FileConfig } from "./data.ts";

/** How a file was found. `says`: what is wrong with it, without a word of its content. */
export type Integrity = { state: "whole"; count: number } | { state: "missing" } | { state: "damaged"; says: string };

const MOST_JSON_BYTES = 64 << 20;
const MOST_SUMS = 10_000;

/** Looks whether a file is whole. For the short-lived child: reads it all, however large. Rejects with the system's error. */
export async function inspect({ path, integrity }: FileConfig, at: (path: string) => string): Promise<Integrity> {
  const place = at(path);
  const size = (await stat(place).catch(orGone))?.size;
  if (size === undefined) return { state: "missing" };
  if (integrity === "json") return inspectJson(place, size);
  return integrity === "sqlite" ? inspectSqlite(place) : inspectSums(place);
}

function inspectJson(place: string, size: number): Integrity {
  if (size > MOST_JSON_BYTES) return { state: "damaged", says: `${size} bytes are more than a JSON file may have` };
  try {
    JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(place)));
    return { state: "whole", count: 1 };
  } catch (cause) {
    if (cause instanceof SyntaxError) return { state: "damaged", says: `no JSON in its ${size} bytes` };
    if (cause instanceof TypeError) return { state: "damaged", says: "it is no UTF-8" };
    throw cause;
  }
}

async function inspectSqlite(place: string): Promise<Integrity> {
  const { quickCheck } = await import("../sqlite.ts");
  const found = await quickCheck(place);
  return found === undefined ? { state: "whole", count: 1 } : { state: "damaged", says: found };
}

/** `HASH  NAME` or `HASH *NAME` a line; names are from where the list lies. */
async function inspectSums(place: string): Promise<Integrity> {
  const lines = readFileSync(place, "utf8")
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("#"));
  const sums = lines.slice(0, MOST_SUMS).map((line) => /^([0-9a-f]{64}) [ *](.+)$/i.exec(line));
  const unread = sums.filter((sum) => sum === null).length;
  if (unread > 0 || sums.length === 0)
    return { state: "damaged", says: `${unread} of ${lines.length} lines of the list are no SHA-256 sums` };
  let differ = 0;
  let missing = 0;
  for (const [, sum = "", name = ""] of sums.filter((one) => one !== null)) {
    const found = await hashOf(resolve(dirname(place), name));
    if (found === undefined) missing += 1;
    else if (found !== sum.toLowerCase()) differ += 1;
  }
  if (differ + missing === 0) return { state: "whole", count: sums.length };
  return { state: "damaged", says: `of ${sums.length} files ${differ} differ from their sums, ${missing} are missing` };
}

async function hashOf(place: string): Promise<string | undefined> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(place, { highWaterMark: 1 << 20 })) hash.update(chunk);
  } catch (cause) {
    return orGone(cause);
  }
  return hash.digest("hex");
}

function orGone(cause: unknown): undefined {
  if (!(cause instanceof Error && "code" in cause && cause.code === "ENOENT")) throw cause;
}
