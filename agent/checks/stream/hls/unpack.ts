import { promisify } from "node:util";
import { gunzip, inflate } from "node:zlib";
import { Failure } from "../../../../protocol/failure.ts";

/**
 * A body as it was before its content coding: some servers pack though nobody asked them to. Rejects with Failure
 * STREAM_PROTOCOL where it would have more than `mostBytes`, is broken, or is packed otherwise.
 */
export async function unpacked(body: Buffer, encoding: string | undefined, mostBytes: number): Promise<Buffer> {
  const unpack = encoding === undefined || encoding === "identity" ? undefined : UNPACKS.get(encoding);
  if (encoding === undefined || encoding === "identity") return body;
  const facts = { encoding: encoding.slice(0, 20) };
  if (unpack === undefined)
    throw new Failure("STREAM_PROTOCOL", `a playlist packed as nobody asked for: ${facts.encoding}`, { facts });
  try {
    return await unpack(body, { maxOutputLength: mostBytes });
  } catch (cause) {
    throw new Failure("STREAM_PROTOCOL", `a packed playlist that is broken or too large`, { facts, cause });
  }
}

const UNPACKS = new Map([
  ["gzip", promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip)],
  ["x-gzip", promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip)],
  ["deflate", promisify<Buffer, { maxOutputLength: number }, Buffer>(inflate)],
]);
