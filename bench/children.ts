import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../platform/clock.ts";
import { programPath } from "../test/kit/peers.ts";
import { tempFolder } from "../test/kit/temp.ts";
import { bench, tell } from "./bench.ts";
import { makeGroup } from "./cgroup.ts";
import { Services } from "./services.ts";
import { install, loopbackOnly, startTlsBroker } from "./shipped.ts";

/** The inventory, 20 s after the start and then once a day, is the one child there is; it is gone by then. */
const INVENTORY_OVER_S = 40;
const FAST_MS = 200;
const SLOW_MS = 1_000;

export const children = bench({
  asks: "How many child processes does the agent start in its periodic path?",
  minutes: 2,
  options: { seconds: 60 },
  async run({ seconds }) {
    using folder = tempFolder("children");
    using services = new Services(folder.path, 5);
    await using broker = await startTlsBroker(folder.path);
    const own = join(folder.path, "agent");
    const { argv, env } = install("agent", own, {
      device: "bench-children",
      brokers: [broker.asTls("bench-children")],
      stateDir: join(own, "state"),
      runtimeDir: join(own, "run"),
      rounds: { fastMs: FAST_MS, slowMs: SLOW_MS },
      heartbeatMs: 1_000,
      telemetryMs: 1_000,
      checks: { ...loopbackOnly, process: { watch: services.watch } },
    });
    using group = makeGroup("children");
    mkdirSync(own, { recursive: true });
    const { pid } = group.start(argv, join(own, "log"), env);
    const trace = join(own, "trace");
    const strace = spawn(programPath("strace"), ["-f", "-ttt", "-e", "trace=process", "-o", trace, "-p", String(pid)]);
    const ended = once(strace, "exit");
    tell(`until the inventory is over ${INVENTORY_OVER_S} s, then ${seconds} s`);
    await systemClock.sleep(INVENTORY_OVER_S * 1000);
    const from = systemClock.wall();
    await systemClock.sleep(seconds * 1000);
    strace.kill("SIGINT");
    await ended;
    const calls = births(readFileSync(trace, "utf8"));
    const atStart = calls.filter(({ at }) => at < from);
    const periodic = calls.filter(({ at }) => at >= from);
    if (atStart.length === 0) throw new Error("strace saw not even the inventory's child: it saw nothing");
    return {
      figures: [
        {
          figure: "agent: child processes in the periodic path",
          measured: periodic.length,
          unit: "children",
          atMost: 0,
        },
      ],
      rounds: { fast: (seconds * 1000) / FAST_MS, slow: (seconds * 1000) / SLOW_MS },
      seenOfInventoryAtStart: atStart.length,
      periodic,
    };
  },
});

/** Calls that make or become another process, not a thread; times in epoch ms. */
function births(trace: string): { at: number; call: string }[] {
  const line = /^\d+ +(\d+\.\d+) +((?:clone3?|v?fork|execve(?:at)?)\(.*)$/gm;
  return [...trace.matchAll(line)]
    .map(([, at, call = ""]) => ({ at: 1000 * Number(at), call: call.slice(0, 120) }))
    .filter(({ call }) => !call.includes("CLONE_THREAD"));
}
