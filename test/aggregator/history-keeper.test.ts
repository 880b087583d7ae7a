import { copyFileSync, existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { HistoryConfig } from "../../aggregator/history/config.ts";
import { HistoryKeeper, type Told } from "../../aggregator/history/keeper.ts";
import { fileTime } from "../../aggregator/history/stretches.ts";
import { DAY_MS, type HistoryStore, HOUR_MS } from "../../aggregator/history-store.ts";
import { type HistoryOptions, openSqliteHistory } from "../../aggregator/sqlite/history.ts";
import { Failure } from "../../protocol/failure.ts";
import { HandClock } from "../kit/hand-clock.ts";
import { fill } from "../kit/hand-history.ts";
import { keptLog } from "../kit/logs.ts";
import { tempFolder } from "../kit/temp.ts";

const NINE = Date.UTC(2026, 10, 22, 9, 0, 0);
const ALL = { from: 0, to: 9e15, limit: 100_000 };

interface Desk extends AsyncDisposable {
  clock: HandClock;
  store: HistoryStore;
  keeper: HistoryKeeper;
  log: ReturnType<typeof keptLog>;
  tell(figures: Record<string, number>, more?: Partial<Told>): void;
  /** Lets the keeper have its rounds until nothing is left to do. */
  rounds(count?: number): Promise<void>;
  metric(name: string, label?: string): number;
}

function desk(
  own: Record<string, unknown> = {},
  options: Partial<HistoryOptions> = {},
  wrap = (store: HistoryStore) => store,
): Desk {
  const clock = new HandClock(NINE);
  const rules = HistoryConfig.parse(own);
  const store = wrap(
    openSqliteHistory({ file: ":memory:", rawEveryMs: rules.rawEveryS * 1_000, maxFigures: rules.figures, ...options }),
  );
  const log = keptLog();
  const keeper = new HistoryKeeper({ store, clock, log, rules });
  return {
    ...{ clock, store, keeper, log },
    tell: (figures, more = {}) => {
      const ts = more.body?.ts ?? clock.wall();
      keeper.take([{ device: "ft-1", code: "disk.var", receivedAt: clock.wall(), ...more, body: { ts, ...figures } }]);
    },
    async rounds(count = 1) {
      for (let i = 0; i < count; i += 1) {
        await clock.wind(5_000);
        await keeper.round();
      }
    },
    metric(name, label) {
      const figure = Object.entries(keeper.figures()).find(([key]) => key === name)?.[1];
      if (typeof figure === "number") return figure;
      return figure?.find(({ labels }) => Object.values(labels).includes(label ?? ""))?.value ?? Number.NaN;
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
const rawOf = (store: HistoryStore, more: object = {}) =>
  store.raw({ device: "ft-1", code: "disk.var", ...ALL, ...more });
const hoursOf = (store: HistoryStore, more: object = {}) =>
  store.hours({ device: "ft-1", code: "disk.var", ...ALL, ...more });

test("samples are kept as they were, and two minutes after an hour its values stand", async () => {
  await using d = desk();
  for (const [minute, value] of [
    [1, 40],
    [10, 44],
    [50, 30],
  ] as const) {
    d.clock.setWall(NINE + minute * 60_000);
    d.tell({ free_pct: value, free_bytes: value * 1e9 });
  }
  await d.rounds();
  expect((await rawOf(d.store, { figure: "free_pct" })).map(({ value }) => value)).toEqual([40, 44, 30]);
  d.clock.setWall(NINE + 61 * 60_000);
  await d.rounds();
  expect(await hoursOf(d.store)).toEqual([]);
  d.clock.setWall(NINE + 62 * 60_000);
  await d.rounds();
  expect(await hoursOf(d.store)).toEqual([
    { ts: NINE, figure: "free_pct", mean: 38, min: 30, max: 44, last: 30, n: 3 },
    { ts: NINE, figure: "free_bytes", mean: 38e9, min: 30e9, max: 44e9, last: 30e9, n: 3 },
  ]);
});

test("what comes hours late goes to its hour, which is worked out anew; what comes twice is one", async () => {
  await using d = desk();
  d.tell({ x_pct: 10 });
  await d.rounds();
  d.clock.setWall(NINE + 5 * HOUR_MS);
  await d.rounds();
  const late = { ts: NINE + 30 * 60_000 };
  d.tell({ x_pct: 20 }, { body: late });
  d.tell({ x_pct: 20 }, { body: late });
  await d.rounds();
  d.tell({ x_pct: 20 }, { body: late });
  d.tell({ x_pct: 10 }, { body: { ts: NINE } });
  await d.rounds();
  expect(await hoursOf(d.store)).toEqual([{ ts: NINE, figure: "x_pct", mean: 15, min: 10, max: 20, last: 20, n: 2 }]);
});

test("a device's clock is believed from 31 days ago to five minutes ahead; beyond it the arrival counts", () => {
  expect(fileTime(NINE + 300_000, NINE)).toBe(NINE + 300_000);
  expect(fileTime(NINE + 300_001, NINE)).toBe(NINE);
  expect(fileTime(NINE - 31 * DAY_MS, NINE)).toBe(NINE - 31 * DAY_MS);
  expect(fileTime(NINE - 31 * DAY_MS - 1, NINE)).toBe(NINE);
  expect(fileTime(0, NINE)).toBe(NINE);
  expect(fileTime(Number.MAX_SAFE_INTEGER, NINE)).toBe(NINE);
});

test("one sample in rawEveryS is kept, whether it comes in one batch or in many", async () => {
  await using d = desk({ rawEveryS: 60 });
  for (let s = 0; s < 600; s += 10) {
    d.clock.setWall(NINE + s * 1_000);
    d.tell({ n_count: s });
    if (s % 70 === 0) await d.rounds();
  }
  await d.rounds();
  expect(await d.store.size()).toMatchObject({ recentRows: 10 });
  expect((await rawOf(d.store)).map(({ value }) => value)).toEqual([0, 60, 120, 180, 240, 300, 360, 420, 480, 540]);
});

test("samples go after rawDays, hourly values after hourlyDays, then the series itself", async () => {
  await using d = desk({ rawDays: 2, hourlyDays: 5 });
  for (let day = 0; day < 12; day += 1) {
    d.clock.setWall(NINE + day * DAY_MS);
    if (day < 5) d.tell({ x_pct: day });
    await d.rounds(2);
    d.clock.setWall(NINE + day * DAY_MS + 2 * HOUR_MS);
    await d.rounds(2);
    if (day === 4) {
      expect((await rawOf(d.store)).map(({ value }) => value)).toEqual([3, 4]);
      expect((await hoursOf(d.store)).map(({ mean }) => mean)).toEqual([0, 1, 2, 3, 4]);
    }
  }
  expect(await rawOf(d.store)).toEqual([]);
  expect(await d.store.size()).toMatchObject({ rawRows: 0, dayRows: 0, series: 0 });
  d.clock.setWall(NINE + 20 * DAY_MS);
  d.tell({ x_pct: 77 });
  await d.rounds();
  expect((await rawOf(d.store)).map(({ value }) => value)).toEqual([77]);
});

test("a late sample of an hour whose samples are deleted does not pass for the whole hour", async () => {
  await using d = desk({ rawDays: 1, hourlyDays: 100 });
  for (const minute of [0, 10, 20]) d.tell({ x_pct: minute }, { body: { ts: NINE + minute * 60_000 - HOUR_MS } });
  await d.rounds();
  d.clock.setWall(NINE + 10 * DAY_MS);
  await d.rounds(3);
  expect(await rawOf(d.store)).toEqual([]);
  d.tell({ x_pct: 999 }, { body: { ts: NINE - HOUR_MS + 30 * 60_000 } });
  await d.rounds(3);
  expect(await hoursOf(d.store)).toMatchObject([{ n: 3, max: 20 }]);
});

test("old hourly values are packed, read on, and take late samples", async () => {
  await using d = desk({ rawDays: 300 });
  for (let hour = 0; hour < 48; hour += 1)
    d.tell({ x_pct: hour }, { body: { ts: NINE - hour * HOUR_MS }, device: "ft-1" });
  await d.rounds();
  d.clock.setWall(NINE + 25 * DAY_MS);
  await d.rounds(3);
  const before = await hoursOf(d.store);
  d.clock.setWall(NINE + 60 * DAY_MS);
  await d.rounds(3);
  expect(await hoursOf(d.store)).toEqual(before);
  expect(before).toHaveLength(48);
  await fill(d.store, [{ device: "ft-1", code: "disk.var", ts: NINE + 1_000_000, figures: { x_pct: 100 } }], false);
  await d.rounds(3);
  expect((await hoursOf(d.store)).at(-1)).toMatchObject({ n: 2, max: 100 });
});

test("hostile figures: names, extremes and numbers of them are bounded, the rest is kept", async () => {
  await using d = desk({ figures: 4, rawEveryS: 1 });
  d.tell({
    big_count: 1e308,
    low_count: -1e308,
    __proto__: 3,
    "=cmd|x": 4,
    UPPER: 5,
    "": 6,
    ["x".repeat(61)]: 7,
  } as never);
  d.clock.setWall(NINE + 1_000);
  d.tell({ big_count: -1e308, low_count: -1e308 });
  for (let n = 0; n < 200; n += 1) {
    d.clock.setWall(NINE + 2_000 + n * 1_000);
    d.tell({ [`new_${n}_count`]: n, big_count: 1 });
  }
  d.clock.setWall(NINE + 2 * HOUR_MS);
  await d.rounds();
  const hours = await hoursOf(d.store);
  expect(hours.map(({ figure }) => figure)).toEqual(["big_count", "low_count", "new_0_count", "new_1_count"]);
  for (const { mean, min, max } of hours) expect([mean, min, max].every(Number.isFinite)).toBe(true);
  expect(hours[1]).toMatchObject({ mean: -1e308, n: 2 });
  expect(d.metric("vigil_history_dropped_total", "figures")).toBe(4 + 198);
  expect(await d.store.size()).toMatchObject({ series: 1, recentRows: 0, rawRows: 1, dayRows: 1 });
});

test("200 codes of 50 figures are kept and found again", async () => {
  await using d = desk();
  const figures = Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`f${n}_pct`, n]));
  for (let code = 0; code < 200; code += 1) d.tell(figures, { code: `c.n${code}` });
  d.clock.setWall(NINE + 2 * HOUR_MS);
  await d.rounds();
  expect(await d.store.size()).toMatchObject({ series: 200, dayRows: 200 });
  expect(await d.store.hours({ device: "ft-1", code: "c.n199", ...ALL, figure: "f49_pct" })).toMatchObject([
    { mean: 49 },
  ]);
});

test("pages follow each other by time and figure, and nothing is told twice or left out", async () => {
  await using d = desk({ rawEveryS: 1 });
  for (let n = 0; n < 20; n += 1)
    d.tell(
      { a_count: n, b_count: -n, ...(n % 3 === 0 && { c_count: 0 }) },
      { body: { ts: NINE + n * 700_000 - 5 * HOUR_MS } },
    );
  await d.rounds();
  for (const read of [rawOf, hoursOf]) {
    const all = await read(d.store);
    expect(all.length).toBeGreaterThan(8);
    for (const limit of [1, 2, 3, 7]) {
      const pages: { ts: number; figure: string }[] = [];
      for (
        let page = await read(d.store, { limit });
        page.length > 0;
        page = await read(d.store, { limit, after: pages.at(-1) })
      )
        pages.push(...page);
      expect(pages).toEqual(all);
    }
  }
  const some = await rawOf(d.store, { from: NINE - 5 * HOUR_MS + 700_000, to: NINE - 5 * HOUR_MS + 1_400_000 });
  expect(some.map(({ value }) => value)).toEqual([1, -1]);
});

test("over maxBytes the oldest samples go first, it is told once, and today's hours stay", async () => {
  using folder = tempFolder();
  await using d = desk({ maxBytes: 16_777_216, rawEveryS: 1 }, { file: join(folder.path, "h.db"), maxFigures: 64 });
  const figures = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`f${n}_pct`, n]));
  for (let hour = 0; hour < 200; hour += 1) {
    d.clock.setWall(NINE + hour * HOUR_MS);
    for (let n = 0; n < 8; n += 1) d.tell(figures, { code: `c.n${n}`, body: { ts: d.clock.wall() + n } });
    for (let n = 0; n < 400; n += 1) d.tell(figures, { code: `c.n${n % 8}`, body: { ts: d.clock.wall() + n * 1_000 } });
    await d.clock.wind(10_000);
    await d.rounds(2);
  }
  const size = await d.store.size();
  expect(size.bytes).toBeLessThan(16_777_216 * 1.05);
  expect(d.metric("vigil_history_removed_total", "limit")).toBeGreaterThan(10);
  expect(d.log.lines.filter(({ facts }) => facts.event === "history.limit").length).toBeGreaterThan(0);
  const raw = await d.store.raw({ device: "ft-1", code: "c.n0", figure: "f0_pct", ...ALL });
  expect(raw.length).toBeGreaterThan(0);
  expect(raw.at(-1)?.ts).toBeGreaterThan(NINE + 198 * HOUR_MS);
  const hours = await d.store.hours({ device: "ft-1", code: "c.n0", figure: "f0_pct", ...ALL });
  expect(hours.length).toBeGreaterThan(raw.length / 60);
});

