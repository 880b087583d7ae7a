// What does the agent cost beside its peers? All run side by side, each in a control group of its own.
import { copyFileSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { programPath } from "../test/kit/peers.ts";
import { freePort } from "../test/kit/ports.ts";
import { tempFolder } from "../test/kit/temp.ts";
import { agentConfig, startTlsBroker, TUNED_ENV, TUNED_FLAGS } from "./agent-bundle.ts";
import { type Group, makeGroup, median, memoryOf, report, writtenBytes } from "./cgroup.ts";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "300" }, warm: { type: "string", default: "60" } },
});
const measureS = Number(values.seconds);
const warmS = Number(values.warm);

using folder = tempFolder("footprint");
await using broker = await startTlsBroker(folder.path);
const path = (name: string): string => join(folder.path, name);
const write = (name: string, text: string): string => {
  writeFileSync(path(name), text, { mode: 0o600 });
  return path(name);
};

const SERVICES = [1, 2, 3, 4, 5].map((n) => `vgsvc${n}`);

function startServices(group: Group): void {
  const log = openSync(path("services.log"), "a");
  for (const name of SERVICES) {
    copyFileSync("/bin/sleep", path(name));
    group.start(["/bin/sh", "-c", `chmod 755 ${path(name)}; exec ${path(name)} 100000`], log);
  }
}

/** The same five processes, the root file system, memory, load and processor, told every 10 s, as each peer writes it. */
const MONIT = `
set daemon 10
set pidfile ${path("monit.pid")}
set idfile ${path("monit.id")}
set statefile ${path("monit.state")}
check system bench
  if loadavg (1min) per core > 4 then alert
  if memory usage > 90% then alert
  if cpu usage > 95% for 6 cycles then alert
check filesystem root with path /
  if space usage > 95% then alert
  if inode usage > 95% then alert
  if changed fsflags then alert
${SERVICES.map((name) => `check process ${name} matching "${name} 100000"\n  if memory > 500 MB then alert`).join("\n")}
`;

const collectd = (port: number): string => `
Hostname "bench"
FQDNLookup false
Interval 10
BaseDir "${folder.path}"
PIDFile "${path("collectd.pid")}"
TypesDB "/usr/share/collectd/types.db"
LoadPlugin df
LoadPlugin memory
LoadPlugin load
LoadPlugin cpu
LoadPlugin processes
LoadPlugin mqtt
<Plugin df>
  MountPoint "/"
  ReportInodes true
  ValuesPercentage true
</Plugin>
<Plugin processes>
${SERVICES.map((name) => `  Process "${name}"`).join("\n")}
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

type Candidate = {
  name: string;
  group: Group;
  pid: number;
  cpu0: number;
  written0: number;
  anon: number[];
  pss: number[];
  rss: number[];
};

function begin(name: string, argv: readonly [string, ...string[]], env: Record<string, string> = {}): Candidate {
  const group = makeGroup(name);
  const child = group.start(argv, openSync(path(`${name}.log`), "a"), env);
  if (child.pid === undefined) throw new Error(`${name} did not start`);
  return { name, group, pid: child.pid, cpu0: 0, written0: 0, anon: [], pss: [], rss: [] };
}

function beginAgent(name: string, rounds: { fastMs: number; slowMs: number }): Candidate {
  const node = path(`node-${name}`);
  copyFileSync(process.execPath, node); // its own copy: shared text would halve its PSS
  mkdirSync(path(name));
  const watch = SERVICES.map((service) => ({ name: service, exe: path(service) }));
  const config = write(
    `${name}.json`,
    JSON.stringify(agentConfig(broker, `bench-${name}`, path(name), { rounds, checks: { process: { watch } } })),
  );
  return begin(
    name,
    ["/bin/sh", "-c", `chmod 755 ${node}; exec ${node} ${TUNED_FLAGS.join(" ")} dist/agent.js run --config ${config}`],
    TUNED_ENV,
  );
}

const scrapePort = await freePort();
using services = makeGroup("services");
startServices(services);
await wait(500);
const candidates = [
  beginAgent("agent-10s", { fastMs: 10_000, slowMs: 10_000 }),
  beginAgent("agent-fast", { fastMs: 1_000, slowMs: 10_000 }),
  begin("monit", [programPath("monit"), "-I", "-c", write("monitrc", MONIT)]),
  begin("collectd", [programPath("collectd"), "-f", "-C", write("collectd.conf", collectd(broker.plainPort))]),
  begin("node_exporter", [
    programPath("prometheus-node-exporter"),
    "--collector.disable-defaults",
    ...["filesystem", "meminfo", "loadavg", "cpu", "stat", "pressure", "vmstat"].map((name) => `--collector.${name}`),
    `--web.listen-address=127.0.0.1:${scrapePort}`,
  ]),
];

const stop = new AbortController();
const scraping = (async () => {
  while (!stop.signal.aborted) {
    await fetch(`http://127.0.0.1:${scrapePort}/metrics`)
      .then((answer) => answer.arrayBuffer())
      .catch((error: unknown) => console.error(`scrape: ${String(error)}`));
    await wait(10_000, undefined, { signal: stop.signal }).catch(() => undefined);
  }
})();
try {
  console.error(`warm-up ${warmS} s, then ${measureS} s`);
  await wait(warmS * 1000);
  for (const one of candidates) Object.assign(one, { cpu0: one.group.cpuS(), written0: writtenBytes(one.pid) });
  const start = performance.now();
  while (performance.now() - start < measureS * 1000) {
    await wait(Math.min(5_000, measureS * 1000 - (performance.now() - start)));
    for (const one of candidates) {
      const { anonMb, pssMb, rssMb } = memoryOf(one.pid);
      one.anon.push(anonMb);
      one.pss.push(pssMb);
      one.rss.push(rssMb);
    }
  }
  const hours = (performance.now() - start) / 3_600_000;
  const rows = candidates.map((one) => ({
    name: one.name,
    cpuSecondsPerHour: round((one.group.cpuS() - one.cpu0) / hours),
    anonMb: round(median(one.anon)),
    pssMb: round(median(one.pss)),
    rssMb: round(median(one.rss)),
    writtenKbPerHour: round((writtenBytes(one.pid) - one.written0) / 1000 / hours),
  }));
  const cpu = (name: string): number => rows.find((row) => row.name === name)?.cpuSecondsPerHour ?? Number.NaN;
  report("footprint", {
    seconds: measureS,
    rows,
    ratios: {
      "agent at 10 s to the better of monit and collectd": round(
        cpu("agent-10s") / Math.min(cpu("monit"), cpu("collectd")),
      ),
      "agent with the fast tier to monit at 10 s": round(cpu("agent-fast") / cpu("monit")),
    },
  });
} finally {
  stop.abort();
  await scraping;
  for (const one of candidates) one.group[Symbol.dispose]();
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
