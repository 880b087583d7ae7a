import { existsSync } from "node:fs";
import type { Machine } from "../../platform/machine.ts";

/** A process as /proc/PID/stat tells it; what is left out is that of a quiet process. */
export interface StatFacts {
  pid: number;
  comm?: string;
  state?: string;
  utime?: number;
  stime?: number;
  threads?: number;
  /** Clock ticks after boot. */
  start?: number;
}

/** The line the kernel writes into /proc/PID/stat. */
export function statText({
  pid,
  comm = "x",
  state = "S",
  utime = 0,
  stime = 0,
  threads = 1,
  start = 100,
}: StatFacts): string {
  const upToTimes = [state, 1, pid, pid, 0, -1, 4194560, 120, 0, 0, 0];
  const afterTimes = [utime, stime, 0, 0, 20, 0, threads, 0, start, 8192000, 300, "18446744073709551615"];
  return `${pid} (${comm}) ${[...upToTimes, ...afterTimes].join(" ")} 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n`;
}

/** A captured tree whose held-open files answer as the kernel's do: gone once the process or device behind them is. */
export const asKernel = (machine: Machine): Machine => ({
  ...machine,
  source(path) {
    const source = machine.source(path);
    return { ...source, read: () => (existsSync(machine.at(path)) ? source.read() : undefined) };
  },
});
