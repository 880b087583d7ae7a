import { describe, expect, test } from "vitest";
import type { AlarmRow, DeviceRow, Store, Tx } from "../../aggregator/store.ts";
import { chain, type Entry, refold } from "../../aggregator/tickets/timeline.ts";

export interface StoreKind {
  name: string;
  /** A store that is empty. */
  open(): Store;
  /** The same rows after a restart; absent where nothing outlives the process. */
  reopen?(): Store;
}

const NOW = Date.UTC(2026, 10, 22, 9, 0, 0);
const figures = (json: string) => ({ figures: json, receivedAt: NOW, isLate: false });
const BOOT = "01KA0000000000000000000000";
const LATER = "01KB0000000000000000000000";

export const deviceRow = (id: string, more: Partial<DeviceRow> = {}): DeviceRow => ({
  ...{ id, link: 1, online: true, presence: "online", heartbeatS: 60, seenAt: NOW, dropped: 0 },
  ...more,
});
export const alarmRow = (device: string, code: string, more: Partial<AlarmRow> = {}): AlarmRow => ({
  ...{ device, code, active: true, severity: "major", check: "disk", subject: "/var", reason: "space" },
  ...{ titleZh: "磁盘空间不足", titleEn: "disk almost full", flapping: false, since: NOW, boot: BOOT, seq: 1 },
  ...{ ts: NOW, receivedAt: NOW },
  ...more,
});
const opening = (device: string, code: string): Entry => ({
  kind: "opened",
  data: {
    ...{ device, code, dedup_key: `${device}/${code}`, severity: "major" },
    ...{ title_zh: "磁盘", title_en: "disk", occurred_at: NOW },
  },
});
async function openTicket(tx: Tx, no: string, device: string, code: string, more: Entry[] = []): Promise<void> {
  const events = chain(no, undefined, [opening(device, code), ...more], NOW);
  const row = refold(events);
  if (row !== undefined) await tx.appendEvents(events, row);
}
const claim = (tx: Tx, seq: number, boot = BOOT, device = "ft-1") =>
  tx.claim({ device, boot, seq, receivedAt: NOW + seq, branch: "alm/disk.var", payload: "{}" });
const welcome = (store: Store, ...ids: string[]) =>
  store.transaction(async (tx) => {
    for (const id of ids) await tx.saveDevice(deviceRow(id));
  });

