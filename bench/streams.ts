import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../platform/clock.ts";
import { programPath } from "../test/kit/peers.ts";
import { tempFolder } from "../test/kit/temp.ts";
import { bench, median, round, tell } from "./bench.ts";
import { type Group, type Memory, makeGroup, memoryOf } from "./cgroup.ts";
import { install, loopbackOnly, startTlsBroker, type TlsBroker } from "./shipped.ts";
import { serveFullHd } from "./stream-servers.ts";

/** A peer looks as long and as often as a sampled stream is looked at. */
const SAMPLE_S = 5;
const EVERY_S = 60;
const SAMPLE_MS = 5_000;

type Mode = "continuous" | "sampled";
interface Row {
  name: string;
  streams: number;
  /** Of the whole program. */
  cpuSecondsPerHour: number;
  pctOfCore: number;
  anonMb: number;
  pssMb: number;
  rssMb: number;
}

export const streamsCost = bench({
  asks: "What does a watched stream cost, beside ffprobe and ffmpeg?",
  minutes: 25,
  options: { warm: 45, seconds: 240 },
  async run({ warm, seconds }) {
    using folder = tempFolder("streams");
    await using broker = await startTlsBroker(folder.path);
    await using server = await serveFullHd();
    const { url } = server;
    const sessions = (): number => server.gst.sessions();
    const order = { warm, seconds, broker, url, sessions, folder: folder.path };
    // one after the other, so that none takes the caches of another; the peers in the run of four streams
    const runs = [
      () => [agent("agent-0", order, 0, "continuous")],
      () => [agent("agent-4", order, 4, "continuous"), sampler(order), decoder(order)],
      () => [agent("agent-1", order, 1, "continuous")],
      () => [agent("agent-16", order, 16, "continuous")],
      () => [agent("agent-4-pictures", order, 4, "continuous", true)],
      // seconds a minute: these do not disturb each other
      () => [1, 4, 16].map((count) => agent(`agent-${count}-sampled`, order, count, "sampled")),
    ];
    const rows: Row[] = [];
    for (const run of runs) rows.push(...(await measure(run(), order)));
    return found(rows);
  },
});

interface Order {
  warm: number;
  seconds: number;
  broker: TlsBroker;
  url: string;
  /** How many the server has now. */
  sessions: () => number;
  folder: string;
}

/** A program that has been started in a group of its own. */
interface Candidate extends Disposable {
  name: string;
  streams: number;
  /** Sessions that stand all the time. */
  sessions: number;
  group: Group;
  /** Whose memory counts; of a peer that is started anew for each sample there is none that stays. */
  pid: number | undefined;
}

/** The shipped agent with so many streams to watch, in a group of its own. */
export function agent(
  name: string,
  { broker, url, folder }: Pick<Order, "broker" | "url" | "folder">,
  streams: number,
  mode: Mode,
  pictures = false,
  flags: readonly string[] = [],
): Candidate {
  const own = join(folder, name);
  const targets = Array.from({ length: streams }, (_, i) => ({
    ...{ name: `cam-${i + 1}`, type: "rtsp", url, at: "forwarder", mode },
    // ffmpeg's work is told apart
    picture: { enabled: pictures },
  }));
  const { argv, env } = install("agent", own, {
    device: `bench-${name}`,
    brokers: [broker.asTls(`bench-${name}`)],
    stateDir: join(own, "state"),
    runtimeDir: join(own, "run"),
    checks: {
      ...loopbackOnly,
      clock: { sync: { expected: false } },
      // mode is forced, so that the budget decides nothing
      stream: { targets, budget: { continuousUpTo: 32, cpuPct: 100 } },
    },
  });
  const [node = "", ...words] = argv;
  return started(name, streams, [node, ...flags, ...words], join(own, "log"), {
    env,
    sessions: mode === "continuous" ? streams : 0,
  });
}

/** What a script of cron would do: ffprobe looks at the packets for five seconds, once a minute. */
function sampler({ url, folder }: Order): Candidate {
  const words = ["-v", "error", "-rtsp_transport", "tcp", "-select_streams", "v", "-show_packets", "-of", "compact"];
  const script = join(folder, "ffprobe.sh");
  const look = `${programPath("ffprobe")} ${words.join(" ")} -read_intervals %+${SAMPLE_S} ${url}`;
  writeFileSync(
    script,
    `while :; do begun=$(date +%s); timeout 20 ${look} > ${folder}/packets; sleep $((${EVERY_S} - $(date +%s) + begun)); done\n`,
  );
  return started("ffprobe-sampled", 1, ["/bin/sh", script], join(folder, "ffprobe.log"));
}

/** What a decoding monitor does without end: freezedetect and blackdetect on every frame. */
function decoder({ url, folder }: Order): Candidate {
  const argv = [
    ...[programPath("ffmpeg"), "-v", "error", "-nostdin", "-rtsp_transport", "tcp", "-i", url],
    ...["-vf", "freezedetect=n=-60dB:d=2,blackdetect=d=2", "-an", "-f", "null", "-"],
  ];
  return started("ffmpeg-decoding", 1, argv, join(folder, "ffmpeg.log"), { counts: true, sessions: 1 });
}

