import { existsSync } from "node:fs";
import { arch, networkInterfaces } from "node:os";
import type { Clock } from "../platform/clock.ts";
import { readConfig } from "../platform/config-file.ts";
import { folderAt } from "../platform/files.ts";
import type { Machine } from "../platform/machine.ts";
import { redactor } from "../platform/redact.ts";
import { runProgram } from "../platform/run.ts";
import type { InventoryDocument } from "../protocol/inventory.ts";
import { AgentConfig } from "./config.ts";
import { composeInventory, keepInventory, keptInventory, rememberNeighbours } from "./inventory/document.ts";
import { takeInventory } from "./inventory/facts.ts";
import { lookAt } from "./inventory/look.ts";
import { askNeighbours } from "./inventory/uplinks.ts";

export interface InventoryOrder {
  /** The config given by hand; without one `fallback` where it exists. */
  file: string | undefined;
  fallback: string;
  /** Write the document to the state folder: what the agent asks its child for. */
  save: boolean;
  /** Print the whole document instead of the few facts. */
  full: boolean;
  machine: Machine;
  clock: Clock;
  say(text: string): number;
}

/**
 * `vigil-agent inventory`: the short-lived child of the agent, and a command by hand. Prints one line of JSON: the facts
 * of `info`, with the hash of the document that lies in the state folder. Throws CONFIG_UNREADABLE or CONFIG_INVALID.
 */
export async function inventory({ file, fallback, save, full, machine, clock, say }: InventoryOrder): Promise<number> {
  const path = file ?? (save || existsSync(fallback) ? fallback : undefined);
  const config = path === undefined ? undefined : await readConfig(path, AgentConfig);
  const folder = save && config !== undefined ? folderAt(config.stateDir) : undefined;
  const look = lookAt(machine);
  const [heard, before] = await Promise.all([
    askNeighbours((order) => runProgram(order, clock)),
    folder && keptInventory(folder).catch(() => undefined), // a folder that cannot be read: the disk check says so
  ]);
  const document = composeInventory({
    look,
    arch: arch(),
    addresses: networkInterfaces(),
    neighbours: rememberNeighbours(heard, before, uptimeOf(machine)),
    redact: redactor(config?.secretWords ?? []),
    wall: Math.trunc(clock.wall()),
  });
  if (full) return say(`${JSON.stringify(document, undefined, 2)}\n`);
  const kept = folder === undefined || (await keeps(folder, document));
  const facts = await takeInventory(machine);
  const hashes = {
    ...(document.packages_hash !== undefined && { packages_hash: document.packages_hash }),
    ...(kept && { inventory_hash: document.hash }),
  };
  return say(`${JSON.stringify({ ...facts, ...hashes })}\n`);
}

/** Whether the state folder holds this document now; a full or read-only disk must not cost us the few facts. */
async function keeps(folder: ReturnType<typeof folderAt>, document: InventoryDocument): Promise<boolean> {
  return keepInventory(folder, document).then(
    () => true,
    () => false,
  );
}

const uptimeOf = (machine: Machine): number => {
  try {
    return Number(machine.read("/proc/uptime")?.split(" ")[0] ?? 0);
  } catch {
    return 0;
  }
};
