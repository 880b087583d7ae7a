import type { NetworkInterfaceInfo } from "node:os";
import type { InventoryDocument } from "../../protocol/inventory.ts";
import { osName, tidy } from "../inventory.ts";
import { known, type Look } from "./look.ts";
import { parseMemoryModule } from "./smbios.ts";

type Board = InventoryDocument["board"];
type Disk = InventoryDocument["disks"][number];
type Interface = InventoryDocument["interfaces"][number];
/** Addresses by interface, as `os.networkInterfaces` tells them. */
export type Addresses = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

const DMI = "/sys/class/dmi/id";
const TREE = "/proc/device-tree";

/** The board by its device tree where it has one, else by its firmware (SMBIOS); serial numbers there are root's alone. */
export function readBoard(look: Look): Board {
  const dmi = (name: string) => look.text(`${DMI}/${name}`);
  const firmware = [dmi("bios_vendor"), dmi("bios_version"), dmi("bios_date")].filter((word) => word !== undefined);
  return known({
    vendor: dmi("sys_vendor"),
    model: look.text(`${TREE}/model`) ?? dmi("product_name"),
    revision: dmi("product_version") ?? cpuinfo(look, "Revision"),
    serial: look.text(`${TREE}/serial-number`) ?? dmi("product_serial") ?? cpuinfo(look, "Serial"),
    firmware: tidy(firmware.join(" ")),
    board_model: dmi("board_name"),
    board_serial: dmi("board_serial"),
    chassis_serial: dmi("chassis_serial"),
    asset_tag: dmi("chassis_asset_tag"),
  });
}

/** A field of /proc/cpuinfo: boards with an ARM core name themselves at its end. */
const cpuinfo = (look: Look, field: string): string | undefined =>
  tidy(new RegExp(`^${field}\\s*:\\s*(.+)$`, "m").exec(look.large("/proc/cpuinfo") ?? "")?.[1]);

export function readCpu(look: Look): InventoryDocument["cpu"] {
  const cores = (look.large("/proc/cpuinfo") ?? "").match(/^processor\s*:/gm)?.length;
  return known({ model: cpuinfo(look, "model name") ?? cpuinfo(look, "Hardware"), cores });
}

export function readMemoryBytes(look: Look): number | undefined {
  const kilobytes = Number(/^MemTotal:\s+(\d+) kB$/m.exec(look.large("/proc/meminfo") ?? "")?.[1]);
  return kilobytes > 0 ? kilobytes * 1024 : undefined;
}

/** Memory modules with their serial numbers; the kernel shows them to root alone. */
export const readMemoryModules = (look: Look): InventoryDocument["memory_modules"] =>
  look.names("/sys/firmware/dmi/entries").flatMap((name) => {
    const raw = name.startsWith("17-") ? look.bytes(`/sys/firmware/dmi/entries/${name}/raw`) : undefined;
    const module = raw && parseMemoryModule(raw);
    return module === undefined ? [] : [module];
  });

