import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";

/** A control group of its own for one program: its processor time holds every child that it has reaped, too. */
export interface Group extends Disposable {
  /** Processor seconds used so far. */
  cpuS(): number;
  /** Starts a program inside; its output goes to the file `log`. */
  start(argv: readonly [string, ...string[]], log: number, env?: Record<string, string>): ChildProcess;
  pids(): number[];
}

const V1 = "/sys/fs/cgroup/cpuacct";

/** Makes the group `name` under cgroup v1 (cpuacct) or v2. Needs root. */
export function makeGroup(name: string): Group {
  const v1 = existsSync(V1);
  const folder = `${v1 ? V1 : "/sys/fs/cgroup"}/vigil-bench-${name}`;
  mkdirSync(folder, { recursive: true });
  const read = (file: string): string => readFileSync(`${folder}/${file}`, "utf8");
  const pids = (): number[] => read("cgroup.procs").split("\n").filter(Boolean).map(Number);
  return {
    cpuS: () =>
      v1 ? Number(read("cpuacct.usage")) / 1e9 : Number(/usage_usec (\d+)/.exec(read("cpu.stat"))?.[1]) / 1e6,
    pids,
    start: (argv, log, env = {}) =>
      spawn("/bin/sh", ["-c", `echo $$ > ${folder}/cgroup.procs && exec "$@"`, "sh", ...argv], {
        stdio: ["ignore", log, log],
        env: { ...process.env, ...env },
      }),
    [Symbol.dispose]() {
      for (const pid of pids()) process.kill(pid, "SIGKILL");
      for (let i = 0; i < 100 && pids().length > 0; i += 1)
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      rmdirSync(folder);
    },
  };
}

/** Anonymous and proportional memory of a process, in MB (10^6 bytes). */
export function memoryOf(pid: number): { anonMb: number; pssMb: number; rssMb: number } {
  const kb = (file: string, key: string): number =>
    Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/${file}`, "utf8"))?.[1] ?? 0);
  const mb = (file: string, key: string): number => (kb(file, key) * 1024) / 1e6;
  return { anonMb: mb("status", "RssAnon"), pssMb: mb("smaps_rollup", "Pss"), rssMb: mb("status", "VmRSS") };
}

/** Bytes this process has caused to be written to storage (`write_bytes` of /proc/PID/io). */
export const writtenBytes = (pid: number): number =>
  Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1] ?? 0);

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
};

/** Leaves a result where docs/performance.md is written from, and prints it. */
export function report(name: string, result: unknown): void {
  const text = JSON.stringify({ bench: name, ...(result as object) }, undefined, 2);
  mkdirSync("bench/results", { recursive: true });
  writeFileSync(`bench/results/${name}.json`, `${text}\n`);
  console.log(text);
}
