import type {
  ApiInventory,
  ApiInventoryChange,
  ApiInventoryCount,
  ApiInventoryDetail,
} from "../protocol/api-inventory.ts";
import { bytes, type Look, localTime } from "./look.ts";
import { heading, none, pairs } from "./show.ts";
import { type CellLike, line, table } from "./table.ts";
import type { Lang } from "./words.ts";

/** Inventories for a person's eyes; every function returns whole lines. */
const W = {
  device: ["设备", "device"],
  site: ["站点", "site"],
  class: ["类别", "class"],
  model: ["型号", "model"],
  serial: ["序列号", "serial"],
  os: ["操作系统", "os"],
  kernel: ["内核", "kernel"],
  packages: ["软件包", "packages"],
  version: ["版本", "version"],
  uplink: ["上联端口", "uplink"],
  devices: ["数量", "devices"],
  vendor: ["厂商", "vendor"],
  at: ["时间", "at"],
  kind: ["变化", "change"],
  part: ["类目", "part"],
  item: ["名称", "item"],
  was: ["原", "was"],
  is: ["现", "is"],
  received: ["上报时间", "received"],
  board: ["整机与主板", "board"],
  system: ["系统", "system"],
  memory: ["内存条", "memory modules"],
  disks: ["磁盘", "disks"],
  interfaces: ["网卡", "interfaces"],
  cameras: ["视频设备", "cameras"],
  sound: ["声卡", "sound"],
  usb: ["USB 设备", "USB devices"],
  ports: ["串口", "serial ports"],
  gpio: ["GPIO", "GPIO"],
  uplinks: ["上联（LLDP/CDP）", "uplinks (LLDP/CDP)"],
  cut: ["因报文大小未列出的软件包", "packages left out for the size of the message"],
} as const;
const KINDS: Readonly<Record<ApiInventoryChange["kind"], readonly [zh: string, en: string]>> = {
  first: ["首次上报", "first heard"],
  appeared: ["新增", "appeared"],
  vanished: ["消失", "vanished"],
  changed: ["变更", "changed"],
};
/** Why no neighbour is listed. */
const LLDP: Readonly<Record<string, readonly [zh: string, en: string]>> = {
  silent: ["lldpd 未收到邻居报文", "lldpd heard nobody"],
  failed: ["lldpd 无应答或无权访问", "lldpd does not answer us"],
  absent: ["未安装 lldpd", "lldpd is not installed"],
};

/** Facts of a board and its system, and what of a document changed, as they are called in Chinese. */
const NAMES_ZH: Readonly<Record<string, string>> = {
  ...{ vendor: "厂商", model: "型号", revision: "修订", serial: "序列号", firmware: "固件", board_model: "主板型号" },
  ...{ board_serial: "主板序列号", chassis_serial: "机箱序列号", asset_tag: "资产标签", name: "名称", id: "标识" },
  ...{ version: "版本", kernel: "内核", arch: "架构", cpu: "处理器", memory: "内存", cores: "核数", bytes: "字节数" },
  ...{
    inventory: "资产清单",
    more: "其余",
    board: "整机",
    os: "操作系统",
    "memory module": "内存条",
    disk: "磁盘",
    interface: "网卡",
  },
  ...{
    camera: "视频设备",
    sound: "声卡",
    usb: "USB",
    "serial port": "串口",
    gpio: "GPIO",
    uplink: "上联",
    package: "软件包",
  },
};
/** The name of a fact; what has no other name keeps its own. */
export const factName = (lang: Lang, name: string): string =>
  lang === "zh" && Object.hasOwn(NAMES_ZH, name) ? (NAMES_ZH[name] ?? name) : name;

const say = (lang: Lang, [zh, en]: readonly [string, string]): string => (lang === "zh" ? zh : en);
const columns = ({ lang }: Look, names: readonly (keyof typeof W | "")[], right: readonly string[] = []) =>
  names.map((name) => ({ name: name === "" ? "" : say(lang, W[name]), right: right.includes(name) }));
const strong = (text: string): CellLike => ({ text, tone: "strong" });

const named = (lang: Lang, facts: Readonly<Record<string, string | undefined>>): [string, CellLike][] =>
  Object.entries(facts).map(([key, value]) => [factName(lang, key), value ?? ""]);

export function showInventories(look: Look, rows: readonly ApiInventory[]): string {
  if (rows.length === 0) return none(look);
  const cells = rows.map((row): CellLike[] => [
    strong(row.device),
    row.site ?? "",
    row.class ?? "",
    row.model ?? "",
    row.serial ?? row.board_serial ?? "",
    row.os ?? "",
    row.kernel ?? "",
    row.package === undefined ? String(row.package_count) : row.package,
    row.version ?? "",
    row.uplink ?? "",
  ]);
  const names = [
    "device",
    "site",
    "class",
    "model",
    "serial",
    "os",
    "kernel",
    "packages",
    "version",
    "uplink",
  ] as const;
  return table(look, columns(look, names), cells);
}