test("with less room on the disk than is to be left nothing is written, and it is told once, until there is room", async () => {
  let freeBytes = 1e6;
  await using d = desk({ leaveFreeBytes: 1e9 }, {}, (store) => {
    const size = store.size.bind(store);
    store.size = async () => ({ ...(await size()), freeBytes });
    return store;
  });
  for (let i = 0; i < 3; i += 1) {
    d.tell({ x_pct: i }, { body: { ts: NINE - i * HOUR_MS } });
    await d.clock.wind(11_000);
    await d.rounds();
  }
  expect(await rawOf(d.store)).toEqual([]);
  expect(d.store.staged).toBe(1); // before it was known
  expect(d.metric("vigil_history_dropped_total", "disk")).toBe(2);
  expect(d.log.lines.map(({ facts }) => facts.event)).toEqual(["history.disk"]);
  freeBytes = 2e9;
  await d.clock.wind(11_000);
  await d.rounds();
  d.tell({ x_pct: 9 }, { body: { ts: NINE + 240_000 } });
  await d.rounds();
  expect((await rawOf(d.store)).map(({ value }) => value)).toEqual([0, 9]);
});

test("while the file is locked samples wait, it is said once, and nothing is lost when the lock goes", async () => {
  using folder = tempFolder();
  const file = join(folder.path, "h.db");
  await using d = desk({}, { file });
  const other = new DatabaseSync(file);
  other.exec("BEGIN IMMEDIATE");
  for (let n = 0; n < 5; n += 1) {
    d.tell({ x_pct: n }, { body: { ts: NINE - n * HOUR_MS } });
    if (n < 2) await d.rounds();
  }
  expect(d.log.lines.filter(({ facts }) => facts.event === "history.failed" && facts["work"] === "file")).toHaveLength(
    1,
  );
  other.exec("ROLLBACK");
  other.close();
  await d.rounds();
  expect(await rawOf(d.store)).toHaveLength(5);
});

