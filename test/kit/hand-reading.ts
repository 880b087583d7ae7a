import type { DailyReading, DailyRecord } from "../../aggregator/daily-store.ts";
import type { InventoryChangeRow, InventoryRow } from "../../aggregator/inventory-store.ts";
import type {
  AlarmFilter,
  AlarmRow,
  DeviceRow,
  Page,
  Reading,
  StoreCounts,
  TicketEvent,
  TicketFilter,
  TicketRow,
} from "../../aggregator/store.ts";
import { isOpen } from "../../protocol/ticket.ts";
import { handInventory } from "./hand-inventory.ts";

export const NOON = Date.UTC(2026, 10, 22, 10, 3, 22);
const BOOT = "01JD0000000000000000000000";

export const deviceRow = (own: Partial<DeviceRow> = {}): DeviceRow => ({
  id: "ft-0042",
  boot: BOOT,
  link: 1,
  online: true,
  presence: "online",
  heartbeatS: 60,
  agent: "1.0.0",
  seenAt: NOON - 4_000,
  dropped: 0,
  ...own,
});

export const alarmRow = (own: Partial<AlarmRow> = {}): AlarmRow => ({
  device: "ft-0042",
  code: "disk.var",
  active: true,
  severity: "major",
  check: "disk",
  subject: "/var",
  reason: "space",
  titleZh: "磁盘空间不足",
  titleEn: "disk almost full",
  value: 3.1,
  unit: "%",
  flapping: false,
  since: NOON - 180_000,
  boot: BOOT,
  seq: 41,
  ts: NOON - 180_000,
  receivedAt: NOON - 179_000,
  ...own,
});

export const ticketRow = (own: Partial<TicketRow> = {}): TicketRow => ({
  no: "GZ-20261122-0001",
  type: "故障",
  level: 2,
  severity: "major",
  state: "新建",
  device: "ft-0042",
  code: "disk.var",
  dedup_key: "ft-0042/disk.var",
  title_zh: "磁盘空间不足",
  title_en: "disk almost full",
  occurred_at: NOON - 180_000,
  detected_at: NOON - 179_000,
  reopened: 0,
  ts: NOON - 179_000,
  ...own,
});

export const ticketEvent = (own: Partial<TicketEvent> = {}): TicketEvent => ({
  ticket: "GZ-20261122-0001",
  id: 1,
  at: NOON - 179_000,
  actor: "aggregator",
  kind: "opened",
  data: { code: "disk.var", severity: "major", level: 2, title_zh: "磁盘空间不足", title_en: "disk almost full" },
  prevHash: "",
  hash: "ab".repeat(32),
  ...own,
});

/** A day's record as a device with one fault would have it. */
export const dailyRecord = (own: Partial<DailyRecord["head"]> = {}): DailyRecord => ({
  head: {
    ...{
      device: "ft-0042",
      date: "2026-11-22",
      boot: BOOT,
      seq: 40,
      ts: NOON - 9_000_000,
      receivedAt: NOON - 8_999_000,
    },
    ...{ critical_count: 0, major_count: 1, minor_count: 0, warning_count: 0, unknown_count: 1, ok_count: 6 },
    ...{ absent_count: 3, disabled_count: 1, cut_count: 0, alarms: 1, tickets: 1, again: 0 },
    ...own,
  },
  config: { agent: "1.0.0", config_hash: "c0ffee", packages_hash: "d00d", info: { model: "FT-9000" }, drift: [] },
  performance: [{ check: "disk", subject: "/var", readings: { free_pct: 3.1, free_bytes: 310_000_000 } }],
  faults: {
    states: [
      {
        ...{ check: "disk", name_zh: "磁盘", name_en: "disks", subject: "/var", state: "major", reason: "space" },
        ...{ title_zh: "磁盘空间不足", title_en: "disk almost full", says: "/var has 3.1 % left" },
      },
      { check: "disk", name_zh: "磁盘", name_en: "disks", subject: "/", state: "ok" },
      { check: "clock", name_zh: "时钟", name_en: "clock", state: "unknown", says: "did not answer in 5000 ms" },
      { check: "power", name_zh: "电源", name_en: "power", state: "absent" },
    ],
    alarms: [
      {
        ...{
          code: "disk.var",
          severity: "major",
          check: "disk",
          subject: "/var",
          reason: "space",
          since: NOON - 180_000,
        },
        ...{ title_zh: "磁盘空间不足", title_en: "disk almost full", ticket: "GZ-20261122-0001" },
      },
    ],
    tickets: [
      {
        ...{ no: "GZ-20261122-0001", type: "故障", level: 2, severity: "major", state: "新建", code: "disk.var" },
        ...{ title_zh: "磁盘空间不足", title_en: "disk almost full", detected_at: NOON - 179_000 },
      },
    ],
  },
});

