import * as z from "zod/mini";

/** What the child found out of one database. Names of the figures are those of the readings. */
export const DatabaseAnswer = z.union([
  z.strictObject({
    state: z.literal("answered"),
    figures: z.strictObject({
      size_bytes: z.number(),
      wal_bytes: z.optional(z.number()),
      /** Room inside the file that no row uses. */
      free_pct: z.optional(z.number()),
      connections_count: z.optional(z.number()),
      connections_most_count: z.optional(z.number()),
      transaction_s: z.optional(z.number()),
      lag_s: z.optional(z.number()),
      wraparound_pct: z.optional(z.number()),
    }),
    /** The largest, at most three. */
    largest: z.array(z.strictObject({ name: z.string(), bytes: z.number() })),
    /** Of the tables asked for; those that are not there are missing. */
    rows: z.record(z.string(), z.number()),
    damage: z.optional(z.string()),
    /** Why replication does not run, where it should. */
    replication: z.optional(z.string()),
  }),
  z.strictObject({ state: z.enum(["down", "hung", "full", "unknown"]), because: z.string() }),
]);
export type DatabaseAnswer = z.infer<typeof DatabaseAnswer>;
export type Answered = Extract<DatabaseAnswer, { state: "answered" }>;

/** What a driver is given. */
export interface Question {
  url: URL;
  password: string | undefined;
  /** Text of the CA file: the connection is TLS. */
  ca: string | undefined;
  deadlineMs: number;
  tables: readonly string[];
  /** Where the file of SQLite lies for us. */
  at: (path: string) => string;
  /** SQLite's quick check, too. */
  full: boolean;
}

export const MOST_LARGEST = 3;
/** A figure as drivers give it: number, bigint, or text. */
export const toNumber = (value: unknown): number => {
  const number =
    typeof value === "string" || typeof value === "bigint" || typeof value === "number" ? Number(value) : Number.NaN;
  return Number.isFinite(number) ? number : 0;
};
/** The same, where null says that there is none. */
export const orNone = (value: unknown): number | undefined =>
  value === null || value === undefined ? undefined : toNumber(value);