test("what waits is bounded, and what is beyond it is counted", async () => {
  await using d = desk();
  const figures = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`f${n}_pct`, n]));
  for (let n = 0; n < 20_000; n += 1) d.tell(figures, { device: `ft-${n}` });
  const most = Math.floor(8_388_608 / (10 + 4 + 8 * 60));
  expect(d.store.staged).toBe(most);
  expect(d.metric("vigil_history_dropped_total", "waiting")).toBe(20_000 - most);
  await d.rounds(4);
  expect(d.store.staged).toBe(0);
  expect(await d.store.size()).toMatchObject({ series: most, recentRows: most });
});

test("a crash at any statement leaves whole transactions; what is told again is there once, and every hour is worked out", async () => {
  using folder = tempFolder();
  const goal = [4, 3, 2, 1].flatMap((back) => [{ ts: NINE - back * HOUR_MS, figure: "x_pct", mean: back + 0.5, n: 2 }]);
  const feed = (d: Desk) => {
    d.clock.setWall(NINE + 300_000);
    for (const back of [4, 3, 2, 1])
      for (const half of [0, 1])
        d.tell({ x_pct: back + half }, { body: { ts: NINE - back * HOUR_MS + half * 1_800_000 } });
  };
  let crashes = 0;
  for (let k = 1; ; k += 1) {
    const file = join(folder.path, `${k}.db`);
    let [statements, started] = [0, false];
    const before = () => {
      if (started) statements += 1;
      if (statements >= k) throw new Failure("STORE_BUSY", "the power is gone");
    };
    const first = desk({}, { file, before });
    started = true;
    feed(first);
    await first.rounds(2);
    const after = join(folder.path, `${k}-after.db`);
    for (const end of ["", "-wal"]) if (existsSync(file + end)) copyFileSync(file + end, after + end);
    await using second = desk({}, { file: after });
    feed(second);
    await second.rounds(2);
    expect(await hoursOf(second.store), `after a crash at statement ${k}`).toMatchObject(goal);
    expect(await second.store.size()).toMatchObject({
      series: 1,
      rawRows: 4,
      dayRows: new Set(goal.map(({ ts }) => Math.floor(ts / DAY_MS))).size,
    });
    await first[Symbol.asyncDispose]();
    if (statements < k) break;
    crashes += 1;
  }
  expect(crashes).toBeGreaterThan(30);
});

