import { existsSync } from "node:fs";
import { parseStat } from "../../agent/checks/process/stat.ts";
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

/**
 * A captured tree whose held-open files answer as the kernel's do: gone once the process or device behind them is. A statm
 * that is not there is made of its stat, with 2 MiB resident.
 */
export const asKernel = (machine: Machine): Machine => ({
  ...machine,
  source(path) {
    const source = machine.source(path);
    const there = (): string | undefined => (existsSync(machine.at(path)) ? source.read() : undefined);
    const stat = path.endsWith("/statm") ? path.slice(0, -1) : undefined;
    let begun: number | undefined;
    const read = (): string | undefined => {
      if (stat === undefined) return there();
      const now = parseStat(machine.read(stat) ?? "");
      begun ??= now?.startTicks;
      if (now === undefined || now.startTicks !== begun) return undefined; // of a process that is gone, whoever has its pid
      return "ZXx".includes(now.state) ? "0 0 0 0 0 0 0\n" : (there() ?? "2000 512 100 10 0 200 0\n");
    };
    return { ...source, read, first: () => read()?.charCodeAt(0) };
  },
});
