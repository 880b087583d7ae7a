import { mkdirSync } from "node:fs";
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
import { tempFolder } from "../test/kit/temp.ts";
import { bench, round, tell } from "./bench.ts";
import { makeGroup, writtenBytes } from "./cgroup.ts";
import { type Disk, openDisk } from "./disk.ts";
import { Services } from "./services.ts";
import { install, loopbackOnly, startTlsBroker } from "./shipped.ts";

const DEVICE = "bench-flash";
const DAY_S = 86_400;
/** Alarms raised and cleared on a bad day. */
const TRANSITIONS_PER_DAY = 100;
const PROBES_PER_DAY = 4;
const TELEMETRY_S = 300;
/** ext4 commits its journal 5 s after the first change: events of a real day do not share a commit, also not when one of them is seen late. */
const APART_MS = 13_000;
/** The inventory, 20 s after the start, is over by then: what its child wrote counts as its parent's. */
const SETTLE_MS = 45_000;
/** In this time after that the day's check is made, once a day. */
const DAILY_MS = 60_000;

export const flash = bench({
  asks: "How much does the agent write to flash in a day, online and with the broker away?",
  minutes: 11,
  options: { idle: 120, transitions: 20, probes: 10 },
  async run({ idle, transitions, probes }) {
    using folder = tempFolder("flash");
    using disk = openDisk(64);
    const { daily, atRest, changing, byProcess, figures } = await online(folder.path, disk, idle, transitions);
    const probing = await disk.during(async () => {
      for (let n = 0; n < probes; n += 1) {
        await probeFile(disk.here, true); // as in the state folder, where the sandboxed agent probes
        disk.sync();
      }
    });
    const away = await awayDay(disk, figures);

    const perTransition = changing / transitions;
    const onlineDay =
      daily + (atRest * DAY_S) / idle + perTransition * TRANSITIONS_PER_DAY + (probing / probes) * PROBES_PER_DAY;
    const awayDayBytes = away.bytes + (probing / probes) * PROBES_PER_DAY;
    const megabytes = (bytes: number): number => round(bytes / 1e6, 3);
    return {
      figures: [
        {
          figure: `flash written online, ${TRANSITIONS_PER_DAY} transitions a day`,
          measured: megabytes(onlineDay),
          unit: "MB/day",
          atMost: 1,
        },
        { figure: "flash written with the broker away", measured: megabytes(awayDayBytes), unit: "MB/day", atMost: 10 },
      ],
      arithmetic: [
        "bytes are what reached the block device under an ext4 of its own, its journal included; write_bytes of /proc/PID/io is told beside them and counts a whole folio (64 kB here) for each byte touched",
        "online = the day's check + at rest + transitions × bytes per transition + 4 write probes × bytes per probe",
        "away = a whole day through the real journal on that disk, the clock moved by hand: the figures the agent had published, every 5 min, and the transitions; after each a sync, as minutes lie between them; + 4 write probes",
      ],
      dailyCheckBytes: daily,
      atRestBytesPerDay: round((atRest * DAY_S) / idle, 0),
      bytesPerTransition: round(perTransition, 0),
      writeBytesPerTransitionByProcIo: round(byProcess / transitions, 0),
      bytesPerProbe: round(probing / probes, 0),
      away,
    };
  },
});

/** The real agent with its state on `disk`: bytes while nothing happens, and while processes die and come back. */
async function online(folder: string, disk: Disk, idleS: number, transitions: number) {
  using services = new Services(folder, transitions / 2);
  await using broker = await startTlsBroker(folder);
  await using figures = await collectTelemetry(broker.plainPort);
  const own = join(folder, "agent");
  const { argv, env } = install("agent", own, {
    device: DEVICE,
    brokers: [broker.asTls(DEVICE)],
    stateDir: join(disk.point, "state"),
    runtimeDir: join(own, "run"), // in memory on a device: not on the flash
    checks: { ...loopbackOnly, process: { watch: services.watch, holdOffMs: 1_000 } },
  });
  using group = makeGroup("flash");
  const { pid } = group.start([...disk.enter, ...argv], "/dev/null", env);
  tell(`${SETTLE_MS / 1000} s to settle, ${idleS} s idle, ${transitions} transitions`);
  await systemClock.sleep(SETTLE_MS);
  const daily = await disk.during(() => systemClock.sleep(DAILY_MS));
  const atRest = await disk.during(() => systemClock.sleep(idleS * 1000));
  const before = writtenBytes(pid);
  const changing = await disk.during(async () => {
    for (const name of services.names) {
      services.kill(name);
      await systemClock.sleep(APART_MS);
      services.start(name);
      await systemClock.sleep(APART_MS);
    }
  });
  return { daily, atRest, changing, byProcess: writtenBytes(pid) - before, figures: figures.latest() };
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
  const folder = join(disk.here, "away");
  mkdirSync(folder);
  await using outbox = await openJournal({ folder: folderAt(folder), clock, log: silentLog, maxBytes: 4_194_304 });
  const slots = DAY_S / TELEMETRY_S;
  const bytes = await disk.during(async () => {
    for (let slot = 0; slot < slots; slot += 1) {
      await clock.wind(TELEMETRY_S * 1000);
      await outbox.keepTelemetry(figures);
      const due =
        Math.floor(((slot + 1) * TRANSITIONS_PER_DAY) / slots) > Math.floor((slot * TRANSITIONS_PER_DAY) / slots);
      if (due) await outbox.append([alarmChange("process.bench", slot % 2 === 0, clock.wall())]);
      disk.sync();
    }
  });
  const { durable, pending, droppedTelemetry, droppedRecords } = outbox.stats();
  if (!durable) throw new Error("the journal was not durable");
  const codes = figures.length;
  return {
    bytes,
    samples: slots * codes,
    codes,
    sampleBytes: JSON.stringify(figures).length,
    pending,
    droppedTelemetry,
    droppedRecords,
  };
}
