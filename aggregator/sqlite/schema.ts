import { Failure } from "../../protocol/failure.ts";
import { CLOSED_STATES } from "../../protocol/ticket.ts";
import { DAILY } from "./schema-daily.ts";
import { INVENTORY } from "./schema-inventory.ts";
import type { Sql } from "./sql.ts";

const closed = CLOSED_STATES.map((state) => `'${state}'`).join(", ");
/** Text of the partial indexes' condition: a query that is to use them says it in the same words. */
export const OPEN = `state NOT IN (${closed})`;
export const OBSERVED = "state = '已恢复' AND level IS NOT 1";

/** Migrations in order; `PRAGMA user_version` counts those done. Never edit one that was released: add the next. */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE device (
    id TEXT PRIMARY KEY, site TEXT, boot TEXT, link INTEGER NOT NULL, online INTEGER NOT NULL, presence TEXT NOT NULL,
    heartbeat_s REAL NOT NULL, agent TEXT, seen_at INTEGER NOT NULL, state_ts INTEGER, skew_ms REAL,
    acked_boot TEXT, acked_seq INTEGER, floor_boot TEXT, dropped INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE device_info (device TEXT PRIMARY KEY REFERENCES device(id), info TEXT NOT NULL) STRICT;
  CREATE TABLE inbox (
    device TEXT NOT NULL REFERENCES device(id), seq INTEGER NOT NULL, boot TEXT NOT NULL, received_at INTEGER NOT NULL,
    branch TEXT NOT NULL, payload TEXT NOT NULL, PRIMARY KEY (device, seq, boot)
  ) STRICT;
  CREATE INDEX inbox_age ON inbox (received_at);
  CREATE TABLE alarm (
    device TEXT NOT NULL REFERENCES device(id), code TEXT NOT NULL, active INTEGER NOT NULL, severity TEXT NOT NULL,
    check_id TEXT NOT NULL, subject TEXT NOT NULL, reason TEXT NOT NULL, title_zh TEXT NOT NULL, title_en TEXT NOT NULL,
    value REAL, unit TEXT, says TEXT, flapping INTEGER NOT NULL, explained_by TEXT, since INTEGER NOT NULL,
    boot TEXT NOT NULL, seq INTEGER NOT NULL, ts INTEGER NOT NULL, received_at INTEGER NOT NULL,
    opens_at INTEGER, ticket TEXT REFERENCES ticket(no), counted_since INTEGER, PRIMARY KEY (device, code)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX alarm_active ON alarm (device, code, severity) WHERE active = 1;
  CREATE INDEX alarm_due ON alarm (opens_at) WHERE opens_at IS NOT NULL;
  CREATE INDEX alarm_ticket ON alarm (ticket) WHERE active = 1;
  CREATE TABLE ticket (
    id INTEGER PRIMARY KEY, no TEXT NOT NULL UNIQUE, type TEXT NOT NULL, level INTEGER, severity TEXT NOT NULL,
    state TEXT NOT NULL, device TEXT NOT NULL, site TEXT, code TEXT NOT NULL, dedup_key TEXT NOT NULL,
    title_zh TEXT NOT NULL, title_en TEXT NOT NULL, occurred_at INTEGER NOT NULL, detected_at INTEGER NOT NULL,
    restored_at INTEGER, resolved_at INTEGER, reopened INTEGER NOT NULL, flapping INTEGER, recurrence_of TEXT,
    assignee TEXT, ts INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX ticket_one_open ON ticket (dedup_key) WHERE ${OPEN};
  CREATE INDEX ticket_key ON ticket (dedup_key, id);
  CREATE INDEX ticket_device ON ticket (device, id);
  CREATE INDEX ticket_open ON ticket (id, level, type) WHERE ${OPEN};
  CREATE INDEX ticket_observed ON ticket (restored_at) WHERE ${OBSERVED};
  CREATE TABLE ticket_event (
    ticket TEXT NOT NULL REFERENCES ticket(no), id INTEGER NOT NULL, at INTEGER NOT NULL, actor TEXT NOT NULL,
    kind TEXT NOT NULL, data TEXT NOT NULL, prev_hash TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (ticket, id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE ticket_number (day TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE shown (ticket INTEGER PRIMARY KEY REFERENCES ticket(id)) STRICT;
  CREATE TABLE telemetry (
    device TEXT NOT NULL REFERENCES device(id), code TEXT NOT NULL, received_at INTEGER NOT NULL, figures TEXT NOT NULL,
    PRIMARY KEY (device, code)
  ) STRICT, WITHOUT ROWID;
  `,
  DAILY,
  INVENTORY,
  "ALTER TABLE alarm ADD COLUMN told_in TEXT",
];

/** Brings a file up to date in one transaction. Throws STORE_SCHEMA when it was made by a newer version. */
export function migrate(sql: Sql, file: string, migrations = MIGRATIONS): void {
  const has = Number(sql.get("PRAGMA user_version")?.["user_version"]);
  if (has > migrations.length) {
    throw new Failure("STORE_SCHEMA", `${file} has schema ${has}; this version knows up to ${migrations.length}`, {
      facts: { file, schema: has, known: migrations.length },
    });
  }
  if (has === migrations.length) return;
  sql.exec("BEGIN IMMEDIATE");
  try {
    for (const step of migrations.slice(has)) sql.exec(step);
    sql.exec(`PRAGMA user_version = ${migrations.length}`);
    sql.exec("COMMIT");
  } catch (error) {
    if (sql.inTransaction) sql.exec("ROLLBACK");
    throw error;
  }
}
