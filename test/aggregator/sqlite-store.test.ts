import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { Sql } from "../../aggregator/sqlite/sql.ts";
import { openSqliteStore } from "../../aggregator/sqlite-store.ts";
import { Failure } from "../../protocol/failure.ts";
import { alarmRow, deviceRow } from "../contract/store.ts";
import { tempFolder } from "../kit/temp.ts";

const failing = (work: () => unknown): Failure => {
  try {
    work();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error("it did not fail");
};

test("a store of a newer version is refused by its file's name, and is left as it was", () => {
  using folder = tempFolder();
  const file = join(folder.path, "vigil.db");
  const raw = new DatabaseSync(file);
  raw.exec("PRAGMA user_version = 99");
  const failure = failing(() => openSqliteStore({ file }));
  expect(failure.code).toBe("STORE_SCHEMA");
  expect(failure.message).toContain(file);
  expect(raw.prepare("PRAGMA user_version").get()).toEqual({ user_version: 99 });
  raw.close();
});

test("a damaged file is told apart from a busy one", async () => {
  using folder = tempFolder();
  const file = join(folder.path, "vigil.db");
  writeFileSync(file, "this is not a database, and it is long enough to be read as one".repeat(20));
  expect(failing(() => openSqliteStore({ file })).code).toBe("STORE_CORRUPT");
  expect(failing(() => openSqliteStore({ file: join(folder.path, "no", "folder.db") })).code).toBe("STORE_BUSY");
});

test("a locked store says busy, keeps nothing of the work, and takes it when the lock is gone", async () => {
  using folder = tempFolder();
  const file = join(folder.path, "vigil.db");
  await using store = openSqliteStore({ file });
  const other = new DatabaseSync(file);
  other.exec("BEGIN IMMEDIATE");
  const save = () => store.transaction((tx) => tx.saveDevice(deviceRow("ft-1")));
  await expect(save()).rejects.toMatchObject({ code: "STORE_BUSY" });
  expect(await store.reading.devices({ limit: 9 })).toEqual([]);
  other.exec("ROLLBACK");
  other.close();
  await save();
  expect(await store.reading.devices({ limit: 9 })).toHaveLength(1);
});

test("a full disk says busy", () => {
  const sql = new Sql(":memory:");
  sql.exec("PRAGMA max_page_count = 8; CREATE TABLE t (x)");
  const failure = failing(() => {
    for (;;) sql.run("INSERT INTO t VALUES (?)", "x".repeat(1_000));
  });
  expect(failure).toMatchObject({ code: "STORE_BUSY", facts: { sqlite: 13 } });
  sql.close();
});

test("rows that another process changed are read anew", async () => {
  using folder = tempFolder();
  const file = join(folder.path, "vigil.db");
  await using store = openSqliteStore({ file });
  await store.transaction((tx) => tx.saveDevice(deviceRow("ft-1")));
  const other = new DatabaseSync(file);
  other.exec("UPDATE device SET acked_boot = '01KA0000000000000000000000', acked_seq = 77");
  other.close();
  expect(await store.transaction(async (tx) => (await tx.device("ft-1"))?.acked?.seq)).toBe(77);
});

test("the file is its owner's alone, and every commit goes to the disk", () => {
  using folder = tempFolder();
  const file = join(folder.path, "vigil.db");
  const statements: string[] = [];
  const store = openSqliteStore({ file, before: (text) => statements.push(text) });
  expect(statSync(file).mode & 0o077).toBe(0);
  expect(statements.join(";")).toMatch(/journal_mode = WAL; PRAGMA synchronous = FULL/);
  void store[Symbol.asyncDispose]();
});

test("a start reads devices and no alarms, however many there are", async () => {
  using folder = tempFolder();
  const file = join(folder.path, "vigil.db");
  const before = openSqliteStore({ file });
  await before.transaction(async (tx) => {
    await tx.saveDevice(deviceRow("ft-1"));
    for (let i = 0; i < 50; i += 1) await tx.saveAlarm(alarmRow("ft-1", `a.c${i}`));
  });
  await before[Symbol.asyncDispose]();
  const statements: string[] = [];
  await using store = openSqliteStore({ file, before: (text) => statements.push(text) });
  expect(statements.filter((text) => /FROM (alarm|ticket|inbox)/.test(text))).toEqual([]);
  expect(await store.transaction(async (tx) => tx.deviceCount())).toBe(1);
});

test("what runs every half second uses an index", () => {
  using folder = tempFolder();
  const file = join(folder.path, "vigil.db");
  const statements = new Set<string>();
  const store = openSqliteStore({ file, before: (text) => statements.add(text) });
  void store.transaction(async (tx) => {
    await tx.dueAlarms(1, 2, 3);
    await tx.observedTickets(1, 2);
    await tx.lastTicketFor("x");
    await tx.activeOf("x", { device: "x", code: "y" });
    await tx.consequences("x", "y");
    await tx.activeAlarms("x");
    await tx.claimedAfter("x", 1, "", 2);
    await tx.forgetOldClaims(1, 2);
  });
  const raw = new DatabaseSync(file);
  for (const text of statements) {
    if (!/^\s*(SELECT|DELETE|UPDATE)/.test(text) || /FROM device$/.test(text)) continue;
    const plan = raw.prepare(`EXPLAIN QUERY PLAN ${text}`).all() as { detail: string }[];
    const scans = plan
      .map(({ detail }) => detail)
      .filter((detail) => /^SCAN (alarm|ticket|inbox|i|d|device)\b(?!.*INDEX)/.test(detail));
    expect(scans, text).toEqual([]);
  }
  raw.close();
  void store[Symbol.asyncDispose]();
});
