import * as z from "zod/mini";
import { commonConfig } from "../check.ts";
import { regexFault } from "../regex-lint.ts";

const path = z.string().check(z.regex(/^\/.*[^/]$/, "a full path without / at its end"), z.maxLength(1_024));
const id = z.string().check(z.regex(/^[a-z0-9][a-z0-9-]{0,39}$/, "lower case letters, digits and -, at most 40"));
const severity = z.enum(["warning", "minor", "major", "critical"]);
const span = z.int().check(z.minimum(1_000), z.maximum(86_400_000));
const count = z.int().check(z.minimum(1), z.maximum(1_000_000));
const title = z.string().check(z.minLength(1), z.maxLength(100));
const literal = z.string().check(z.minLength(3), z.maxLength(100), z.regex(/^[^\r\n]*$/, "text of one line"));

const OwnPattern = z
  .strictObject({
    /** Names its alarm: `logs.<id>`. */
    id,
    titleZh: title,
    titleEn: title,
    severity: z._default(severity, "minor"),
    /** Plain text of which every match has one: by it alone a log is searched, case and all. */
    literal: z.union([literal, z.array(literal).check(z.minLength(1), z.maxLength(8))]),
    /** Looked for in the lines that have a literal, within their first 4,096 bytes. */
    regex: z.optional(z.string().check(z.minLength(1), z.maxLength(300))),
    /** Raised at so many lines … */
    count: z._default(count, 1),
    /** … within so long, */
    windowMs: z._default(span, 600_000),
    /** cleared when there was none for so long. */
    quietMs: z._default(span, 1_800_000),
  })
  .check(
    z.refine((own) => faultOf(own) === undefined, {
      path: ["regex"],
      error: ({ input }) => faultOf(input as OwnPattern) ?? "",
    }),
  );
type OwnPattern = z.infer<typeof OwnPattern>;

export const literalsOf = (own: { literal: string | string[] }): string[] =>
  typeof own.literal === "string" ? [own.literal] : own.literal;

/** Why the expression of a pattern is refused, by the pattern's name. */
function faultOf(own: { id: string; literal: string | string[]; regex?: string | undefined }): string | undefined {
  const why = own.regex === undefined ? undefined : regexFault(own.regex, literalsOf(own));
  return why === undefined ? undefined : `an expression that is safe to search for; pattern "${own.id}" is not: ${why}`;
}

/** Ids of logs-catalogue.ts, which is not loaded before it is needed. */
export const CATALOGUE_IDS: readonly string[] =
  "fs-error fs-error-fat fs-error-f2fs fs-readonly fs-unclean io-error mmc-error nand-error memory-hardware oom segfault kernel-fault lockup hung-task watchdog usb-reset usb-disconnect usb-error under-voltage thermal link-flap auth-failed sudo-denied unit-failed cert-expired".split(
    " ",
  );

const FollowedConfig = z.strictObject({
  path,
  /** Ids of the patterns looked for in it; all own ones when not given, and the catalogue in the machine's own logs. */
  patterns: z.optional(z.array(id).check(z.minLength(1), z.maxLength(100))),
});

const Change = z.strictObject({
  enabled: z._default(z.boolean(), true),
  severity: z.optional(severity),
  count: z.optional(count),
  windowMs: z.optional(span),
  quietMs: z.optional(span),
});

export const LogsConfig = z
  .strictObject({
    ...commonConfig({ every: "slow", holdOnMs: 0, holdOffMs: 0, deadlineMs: 10_000 }),
    /** The machine's own logs: the journal of systemd where it is, else the kernel's log and syslog files. */
    system: z._default(z.boolean(), true),
    journal: z.prefault(
      z.strictObject({
        /** Another folder than the machine's own. */
        directory: z.optional(path),
        /** Of this priority and worse. */
        priority: z._default(z.enum(["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"]), "info"),
      }),
      {},
    ),
    files: z._default(
      z.array(FollowedConfig).check(
        z.maxLength(16),
        z.refine((all) => isUnique(all.map((one) => one.path)), "each path once"),
      ),
      [],
    ),
    patterns: z._default(
      z.array(OwnPattern).check(
        z.maxLength(60),
        z.refine((all) => isUnique([...CATALOGUE_IDS, ...all.map((one) => one.id)]), {
          error: "each id once, and none of the catalogue",
        }),
      ),
      [],
    ),
    /** Other limits for patterns of the catalogue, by their id. */
    catalogue: z._default(
      z.record(z.string(), Change).check(
        z.refine((changes) => Object.keys(changes).every((one) => CATALOGUE_IDS.includes(one)), {
          error: `ids of the catalogue: ${CATALOGUE_IDS.join(", ")}`,
        }),
      ),
      {},
    ),
  })
  .check(
    z.refine((config) => unknownPattern(config) === undefined, {
      path: ["files"],
      error: ({ input }) => `patterns that exist; "${unknownPattern(input as LogsConfig)}" is none`,
    }),
  );
export type LogsConfig = z.infer<typeof LogsConfig>;

const isUnique = (texts: readonly string[]): boolean => new Set(texts).size === texts.length;

function unknownPattern(config: LogsConfig): string | undefined {
  const ids = new Set([...CATALOGUE_IDS, ...config.patterns.map((own) => own.id)]);
  return config.files.flatMap(({ patterns = [] }) => patterns).find((one) => !ids.has(one));
}
