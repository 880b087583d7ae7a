import type { DeviceInfo } from "../../protocol/from-device.ts";
import type { DailyTx } from "../daily-store.ts";
import type { InventoryTx } from "../inventory-store.ts";
import type { AlarmRow, DeviceRow, InboxEntry, LatestFigures, TicketEvent, TicketRow, Tx } from "../store.ts";
import { sqliteDailyTx } from "./daily.ts";
import type { DeviceCache } from "./devices.ts";
import { sqliteInventoryTx } from "./inventory.ts";
import { alarmCodec, eventCodec, ticketCodec, upsert } from "./rows.ts";
import { OBSERVED } from "./schema.ts";
import type { Cell, Record_, Sql } from "./sql.ts";

const ALARM = `SELECT ${alarmCodec.columns} FROM alarm`;
const TICKET = `SELECT ${ticketCodec.columns} FROM ticket`;
const EVENT = `SELECT ${eventCodec.columns} FROM ticket_event`;
const SAVE_ALARM = upsert("alarm", alarmCodec, ["device", "code"]);
const SAVE_TICKET = upsert("ticket", ticketCodec, ["no"]);
const FIGURES = "UPDATE telemetry SET received_at = ?1, figures = ?2 WHERE device = ?3 AND code = ?4";
const LATE_FIGURES = `${FIGURES} AND NOT coalesce(figures ->> 'ts' > ?2 ->> 'ts', FALSE)`;
const SAVE_EVENT = `INSERT INTO ticket_event (${eventCodec.columns}) VALUES (${eventCodec.places})`;

/** The writing half on one SQLite connection. Statements run at once; the promises are for adapters that need them. */
export class SqliteTx implements Tx {
  readonly #connection: Sql;
  readonly #devices: DeviceCache;
  readonly inventory: InventoryTx;
  readonly daily: DailyTx;
  #ended = false;

