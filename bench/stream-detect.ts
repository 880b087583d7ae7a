import { join } from "node:path";
import { systemClock } from "../platform/clock.ts";
import { topics } from "../protocol/topics.ts";
import { clip } from "../test/kit/stream/clips.ts";
import { rtpEncoder, startGst } from "../test/kit/stream/gst.ts";
import { startNginx } from "../test/kit/stream/nginx.ts";
import { publish } from "../test/kit/stream/publish.ts";
import { tempFolder } from "../test/kit/temp.ts";
import { bench, median, round, tell } from "./bench.ts";
import { makeGroup } from "./cgroup.ts";
import { listen } from "./detect.ts";
import { install, loopbackOnly, startTlsBroker, type TlsBroker } from "./shipped.ts";
import { LiveCheck } from "./stream-check.ts";

const DEVICE = "bench-streams";
const PATIENCE_MS = 90_000;
/** The agent's first rounds, its birth, and what is to be learnt of the streams. */
const SETTLE_MS = 25_000;
/** Well for at least so long before the next fault, and up to twice as long: at any phase of the rounds and the GOP. */
const REST_MS = 8_000;

/** A stream of its own and what is done to it. */
interface Fault {
  name: string;
  says: string;
  /** Any of these names the fault. */
  reasons: readonly string[];
  /** What the contract allows for the verdict, s. */
  atMost?: number;
  target: object;
  inject(): void | Promise<void>;
  heal(): void | Promise<void>;
}

interface Shot {
  reason: string;
  verdictMs: number;
  eventMs: number;
  clearMs: number;
}

export const streamDetect = bench({
  asks: "How long from a stream's fault to the verdict, and to its MQTT event?",
  minutes: 14,
  options: { repeats: 10 },
  async run({ repeats }) {
    using folder = tempFolder("stream-detect");
    await using servers = new AsyncDisposableStack();
    const faults = await makeFaults(servers);
    await using broker = await startTlsBroker(folder.path);
    const targets = faults.map(({ name, target }) => ({
      name,
      picture: { enabled: false },
      mode: "continuous",
      ...target,
    }));
    const stream = { targets, budget: { continuousUpTo: 32, cpuPct: 100 } };
    using check = new LiveCheck({ deadlineMs: 30_000, ...stream }, join(folder.path, "check"));
    if (!(await check.wellWithin(60_000))) throw new Error(`not all are well: ${JSON.stringify(check.verdicts)}`);
    tell(`${faults.length} streams are well; each dies ${repeats} times`);
    const rows = faults.map((fault) => ({ fault, shots: [] as Shot[] }));
    for (let time = 0; time < repeats; time += 1) {
      await using watching = await watchAnew(`${DEVICE}-${time}`, folder.path, stream, broker);
      await Promise.all(
        rows.map(async ({ fault, shots }) => shots.push(await shoot(fault, check, watching.alarm(fault.name)))),
      );
    }
    return { figures: rows.flatMap(figuresOf), shots: rows.map(({ fault, shots }) => ({ fault: fault.name, shots })) };
  },
});

/** An alarm as it is heard over MQTT: `on` whether it stands. */
type Hear = (on: boolean) => Promise<number>;

