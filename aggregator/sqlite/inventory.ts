import type { InventoryDocument } from "../../protocol/inventory.ts";
import type {
  InstalledPackage,
  InventoryChange,
  InventoryChangeRow,
  InventoryFilter,
  InventoryReading,
  InventoryRow,
  InventorySummary,
  InventorySummaryDocument,
  InventoryTx,
  PackageChoice,
} from "../inventory-store.ts";
import type { Page } from "../store.ts";
import type { Turn } from "./reading.ts";
import type { Cell, Record_, Sql } from "./sql.ts";

/** Changes kept of one device: a faulty one must not fill the disk before its years are over. */
const MOST_CHANGES = 20_000;
const CHANGE = "id, device, at, kind, part, item, was, is_now";

type Packages = Readonly<Record<string, string>>;

/** The writing half; `sql` throws after the end of its transaction. */
export function sqliteInventoryTx(sql: () => Sql): InventoryTx {
  return {
    async get(device) {
      return rowOf(sql(), device);
    },
    async save({ device, receivedAt, document }, before, changes) {
      const { packages, ...summary } = document;
      sql().run(
        `INSERT INTO inventory (device, hash, received_at, summary, packages) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (device) DO UPDATE SET hash = excluded.hash, received_at = excluded.received_at,
           summary = excluded.summary, packages = excluded.packages`,
        ...[device, document.hash, receivedAt, JSON.stringify(summary), JSON.stringify(packages)],
      );
      exchange(sql(), device, before?.document.packages ?? {}, packages);
      note(sql(), device, receivedAt, changes);
    },
    async forgetChanges(before, limit) {
      return sql().run(
        "DELETE FROM inventory_change WHERE id IN (SELECT id FROM inventory_change WHERE at < ? ORDER BY at LIMIT ?)",
        ...[before, limit],
      );
    },
  };
}

/** Only the rows that differ: an upgrade of one package writes two rows, whatever the device has installed. */
function exchange(sql: Sql, device: string, before: Packages, now: Packages): void {
  const old = new Map(Object.entries(before));
  for (const [name, version] of Object.entries(now)) {
    if (old.get(name) === version) {
      old.delete(name);
      continue;
    }
    sql.run("INSERT INTO package (name, version) VALUES (?, ?) ON CONFLICT DO NOTHING", name, version);
    sql.run(
      "INSERT INTO installed (package, device) SELECT id, ? FROM package WHERE name = ? AND version = ? ON CONFLICT DO NOTHING",
      ...[device, name, version],
    );
  }
  for (const [name, version] of old) {
    const id = sql.get("SELECT id FROM package WHERE name = ? AND version = ?", name, version)?.["id"] ?? null;
    sql.run("DELETE FROM installed WHERE package = ? AND device = ?", id, device);
    sql.run("DELETE FROM package WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM installed WHERE package = ?1)", id);
  }
}

function note(sql: Sql, device: string, at: number, changes: readonly InventoryChange[]): void {
  for (const { kind, part, item, was, is } of changes) {
    sql.run(
      "INSERT INTO inventory_change (device, at, kind, part, item, was, is_now) VALUES (?, ?, ?, ?, ?, ?, ?)",
      ...[device, at, kind, part, item, was ?? null, is ?? null],
    );
  }
  if (changes.length === 0) return;
  sql.run(
    `DELETE FROM inventory_change WHERE device = ?1 AND id <=
       (SELECT id FROM inventory_change WHERE device = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`,
    ...[device, MOST_CHANGES],
  );
}

/** The reading half; `turn` runs its work between transactions. */
export function sqliteInventoryReading(sql: Sql, turn: Turn): InventoryReading {
  return {
    hashes: () =>
      turn(
        () =>
          new Map(sql.all("SELECT device, hash FROM inventory").map((row) => [text(row, "device"), text(row, "hash")])),
      ),
    get: (device) => turn(() => rowOf(sql, device)),
    list: (filter, page) => turn(() => list(sql, filter, page)),
    versions: (name) =>
      turn(() => sql.all("SELECT version FROM package WHERE name = ?", name).map((row) => text(row, "version"))),
    packages: (filter, page) => turn(() => installed(sql, filter, page)),
    changes: (device, { after, limit }) =>
      turn(() => {
        const from = after === undefined ? Number.MAX_SAFE_INTEGER : Number(after);
        return sql
          .all(
            `SELECT ${CHANGE} FROM inventory_change WHERE device = ? AND id < ? ORDER BY id DESC LIMIT ?`,
            ...[device, from, limit],
          )
          .map(changeOf);
      }),
  };
}

