import type { Machine } from "../../../platform/machine.ts";
import { commandMatches, nameOf } from "./stat.ts";
import { findUnit, systemdRoot, unitPids } from "./units.ts";

/** Which processes a watch means: all that are given must fit. */
export interface Sought {
  unit?: string | undefined;
  exe?: string | undefined;
  command?: string | readonly string[] | undefined;
}

export type Found = { pids: readonly number[] } | { because: string };

/** Whether `pid` runs the executable and command line sought. A kernel thread has neither and never fits. */
export function fits(machine: Machine, pid: number, { exe, command }: Sought): boolean {
  if (exe !== undefined && !runsExe(machine, pid, exe)) return false;
  if (command === undefined) return true;
  const cmdline = machine.read(`/proc/${pid}/cmdline`);
  return cmdline !== undefined && cmdline !== "" && commandMatches(cmdline, command);
}

/** The kernel's link to the executable; where it is not ours to read, what the process calls itself. */
function runsExe(machine: Machine, pid: number, exe: string): boolean {
  try {
    const target = machine.link(`/proc/${pid}/exe`);
    return target === exe || target === `${exe} (deleted)`; // deleted: replaced by an upgrade while it runs
  } catch {
    const cmdline = machine.read(`/proc/${pid}/cmdline`);
    if (cmdline === undefined || cmdline === "") return false;
    const name = nameOf(machine.read(`/proc/${pid}/stat`) ?? "");
    return commandMatches(cmdline, [exe]) || name === exe.slice(exe.lastIndexOf("/") + 1).slice(0, 15);
  }
}

/** Finds the processes of watches; one walk through /proc serves all that need it in a round. */
export class Finders {
  readonly #machine: Machine;
  readonly #ownPid: number;
  readonly #groups = new Map<string, string>();
  constructor(machine: Machine, ownPid: number) {
    this.#machine = machine;
    this.#ownPid = ownPid;
  }

  /** Processes for each of `sought`, in their order. Throws Failure MACHINE_READ when /proc itself cannot be read. */
  find(sought: readonly Sought[]): Found[] {
    const walked: number[] | undefined = sought.some(({ unit }) => unit === undefined) ? this.#everyPid() : undefined;
    const found = sought.map((one) => {
      const own = one.unit === undefined ? (walked ?? []) : this.#ofUnit(one.unit);
      if ("because" in own) return own;
      const { unit, exe, command } = one;
      const narrowed = unit === undefined || exe !== undefined || command !== undefined;
      return { pids: narrowed ? own.filter((pid) => fits(this.#machine, pid, one)) : own };
    });
    return found.map((one, i) => this.#unlessHidden(one, sought[i]));
  }

  #everyPid(): number[] {
    const pids: number[] = [];
    for (const name of this.#machine.list("/proc")) {
      const pid = Number(name);
      if (pid > 0 && pid !== this.#ownPid) pids.push(pid);
    }
    return pids;
  }
  #ofUnit(unit: string): readonly number[] | { because: string } {
    const group = this.#groups.get(unit);
    const pids = group === undefined ? undefined : unitPids(this.#machine, group);
    if (pids !== undefined) return pids;
    const root = systemdRoot(this.#machine);
    if (root === undefined) return { because: `${unit}: systemd does not run this machine; watch by exe or command` };
    const now = findUnit(this.#machine, root, unit);
    if (now === undefined) return []; // stopped: systemd removes the group
    this.#groups.set(unit, now);
    return unitPids(this.#machine, now) ?? [];
  }
  /** With hidepid, /proc shows a user only its own processes: nothing found proves nothing. */
  #unlessHidden(found: Found, sought: Sought | undefined): Found {
    if ("because" in found || found.pids.length > 0) return found;
    if (this.#machine.read("/proc/1/stat") !== undefined) return found;
    return {
      because: `${sought?.unit ?? sought?.exe ?? "the command"}: /proc is mounted so that other users' processes are hidden`,
    };
  }
}
