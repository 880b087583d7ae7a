import { deflateRawSync, inflateRawSync } from "node:zlib";
import type { ApiDailyConfig, ApiDailyFaults, ApiDailyFigures } from "../../protocol/api-daily.ts";
import { CLOSED_STATES } from "../../protocol/ticket.ts";
import type { DailyFilter, DailyHead, DailyReading, DailyRecord, DailyRow, DailyTx } from "../daily-store.ts";
import type { DeviceRow, Page } from "../store.ts";
import type { Turn } from "./reading.ts";
import { codec, ticketCodec } from "./rows.ts";
import type { Cell, Record_, Sql } from "./sql.ts";

const headCodec = codec<DailyHead>({
  ...{ device: "device", date: "date", boot: "boot", seq: "seq", ts: "ts", receivedAt: "received_at" },
  ...{ critical_count: "critical_count", major_count: "major_count", minor_count: "minor_count" },
  ...{ warning_count: "warning_count", unknown_count: "unknown_count", ok_count: "ok_count" },
  ...{ absent_count: "absent_count", disabled_count: "disabled_count", cut_count: "cut_count" },
  ...{ alarms: "alarms", tickets: "tickets", again: "again" },
});
/** States in which a ticket is of no more account although nobody resolved it. */
const VOID = CLOSED_STATES.filter((state) => state === "合并" || state === "误报").map((state) => `'${state}'`);

const pack = (document: unknown): Uint8Array => deflateRawSync(JSON.stringify(document));
function unpack(cell: Cell | undefined): unknown {
  if (!(cell instanceof Uint8Array)) return undefined;
  return JSON.parse(inflateRawSync(cell).toString("utf8"));
}

/** The writing half; `sql` throws after the end of its transaction. */
export function sqliteDailyTx(sql: () => Sql): DailyTx {
  return {
    async meet(device, date) {
      sql().run("INSERT INTO daily_since (device, date) VALUES (?, ?) ON CONFLICT DO NOTHING", device, date);
    },
    async enter({ head, config, performance, faults }) {
      const { device, date } = head;
      const entered = sql().run(
        `INSERT INTO daily_fault (${headCodec.columns}, document) VALUES (${headCodec.places}, ?) ON CONFLICT DO NOTHING`,
        ...headCodec.cells(head),
        pack(faults),
      );
      if (entered === 0) {
        sql().run("UPDATE daily_fault SET again = again + 1 WHERE device = ? AND date = ?", device, date);
        return false;
      }
      for (const [table, document] of [
        ["daily_config", config],
        ["daily_performance", performance],
      ] as const) {
        if (document === undefined) continue;
        sql().run(`INSERT INTO ${table} (device, date, document) VALUES (?, ?, ?)`, device, date, pack(document));
      }
      return true;
    },
    async info(device) {
      const text = sql().get("SELECT info FROM device_info WHERE device = ?", device)?.["info"];
      return typeof text === "string" ? JSON.parse(text) : undefined;
    },
    async ticketsOpenAt(device, at, limit) {
      return sql()
        .all(
          `SELECT ${ticketCodec.columns} FROM ticket WHERE device = ? AND detected_at <= ?
             AND (resolved_at IS NULL OR resolved_at > ?) AND state NOT IN (${VOID.join(", ")}) ORDER BY id LIMIT ?`,
          ...[device, at, at, limit],
        )
        .map((record) => ticketCodec.read(record));
    },
    async forget(date, limit) {
      const gone = ["daily_config", "daily_performance"].map((table) =>
        sql().run(
          `DELETE FROM ${table} WHERE rowid IN (SELECT rowid FROM ${table} WHERE date < ? ORDER BY date LIMIT ?)`,
          ...[date, limit],
        ),
      );
      return Math.max(...gone);
    },
  };
}

/** The reading half. */
export function sqliteDailyReading(sql: Sql, turn: Turn): DailyReading {
  return {
    sheet: (date, filter, page) => turn(() => sheet(sql, date, filter, page)),
    day: (date, device) => turn(() => day(sql, date, device)),
    counts: (date) => turn(() => counts(sql, date)),
  };
}

const HEAD = headCodec.columns
  .split(", ")
  .map((column) => `f.${column} AS f_${column}`)
  .join(", ");

function sheet(sql: Sql, date: string, { device, site }: DailyFilter, { after = "", limit }: Page): DailyRow[] {
  const where = ["d.id > ?", "(f.date IS NOT NULL OR s.date <= ?)"];
  const cells: Cell[] = [date, after, date];
  for (const [column, value] of Object.entries({ "d.id": device, "d.site": site })) {
    if (value === undefined) continue;
    where.push(`${column} = ?`);
    cells.push(value);
  }
  return sql
    .all(
      `SELECT d.id, d.site, d.presence, d.seen_at, ${HEAD} FROM device d
         LEFT JOIN daily_fault f ON f.device = d.id AND f.date = ? LEFT JOIN daily_since s ON s.device = d.id
       WHERE ${where.join(" AND ")} ORDER BY d.id LIMIT ?`,
      ...cells,
      limit,
    )
    .map(rowOf);
}

function rowOf(record: Record_): DailyRow {
  const { id, site, presence, seen_at: seenAt, ...rest } = record;
  const head = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key.slice(2), value]));
  return {
    device: {
      ...{ id: String(id), presence: presence as DeviceRow["presence"], seenAt: Number(seenAt) },
      ...(site === null || site === undefined ? {} : { site: String(site) }),
    },
    ...(head["date"] === null ? {} : { head: headCodec.read(head) }),
  };
}

function day(sql: Sql, date: string, device: string): DailyRecord | undefined {
  const record = sql.get(
    `SELECT f.*, c.document AS config, p.document AS performance FROM daily_fault f
       LEFT JOIN daily_config c ON c.device = f.device AND c.date = f.date
       LEFT JOIN daily_performance p ON p.device = f.device AND p.date = f.date
     WHERE f.device = ? AND f.date = ?`,
    ...[device, date],
  );
  if (record === undefined) return undefined;
  const config = unpack(record["config"]) as ApiDailyConfig | undefined;
  const performance = unpack(record["performance"]) as ApiDailyFigures[] | undefined;
  return {
    head: headCodec.read(record),
    faults: unpack(record["document"]) as ApiDailyFaults,
    ...(config === undefined ? {} : { config }),
    ...(performance === undefined ? {} : { performance }),
  };
}

function counts(sql: Sql, date: string): { made: number; lacking: number } {
  const made = Number(sql.get("SELECT count(*) AS n FROM daily_fault WHERE date = ?", date)?.["n"]);
  const lacking = sql.get(
    `SELECT count(*) AS n FROM daily_since s WHERE s.date <= ?1
       AND NOT EXISTS (SELECT 1 FROM daily_fault f WHERE f.device = s.device AND f.date = ?1)`,
    date,
  );
  return { made, lacking: Number(lacking?.["n"]) };
}
