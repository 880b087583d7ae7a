import * as z from "zod";
import { InventoryDocument } from "./inventory.ts";
import { ID_PATTERN } from "./topics.ts";

/** What the HTTP API answers of inventories; see api.ts for its habits. */
const id = z.string().regex(ID_PATTERN);
const ms = z.int();
const words = z.string().optional();
const count = z.int().nonnegative();

const place = { device: id, site: words, class: words };

/** One device in the list: the long lists of its document as counts, or in one line. */
export const ApiInventory = z.object({
  ...place,
  received_at: ms,
  hash: z.string(),
  vendor: words,
  model: words,
  revision: words,
  serial: words,
  board_serial: words,
  firmware: words,
  os: words,
  os_version: words,
  kernel: words,
  arch: words,
  cpu: words,
  cores: count.optional(),
  memory_bytes: count.optional(),
  disk_bytes: count.optional(),
  disks: words.describe("model and serial number of each"),
  macs: words,
  cameras: count,
  sound: count,
  usb: count,
  serial_ports: count,
  uplink: words.describe("switch and port by LLDP"),
  lldp: z.string().describe("silent: nobody heard; failed: lldpd does not answer; absent: not installed"),
  package_count: count,
  packages_cut: count.optional().describe("packages that did not fit into the document: not found by name"),
  package: words.describe("the package asked for"),
  version: words.describe("of the package asked for"),
});
export type ApiInventory = z.infer<typeof ApiInventory>;

export const ApiInventoryDetail = z.object({ ...place, received_at: ms, ...InventoryDocument.shape });
export type ApiInventoryDetail = z.infer<typeof ApiInventoryDetail>;

/** How many devices there are of one class, site and model. */
export const ApiInventoryCount = z.object({
  site: words,
  class: words,
  vendor: words,
  model: words,
  os: words,
  devices: count,
});
export type ApiInventoryCount = z.infer<typeof ApiInventoryCount>;

export const ApiPackage = z.object({ ...place, name: z.string(), version: z.string() });
export type ApiPackage = z.infer<typeof ApiPackage>;

export const ApiInventoryChange = z.object({
  id: z.int(),
  device: id,
  at: ms,
  kind: z.enum(["first", "appeared", "vanished", "changed"]),
  part: z.string().describe("package, disk, interface, os …"),
  item: z.string(),
  was: words,
  is: words,
});
export type ApiInventoryChange = z.infer<typeof ApiInventoryChange>;
