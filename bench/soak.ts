import { join } from "node:path";
import { systemClock } from "../platform/clock.ts";
import { tempFolder } from "../test/kit/temp.ts";
import { bench, median, round, tell } from "./bench.ts";
import { type Group, majorFaults, makeGroup, memoryOf } from "./cgroup.ts";
import { type Disk, openDisk } from "./disk.ts";
import { Services } from "./services.ts";
import { install, loopbackOnly, startTlsBroker, type TlsBroker } from "./shipped.ts";

const ROUND_MS = 50;
const SETTLE_MS = 5_000;
/** A watched process dies and comes back so often: alarms raised and cleared, messages of many lengths. */
const FAULT_MS = 7_000;

export const soak = bench({
  asks: "Does the agent's memory stay where it is over 5,000 rounds, and does it run under the unit's MemoryMax?",
  minutes: 5,
  options: { rounds: 5_000 },
  async run({ rounds }) {
    using folder = tempFolder("soak");
    using services = new Services(folder.path, 5);
    await using broker = await startTlsBroker(folder.path);
    using disk = openDisk(256);
    using free = new Soaked("free", join(folder.path, "free"), broker, services);
    using limited = new Soaked("limited", join(disk.here, "agent"), broker, services, disk);
    await systemClock.sleep(SETTLE_MS);
    const before = free.look();
    tell(`${rounds} rounds of ${ROUND_MS} ms`);
    using _faults = faults(services);
    const half = (rounds * ROUND_MS) / 2;
    await systemClock.sleep(half);
    const [middle, limitedMiddle] = [free.look(), limited.look()];
    await systemClock.sleep(half - SETTLE_MS);
    const after = await free.lookLong();
    const limitedAfter = limited.look();
    const faultsPerRound = round((limitedAfter.majorFaults - limitedMiddle.majorFaults) / (rounds / 2), 3);
    return {
      figures: [
        { figure: `agent: own memory (anon) after ${rounds} rounds`, measured: after.anonMb, unit: "MB", atMost: 25 },
        { figure: "… PSS, without the unit's limit of memory", measured: after.pssMb, unit: "MB" },
        { figure: "… grown in the second half (anon)", measured: round(after.anonMb - middle.anonMb), unit: "MB" },
        {
          figure: `agent under MemoryMax=${limited.maxMb}M: killed for want of memory`,
          measured: limited.oomKills,
          unit: "times",
          atMost: 0,
        },
        { figure: "… PSS", measured: limitedAfter.pssMb, unit: "MB", atMost: 60 },
        { figure: "… major page faults a round, second half", measured: faultsPerRound, unit: "faults", atMost: 1 },
      ],
      before,
      middle,
      after,
      limited: { middle: limitedMiddle, after: limitedAfter },
    };
  },
});

/**
 * An agent with both tiers at 50 ms, signs of life and figures every second. On a `disk` it starts as after a boot: with
 * the unit's memory and no more, and with nothing of its program read yet, so that all of it is counted in.
 */
class Soaked implements Disposable {
  readonly maxMb: number;
  readonly #group: Group;
  readonly #pid: number;

  constructor(name: string, folder: string, broker: TlsBroker, services: Services, disk?: Disk) {
    const inside = (word: string): string => (disk === undefined ? word : word.replace(disk.here, disk.point));
    const { argv, env, memoryMax } = install("agent", folder, {
      device: `soak-${name}`,
      brokers: [broker.asTls(`soak-${name}`)],
      stateDir: inside(join(folder, "state")),
      runtimeDir: inside(join(folder, "run")),
      rounds: { fastMs: ROUND_MS, slowMs: ROUND_MS },
      heartbeatMs: 1_000,
      telemetryMs: 1_000,
      checks: { ...loopbackOnly, process: { watch: services.watch, holdOffMs: 1_000 } },
    });
    this.maxMb = memoryMax / 1024 / 1024;
    this.#group = makeGroup(`soak-${name}`, disk === undefined ? {} : { memoryMax });
    disk?.chill();
    const own = Object.fromEntries(Object.entries(env).map(([key, value]) => [key, inside(value)]));
    this.#pid = this.#group.start([...(disk?.enter ?? []), ...argv.map(inside)], "/dev/null", own).pid;
  }
  look() {
    const { anonMb, pssMb, rssMb } = memoryOf(this.#pid);
    const cpuS = round(this.#group.cpuS());
    return {
      anonMb: round(anonMb),
      pssMb: round(pssMb),
      rssMb: round(rssMb),
      majorFaults: majorFaults(this.#pid),
      cpuS,
    };
  }
  /** The median of some seconds: a moment before or after a garbage collection says little. */
  async lookLong() {
    const looks = [this.look()];
    for (let left = SETTLE_MS; left > 0; left -= 500) {
      await systemClock.sleep(500);
      looks.push(this.look());
    }
    const of = (key: "anonMb" | "pssMb" | "rssMb"): number => round(median(looks.map((one) => one[key])));
    return { ...this.look(), anonMb: of("anonMb"), pssMb: of("pssMb"), rssMb: of("rssMb") };
  }
  get oomKills(): number {
    return this.#group.oomKills();
  }
  [Symbol.dispose](): void {
    this.#group[Symbol.dispose]();
  }
}

/** Lets one watched process after the other die, and brings it back half a turn later. */
function faults(services: Services): Disposable {
  const stop = new AbortController();
  void (async () => {
    for (let turn = 0; !stop.signal.aborted; turn += 1) {
      const name = services.names[turn % services.names.length] ?? "";
      services.kill(name);
      await systemClock.sleep(FAULT_MS / 2, stop.signal);
      services.start(name);
      await systemClock.sleep(FAULT_MS / 2, stop.signal);
    }
  })().catch(() => {}); // it ends by its signal
  return { [Symbol.dispose]: () => stop.abort() };
}
