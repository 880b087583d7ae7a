import type { AlarmRow, DeviceRow, TicketEvent, TicketRow } from "../store.ts";
import type { Cell, Record_ } from "./sql.ts";

/** How a row of ours lies in a table: property → column; `true` marks a boolean kept as 0 or 1. */
type Layout<T> = { readonly [K in keyof T]-?: string | readonly [string, true] };

export interface RowCodec<T> {
  /** Column names, parted by commas, in the order of `cells`. */
  columns: string;
  places: string;
  cells(row: T): Cell[];
  read(record: Record_): T;
}

export function codec<T extends object>(layout: Layout<T>): RowCodec<T> {
  const entries = Object.entries(layout) as [keyof T & string, string | readonly [string, true]][];
  const fields = entries.map(([key, column]) =>
    typeof column === "string" ? { key, column, yes: false } : { key, column: column[0], yes: true },
  );
  return {
    columns: fields.map(({ column }) => column).join(", "),
    places: fields.map(() => "?").join(", "),
    cells: (row) => fields.map(({ key }) => cell(row[key])),
    read: (record) => {
      const row: Record<string, unknown> = {};
      for (const { key, column, yes } of fields) {
        const value = record[column];
        if (value !== null && value !== undefined) row[key] = yes ? value === 1 : value;
      }
      return row as T; // the table's NOT NULL columns are the type's required keys
    },
  };
}

const cell = (value: unknown): Cell =>
  value === undefined ? null : typeof value === "boolean" ? Number(value) : (value as Cell);

/** An insert that, where the key is there already, sets every column; the row stays the same row. */
export function upsert<T>(table: string, { columns, places }: RowCodec<T>, key: readonly string[]): string {
  const set = columns.split(", ").filter((column) => !key.includes(column));
  const sets = set.map((column) => `${column} = excluded.${column}`).join(", ");
  return `INSERT INTO ${table} (${columns}) VALUES (${places}) ON CONFLICT (${key.join(", ")}) DO UPDATE SET ${sets}`;
}

type FlatDevice = Omit<DeviceRow, "info" | "acked"> & { ackedBoot?: string; ackedSeq?: number };
const flatDevice = codec<FlatDevice>({
  id: "id",
  site: "site",
  boot: "boot",
  link: "link",
  online: ["online", true],
  presence: "presence",
  heartbeatS: "heartbeat_s",
  agent: "agent",
  seenAt: "seen_at",
  stateTs: "state_ts",
  skewMs: "skew_ms",
  floorBoot: "floor_boot",
  dropped: "dropped",
  ackedBoot: "acked_boot",
  ackedSeq: "acked_seq",
});
export const deviceCodec: RowCodec<DeviceRow> = {
  ...flatDevice,
  cells: ({ acked, info: _, ...row }) =>
    flatDevice.cells({ ...row, ...(acked && { ackedBoot: acked.boot, ackedSeq: acked.seq }) }),
  read: (record) => {
    const { ackedBoot: boot, ackedSeq: seq, ...row } = flatDevice.read(record);
    return boot === undefined || seq === undefined ? row : { ...row, acked: { boot, seq } };
  },
};

export const alarmCodec = codec<AlarmRow>({
  device: "device",
  code: "code",
  active: ["active", true],
  severity: "severity",
  check: "check_id",
  subject: "subject",
  reason: "reason",
  titleZh: "title_zh",
  titleEn: "title_en",
  value: "value",
  unit: "unit",
  says: "says",
  flapping: ["flapping", true],
  explainedBy: "explained_by",
  since: "since",
  boot: "boot",
  seq: "seq",
  ts: "ts",
  receivedAt: "received_at",
  opensAt: "opens_at",
  ticket: "ticket",
  toldIn: "told_in",
  countedSince: "counted_since",
});

export const ticketCodec = codec<TicketRow>({
  no: "no",
  type: "type",
  level: "level",
  severity: "severity",
  state: "state",
  device: "device",
  site: "site",
  code: "code",
  dedup_key: "dedup_key",
  title_zh: "title_zh",
  title_en: "title_en",
  occurred_at: "occurred_at",
  detected_at: "detected_at",
  restored_at: "restored_at",
  resolved_at: "resolved_at",
  reopened: "reopened",
  flapping: ["flapping", true],
  recurrence_of: "recurrence_of",
  assignee: "assignee",
  ts: "ts",
});

type FlatEvent = Omit<TicketEvent, "data"> & { data: string };
const flatEvent = codec<FlatEvent>({
  ticket: "ticket",
  id: "id",
  at: "at",
  actor: "actor",
  kind: "kind",
  data: "data",
  prevHash: "prev_hash",
  hash: "hash",
});
export const eventCodec: RowCodec<TicketEvent> = {
  ...flatEvent,
  cells: (event) => flatEvent.cells({ ...event, data: JSON.stringify(event.data) }),
  read: (record) => {
    const event = flatEvent.read(record);
    return { ...event, data: JSON.parse(event.data) as TicketEvent["data"] };
  },
};
