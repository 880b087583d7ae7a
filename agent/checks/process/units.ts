import type { Machine } from "../../../platform/machine.ts";
import { parsePids } from "./stat.ts";

/** Where systemd keeps its control groups: the one hierarchy of v2, its own one of v1, the v2 one beside v1. */
const ROOTS = ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"];
const MOST_FOLDERS = 500;
const MOST_PIDS = 256;

/** The folder under which systemd's control groups lie; undefined where systemd does not run the machine. */
export const systemdRoot = (machine: Machine): string | undefined =>
  ROOTS.find((root) => machine.list(`${root}/system.slice`).length > 0);

/** The control group of a running unit, searched from `root` through the slices; undefined while the unit is stopped. */
export function findUnit(machine: Machine, root: string, unit: string): string | undefined {
  const usual = `${root}/system.slice/${unit}`;
  if (isGroup(machine, usual)) return usual;
  const folders = [`${root}/system.slice`, root];
  for (let i = 0; i < Math.min(folders.length, MOST_FOLDERS); i += 1) {
    const folder = folders[i] ?? root;
    const names = machine.list(folder);
    if (names.includes(unit) && isGroup(machine, `${folder}/${unit}`)) return `${folder}/${unit}`;
    for (const name of names)
      if (name.endsWith(".slice") || name.startsWith("user@")) folders.push(`${folder}/${name}`);
  }
  return undefined;
}

const isGroup = (machine: Machine, folder: string): boolean => machine.read(`${folder}/cgroup.procs`) !== undefined;

/**
 * Processes of a unit's control group, those of groups it made for itself included. Undefined when the group is gone.
 * Throws Failure MACHINE_READ.
 */
export function unitPids(machine: Machine, group: string, depth = 3): number[] | undefined {
  const text = machine.read(`${group}/cgroup.procs`);
  if (text === undefined) return undefined;
  const pids = parsePids(text);
  if (depth === 0 || pids.length > 0) return pids.slice(0, MOST_PIDS);
  for (const name of machine.list(group)) {
    if (pids.length >= MOST_PIDS) break;
    pids.push(...(unitPids(machine, `${group}/${name}`, depth - 1) ?? [])); // a plain file has no cgroup.procs under it
  }
  return pids.slice(0, MOST_PIDS);
}
