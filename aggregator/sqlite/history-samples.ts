/**
 * The samples of one series and hour as bytes: a head of 4 (format, width, two to spare), then for each sample its
 * milliseconds within the hour (4 bytes) and `width` doubles, little endian; NaN where a figure was not told.
 */
const HEAD = 4;
const FORMAT = 1;

/** One sample: milliseconds within its hour, and its values by the place of their figure; NaN where there is none. */
export interface Moment {
  offset: number;
  values: ArrayLike<number>;
}

const stride = (width: number): number => 4 + 8 * width;
const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const widthOf = (bytes: Uint8Array): number => bytes[1] ?? 0;
const countOf = (bytes: Uint8Array): number => Math.floor((bytes.length - HEAD) / stride(widthOf(bytes)));

export function readMoments(bytes: Uint8Array): Moment[] {
  if (bytes[0] !== FORMAT) return []; // of a format this version does not know
  const [view, width] = [viewOf(bytes), widthOf(bytes)];
  return Array.from({ length: countOf(bytes) }, (_, n) => {
    const at = HEAD + n * stride(width);
    const values = new Float64Array(width);
    for (let i = 0; i < width; i += 1) values[i] = view.getFloat64(at + 4 + 8 * i, true);
    return { offset: view.getUint32(at, true), values };
  });
}

export function writeMoments(moments: readonly Moment[], width: number): Uint8Array {
  const bytes = new Uint8Array(HEAD + moments.length * stride(width));
  bytes[0] = FORMAT;
  bytes[1] = width;
  writeAt(bytes, HEAD, moments, width);
  return bytes;
}

function writeAt(bytes: Uint8Array, from: number, moments: readonly Moment[], width: number): void {
  const view = viewOf(bytes);
  let at = from;
  for (const { offset, values } of moments) {
    view.setUint32(at, offset, true);
    for (let i = 0; i < width; i += 1) view.setFloat64(at + 4 + 8 * i, values[i] ?? Number.NaN, true);
    at += stride(width);
  }
}

/**
 * Adds moments to an hour, at most one to each stretch of `everyMs`: the first that came stays, whatever their order.
 * Says how many were added; undefined where none was.
 */
export function addMoments(bytes: Uint8Array | undefined, fresh: readonly Moment[], width: number, everyMs: number) {
  if (bytes !== undefined && bytes[0] === FORMAT && widthOf(bytes) === width) {
    const appended = appendAfter(bytes, fresh, everyMs);
    if (appended !== undefined) return appended;
  }
  const byStretch = new Map<number, Moment>();
  const known = bytes === undefined ? [] : readMoments(bytes);
  for (const moment of [...known, ...fresh]) {
    const stretch = Math.floor(moment.offset / everyMs);
    if (!byStretch.has(stretch)) byStretch.set(stretch, moment);
  }
  if (byStretch.size === known.length) return undefined;
  const all = [...byStretch.values()].toSorted((a, b) => a.offset - b.offset);
  return {
    bytes: writeMoments(all, Math.max(width, bytes === undefined ? 0 : widthOf(bytes))),
    added: all.length - known.length,
  };
}

/** The common case: everything new comes after everything known, nothing needs to be read. Undefined when it does not. */
function appendAfter(bytes: Uint8Array, fresh: readonly Moment[], everyMs: number) {
  const [width, count] = [widthOf(bytes), countOf(bytes)];
  let last = count === 0 ? -1 : Math.floor(viewOf(bytes).getUint32(HEAD + (count - 1) * stride(width), true) / everyMs);
  for (const { offset } of fresh) {
    const stretch = Math.floor(offset / everyMs);
    if (stretch <= last) return undefined;
    last = stretch;
  }
  const end = HEAD + count * stride(width);
  const longer = new Uint8Array(end + fresh.length * stride(width));
  longer.set(bytes.subarray(0, end));
  writeAt(longer, end, fresh, width);
  return { bytes: longer, added: fresh.length };
}
