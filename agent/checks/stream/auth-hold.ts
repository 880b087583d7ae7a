import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import type { Clock } from "../../../platform/clock.ts";
import type { Machine } from "../../../platform/machine.ts";
import type { Slot } from "../../../platform/slot.ts";

/** An encoder locks an account after a few wrong passwords: nothing is tried again with refused ones before this. */
const HOLD_MS = 30 * 60_000;

interface Refusal {
  /** What was refused, as a hash: no secret goes into it. */
  key: string;
  /** Uptime of the machine at that moment, ms: the agent's own clock begins anew with the agent. */
  upMs: number;
}

/** Which streams have refused us, kept over a restart of the agent. */
export interface AuthHold {
  /** How long no new try may be made with what `key` stands for, ms; 0 when it may be made now. */
  leftMs(name: string, key: string): number;
  refused(name: string, key: string): void;
  /** It let us in. */
  accepted(name: string): void;
}

/** `slot` absent: remembered as long as the agent lives. */
export function authHold(slot: Slot | undefined, machine: Machine, clock: Clock): AuthHold {
  const began = { upMs: uptimeMs(machine), at: clock.now() };
  const upMs = (): number => began.upMs + clock.now() - began.at;
  const refusals = new Map(Object.entries(read(slot)));
  const keep = (): void => {
    try {
      slot?.write(JSON.stringify(Object.fromEntries(refusals)));
    } catch {
      // a full /run: it is remembered in memory; the disk check says what is wrong
    }
  };
  return {
    leftMs(name, key) {
      const refusal = refusals.get(name);
      if (refusal === undefined || refusal.key !== key) return 0;
      const ageMs = upMs() - refusal.upMs;
      // of another boot: it began just now for all we know
      if (ageMs < 0) refusal.upMs = upMs();
      return Math.max(0, HOLD_MS - Math.max(0, ageMs));
    },
    refused(name, key) {
      refusals.set(name, { key, upMs: upMs() });
      keep();
    },
    accepted(name) {
      if (refusals.delete(name)) keep();
    },
  };
}

function read(slot: Slot | undefined): Record<string, Refusal> {
  try {
    const all: unknown = JSON.parse(slot?.read() ?? "{}");
    if (typeof all !== "object" || all === null) return {};
    return Object.fromEntries(
      Object.entries(all).filter(
        ([, one]) => typeof one?.key === "string" && typeof one.upMs === "number" && Number.isFinite(one.upMs),
      ),
    );
  } catch {
    return {}; // not ours, or torn: one more try is made
  }
}

function uptimeMs(machine: Machine): number {
  try {
    return Number(machine.read("/proc/uptime")?.split(" ")[0] ?? 0) * 1_000;
  } catch {
    return 0;
  }
}

/** Stands for what is shown to a server: another address, user, or a password file written anew is another key. */
export async function credentialsKey(url: string, user: string | undefined, file: string | undefined): Promise<string> {
  const written =
    file === undefined
      ? undefined
      : await stat(file).then(
          ({ mtimeMs, size }) => [mtimeMs, size],
          () => "unreadable",
        );
  return createHash("sha256")
    .update(JSON.stringify([url, user, written]))
    .digest("hex")
    .slice(0, 32);
}