  constructor(sql: Sql, devices: DeviceCache) {
    this.#connection = sql;
    this.#devices = devices;
    this.inventory = sqliteInventoryTx(() => this.#sql);
    this.daily = sqliteDailyTx(() => this.#sql);
  }
  end(): void {
    this.#ended = true;
  }
  get #sql(): Sql {
    if (this.#ended) throw new Error("a transaction was used after its end");
    return this.#connection;
  }

  async claim(entry: InboxEntry): Promise<boolean> {
    const { device, seq, boot, receivedAt, branch, payload } = entry;
    const changed = this.#sql.run(
      "INSERT INTO inbox (device, seq, boot, received_at, branch, payload) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
      ...[device, seq, boot, receivedAt, branch, payload],
    );
    return changed === 1;
  }
  async claimedAfter(device: string, seq: number, boot: string, limit: number) {
    const rows = this.#sql.all(
      "SELECT boot, seq FROM inbox WHERE device = ? AND seq > ? AND boot > ? ORDER BY seq, boot LIMIT ?",
      ...[device, seq, boot, limit],
    );
    return rows.map((row) => ({ boot: String(row["boot"]), seq: Number(row["seq"]) }));
  }
  async forgetClaims(device: string, seq: number): Promise<void> {
    this.#sql.run("DELETE FROM inbox WHERE device = ? AND seq <= ?", device, seq);
  }
  async forgetOldClaims(before: number, limit: number): Promise<number> {
    return this.#sql.run(
      `DELETE FROM inbox WHERE rowid IN (
         SELECT i.rowid FROM inbox i JOIN device d ON d.id = i.device
         WHERE i.received_at < ? AND i.seq <= d.acked_seq AND i.boot <= d.acked_boot ORDER BY i.received_at LIMIT ?)`,
      ...[before, limit],
    );
  }

  async device(id: string): Promise<DeviceRow | undefined> {
    return this.#devices.get(id);
  }
  async saveDevice(row: DeviceRow): Promise<void> {
    if (!this.#ended) this.#devices.save(row);
  }
  async saveInfo(device: string, info: DeviceInfo): Promise<void> {
    this.#sql.run(
      "INSERT INTO device_info (device, info) VALUES (?, ?) ON CONFLICT (device) DO UPDATE SET info = excluded.info",
      ...[device, JSON.stringify(info)],
    );
  }
  async seen(device: string, at: number, skewMs?: number): Promise<void> {
    if (!this.#ended) this.#devices.seen(device, at, skewMs);
  }
  async deviceCount(): Promise<number> {
    return this.#devices.size;
  }

  async alarm(device: string, code: string): Promise<AlarmRow | undefined> {
    return this.#alarms(`${ALARM} WHERE device = ? AND code = ?`, device, code)[0];
  }
  async saveAlarm(row: AlarmRow): Promise<void> {
    this.#sql.run(SAVE_ALARM, ...alarmCodec.cells(row));
  }
  async activeAlarms(device: string): Promise<readonly AlarmRow[]> {
    return this.#alarms(`${ALARM} WHERE device = ? AND active = 1 ORDER BY code`, device);
  }
  async activeOf(ticket: string, { device, code }: Pick<AlarmRow, "device" | "code">): Promise<number> {
    const where = "WHERE ticket = ? AND active = 1 AND (device, code) <> (?, ?)";
    return Number(this.#sql.get(`SELECT count(*) AS n FROM alarm ${where}`, ticket, device, code)?.["n"]);
  }
  async consequences(device: string, code: string): Promise<readonly AlarmRow[]> {
    const where = "WHERE device = ? AND active = 1 AND explained_by = ? AND code <> explained_by ORDER BY code";
    return this.#alarms(`${ALARM} ${where}`, device, code);
  }
  async alarmCount(device: string): Promise<number> {
    return Number(this.#sql.get("SELECT count(*) AS n FROM alarm WHERE device = ?", device)?.["n"]);
  }
  async forgetCleared(device: string, count: number): Promise<number> {
    return this.#sql.run(
      `DELETE FROM alarm WHERE device = ?1 AND code IN (
         SELECT code FROM alarm WHERE device = ?1 AND active = 0 ORDER BY received_at LIMIT ?2)`,
      ...[device, count],
    );
  }
  async dueAlarms(now: number, latest: number, limit: number): Promise<readonly AlarmRow[]> {
    return this.#alarms(
      `SELECT * FROM (${ALARM} WHERE opens_at IS NOT NULL AND opens_at <= ? ORDER BY opens_at LIMIT ?)
       UNION ALL SELECT * FROM (${ALARM} WHERE opens_at IS NOT NULL AND opens_at > ? ORDER BY opens_at LIMIT ?)`,
      ...[now, limit, latest, limit],
    );
  }

  async lastTicketFor(dedupKey: string): Promise<TicketRow | undefined> {
    return this.#tickets(`${TICKET} WHERE dedup_key = ? ORDER BY id DESC LIMIT 1`, dedupKey)[0];
  }
  async ticket(no: string): Promise<TicketRow | undefined> {
    return this.#tickets(`${TICKET} WHERE no = ?`, no)[0];
  }
  async nextTicketNumber(day: string): Promise<number> {
    const row = this.#sql.get(
      "INSERT INTO ticket_number (day, last) VALUES (?, 1) ON CONFLICT (day) DO UPDATE SET last = last + 1 RETURNING last",
      day,
    );
    return Number(row?.["last"]);
  }
  async lastEvent(ticket: string, kind?: TicketEvent["kind"]): Promise<TicketEvent | undefined> {
    const record =
      kind === undefined
        ? this.#sql.get(`${EVENT} WHERE ticket = ? ORDER BY id DESC LIMIT 1`, ticket)
        : this.#sql.get(`${EVENT} WHERE ticket = ? AND kind = ? ORDER BY id DESC LIMIT 1`, ticket, kind);
    return record && eventCodec.read(record);
  }
  async appendEvents(events: readonly TicketEvent[], fold: TicketRow): Promise<void> {
    this.#sql.run(SAVE_TICKET, ...ticketCodec.cells(fold));
    this.#sql.run("INSERT OR IGNORE INTO shown (ticket) SELECT id FROM ticket WHERE no = ?", fold.no);
    for (const event of events) this.#sql.run(SAVE_EVENT, ...eventCodec.cells(event));
  }
  async observedTickets(before: number, limit: number): Promise<readonly TicketRow[]> {
    const where = `WHERE ${OBSERVED} AND restored_at <= ? ORDER BY restored_at LIMIT ?`;
    return this.#tickets(`${TICKET} ${where}`, before, limit);
  }

  async saveTelemetry(device: string, code: string, { figures, receivedAt, isLate }: LatestFigures, maxCodes: number) {
    const known = this.#sql.run(isLate ? LATE_FIGURES : FIGURES, receivedAt, figures, device, code);
    if (known === 1) return true;
    const there = "SELECT 1 FROM telemetry WHERE device = ? AND code = ?";
    if (isLate && this.#sql.get(there, device, code) !== undefined) return true;
    if (Number(this.#sql.get("SELECT count(*) AS n FROM telemetry WHERE device = ?", device)?.["n"]) >= maxCodes) {
      return false;
    }
    this.#sql.run(
      "INSERT INTO telemetry (device, code, received_at, figures) VALUES (?, ?, ?, ?)",
      ...[device, code, receivedAt, figures],
    );
    return true;
  }

  #alarms(text: string, ...cells: Cell[]): AlarmRow[] {
    return this.#sql.all(text, ...cells).map((record: Record_) => alarmCodec.read(record));
  }
  #tickets(text: string, ...cells: Cell[]): TicketRow[] {
    return this.#sql.all(text, ...cells).map((record: Record_) => ticketCodec.read(record));
  }
}
