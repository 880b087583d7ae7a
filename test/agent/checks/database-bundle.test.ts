import { execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundle } from "../../../scripts/bundle.ts";
import { PROGRAMS } from "../../../scripts/programs.ts";
import { postgresBin, startMariadb, startPostgres } from "../../kit/databases.ts";
import { needs, needsThat } from "../../kit/peers.ts";
import { type TempFolder, tempFolder } from "../../kit/temp.ts";

const ROOT = join(import.meta.dirname, "../../..");
/** As the unit starts it. */
const FLAGS = ["--jitless", "--optimize-for-size", "--max-semi-space-size=1", "--v8-pool-size=0"];

describe("the bundle on a device", () => {
  let home: TempFolder;
  beforeAll(async () => {
    home = tempFolder();
    const agent = PROGRAMS.find(({ name }) => name === "agent");
    if (agent === undefined) throw new Error("no agent");
    await bundle(agent, ROOT, home.path);
  });
  afterAll(() => home[Symbol.dispose]());

  function ask(url: string): unknown {
    const file = join(home.path, "agent.json");
    const databases = [{ name: "db", url, tables: { 事件: {} } }];
    writeFileSync(
      file,
      JSON.stringify({ device: "x", brokers: [{ host: "h", port: 1 }], checks: { database: { databases } } }),
    );
    const main = join(home.path, "agent.js");
    return JSON.parse(
      execFileSync(process.execPath, [...FLAGS, main, "--config", file, "database", "db"], { encoding: "utf8" }),
    );
  }

  test("asks SQLite", () => {
    const path = join(home.path, "a.db");
    const database = new DatabaseSync(path);
    database.exec("CREATE TABLE 事件 (id); INSERT INTO 事件 VALUES (1)");
    database.close();
    expect(existsSync(path)).toBe(true);
    expect(ask(`sqlite:${path}`)).toMatchObject({ state: "answered", rows: { 事件: 1 } });
  });

  test.skipIf(needsThat(postgresBin() !== undefined, "postgresql"))("asks PostgreSQL", async () => {
    await using server = await startPostgres(home.path);
    server.sql('CREATE TABLE "事件" AS SELECT generate_series(1, 20) AS id; ANALYZE');
    expect(ask(`postgresql://postgres@127.0.0.1:${server.port}/postgres`)).toMatchObject({ rows: { 事件: 20 } });
  });

  test.skipIf(needs("mariadbd", "mariadb-server"))(
    "asks MariaDB, whose own tables speak another encoding",
    async () => {
      await using server = await startMariadb(home.path);
      server.sql(
        "CREATE DATABASE 站点; CREATE TABLE 站点.事件 (id int) CHARACTER SET gbk; INSERT INTO 站点.事件 VALUES (1)",
      );
      expect(ask(`mysql://root@127.0.0.1:${server.port}/${encodeURIComponent("站点")}`)).toMatchObject({
        ...{ state: "answered", largest: [{ name: "事件" }], rows: { 事件: expect.any(Number) } },
      });
    },
  );
});
