import type { InventoryDocument } from "../../protocol/inventory.ts";
import type { InventoryChange } from "../inventory-store.ts";

/** More changes than this at once are a new system: the rest is one line. */
const MOST_CHANGES = 2_000;
const MOST_TEXT = 300;

/**
 * What appeared, vanished or became another between two documents of a device; without one before, a single `first`.
 * Addresses and speeds come and go: they are no change of what the device is. Pure.
 */
export function changesBetween(before: InventoryDocument | undefined, now: InventoryDocument): InventoryChange[] {
  if (before === undefined) return [{ kind: "first", part: "inventory", item: "inventory" }];
  const [old, fresh] = [identities(before), identities(now)];
  const changes: InventoryChange[] = [];
  for (const [part, item] of keysOf(old, fresh)) {
    const [was, is] = [old.get(part)?.get(item), fresh.get(part)?.get(item)];
    if (was === is || isCutOff(part, was, is, before, now)) continue;
    const kind = was === undefined ? "appeared" : is === undefined ? "vanished" : "changed";
    changes.push({ kind, part, item, ...(was !== undefined && { was }), ...(is !== undefined && { is }) });
  }
  if (changes.length <= MOST_CHANGES) return changes;
  const rest = changes.length - MOST_CHANGES + 1;
  return [
    ...changes.slice(0, MOST_CHANGES - 1),
    { kind: "changed", part: "inventory", item: "more", is: `${rest} further changes` },
  ];
}

/** Whether packages may only have fallen behind, or come out of, the end of a list that was cut for its size. */
const isCutOff = (
  part: string,
  was: string | undefined,
  is: string | undefined,
  before: InventoryDocument,
  now: InventoryDocument,
): boolean =>
  part === "package" &&
  ((was === undefined && before.packages_cut !== undefined) || (is === undefined && now.packages_cut !== undefined));

type Identities = Map<string, Map<string, string>>;

function* keysOf(old: Identities, fresh: Identities): Generator<[string, string]> {
  for (const part of new Set([...old.keys(), ...fresh.keys()])) {
    const items = new Set([...(old.get(part)?.keys() ?? []), ...(fresh.get(part)?.keys() ?? [])]);
    for (const item of [...items].toSorted()) yield [part, item];
  }
}

const words = (...parts: (string | number | undefined)[]): string =>
  parts
    .filter((part) => part !== undefined && part !== "")
    .join(" ")
    .slice(0, MOST_TEXT);

/** Each thing of a document by part and name, as one line that is another when the thing is another. */
function identities(document: InventoryDocument): Identities {
  const { board, os, cpu, packages } = document;
  const named = <T>(list: readonly T[], key: (one: T) => string, value: (one: T) => string) =>
    new Map(list.map((one) => [key(one), value(one)]));
  const facts = (group: object) =>
    new Map(Object.entries(group).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]])));
  return new Map([
    ["board", facts(board)],
    ["os", facts(os)],
    ["cpu", facts(cpu)],
    ["memory", facts({ bytes: document.memory_bytes })],
    ["memory module", named(document.memory_modules, byOf("slot"), (m) => words(m.bytes, m.vendor, m.part, m.serial))],
    ["disk", named(document.disks, byOf("name"), (d) => words(d.model, d.serial, d.firmware, d.bytes))],
    ["interface", named(document.interfaces, byOf("name"), (net) => words(net.mac, net.driver))],
    ["camera", named(document.cameras, byOf("name"), (one) => words(one.card, one.driver, one.bus))],
    ["sound", named(document.sound, byOf("name"), (one) => words(one.id, one.driver, one.card))],
    [
      "usb",
      named(document.usb, byOf("port"), (u) => words(`${u.vendor_id}:${u.product_id}`, u.vendor, u.product, u.serial)),
    ],
    ["serial port", named(document.serial_ports, byOf("name"), (one) => words(one.driver, one.bus))],
    ["gpio", named(document.gpio_chips, byOf("name"), (one) => words(one.label, one.lines))],
    [
      "uplink",
      named(
        document.uplinks,
        (one) => `${one.interface} ${one.protocol}`,
        (one) => words(one.chassis, one.chassis_id, one.port, one.port_description),
      ),
    ],
    ["package", new Map(Object.entries(packages))],
  ]);
}

const byOf =
  <K extends string>(key: K) =>
  (one: Readonly<Record<K, string>>): string =>
    one[key];
