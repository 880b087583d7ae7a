// What does it cost? Every figure of docs/performance.md comes from a command here.
import { spawnSync } from "node:child_process";
import { globSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../platform/clock.ts";
import { type Bench, round, tell } from "./bench.ts";
import { children } from "./children.ts";
import { detect } from "./detect.ts";
import { flash } from "./flash.ts";
import { fleet } from "./fleet.ts";
import { footprint } from "./footprint.ts";
import { intake } from "./intake.ts";
import { logs } from "./logs.ts";
import { writePage } from "./page.ts";
import { restart } from "./restart.ts";
import { silence } from "./silence.ts";
import { soak } from "./soak.ts";
import { start } from "./start.ts";
import { streamCalm } from "./stream-calm.ts";
import { streamDetect } from "./stream-detect.ts";
import { streamFuzz } from "./stream-fuzz.ts";
import { streamHeap } from "./stream-heap.ts";
import { streamSoak } from "./stream-soak.ts";
import { streamsCost } from "./streams.ts";
import { trends } from "./trends.ts";

const BENCHES: Readonly<Record<string, Bench>> = {
  footprint,
  detect,
  start,
  soak,
  flash,
  children,
  logs,
  intake,
  fleet,
  silence,
  restart,
  trends,
  streams: streamsCost,
  "stream-detect": streamDetect,
  "stream-calm": streamCalm,
  "stream-soak": streamSoak,
  "stream-heap": streamHeap,
  "stream-fuzz": streamFuzz,
};
const RESULTS = "bench/results";
const root = join(import.meta.dirname, "..");

function list(): void {
  console.log("npm run bench -- NAME [--option N …]    one; its result goes to bench/results/NAME.json");
  console.log("npm run bench -- all                    one after another, on a machine with nothing else to do");
  console.log("npm run bench -- page                   writes docs/performance.md from bench/results\n");
  for (const [name, { asks, minutes, options }] of Object.entries(BENCHES)) {
    const given = Object.entries(options).map(([key, value]) => `--${key} ${value}`);
    console.log(`${name.padEnd(10)} ${`${minutes} min`.padStart(6)}  ${asks}\n${"".padEnd(19)}${given.join(" ")}`);
  }
}

async function measure(name: string, { run, options: defaults }: Bench, args: string[]): Promise<void> {
  build();
  const names = Object.keys(defaults);
  const { values } = parseArgs({ args, options: Object.fromEntries(names.map((key) => [key, { type: "string" }])) });
  const given = Object.entries(values).map(([key, text]) => [key, Number(text)] as const);
  for (const [key, value] of given) if (!Number.isFinite(value)) throw new Error(`--${key} takes a number`);
  const options = { ...defaults, ...Object.fromEntries(given) };
  const about = {
    bench: name,
    command: ["npm run bench --", name, ...args].join(" "),
    date: new Date(systemClock.wall()).toISOString().slice(0, 16),
    machine: machine(),
    whole: Object.entries(defaults).every(([key, value]) => options[key] === value),
    options,
  };
  const loadBefore = loadavg()[0] ?? 0;
  const found = await run(options);
  const text = JSON.stringify({ ...about, loadBefore: round(loadBefore), ...found }, undefined, 2);
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(`${RESULTS}/${name}.json`, `${text}\n`);
  console.log(text);
}

function machine(): string {
  const model = cpus()[0]?.model.replace(/\s+/g, " ").trim();
  return `${cpus().length} × ${model}, Linux ${release()}, Node ${process.version}`;
}

/** Builds dist/ where a source is newer. */
function build(): void {
  const sources = globSync(["{protocol,platform,agent,aggregator,ops}/**/*.ts", "scripts/b*.ts", "package-lock.json"]);
  const newest = Math.max(...sources.map((file) => statSync(file).mtimeMs));
  if ((statSync("dist/agent.js", { throwIfNoEntry: false })?.mtimeMs ?? 0) > newest) return;
  const { status } = spawnSync(process.execPath, ["scripts/build.ts"], { stdio: ["ignore", 2, 2] });
  if (status !== 0) throw new Error("dist/ could not be built");
}

/** Each in a process of its own: none inherits another's heap. */
function all(): void {
  for (const name of Object.keys(BENCHES)) {
    tell(`\n== ${name}`);
    const { status } = spawnSync(process.execPath, [import.meta.filename, name], { stdio: "inherit" });
    if (status !== 0) process.exitCode = 1;
  }
}

process.chdir(root);
const [name, ...args] = process.argv.slice(2);
const chosen = name === undefined ? undefined : BENCHES[name];
if (name === undefined || name === "--help" || name === "-h") list();
else if (name === "all") all();
else if (name === "page") writePage(RESULTS);
else if (chosen !== undefined) await measure(name, chosen, args);
else {
  console.error(`no bench "${name}"; there are ${Object.keys(BENCHES).join(", ")}, all, page`);
  process.exitCode = 2;
}
