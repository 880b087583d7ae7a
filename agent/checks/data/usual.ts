import * as z from "zod/mini";

/** What is usual in a folder: the least and the most of each figure on each of the last days. Pure. */
const DaySchema = z.strictObject({
  /** Days since 1970, UTC. */
  day: z.int(),
  least: z.record(z.string(), z.number()),
  most: z.record(z.string(), z.number()),
});
export type Day = z.infer<typeof DaySchema>;

const HistorySchema = z.record(z.string(), z.array(DaySchema));
/** Days by the name of the folder. */
export type History = Readonly<Record<string, readonly Day[]>>;

export const MOST_DAYS = 28;
const DAY_MS = 86_400_000;
/** A clock that says less was never set (2020). */
const LEAST_WALL_MS = 1_577_836_800_000;
/** Of 28 days the three oddest on either side are not taken for usual; if they go on, they are. */
const ODD_SHARE = 0.1;

/** The day of a wall clock, undefined where it was never set. */
export const dayOf = (wallMs: number): number | undefined =>
  wallMs < LEAST_WALL_MS ? undefined : Math.floor(wallMs / DAY_MS);

/** What `writeHistory` wrote; empty when it is anything else. */
export function readHistory(text: string | undefined): History {
  try {
    const read = z.safeParse(HistorySchema, JSON.parse(text ?? "{}"));
    return read.success ? read.data : {};
  } catch {
    return {};
  }
}

/** Only of folders that are still watched. */
export const writeHistory = (history: History, names: readonly string[]): string =>
  JSON.stringify(
    Object.fromEntries(names.flatMap((name) => (Object.hasOwn(history, name) ? [[name, history[name]]] : []))),
  );

/** The days with one more look taken in. */
export function learn(days: readonly Day[], day: number, figures: Readonly<Record<string, number>>): readonly Day[] {
  const today = days.find((one) => one.day === day);
  const merged = (kept: Readonly<Record<string, number>>, pick: (a: number, b: number) => number) =>
    Object.fromEntries(
      Object.entries(figures).map(([name, value]) => [
        name,
        Object.hasOwn(kept, name) ? pick(kept[name] ?? value, value) : value,
      ]),
    );
  const next: Day = { day, least: merged(today?.least ?? {}, Math.min), most: merged(today?.most ?? {}, Math.max) };
  return [...days.filter((one) => one.day !== day), next].slice(-MOST_DAYS);
}

/** Between what a figure usually lies, over days before `day`; undefined before `leastDays` are known. */
export function usual(
  days: readonly Day[],
  day: number,
  name: string,
  leastDays: number,
): { low: number; high: number } | undefined {
  const before = days.filter((one) => one.day !== day && Object.hasOwn(one.least, name));
  if (before.length < leastDays) return undefined;
  const sorted = (pick: (one: Day) => number | undefined): number[] =>
    before.map((one) => pick(one) ?? 0).toSorted((a, b) => a - b);
  const odd = Math.floor(before.length * ODD_SHARE);
  const low = sorted(({ least }) => least[name])[odd] ?? 0;
  const high = sorted(({ most }) => most[name])[before.length - 1 - odd] ?? 0;
  return { low, high };
}
