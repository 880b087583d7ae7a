import { readFileSync, writeFileSync } from "node:fs";
import { arch, cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../../platform/clock.ts";
import type { Row } from "./matrix.ts";

/** The table of the fault matrix, as people read it. */

const PAGE = fileURLToPath(new URL("../../../docs/streams.md", import.meta.url));
const FROM = "<!-- matrix: written by npm run test:streams -->";
const TO = "<!-- matrix ends -->";

const inSeconds = (ms: number | undefined): string => (ms === undefined ? "–" : (ms / 1_000).toFixed(1));
const within = (ms: number | undefined, bound: number | undefined): string =>
  bound === undefined ? "–" : `${inSeconds(ms)} / ${inSeconds(bound)}`;

export function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(
    ({ name, by, wanted, seen, hop, detectMs, boundMs, clearMs, clearBoundMs, wrong }) =>
      `| ${name} | ${by} | ${wanted} | ${seen}${hop === "" ? "" : ` (${hop})`} | ${within(detectMs, boundMs)} | ${within(clearMs, clearBoundMs)} | ${wrong.length === 0 ? "ok" : wrong.join("; ")} |`,
  );
  return [
    "| fault | injected by | must be said | said | detected / bound, s | cleared / bound, s | |",
    "|---|---|---|---|---|---|---|",
    ...lines,
  ].join("\n");
}

/** Whether every case has its row. */
export const isWhole = (rows: readonly Row[], cases: readonly { name: string }[]): boolean =>
  cases.every(({ name }) => rows.some((row) => row.name === name));

/** Puts the table between its two lines in docs/streams.md. */
export function writeTable(rows: readonly Row[]): void {
  const page = readFileSync(PAGE, "utf8");
  const [from, to] = [page.indexOf(FROM), page.indexOf(TO)];
  if (from === -1 || to < from) throw new Error(`${PAGE} has no place for the table`);
  const day = new Date(systemClock.wall()).toISOString().slice(0, 10);
  const [first] = cpus();
  const machine = `${day}, ${cpus().length} × ${first?.model.trim() ?? "?"} (${arch()}), Node ${process.versions.node}`;
  const text = `${FROM}\n${machine}; other work ran on it.\n\n${tableOf(rows)}\n`;
  writeFileSync(PAGE, page.slice(0, from) + text + page.slice(to));
}
