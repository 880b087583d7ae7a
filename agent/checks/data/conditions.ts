import type { Severity } from "../../../protocol/severity.ts";
import { type Bands, type Condition, gradeHigh, gradeLow } from "../check.ts";
import type { FolderConfig } from "./data.ts";
import { dayOf } from "./usual.ts";
import type { Walked } from "./walk.ts";

/** Figures of one folder, by the names of its readings. Ages only where the clock can be believed. Pure. */
export interface DataFigures extends Record<string, number> {
  files_count: number;
  size_bytes: number;
}

/** Between what each figure usually lies. */
export type UsualRanges = (name: string) => { low: number; high: number } | undefined;

/** A clock that is behind the files by more than this is wrong. */
const FUTURE_MS = 86_400_000;

/** The figures of a walk at the wall clock `wallMs`. */
export function figuresOf({ count, bytes, newestMs, oldestMs }: Walked, wallMs: number): DataFigures {
  const figures: DataFigures = { files_count: count, size_bytes: bytes };
  if (dayOf(wallMs) === undefined || newestMs - wallMs > FUTURE_MS) return figures;
  figures["newest_age_s"] = Math.max(0, Math.round((wallMs - newestMs) / 1_000));
  if (count > 0) figures["oldest_age_s"] = Math.max(0, Math.round((wallMs - oldestMs) / 1_000));
  return figures;
}

/** All conditions of a folder; the first holds the readings. */
export function conditionsOf(
  { count, bytes, newestAgeMs, oldestAgeMs, maxEntries }: FolderConfig,
  walked: Walked,
  figures: DataFigures,
  usual: UsualRanges | undefined,
): Condition[] {
  const { files_count: files, size_bytes: size, newest_age_s: newestS, oldest_age_s: oldestS } = figures;
  const blind = walked.unreadable > 0 ? `; ${walked.unreadable} folders inside cannot be read` : "";
  const all = `${files} files, ${mega(size)}${blind}`;
  const conditions: Condition[] = [
    { ...both(files, count), reason: "count", value: files, unit: "files", says: all, readings: figures },
    { ...both(size, bytes), reason: "size", value: size, unit: "bytes", says: all, readings: {} },
  ];
  if (newestS !== undefined && newestAgeMs !== undefined)
    conditions.push(
      age("stale", newestS, newestAgeMs, files > 0 ? "the newest file is" : "empty, and nothing came for"),
    );
  if (oldestS !== undefined && oldestAgeMs !== undefined)
    conditions.push(age("backlog", oldestS, oldestAgeMs, `of ${files} files the oldest is`));
  if (walked.cut) {
    const says = `more than ${maxEntries} entries: the others were not looked at`;
    conditions.push({
      grade: "warning",
      holds: "warning",
      reason: "toomany",
      value: maxEntries,
      unit: "files",
      says,
      readings: {},
    });
  }
  if (usual !== undefined && !walked.cut && walked.unreadable === 0) conditions.push(...odd(figures, usual));
  return conditions;
}

interface Both {
  low?: Bands | undefined;
  high?: Bands | undefined;
}
function both(value: number, limits: Both | undefined): Pick<Condition, "grade" | "holds"> {
  const low = gradeLow(value, limits?.low ?? {});
  return low.holds === "ok" ? gradeHigh(value, limits?.high ?? {}) : low;
}

function age(
  reason: string,
  ageS: number,
  bandsMs: Partial<Record<Severity, { raise: number; clear: number } | undefined>>,
  what: string,
): Condition {
  return {
    ...gradeHigh(ageS * 1_000, bandsMs),
    reason,
    value: ageS,
    unit: "s",
    says: `${what} ${span(ageS)} old`,
    readings: {},
  };
}

/** What differs little in absolute terms is as usual, however small the usual range is. */
const SLACK: Readonly<Record<string, number>> = {
  files_count: 10,
  size_bytes: 1_000_000,
  newest_age_s: 900,
  oldest_age_s: 3_600,
};
/** Unusual is what lies half as far again from the usual range, no more what lies a quarter away. */
const RAISE = 0.5;
const CLEAR = 0.25;

function odd(figures: DataFigures, usual: UsualRanges): Condition[] {
  return Object.entries(figures).flatMap(([name, value]): Condition[] => {
    const range = usual(name);
    const slack = SLACK[name];
    if (range === undefined || slack === undefined) return [];
    const away = (share: number): boolean =>
      value > range.high * (1 + share) + slack * share * 2 ||
      // a young newest or oldest file is never bad
      (!name.endsWith("_s") && value < range.low * (1 - share) - slack * share * 2);
    const grade = away(RAISE) ? "warning" : "ok";
    const holds = away(CLEAR) ? "warning" : "ok";
    const says = `${name} is ${value}, usually ${range.low} to ${range.high}`;
    return [{ grade, holds, reason: "unusual", value, says, readings: {} }];
  });
}

const mega = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
const span = (seconds: number): string =>
  seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3_600).toFixed(1)} h`;
