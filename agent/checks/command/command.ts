import * as z from "zod/mini";
import { type CheckKind, commonConfig, type Judge, namedOnce } from "../check.ts";
import { judgeLater } from "../later.ts";
import { NAMES } from "../names.ts";

const path = z.string().check(z.regex(/^\//, "a full path"), z.maxLength(4_096));
const word = z.string().check(
  z.maxLength(4_096),
  z.refine((text) => !text.includes("\0"), "no NUL in a word of a command"),
);
const severity = z.enum(["warning", "minor", "major", "critical"]);
const title = z.optional(z.string().check(z.minLength(1), z.maxLength(200)));
const variable = z.string().check(z.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "a name of a variable"));

const Plugin = z.strictObject({
  /** Its subject in alarms and readings. */
  name: z.string().check(z.minLength(1), z.maxLength(80)),
  /**
   * The program and its words; no shell reads them. A word may be `{"file": PATH}`: the text of that file is put in its
   * place. Every user of the device sees the words of running programs: for secrets take `envFiles` where the plugin allows.
   */
  argv: z.tuple([word.check(z.minLength(1))], z.union([word, z.strictObject({ file: path })])),
  everyMs: z._default(z.int().check(z.minimum(1_000), z.maximum(2_592_000_000)), 300_000),
  /** So soon again, three times, after an answer of another grade. */
  retryMs: z._default(z.int().check(z.minimum(1_000), z.maximum(86_400_000)), 30_000),
  /** Past it the program is ended with all its children. */
  deadlineMs: z._default(z.int().check(z.minimum(100), z.maximum(300_000)), 10_000),
  /** A program that prints more is ended, and unknown. */
  outputCapBytes: z._default(z.int().check(z.minimum(1_024), z.maximum(1_048_576)), 16_384),
  /** Who it runs as: a name, "uid" or "uid:gid". To be another than the agent is, the agent must be root. */
  user: z.optional(
    z.string().check(z.regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?$|^\d{1,10}(:\d{1,10})?$/, "a user, uid or uid:gid")),
  ),
  /** Its whole environment beside PATH and LANG=C. */
  env: z._default(z.record(variable, word), {}),
  /** The same with values from files, read anew for each run. */
  envFiles: z._default(z.record(variable, path), {}),
  /** How bad exit codes 1 and 2 are. With the others given, exit code 3 and a plugin that hangs are faults, not unknown. */
  severity: z.prefault(
    z.strictObject({
      warning: z._default(severity, "minor"),
      critical: z._default(severity, "major"),
      unknown: z.optional(severity),
      hung: z.optional(severity),
    }),
    {},
  ),
  titleZh: title,
  titleEn: title,
});
export type Plugin = z.infer<typeof Plugin>;

const Config = z.strictObject({
  ...commonConfig({ every: "slow", holdOnMs: 65_000, holdOffMs: 60_000, deadlineMs: 60_000 }),
  plugins: z._default(z.array(Plugin).check(z.maxLength(100), namedOnce), []),
});
export type CommandConfig = z.infer<typeof Config>;

/** What do programs of the Monitoring Plugins API say? */
export const commands: CheckKind<CommandConfig> = {
  id: "command",
  name: NAMES.command,
  Config,
  titles: {
    warning: { zh: "插件报警告", en: "Plugin says warning" },
    critical: { zh: "插件报严重", en: "Plugin says critical" },
    unknown: { zh: "插件无法判断", en: "Plugin cannot tell" },
    hung: { zh: "插件无响应", en: "Plugin hangs" },
    gone: { zh: "插件已不再配置", en: "Plugin not configured any more" },
  },
  begin: (config, ports): Judge | undefined =>
    config.plugins.length === 0
      ? undefined
      : judgeLater(async () => (await import("./run.ts")).openPlugins(config, ports)),
};
