import * as z from "zod";
import { INVENTORY_HASH_PATTERN, MOST_PARTS, PACKAGE_PATTERN, VERSION_PATTERN } from "./inventory-limits.ts";

/**
 * What a device is made of: the one document among the messages (docs/decisions/0010-documents.md). It nests, unlike
 * everything that is graphed, and is told only when it changed. Built with full zod; the agent imports its type alone.
 */
const text = (most: number) => z.string().min(1).max(most);
const words = text(200).optional();
const count = z.int().nonnegative();

const list = <T extends z.ZodType>(part: T) => z.array(part).max(MOST_PARTS);

export const InventoryDocument = z.object({
  /** SHA-256 over everything here but `hash` and `ts`: two documents with one hash say the same. Written first. */
  hash: z.string().regex(INVENTORY_HASH_PATTERN),
  /** When it was first found so, device clock, epoch ms. */
  ts: z.int(),
  board: z.object({
    vendor: words,
    model: words,
    revision: words,
    serial: words,
    firmware: words,
    board_model: words,
    board_serial: words,
    chassis_serial: words,
    asset_tag: words,
  }),
  os: z.object({ name: words, id: words, version: words, kernel: words, arch: text(40).optional() }),
  cpu: z.object({ model: words, cores: count.optional() }),
  memory_bytes: count.optional(),
  memory_modules: list(
    z.object({ slot: text(200), bytes: count.optional(), vendor: words, part: words, serial: words }),
  ),
  disks: list(
    z.object({
      name: text(64),
      type: z.enum(["hdd", "ssd", "nvme", "emmc", "sd", "usb", "virtual", "other"]),
      model: words,
      serial: words,
      firmware: words,
      bytes: count.optional(),
    }),
  ),
  interfaces: list(
    z.object({
      name: text(64),
      mac: text(64).optional(),
      driver: words,
      speed_mbps: count.optional(),
      duplex: text(20).optional(),
      addresses: z.array(text(64)).max(32).optional(),
    }),
  ),
  cameras: list(z.object({ name: text(64), card: words, driver: words, bus: words })),
  sound: list(z.object({ name: text(64), id: words, driver: words, card: words })),
  usb: list(
    z.object({
      port: text(64),
      vendor_id: text(8),
      product_id: text(8),
      vendor: words,
      product: words,
      serial: words,
      speed_mbps: z.number().nonnegative().optional(),
    }),
  ),
  serial_ports: list(z.object({ name: text(64), driver: words, bus: words })),
  gpio_chips: list(z.object({ name: text(64), label: words, lines: count.optional() })),
  /** Neighbours by LLDP or CDP: the switch ports this device hangs on. */
  uplinks: list(
    z.object({
      interface: text(64),
      protocol: text(20),
      chassis: words,
      chassis_id: words,
      port: words,
      port_description: words,
      management_address: text(64).optional(),
    }),
  ),
  /** Whether `uplinks` can be believed: `silent` nobody was heard, `failed` lldpd does not answer us, `absent` it is not installed. */
  lldp: z.enum(["heard", "silent", "failed", "absent"]),
  /** Installed packages: name → version. */
  packages: z.record(z.string().regex(PACKAGE_PATTERN), z.string().regex(VERSION_PATTERN)),
  /** How many are installed, those cut off included. */
  package_count: count,
  packages_hash: z.string().max(128).optional(),
  /** Packages left out because the document would have been too large: the last ones by name. */
  packages_cut: count.optional(),
  /** Entries left out of the other lists. */
  cut: count.optional(),
});
export type InventoryDocument = z.infer<typeof InventoryDocument>;
