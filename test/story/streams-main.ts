// npm run test:streams [-- --only WORD[,WORD] --jobs N --json]: every fault of a stream on real servers, before the whole check.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { needsNets, openNetSpace } from "../kit/net-space.ts";
import { type FaultCase, type Row, runCase } from "../kit/stream/matrix.ts";
import { NET_CASES } from "../kit/stream/matrix-net.ts";
import { RTSP_CASES } from "../kit/stream/matrix-rtsp.ts";
import { SERVER_CASES } from "../kit/stream/matrix-servers.ts";
import { isWhole, tableOf, writeTable } from "../kit/stream/matrix-table.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    jobs: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
    /** We are in a network of our own already. */
    inside: { type: "boolean", default: false },
  },
});
const words = values.only.toLowerCase().split(",").filter(Boolean);
const all = [...RTSP_CASES, ...SERVER_CASES, ...NET_CASES];
const chosen = all.filter(({ name }) => words.length === 0 || words.some((word) => name.toLowerCase().includes(word)));
const rows = new Map<string, Row>();
const skipped: string[] = [];
const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** A fault of the network is tried by a process of its own in there. */
async function inNet(one: FaultCase): Promise<Row> {
  using space = openNetSpace();
  const [enter, ...more] = space.enter;
  const args = [...more, process.execPath, fileURLToPath(import.meta.url), "--inside", "--json", "--only", one.name];
  const child = spawn(enter, args, { stdio: ["ignore", "pipe", "inherit"] });
  let row: Row | undefined;
  for await (const line of createInterface(child.stdout)) row = JSON.parse(line);
  if (row === undefined) throw new Error(`nothing came of "${one.name}"`);
  return row;
}

async function take(one: FaultCase): Promise<void> {
  if (one.skip() || (one.inNet === true && !values.inside && needsNets())) {
    skipped.push(one.name);
    return;
  }
  try {
    const row = await (one.inNet === true && !values.inside ? inNet(one) : runCase(one, say));
    rows.set(one.name, row);
    if (!values.inside) say(`${row.wrong.length === 0 ? "ok   " : "WRONG"} ${lineOf(row)}`);
  } catch (cause) {
    const wrong = [cause instanceof Error ? cause.message : String(cause)];
    rows.set(one.name, { name: one.name, by: one.by, wanted: "", seen: "", hop: "", wrong });
    say(`WRONG ${one.name}: ${wrong.join()}`);
  }
}

const inSeconds = (ms: number | undefined): string => (ms === undefined ? "-" : `${(ms / 1000).toFixed(1)} s`);
function lineOf({ name, seen, hop, detectMs, clearMs, wrong }: Row): string {
  const times = `detected ${inSeconds(detectMs)}, clear ${inSeconds(clearMs)}`;
  return [`${name}: ${seen}${hop === "" ? "" : ` at ${hop}`}, ${times}`, ...wrong].join("; ");
}

if (!values.inside) {
  say("clips are made, where they are not there yet");
  for (const one of chosen) if (!one.skip()) one.prepare?.();
}
const waiting = [...chosen];
const worker = async (): Promise<void> => {
  for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) await take(one);
};
await Promise.all(Array.from({ length: Number(values.jobs) }, worker));

const told = chosen.flatMap(({ name }) => rows.get(name) ?? []);
if (values.json) for (const row of told) console.log(JSON.stringify(row));
else {
  console.log(tableOf(told));
  for (const name of skipped) console.log(`skipped: ${name}`);
  if (words.length === 0 && skipped.length === 0 && isWhole(told, all)) writeTable(told);
}
if (told.some(({ wrong }) => wrong.length > 0)) process.exitCode = 1;
