import { join } from "node:path";
import { Alarms } from "../aggregator/alarms.ts";
import { type HistoryStore, HOUR_MS, hourOf } from "../aggregator/history-store.ts";
import { openSqliteHistory } from "../aggregator/sqlite/history.ts";
import { openSqliteStore } from "../aggregator/sqlite-store.ts";
import { TicketDesk } from "../aggregator/tickets/desk.ts";
import { TrendsConfig } from "../aggregator/trends/config.ts";
import { TrendWatch } from "../aggregator/trends/watch.ts";
import { HandClock } from "../test/kit/hand-clock.ts";
import { silentLog } from "../test/kit/logs.ts";
import { tempFolder } from "../test/kit/temp.ts";
import { bench, round, tell } from "./bench.ts";

const CODES = 5;
const FIGURES = 3;
/** Samples of an hour, as agents with their defaults send them. */
const SAMPLES_AN_HOUR = 12;
const FLEET = 10_000;
const HOUR_CPU_US = 3.6e9;

export const trends = bench({
  asks: "What share of a core do the history and its trends of 10,000 devices cost?",
  minutes: 2,
  options: { devices: 100, days: 28 },
  async run({ devices, days }) {
    using folder = tempFolder("trends");
    const now = hourOf(Date.UTC(2026, 10, 22, 9)) * HOUR_MS;
    await using history = openSqliteHistory({ file: join(folder.path, "history.db") });
    tell(`${devices} devices × ${CODES} codes × ${FIGURES} figures, ${days} days by the hour`);
    for (let hour = 24 * days; hour >= 1; hour -= 1) await fill(history, devices, [now - hour * HOUR_MS]);
    const stretches = Array.from({ length: SAMPLES_AN_HOUR }, (_, n) => now + (n * HOUR_MS) / SAMPLES_AN_HOUR);
    const filing = await cpuUs(() => fill(history, devices, stretches));
    const { looked, us } = await sweep(folder.path, history, now + HOUR_MS);
    const figures = devices * CODES * FIGURES;
    if (looked !== figures) throw new Error(`${looked} of ${figures} figures were looked at`);
    const sizeBefore = await history.size();
    const share = (each: number, a: number): number => round((100 * each * a) / HOUR_CPU_US);
    return {
      figures: [
        {
          figure: `trends: ${FLEET} devices × ${CODES * FIGURES} figures an hour, share of a core`,
          measured: share(us / figures, FLEET * CODES * FIGURES),
          unit: "%",
          atMost: 2,
        },
        {
          figure: `history: ${FLEET} devices × ${CODES} codes every 5 min filed and worked out, share of a core`,
          measured: share(filing / (devices * CODES), FLEET * CODES),
          unit: "%",
          atMost: 1,
        },
      ],
      usPerFigure: round(us / figures, 1),
      usPerSample: round(filing / (devices * CODES * SAMPLES_AN_HOUR), 1),
      bytesPerSeriesDay: Math.round(sizeBefore.bytes / (devices * CODES * days)),
      note: "one process, its processor time; a fleet's share is worked out from the cost of one figure and one sample",
    };
  },
});

/** Samples of every device and code at the times given, and their hours worked out. */
async function fill(history: HistoryStore, devices: number, times: readonly number[]): Promise<void> {
  for (const ts of times) {
    const samples = Array.from({ length: devices * CODES }, (_, n) => ({
      ...{ device: `bench-${Math.floor(n / CODES)}`, code: `check.c${n % CODES}`, ts: ts + (n % 60) * 1_000 },
      figures: Object.fromEntries(Array.from({ length: FIGURES }, (_, f) => [`f${f}_pct`, level(n + f, ts)])),
    }));
    for (const sample of samples) history.stage(sample);
    while ((await history.file(1_000)) > 0);
  }
  while ((await history.rollUp(hourOf(Number.MAX_SAFE_INTEGER), 2_000)) > 0);
}

/** A daily rhythm and noise; one in fifty climbs. */
function level(n: number, ts: number): number {
  const hours = ts / HOUR_MS;
  const noise = ((Math.imul(n + 1, 2_654_435_761) ^ Math.imul(Math.floor(hours), 40_503)) >>> 0) / 2 ** 32;
  return 30 + 5 * Math.sin(hours / 3.82) + 3 * noise + (n % 50 === 0 ? (hours % 1_000) / 24 : 0);
}

async function sweep(folder: string, history: HistoryStore, end: number): Promise<{ looked: number; us: number }> {
  await using store = openSqliteStore({ file: join(folder, "vigil.db") });
  const clock = new HandClock(end + HOUR_MS / 2);
  const policy = { observeMs: 0, reopenMs: 0, flappingNoteMs: 0, childGraceMs: 0, mergeMs: 600_000, maxNotes: 10 };
  const rules = { holdOnMs: () => 0, longestMs: 0, childGraceMs: 0, maxCodes: 100 };
  const watch = new TrendWatch({
    ...{ store, history, clock, log: silentLog, boot: "bench", timeZone: "Asia/Shanghai" },
    alarms: new Alarms(new TicketDesk(policy, "UTC"), rules),
    classOf: () => undefined,
    committed: () => {},
    config: TrendsConfig.parse({ limits: { "check.*/*": { towards: "above", limit: 90, zh: "数", en: "figure" } } }),
  });
  const us = await cpuUs(async () => {
    for (let before = -1; watch.looked !== before; ) {
      before = watch.looked;
      await watch.tick();
    }
  });
  return { looked: watch.looked, us };
}

async function cpuUs(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
