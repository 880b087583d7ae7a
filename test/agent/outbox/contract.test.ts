import { openJournal } from "../../../agent/outbox/journal.ts";
import { folderAt } from "../../../platform/files.ts";
import { outboxContract } from "../../contract/outbox.ts";
import { FakeDisk } from "../../kit/fake-disk.ts";
import { silentLog } from "../../kit/logs.ts";
import { MemoryOutbox } from "../../kit/memory-outbox.ts";
import { tempFolder } from "../../kit/temp.ts";

const maxBytes = 1 << 20;

outboxContract("the stand-in in memory", async (clock) => new MemoryOutbox(clock));
outboxContract("the journal on a disk in memory", (clock) =>
  openJournal({ folder: new FakeDisk(), clock, log: silentLog, maxBytes }),
);
outboxContract("the journal on this machine's disk", async (clock) => {
  const folder = tempFolder("outbox");
  const outbox = await openJournal({ folder: folderAt(`${folder.path}/state`), clock, log: silentLog, maxBytes });
  const close = outbox[Symbol.asyncDispose].bind(outbox);
  return Object.assign(outbox, {
    [Symbol.asyncDispose]: async () => {
      await close();
      folder[Symbol.dispose]();
    },
  });
});
