import * as z from "zod/mini";
import type { Keep } from "../check.ts";

const NAME = "switch.json";
const SLOT = "switch";
const MOST_BYTES = 262_144;
/** A device that makes up new names all the time must not fill our flash. */
const MOST_PORTS = 256;

const Ports = z.record(z.string(), z.array(z.string()));
const Uptimes = z.record(z.string(), z.number());

/** What must outlive a restart of the agent: which ports were seen up, and how long each device was up. */
export interface Memory {
  ports(device: string): readonly string[];
  /** Adds those of `up` that are new. Resolves when they are kept; where they cannot be, they are known until the next start. */
  notePorts(device: string, up: readonly string[]): Promise<void>;
  /** Hundredths of a second, as it was last told. */
  uptime(device: string): number | undefined;
  noteUptime(device: string, ticks: number): void;
  close(): void;
}

/** Reads what was kept; without `keep` (a round by hand) nothing outlives us. */
export async function openMemory(keep: Keep | undefined, devices: readonly string[]): Promise<Memory> {
  const bytes = await keep?.folder.read(NAME, MOST_BYTES).catch(() => undefined); // the disk check says what is wrong with it
  const slot = keep?.slot(SLOT);
  const ports = new Map(
    Object.entries(read(Ports, bytes?.toString("utf8")) ?? {}).filter(([name]) => devices.includes(name)),
  );
  const uptimes = new Map(Object.entries(read(Uptimes, slot?.read()) ?? {}).filter(([name]) => devices.includes(name)));
  return {
    ports: (device) => ports.get(device) ?? [],
    async notePorts(device, up) {
      const known = ports.get(device) ?? [];
      const fresh = up.filter((label) => !known.includes(label));
      if (fresh.length === 0) return;
      ports.set(device, [...known, ...fresh].slice(-MOST_PORTS));
      const text = JSON.stringify(Object.fromEntries(ports));
      await keep?.folder.replace(NAME, Buffer.from(text)).catch(() => {}); // a full disk is the disk check's to tell
    },
    uptime: (device) => uptimes.get(device),
    noteUptime(device, ticks) {
      uptimes.set(device, ticks);
      try {
        slot?.write(JSON.stringify(Object.fromEntries(uptimes)));
      } catch {
        // without a place in memory a restart of the device is missed only over a restart of ours
      }
    },
    close: () => slot?.close(),
  };
}

function read<T>(schema: z.ZodMiniType<T>, text: string | undefined): T | undefined {
  try {
    return text === undefined ? undefined : z.parse(schema, JSON.parse(text));
  } catch {
    return undefined; // damaged: it is learned anew
  }
}
