/** One figure of a result, with the limit it is held against where it has one. */
export interface Figure {
  figure: string;
  measured: number;
  unit: string;
  atMost?: number;
  atLeast?: number;
}

/** What a bench found: the figures for docs/performance.md, and whatever explains them. */
export type Found = { figures: readonly Figure[] } & Record<string, unknown>;

/** One question about cost. Its options are numbers with their defaults; a run with others is marked as such. */
export interface Bench<O extends Record<string, number> = Record<string, number>> {
  asks: string;
  /** Minutes with the default options. */
  minutes: number;
  options: O;
  run(options: O): Promise<Found>;
}

/** A bench whose options keep their names. */
export const bench = <O extends Record<string, number>>(made: Bench<O>): Bench<O> => made;

export const round = (value: number, digits = 2): number => Number(value.toFixed(digits));

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = Number.NaN, high = Number.NaN] = [sorted[middle - 1], sorted[middle]];
  return sorted.length % 2 === 1 ? high : (low + high) / 2;
}

/** Told on the way; the result alone goes to standard output. */
export const tell = (text: string): void => void process.stderr.write(`${text}\n`);
