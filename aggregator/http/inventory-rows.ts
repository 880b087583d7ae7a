import type {
  ApiInventory,
  ApiInventoryChange,
  ApiInventoryCount,
  ApiInventoryDetail,
  ApiPackage,
} from "../../protocol/api-inventory.ts";
import type { InstalledPackage, InventoryChangeRow, InventoryRow, InventorySummary } from "../inventory-store.ts";
import type { CsvColumn } from "./csv.ts";
import { present } from "./rows.ts";

/** The store's inventory rows as the API answers them, and as a spreadsheet shows them. */
type ClassOf = (device: string) => string | undefined;

export function inventoryJson(row: InventorySummary, classOf: ClassOf, name?: string): ApiInventory {
  const { board, os, cpu, disks, interfaces, uplinks, ...document } = row.summary;
  const bytes = disks.reduce((sum, disk) => sum + (disk.bytes ?? 0), 0);
  return present({
    device: row.device,
    site: row.site,
    class: classOf(row.device),
    received_at: row.receivedAt,
    hash: document.hash,
    vendor: board.vendor,
    model: board.model,
    revision: board.revision,
    serial: board.serial,
    board_serial: board.board_serial,
    firmware: board.firmware,
    os: os.name,
    os_version: os.version,
    kernel: os.kernel,
    arch: os.arch,
    cpu: cpu.model,
    cores: cpu.cores,
    memory_bytes: document.memory_bytes,
    disk_bytes: bytes > 0 ? bytes : undefined,
    disks: listed(disks.map(({ name: disk, model, serial }) => [disk, model, serial && `S/N ${serial}`])),
    macs: listed(interfaces.map(({ name: net, mac }) => [mac && net, mac])),
    cameras: document.cameras.length,
    sound: document.sound.length,
    usb: document.usb.length,
    serial_ports: document.serial_ports.length,
    uplink: listed(
      uplinks.map(({ chassis, chassis_id, port, port_description }) => [
        chassis ?? chassis_id,
        port_description ?? port,
      ]),
    ),
    lldp: document.lldp,
    package_count: document.package_count,
    packages_cut: document.packages_cut,
    package: row.version === undefined ? undefined : name,
    version: row.version,
  });
}

/** `sda SanDisk S/N 42; sdb …`, undefined where there is nothing. */
function listed(things: readonly (readonly (string | undefined)[])[]): string | undefined {
  const lines = things.map((words) => words.filter(Boolean).join(" ")).filter(Boolean);
  return lines.length === 0 ? undefined : lines.join("; ");
}

export const inventoryDetailJson = (
  row: InventoryRow,
  site: string | undefined,
  classOf: ClassOf,
): ApiInventoryDetail =>
  present({ device: row.device, site, class: classOf(row.device), received_at: row.receivedAt, ...row.document });

export const packageJson = (row: InstalledPackage, classOf: ClassOf): ApiPackage =>
  present({ device: row.device, site: row.site, class: classOf(row.device), name: row.name, version: row.version });

export const inventoryChangeJson = (row: InventoryChangeRow): ApiInventoryChange =>
  present({ ...row, was: row.was, is: row.is });

const times = new Intl.DateTimeFormat("sv-SE", {
  ...{ timeZone: "UTC", year: "numeric", month: "2-digit", day: "2-digit" },
  ...{ hour: "2-digit", minute: "2-digit", second: "2-digit" },
});
/** `2026-11-22 09:03:22Z`, which every spreadsheet can sort. */
const utc = (at: number): string => `${times.format(at)}Z`;

const column = <T>(key: keyof T & string, zh: string): CsvColumn<T> => ({
  ...{ en: key, zh },
  cell: (row) => {
    const value = row[key];
    return typeof value === "string" || typeof value === "number" ? value : undefined;
  },
});
const timed = <T>(key: keyof T & string, zh: string): CsvColumn<T> => ({
  ...{ en: key, zh },
  cell: (row) => {
    const value = row[key];
    return typeof value === "number" ? utc(value) : undefined;
  },
});

export const INVENTORY_COLUMNS: readonly CsvColumn<ApiInventory>[] = [
  column("device", "设备"),
  column("site", "站点"),
  column("class", "类别"),
  column("vendor", "厂商"),
  column("model", "型号"),
  column("revision", "修订"),
  column("serial", "序列号"),
  column("board_serial", "主板序列号"),
  column("firmware", "固件"),
  column("os", "操作系统"),
  column("os_version", "系统版本"),
  column("kernel", "内核"),
  column("arch", "架构"),
  column("cpu", "处理器"),
  column("cores", "核数"),
  column("memory_bytes", "内存（字节）"),
  column("disk_bytes", "磁盘容量（字节）"),
  column("disks", "磁盘"),
  column("macs", "网卡"),
  column("cameras", "视频设备数"),
  column("sound", "声卡数"),
  column("usb", "USB 设备数"),
  column("serial_ports", "串口数"),
  column("uplink", "上联端口"),
  column("lldp", "LLDP"),
  column("package_count", "软件包数"),
  column("package", "软件包"),
  column("version", "版本"),
  timed("received_at", "上报时间（UTC）"),
];
export const PACKAGE_COLUMNS: readonly CsvColumn<ApiPackage>[] = [
  column("device", "设备"),
  column("site", "站点"),
  column("class", "类别"),
  column("name", "软件包"),
  column("version", "版本"),
];
export const COUNT_COLUMNS: readonly CsvColumn<ApiInventoryCount>[] = [
  column("class", "类别"),
  column("site", "站点"),
  column("vendor", "厂商"),
  column("model", "型号"),
  column("os", "操作系统"),
  column("devices", "数量"),
];
export const CHANGE_COLUMNS: readonly CsvColumn<ApiInventoryChange>[] = [
  timed("at", "时间（UTC）"),
  column("device", "设备"),
  column("kind", "变化"),
  column("part", "类目"),
  column("item", "名称"),
  column("was", "原"),
  column("is", "现"),
];
