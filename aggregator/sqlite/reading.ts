import type { DeviceInfo } from "../../protocol/from-device.ts";
import { SEVERITIES } from "../../protocol/severity.ts";
import type { AlarmFilter, DeviceRow, Page, Reading, StoreCounts, TicketFilter } from "../store.ts";
import { sqliteDailyReading } from "./daily.ts";
import type { DeviceCache } from "./devices.ts";
import { sqliteInventoryReading } from "./inventory.ts";
import { alarmCodec, deviceCodec, eventCodec, ticketCodec } from "./rows.ts";
import { OPEN } from "./schema.ts";
import type { Cell, Sql } from "./sql.ts";

/** `turn` runs its work between transactions: a reader never sees half of one. */
export type Turn = <T>(work: () => T) => Promise<T>;

/** The reading half of the store on the same connection. */
export function sqliteReading(sql: Sql, devices: DeviceCache, turn: Turn): Reading {
  const whole = (row: DeviceRow, info: Cell | undefined): DeviceRow =>
    typeof info === "string" ? { ...row, info: JSON.parse(info) as DeviceInfo } : row;
  return {
    devices: ({ after = "", limit }) =>
      turn(() =>
        sql
          .all(
            `SELECT ${deviceCodec.columns}, info FROM device LEFT JOIN device_info ON device_info.device = device.id
             WHERE id > ? ORDER BY id LIMIT ?`,
            ...[after, limit],
          )
          .map((record) => whole(devices.committed(String(record["id"])) ?? deviceCodec.read(record), record["info"])),
      ),
    device: (id) =>
      turn(() => {
        const row = devices.committed(id);
        return row && whole(row, sql.get("SELECT info FROM device_info WHERE device = ?", id)?.["info"]);
      }),
    telemetry: (device) =>
      turn(() => {
        const rows = sql.all("SELECT code, figures FROM telemetry WHERE device = ? ORDER BY code", device);
        return Object.fromEntries(rows.map((row) => [String(row["code"]), JSON.parse(String(row["figures"]))]));
      }),
    alarms: (filter, page) => turn(() => alarms(sql, filter, page)),
    tickets: (filter, page) => turn(() => tickets(sql, filter, page)),
    ticket: (no) =>
      turn(() => {
        const record = sql.get(`SELECT ${ticketCodec.columns} FROM ticket WHERE no = ?`, no);
        return record && ticketCodec.read(record);
      }),
    timeline: (no) =>
      turn(() =>
        sql
          .all(`SELECT ${eventCodec.columns} FROM ticket_event WHERE ticket = ? ORDER BY id`, no)
          .map((record) => eventCodec.read(record)),
      ),
    counts: () => turn(() => counts(sql)),
    inventory: sqliteInventoryReading(sql, turn),
    daily: sqliteDailyReading(sql, turn),
  };
}

function alarms(sql: Sql, { device, active }: AlarmFilter, { after, limit }: Page) {
  const where: string[] = [];
  const cells: Cell[] = [];
  if (device !== undefined) {
    where.push("device = ?");
    cells.push(device);
  }
  if (active !== undefined) where.push(active ? "active = 1" : "active = 0");
  if (after !== undefined) {
    const cut = after.indexOf("/");
    where.push("(device, code) > (?, ?)");
    cells.push(after.slice(0, cut), after.slice(cut + 1));
  }
  const condition = where.length === 0 ? "" : `WHERE ${where.join(" AND ")}`;
  return sql
    .all(`SELECT ${alarmCodec.columns} FROM alarm ${condition} ORDER BY device, code LIMIT ?`, ...cells, limit)
    .map((record) => alarmCodec.read(record));
}

function tickets(sql: Sql, { device, state, open }: TicketFilter, { after, limit }: Page) {
  const where: string[] = [];
  const cells: Cell[] = [];
  for (const [column, value] of Object.entries({ device, state })) {
    if (value === undefined) continue;
    where.push(`${column} = ?`);
    cells.push(value);
  }
  if (open !== undefined) where.push(open ? OPEN : `NOT (${OPEN})`);
  if (after !== undefined) {
    where.push("id > (SELECT id FROM ticket WHERE no = ?)");
    cells.push(after);
  }
  const condition = where.length === 0 ? "" : `WHERE ${where.join(" AND ")}`;
  return sql
    .all(`SELECT ${ticketCodec.columns} FROM ticket ${condition} ORDER BY id LIMIT ?`, ...cells, limit)
    .map((record) => ticketCodec.read(record));
}

function counts(sql: Sql): StoreCounts {
  const grouped = (text: string) =>
    Object.fromEntries(sql.all(text).map((row) => [String(row["key"]), Number(row["n"])]));
  const presence = grouped("SELECT presence AS key, count(*) AS n FROM device GROUP BY presence");
  const severity = grouped("SELECT severity AS key, count(*) AS n FROM alarm WHERE active = 1 GROUP BY severity");
  const level = grouped(
    `SELECT coalesce(level, CASE type WHEN '隐患' THEN 'preventive' ELSE 'none' END) AS key, count(*) AS n
     FROM ticket WHERE ${OPEN} GROUP BY key`,
  );
  const pick = <K extends string>(keys: readonly K[], from: Record<string, number>) =>
    Object.fromEntries(keys.map((key) => [key, from[key] ?? 0])) as Record<K, number>;
  return {
    devices: pick(["online", "offline", "silent", "unknown"], presence),
    alarmsActive: pick(SEVERITIES, severity),
    ticketsOpen: pick(["1", "2", "3", "preventive"], level),
  };
}
