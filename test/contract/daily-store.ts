import { describe, expect, test } from "vitest";
import type { DailyRecord } from "../../aggregator/daily-store.ts";
import type { Store, Tx } from "../../aggregator/store.ts";
import { chain, refold } from "../../aggregator/tickets/timeline.ts";
import { dailyRecord } from "../kit/hand-reading.ts";
import { deviceRow, type StoreKind } from "./store.ts";

const NOW = Date.UTC(2026, 10, 22, 9, 0, 0);

async function welcome(store: Store, ...ids: string[]): Promise<void> {
  await store.transaction(async (tx) => {
    for (const id of ids) {
      await tx.saveDevice(deviceRow(id, id === "ft-2" ? { site: "s-1" } : {}));
      await tx.daily.meet(id, "2026-11-20");
    }
  });
}
const enter = (store: Store, ...heads: Partial<DailyRecord["head"]>[]): Promise<boolean[]> =>
  store.transaction(async (tx) => {
    const entered: boolean[] = [];
    for (const head of heads) entered.push(await tx.daily.enter(dailyRecord({ device: "ft-1", ...head })));
    return entered;
  });
const devicesOf = async (
  store: Store,
  date: string,
  filter = {},
  page: { after?: string; limit: number } = { limit: 9 },
) => (await store.reading.daily.sheet(date, filter, page)).map(({ device, head }) => [device.id, head?.seq]);

async function ticket(
  tx: Tx,
  no: string,
  opened: number,
  more: { state?: "resolved"; at?: number } = {},
): Promise<void> {
  const data = {
    ...{ device: "ft-1", code: no.slice(-4), dedup_key: `ft-1/${no.slice(-4)}`, severity: "major" },
    ...{ title_zh: "磁盘", title_en: "disk", occurred_at: opened },
  };
  const first = chain(no, undefined, [{ kind: "opened", data }], opened);
  const then =
    more.at === undefined
      ? []
      : chain(
          no,
          first.at(-1),
          [
            { kind: "restored", data: {} },
            { kind: "resolved", data: {} },
          ],
          more.at,
        );
  const row = refold([...first, ...then]);
  if (row !== undefined) await tx.appendEvents([...first, ...then], row);
}

