import { type Answered, MOST_LARGEST, orNone, type Question, toNumber } from "./answer.ts";

const FIGURES = `SELECT
  pg_database_size(current_database()) AS size,
  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS most,
  (SELECT extract(epoch FROM max(clock_timestamp() - xact_start)) FROM pg_stat_activity
     WHERE pid <> pg_backend_pid() AND backend_type = 'client backend') AS transaction,
  CASE WHEN pg_is_in_recovery() AND pg_last_wal_receive_lsn() IS DISTINCT FROM pg_last_wal_replay_lsn()
     THEN extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())
     WHEN pg_is_in_recovery() THEN 0 END AS lag,
  (SELECT max(age(datfrozenxid)) FROM pg_database) / 2147483647.0 * 100 AS wraparound`;

const LARGEST = `SELECT relname AS name, pg_total_relation_size(oid) AS bytes FROM pg_class
  WHERE relkind IN ('r', 'm') ORDER BY 2 DESC LIMIT ${MOST_LARGEST}`;

/** An estimate: nothing is counted. A table that was never analysed has none but what was written since the server began. */
const ROWS = `SELECT asked AS name, CASE WHEN c.reltuples < 0 THEN pg_stat_get_live_tuples(c.oid) ELSE c.reltuples END AS rows
  FROM unnest($1::text[]) AS asked JOIN pg_class c ON c.oid = to_regclass(asked)`;

/** Asks PostgreSQL in a session that can only read. Rejects with the driver's or the server's error. */
export async function askPostgres({ url, password, ca, deadlineMs, tables }: Question): Promise<Answered> {
  const { default: pg } = await import("pg");
  const client = new pg.Client({
    host: decodeURIComponent(url.hostname).replaceAll(/^\[|\]$/g, ""),
    port: Number(url.port || 5432),
    user: decodeURIComponent(url.username) || "postgres",
    database: decodeURIComponent(url.pathname.slice(1)),
    password: password ?? "", // a string: otherwise the driver would look into PGPASSWORD and ~/.pgpass
    ssl: ca === undefined ? false : { ca, rejectUnauthorized: true },
    connectionTimeoutMillis: deadlineMs,
    query_timeout: deadlineMs,
    statement_timeout: deadlineMs,
    application_name: "vigil",
    options: "-c default_transaction_read_only=on -c lock_timeout=2000 -c search_path=pg_catalog,public",
  });
  client.on("error", () => {}); // a connection that breaks fails its query, which says so
  try {
    await client.connect();
    const { rows } = await client.query<Record<string, unknown>>(FIGURES);
    const { size, connections, most, transaction, lag, wraparound } = rows[0] ?? {};
    const largest = await client.query<Record<string, unknown>>(LARGEST);
    const counted = tables.length === 0 ? undefined : await client.query<Record<string, unknown>>(ROWS, [tables]);
    const transactionS = orNone(transaction);
    const lagS = orNone(lag);
    return {
      state: "answered",
      figures: {
        size_bytes: toNumber(size),
        connections_count: toNumber(connections),
        connections_most_count: toNumber(most),
        wraparound_pct: toNumber(wraparound),
        ...(transactionS === undefined ? {} : { transaction_s: transactionS }),
        ...(lagS === undefined ? {} : { lag_s: lagS }),
      },
      largest: largest.rows.map(({ name, bytes }) => ({ name: String(name), bytes: toNumber(bytes) })),
      rows: Object.fromEntries((counted?.rows ?? []).map(({ name, rows: many }) => [String(name), toNumber(many)])),
    };
  } finally {
    void client.end().catch(() => {}); // nobody waits for a server that hangs
  }
}
