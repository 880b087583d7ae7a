import type { ApiInventoryCount } from "../../protocol/api-inventory.ts";
import { Failure } from "../../protocol/failure.ts";
import { isBetween } from "../../protocol/package-version.ts";
import type { InventoryFilter, PackageChoice } from "../inventory-store.ts";
import type { ClassBook } from "../registry.ts";
import type { Reading } from "../store.ts";
import type { CsvColumn } from "./csv.ts";
import {
  CHANGE_COLUMNS,
  COUNT_COLUMNS,
  INVENTORY_COLUMNS,
  inventoryChangeJson,
  inventoryDetailJson,
  inventoryJson,
  PACKAGE_COLUMNS,
  packageJson,
} from "./inventory-rows.ts";
import { MAX_LIMIT } from "./schemas.ts";

/** A list as it is asked for: pages of rows, each row's key, and how a spreadsheet shows it. */
export interface Listing<T> {
  page(after: string | undefined, limit: number): Promise<readonly T[]>;
  keyOf(row: T): string;
  columns: readonly CsvColumn<T>[];
}

interface Asked {
  device?: string | undefined;
  site?: string | undefined;
  class?: string | undefined;
}
interface Range {
  above?: string | undefined;
  below?: string | undefined;
}

/** What the API answers of inventories. */
export function inventoryAnswers(reading: Pick<Reading, "inventory" | "device">, classes: ClassBook) {
  const { inventory } = reading;
  const filterOf = ({ device, site, class: name }: Asked): InventoryFilter => ({
    ...(device !== undefined && { device }),
    ...(site !== undefined && { site }),
    ...(name !== undefined && { among: classes.devicesOf(name) }),
  });
  /** The versions in question: few, whatever the fleet. */
  const choose = async (name: string, range: Range): Promise<PackageChoice> => ({
    name,
    versions: (await inventory.versions(name)).filter((version) => isBetween(version, range)),
  });
  const { classOf } = classes;
  return {
    async devices(asked: Asked & Range & { package?: string | undefined }) {
      const choice = asked.package === undefined ? undefined : await choose(asked.package, asked);
      const filter = { ...filterOf(asked), package: choice };
      return listing(
        INVENTORY_COLUMNS,
        ({ device }) => device,
        async (page) => (await inventory.list(filter, page)).map((row) => inventoryJson(row, classOf, asked.package)),
      );
    },
    async packages(asked: Asked & Range & { name: string }) {
      const filter = { ...filterOf(asked), package: await choose(asked.name, asked) };
      return listing(
        PACKAGE_COLUMNS,
        ({ device }) => device,
        async (page) => (await inventory.packages(filter, page)).map((row) => packageJson(row, classOf)),
      );
    },
    changes: (device: string) =>
      listing(
        CHANGE_COLUMNS,
        ({ id }) => String(id),
        async (page) => (await inventory.changes(device, page)).map(inventoryChangeJson),
      ),
    async counts(asked: Asked): Promise<Listing<ApiInventoryCount>> {
      const rows = await countBy(inventory.list.bind(inventory, filterOf(asked)), classOf);
      // The key is the place in this list; it is short: as many rows as kinds of devices.
      const from = (after: string | undefined) => (after === undefined ? 0 : Number(after));
      return {
        columns: COUNT_COLUMNS,
        keyOf: (row) => String(rows.indexOf(row) + 1),
        page: async (after, limit) => rows.slice(from(after), from(after) + limit),
      };
    },
    /** Throws API_NOT_FOUND. */
    async detail(id: string) {
      const [row, device] = await Promise.all([inventory.get(id), reading.device(id)]);
      if (row === undefined) throw new Failure("API_NOT_FOUND", `no inventory of ${id}`, { facts: { id } });
      return inventoryDetailJson(row, device?.site, classOf);
    },
  };
}

function listing<T>(
  columns: readonly CsvColumn<T>[],
  keyOf: (row: T) => string,
  read: (page: { after?: string; limit: number }) => Promise<readonly T[]>,
): Listing<T> {
  return { columns, keyOf, page: (after, limit) => read({ limit, ...(after !== undefined && { after }) }) };
}

/** Every page of a listing. */
export async function* pagesOf<T>(list: Listing<T>, from?: string): AsyncGenerator<readonly T[]> {
  for (let after = from; ; ) {
    const rows = await list.page(after, MAX_LIMIT);
    yield rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < MAX_LIMIT) return;
    after = list.keyOf(last);
  }
}

/** Quantities by class, site and model, largest group of each class and site first. */
async function countBy(
  list: (page: { after?: string; limit: number }) => ReturnType<Reading["inventory"]["list"]>,
  classOf: ClassBook["classOf"],
): Promise<ApiInventoryCount[]> {
  const counts = new Map<string, ApiInventoryCount>();
  const all = listing([], ({ device }: Awaited<ReturnType<typeof list>>[number]) => device, list);
  for await (const rows of pagesOf(all)) {
    for (const row of rows) {
      const { class: name, site, vendor, model, os } = inventoryJson(row, classOf);
      const group = { class: name, site, vendor, model, os };
      const key = JSON.stringify(Object.values(group).map((word) => word ?? null));
      const known = Object.fromEntries(Object.entries(group).filter(([, word]) => word !== undefined));
      const count = counts.get(key) ?? { ...known, devices: 0 };
      counts.set(key, { ...count, devices: count.devices + 1 });
    }
  }
  const place = (row: ApiInventoryCount) => JSON.stringify([row.class ?? "", row.site ?? ""]);
  return [...counts.values()].toSorted((a, b) =>
    place(a) === place(b) ? b.devices - a.devices : place(a) < place(b) ? -1 : 1,
  );
}
