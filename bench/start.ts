import { rmSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../platform/clock.ts";
import { tempFolder } from "../test/kit/temp.ts";
import { bench, median, round } from "./bench.ts";
import { makeGroup } from "./cgroup.ts";
import { install, loopbackOnly, type Shipped, startTlsBroker, type TlsBroker } from "./shipped.ts";

const DEVICE = "bench-start";
/** Mosquitto's own line, in its log of every packet: it has answered a QoS 1 publish of the agent. */
const ACKED = new RegExp(`Sending PUBACK to ${DEVICE}\\b`, "g");

export const start = bench({
  asks: "How long from starting the agent to its first acknowledged publish over TLS?",
  minutes: 1,
  options: { rounds: 15 },
  async run({ rounds }) {
    using folder = tempFolder("start");
    await using broker = await startTlsBroker(folder.path, ["log_dest stderr", "log_type all"]);
    const own = join(folder.path, "agent");
    const stateDir = join(own, "state");
    const shipped = install("agent", own, {
      ...{ device: DEVICE, brokers: [broker.asTls(DEVICE)], stateDir },
      runtimeDir: join(own, "run"),
      checks: loopbackOnly,
    });
    const { NODE_COMPILE_CACHE: _, ...bare } = shipped.env;
    const without = { ...shipped, env: bare };
    const times = { cached: [] as Start[], without: [] as Start[] };
    await once(broker, shipped, own); // fills the compile cache and the page cache
    for (let n = 0; n < rounds; n += 1) {
      times.cached.push(await once(broker, shipped, own));
      times.without.push(await once(broker, without, own));
    }
    rmSync(stateDir, { recursive: true, force: true });
    const { cached, without: uncached } = { cached: summary(times.cached), without: summary(times.without) };
    return {
      figures: [
        {
          figure: "agent: start to first acknowledged publish over TLS, median",
          measured: cached.medianMs,
          unit: "ms",
          atMost: 200,
        },
        { figure: "… best of all rounds", measured: cached.minMs, unit: "ms" },
        { figure: "… without the compile cache, median", measured: uncached.medianMs, unit: "ms" },
        { figure: "… processor time used by then, median", measured: cached.cpuMs, unit: "ms" },
      ],
      cached,
      without: uncached,
    };
  },
});

interface Start {
  wallMs: number;
  cpuMs: number;
}

const acks = (broker: TlsBroker): number => [...broker.output().matchAll(ACKED)].length;

/** One start, until the broker says that it has acknowledged; the agent is then stopped in an orderly way. */
async function once(broker: TlsBroker, { argv, env }: Shipped, folder: string): Promise<Start> {
  using group = makeGroup("start");
  const before = acks(broker);
  const began = systemClock.now();
  const child = group.start(argv, join(folder, "log"), env);
  const gone = new Promise((done) => child.once("exit", done));
  while (acks(broker) === before) {
    if (systemClock.now() - began > 10_000) throw new Error("no PUBACK within 10 s");
    await systemClock.sleep(1);
  }
  const found = { wallMs: systemClock.now() - began, cpuMs: 1000 * group.cpuS() };
  await systemClock.sleep(500); // the compile cache is written, the birth is over
  child.kill("SIGTERM");
  await gone;
  return found;
}

function summary(starts: readonly Start[]) {
  const wall = starts.map(({ wallMs }) => wallMs);
  return {
    medianMs: round(median(wall), 0),
    minMs: round(Math.min(...wall), 0),
    maxMs: round(Math.max(...wall), 0),
    cpuMs: round(median(starts.map(({ cpuMs }) => cpuMs)), 0),
    rounds: starts.length,
  };
}
