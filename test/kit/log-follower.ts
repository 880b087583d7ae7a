import { readFileSync } from "node:fs";
import { logs } from "../../agent/checks/logs/logs.ts";
import { systemClock } from "../../platform/clock.ts";
import { checkPorts } from "./check-ports.ts";

/** Only the check of the logs, asked every 50 ms for ever: `node log-follower.ts FOLDER CONFIG`. It may be killed at any moment. */
const [folder = "", config = ""] = process.argv.slice(2);
const judge = logs.begin(logs.Config.parse(JSON.parse(readFileSync(config, "utf8"))), checkPorts(folder));
const stop = new AbortController();
process.on("SIGTERM", () => stop.abort());
while (!stop.signal.aborted) {
  await judge?.judge(stop.signal);
  await systemClock.sleep(50);
}
judge?.close?.();
