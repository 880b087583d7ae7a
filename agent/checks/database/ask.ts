import { readFileSync, statSync } from "node:fs";
import type { Clock } from "../../../platform/clock.ts";
import { Failure } from "../../../protocol/failure.ts";
import { within } from "../within.ts";
import type { DatabaseAnswer, Question } from "./answer.ts";
import type { DatabaseConfig } from "./database.ts";

/**
 * Asks one database, in the short-lived child `vigil-agent database NAME`: the drivers' heap never lands in the agent. Says
 * what became of it in every case; rejects only for files of ours that cannot be used (LINK_FILES).
 */
export async function askDatabase(
  config: DatabaseConfig,
  { at, clock, full }: { at: (path: string) => string; clock: Clock; full: boolean },
): Promise<DatabaseAnswer> {
  const { url, passwordFile, caFile, deadlineMs, tables } = config;
  const question: Question = {
    url: new URL(url),
    password: passwordFile === undefined ? undefined : secretOf(at(passwordFile)),
    ca: caFile === undefined ? undefined : textOf(at(caFile)),
    tables: Object.keys(tables),
    ...{ at, deadlineMs, full },
  };
  const asked = driverOf(question).catch((cause: unknown) => failureOf(cause, config));
  const inTime = await within(asked, deadlineMs, clock, new AbortController().signal);
  return inTime ? asked : hung(config);
}

const hung = ({ deadlineMs }: DatabaseConfig): DatabaseAnswer => ({
  state: "hung",
  because: `no answer within ${deadlineMs / 1_000} s`,
});

async function driverOf(question: Question): Promise<DatabaseAnswer> {
  switch (question.url.protocol) {
    case "sqlite:":
      return (await import("../sqlite.ts")).askSqlite(question);
    case "mysql:":
    case "mariadb:":
      return (await import("./mysql.ts")).askMysql(question);
    default:
      return (await import("./postgres.ts")).askPostgres(question);
  }
}

/** Nobody listens, or the way there is cut; PostgreSQL that starts or stops (57P03, 57P01). */
const DOWN = new Set(["ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN", "ENOENT", "EPIPE"]);
const DOWN_STATES = new Set([
  "57P03",
  "57P01",
  "57P02",
  "08001",
  "08006",
  "PROTOCOL_CONNECTION_LOST",
  "ER_SERVER_SHUTDOWN",
]);
/** ETIMEDOUT of mysql2 is its own connect timer; 57014: PostgreSQL cut our statement. */
const HUNG = new Set(["ETIMEDOUT", "57014", "PROTOCOL_SEQUENCE_TIMEOUT", "ER_STATEMENT_TIMEOUT"]);
const FULL = new Set(["53300", "ER_CON_COUNT_ERROR"]);
const LOGIN = new Set([
  "28P01",
  "28000",
  "ER_ACCESS_DENIED_ERROR",
  "ER_DBACCESS_DENIED_ERROR",
  "ER_ACCESS_DENIED_NO_PASSWORD_ERROR",
]);

function failureOf(cause: unknown, config: DatabaseConfig): DatabaseAnswer {
  const message = cause instanceof Error ? cause.message : String(cause);
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const because = message.includes(code) ? message : `${message} (${code})`;
  // several addresses of one host were tried
  if (cause instanceof AggregateError && cause.errors.length > 0) return failureOf(cause.errors[0], config);
  if (/timeout/i.test(message) || HUNG.has(code)) return hung(config);
  if (DOWN.has(code) || DOWN_STATES.has(code) || /connection terminated unexpectedly/i.test(message))
    return { state: "down", because };
  if (FULL.has(code)) return { state: "full", because };
  if (LOGIN.has(code)) return { state: "unknown", because: `it refuses our user: ${because}` };
  return { state: "unknown", because };
}

const OTHERS_MAY = 0o077;

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw unusable(path, cause instanceof Error && "code" in cause ? String(cause.code) : String(cause));
  }
}

function secretOf(path: string): string {
  const text = textOf(path).replace(/\r?\n$/, "");
  if ((statSync(path).mode & OTHERS_MAY) !== 0) throw unusable(path, "others may read it, it must be 0600");
  return text;
}

const unusable = (path: string, why: string): Failure =>
  new Failure("LINK_FILES", `cannot use ${path}: ${why}`, { facts: { path, reason: why } });
