import { chmodSync, existsSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { CheckPorts, Judge, Verdict } from "../../../agent/checks/check.ts";
import type { DatabaseAnswer } from "../../../agent/checks/database/answer.ts";
import { askDatabase } from "../../../agent/checks/database/ask.ts";
import { conditionsOf } from "../../../agent/checks/database/conditions.ts";
import { databases } from "../../../agent/checks/database/database.ts";
import { AgentConfig } from "../../../agent/config.ts";
import * as targets from "../../../agent/targets.ts";
import { systemClock } from "../../../platform/clock.ts";
import { parseConfig } from "../../../platform/config-file.ts";
import { folderAt } from "../../../platform/files.ts";
import { machineAt } from "../../../platform/machine.ts";
import { slotAt } from "../../../platform/slot.ts";
import { testCa } from "../../kit/certs.ts";
import { checkPorts } from "../../kit/check-ports.ts";
import { postgresBin, type Server, startMariadb, startPostgres } from "../../kit/databases.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { needs, needsThat } from "../../kit/peers.ts";
import { freePort } from "../../kit/ports.ts";
import { type TempFolder, tempFolder } from "../../kit/temp.ts";

let folder: TempFolder;
beforeEach(() => {
  folder = tempFolder();
});
afterEach(() => folder[Symbol.dispose]());
const at = (name: string): string => join(folder.path, name);

const configOf = (own: Record<string, unknown>) => {
  const [found] = databases.Config.parse({ databases: [{ name: "db", ...own }] }).databases;
  if (found === undefined) throw new Error("no database");
  return found;
};
const ask = (own: Record<string, unknown>, full = false): Promise<DatabaseAnswer> =>
  askDatabase(configOf(own), { at: (path) => path, clock: systemClock, full });
async function answered(own: Record<string, unknown>, full = false) {
  const answer = await ask(own, full);
  if (answer.state !== "answered") throw new Error(JSON.stringify(answer));
  return answer;
}
function passwordFile(text: string, mode = 0o600): string {
  writeFileSync(at("password"), `${text}\n`, { mode });
  chmodSync(at("password"), mode);
  return at("password");
}

describe.skipIf(needsThat(postgresBin() !== undefined, "postgresql"))("PostgreSQL", () => {
  let home: TempFolder;
  let server: Server;
  beforeAll(async () => {
    home = tempFolder();
    server = await startPostgres(home.path);
    server.sql("CREATE TABLE events AS SELECT g AS id, repeat('x', 200) AS text FROM generate_series(1, 5000) g");
    server.sql(
      "ANALYZE events; CREATE ROLE secret LOGIN PASSWORD 'hunter2'; CREATE ROLE limited LOGIN CONNECTION LIMIT 0",
    );
    server.sql("CREATE TABLE small (id int); CREATE ROLE watcher LOGIN");
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    home?.[Symbol.dispose]();
  });
  const url = (user = "watcher", name = "postgres") => `postgresql://${user}@127.0.0.1:${server.port}/${name}`;

  test("tells its size, its largest tables, connections and rows, to a user without rights", async () => {
    const { figures, largest, rows } = await answered({
      url: url(),
      tables: { events: {}, "public.small": {}, absent: {} },
    });
    expect(figures.size_bytes).toBeGreaterThan(5_000_000);
    expect(figures.connections_count).toBeGreaterThanOrEqual(1);
    expect(figures.connections_most_count).toBe(9);
    expect(figures.wraparound_pct).toBeLessThan(1);
    expect(largest[0]).toMatchObject({ name: "events", bytes: expect.any(Number) });
    expect(rows["events"]).toBe(5_000);
    expect(Object.keys(rows)).not.toContain("absent");
    expect(rows["public.small"]).toBe(0);
  });

  test("an open transaction is seen, and a superuser's function of the same name is not called", async () => {
    server.sql("CREATE SCHEMA trap; CREATE FUNCTION trap.age(xid) RETURNS int LANGUAGE sql AS 'SELECT 2000000000'");
    server.sql("GRANT USAGE ON SCHEMA trap TO watcher; ALTER ROLE watcher SET search_path = trap, pg_catalog");
    expect((await answered({ url: url() })).figures.wraparound_pct).toBeLessThan(1);
  });

  test("a password is taken from its file, a wrong one is told without itself", async () => {
    await answered({ url: url("secret"), passwordFile: passwordFile("hunter2") });
    const wrong = await ask({ url: url("secret"), passwordFile: passwordFile("hunter3") });
    expect(wrong).toMatchObject({ state: "unknown", because: expect.stringContaining("it refuses our user") });
    expect(JSON.stringify(wrong)).not.toContain("hunter");
    await expect(ask({ url: url("secret"), passwordFile: passwordFile("hunter2", 0o644) })).rejects.toMatchObject({
      code: "LINK_FILES",
      message: expect.stringContaining("it must be 0600"),
    });
  });

  test("no room for one more connection is full, no such database unknown", async () => {
    expect(await ask({ url: url("limited") })).toMatchObject({ state: "full" });
    expect(await ask({ url: url("watcher", "absent") })).toMatchObject({
      state: "unknown",
      because: expect.stringContaining("does not exist"),
    });
  });

  test("where TLS is asked for, a server without it is not spoken to", async () => {
    const { ca } = testCa(folder.path);
    expect(await ask({ url: url(), caFile: ca })).toMatchObject({
      state: "unknown",
      because: expect.stringContaining("does not support SSL"),
    });
  });

  test("stopped it hangs, and answers again when it goes on; nobody there is down", async () => {
    const waits = { url: url(), deadlineMs: 500 };
    server.child.process.kill("SIGSTOP");
    expect(await ask(waits)).toEqual({ state: "hung", because: "no answer within 0.5 s" });
    server.child.process.kill("SIGCONT");
    await answered({ url: url() });
    const nobody = `postgresql://watcher@127.0.0.1:${await freePort()}/postgres`;
    expect(await ask({ url: nobody })).toMatchObject({
      state: "down",
      because: expect.stringContaining("ECONNREFUSED"),
    });
  });
});

test("what PostgreSQL is told first: a session that can only read, every statement bounded, and no password", async () => {
  const greeting = Promise.withResolvers<string>();
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.once("data", (bytes) => greeting.resolve(bytes.toString("latin1")));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const url = `postgresql://u@127.0.0.1:${port}/db`;
  expect(await ask({ url, passwordFile: passwordFile("hunter2"), deadlineMs: 500 })).toMatchObject({ state: "hung" });
  const said = await greeting.promise;
  expect(said).toContain("default_transaction_read_only=on");
  expect(said).toContain("statement_timeout");
  expect(said).not.toContain("hunter2");
  for (const socket of sockets) socket.destroy();
  await new Promise((done) => server.close(done));
});

describe.skipIf(needs("mariadbd", "mariadb-server"))("MariaDB", () => {
  let home: TempFolder;
  let server: Server;
  beforeAll(async () => {
    home = tempFolder();
    server = await startMariadb(home.path, ["--general-log", "--log-output=TABLE"]);
    server.sql(
      "CREATE DATABASE site; CREATE USER secret@'127.0.0.1' IDENTIFIED BY 'hunter2'; GRANT SELECT ON site.* TO secret@'127.0.0.1'",
    );
    server.sql(
      "CREATE TABLE site.events (id int primary key, text varchar(300)); INSERT INTO site.events SELECT seq, repeat('x', 300) FROM site.seq_1_to_2000",
    );
    server.sql("ANALYZE TABLE site.events");
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    home?.[Symbol.dispose]();
  });
  const url = (user = "root", name = "site") => `mysql://${user}@127.0.0.1:${server.port}/${name}`;

  test("tells its size, its largest tables, connections and rows", async () => {
    const { figures, largest, rows, replication } = await answered({ url: url(), tables: { events: {}, absent: {} } });
    expect(figures.size_bytes).toBeGreaterThan(300_000);
    expect(figures.connections_most_count).toBe(12);
    expect(largest).toMatchObject([{ name: "events" }]);
    expect(rows["events"]).toBeGreaterThan(1_000);
    expect(Object.keys(rows)).toEqual(["events"]);
    expect(replication).toBeUndefined();
  });

  test("by a session that can only read, of a user with no rights beyond", async () => {
    await answered({ url: url("secret"), passwordFile: passwordFile("hunter2") });
    const log = server.sql("SELECT argument FROM mysql.general_log WHERE user_host LIKE 'secret%' ORDER BY event_time");
    expect(log).toContain("SET SESSION TRANSACTION READ ONLY");
    expect(log).toContain("max_statement_time");
    expect(log).not.toContain("hunter2");
  });

  test("a wrong password and TLS it does not have are unknown; stopped it hangs; nobody there is down", async () => {
    const wrong = await ask({ url: url("secret"), passwordFile: passwordFile("hunter3") });
    expect(wrong).toMatchObject({ state: "unknown", because: expect.stringContaining("it refuses our user") });
    expect(JSON.stringify(wrong)).not.toContain("hunter");
    const { ca } = testCa(folder.path);
    expect(await ask({ url: url(), caFile: ca })).toMatchObject({ state: "unknown" });
    server.child.process.kill("SIGSTOP");
    expect(await ask({ url: url(), deadlineMs: 500 })).toMatchObject({ state: "hung" });
    server.child.process.kill("SIGCONT");
    await answered({ url: url() });
    expect(await ask({ url: `mysql://root@127.0.0.1:${await freePort()}/site` })).toMatchObject({ state: "down" });
  });
});

describe("SQLite", () => {
  function make(rows = 2_000): string {
    const database = new DatabaseSync(at("site.db"));
    database.exec(
      "PRAGMA journal_mode = WAL; CREATE TABLE events (id INTEGER PRIMARY KEY, text TEXT); CREATE TABLE small (id)",
    );
    database.exec(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) INSERT INTO events SELECT i, printf('%.500c', 'x') FROM n`,
    );
    database.close();
    return `sqlite:${at("site.db")}`;
  }

  test("tells its size, what is free in it, its log, its largest tables and rows", async () => {
    const url = make();
    const writer = new DatabaseSync(at("site.db"));
    writer.exec("DELETE FROM events WHERE id > 1000");
    const { figures, rows, damage } = await answered({ url, tables: { events: {}, absent: {} } }, true);
    writer.close();
    expect(figures.size_bytes).toBeGreaterThan(1_000_000);
    expect(figures.wal_bytes).toBeGreaterThan(4_096);
    expect(figures.free_pct).toBeGreaterThan(30);
    expect(rows).toEqual({ events: 1_000 });
    expect(damage).toBeUndefined();
  });

  test("damage is found by the full look, and a file that is none at once", async () => {
    const url = make();
    truncateSync(at("site.db"), Math.floor(statSync(at("site.db")).size / 8_192) * 4_096);
    expect((await answered({ url }, true)).damage).toMatch(/quick_check finds|malformed/);
    writeFileSync(at("site.db"), "not a database, but a text that is long enough to look at ".repeat(100));
    expect((await answered({ url })).damage).toMatch(/not a database/);
  });

  test("by hand and by the agent the full look is asked for by its word", async () => {
    const url = make();
    truncateSync(at("site.db"), Math.floor(statSync(at("site.db")).size / 8_192) * 4_096);
    const checks = { database: { databases: [{ name: "a", url }] } };
    writeFileSync(at("agent.json"), JSON.stringify({ device: "x", brokers: [{ host: "h", port: 1 }], checks }));
    const look = async (...words: string[]): Promise<string> => {
      let said = "";
      const say = (text: string): number => {
        said += text;
        return 0;
      };
      const { signal } = new AbortController();
      await targets.database({ file: at("agent.json"), words, machine: machineAt(), clock: systemClock, signal, say });
      return said;
    };
    expect(await look("a", "full")).toContain("damage");
    await expect(look("b")).rejects.toThrow('the config has no database "b"; there are a');
  });

  test("one that is not there is down, and is not made", async () => {
    expect(await ask({ url: `sqlite:${at("absent.db")}` })).toMatchObject({ state: "down" });
    expect(existsSync(at("absent.db"))).toBe(false);
  });

  test("one that a writer holds locked is unknown in time, and untouched", async () => {
    const url = make(10);
    const writer = new DatabaseSync(at("site.db"));
    writer.exec("PRAGMA journal_mode = DELETE; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    const answer = await ask({ url, deadlineMs: 500 });
    writer.close();
    expect(answer).toMatchObject({ state: "unknown", because: expect.stringContaining("locked") });
  });
});

describe("judgement", () => {
  const answer = (figures: object, more: object = {}) => ({
    ...{ state: "answered" as const, figures: { size_bytes: 50, ...figures }, largest: [], rows: {} },
    ...more,
  });
  const worst = (own: Record<string, unknown>, found: ReturnType<typeof answer>) =>
    conditionsOf(configOf({ url: "sqlite:/x", ...own }), found)
      .filter(({ grade }) => grade !== "ok")
      .map(({ grade, reason }) => [grade, reason]);

  test.each([
    [{ limitBytes: 100 }, answer({}), []],
    [{ limitBytes: 60 }, answer({}), [["minor", "size"]]],
    [{ limitBytes: 50 }, answer({}), [["critical", "size"]]],
    [{ limits: { sizeBytes: { major: { raise: 40, clear: 30 } } } }, answer({}), [["major", "size"]]],
    [{}, answer({ connections_count: 8, connections_most_count: 10 }), [["minor", "connections"]]],
    [{}, answer({ connections_count: 8, connections_most_count: 0 }), []],
    [{}, answer({ transaction_s: 4_000 }), [["warning", "transaction"]]],
    [{}, answer({ lag_s: 400 }), [["minor", "lag"]]],
    [{}, answer({ wal_bytes: 300e6 }), [["warning", "wal"]]],
    [{}, answer({ wraparound_pct: 80 }), [["major", "wraparound"]]],
    [{}, answer({}, { damage: "quick_check finds 3 faults" }), [["critical", "damaged"]]],
    [{}, answer({}, { replication: "stands" }), [["major", "replication"]]],
    [{ tables: { t: { least: 1, most: 5 } } }, answer({}, { rows: { t: 3 } }), []],
    [{ tables: { t: { least: 1, severity: "major" } } }, answer({}, { rows: { t: 0 } }), [["major", "rows"]]],
    [{ tables: { t: { most: 5 } } }, answer({}), [["warning", "rows"]]],
  ])("%j", (own, found, expected) => {
    expect(worst(own, found)).toEqual(expected);
  });
});

describe("by the child", () => {
  let judge: Judge | undefined;
  afterEach(() => judge?.close?.());
  const main = new URL("../../../agent/main.ts", import.meta.url).pathname;
  function begin(all: Record<string, unknown>[], ports: Partial<CheckPorts> = {}): void {
    const file = at("agent.json");
    const text = JSON.stringify({
      device: "x",
      brokers: [{ host: "h", port: 1 }],
      checks: { database: { databases: all } },
    });
    writeFileSync(file, text);
    const { database } = parseConfig(text, AgentConfig, file).checks;
    const self = [process.execPath, "--disable-warning=ExperimentalWarning", main, "--config", file] as const;
    judge = databases.begin(database, checkPorts(folder.path, { self, ...ports }));
  }
  const round = async (): Promise<readonly Verdict[]> => (await judge?.judge(new AbortController().signal)) ?? [];

  test("each is a subject of its own; what the child cannot use is said in its words", async () => {
    new DatabaseSync(at("a.db")).exec("CREATE TABLE t (id); INSERT INTO t VALUES (1)");
    begin([
      { name: "a", url: `sqlite:${at("a.db")}`, limitBytes: 8_192, tables: { t: { least: 1 } } },
      { name: "b", url: `sqlite:${at("absent.db")}` },
      { name: "c", url: "postgresql://u@127.0.0.1:1/db", passwordFile: at("absent") },
    ]);
    expect(await round()).toMatchObject([
      {
        subject: "a",
        grade: "critical",
        reason: "size",
        value: 100,
        unit: "%",
        readings: { size_bytes: 8_192, used_pct: 100 },
      },
      { subject: "b", grade: "major", reason: "down" },
      { subject: "c", state: "unknown", because: expect.stringContaining(`cannot use ${at("absent")}: ENOENT`) },
    ]);
  });

  test("the quick check runs at its own pace, over a restart of the agent too, and its finding holds in between", async () => {
    const clock = new HandClock();
    const asked: string[][] = [];
    const answer = (full: boolean) => ({
      ...{ state: "answered", figures: { size_bytes: 1 }, largest: [], rows: {} },
      ...(full ? { damage: "quick_check finds 3 faults" } : {}),
    });
    const run: CheckPorts["run"] = async ({ argv }) => {
      asked.push(argv.slice(-2));
      return JSON.stringify(answer(argv.at(-1) === "full"));
    };
    const keep = { folder: folderAt(at("state")), slot: (name: string) => slotAt(at("run"), name) };
    const one = { name: "a", url: "sqlite:/x", everyMs: 3_600_000, quickCheckEveryMs: 86_400_000 };
    begin([one], { clock, run, keep });
    expect(await round()).toMatchObject([{ grade: "critical", reason: "damaged" }]);
    await clock.wind(4_000_000);
    await round();
    await clock.wind(0);
    expect(await round()).toMatchObject([{ grade: "critical", reason: "damaged" }]);
    judge?.close?.();
    begin([one], { clock, run, keep });
    await round();
    expect(asked).toEqual([
      ["a", "full"],
      ["database", "a"],
      ["database", "a"],
    ]);
    await clock.wind(86_400_000);
    await round();
    await clock.wind(0);
    expect(asked.at(-1)).toEqual(["a", "full"]);
    clock.setWall(clock.wall() - 400 * 86_400_000); // else it would have to wait for more than a year
    await clock.wind(4_000_000);
    await round();
    await clock.wind(0);
    expect(asked.at(-1)).toEqual(["a", "full"]);
  });

  test("an answer that is none is unknown, never ok", async () => {
    begin([{ name: "a", url: "sqlite:/x" }], { run: async () => '{"state":"answered"}' });
    expect(await round()).toMatchObject([{ state: "unknown", because: expect.stringContaining("answer is none") }]);
  });
});

describe("config", () => {
  const agent = (own: unknown) => () =>
    parseConfig(
      JSON.stringify({ device: "x", brokers: [{ host: "h", port: 1 }], checks: { database: { databases: [own] } } }),
      AgentConfig,
      "agent.json",
    );
  test.each([
    [{ name: "a", url: "postgresql://u:hunter2@h/db" }, "checks.database.databases.0.url"],
    [{ name: "a", url: "oracle://h/db" }, "sqlite:/PATH, postgresql://"],
    [{ name: "a", url: "sqlite:relative" }, "checks.database.databases.0.url"],
    [{ name: "a", url: "mysql://h" }, "checks.database.databases.0.url"],
    [
      { name: "a", url: "sqlite:/x", limits: { usedPct: { minor: { raise: 1, clear: 2 } } } },
      "clear must not be above raise",
    ],
    [{ name: "a", url: "sqlite:/x", pasword: "x" }, "unknown name"],
  ])("%j is refused", (own, words) => {
    expect(agent(own)).toThrow(words);
  });

  test("without databases there is nothing to judge", () => {
    expect(databases.begin(databases.Config.parse({}), checkPorts(folder.path))).toBeUndefined();
  });
});