function started(
  name: string,
  streams: number,
  argv: readonly string[],
  log: string,
  {
    env = {},
    counts = env["NODE_COMPILE_CACHE"] !== undefined,
    sessions = 0,
  }: { env?: Readonly<Record<string, string>>; counts?: boolean; sessions?: number } = {},
): Candidate {
  const group = makeGroup(`streams-${name}`);
  const { pid } = group.start(argv, log, env);
  const end = (): void => group[Symbol.dispose]();
  return { name, streams, sessions, group, pid: counts ? pid : undefined, [Symbol.dispose]: end };
}

/** Runs them at once and ends them. */
async function measure(candidates: readonly Candidate[], { warm, seconds, sessions }: Order): Promise<Row[]> {
  using running = new DisposableStack();
  for (const one of candidates) running.use(one);
  tell(`${candidates.map(({ name }) => name).join(", ")}: ${warm} s to warm up, ${seconds} s`);
  await systemClock.sleep(warm * 1_000);
  const due = candidates.reduce((sum, one) => sum + one.sessions, 0);
  if (sessions() < due) throw new Error(`${sessions()} sessions stand of ${due}: what is to be measured is not there`);
  const before = candidates.map(({ group }) => group.cpuS());
  const memories = candidates.map((): Memory[] => []);
  const began = systemClock.now();
  for (let left = seconds * 1_000; left > 0; left = seconds * 1_000 - (systemClock.now() - began)) {
    await systemClock.sleep(Math.min(SAMPLE_MS, left));
    for (const [i, { pid }] of candidates.entries()) if (pid !== undefined) memories[i]?.push(memoryOf(pid));
  }
  const hours = (systemClock.now() - began) / 3_600_000;
  return candidates.map(({ name, streams, group }, i) => {
    const cpuSecondsPerHour = (group.cpuS() - (before[i] ?? 0)) / hours;
    const of = (key: keyof Memory): number => round(median((memories[i] ?? []).map((memory) => memory[key])));
    const row = {
      ...{ name, streams, cpuSecondsPerHour: round(cpuSecondsPerHour), pctOfCore: round(cpuSecondsPerHour / 36) },
      ...{ anonMb: of("anonMb"), pssMb: of("pssMb"), rssMb: of("rssMb") },
    };
    tell(JSON.stringify(row));
    return row;
  });
}

function found(rows: readonly Row[]) {
  const of = (name: string): Row => {
    const row = rows.find((one) => one.name === name);
    if (row === undefined) throw new Error(`no ${name}`);
    return row;
  };
  const none = of("agent-0").cpuSecondsPerHour;
  /** For each stream, what it adds to an agent without any. */
  const each = (name: string): number => {
    const { cpuSecondsPerHour, streams } = of(name);
    return round((cpuSecondsPerHour - none) / streams);
  };
  const four = of("agent-4");
  const cost = (count: number, mode: Mode) => ({
    figure: `… ${count === 1 ? "1 stream" : `each of ${count} streams`}, ${mode === "sampled" ? "5 s each minute" : "continuously"}`,
    measured: each(mode === "sampled" ? `agent-${count}-sampled` : `agent-${count}`),
    unit: "CPU s per stream-hour",
    ...(mode === "continuous" ? { atMost: 36 } : {}),
  });
  const memory = (name: string) => {
    const { anonMb, pssMb, rssMb } = of(name);
    return { anonMb, pssMb, rssMb };
  };
  return {
    figures: [
      {
        figure: "agent with 4 streams 1080p25 2 Mbit/s, continuously",
        measured: four.pctOfCore,
        unit: "% of a core",
        atMost: 3,
      },
      { figure: "… without streams", measured: of("agent-0").pctOfCore, unit: "% of a core" },
      ...([1, 4, 16] as const).map((count) => cost(count, "continuous")),
      ...([1, 4, 16] as const).map((count) => cost(count, "sampled")),
      {
        figure: "… each of 4 streams, continuously, with a picture a minute (ffmpeg)",
        measured: each("agent-4-pictures"),
        unit: "CPU s per stream-hour",
      },
      {
        figure: "ffprobe, 5 s each minute, 1 stream",
        measured: of("ffprobe-sampled").cpuSecondsPerHour,
        unit: "CPU s per stream-hour",
      },
      {
        figure: "ffmpeg decoding, 1 stream",
        measured: of("ffmpeg-decoding").cpuSecondsPerHour,
        unit: "CPU s per stream-hour",
      },
      {
        figure: "a stream watched continuously to one that ffmpeg decodes",
        measured: round(each("agent-4") / of("ffmpeg-decoding").cpuSecondsPerHour, 3),
        unit: "×",
      },
      {
        figure: "a stream sampled to one that ffprobe samples",
        measured: round(each("agent-4-sampled") / of("ffprobe-sampled").cpuSecondsPerHour, 3),
        unit: "×",
      },
      { figure: "agent with 4 streams: RSS", measured: memory("agent-4").rssMb, unit: "MB", atMost: 90 },
      { figure: "… PSS", measured: memory("agent-4").pssMb, unit: "MB" },
      { figure: "… own memory (anon)", measured: memory("agent-4").anonMb, unit: "MB" },
      { figure: "agent with 16 streams: RSS", measured: memory("agent-16").rssMb, unit: "MB" },
      { figure: "… own memory (anon)", measured: memory("agent-16").anonMb, unit: "MB" },
      { figure: "agent without streams: own memory (anon)", measured: memory("agent-0").anonMb, unit: "MB" },
    ],
    rows,
  };
}
