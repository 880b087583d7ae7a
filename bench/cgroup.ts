import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";

/** A control group of its own for one program: its processor time holds every child that it has reaped, too. */
export interface Group extends Disposable {
  /** Processor seconds used so far. */
  cpuS(): number;
  /** Times the kernel killed for want of memory. */
  oomKills(): number;
  /** Starts a program inside, with `env` and nothing else; its words go to the file `log`. */
  start(argv: readonly string[], log: string, env?: Readonly<Record<string, string>>): ChildProcess & { pid: number };
  pids(): number[];
}

const ROOT = "/sys/fs/cgroup";
const PLAIN_ENV = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" };

/** Makes the group `name` under cgroup v1 (cpuacct, memory) or v2. Needs root. Whoever is in it ends with it. */
export function makeGroup(name: string, { memoryMax }: { memoryMax?: number } = {}): Group {
  const v1 = existsSync(`${ROOT}/cpuacct`);
  if (!v1) writeFileSync(`${ROOT}/cgroup.subtree_control`, "+cpu +memory");
  const at = (controller: string): string => `${ROOT}/${v1 ? `${controller}/` : ""}vigil-bench-${name}`;
  const [cpu, memory] = [at("cpuacct"), at("memory")];
  const folders = [...new Set([cpu, memory])];
  for (const folder of folders) mkdirSync(folder, { recursive: true });
  if (memoryMax !== undefined) writeFileSync(`${memory}/memory.${v1 ? "limit_in_bytes" : "max"}`, String(memoryMax));
  const read = (folder: string, file: string): string => readFileSync(`${folder}/${file}`, "utf8");
  const pids = (): number[] => read(cpu, "cgroup.procs").split("\n").filter(Boolean).map(Number);
  const enter = folders.map((folder) => `echo $$ > ${folder}/cgroup.procs`).join(" && ");
  return {
    cpuS: () => (v1 ? Number(read(cpu, "cpuacct.usage")) / 1e9 : valueIn(read(cpu, "cpu.stat"), "usage_usec") / 1e6),
    oomKills: () => valueIn(read(memory, v1 ? "memory.oom_control" : "memory.events"), "oom_kill"),
    pids,
    start(argv, log, env = {}) {
      const words = openSync(log, "a");
      const child = spawn("/bin/sh", ["-c", `${enter} && exec "$@"`, "sh", ...argv], {
        stdio: ["ignore", words, words],
        env: { ...PLAIN_ENV, ...env },
      });
      const { pid } = child;
      if (pid === undefined) throw new Error(`${argv[0]} did not start`);
      return Object.assign(child, { pid });
    },
    [Symbol.dispose]() {
      for (const pid of pids()) process.kill(pid, "SIGKILL");
      for (let tries = 0; tries < 200 && pids().length > 0; tries += 1) nap(20);
      for (const folder of folders) rmdirSync(folder);
    },
  };
}

/** The number after `key` at the start of a line. */
const valueIn = (text: string, key: string): number => Number(new RegExp(`^${key}:?\\s+(\\d+)`, "m").exec(text)?.[1]);
const nap = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

/** Memory of a process in MB (10^6 bytes): its own, its share, resident, and the most that was ever resident. */
export interface Memory {
  anonMb: number;
  pssMb: number;
  rssMb: number;
  peakMb: number;
}

export function memoryOf(pid: number): Memory {
  const mb = (file: string, key: string): number =>
    (valueIn(readFileSync(`/proc/${pid}/${file}`, "utf8"), key) * 1024) / 1e6;
  return {
    anonMb: mb("status", "RssAnon"),
    pssMb: mb("smaps_rollup", "Pss"),
    rssMb: mb("status", "VmRSS"),
    peakMb: mb("status", "VmHWM"),
  };
}

/** Bytes this process has caused to be written to storage so far. */
export const writtenBytes = (pid: number): number => valueIn(readFileSync(`/proc/${pid}/io`, "utf8"), "write_bytes");

/** Times a page had to be read back from storage so far. */
export const majorFaults = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[9]);
