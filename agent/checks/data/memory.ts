import type { Keep } from "../check.ts";
import type { DataFigures, UsualRanges } from "./conditions.ts";
import { dayOf, type History, learn, readHistory, usual, writeHistory } from "./usual.ts";

/** What is remembered of folders over restarts. */
export interface UsualMemory {
  /** What was usual before the day of `wallMs`. */
  usual(name: string, wallMs: number, leastDays: number): UsualRanges | undefined;
  learn(name: string, wallMs: number, figures: DataFigures): Promise<void>;
  close(): void;
}

const FILE = "data.json";
const SLOT = "data";
const MOST_BYTES = 4_194_304;

/** On flash it is written once a day; the day that is not over is kept in memory only. Without `keep` nothing is. */
export async function openUsual(keep: Keep | undefined, names: readonly string[]): Promise<UsualMemory> {
  const file = await keep?.folder.read(FILE, MOST_BYTES).catch(() => undefined); // the disk check says what is wrong with it
  let history = readHistory(file?.toString("utf8"));
  let storedDay = newest(history, Number.POSITIVE_INFINITY);
  const slot = keep?.slot(SLOT);
  for (const [name, days] of Object.entries(readHistory(slot?.read())))
    for (const one of days) history = withDay(withDay(history, name, one.day, one.least), name, one.day, one.most);

  return {
    usual(name, wallMs, leastDays) {
      const day = dayOf(wallMs);
      const days = Object.hasOwn(history, name) ? history[name] : undefined;
      return day === undefined || days === undefined ? undefined : (figure) => usual(days, day, figure, leastDays);
    },
    async learn(name, wallMs, figures) {
      const day = dayOf(wallMs);
      if (day === undefined || keep === undefined) return;
      history = withDay(history, name, day, figures);
      const today = Object.entries(history).map(([key, days]) => [key, days.filter((one) => one.day === day)] as const);
      try {
        slot?.write(writeHistory(Object.fromEntries(today), names));
      } catch {
        // /run is full: today begins anew after a restart
      }
      const over = newest(history, day);
      if (over <= storedDay) return;
      storedDay = over;
      await keep.folder.replace(FILE, Buffer.from(writeHistory(history, names))).catch(() => {}); // tried again tomorrow
    },
    close: () => slot?.close(),
  };
}

const withDay = (history: History, name: string, day: number, figures: Readonly<Record<string, number>>): History => ({
  ...history,
  [name]: learn(Object.hasOwn(history, name) ? (history[name] ?? []) : [], day, figures),
});

/** The last day that is known before `day`. */
const newest = (history: History, day: number): number =>
  Math.max(
    Number.NEGATIVE_INFINITY,
    ...Object.values(history)
      .flat()
      .map((one) => one.day)
      .filter((one) => one < day),
  );
