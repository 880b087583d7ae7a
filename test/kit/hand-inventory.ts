import type {
  InventoryChangeRow,
  InventoryFilter,
  InventoryReading,
  InventoryRow,
  PackageChoice,
} from "../../aggregator/inventory-store.ts";
import type { DeviceRow } from "../../aggregator/store.ts";
import type { InventoryDocument } from "../../protocol/inventory.ts";

/** A document with little in it; `hash` tells it from others. */
export const inventoryDocument = (own: Partial<InventoryDocument> = {}): InventoryDocument => ({
  hash: "a1".repeat(32),
  ts: Date.UTC(2026, 10, 22, 1),
  board: { vendor: "Radxa", model: "ROCK 5B", serial: "R5B-0042" },
  os: { name: "Debian GNU/Linux 12 (bookworm)", id: "debian", version: "12.11", kernel: "6.1.84", arch: "aarch64" },
  cpu: { model: "Cortex-A76", cores: 8 },
  memory_bytes: 8 * 2 ** 30,
  memory_modules: [],
  disks: [{ name: "mmcblk0", type: "emmc", model: "BJTD4R", serial: "0x1a2b3c4d", bytes: 31_268_536_320 }],
  interfaces: [{ name: "eth0", mac: "02:00:00:00:00:01", driver: "rk_gmac-dwmac", addresses: ["192.0.2.10/24"] }],
  cameras: [],
  sound: [],
  usb: [],
  serial_ports: [],
  gpio_chips: [],
  uplinks: [],
  lldp: "absent",
  packages: { libssl3: "3.0.11-1~deb12u2", zlib1g: "1:1.2.13.dfsg-1" },
  package_count: 2,
  ...own,
});

interface Rows {
  devices: readonly DeviceRow[];
  inventories: readonly InventoryRow[];
  inventoryChanges: readonly InventoryChangeRow[];
}

/** Inventories in memory, set by the test. */
export function handInventory(ask: () => Rows): InventoryReading {
  const siteOf = (device: string) => ask().devices.find(({ id }) => id === device)?.site;
  const fitting = (filter: InventoryFilter & { package?: PackageChoice | undefined }, after = "") =>
    ask()
      .inventories.toSorted((a, b) => (a.device < b.device ? -1 : 1))
      .filter(({ device }) => device > after && (filter.device ?? device) === device)
      .filter(({ device }) => filter.site === undefined || siteOf(device) === filter.site)
      .filter(({ device }) => filter.among?.includes(device) ?? true)
      .map((row) => ({ ...row, version: row.document.packages[filter.package?.name ?? ""] }))
      .filter(({ version = "" }) => filter.package?.versions.includes(version) ?? true);
  const placed = (device: string) => {
    const site = siteOf(device);
    return { device, ...(site !== undefined && { site }) };
  };
  return {
    hashes: async () => new Map(ask().inventories.map(({ device, document }) => [device, document.hash])),
    get: async (device) => ask().inventories.find((row) => row.device === device),
    list: async (filter, { after, limit }) =>
      fitting(filter, after)
        .slice(0, limit)
        .map(({ device, receivedAt, document: { packages: _, ...summary }, version }) => ({
          ...{ ...placed(device), receivedAt, summary },
          ...(version !== undefined && { version }),
        })),
    versions: async (name) => [...new Set(ask().inventories.flatMap(({ document }) => document.packages[name] ?? []))],
    packages: async (filter, { after, limit }) =>
      fitting(filter, after)
        .slice(0, limit)
        .map(({ device, version = "" }) => ({ ...placed(device), name: filter.package.name, version })),
    changes: async (device, { after, limit }) =>
      ask()
        .inventoryChanges.filter((row) => row.device === device && row.id < Number(after ?? Number.MAX_SAFE_INTEGER))
        .toSorted((a, b) => b.id - a.id)
        .slice(0, limit),
  };
}