export function readOs(look: Look, arch: string | undefined): InventoryDocument["os"] {
  const release = look.large("/etc/os-release") ?? look.large("/usr/lib/os-release") ?? "";
  const field = (key: string) =>
    tidy(new RegExp(`^${key}=(.*)$`, "m").exec(release)?.[1]?.replaceAll(/^["']|["']$/g, ""));
  return known({
    name: osName(release),
    id: field("ID"),
    version: look.text("/etc/debian_version") ?? field("VERSION_ID"),
    kernel: look.text("/proc/sys/kernel/osrelease"),
    arch: look.text("/proc/sys/kernel/arch", 40) ?? arch,
  });
}

/** Not hardware, or part of a disk that is listed: loop devices, memory, mappings, the boot areas of an eMMC. */
const NO_DISK = /^(loop|ram|zram|dm-|md|nbd|sr|fd|mtdblock)\d+$|^mmcblk\d+(boot\d+|rpmb|gp\d+)$/;
const SECTOR = 512; // what /sys/block/…/size counts, whatever the disk's own sectors are

export function readDisks(look: Look): Disk[] {
  return look.names("/sys/block").flatMap((name) => {
    const at = `/sys/block/${name}`;
    if (NO_DISK.test(name) || look.link(`${at}/device`) === undefined) return [];
    const sectors = look.whole(`${at}/size`, 1);
    const udev = udevOf(look, look.text(`${at}/dev`, 20));
    return [
      known({
        name,
        type: diskType(look, name),
        model: look.text(`${at}/device/model`) ?? look.text(`${at}/device/name`) ?? udev("ID_MODEL"),
        serial: diskSerial(look, at) ?? udev("ID_SERIAL_SHORT"),
        firmware: look.text(`${at}/device/firmware_rev`) ?? look.text(`${at}/device/fwrev`) ?? udev("ID_REVISION"),
        bytes: sectors === undefined ? undefined : sectors * SECTOR,
      }),
    ];
  });
}

function diskSerial(look: Look, at: string): string | undefined {
  const own = look.text(`${at}/device/serial`) ?? look.text(`${at}/serial`);
  if (own !== undefined) return own;
  const page = look.bytes(`${at}/device/vpd_pg80`); // SCSI SPC-4 §7.8.16: unit serial number after a header of four bytes
  return page === undefined ? undefined : tidy(page.subarray(4).toString("latin1"));
}

/** What udev has asked the disk: serial numbers of ATA disks that the kernel itself does not show. */
function udevOf(look: Look, dev: string | undefined): (key: string) => string | undefined {
  const lines = dev === undefined ? [] : (look.large(`/run/udev/data/b${dev}`) ?? "").split("\n");
  return (key) => tidy(lines.find((line) => line.startsWith(`E:${key}=`))?.slice(key.length + 3));
}

function diskType(look: Look, name: string): Disk["type"] {
  const place = look.link(`/sys/block/${name}`) ?? "";
  if (name.startsWith("nvme")) return "nvme";
  if (name.startsWith("mmcblk")) return look.text(`/sys/block/${name}/device/type`) === "SD" ? "sd" : "emmc";
  if (/^(vd|xvd)/.test(name) || place.includes("/virtio")) return "virtual";
  if (/\/usb\d+\//.test(place)) return "usb";
  const rotates = look.whole(`/sys/block/${name}/queue/rotational`);
  return rotates === undefined ? "other" : rotates === 1 ? "hdd" : "ssd";
}

/** Interfaces with hardware behind them, and bonds, bridges and VLANs made of those; not the passing ones of containers. */
export function readInterfaces(look: Look, addresses: Addresses): Interface[] {
  const passing = passingAddresses(look);
  return look.names("/sys/class/net").flatMap((name) => {
    const at = `/sys/class/net/${name}`;
    const real = look.link(`${at}/device`) !== undefined;
    const made = ["bonding/mode", "bridge/bridge_id"].some((file) => look.text(`${at}/${file}`) !== undefined);
    const vlan = look.text(`/proc/net/vlan/${name}`) !== undefined;
    if (!real && !made && !vlan) return [];
    const own = (addresses[name] ?? [])
      .filter(({ address, family }) => family === "IPv4" || !(/^fe80:/i.test(address) || passing.has(address)))
      .map(({ cidr, address }) => cidr ?? address)
      .toSorted()
      .slice(0, 32);
    return [
      known({
        name,
        mac: look.text(`${at}/address`, 64),
        driver: look.linked(`${at}/device/driver`),
        speed_mbps: look.whole(`${at}/speed`, 1),
        duplex: duplexOf(look.text(`${at}/duplex`, 20)),
        addresses: own.length === 0 ? undefined : own,
      }),
    ];
  });
}

const duplexOf = (word: string | undefined): string | undefined => (word === "unknown" ? undefined : word);

/** IPv6 addresses that the kernel makes anew each day (RFC 8981): they would make every day's inventory a new one. */
function passingAddresses(look: Look): Set<string> {
  const TEMPORARY = 0x01;
  const lines = (look.large("/proc/net/if_inet6") ?? "").split("\n").map((line) => line.trim().split(/\s+/));
  return new Set(
    lines
      .filter(([, , , , flags = "0"]) => (Number.parseInt(flags, 16) & TEMPORARY) !== 0)
      .map(([digits = ""]) => shortened(digits)),
  );
}

/** 32 hex digits as Node writes an address. */
function shortened(digits: string): string {
  const groups = (digits.match(/.{4}/g) ?? []).join(":");
  return URL.parse(`http://[${groups}]/`)?.hostname.slice(1, -1) ?? digits;
}
