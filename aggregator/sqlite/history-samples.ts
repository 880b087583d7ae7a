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
  return Array.from({ length: countOf(bytes) }, (_, n) => momentAt(view, HEAD + n * stride(width), width));
}

/** One sample alone, as it stands in an hour; in a buffer that the next call uses again. */
export function writeMoment(moment: Moment): Uint8Array {
  const length = stride(moment.values.length);
  writeAt(one, 0, [moment], moment.values.length);
  return one.subarray(0, length);
}
const one = new Uint8Array(stride(255));

export function readMoment(bytes: Uint8Array): Moment {
  return momentAt(viewOf(bytes), 0, Math.max(0, Math.floor((bytes.length - 4) / 8)));
}

function momentAt(view: DataView, at: number, width: number): Moment {
  const values = new Float64Array(width);
  for (let i = 0; i < width; i += 1) values[i] = view.getFloat64(at + 4 + 8 * i, true);
  return { offset: view.getUint32(at, true), values };
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
 * Adds moments (in the order of time) to an hour, at most one to each stretch of `everyMs`: one that is there stays, of new
 * ones the earliest. The hour's bytes then; undefined where nothing was added.
 */
export function addMoments(
  bytes: Uint8Array | undefined,
  fresh: readonly Moment[],
  width: number,
  everyMs: number,
): Uint8Array | undefined {
  const known = bytes === undefined ? [] : readMoments(bytes);
  const taken = new Set(known.map(({ offset }) => Math.floor(offset / everyMs)));
  const before = taken.size;
  const added = fresh.filter(({ offset }) => {
    const stretch = Math.floor(offset / everyMs);
    return !taken.has(stretch) && taken.add(stretch);
  });
  if (taken.size === before) return undefined;
  const all = [...known, ...added].toSorted((a, b) => a.offset - b.offset);
  return writeMoments(all, Math.max(width, bytes === undefined ? 0 : widthOf(bytes)));
}
