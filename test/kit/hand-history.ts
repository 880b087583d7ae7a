import { DAY_MS, type Finding, type HistoryStore, type Sample } from "../../aggregator/history-store.ts";

const NINE = Date.UTC(2026, 10, 22, 9, 0, 0);

/** A disk that is full in eleven days, seen at nine o'clock. */
export const finding = (own: Partial<Finding> = {}): Finding => ({
  ...{ device: "ft-0042", code: "disk.var", figure: "free_pct", alarm: "trend.disk-var-free-pct", reason: "forecast" },
  ...{ since: NINE - DAY_MS, seen: NINE, looked: NINE, level: 21.4, perDay: -1, perDayLow: -1.1, perDayHigh: -0.9 },
  ...{ confidence: 0.99, days: 11, limit: 10, reachesAt: NINE + 11 * DAY_MS, reachesFrom: NINE + 10 * DAY_MS },
  ...{ toldAt: NINE },
  ...own,
});

/** Puts samples into a history, and works their hours out where asked. */
export async function fill(history: HistoryStore, samples: Iterable<Sample>, workOut = true): Promise<void> {
  for (const sample of samples) history.stage(sample);
  while ((await history.file(1_000)) > 0);
  while (workOut && (await history.rollUp(1_000_000, 5_000)) > 0);
}
