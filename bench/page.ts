import { globSync, readFileSync, writeFileSync } from "node:fs";
import type { Figure } from "./bench.ts";

/** What bench/main.ts leaves of a run. */
interface Result {
  bench: string;
  command: string;
  date: string;
  machine: string;
  /** Run with the default options; anything shorter is marked. */
  whole: boolean;
  loadBefore: number;
  figures: readonly Figure[];
}

/** Writes docs/performance.md: its tables from the results, its prose from here. */
export function writePage(results: string): void {
  const found: Result[] = globSync(`${results}/*.json`).map((file) => JSON.parse(readFileSync(file, "utf8")));
  const of = (names: readonly string[]): Result[] =>
    names.flatMap((name) => found.filter(({ bench }) => bench === name));
  const machines = [...new Set(found.map(({ machine }) => machine))];
  const tables = (names: readonly string[]): string => table(of(names), machines);
  const text = `# Performance

Every figure here was written by a command of this repository (\`npm run bench\`, methods in \`bench/README.md\`); this page by
\`npm run bench -- page\`. "Must" is the contract; what misses it is marked ✗ and explained below. MB are 10^6 bytes. The
machine is a virtual one: ratios to a peer measured in the same run carry over to other machines, seconds and milliseconds do
not. An arm64 board of the A53 or A72 class takes an estimated 3 to 6 times the processor time (not measured).

${machines.map((machine, n) => `- Machine ${letter(n)}: ${machine}`).join("\n")}

## Agent

${tables(["footprint", "detect", "soak", "start", "flash", "children", "logs"])}

### Beside its peers

All in the same run, each in a control group of its own, doing comparable work every 10 s: five processes, the root file
system, memory, load, processor, a network interface, a log of two lines a second (all but node_exporter), a file's hash (monit). The
agent has every check on that is on by default, and drift; it runs without the limit of memory that its unit sets (with it: the soak); it leaves the gateway alone, since a bench sends nothing beyond the machine. The agent speaks MQTT over TLS with a client certificate, collectd MQTT without, node_exporter is
scraped, monit tells nobody. "Written" is \`write_bytes\` of \`/proc\`, which
counts whole folios; what reaches the flash is under \`flash\` above.

${peers(of(["footprint"]))}

Node cannot be as small as C: an empty Node process has 8 MB of its own and 34 MB of program text, which the kernel can
drop when it needs the room. What the agent buys with it are alarms with hysteresis and hold-on that survive a power cut, a durable
outbox, and detection in a second.

## Streams

The shipped agent and real servers on the same machine, whose own cost is not counted. A stream is 1080p25 at 2 Mbit/s, H.264 over
RTSP and TCP, without pictures unless said. What a stream costs is an agent with streams less an agent without. ffprobe and ffmpeg
ran at the same time as the agent with four. Detection is from the moment of the fault, at any phase of the rounds.

${tables(["streams", "stream-detect", "stream-calm", "stream-soak", "stream-heap", "stream-fuzz"])}

## Aggregator

${tables(["intake", "fleet", "silence", "restart", "trends"])}

## What misses, and why

${misses(found)}
`;
  writeFileSync("docs/performance.md", text);
}

/** Why a figure is not what it must be, by the beginning of its name. */
const REASONS: Readonly<Record<string, string>> = {
  "agent: CPU":
    "the seconds themselves hold, with every check on; with the spine alone they were 1.35 and 3.89. But the peers are C programs that wake six times a minute, and an empty Node with one timer a second (row `node-1s-timer`) uses more than half of what they do. What is left of a fast round is the waking, one byte of `/proc` for each of five processes, and the way there through cold caches.",
  "agent with 4 streams for":
    "it is garbage that V8 has not looked at yet: it rises at one pace from each collection to the next, and what lives after a full one is the line below. The agent collects everything once an hour: from then on, for the last 80 s of this run, it stood still.",
  "aggregator: 10000 devices":
    "at this pace messages come nearly one by one: a wake-up, a packet and a part of a transaction each. At full rate a message costs half as much (see the line above).",
  "agent: own memory (anon) after":
    "V8 lets 8 MB of garbage gather in the old generation before it looks; what lives is about 10 MB throughout (`node --trace-gc`).",
  "flash written online":
    "each alarm is one 4 kB page, synced at once, and ext4 writes three more into its journal because the file's time changed: 16 kB for an alarm that comes alone, so that a hundred of them cannot be had for less. The design's 4.3 kB were measured on events in quick succession, which share one commit. `lazytime` saves none of it: with each change of time the kernel (6.18, seen in its trace) also counts up the file's version, and that it writes down.",
};

function misses(results: readonly Result[]): string {
  const lines = results.flatMap(({ figures }) =>
    whole(figures)
      .filter(isMissed)
      .map(({ figure, measured, unit, ...limits }) => {
        const because = Object.entries(REASONS).find(([name]) => figure.startsWith(name))?.[1] ?? "not explained yet.";
        return `- ${figure}: ${measured} ${unit}, must be ${limit(limits)}. Because: ${because}`;
      }),
  );
  return lines.length === 0 ? "Nothing." : lines.join("\n");
}

function table(results: readonly Result[], machines: readonly string[]): string {
  const rows = results.flatMap(({ figures, command, date, machine, whole: isWhole }) =>
    figures.map((one) => {
      const mark = one.atMost === undefined && one.atLeast === undefined ? "" : isMissed(one) ? " ✗" : " ✓";
      const told = `\`${command}\`${isWhole ? "" : " (shortened)"}`;
      return `| ${one.figure} | ${limit(one)} | ${one.measured} ${one.unit}${mark} | ${told} | ${date.slice(0, 10)} | ${letter(machines.indexOf(machine))} |`;
    }),
  );
  return ["| figure | must | measured | command | date | machine |", "|---|---|---|---|---|---|", ...rows].join("\n");
}

function peers(results: readonly Result[]): string {
  const [result] = results;
  if (result === undefined || !("rows" in result)) return "Not measured yet.";
  const rows = result.rows as {
    name: string;
    cpuSecondsPerHour: number;
    anonMb: number;
    pssMb: number;
    rssMb: number;
    writtenKbPerHour: number;
  }[];
  const lines = rows.map(
    (row) =>
      `| ${row.name} | ${row.cpuSecondsPerHour} | ${row.anonMb} | ${row.pssMb} | ${row.rssMb} | ${row.writtenKbPerHour} |`,
  );
  return ["| | CPU s/h | own memory MB | PSS MB | RSS MB | written kB/h |", "|---|---|---|---|---|---|", ...lines].join(
    "\n",
  );
}

/** `… to monit` says what it belongs to: the last full name before it. */
function whole(figures: readonly Figure[]): Figure[] {
  let head = "";
  return figures.map((one) => {
    if (!one.figure.startsWith("… ")) head = one.figure;
    return one.figure.startsWith("… ") ? { ...one, figure: `${head} ${one.figure}` } : one;
  });
}

const isMissed = ({ measured, atMost, atLeast }: Figure): boolean =>
  measured > (atMost ?? Number.POSITIVE_INFINITY) || measured < (atLeast ?? Number.NEGATIVE_INFINITY);
const limit = ({ atMost, atLeast }: Pick<Figure, "atMost" | "atLeast">): string =>
  atMost !== undefined ? `≤ ${atMost}` : atLeast !== undefined ? `≥ ${atLeast}` : "";
const letter = (n: number): string => String.fromCharCode(65 + n);
