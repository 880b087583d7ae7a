import type { Connection, RowDataPacket } from "mysql2/promise";
import { type Answered, MOST_LARGEST, orNone, type Question, toNumber } from "./answer.ts";

type Row = Readonly<Record<string, unknown>>;

const SIZE = `SELECT coalesce(sum(data_length + index_length), 0) AS size, coalesce(sum(data_free), 0) AS free
  FROM information_schema.tables WHERE table_schema = database()`;
const LARGEST = `SELECT table_name AS name, coalesce(data_length + index_length, 0) AS bytes
  FROM information_schema.tables WHERE table_schema = database() AND table_type = 'BASE TABLE' ORDER BY 2 DESC LIMIT ${MOST_LARGEST}`;
/** InnoDB's estimate: nothing is counted. */
const ROWS = `SELECT table_name AS name, table_rows AS many FROM information_schema.tables
  WHERE table_schema = database() AND table_name IN (?)`;
const TRANSACTION =
  "SELECT max(timestampdiff(SECOND, trx_started, now())) AS seconds FROM information_schema.innodb_trx";

/** Asks MySQL or MariaDB in a session that can only read. Rejects with the driver's or the server's error. */
export async function askMysql({ url, password, ca, deadlineMs, tables }: Question): Promise<Answered> {
  const { default: mysql } = await import("mysql2/promise");
  const host = decodeURIComponent(url.hostname).replaceAll(/^\[|\]$/g, "");
  const connection = await mysql.createConnection({
    ...(host.startsWith("/") ? { socketPath: host } : { host, port: Number(url.port || 3306) }),
    user: decodeURIComponent(url.username) || "root",
    password: password ?? "",
    database: decodeURIComponent(url.pathname.slice(1)),
    connectTimeout: deadlineMs,
    ...(ca === undefined ? {} : { ssl: { ca, rejectUnauthorized: true } }),
  });
  try {
    return await ask(connection, deadlineMs, tables);
  } finally {
    connection.destroy(); // nobody waits for a server that hangs
  }
}

async function ask(connection: Connection, deadlineMs: number, tables: readonly string[]): Promise<Answered> {
  const query = async (sql: string, values: unknown[] = []): Promise<Row[]> =>
    (await connection.query<RowDataPacket[]>({ sql, timeout: deadlineMs }, values))[0];
  /** What only some servers know, or only some users may see. */
  const perhaps = async (sql: string): Promise<Row | undefined> => (await query(sql).catch(() => []))[0];
  await query("SET SESSION TRANSACTION READ ONLY");
  await perhaps(`SET SESSION max_statement_time = ${deadlineMs / 1_000}`); // MariaDB
  await perhaps(`SET SESSION max_execution_time = ${deadlineMs}`); // MySQL
  const [size] = await query(SIZE);
  const [threads] = await query("SHOW GLOBAL STATUS LIKE 'Threads_connected'");
  const [most] = await query("SHOW GLOBAL VARIABLES LIKE 'max_connections'");
  const largest = await query(LARGEST);
  const counted = tables.length === 0 ? [] : await query(ROWS, [tables]);
  const transactionS = orNone((await perhaps(TRANSACTION))?.["seconds"]);
  const replica = (await perhaps("SHOW REPLICA STATUS")) ?? (await perhaps("SHOW SLAVE STATUS"));
  const lagS = orNone(replica?.["Seconds_Behind_Source"] ?? replica?.["Seconds_Behind_Master"]);
  const used = toNumber(size?.["size"]);
  const free = toNumber(size?.["free"]);
  return {
    state: "answered",
    figures: {
      size_bytes: used,
      free_pct: used + free > 0 ? (free / (used + free)) * 100 : 0,
      connections_count: toNumber(threads?.["Value"]),
      connections_most_count: toNumber(most?.["Value"]),
      ...(transactionS === undefined ? {} : { transaction_s: transactionS }),
      ...(lagS === undefined ? {} : { lag_s: lagS }),
    },
    largest: largest.map(({ name, bytes }) => ({ name: String(name), bytes: toNumber(bytes) })),
    rows: Object.fromEntries(counted.map(({ name, many }) => [String(name), toNumber(many)])),
    ...(replica === undefined || lagS !== undefined ? {} : { replication: "the replica's threads do not run" }),
  };
}
