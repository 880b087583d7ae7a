import { renameSync } from "node:fs";
import { systemClock } from "../../platform/clock.ts";

/**
 * Renames as logrotate does, again and again: `node log-cascade.ts PATH COUNT`. The newest of COUNT rotated files is
 * PATH.1 at first, PATH.2 after the first turn, and so on.
 */
const [path = "", count = "0"] = process.argv.slice(2);
for (let turn = 0; ; turn += 1) {
  for (let i = Number(count); i >= 1; i -= 1) renameSync(`${path}.${turn + i}`, `${path}.${turn + i + 1}`);
  if (turn === 0) process.stdout.write("turning\n");
  await systemClock.sleep(20);
}