/** The shipped agent, new to it all: an alarm that came and went twice would rightly be called flapping, and held. */
async function watchAnew(device: string, folder: string, stream: object, broker: TlsBroker) {
  await using stack = new AsyncDisposableStack();
  const own = join(folder, device);
  const { argv, env } = install("agent", own, {
    device,
    brokers: [broker.asTls(device)],
    stateDir: join(own, "state"),
    runtimeDir: join(own, "run"),
    checks: { ...loopbackOnly, clock: { sync: { expected: false } }, stream },
  });
  const group = stack.use(makeGroup("stream-detect"));
  const ear = stack.use(await listen(broker.plainPort, device, PATIENCE_MS));
  group.start(argv, join(own, "log"), env);
  await systemClock.sleep(SETTLE_MS);
  const held = stack.move();
  return {
    alarm:
      (name: string): Hear =>
      (on) =>
        ear.first(topics.alarm(device, `stream.${name}`), on ? /"active":true/ : /"active":false/),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

async function shoot(fault: Fault, check: LiveCheck, hear: Hear): Promise<Shot> {
  await systemClock.sleep(REST_MS * (1 + Math.random()));
  if (!(await check.wellWithin(PATIENCE_MS, fault.name))) throw new Error(`${fault.name}: is not well again`);
  const told = hear(true);
  const at = systemClock.now();
  await fault.inject();
  const verdict = await check.first(at, PATIENCE_MS, ({ subject, what, reason }) =>
    [subject === fault.name, what === "verdict", fault.reasons.includes(reason)].every(Boolean),
  );
  if (verdict === undefined) throw new Error(`${fault.name}: never seen; ${JSON.stringify(check.events.slice(-5))}`);
  const eventMs = (await told) - at;
  const cleared = hear(false);
  const healed = systemClock.now();
  await fault.heal();
  const shot = { reason: verdict.reason, verdictMs: verdict.at - at, eventMs, clearMs: (await cleared) - healed };
  tell(`${fault.name}: ${JSON.stringify(shot)}`);
  return shot;
}

function figuresOf({ fault: { says, atMost }, shots }: { fault: Fault; shots: readonly Shot[] }) {
  const seconds = (of: (shot: Shot) => number, pick: (values: number[]) => number): number =>
    round(pick(shots.map(of)) / 1_000);
  const most = (values: number[]): number => Math.max(...values);
  return [
    { figure: `${says}: to the verdict, median`, measured: seconds(({ verdictMs }) => verdictMs, median), unit: "s" },
    {
      figure: "… worst",
      measured: seconds(({ verdictMs }) => verdictMs, most),
      unit: "s",
      ...(atMost === undefined ? {} : { atMost }),
    },
    {
      figure: "… to the MQTT event (hold-on 6 s), median",
      measured: seconds(({ eventMs }) => eventMs, median),
      unit: "s",
    },
    { figure: "… to the MQTT event, worst", measured: seconds(({ eventMs }) => eventMs, most), unit: "s" },
    {
      figure: "… healed to cleared over MQTT (hold-off 8 s), worst",
      measured: seconds(({ clearMs }) => clearMs, most),
      unit: "s",
    },
  ];
}

/** Each on a server of its own, so that they can die at once. */
async function makeFaults(servers: AsyncDisposableStack): Promise<Fault[]> {
  return [
    await hung(servers),
    await switched(servers, "vstall", "vstall=1", ["no_video", "no_media"], "video stops, audio goes on", 5),
    await switched(servers, "tsstuck", "tsstuck=1", ["timestamp"], "stamps stand still", 5),
    await switched(servers, "loss", "drop=5", ["loss"], "5 % of the packets lost", 10),
    await serverKilled(servers),
    await publisherKilled(servers),
    await resized(servers),
  ];
}

const rtsp = (url: string): object => ({ type: "rtsp", url, at: "forwarder" });

async function hung(servers: AsyncDisposableStack): Promise<Fault> {
  const gst = servers.use(await startGst());
  const encoder = servers.use(rtpEncoder(clip("move"), gst.forwardPort));
  return {
    ...{
      name: "hung",
      says: "encoder hangs (SIGSTOP)",
      reasons: ["no_media"],
      atMost: 5,
      target: rtsp(gst.url("fwd")),
    },
    inject: () => void encoder.process.kill("SIGSTOP"),
    heal: () => void encoder.process.kill("SIGCONT"),
  };
}

async function switched(
  servers: AsyncDisposableStack,
  name: string,
  line: string,
  reasons: readonly string[],
  says: string,
  atMost: number,
): Promise<Fault> {
  const gst = servers.use(await startGst());
  const withSound = name === "vstall";
  if (!withSound) servers.use(rtpEncoder(clip("move"), gst.forwardPort));
  return {
    ...{ name, says, reasons, atMost, target: rtsp(gst.url(withSound ? "h264" : "fwd")) },
    inject: () => gst.fault(line),
    heal: () => gst.fault("reset"),
  };
}

async function serverKilled(servers: AsyncDisposableStack): Promise<Fault> {
  let gst = await startGst();
  let encoder = rtpEncoder(clip("move"), gst.forwardPort);
  const { port } = gst;
  servers.defer(async () => {
    await encoder.kill9();
    await gst.kill9();
  });
  return {
    ...{ name: "server", says: "server killed", atMost: 2, target: rtsp(gst.url("fwd")) },
    reasons: ["refused", "ended", "no_media"],
    inject: () => gst.kill9(),
    async heal() {
      await encoder.kill9();
      gst = await startGst({ port });
      encoder = rtpEncoder(clip("move"), gst.forwardPort);
    },
  };
}

async function publisherKilled(servers: AsyncDisposableStack): Promise<Fault> {
  const nginx = servers.use(await startNginx());
  const url = nginx.rtmp("cam1");
  let publisher = publish(clip("move"), url);
  servers.defer(() => publisher.kill9());
  return {
    ...{ name: "publisher", says: "RTMP publisher killed", atMost: 5, target: { type: "rtmp", url, at: "forwarder" } },
    reasons: ["no_media", "ended", "missing"],
    inject: () => publisher.kill9(),
    heal() {
      publisher = publish(clip("move"), url);
    },
  };
}

async function resized(servers: AsyncDisposableStack): Promise<Fault> {
  const gst = servers.use(await startGst());
  const [large, small] = [clip("move"), clip("move", { width: 320, height: 180 })];
  let encoder = rtpEncoder(large, gst.forwardPort);
  servers.defer(() => encoder.kill9());
  const change = async (file: string): Promise<void> => {
    await encoder.kill9();
    encoder = rtpEncoder(file, gst.forwardPort);
  };
  return {
    ...{ name: "resized", says: "another picture size (with a restart of the encoder)", reasons: ["resolution"] },
    target: { ...rtsp(gst.url("fwd")), expect: { width: 640, height: 360 } },
    inject: () => change(small),
    heal: () => change(large),
  };
}
