import * as z from "zod/mini";
import { SEVERITIES } from "../../../protocol/severity.ts";
import { commonConfig, highBand } from "../check.ts";

const severity = z.enum(SEVERITIES);
const count = (least: number) => z.int().check(z.minimum(least), z.maximum(256));
const ms = (least: number, fallback: number) =>
  z._default(z.int().check(z.minimum(least), z.maximum(604_800_000)), fallback);
const bytes = highBand(0, Number.MAX_SAFE_INTEGER);
const word = z.string().check(z.minLength(1), z.maxLength(1000));

const Watch = z
  .strictObject({
    /** The subject of its alarms. */
    name: z.string().check(z.regex(/^[^\s\p{C}]{1,80}$/u, "up to 80 characters without blanks")),
    /** A systemd unit: every process of its control group. */
    unit: z.optional(
      z.string().check(z.regex(/^[\w@.:\\-]{1,240}\.(service|scope)$/, "a unit name such as nginx.service")),
    ),
    exe: z.optional(z.string().check(z.regex(/^\/.{1,4000}$/, "an absolute path"))),
    /** Any part of the command line, or its first arguments as a list. */
    command: z.optional(
      z.union([
        z.string().check(z.minLength(3), z.maxLength(1000)),
        z.array(word).check(z.minLength(1), z.maxLength(50)),
      ]),
    ),
    min: z._default(count(0), 1),
    max: z.optional(count(0)),
    /** Of missing processes and a wrong count. */
    severity: z._default(severity, "major"),
    restarts: z.prefault(
      z.strictObject({
        raise: z._default(count(1), 3),
        withinMs: ms(60_000, 600_000),
        severity: z._default(severity, "major"),
      }),
      {},
    ),
    /** Resident memory of all its processes together; not judged unless a limit is given. */
    rssBytes: z.optional(bytes),
    /** Robust slope over the growth window, once three quarters of it are seen; not judged unless a limit is given. */
    growthBytesPerHour: z.optional(bytes),
    memorySeverity: z._default(severity, "minor"),
    /** Open files of its fullest process, in percent of that process's own soft limit. */
    descriptorsPct: z.prefault(
      z.strictObject({
        minor: z._default(highBand(0, 100), { raise: 80, clear: 70 }),
        major: z._default(highBand(0, 100), { raise: 95, clear: 85 }),
      }),
      {},
    ),
    /** Robust slope of all its open files over the growth window; not judged unless a limit is given. */
    growthFdsPerHour: z.optional(highBand(0, 1_000_000_000)),
  })
  .check(
    z.refine((watch) => (watch.unit ?? watch.exe ?? watch.command) !== undefined, "needs unit, exe or command"),
    z.refine((watch) => watch.max === undefined || watch.max >= watch.min, "max must not be below min"),
  );
export type Watch = z.infer<typeof Watch>;

export const ProcessConfig = z.strictObject({
  ...commonConfig({ every: "fast", holdOnMs: 0, holdOffMs: 10_000 }),
  watch: z._default(
    z.array(Watch).check(
      z.maxLength(100),
      z.refine((watch) => new Set(watch.map(({ name }) => name)).size === watch.length, "names must differ"),
    ),
    [],
  ),
  /** So long after the machine's start a process that never ran yet raises no alarm. */
  bootGraceMs: ms(0, 60_000),
  figuresEveryMs: ms(1_000, 10_000),
  /** Open files and processor time. */
  descriptorsEveryMs: ms(1_000, 60_000),
  growthWindowMs: ms(60_000, 21_600_000),
});
export type ProcessConfig = z.infer<typeof ProcessConfig>;
