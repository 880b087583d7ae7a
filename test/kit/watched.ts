import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** Real processes for an agent to watch, each with a name that no other process of this machine has. */
export interface WatchedProcesses extends AsyncDisposable {
  readonly names: readonly string[];
  /** The `checks` of an agent's config that watch them. */
  readonly checks: { process: Record<string, unknown> };
  /** Starts one; it may be killed and started again. */
  start(name: string): void;
  /** kill -9, and waits until it is gone. */
  kill(name: string): Promise<void>;
  lives(name: string): boolean;
}

let count = 0;

/** So many processes, living; gone when disposed, and after 15 minutes however this test ends. */
export function watchedProcesses(many: number, prefix = "vigil-story"): WatchedProcesses {
  const living = new Map<string, ChildProcess>();
  const names = Array.from({ length: many }, () => {
    count += 1;
    return `${prefix}-${process.pid}-${count}`;
  });
  const start = (name: string): void => {
    if (!living.has(name)) living.set(name, spawn("sleep", ["900"], { argv0: name, stdio: "ignore" }));
  };
  const kill = async (name: string): Promise<void> => {
    const child = living.get(name);
    if (child === undefined) return;
    living.delete(name);
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  };
  for (const name of names) start(name);
  return {
    names,
    checks: { process: { holdOffMs: 500, watch: names.map((name) => ({ name, command: [name, "900"] })) } },
    start,
    kill,
    lives: (name) => living.has(name),
    async [Symbol.asyncDispose]() {
      await Promise.all([...living.keys()].map(kill));
    },
  };
}
