import * as z from "zod/mini";
import { commonConfig } from "../check.ts";

const DAY = 86_400_000;
const severity = z.enum(["warning", "minor", "major", "critical"]);
const path = z.string().check(z.regex(/^\/.*[^/]$/, "a full path without / at its end"), z.maxLength(1_024));

const FileConfig = z.strictObject({
  /** A file or a folder; of a folder all files in it. */
  path,
  /** Its subject; the path when not given. */
  name: z.optional(z.string().check(z.minLength(1), z.maxLength(80))),
  /** Files in folders below, too; 8 deep. */
  recursive: z._default(z.boolean(), false),
  /** Settings whose values are never shown nor stored, beside what looks like a secret anyway: up to the end of the line. */
  secretKeys: z._default(z.array(z.string().check(z.minLength(1), z.maxLength(80))).check(z.maxLength(100)), []),
  /** Nothing of its content is shown or stored: that it changed is all that is told. */
  secret: z._default(z.boolean(), false),
  /** A larger file is not read. */
  maxBytes: z._default(z.int().check(z.minimum(1), z.maximum(1_048_576)), 262_144),
  /** `user:group` it must have, whatever was signed off: names or numbers. */
  owner: z.optional(z.string().check(z.regex(/^[\w.-]{1,40}:[\w.-]{1,40}$/, "user:group"))),
  /** Permissions it must have, whatever was signed off: four octal digits. */
  mode: z.optional(z.string().check(z.regex(/^[0-7]{4}$/, "four octal digits, like 0640"))),
  severity: z._default(severity, "minor"),
});
export type FileConfig = z.infer<typeof FileConfig>;

/** What a file is called in alarms and commands. */
export const subjectOf = ({ name, path: at }: { name?: string | undefined; path: string }): string => name ?? at;

const isUnique = (files: readonly FileConfig[]): boolean =>
  new Set(files.map(subjectOf)).size === files.length && new Set(files.map((file) => file.path)).size === files.length;

export const DriftConfig = z.strictObject({
  ...commonConfig({ every: { everyMs: 60_000 }, holdOnMs: 0, holdOffMs: 0, deadlineMs: 20_000 }),
  files: z._default(
    z.array(FileConfig).check(z.maxLength(100), z.refine(isUnique, "each path and each name once")),
    [],
  ),
  /** Content is read again so often although nothing seems to have changed: flash forgets, and times can be set back. */
  rereadMs: z._default(z.int().check(z.minimum(60_000), z.maximum(30 * DAY)), DAY),
  /** How bad it is that nobody has signed a baseline off. */
  unsigned: z._default(z.union([severity, z.literal("ok")]), "ok"),
});
export type DriftConfig = z.infer<typeof DriftConfig>;
