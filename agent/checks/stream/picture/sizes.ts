/** What the sizes of the compressed frames prove: only ever that a picture is frozen, never that it lives. Pure. */

/** Sizes as the meter has them (TrackFigures), bytes. */
export interface SizeFacts {
  /** Of the last keyframes, newest last. */
  keySizes?: readonly number[] | undefined;
  deltaMedianBytes?: number | undefined;
  /** Usual size of the frames that are no keyframes. */
  usualDeltaBytes?: number | undefined;
}

/**
 * F1: so many keyframes of one size, to so small a part, while the frames between have shrunk to `delta` of the usual. Four
 * alike happen by chance every few minutes on a live, denoised scene that rests (measured: 1 to 5 of 100); so they
 * count only where the thumbnails show no sensor noise either, or when eight are alike to the byte, nearly.
 */
const ONE_SIZE = {
  keys: 4,
  part: 0.0005,
  delta: 0.2,
  motion: 0.1,
  hint: 3,
  alone: { keys: 8, part: 0.0001, bytes: 2 },
} as const;
/**
 * F1: an encoder whose input does not change at all writes keyframes of one size and next to nothing between them. Says how
 * that shows, undefined where it does not. `motion`: mean change of a cell between the last two thumbnails.
 */
export function proofBySizes(facts: SizeFacts, motion: number | undefined): string | undefined {
  const { keySizes = [], deltaMedianBytes, usualDeltaBytes } = facts;
  if (deltaMedianBytes === undefined || usualDeltaBytes === undefined || !haveShrunk(facts)) return undefined;
  const same = sameSizes(keySizes, motion);
  return same === undefined
    ? undefined
    : `the last ${same}; the frames between have ${Math.round(deltaMedianBytes)} (usual ${Math.round(usualDeltaBytes)})`;
}

/** Whether the sizes begin to look like a frozen picture, so that thumbnails should confirm or refute it soon. */
export const hintBySizes = (facts: SizeFacts): boolean =>
  haveShrunk(facts) && areAlike(rangeOf(facts.keySizes ?? [], ONE_SIZE.hint));

const haveShrunk = ({ deltaMedianBytes = Infinity, usualDeltaBytes = 0 }: SizeFacts): boolean =>
  deltaMedianBytes < ONE_SIZE.delta * usualDeltaBytes;

interface Range {
  least: number;
  most: number;
}
/** Of the last `count`; undefined before there are so many. */
function rangeOf(sizes: readonly number[], count: number): Range | undefined {
  const last = sizes.slice(-count);
  return last.length < count ? undefined : { least: Math.min(...last), most: Math.max(...last) };
}
const areAlike = (range: Range | undefined): range is Range =>
  range !== undefined && range.most - range.least <= Math.max(ONE_SIZE.alone.bytes, ONE_SIZE.part * range.most);

/** How many of the last keyframes are of one size, in words; undefined where that proves nothing. `motion`: of the thumbnails. */
function sameSizes(sizes: readonly number[], motion: number | undefined): string | undefined {
  const { alone } = ONE_SIZE;
  const words = (count: number, { least, most }: Range): string =>
    `${count} keyframes have ${least === most ? most : `${least} to ${most}`} bytes`;
  const many = rangeOf(sizes, alone.keys);
  if (many !== undefined && many.most - many.least <= Math.max(alone.bytes, alone.part * many.most))
    return words(alone.keys, many);
  const few = rangeOf(sizes, ONE_SIZE.keys);
  return areAlike(few) && motion !== undefined && motion <= ONE_SIZE.motion
    ? `${words(ONE_SIZE.keys, few)} and the picture not even noise (${motion.toFixed(2)} of 255)`
    : undefined;
}
