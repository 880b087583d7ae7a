import { openJournal } from "../../agent/outbox/journal.ts";
import { systemClock } from "../../platform/clock.ts";
import { folderAt } from "../../platform/files.ts";
import { alarmChange } from "./alarm-change.ts";
import { silentLog } from "./logs.ts";

/** Appends alarm changes as fast as it can until it is killed, and prints the number of each one that is on flash. */
const outbox = await openJournal({
  folder: folderAt(process.argv[2] ?? ""),
  clock: systemClock,
  log: silentLog,
  maxBytes: 131_072,
});
process.stdout.write(`boot ${outbox.boot} ${outbox.stats().durable}\n`);
for (let since = 1; ; since += 1) {
  const kept = await outbox.append([alarmChange(`c${since % 5}`, since % 2 === 0, since)]);
  process.stdout.write(`${kept[0]?.body.seq}\n`);
  if (since % 20 === 0) outbox.free({ boot: outbox.boot, seq: outbox.seq - 10 });
}
