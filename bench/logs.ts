import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { run } from "../test/kit/peers.ts";
import { tempFolder } from "../test/kit/temp.ts";
import { bench, median, round, tell } from "./bench.ts";
import { DESIGN_PATTERNS, writeCorpus } from "./logs-corpus.ts";

/** What bench/logs-scan.ts prints. */
interface Scanned {
  design: { lines: number; mbPerCpuS: number[] };
  catalogue: { lines: number; mbPerCpuS: number[] };
  quietRoundUs: number;
  naiveLines: number;
}

export const logs = bench({
  asks: "How much log can be looked through in a second of processor time, and what does a round cost in which nothing came?",
  minutes: 1,
  options: { megabytes: 60, passes: 7 },
  async run({ megabytes, passes }) {
    using folder = tempFolder("logs");
    const corpus = join(folder.path, "corpus.log");
    const program = join(folder.path, "scan.mjs");
    writeCorpus(corpus, megabytes * 1e6);
    buildSync({ entryPoints: ["bench/logs-scan.ts"], bundle: true, platform: "node", format: "esm", outfile: program });
    const scan = (name: string, flags: readonly string[]): Scanned => {
      tell(`${passes} times ${megabytes} MB ${flags.join(" ")}`);
      const argv = [...flags, program, corpus, String(passes), join(folder.path, name)];
      const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: "utf8" });
      if (status !== 0) throw new Error(stderr);
      return JSON.parse(stdout);
    };
    const shipped = scan("shipped", shippedFlags());
    const free = scan("free", []);
    const grepped = Number(run("grep", ["-cE", grepOf(), corpus]));
    for (const { design, naiveLines } of [shipped, free])
      if (design.lines !== grepped || naiveLines !== grepped)
        throw new Error(`lines that match: ${design.lines}, line by line ${naiveLines}, grep ${grepped}`);
    const speed = ({ mbPerCpuS }: Scanned["design"]): number => round(median(mbPerCpuS), 0);
    const unit = "MB per CPU second";
    return {
      figures: [
        { figure: "log matching, the design's 20 patterns", measured: speed(shipped.design), unit, atLeast: 150 },
        { figure: "… the whole catalogue", measured: speed(shipped.catalogue), unit },
        { figure: "… the 20 without `--jitless`", measured: speed(free.design), unit },
        { figure: "a round over five quiet logs", measured: round(shipped.quietRoundUs, 1), unit: "µs of CPU" },
      ],
      matchingLines: grepped,
      shipped,
      free,
    };
  },
});

/** As deploy/vigil-agent.service starts it. */
function shippedFlags(): string[] {
  const unit = readFileSync("deploy/vigil-agent.service", "utf8");
  const flags = /^ExecStart=.*\/node (.*) \S*agent\.js /m.exec(unit)?.[1];
  if (flags === undefined) throw new Error("deploy/vigil-agent.service is not as expected");
  return flags.split(" ");
}

/** The same as one expression of grep -E, which has no `\d`. */
const grepOf = (): string => DESIGN_PATTERNS.map(({ regex = "" }) => regex.replaceAll("\\d", "[0-9]")).join("|");
