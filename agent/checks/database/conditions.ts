import { type Bands, type Condition, gradeHigh } from "../check.ts";
import type { Answered } from "./answer.ts";
import type { DatabaseConfig } from "./database.ts";

/** All conditions of a database that answered; the first holds the readings. Pure. */
export function conditionsOf(config: DatabaseConfig, answer: Answered): Condition[] {
  const { limits, limitBytes } = config;
  const { figures } = answer;
  const { size_bytes: size, connections_count: connections, connections_most_count: most } = figures;
  const shares = {
    ...(limitBytes === undefined ? {} : { used_pct: (size / limitBytes) * 100 }),
    ...(connections === undefined || !most ? {} : { connections_pct: (connections / most) * 100 }),
  };
  const readings = known({ ...figures, ...shares });
  const largest = answer.largest.map(({ name, bytes }) => `${name} ${mega(bytes)}`).join(", ");
  const room = `${mega(size)}${largest === "" ? "" : `; largest ${largest}`}`;
  const one = (
    reason: string,
    value: number | undefined,
    [unit, bands]: [string, Bands],
    says: (value: number) => string,
  ): Condition[] =>
    value === undefined ? [] : [{ ...gradeHigh(value, bands), reason, value, unit, says: says(value), readings: {} }];
  return [
    { ...gradeHigh(size, limits.sizeBytes), reason: "size", value: size, unit: "bytes", says: room, readings },
    ...one(
      "size",
      shares.used_pct,
      ["%", limits.usedPct],
      (pct) => `${pct.toFixed(1)} % of ${mega(limitBytes ?? 0)}: ${room}`,
    ),
    ...one(
      "connections",
      shares.connections_pct,
      ["%", limits.connectionsPct],
      (pct) => `${connections} of ${most} connections in use (${pct.toFixed(0)} %)`,
    ),
    ...one(
      "transaction",
      figures.transaction_s,
      ["s", limits.transactionS],
      (s) => `a transaction is open for ${span(s)}`,
    ),
    ...one("lag", figures.lag_s, ["s", limits.lagS], (s) => `the replica is ${span(s)} behind`),
    ...one("wal", figures.wal_bytes, ["bytes", limits.walBytes], (bytes) => `the write-ahead log has ${mega(bytes)}`),
    ...one(
      "wraparound",
      figures.wraparound_pct,
      ["%", limits.wraparoundPct],
      (pct) => `${pct.toFixed(1)} % of the transaction numbers are in use: vacuum does not keep up`,
    ),
    ...faults(answer),
    ...rowConditions(config, answer),
  ];
}

const known = (figures: Readonly<Record<string, number | undefined>>): Record<string, number> =>
  Object.fromEntries(Object.entries(figures).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));

function faults({ damage, replication }: Answered): Condition[] {
  const fault = (reason: string, grade: "major" | "critical", says: string | undefined): Condition[] =>
    says === undefined ? [] : [{ grade, holds: grade, reason, says, readings: {} }];
  return [...fault("damaged", "critical", damage), ...fault("replication", "major", replication)];
}

function rowConditions({ tables }: DatabaseConfig, { rows }: Answered): Condition[] {
  return Object.entries(tables).map(([name, { least = 0, most = Number.POSITIVE_INFINITY, severity }]): Condition => {
    const value = Object.hasOwn(rows, name) ? rows[name] : undefined;
    const well = value !== undefined && value >= least && value <= most;
    const grade = well ? "ok" : severity;
    const says =
      value === undefined
        ? `there is no table ${name}`
        : `${name} has about ${value} rows; ${range(least, most)} are usual`;
    const figure = value === undefined ? {} : { value, unit: "rows" };
    return { grade, holds: grade, reason: "rows", ...figure, says, readings: {} };
  });
}

const range = (least: number, most: number): string =>
  most === Number.POSITIVE_INFINITY ? `at least ${least}` : `${least} to ${most}`;
const mega = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
const span = (seconds: number): string =>
  seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3_600).toFixed(1)} h`;
