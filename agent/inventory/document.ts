import { createHash } from "node:crypto";
import type { Folder } from "../../platform/files.ts";
import type { Redact } from "../../platform/redact.ts";
import type { InventoryDocument } from "../../protocol/inventory.ts";
import { MAX_INVENTORY_BYTES, MOST_PARTS } from "../../protocol/inventory-limits.ts";
import {
  type Addresses,
  readBoard,
  readCpu,
  readDisks,
  readInterfaces,
  readMemoryBytes,
  readMemoryModules,
  readOs,
} from "./hardware.ts";
import { known, type Look } from "./look.ts";
import { packagesHash, readPackages } from "./packages.ts";
import { parseSound, readCameras, readGpioChips, readSerialPorts, readUsb } from "./peripherals.ts";
import type { Neighbours } from "./uplinks.ts";

/** The document's file in the state folder: written by the short-lived child, published by the agent as it is. */
export const INVENTORY_FILE = "inventory.json";

export interface Found {
  look: Look;
  /** What Node calls this machine, where the kernel does not say. */
  arch: string | undefined;
  addresses: Addresses;
  neighbours: Neighbours;
  redact: Redact;
  /** Epoch ms. */
  wall: number;
}

type Body = Omit<InventoryDocument, "hash" | "ts">;

/** Everything that can be learnt of this machine by reading, as one document within its bounds. */
export function composeInventory({ look, arch, addresses, neighbours, redact, wall }: Found): InventoryDocument {
  const packages = readPackages(look);
  const whole: Body = known({
    board: readBoard(look),
    os: readOs(look, arch),
    cpu: readCpu(look),
    memory_bytes: readMemoryBytes(look),
    memory_modules: readMemoryModules(look),
    disks: readDisks(look),
    interfaces: readInterfaces(look, addresses),
    cameras: readCameras(look),
    sound: parseSound(look.large("/proc/asound/cards") ?? ""),
    usb: readUsb(look),
    serial_ports: readSerialPorts(look),
    gpio_chips: readGpioChips(look),
    uplinks: neighbours.uplinks,
    lldp: neighbours.lldp,
    packages: {},
    package_count: packages.size,
    packages_hash: packagesHash(packages),
  });
  return sealed(withPackages(withoutSecrets(withinLists(whole), redact), packages), wall);
}

const sealed = (body: Body, ts: number): InventoryDocument => ({ hash: hashOf(body), ts, ...body });
const hashOf = (body: Body): string => createHash("sha256").update(JSON.stringify(body)).digest("hex");

/** No list longer than the protocol takes. */
function withinLists(body: Body): Body {
  let cut = 0;
  const entries = Object.entries(body).map(([key, value]) => {
    if (!Array.isArray(value) || value.length <= MOST_PARTS) return [key, value];
    cut += value.length - MOST_PARTS;
    return [key, value.slice(0, MOST_PARTS)];
  });
  return { ...(Object.fromEntries(entries) as Body), ...(cut > 0 && { cut }) };
}

/** Texts that somebody else chose: a phone on USB carries its owner's name, a switch port that of whoever sits behind it. */
const FREE_TEXT = new Set(["vendor", "product", "card", "chassis", "port_description", "label", "asset_tag"]);

function withoutSecrets(body: Body, redact: Redact): Body {
  return JSON.parse(
    JSON.stringify(body, (key, value: unknown) =>
      typeof value === "string" && FREE_TEXT.has(key) ? redact(value).slice(0, 200) || "***" : value,
    ),
  ) as Body;
}

/** So many packages, by name, as there is room for; the others are counted. Room is kept for hash, time and that count. */
function withPackages(body: Body, packages: ReadonlyMap<string, string>): Body {
  let room = MAX_INVENTORY_BYTES - Buffer.byteLength(JSON.stringify(body)) - 200;
  const sorted = [...packages].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const fitting = sorted.filter(([name, version]) => {
    room -= Buffer.byteLength(JSON.stringify(name)) + Buffer.byteLength(JSON.stringify(version)) + 2;
    return room >= 0;
  });
  const missing = sorted.length - fitting.length;
  return { ...body, packages: Object.fromEntries(fitting), ...(missing > 0 && { packages_cut: missing }) };
}

/** The document kept from last time, undefined when there is none or it is damaged. Never rejects for a file that is bad. */
export async function keptInventory(folder: Pick<Folder, "read">): Promise<InventoryDocument | undefined> {
  const text = (await folder.read(INVENTORY_FILE, MAX_INVENTORY_BYTES + 1))?.toString("utf8");
  try {
    const { hash, ts, ...body } = JSON.parse(text ?? "") as InventoryDocument; // ours alone: what the hash proves is what we wrote
    return hashOf(body) === hash ? { hash, ts, ...body } : undefined;
  } catch {
    return undefined;
  }
}

/** Puts the document in place of the one before, at once, unless that says the same. Throws the system's error. */
export async function keepInventory(
  folder: Pick<Folder, "read" | "replace">,
  document: InventoryDocument,
): Promise<void> {
  if ((await keptInventory(folder))?.hash === document.hash) return;
  await folder.replace(INVENTORY_FILE, Buffer.from(JSON.stringify(document)));
}

/** LLDP speaks every 30 s (IEEE 802.1AB §9.2.5.7): so soon after the start a silent line proves nothing. */
const EARLY_S = 300;

/** What was heard before counts on while lldpd has had no time to hear anything. */
export function rememberNeighbours(now: Neighbours, before: Neighbours | undefined, uptimeS: number): Neighbours {
  const early = now.lldp === "silent" && uptimeS < EARLY_S && before?.lldp === "heard";
  return early ? { uplinks: before.uplinks, lldp: before.lldp } : now;
}
