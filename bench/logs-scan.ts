// What bench/logs.ts measures, in a process of its own, with the flags the agent is shipped with.
import { closeSync, mkdirSync, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CATALOGUE, type Pattern } from "../agent/checks/logs/catalogue.ts";
import { FollowedFile } from "../agent/checks/logs/file.ts";
import { Matcher } from "../agent/checks/logs/matcher.ts";
import { DESIGN_PATTERNS } from "./logs-corpus.ts";

const CHUNK = 65_536;
const QUIET_ROUNDS = 20_000;

/** Reads the file as the agent does, and returns the matching lines, however many patterns each matches. */
function scan(path: string, patterns: readonly Pattern[]): { bytes: number; lines: number } {
  const matcher = new Matcher(patterns);
  const chunk = Buffer.allocUnsafeSlow(CHUNK);
  const fd = openSync(path, "r");
  let [bytes, lines] = [0, 0];
  let last = "";
  const onHit = (_: Pattern, line: string): void => {
    if (line !== last) lines += 1;
    last = line;
  };
  for (;;) {
    const length = readSync(fd, chunk, 0, CHUNK, bytes);
    const end = chunk.lastIndexOf(10, length - 1) + 1;
    if (length === 0 || end === 0) break;
    last = "";
    matcher.scan(chunk.subarray(0, end), onHit);
    bytes += end;
  }
  closeSync(fd);
  return { bytes, lines };
}

/** Each line by each pattern: slow, and surely right. */
function naive(path: string, patterns: readonly Pattern[]): number {
  const all = patterns.map(({ regex = "" }) => new RegExp(regex));
  return readFileSync(path, "latin1")
    .split("\n")
    .filter((line) => all.some((one) => one.test(line))).length;
}

function cpuSeconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

function quietRoundUs(folder: string): number {
  mkdirSync(folder);
  const files = Array.from({ length: 5 }, (_, i) => {
    const path = join(folder, `${i}.log`);
    writeFileSync(path, "a line\n");
    return new FollowedFile(path, () => {}, "end");
  });
  const budget = { bytes: CHUNK, more: () => true };
  const round = (now: number): void => {
    for (const file of files) file.poll(now, budget);
  };
  for (let i = 0; i < 100; i += 1) round(i);
  const seconds = cpuSeconds(() => {
    for (let i = 0; i < QUIET_ROUNDS; i += 1) round(i);
  });
  return (seconds * 1e6) / QUIET_ROUNDS;
}

const [corpus = "", passes = "1", folder = ""] = process.argv.slice(2);
const measured = (patterns: readonly Pattern[]) => {
  let lines = 0;
  const mbPerCpuS = Array.from({ length: Number(passes) }, () => {
    let bytes = 0;
    const seconds = cpuSeconds(() => ({ bytes, lines } = scan(corpus, patterns)));
    return bytes / 1e6 / seconds;
  });
  return { lines, mbPerCpuS };
};
const found = {
  design: measured(DESIGN_PATTERNS),
  catalogue: measured(CATALOGUE),
  quietRoundUs: quietRoundUs(folder),
  naiveLines: naive(corpus, DESIGN_PATTERNS),
};
process.stdout.write(JSON.stringify(found));
