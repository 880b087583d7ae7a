import type { Machine } from "../../../platform/machine.ts";
import { Failure } from "../../../protocol/failure.ts";

/** A process that has a socket open. */
export interface Owner {
  inode: number;
  pid: number;
  /** Its short name, then its program's path and the last part of that. */
  names: readonly string[];
}

/** Who has these sockets open, as far as this user may see: a walk over all processes, so only for a socket that is new. */
export function ownersOf(machine: Machine, inodes: readonly number[]): Owner[] {
  const wanted = new Map(inodes.map((inode) => [`socket:[${inode}]`, inode]));
  const found: Owner[] = [];
  for (const name of machine.list("/proc")) {
    const pid = Number(name);
    if (!(pid > 0)) continue;
    const held = socketsOf(machine, pid, wanted);
    if (held.length === 0) continue;
    const names = namesOf(machine, pid);
    found.push(...held.map((inode) => ({ inode, pid, names })));
  }
  return found;
}

function socketsOf(machine: Machine, pid: number, wanted: ReadonlyMap<string, number>): number[] {
  const held = new Set<number>();
  for (const fd of orNone(() => machine.list(`/proc/${pid}/fd`)) ?? []) {
    const inode = wanted.get(orNone(() => machine.link(`/proc/${pid}/fd/${fd}`)) ?? "");
    if (inode !== undefined) held.add(inode);
    if (held.size === wanted.size) break;
  }
  return [...held];
}

function namesOf(machine: Machine, pid: number): string[] {
  const comm = orNone(() => machine.read(`/proc/${pid}/comm`))?.trimEnd() ?? "";
  const exe = orNone(() => machine.link(`/proc/${pid}/exe`))?.replace(/ \(deleted\)$/, "") ?? "";
  return [comm, exe, exe.slice(exe.lastIndexOf("/") + 1)].filter((one) => one !== "");
}

/** Another user's process, or one that has just ended. */
function orNone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}
