import { machine as machineName } from "node:os";
import * as z from "zod/mini";
import type { Machine } from "../platform/machine.ts";
import type { RunProgram } from "../platform/run.ts";
import { Failure } from "../protocol/failure.ts";
import type { DeviceInfo } from "../protocol/from-device.ts";

/** What this device is: everything of `info` that does not come from the agent itself. */
export type Inventory = Omit<DeviceInfo, "ts" | "boot" | "agent" | "config_hash">;

const words = (most: number) => z.optional(z.string().check(z.minLength(1), z.maxLength(most)));
const whole = z.optional(z.int().check(z.minimum(1)));

/** The child's answer, as strict as the `info` message it becomes part of. */
export const InventoryAnswer = z.strictObject({
  hostname: words(255),
  model: words(200),
  serial: words(200),
  firmware: words(200),
  os: words(200),
  kernel: words(200),
  arch: words(40),
  cpu: words(200),
  cores: whole,
  memory_bytes: whole,
  disk_bytes: whole,
  packages_hash: words(128),
  inventory_hash: words(128),
  ip: words(64),
  mac: words(64),
}) satisfies z.ZodMiniType<Inventory>;

/** What firmware makers write where they should have written something. */
const EMPTY_WORDS = new Set([
  "",
  "-",
  "0",
  "none",
  "n/a",
  "unknown",
  "not specified",
  "default string",
  "to be filled by o.e.m.",
  "system product name",
  "system serial number",
]);

/** One line of printable text, or undefined when it says nothing. */
export function tidy(text: string | undefined, most = 200): string | undefined {
  const line = (text ?? "")
    .replaceAll(/\p{C}+/gu, " ")
    .trim()
    .slice(0, most)
    .toWellFormed()
    .trim();
  return EMPTY_WORDS.has(line.toLowerCase()) ? undefined : line;
}

/** Only what has a value: an absent one is left out, never null. */
function known(facts: { [K in keyof Inventory]: Inventory[K] | undefined }): Inventory {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}

/** The inventory by direct reads alone: cheap enough for the first birth, before the child has answered. */
export function bareInfo(machine: Machine): Inventory {
  const read = (path: string, most?: number): string | undefined => tidy(readOr(machine, path), most);
  const cpuInfo = readOr(machine, "/proc/cpuinfo") ?? "";
  const cores = cpuInfo.split("\n").filter((line) => /^processor\s*:/.test(line)).length;
  const kilobytes = Number(/^MemTotal:\s+(\d+) kB$/m.exec(readOr(machine, "/proc/meminfo") ?? "")?.[1]);
  return known({
    hostname: read("/proc/sys/kernel/hostname", 255),
    model: read("/proc/device-tree/model") ?? read("/sys/class/dmi/id/product_name"),
    serial: read("/proc/device-tree/serial-number") ?? read("/sys/class/dmi/id/product_serial"),
    os: osName(readOr(machine, "/etc/os-release") ?? ""),
    kernel: read("/proc/sys/kernel/osrelease"),
    arch: read("/proc/sys/kernel/arch", 40) ?? tidy(machineName(), 40),
    cpu: tidy(/^model name\s*:\s*(.+)$/m.exec(cpuInfo)?.[1]),
    cores: cores > 0 ? cores : undefined,
    memory_bytes: kilobytes > 0 ? kilobytes * 1024 : undefined,
  });
}

/** PRETTY_NAME of os-release, without its quotes. */
export const osName = (release: string): string | undefined =>
  tidy(
    /^PRETTY_NAME=(.*)$/m
      .exec(release)?.[1]
      ?.replaceAll(/^["']|["']$/g, "")
      .replaceAll(/\\(.)/g, "$1"),
  );

function readOr(machine: Machine, path: string): string | undefined {
  try {
    return machine.read(path);
  } catch (error) {
    if (error instanceof Failure) return undefined; // serial numbers are root's alone
    throw error;
  }
}

/** How long the child may take: its programs are slow on a small device that is busy booting. */
const DEADLINE_MS = 60_000;
const OUTPUT_CAP_BYTES = 65_536;

/**
 * Asks the child: `argv` starts this agent with the word `inventory`, which prints one line of JSON. Rejects with the
 * RUN_ failures of `run`, or MESSAGE_INVALID when the answer is not an inventory.
 */
export async function runInventory(run: RunProgram, argv: readonly [string, ...string[]]): Promise<Inventory> {
  const printed = await run({ argv, deadlineMs: DEADLINE_MS, outputCapBytes: OUTPUT_CAP_BYTES });
  const answer = z.safeParse(InventoryAnswer, parseJson(printed));
  if (answer.success) return known(answer.data);
  throw new Failure("MESSAGE_INVALID", "the inventory child's answer is not an inventory", {
    facts: { bytes: printed.length },
    cause: answer.error,
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
