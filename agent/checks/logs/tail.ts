import { hash } from "node:crypto";

/**
 * The last bytes that were read of a log, to know the place again, as their number and a hash: it is kept on flash, and
 * what stands in a log may be secret. `""` for none.
 */
export const tailOf = (bytes: Buffer, from: number, to: number): string =>
  to <= from ? "" : `${to - from} ${hash("sha256", bytes.subarray(from, to), "hex").slice(0, 32)}`;

/** How many bytes a tail stands for. */
export const tailLength = (tail: string): number => (tail === "" ? 0 : Number.parseInt(tail, 10));
