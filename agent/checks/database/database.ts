import * as z from "zod/mini";
import { type CheckKind, commonConfig, highBand, type Judge, namedOnce } from "../check.ts";
import { judgeLater } from "../later.ts";
import { NAMES } from "../names.ts";

const HOUR = 3_600_000;
const path = z.string().check(z.regex(/^\//, "a full path"), z.maxLength(4_096));
const ms = (least: number, most: number, fallback: number) =>
  z._default(z.int().check(z.minimum(least), z.maximum(most)), fallback);
const severity = z.enum(["warning", "minor", "major", "critical"]);
const bands = (most: number) => {
  const band = z.optional(highBand(0, most));
  return z.strictObject({ warning: band, minor: band, major: band, critical: band });
};
const count = z.optional(z.int().check(z.minimum(0)));

const PROTOCOLS = ["sqlite:", "postgresql:", "postgres:", "mysql:", "mariadb:"];

/** What is wrong with the address of a database, undefined when nothing is. */
function urlMistake(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || !PROTOCOLS.includes(url.protocol)) return `one of sqlite:/PATH, postgresql://…, mysql://…`;
  if (url.password !== "") return "no password in the address: it goes into `passwordFile`";
  if (url.protocol === "sqlite:") return url.pathname.startsWith("/") ? undefined : "sqlite:/PATH with a full path";
  return url.hostname === "" || url.pathname.length < 2
    ? "a host and a database: postgresql://user@host:5432/name"
    : undefined;
}

const Database = z.strictObject({
  /** Its subject in alarms and readings, and what `vigil-agent database NAME` takes. */
  name: z.string().check(z.minLength(1), z.maxLength(80)),
  /**
   * `sqlite:/PATH`, `postgresql://user@host:port/name` or `mysql://user@host:port/name`, without a password; a host that
   * begins with `%2F` is the folder (mysql: the file) of a Unix socket.
   */
  url: z.string().check(
    z.maxLength(1_000),
    z.refine((text) => urlMistake(text) === undefined, { error: ({ input }) => urlMistake(String(input)) }),
  ),
  /** Must be its owner's alone (0600). Read by the short-lived child that asks. */
  passwordFile: z.optional(path),
  /** With it the connection is TLS, and the server's certificate must be good by it. */
  caFile: z.optional(path),
  everyMs: ms(10_000, 30 * 24 * HOUR, HOUR),
  deadlineMs: ms(500, 600_000, 15_000),
  /** SQLite only: its own quick check so often; 0: never. Reads the whole file. */
  quickCheckEveryMs: z._default(
    z.int().check(z.refine((value) => value === 0 || value >= HOUR, "must be 0, or at least an hour")),
    7 * 24 * HOUR,
  ),
  /** How large it may become; `usedPct` is judged of this. */
  limitBytes: z.optional(z.int().check(z.minimum(1))),
  limits: z.prefault(
    z.strictObject({
      sizeBytes: z._default(bands(Number.MAX_SAFE_INTEGER), {}),
      usedPct: z._default(bands(1_000), {
        minor: { raise: 80, clear: 78 },
        major: { raise: 90, clear: 88 },
        critical: { raise: 97, clear: 95 },
      }),
      connectionsPct: z._default(bands(100), { minor: { raise: 80, clear: 70 }, major: { raise: 95, clear: 90 } }),
      /** The longest open transaction: it keeps old rows from being cleaned away. */
      transactionS: z._default(bands(1e9), { warning: { raise: 3_600, clear: 1_800 } }),
      /** How far a replica is behind. */
      lagS: z._default(bands(1e9), { minor: { raise: 300, clear: 60 }, major: { raise: 3_600, clear: 1_800 } }),
      /** SQLite's write-ahead log: it grows without end when a reader never closes. */
      walBytes: z._default(bands(Number.MAX_SAFE_INTEGER), { warning: { raise: 256e6, clear: 128e6 } }),
      /** PostgreSQL: share of the transaction numbers in use; at 100 it stops taking writes. */
      wraparoundPct: z._default(bands(100), { minor: { raise: 40, clear: 30 }, major: { raise: 75, clear: 60 } }),
    }),
    {},
  ),
  /** Between how many rows a table must have; by the server's statistics, which may be a third off. */
  tables: z._default(
    z.record(
      z.string().check(z.minLength(1), z.maxLength(130)),
      z.strictObject({ least: count, most: count, severity: z._default(severity, "warning") }),
    ),
    {},
  ),
  /** How bad it is when it does not answer. */
  down: z._default(severity, "major"),
});
export type DatabaseConfig = z.infer<typeof Database>;

const Config = z.strictObject({
  ...commonConfig({ every: "slow", holdOnMs: 0, holdOffMs: 0, deadlineMs: 60_000 }),
  databases: z._default(z.array(Database).check(z.maxLength(30), namedOnce), []),
});
export type DatabasesConfig = z.infer<typeof Config>;

/** Have the databases room, and do they answer? */
export const databases: CheckKind<DatabasesConfig> = {
  id: "database",
  name: NAMES.database,
  Config,
  titles: {
    size: { zh: "数据库占用空间过大", en: "Database too large" },
    connections: { zh: "数据库连接数将用尽", en: "Database connections run out" },
    transaction: { zh: "数据库事务长时间未结束", en: "Database transaction open too long" },
    lag: { zh: "数据库复制延迟", en: "Database replica is behind" },
    replication: { zh: "数据库复制已停止", en: "Database replication stopped" },
    wal: { zh: "数据库预写日志过大", en: "Write-ahead log too large" },
    wraparound: { zh: "数据库事务号将用尽", en: "Database transaction numbers run out" },
    rows: { zh: "数据表行数超出范围", en: "Rows of a table out of range" },
    damaged: { zh: "数据库文件损坏", en: "Database file damaged" },
    down: { zh: "数据库无法连接", en: "Database does not answer" },
    hung: { zh: "数据库无响应", en: "Database hangs" },
    gone: { zh: "数据库已不再配置", en: "Database no longer watched" },
  },
  begin: (config, ports): Judge | undefined =>
    config.databases.length === 0
      ? undefined
      : judgeLater(async () => (await import("./judge.ts")).openDatabases(config, ports)),
};
