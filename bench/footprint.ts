import { appendFileSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../platform/clock.ts";
import { programPath } from "../test/kit/peers.ts";
import { freePort } from "../test/kit/ports.ts";
import { tempFolder } from "../test/kit/temp.ts";
import { bench, median, round, tell } from "./bench.ts";
import { type Group, type Memory, makeGroup, memoryOf, writtenBytes } from "./cgroup.ts";
import { Services } from "./services.ts";
import { install, loopbackOnly, startTlsBroker, type TlsBroker } from "./shipped.ts";

const EXPORTER_CHECKS = ["filesystem", "meminfo", "loadavg", "cpu", "stat", "pressure", "vmstat", "netdev"];

/** What everybody watches: five processes, the root file system, memory, load, processor, an interface, a log, a file. */
interface Watched {
  services: Services;
  /** Gets two lines a second; every hundredth is an error. */
  log: string;
  file: string;
  nic: string;
}

/** The same every 10 s, as each peer writes it. */
const monit = (folder: string, { services, log, file, nic }: Watched): string => `
set daemon 10
set pidfile ${folder}/monit.pid
set idfile ${folder}/monit.id
set statefile ${folder}/monit.state
check system bench
  if loadavg (1min) per core > 4 then alert
  if memory usage > 90% then alert
  if cpu usage > 95% for 6 cycles then alert
check filesystem root with path /
  if space usage > 95% then alert
  if inode usage > 95% then alert
  if changed fsflags then alert
${services.names.map((name) => `check process ${name} matching "${name} 100000"\n  if memory > 500 MB then alert`).join("\n")}
check network nic with interface ${nic}
  if failed link then alert
check file log with path ${log}
  if match "error" then alert
check file watched with path ${file}
  if changed checksum then alert
`;

const collectd = (folder: string, { services, log, nic }: Watched, port: number): string => `
Hostname "bench"
FQDNLookup false
Interval 10
BaseDir "${folder}"
PIDFile "${folder}/collectd.pid"
TypesDB "/usr/share/collectd/types.db"
${["df", "memory", "load", "cpu", "processes", "interface", "tail", "mqtt"].map((name) => `LoadPlugin ${name}`).join("\n")}
<Plugin df>
  MountPoint "/"
  ReportInodes true
  ValuesPercentage true
</Plugin>
<Plugin processes>
${services.names.map((name) => `  Process "${name}"`).join("\n")}
</Plugin>
<Plugin interface>
  Interface "${nic}"
</Plugin>
<Plugin tail>
  <File "${log}">
    Instance "log"
    <Match>
      Regex "error"
      DSType "CounterInc"
      Type "counter"
      Instance "errors"
    </Match>
  </File>
</Plugin>
<Plugin mqtt>
  <Publish "bench">
    Host "127.0.0.1"
    Port ${port}
    QoS 1
    Prefix "collectd"
  </Publish>
</Plugin>
`;

/** One program under measurement. */
class Candidate implements Disposable {
  readonly name: string;
  readonly #group: Group;
  readonly #pid: number;
  readonly #samples: Memory[] = [];
  #cpu0 = 0;
  #written0 = 0;

  constructor(folder: string, name: string, argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.name = name;
    this.#group = makeGroup(name);
    this.#pid = this.#group.start(argv, join(folder, `${name}.log`), env).pid;
  }
  begin(): void {
    this.#cpu0 = this.#group.cpuS();
    this.#written0 = writtenBytes(this.#pid);
  }
  sample(): void {
    this.#samples.push(memoryOf(this.#pid));
  }
  row(hours: number) {
    const of = (key: keyof Memory): number => round(median(this.#samples.map((memory) => memory[key])));
    return {
      name: this.name,
      cpuSecondsPerHour: round((this.#group.cpuS() - this.#cpu0) / hours),
      anonMb: of("anonMb"),
      pssMb: of("pssMb"),
      rssMb: of("rssMb"),
      writtenKbPerHour: round((writtenBytes(this.#pid) - this.#written0) / 1000 / hours),
    };
  }
  [Symbol.dispose](): void {
    this.#group[Symbol.dispose]();
  }
}

function startAgent(
  folder: string,
  name: string,
  tiers: { fastMs: number; slowMs: number },
  broker: TlsBroker,
  { services, log, file, nic }: Watched,
): Candidate {
  const own = join(folder, name);
  const { argv, env } = install("agent", own, {
    device: `bench-${name}`,
    brokers: [broker.asTls(`bench-${name}`)],
    stateDir: join(own, "state"),
    runtimeDir: join(own, "run"),
    rounds: tiers,
    // every check that is on by default stays on; those that need targets get what the peers have
    checks: {
      process: { watch: services.watch },
      logs: { files: [{ path: log }] },
      clock: { sync: { expected: false } }, // this machine has no time service; a device has one, and no alarm of it
      drift: { files: [{ path: file }] },
      network: { ...loopbackOnly.network, interfaces: { [nic]: {} } },
    },
  });
  return new Candidate(folder, name, argv, env);
}

function startPeers(folder: string, broker: TlsBroker, watched: Watched, scrapePort: number): Candidate[] {
  const written = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const monitrc = written("monitrc", monit(folder, watched));
  const collectdConf = written("collectd.conf", collectd(folder, watched, broker.plainPort));
  return [
    new Candidate(folder, "monit", [programPath("monit"), "-I", "-c", monitrc]),
    new Candidate(folder, "collectd", [programPath("collectd"), "-f", "-C", collectdConf]),
    new Candidate(folder, "node_exporter", [
      programPath("prometheus-node-exporter"),
      "--collector.disable-defaults",
      ...EXPORTER_CHECKS.map((name) => `--collector.${name}`),
      `--web.listen-address=127.0.0.1:${scrapePort}`,
    ]),
  ];
}

/** What Node costs before a line of ours runs: a timer of one second, with the flags of the unit. */
function startBareNode(folder: string): Candidate {
  const { argv, env } = install("agent", join(folder, "bare-node"), {});
  const node = argv.slice(
    0,
    argv.findIndex((word) => word.endsWith("/agent.js")),
  );
  return new Candidate(folder, "node-1s-timer", [...node, "-e", "setInterval(() => {}, 1000)"], env);
}

/** What Prometheus would do to node_exporter, until `signal` aborts. */
async function scrape(port: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await fetch(`http://127.0.0.1:${port}/metrics`).then(
      (answer) => answer.arrayBuffer(),
      (error: unknown) => tell(`scrape: ${String(error)}`),
    );
    await systemClock.sleep(10_000, signal).catch(() => {}); // the signal is the only reason
  }
}

/** Two lines a second, until `signal` aborts. */
async function chat(log: string, signal: AbortSignal): Promise<void> {
  for (let line = 0; !signal.aborted; line += 1) {
    const words = line % 100 === 99 ? "error: stream 3 lost its source" : "stream 3 sent 25 frames";
    appendFileSync(log, `2026-11-22 09:00:00.000 relay[812]: ${words} (${line})\n`);
    await systemClock.sleep(500, signal).catch(() => {}); // the signal is the only reason
  }
}

/** An interface with a device behind it. */
function firstNic(): string {
  const nic = readdirSync("/sys/class/net").find((name) => existsSync(`/sys/class/net/${name}/device`));
  return nic ?? "lo";
}

export const footprint = bench({
  asks: "What does the agent cost beside monit, collectd and node_exporter?",
  minutes: 8,
  // what is done once after a start, and then once a day (inventory, the day's record), is over by then
  options: { warm: 150, seconds: 300 },
  async run({ warm, seconds }) {
    using folder = tempFolder("footprint");
    using services = new Services(folder.path, 5);
    await using broker = await startTlsBroker(folder.path);
    using running = new DisposableStack();
    const scrapePort = await freePort();
    const watched: Watched = { services, log: join(folder.path, "service.log"), file: "/etc/hosts", nic: firstNic() };
    const candidates = [
      startAgent(folder.path, "agent-10s", { fastMs: 10_000, slowMs: 10_000 }, broker, watched),
      startAgent(folder.path, "agent-fast", { fastMs: 1_000, slowMs: 10_000 }, broker, watched),
      startBareNode(folder.path),
      ...startPeers(folder.path, broker, watched, scrapePort),
    ];
    for (const one of candidates) running.use(one);
    const stop = new AbortController();
    running.defer(() => stop.abort());
    void scrape(scrapePort, stop.signal);
    void chat(watched.log, stop.signal);

    tell(`warm-up ${warm} s, then ${seconds} s`);
    await systemClock.sleep(warm * 1000);
    for (const one of candidates) one.begin();
    const began = systemClock.now();
    for (let left = seconds * 1000; left > 0; left = seconds * 1000 - (systemClock.now() - began)) {
      await systemClock.sleep(Math.min(5_000, left));
      for (const one of candidates) one.sample();
    }
    const hours = (systemClock.now() - began) / 3_600_000;
    return found(candidates.map((one) => one.row(hours)));
  },
});

function found(rows: ReturnType<Candidate["row"]>[]) {
  const of = (name: string): ReturnType<Candidate["row"]> => {
    const row = rows.find((one) => one.name === name);
    if (row === undefined) throw new Error(`no ${name}`);
    return row;
  };
  const cpu = (name: string): number => of(name).cpuSecondsPerHour;
  const better = Math.min(cpu("monit"), cpu("collectd"));
  return {
    figures: [
      { figure: "agent: CPU, all checks at 10 s", measured: cpu("agent-10s"), unit: "s/h", atMost: 1.2 },
      {
        figure: "… to the better of monit and collectd",
        measured: round(cpu("agent-10s") / better),
        unit: "×",
        atMost: 0.5,
      },
      { figure: "agent: CPU with the fast tier (1 s)", measured: cpu("agent-fast"), unit: "s/h", atMost: 3 },
      { figure: "… to monit at 10 s", measured: round(cpu("agent-fast") / cpu("monit")), unit: "×", atMost: 1.1 },
      { figure: "agent: own memory (anon), first minutes", measured: of("agent-fast").anonMb, unit: "MB", atMost: 25 },
      { figure: "agent: PSS, without its unit's limit of memory", measured: of("agent-fast").pssMb, unit: "MB" },
    ],
    rows,
  };
}
