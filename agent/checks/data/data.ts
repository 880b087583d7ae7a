import * as z from "zod/mini";
import { type CheckKind, commonConfig, highBand, type Judge, lowBand } from "../check.ts";
import { judgeLater } from "../later.ts";
import { NAMES } from "../names.ts";
import { subjectOf } from "./name.ts";

const HOUR = 3_600_000;
const path = z.string().check(z.regex(/^\/$|^\/.*[^/]$/, "a full path without / at its end"), z.maxLength(4_096));
const name = z.optional(z.string().check(z.minLength(1), z.maxLength(80)));
const ms = (least: number, most: number, fallback: number) =>
  z._default(z.int().check(z.minimum(least), z.maximum(most)), fallback);
const severity = z.enum(["warning", "minor", "major", "critical"]);

const high = (most: number) => {
  const band = z.optional(highBand(0, most));
  return z.strictObject({ warning: band, minor: band, major: band, critical: band });
};
const low = (most: number) => {
  const band = z.optional(lowBand(0, most));
  return z.strictObject({ warning: band, minor: band, major: band, critical: band });
};
const both = (most: number) => z.optional(z.strictObject({ low: z.optional(low(most)), high: z.optional(high(most)) }));
const age = z.optional(high(100 * 366 * 24 * HOUR));

const FolderConfig = z.strictObject({
  /** Its subject; the path when not given. Names of files in it never leave the device. */
  name,
  path,
  /** Only files whose names end so, in any case: `.mp4`. All when empty. */
  match: z._default(z.array(z.string().check(z.minLength(1), z.maxLength(80))).check(z.maxLength(50)), []),
  /** How many folders deep; 0: only what lies in it directly. */
  depth: z._default(z.int().check(z.minimum(0), z.maximum(64)), 8),
  /** More entries are not looked at, and are a warning of their own. */
  maxEntries: z._default(z.int().check(z.minimum(1), z.maximum(5_000_000)), 20_000),
  /** Go on into other file systems mounted below. */
  crossMounts: z._default(z.boolean(), false),
  everyMs: ms(1_000, 30 * 24 * HOUR, HOUR),
  deadlineMs: ms(100, HOUR, 120_000),
  /** Number of files. */
  count: both(Number.MAX_SAFE_INTEGER),
  /** Sum of their sizes. */
  bytes: both(Number.MAX_SAFE_INTEGER),
  /** Time since the last new or changed file; of an empty folder since something last came or went. */
  newestAgeMs: age,
  /** Age of the oldest file: a backlog nobody drains. */
  oldestAgeMs: age,
  /** Learn what is usual here, and warn of what is not. */
  usual: z._default(z.boolean(), true),
  /** How bad it is when the folder is not there. */
  missing: z._default(severity, "major"),
});
export type FolderConfig = z.infer<typeof FolderConfig>;

const FileConfig = z.strictObject({
  name,
  path,
  /**
   * `json`: can be read as JSON; `sqlite`: passes SQLite's own quick check; `sha256sums`: a list as `sha256sum` prints it,
   * each file of which must have its sum.
   */
  integrity: z.enum(["json", "sqlite", "sha256sums"]),
  everyMs: ms(1_000, 90 * 24 * HOUR, 24 * HOUR),
  deadlineMs: ms(100, HOUR, 300_000),
  /** How bad it is when it is damaged or not there. */
  severity: z._default(severity, "major"),
});
export type FileConfig = z.infer<typeof FileConfig>;

const Config = z
  .strictObject({
    ...commonConfig({ every: "slow", holdOnMs: 0, holdOffMs: 0, deadlineMs: 60_000 }),
    folders: z._default(z.array(FolderConfig).check(z.maxLength(50)), []),
    files: z._default(z.array(FileConfig).check(z.maxLength(50)), []),
    /** So many days of a folder must be known before anything in it is unusual. */
    usualAfterDays: z._default(z.int().check(z.minimum(2), z.maximum(28)), 7),
  })
  .check(
    z.refine(({ folders, files }) => {
      const names = [...folders, ...files].map(subjectOf);
      return new Set(names).size === names.length;
    }, "two folders or files have the same name"),
  );
export type DataConfig = z.infer<typeof Config>;

/** Is there as much data as there should be, and does it move? */
export const data: CheckKind<DataConfig> = {
  id: "data",
  name: NAMES.data,
  Config,
  titles: {
    count: { zh: "文件数量超出范围", en: "Number of files out of range" },
    size: { zh: "数据量超出范围", en: "Amount of data out of range" },
    stale: { zh: "长时间没有新数据", en: "No new data for too long" },
    backlog: { zh: "数据积压未处理", en: "Data waits too long" },
    unusual: { zh: "数据量与平时不同", en: "Data not as usual" },
    toomany: { zh: "目录文件过多，未能全部统计", en: "More files than are counted" },
    missing: { zh: "数据目录或文件不存在", en: "Data folder or file missing" },
    damaged: { zh: "数据文件损坏", en: "Data file damaged" },
    gone: { zh: "数据目录已不再配置", en: "Data no longer watched" },
  },
  begin: (config, ports): Judge | undefined =>
    config.folders.length + config.files.length === 0
      ? undefined
      : judgeLater(async () => (await import("./judge.ts")).openData(config, ports)),
};