const text = (record: Record_, column: string): string => String(record[column]);

function rowOf(sql: Sql, device: string): InventoryRow | undefined {
  const record = sql.get("SELECT received_at, summary, packages FROM inventory WHERE device = ?", device);
  if (record === undefined) return undefined;
  const summary = JSON.parse(text(record, "summary")) as InventorySummaryDocument;
  const document: InventoryDocument = { ...summary, packages: JSON.parse(text(record, "packages")) };
  return { device, receivedAt: Number(record["received_at"]), document };
}

/** The conditions of a filter on a device's id (`column`) and its row in `device`. */
function conditions({ device, site, among }: InventoryFilter, column: string): { where: string[]; cells: Cell[] } {
  const asked: [string, Cell | undefined][] = [
    [`${column} = ?`, device],
    ["device.site = ?", site],
    [`${column} IN (SELECT value FROM json_each(?))`, among && JSON.stringify(among)],
  ];
  const given = asked.flatMap(([condition, cell]) => (cell === undefined ? [] : [{ condition, cell }]));
  return { where: given.map(({ condition }) => condition), cells: given.map(({ cell }) => cell) };
}

const CHOSEN = "package.name = ? AND package.version IN (SELECT value FROM json_each(?))";

function list(
  sql: Sql,
  { package: choice, ...filter }: InventoryFilter & { package?: PackageChoice | undefined },
  { after, limit }: Page,
): InventorySummary[] {
  const { where, cells } = conditions(filter, "inventory.device");
  const chosen = choice === undefined ? [] : [choice.name, JSON.stringify(choice.versions)];
  const joined =
    choice === undefined
      ? ""
      : "JOIN installed ON installed.device = inventory.device JOIN package ON package.id = installed.package";
  const all = [
    ...(choice === undefined ? [] : [CHOSEN]),
    ...where,
    ...(after === undefined ? [] : ["inventory.device > ?"]),
  ];
  const records = sql.all(
    `SELECT inventory.device, received_at, summary, device.site${choice === undefined ? "" : ", package.version"}
     FROM inventory JOIN device ON device.id = inventory.device ${joined}
     ${all.length === 0 ? "" : `WHERE ${all.join(" AND ")}`} ORDER BY inventory.device LIMIT ?`,
    ...[...chosen, ...cells, ...(after === undefined ? [] : [after]), limit],
  );
  return records.map((record) => ({
    device: text(record, "device"),
    receivedAt: Number(record["received_at"]),
    summary: JSON.parse(text(record, "summary")) as InventorySummaryDocument,
    ...(typeof record["site"] === "string" && { site: record["site"] }),
    ...(typeof record["version"] === "string" && { version: record["version"] }),
  }));
}

function installed(
  sql: Sql,
  { package: { name, versions }, ...filter }: InventoryFilter & { package: PackageChoice },
  { after, limit }: Page,
): InstalledPackage[] {
  const { where, cells } = conditions(filter, "installed.device");
  const all = [CHOSEN, ...where, ...(after === undefined ? [] : ["installed.device > ?"])];
  const records = sql.all(
    `SELECT installed.device, device.site, package.version
     FROM package JOIN installed ON installed.package = package.id JOIN device ON device.id = installed.device
     WHERE ${all.join(" AND ")} ORDER BY installed.device LIMIT ?`,
    ...[name, JSON.stringify(versions), ...cells, ...(after === undefined ? [] : [after]), limit],
  );
  return records.map((record) => ({
    ...{ device: text(record, "device"), name, version: text(record, "version") },
    ...(typeof record["site"] === "string" && { site: record["site"] }),
  }));
}

const changeOf = (record: Record_): InventoryChangeRow => ({
  ...{ id: Number(record["id"]), device: text(record, "device"), at: Number(record["at"]) },
  ...{
    kind: text(record, "kind") as InventoryChangeRow["kind"],
    part: text(record, "part"),
    item: text(record, "item"),
  },
  ...(typeof record["was"] === "string" && { was: record["was"] }),
  ...(typeof record["is_now"] === "string" && { is: record["is_now"] }),
});
