import { deflateRawSync, inflateRawSync } from "node:zlib";
import type { Moment } from "./history-samples.ts";

/**
 * The hourly values of one series and day as bytes: a head of 4 (format, width), then for each figure five columns of 24
 * (mean, min, max, last as doubles; how many as 16 bit), NaN and 0 where there is none. Sealed: the columns deflated.
 */
const HEAD = 4;
const PLAIN = 1;
const SEALED = 2;
const HOURS = 24;
const COLUMNS = ["mean", "min", "max", "last"] as const;
const COLUMN_BYTES = 8 * HOURS;
const FIGURE_BYTES = COLUMNS.length * COLUMN_BYTES + 2 * HOURS;

/** What an hour comes to, for one figure. */
export interface Summary {
  mean: number;
  min: number;
  max: number;
  last: number;
  n: number;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const columnAt = (figure: number, column: number): number => HEAD + figure * FIGURE_BYTES + column * COLUMN_BYTES;
const countAt = (figure: number, hour: number): number => columnAt(figure, COLUMNS.length) + 2 * hour;

/** The hour of one figure in plain bytes; undefined where there is none. */
export function readHour(bytes: Uint8Array, figure: number, hour: number): Summary | undefined {
  if (figure >= (bytes[1] ?? 0)) return undefined;
  const view = viewOf(bytes);
  const n = view.getUint16(countAt(figure, hour), true);
  if (n === 0) return undefined;
  const [mean = 0, min = 0, max = 0, last = 0] = COLUMNS.map((_, column) =>
    view.getFloat64(columnAt(figure, column) + 8 * hour, true),
  );
  return { mean, min, max, last, n };
}

/** Copies the means of one figure, from the hour `from` of the day on, to `into` at `at`. */
export function copyMeans(
  bytes: Uint8Array,
  figure: number,
  from: number,
  count: number,
  into: Float64Array,
  at: number,
) {
  if (figure >= (bytes[1] ?? 0)) return;
  const view = viewOf(bytes);
  for (let i = 0; i < count; i += 1) into[at + i] = view.getFloat64(columnAt(figure, 0) + 8 * (from + i), true);
}

/** An empty day of `width` figures, or `known` grown to that width. */
function dayOf(known: Uint8Array | undefined, width: number): Uint8Array {
  const has = known?.[1] ?? 0;
  if (known !== undefined && has >= width) return known.slice();
  const bytes = new Uint8Array(HEAD + width * FIGURE_BYTES);
  const view = viewOf(bytes);
  for (let figure = has; figure < width; figure += 1)
    for (let i = 0; i < COLUMNS.length * HOURS; i += 1) view.setFloat64(columnAt(figure, 0) + 8 * i, Number.NaN, true);
  if (known !== undefined) bytes.set(known.subarray(HEAD), HEAD);
  bytes[0] = PLAIN;
  bytes[1] = width;
  return bytes;
}

/**
 * A day with one hour worked out (anew) from its samples. An hour that stands on more samples than there are now stays: its
 * samples were deleted meanwhile, and a late one must not pass for all of them.
 */
export function putHour(known: Uint8Array | undefined, hour: number, moments: readonly Moment[]): Uint8Array {
  const width = moments.reduce((most, { values }) => Math.max(most, values.length), 0);
  const bytes = dayOf(known, width);
  const view = viewOf(bytes);
  for (let figure = 0; figure < width; figure += 1) {
    const summary = summarise(moments, figure);
    if (summary === undefined || summary.n < view.getUint16(countAt(figure, hour), true)) continue;
    for (const [column, name] of COLUMNS.entries())
      view.setFloat64(columnAt(figure, column) + 8 * hour, summary[name], true);
    view.setUint16(countAt(figure, hour), summary.n, true);
  }
  return bytes;
}

function summarise(moments: readonly Moment[], figure: number): Summary | undefined {
  let [n, min, max, last] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];
  for (const { values } of moments) {
    const value = values[figure] ?? Number.NaN;
    if (Number.isNaN(value)) continue;
    n += 1;
    last = value;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  if (n === 0) return undefined;
  let mean = 0;
  for (const { values } of moments) {
    const value = values[figure] ?? Number.NaN;
    if (!Number.isNaN(value)) mean += value / n; // the sum itself could overflow
  }
  return { mean: Math.min(max, Math.max(min, mean)), min, max, last, n: Math.min(n, 65_535) };
}

/** The same day in about a third of the room. */
export function sealDay(plain: Uint8Array): Uint8Array {
  const packed = deflateRawSync(plain.subarray(HEAD));
  const bytes = new Uint8Array(HEAD + packed.length);
  bytes.set([SEALED, plain[1] ?? 0]);
  bytes.set(packed, HEAD);
  return bytes;
}

/** Plain bytes of a day, sealed or not; undefined for a format this version does not know, or bytes that are damaged. */
export function openDay(bytes: Uint8Array): Uint8Array | undefined {
  const width = bytes[1] ?? 0;
  const length = HEAD + width * FIGURE_BYTES;
  if (bytes[0] === PLAIN) return bytes.length === length ? bytes : undefined;
  if (bytes[0] !== SEALED) return undefined;
  try {
    const unpacked = inflateRawSync(bytes.subarray(HEAD), { maxOutputLength: length });
    if (unpacked.length !== length - HEAD) return undefined;
    const plain = new Uint8Array(length);
    plain.set([PLAIN, width]);
    plain.set(unpacked, HEAD);
    return plain;
  } catch {
    return undefined;
  }
}
