#!/usr/bin/env node
import { randomBytes } from "node:crypto";
import { systemClock } from "../platform/clock.ts";
import { runOps } from "./cli.ts";

/** What does an operator do from a shell? `vigil devices | device | alarms | tickets | ticket show | watch | token new`. */
const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort());
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    stop.abort(); // `vigil watch | head -1`: nobody reads on
    if (stream === process.stdout) process.exit(0);
  });
}
process.exitCode = await runOps({
  argv: process.argv.slice(2),
  env: process.env,
  tty: process.stdout.isTTY === true,
  columns: process.stdout.columns,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  clock: systemClock,
  random: (count) => randomBytes(count),
  stop: stop.signal,
});