/** What every ticket store must do. */
export function storeContract(kind: StoreKind): void {
  describe(`store: ${kind.name}`, () => {
    test("a record is claimed once, however often it comes", async () => {
      await using store = kind.open();
      await welcome(store, "ft-1");
      const claims = await store.transaction(async (tx) => [
        await claim(tx, 1),
        await claim(tx, 1),
        await claim(tx, 1, LATER),
      ]);
      expect(claims).toEqual([true, false, true]);
      expect(await store.transaction((tx) => claim(tx, 1))).toBe(false);
    });

    test("claims behind a place are told in the order of their numbers, without those of an earlier life", async () => {
      await using store = kind.open();
      await welcome(store, "ft-1", "ft-2");
      await store.transaction(async (tx) => {
        for (const seq of [7, 3, 5]) await claim(tx, seq, LATER);
        await claim(tx, 4, BOOT);
        await claim(tx, 6, LATER, "ft-2");
      });
      const after = await store.transaction((tx) => tx.claimedAfter("ft-1", 3, BOOT, 10));
      expect(after).toEqual([
        { boot: LATER, seq: 5 },
        { boot: LATER, seq: 7 },
      ]);
    });

    test("old claims go only when their device acknowledged them", async () => {
      await using store = kind.open();
      await store.transaction(async (tx) => {
        await tx.saveDevice(deviceRow("ft-1", { acked: { boot: BOOT, seq: 2 } }));
        for (const seq of [1, 2, 3]) await claim(tx, seq);
        await claim(tx, 1, LATER);
      });
      expect(await store.transaction((tx) => tx.forgetOldClaims(NOW + 2, 10))).toBe(1);
      expect(await store.transaction((tx) => tx.forgetOldClaims(NOW + 1_000, 10))).toBe(1);
      const left = await store.transaction((tx) => tx.claimedAfter("ft-1", 0, "", 10));
      expect(left).toEqual([
        { boot: LATER, seq: 1 },
        { boot: BOOT, seq: 3 },
      ]);
    });

    test("work that throws leaves nothing behind, neither in the rows nor in what is read", async () => {
      await using store = kind.open();
      await welcome(store, "ft-1");
      const work = store.transaction(async (tx) => {
        await claim(tx, 1);
        await tx.saveAlarm(alarmRow("ft-1", "disk.var"));
        await tx.saveDevice(deviceRow("ft-2"));
        await tx.seen("ft-1", NOW + 99);
        await openTicket(tx, "GZ-20261122-0001", "ft-1", "disk.var");
        throw new Error("on purpose");
      });
      await expect(work).rejects.toThrow("on purpose");
      expect(await store.reading.alarms({}, { limit: 10 })).toEqual([]);
      expect(await store.reading.tickets({}, { limit: 10 })).toEqual([]);
      expect((await store.reading.devices({ limit: 10 })).map(({ id, seenAt }) => [id, seenAt])).toEqual([
        ["ft-1", NOW],
      ]);
      expect(await store.transaction((tx) => claim(tx, 1))).toBe(true);
    });

    test("transactions run one after the other, and a reader sees no half of one", async () => {
      await using store = kind.open();
      await welcome(store, "ft-1");
      const order: string[] = [];
      const first = store.transaction(async (tx) => {
        await tx.saveAlarm(alarmRow("ft-1", "a"));
        await new Promise((go) => setImmediate(go));
        await tx.saveAlarm(alarmRow("ft-1", "b"));
        order.push("first");
      });
      const read = store.reading.alarms({}, { limit: 10 });
      const second = store.transaction(async () => void order.push("second"));
      await Promise.all([first, second]);
      expect(order).toEqual(["first", "second"]);
      expect((await read).map(({ code }) => code)).toEqual(["a", "b"]);
    });

    test("a transaction used after its end is a fault, not a stray write", async () => {
      await using store = kind.open();
      await welcome(store, "ft-1");
      const kept = await store.transaction(async (tx) => ({ tx }));
      await expect(kept.tx.saveAlarm(alarmRow("ft-1", "a"))).rejects.toThrow();
      expect(await store.reading.alarms({}, { limit: 10 })).toEqual([]);
    });

    test("rows come back as they went, absent values absent", async () => {
      await using store = kind.open();
      const device = deviceRow("ft-1", { site: "s-1", boot: BOOT, skewMs: -12.5, acked: { boot: BOOT, seq: 4 } });
      const alarm = alarmRow("ft-1", "disk.var", { value: 3.25, unit: "pct", flapping: true, opensAt: NOW + 1 });
      await store.transaction(async (tx) => {
        await tx.saveDevice(device);
        await tx.saveInfo("ft-1", { ts: 5, boot: BOOT, agent: "1", cores: 4 });
        await tx.saveAlarm(alarm);
        await tx.saveTelemetry("ft-1", "disk.var", figures('{"ts":1,"free_pct":3.5}'), 10);
      });
      expect(await store.reading.device("ft-1")).toEqual({
        ...device,
        info: { ts: 5, boot: BOOT, agent: "1", cores: 4 },
      });
      expect(await store.reading.device("ft-2")).toBeUndefined();
      expect(await store.reading.alarms({}, { limit: 10 })).toEqual([alarm]);
      expect(await store.reading.telemetry("ft-1")).toEqual({ "disk.var": { ts: 1, free_pct: 3.5 } });
    });

    test("a sign of life is readable at once", async () => {
      await using store = kind.open();
      await welcome(store, "ft-1");
      await store.transaction((tx) => tx.seen("ft-1", NOW + 5_000, 3));
      expect(await store.reading.device("ft-1")).toMatchObject({ seenAt: NOW + 5_000, skewMs: 3 });
      expect((await store.reading.devices({ limit: 1 }))[0]).toMatchObject({ seenAt: NOW + 5_000 });
    });

    test("a dedup key has one open ticket, and the newest is found open or not", async () => {
      await using store = kind.open();
      await store.transaction((tx) => openTicket(tx, "GZ-20261122-0001", "ft-1", "disk.var"));
      const second = store.transaction((tx) => openTicket(tx, "GZ-20261122-0002", "ft-1", "disk.var"));
      await expect(second).rejects.toThrow();
      expect((await store.reading.tickets({}, { limit: 9 })).map(({ no }) => no)).toEqual(["GZ-20261122-0001"]);
      await store.transaction(async (tx) => {
        const [opened, ...rest] = chain(
          "GZ-20261122-0003",
          undefined,
          [opening("ft-2", "x"), { kind: "restored", data: {} }, { kind: "resolved", data: {} }],
          NOW,
        );
        const row = refold(opened === undefined ? [] : [opened, ...rest]);
        if (row !== undefined && opened !== undefined) await tx.appendEvents([opened, ...rest], row);
        await openTicket(tx, "GZ-20261122-0004", "ft-2", "x");
      });
      expect((await store.transaction((tx) => tx.lastTicketFor("ft-2/x")))?.no).toBe("GZ-20261122-0004");
    });

    test("ticket numbers of a day are counted without a gap", async () => {
      await using store = kind.open();
      const numbers = await store.transaction(async (tx) => [
        await tx.nextTicketNumber("20261122"),
        await tx.nextTicketNumber("20261122"),
        await tx.nextTicketNumber("20261123"),
      ]);
      expect(numbers).toEqual([1, 2, 1]);
    });

    test("alarms are due by their time, and when the clock was set back", async () => {
      await using store = kind.open();
      await welcome(store, "ft-1");
      await store.transaction(async (tx) => {
        for (const [code, opensAt] of Object.entries({ past: NOW - 1, soon: NOW + 500, absurd: NOW + 90_000 })) {
          await tx.saveAlarm(alarmRow("ft-1", code, { opensAt }));
        }
        await tx.saveAlarm(alarmRow("ft-1", "never"));
      });
      const due = await store.transaction((tx) => tx.dueAlarms(NOW, NOW + 60_000, 10));
      expect(due.map(({ code }) => code)).toEqual(["past", "absurd"]);
    });

    test("only cleared alarms are forgotten, the longest cleared first", async () => {
      await using store = kind.open();
      await welcome(store, "ft-1");
      await store.transaction(async (tx) => {
        await tx.saveAlarm(alarmRow("ft-1", "old", { active: false, receivedAt: NOW - 5 }));
        await tx.saveAlarm(alarmRow("ft-1", "older", { active: false, receivedAt: NOW - 9 }));
        await tx.saveAlarm(alarmRow("ft-1", "burning", { receivedAt: NOW - 99 }));
        expect(await tx.forgetCleared("ft-1", 1)).toBe(1);
        expect(await tx.alarmCount("ft-1")).toBe(2);
      });
      expect((await store.reading.alarms({}, { limit: 9 })).map(({ code }) => code)).toEqual(["burning", "old"]);
    });

    test("active alarms are found by their ticket and by what explains them", async () => {
      await using store = kind.open();
      await welcome(store, "ft-1", "ft-2");
      await store.transaction(async (tx) => {
        const ticket = "GZ-20261122-0001";
        await openTicket(tx, ticket, "ft-1", "disk.var");
        const save = (device: string, code: string, more: Partial<AlarmRow> = {}) =>
          tx.saveAlarm(alarmRow(device, code, { ticket, ...more }));
        await save("ft-1", "disk.var");
        await save("ft-2", "disk.var");
        await save("ft-1", "b", { explainedBy: "disk.var" });
        await save("ft-1", "a", { explainedBy: "disk.var" });
        await save("ft-1", "over", { explainedBy: "disk.var", active: false });
        await save("ft-1", "own", { explainedBy: "own" });
        await save("ft-2", "c", { explainedBy: "disk.var" });
        expect(await tx.activeOf(ticket, { device: "ft-1", code: "disk.var" })).toBe(5);
        expect(await tx.activeOf(ticket, { device: "ft-1", code: "over" })).toBe(6);
        expect(await tx.activeOf("GZ-20261122-0002", { device: "ft-1", code: "a" })).toBe(0);
        expect((await tx.consequences("ft-1", "disk.var")).map(({ code }) => code)).toEqual(["a", "b"]);
        expect(await tx.consequences("ft-1", "own")).toEqual([]);
      });
    });

    test("a device gets so many telemetry codes and no more; the known ones go on", async () => {
      await using store = kind.open();
      await welcome(store, "ft-1");
      const saved = await store.transaction(async (tx) => {
        const save = (code: string) => tx.saveTelemetry("ft-1", code, figures(`{"n":${NOW}}`), 2);
        return [await save("a"), await save("b"), await save("c"), await save("a")];
      });
      expect(saved).toEqual([true, true, false, true]);
    });

    test("late figures do not take the place of newer ones; those of the moment do, for a clock may be set back", async () => {
      await using store = kind.open();
      await welcome(store, "ft-1");
      const latest = async (ts: number, isLate: boolean) => {
        const saved = await store.transaction((tx) =>
          tx.saveTelemetry("ft-1", "a", { ...figures(`{"ts":${ts}}`), isLate }, 1),
        );
        return [saved, (await store.reading.telemetry("ft-1"))["a"]?.["ts"]];
      };
      expect(await latest(3_000, true)).toEqual([true, 3_000]);
      expect(await latest(5_000, false)).toEqual([true, 5_000]);
      expect(await latest(4_000, true)).toEqual([true, 5_000]);
      expect(await latest(6_000, true)).toEqual([true, 6_000]);
      expect(await latest(2_000, false)).toEqual([true, 2_000]);
    });

    test("lists come page by page in the order of their key", async () => {
      await using store = kind.open();
      await welcome(store, "ft-2", "ft-1", "ft-3");
      await store.transaction(async (tx) => {
        for (const device of ["ft-2", "ft-1"]) {
          for (const code of ["b", "a"]) await tx.saveAlarm(alarmRow(device, code, { active: code === "a" }));
        }
        for (let n = 9_998; n <= 10_001; n += 1) await openTicket(tx, `GZ-20261122-${n}`, "ft-1", `c${n}`);
      });
      const { reading } = store;
      expect((await reading.devices({ after: "ft-1", limit: 1 })).map(({ id }) => id)).toEqual(["ft-2"]);
      const keys = (rows: readonly AlarmRow[]) => rows.map(({ device, code }) => `${device}/${code}`);
      expect(keys(await reading.alarms({}, { limit: 3 }))).toEqual(["ft-1/a", "ft-1/b", "ft-2/a"]);
      expect(keys(await reading.alarms({}, { after: "ft-1/b", limit: 3 }))).toEqual(["ft-2/a", "ft-2/b"]);
      expect(keys(await reading.alarms({ active: true }, { limit: 9 }))).toEqual(["ft-1/a", "ft-2/a"]);
      expect(keys(await reading.alarms({ device: "ft-2", active: false }, { limit: 9 }))).toEqual(["ft-2/b"]);
      const nos = (rows: readonly { no: string }[]) => rows.map(({ no }) => no.slice(12));
      expect(nos(await reading.tickets({}, { limit: 2 }))).toEqual(["9998", "9999"]);
      expect(nos(await reading.tickets({ open: true }, { after: "GZ-20261122-9999", limit: 9 }))).toEqual([
        "10000",
        "10001",
      ]);
      expect(await reading.tickets({ open: false }, { limit: 9 })).toEqual([]);
      expect(await reading.tickets({ state: "已恢复" }, { limit: 9 })).toEqual([]);
      expect(await reading.tickets({ device: "ft-2" }, { limit: 9 })).toEqual([]);
    });

    test("what is shown on topics is remembered until it is hidden", async () => {
      await using store = kind.open();
      await store.transaction(async (tx) => {
        await openTicket(tx, "GZ-20261122-0001", "ft-1", "a");
        await openTicket(tx, "GZ-20261122-0002", "ft-1", "b");
      });
      await store.hideTickets(["GZ-20261122-0001"]);
      expect((await store.shownTickets({ limit: 9 })).map(({ no }) => no)).toEqual(["GZ-20261122-0002"]);
      expect(await store.shownTickets({ after: "GZ-20261122-0002", limit: 9 })).toEqual([]);
    });

    test("counts tell devices, alarms and open tickets apart", async () => {
      await using store = kind.open();
      await welcome(store, "ft-1");
      await store.transaction(async (tx) => {
        await tx.saveDevice(deviceRow("ft-2", { presence: "silent" }));
        await tx.saveAlarm(alarmRow("ft-1", "a"));
        await tx.saveAlarm(alarmRow("ft-1", "b", { active: false }));
        await openTicket(tx, "GZ-20261122-0001", "ft-1", "a");
        await openTicket(tx, "GZ-20261122-0002", "ft-1", "b", [
          { kind: "restored", data: {} },
          { kind: "resolved", data: {} },
        ]);
      });
      expect(await store.reading.counts()).toEqual({
        devices: { online: 1, offline: 0, silent: 1, unknown: 0 },
        alarmsActive: { warning: 0, minor: 0, major: 1, critical: 0 },
        ticketsOpen: { "1": 0, "2": 1, "3": 0, preventive: 0 },
      });
    });

    const { reopen } = kind;
    if (reopen === undefined) return;
    test("a restart finds every committed row", async () => {
      const before = kind.open();
      await welcome(before, "ft-1");
      await before.transaction(async (tx) => {
        await claim(tx, 1);
        await tx.seen("ft-1", NOW + 7);
        await openTicket(tx, "GZ-20261122-0001", "ft-1", "disk.var");
        await tx.saveAlarm(alarmRow("ft-1", "disk.var", { ticket: "GZ-20261122-0001" }));
      });
      const rows = await before.reading.alarms({}, { limit: 9 });
      const timeline = await before.reading.timeline("GZ-20261122-0001");
      await before[Symbol.asyncDispose]();
      await using after = reopen();
      expect(await after.reading.alarms({}, { limit: 9 })).toEqual(rows);
      expect(await after.reading.timeline("GZ-20261122-0001")).toEqual(timeline);
      expect((await after.reading.device("ft-1"))?.seenAt).toBe(NOW + 7);
      expect(await after.transaction((tx) => claim(tx, 1))).toBe(false);
    });
  });
}
