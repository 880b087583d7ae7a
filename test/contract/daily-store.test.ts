import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll } from "vitest";
import { openSqliteStore } from "../../aggregator/sqlite-store.ts";
import { tempFolder } from "../kit/temp.ts";
import { dailyStoreContract } from "./daily-store.ts";

const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());
const file = join(folder.path, "vigil.db");

dailyStoreContract({ name: "SQLite in memory", open: () => openSqliteStore({ file: ":memory:" }) });
dailyStoreContract({
  name: "SQLite in a file",
  open: () => {
    for (const end of ["", "-wal", "-shm"]) rmSync(file + end, { force: true });
    return openSqliteStore({ file });
  },
  reopen: () => openSqliteStore({ file }),
});