export interface HandReading extends Reading {
  rows: {
    devices: DeviceRow[];
    alarms: AlarmRow[];
    tickets: TicketRow[];
    events: TicketEvent[];
    inventories: InventoryRow[];
    inventoryChanges: InventoryChangeRow[];
    dailies: DailyRecord[];
  };
  figures: Record<string, Record<string, Record<string, number>>>;
  /** While set, every question fails with it. */
  broken?: Error | undefined;
}

/** Rows in memory, set by the test. */
export function handReading(rows: Partial<HandReading["rows"]> = {}): HandReading {
  const reading: HandReading = {
    rows: {
      devices: [],
      alarms: [],
      tickets: [],
      events: [],
      inventories: [],
      inventoryChanges: [],
      dailies: [],
      ...rows,
    },
    figures: {},
    devices: async (page) => pageOf(ask().rows.devices, (row) => row.id, page),
    device: async (id) => ask().rows.devices.find((row) => row.id === id),
    telemetry: async (device) => ask().figures[device] ?? {},
    alarms: async (filter, page) => pageOf(ask().rows.alarms.filter(alarmFits(filter)), alarmKey, page),
    tickets: async (filter, page) => pageOf(ask().rows.tickets.filter(ticketFits(filter)), (row) => row.no, page),
    ticket: async (no) => ask().rows.tickets.find((row) => row.no === no),
    timeline: async (no) => ask().rows.events.filter((event) => event.ticket === no),
    counts: async () => countRows(ask().rows),
    inventory: handInventory(() => ask().rows),
    daily: handDaily(() => ask().rows),
  };
  const ask = () => {
    if (reading.broken !== undefined) throw reading.broken;
    return reading;
  };
  return reading;
}

/** Every device is expected on every day. */
function handDaily(ask: () => HandReading["rows"]): DailyReading {
  const on = (date: string) => ask().dailies.filter(({ head }) => head.date === date);
  return {
    sheet: async (date, { device, site }, page) => {
      const fits = ask().devices.filter((row) => (device ?? row.id) === row.id && (site ?? row.site) === row.site);
      return pageOf(fits, (row) => row.id, page).map((row) => {
        const head = on(date).find((one) => one.head.device === row.id)?.head;
        return { device: row, ...(head === undefined ? {} : { head }) };
      });
    },
    day: async (date, device) => on(date).find(({ head }) => head.device === device),
    counts: async (date) => ({ made: on(date).length, lacking: ask().devices.length - on(date).length }),
  };
}

const alarmKey = (row: AlarmRow) => `${row.device}/${row.code}`;
const alarmFits = (filter: AlarmFilter) => (row: AlarmRow) =>
  (filter.device ?? row.device) === row.device && (filter.active ?? row.active) === row.active;
const ticketFits = (filter: TicketFilter) => (row: TicketRow) =>
  (filter.device ?? row.device) === row.device &&
  (filter.state ?? row.state) === row.state &&
  (filter.open ?? isOpen(row.state)) === isOpen(row.state);

function pageOf<T>(rows: readonly T[], keyOf: (row: T) => string, { after, limit }: Page): T[] {
  const sorted = rows.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  return sorted.filter((row) => after === undefined || keyOf(row) > after).slice(0, limit);
}

function countRows(rows: HandReading["rows"]): StoreCounts {
  const counts: StoreCounts = {
    devices: { online: 0, offline: 0, silent: 0, unknown: 0 },
    alarmsActive: { warning: 0, minor: 0, major: 0, critical: 0 },
    ticketsOpen: { 1: 0, 2: 0, 3: 0, preventive: 0 },
  };
  for (const row of rows.devices) counts.devices[row.presence] += 1;
  for (const row of rows.alarms) if (row.active) counts.alarmsActive[row.severity] += 1;
  for (const row of rows.tickets) if (isOpen(row.state)) counts.ticketsOpen[row.level ?? "preventive"] += 1;
  return counts;
}