export function showInventoryCounts(look: Look, rows: readonly ApiInventoryCount[]): string {
  if (rows.length === 0) return none(look);
  const cells = rows.map((row): CellLike[] => [
    ...[row.class ?? "", row.site ?? "", row.vendor ?? "", row.model ?? "", row.os ?? ""],
    strong(String(row.devices)),
  ]);
  return table(look, columns(look, ["class", "site", "vendor", "model", "os", "devices"], ["devices"]), cells);
}

/** Parts whose items are facts, and no names of things. */
const OWN_ITEMS = new Set(["inventory", "board", "os", "cpu", "memory"]);

export function showInventoryChanges(look: Look, rows: readonly ApiInventoryChange[]): string {
  if (rows.length === 0) return none(look);
  const cells = rows.map(({ at, kind, part, item, was, is }): CellLike[] => [
    { text: localTime(look, at), tone: "quiet" },
    say(look.lang, KINDS[kind]),
    factName(look.lang, part),
    strong(OWN_ITEMS.has(part) ? factName(look.lang, item) : item),
    was ?? "",
    is ?? "",
  ]);
  return table(look, columns(look, ["at", "kind", "part", "item", "was", "is"]), cells);
}

export function showInventory(look: Look, found: ApiInventoryDetail): string {
  const { lang } = look;
  const { board, os, cpu } = found;
  const size = (count: number | undefined) => (count === undefined ? "" : bytes(count));
  const lines = (rows: readonly (readonly (string | number | undefined)[])[]): string =>
    rows
      .map(
        (words) =>
          `  ${line(
            look,
            words.map((word) => String(word ?? "")),
          )}\n`,
      )
      .join("");
  const section = (name: keyof typeof W, rows: readonly (readonly (string | number | undefined)[])[]): string =>
    rows.length === 0 ? "" : heading(look, say(lang, W[name])) + lines(rows);
  const silence = LLDP[found.lldp];
  const quiet = found.uplinks.length === 0 && silence !== undefined ? [[say(lang, silence)]] : [];
  return [
    `${line(look, [strong(found.device), found.site ?? "", found.class ?? ""])}\n`,
    pairs(look, [[say(lang, W.received), localTime(look, found.received_at)]]),
    heading(look, say(lang, W.board)),
    pairs(look, named(lang, board)),
    heading(look, say(lang, W.system)),
    pairs(look, [
      ...named(lang, os),
      [factName(lang, "cpu"), [cpu.model, cpu.cores && `× ${cpu.cores}`].filter(Boolean).join(" ")],
      [factName(lang, "memory"), size(found.memory_bytes)],
    ]),
    section(
      "memory",
      found.memory_modules.map((m) => [m.slot, size(m.bytes), m.vendor, m.part, m.serial && `S/N ${m.serial}`]),
    ),
    section(
      "disks",
      found.disks.map((d) => [d.name, d.type, size(d.bytes), d.model, d.firmware, d.serial && `S/N ${d.serial}`]),
    ),
    section(
      "interfaces",
      found.interfaces.map((net) => [
        ...[net.name, net.mac, net.driver, net.speed_mbps && `${net.speed_mbps} Mbit/s`],
        ...(net.addresses ?? []),
      ]),
    ),
    section(
      "cameras",
      found.cameras.map((one) => [one.name, one.card, one.driver, one.bus]),
    ),
    section(
      "sound",
      found.sound.map((one) => [one.name, one.id, one.driver, one.card]),
    ),
    section(
      "usb",
      found.usb.map((u) => [
        u.port,
        `${u.vendor_id}:${u.product_id}`,
        u.vendor,
        u.product,
        u.serial && `S/N ${u.serial}`,
      ]),
    ),
    section(
      "ports",
      found.serial_ports.map((one) => [one.name, one.driver, one.bus]),
    ),
    section(
      "gpio",
      found.gpio_chips.map((one) => [one.name, one.label, one.lines]),
    ),
    section("uplinks", [
      ...found.uplinks.map((u) => [
        ...[u.interface, u.protocol, u.chassis, u.chassis_id, u.port, u.port_description, u.management_address],
      ]),
      ...quiet,
    ]),
    heading(look, `${say(lang, W.packages)} (${found.package_count})`),
    lines(Object.entries(found.packages)),
    found.packages_cut === undefined ? "" : lines([[`… ${found.packages_cut} ${say(lang, W.cut)}`]]),
  ].join("");
}
