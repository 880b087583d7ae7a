import type { ApiInventoryChange } from "../protocol/api-inventory.ts";
import { Failure } from "../protocol/failure.ts";
import type { Api } from "./client.ts";
import type { Look } from "./look.ts";
import { showInventories, showInventory, showInventoryChanges, showInventoryCounts } from "./show-inventory.ts";

export interface InventoryOptions {
  device?: string;
  site?: string;
  class?: string;
  package?: string;
  below?: string;
  above?: string;
  count?: boolean;
  csv?: boolean;
}
interface InventoryDesk {
  look: Look;
  json: boolean;
  api(): Promise<Api>;
  out(text: string): void;
  print(value: unknown, text: () => string): void;
}

/** `vigil inventory`: a list, one device with everything, or quantities. */
export async function inventory(desk: InventoryDesk, options: InventoryOptions): Promise<void> {
  const { device, site, class: name, package: of, below, above, count = false, csv = false } = options;
  if (of === undefined && (below ?? above) !== undefined)
    throw new Failure("ARGUMENT_INVALID", "--below and --above need --package");
  if (csv && desk.json) throw new Failure("ARGUMENT_INVALID", "either --csv or --json");
  const api = await desk.api();
  const { look } = desk;
  const place = { site, class: name };
  if (count) {
    if (csv) return desk.out(await api.csv("/api/v1/inventory/counts", { ...place, lang: look.lang }));
    const rows = await api.inventoryCounts(place);
    return desk.print(rows, () => showInventoryCounts(look, rows));
  }
  const asked = { ...place, device, package: of, below, above };
  if (csv) return desk.out(await api.csv("/api/v1/inventory", { ...asked, lang: look.lang }));
  if (device !== undefined && of === undefined) {
    const found = await api.inventory(device);
    return desk.print(found, () => showInventory(look, found));
  }
  const rows = await api.inventories(asked);
  desk.print(rows, () => showInventories(look, rows));
}

/** `vigil inventory history ID`. */
export async function inventoryHistory(desk: InventoryDesk, { csv }: InventoryOptions, id: string): Promise<void> {
  const api = await desk.api();
  const { look } = desk;
  if (csv === true) {
    const path = `/api/v1/devices/${encodeURIComponent(id)}/inventory/history`;
    return desk.out(await api.csv(path, { lang: look.lang }));
  }
  const rows: ApiInventoryChange[] = await api.inventoryHistory(id);
  desk.print(rows, () => showInventoryChanges(look, rows));
}