/** What every ticket store must do with the daily checks. */
export function dailyStoreContract(kind: StoreKind): void {
  describe(`daily checks in a store: ${kind.name}`, () => {
    test("a day comes back as it went, its three families apart", async () => {
      await using store = kind.open();
      await welcome(store, "ft-1");
      const record = dailyRecord({ device: "ft-1" });
      expect(await store.transaction((tx) => tx.daily.enter(record))).toBe(true);
      expect(await store.reading.daily.day("2026-11-22", "ft-1")).toEqual(record);
      expect(await store.reading.daily.day("2026-11-21", "ft-1")).toBeUndefined();
      expect(await store.reading.daily.day("2026-11-22", "nobody")).toBeUndefined();
    });

    test("the first record of a day stands; the others are counted and change nothing", async () => {
      await using store = kind.open();
      await welcome(store, "ft-1");
      expect(await enter(store, { seq: 7 }, { seq: 3, major_count: 0 }, { seq: 9 })).toEqual([true, false, false]);
      const record = await store.reading.daily.day("2026-11-22", "ft-1");
      expect(record?.head).toMatchObject({ seq: 7, major_count: 1, again: 2 });
      expect(record).toEqual(dailyRecord({ device: "ft-1", seq: 7, again: 2 }));
    });

    test("a sheet lists those that were made and those expected, by id, page by page, by site and device", async () => {
      await using store = kind.open();
      await welcome(store, "ft-3", "ft-1", "ft-2");
      await store.transaction(async (tx) => {
        await tx.saveDevice(deviceRow("new"));
        await tx.daily.meet("new", "2026-11-23");
        await tx.daily.meet("ft-1", "2026-12-24"); // the first word stands
      });
      await enter(store, { seq: 5 });
      expect(await devicesOf(store, "2026-11-22")).toEqual([
        ["ft-1", 5],
        ["ft-2", undefined],
        ["ft-3", undefined],
      ]);
      expect(await devicesOf(store, "2026-11-22", {}, { limit: 1, after: "ft-1" })).toEqual([["ft-2", undefined]]);
      expect(await devicesOf(store, "2026-11-22", { site: "s-1" })).toEqual([["ft-2", undefined]]);
      expect(await devicesOf(store, "2026-11-22", { device: "ft-3" })).toEqual([["ft-3", undefined]]);
      expect(await devicesOf(store, "2026-11-19")).toEqual([]);
      expect((await devicesOf(store, "2026-11-23")).map(([id]) => id)).toEqual(["ft-1", "ft-2", "ft-3", "new"]);
      const [row] = await store.reading.daily.sheet("2026-11-22", { device: "ft-2" }, { limit: 1 });
      expect(row).toEqual({ device: { id: "ft-2", site: "s-1", presence: "online", seenAt: NOW } });
      expect(await store.reading.daily.counts("2026-11-22")).toEqual({ made: 1, lacking: 2 });
      expect(await store.reading.daily.counts("2026-11-23")).toEqual({ made: 0, lacking: 4 });
    });

    test("configuration and performance data go with their years, fault data stay for ever", async () => {
      await using store = kind.open();
      await welcome(store, "ft-1");
      await enter(store, { date: "2023-11-20" }, { date: "2023-11-21" }, { date: "2026-11-22" });
      expect(await store.transaction((tx) => tx.daily.forget("2023-11-22", 1))).toBe(1);
      expect(await store.transaction((tx) => tx.daily.forget("2023-11-22", 9))).toBe(1);
      expect(await store.transaction((tx) => tx.daily.forget("2023-11-22", 9))).toBe(0);
      const { head, faults } = dailyRecord({ device: "ft-1", date: "2023-11-20" });
      expect(await store.reading.daily.day("2023-11-20", "ft-1")).toEqual({ head, faults });
      expect(await store.reading.daily.day("2026-11-22", "ft-1")).toHaveProperty("performance");
    });

    test("tells the tickets of a device that were open at a moment, also of one long past", async () => {
      await using store = kind.open();
      await welcome(store, "ft-1");
      await store.transaction(async (tx) => {
        await ticket(tx, "GZ-20261120-0001", NOW - 200, { at: NOW - 100 });
        await ticket(tx, "GZ-20261120-0002", NOW - 150);
        await ticket(tx, "GZ-20261120-0003", NOW + 50);
      });
      const at = async (moment: number) =>
        (await store.transaction((tx) => tx.daily.ticketsOpenAt("ft-1", moment, 9))).map(({ no }) => no.slice(-1));
      expect(await at(NOW - 300)).toEqual([]);
      expect(await at(NOW - 120)).toEqual(["1", "2"]);
      expect(await at(NOW)).toEqual(["2"]);
      expect(await at(NOW + 60)).toEqual(["2", "3"]);
      expect(await store.transaction((tx) => tx.daily.ticketsOpenAt("ft-1", NOW + 60, 1))).toHaveLength(1);
    });

    test("work that throws leaves no day behind", async () => {
      await using store = kind.open();
      await welcome(store, "ft-1");
      const work = store.transaction(async (tx) => {
        await tx.daily.enter(dailyRecord({ device: "ft-1" }));
        throw new Error("on purpose");
      });
      await expect(work).rejects.toThrow("on purpose");
      expect(await store.reading.daily.day("2026-11-22", "ft-1")).toBeUndefined();
      expect(await enter(store, {})).toEqual([true]);
    });

    const { reopen } = kind;
    if (reopen === undefined) return;
    test("a restart finds every day", async () => {
      const before = kind.open();
      await welcome(before, "ft-1");
      await enter(before, {});
      await before[Symbol.asyncDispose]();
      await using after = reopen();
      expect(await after.reading.daily.day("2026-11-22", "ft-1")).toEqual(dailyRecord({ device: "ft-1" }));
      expect(await after.reading.daily.counts("2026-11-22")).toEqual({ made: 1, lacking: 0 });
    });
  });
}
