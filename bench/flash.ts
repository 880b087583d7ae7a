import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import { openJournal } from "../agent/outbox/journal.ts";
import { systemClock } from "../platform/clock.ts";
import { folderAt } from "../platform/files.ts";
import { probeFile } from "../platform/probe-file.ts";
import { topics } from "../protocol/topics.ts";
import { alarmChange } from "../test/kit/alarm-change.ts";
import { HandClock } from "../test/kit/hand-clock.ts";
import { silentLog } from "../test/kit/logs.ts";
import { run } from "../test/kit/peers.ts";
import { tempFolder } from "../test/kit/temp.ts";
import { bench, round, tell } from "./bench.ts";
import { makeGroup, writtenBytes } from "./cgroup.ts";
import { Services } from "./services.ts";
import { install, startTlsBroker } from "./shipped.ts";

const DEVICE = "bench-flash";
const DAY_S = 86_400;
/** Alarms raised and cleared on a bad day. */
const TRANSITIONS_PER_DAY = 100;
const PROBES_PER_DAY = 4;
const TELEMETRY_S = 300;
/** ext4 commits its journal every 5 s: events of a real day do not share a commit. */
const APART_MS = 6_000;
const SETTLE_MS = 30_000;

export default bench({
  asks: "How much does the agent write to flash in a day, online and with the broker away?",
  minutes: 5,
  options: { idle: 120, transitions: 20, probes: 10 },
  async run({ idle, transitions, probes }) {
    using folder = tempFolder("flash");
    using disk = openDisk(folder.path);
    using services = new Services(folder.path, transitions / 2);
    await using broker = await startTlsBroker(folder.path);
    const own = join(folder.path, "agent");
    const { argv, env } = install("agent", own, {
      device: DEVICE,
      brokers: [broker.asTls(DEVICE)],
      stateDir: join(disk.point, "state"),
      checks: { process: { watch: services.watch, holdOffMs: 1_000 } },
    });
    await using figures = await collectTelemetry(broker.plainPort);
    using group = makeGroup("flash");
    const { pid } = group.start(argv, join(own, "log"), env);
    tell(`${SETTLE_MS / 1000} s to settle, ${idle} s idle, ${transitions} transitions`);
    await systemClock.sleep(SETTLE_MS);

    const atRest = await disk.during(async () => systemClock.sleep(idle * 1000));
    const process0 = writtenBytes(pid);
    const changing = await disk.during(async () => {
      for (const name of services.names) {
        services.kill(name);
        await systemClock.sleep(APART_MS);
        services.start(name);
        await systemClock.sleep(APART_MS);
      }
    });
    const byProcess = (writtenBytes(pid) - process0) / transitions;
    group[Symbol.dispose]();

    const probing = await disk.during(async () => {
      for (let n = 0; n < probes; n += 1) {
        await probeFile(disk.point);
        disk.sync();
      }
    });
    const away = await awayDay(disk, figures.latest());

    const perTransition = changing / transitions;
    const online = (atRest * DAY_S) / idle + perTransition * TRANSITIONS_PER_DAY + (probing / probes) * PROBES_PER_DAY;
    const offline = away.bytes + (probing / probes) * PROBES_PER_DAY;
    const megabytes = (bytes: number): number => round(bytes / 1e6, 3);
    return {
      figures: [
        { figure: `flash written online, ${TRANSITIONS_PER_DAY} transitions a day`, measured: megabytes(online), unit: "MB/day", atMost: 1 },
        { figure: "flash written with the broker away", measured: megabytes(offline), unit: "MB/day", atMost: 10 },
      ],
      arithmetic: [
        "bytes are what reached the block device under an ext4 of its own, its journal included",
        "online = at rest + transitions × bytes per transition + 4 write probes × bytes per probe",
        "away = a whole day through the real journal on that disk, the clock moved by hand: the figures the agent had published, every 5 min, and the transitions; after each a sync, as minutes lie between them; + 4 write probes",
      ],
      atRestBytesPerDay: round((atRest * DAY_S) / idle, 0),
      bytesPerTransition: round(perTransition, 0),
      writeBytesPerTransitionByProcIo: round(byProcess, 0),
      bytesPerProbe: round(probing / probes, 0),
      away,
    };
  },
});

interface Disk extends Disposable {
  point: string;
  sync(): void;
  /** Bytes that reached the device while `work` ran, and until all of it was down. */
  during(work: () => Promise<void>): Promise<number>;
}

/** A small ext4 of its own on a loop device, whose counters tell what is written. */
function openDisk(folder: string): Disk {
  const image = join(folder, "disk.img");
  const point = join(folder, "disk");
  mkdirSync(point);
  run("truncate", ["-s", "64M", image]);
  run("mkfs.ext4", ["-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", image]);
  const device = run("losetup", ["--find", "--show", image]).trim();
  run("mount", [device, point]);
  const written = (): number =>
    512 * Number(readFileSync(`/sys/block/${device.split("/").at(-1)}/stat`, "utf8").trim().split(/\s+/)[6]);
  const sync = (): void => void run("sync", ["-f", point]);
  return {
    point,
    sync,
    async during(work) {
      sync();
      const before = written();
      await work();
      sync();
      return written() - before;
    },
    [Symbol.dispose]() {
      run("umount", [point]);
      run("losetup", ["--detach", device]);
    },
  };
}

/** Every figure the agent publishes, the last of each code. */
async function collectTelemetry(port: number) {
  const client = await connectAsync({ host: "127.0.0.1", port, protocolVersion: 5 });
  const latest = new Map<string, { ts: number }>();
  client.on("message", (topic, payload) => latest.set(topic.split("/").at(-1) ?? "", JSON.parse(payload.toString())));
  await client.subscribeAsync(topics.tele(DEVICE, "+"));
  return {
    latest: () => [...latest].map(([code, body]) => ({ code, body })),
    [Symbol.asyncDispose]: () => client.endAsync(),
  };
}

async function awayDay(disk: Disk, figures: { code: string; body: { ts: number } }[]) {
  if (figures.length === 0) throw new Error("the agent published no figures");
  const clock = new HandClock();
  const folder = join(disk.point, "away");
  mkdirSync(folder);
  await using outbox = await openJournal({ folder: folderAt(folder), clock, log: silentLog, maxBytes: 4_194_304 });
  const slots = DAY_S / TELEMETRY_S;
  const bytes = await disk.during(async () => {
    for (let slot = 0; slot < slots; slot += 1) {
      await clock.wind(TELEMETRY_S * 1000);
      await outbox.keepTelemetry(figures);
      const due = Math.floor(((slot + 1) * TRANSITIONS_PER_DAY) / slots) > Math.floor((slot * TRANSITIONS_PER_DAY) / slots);
      if (due) await outbox.append([alarmChange("process.bench", slot % 2 === 0, clock.wall())]);
      disk.sync();
    }
  });
  const { durable, pending, droppedTelemetry, droppedRecords } = outbox.stats();
  if (!durable) throw new Error("the journal was not durable");
  const codes = figures.length;
  return { bytes, samples: slots * codes, codes, sampleBytes: JSON.stringify(figures).length, pending, droppedTelemetry, droppedRecords };
}