test("a damaged file is put aside and a new one begins; one of a newer version is refused", async () => {
  using folder = tempFolder();
  const file = join(folder.path, "h.db");
  writeFileSync(file, "no database at all, but long enough to be taken for a page of one".repeat(100));
  const told: string[] = [];
  await using store = openSqliteHistory({ file, putAside: (as) => told.push(as) });
  expect(told).toEqual([`${file}.damaged`]);
  expect(existsSync(`${file}.damaged`)).toBe(true);
  expect(statSync(file).mode & 0o077).toBe(0);
  await fill(store, [{ device: "ft-1", code: "c", ts: NINE, figures: { x_pct: 1 } }], false);
  expect(await store.raw({ device: "ft-1", code: "c", ...ALL })).toHaveLength(1);
  const newer = join(folder.path, "newer.db");
  const raw = new DatabaseSync(newer);
  raw.exec("PRAGMA user_version = 99");
  raw.close();
  expect(() => openSqliteHistory({ file: newer })).toThrow(/STORE_SCHEMA/);
});

test("what a round does uses an index, however long the history is", async () => {
  using folder = tempFolder();
  const file = join(folder.path, "h.db");
  const statements = new Set<string>();
  await using d = desk({}, { file, before: (text) => statements.add(text) });
  d.tell({ x_pct: 1 });
  await d.rounds();
  d.clock.setWall(NINE + 100 * DAY_MS);
  await d.rounds(2);
  await rawOf(d.store);
  await hoursOf(d.store);
  await d.store.series(0, 10);
  const raw = new DatabaseSync(file);
  const seen: string[] = [];
  for (const text of statements) {
    if (!/^\s*(SELECT|DELETE|UPDATE)/.test(text) || /tally/.test(text)) continue;
    const plan = raw.prepare(`EXPLAIN QUERY PLAN ${text}`).all() as { detail: string }[];
    seen.push(text);
    expect(
      plan.filter(({ detail }) => /^SCAN (raw|day|series|finding)\b(?!.*INDEX)/.test(detail)),
      text,
    ).toEqual([]);
  }
  expect(seen.length).toBeGreaterThan(8);
  raw.close();
});

test("a wrong setting is named by its path", () => {
  expect(HistoryConfig.safeParse({ rawDay: 3 }).error?.issues[0]?.message).toContain("rawDay");
  expect(HistoryConfig.safeParse({ rawEveryS: 0 }).error?.issues[0]?.path).toEqual(["rawEveryS"]);
});
