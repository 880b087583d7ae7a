import {
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  openSync,
  renameSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { parseArgs } from "node:util";
import { systemClock } from "../../platform/clock.ts";

/**
 * A program that writes a log as programs do: `node log-writer.ts --path P --rate LINES --seconds S --every MS
 * --turn rename|copy|cut --count C`. Each line holds "tick" and its number. The number of lines goes to the file C in the
 * end: not beside the log, where it would pass for a part of it.
 */
const { values } = parseArgs({
  options: {
    path: { type: "string", default: "" },
    rate: { type: "string", default: "2000" },
    seconds: { type: "string", default: "5" },
    every: { type: "string", default: "400" },
    turn: { type: "string", default: "rename" },
    count: { type: "string", default: "" },
  },
});
const { path, turn } = values;
const [rate, seconds, every] = [Number(values.rate), Number(values.seconds), Number(values.every)];
const KEPT = 40;

let fd = openSync(path, "a");
let written = 0;
const began = systemClock.now();
let turnAt = began + every;

function rotate(): void {
  for (let i = KEPT; i >= 1; i -= 1) if (existsSync(`${path}.${i}`)) renameSync(`${path}.${i}`, `${path}.${i + 1}`);
  if (turn === "rename") {
    closeSync(fd);
    renameSync(path, `${path}.1`);
    fd = openSync(path, "a");
    return;
  }
  if (turn === "copy") copyFileSync(path, `${path}.1`);
  ftruncateSync(fd);
}

for (let now = began; now < began + seconds * 1_000; now = systemClock.now()) {
  const due = Math.floor(((now - began) * rate) / 1_000);
  let text = "";
  for (; written < due; written += 1) text += `${new Date(systemClock.wall()).toISOString()} app[7]: tick ${written}\n`;
  // in two halves: a follower sees lines that are not whole yet
  writeSync(fd, text.slice(0, text.length / 2));
  writeSync(fd, text.slice(text.length / 2));
  if (now >= turnAt) {
    rotate();
    turnAt = now + every;
  }
  await systemClock.sleep(5);
}
closeSync(fd);
writeFileSync(values.count, String(written));
