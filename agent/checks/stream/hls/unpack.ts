import { gunzipSync, inflateSync } from "node:zlib";
import { Failure } from "../../../../protocol/failure.ts";

const UNPACKS = new Map([
  ["gzip", gunzipSync],
  ["x-gzip", gunzipSync],
  ["deflate", inflateSync],
]);

/**
 * A body as it was before its content coding: some servers pack though nobody asked them to. Throws Failure STREAM_PROTOCOL
 * where it would have more than `mostBytes`, is broken, or is packed otherwise.
 */
export function unpacked(body: Buffer, encoding: string | undefined, mostBytes: number): Buffer {
  if (encoding === undefined || encoding === "identity") return body;
  const unpack = UNPACKS.get(encoding);
  const facts = { encoding: encoding.slice(0, 20) };
  if (unpack === undefined)
    throw new Failure("STREAM_PROTOCOL", `a playlist packed as nobody asked for: ${facts.encoding}`, { facts });
  try {
    return unpack(body, { maxOutputLength: mostBytes });
  } catch (cause) {
    throw new Failure("STREAM_PROTOCOL", "a packed playlist that is broken or too large", { facts, cause });
  }
}
