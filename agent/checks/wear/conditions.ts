import { type Condition, gradeHigh, gradeLow } from "../check.ts";
import type { DiskFacts, FsErrors } from "./disks.ts";
import type { SmartFacts } from "./smart.ts";
import type { WearConfig } from "./wear.ts";

/** What is known of one disk at one look. */
export interface DiskLook {
  facts: DiskFacts;
  smart: SmartFacts | undefined;
  /** Since we watch, over at least an hour. */
  errorsPerDay: number | undefined;
  writtenPerDayBytes: number | undefined;
  wallMs: number;
}

const DAY_MS = 86_400_000;
const DAYS_A_MONTH = 30.44;
const HOURS_A_DAY = 24;
/** From less no pace can be told: the steps of eMMC are 10 %. */
const LEAST_USED_PCT = 20;
/** A clock that says less was never set (2020). */
const LEAST_WALL_MS = 1_577_836_800_000;

/** All conditions of a disk; the first holds the readings. Pure. */
export function diskConditions(config: WearConfig, look: DiskLook): Condition[] {
  const { facts, smart, errorsPerDay, writtenPerDayBytes } = look;
  const usedPct = smart?.usedPct ?? facts.usedPct;
  const leftDays = daysLeft(look, usedPct);
  const pace =
    writtenPerDayBytes === undefined ? "" : `; ${(writtenPerDayBytes / 1e9).toFixed(1)} GB are written a day`;
  const left = leftDays === undefined ? "" : `; at this pace worn out in ${Math.round(leftDays)} days`;
  const readings = known({
    used_pct: usedPct,
    left_d: leftDays,
    pre_eol_count: facts.preEol,
    spare_pct: smart?.sparePct,
    reallocated_count: smart?.reallocated,
    unreadable_count: smart?.unreadable,
    errors_count: facts.errors,
    errors_per_day_count: errorsPerDay,
    written_bytes: facts.writtenBytes,
    written_per_day_bytes: writtenPerDayBytes,
    power_on_h: smart?.powerOnHours,
  });
  const says =
    usedPct === undefined ? `its wear is not told${pace}` : `${lifeOf(usedPct)} of its life is used${pace}${left}`;
  const one = (
    reason: string,
    value: number | undefined,
    unit: string,
    grades: (value: number) => Pick<Condition, "grade" | "holds">,
    text: string,
  ): Condition[] => (value === undefined ? [] : [{ ...grades(value), reason, value, unit, says: text, readings: {} }]);
  return [
    {
      ...gradeHigh(usedPct ?? 0, config.usedPct),
      ...(usedPct === undefined ? {} : { value: usedPct, unit: "%" }),
      ...{ reason: "worn", says, readings },
    },
    ...one("left", leftDays, "days", (days) => gradeLow(days, config.leftDays), says),
    ...spareConditions(look),
    ...one(
      "errors",
      errorsPerDay,
      "a day",
      (rate) => gradeHigh(rate, config.errorsPerDay),
      `${errorsPerDay?.toFixed(1)} errors a day, ${facts.errors} in all`,
    ),
    ...one(
      "reallocated",
      smart?.reallocated,
      "sectors",
      (n) => gradeHigh(n, config.reallocated),
      `${smart?.reallocated} sectors were given up`,
    ),
    ...one(
      "unreadable",
      smart?.unreadable,
      "sectors",
      (n) => gradeHigh(n, config.unreadable),
      `${smart?.unreadable} sectors cannot be read`,
    ),
    ...failing(smart),
  ];
}

const lifeOf = (usedPct: number): string => (usedPct > 100 ? "more than 100 %" : `${usedPct} %`);

const known = (figures: Readonly<Record<string, number | undefined>>): Record<string, number> =>
  Object.fromEntries(Object.entries(figures).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));

function spareConditions({ facts, smart }: DiskLook): Condition[] {
  const conditions: Condition[] = [];
  const add = (grade: Condition["grade"], says: string, value: number): void => {
    conditions.push({ grade, holds: grade, reason: "spare", value, says, readings: {} });
  };
  if (facts.preEol === 2) add("major", "80 % of its spare blocks are used (pre-EOL warning)", 2);
  if (facts.preEol === 3) add("critical", "its spare blocks are all but used up (pre-EOL urgent)", 3);
  const { sparePct, leastSparePct = 10 } = smart ?? {};
  if (sparePct !== undefined && sparePct <= leastSparePct)
    add("critical", `${sparePct} % of its spare blocks are left, its maker asks for ${leastSparePct} %`, sparePct);
  return conditions;
}

function failing(smart: SmartFacts | undefined): Condition[] {
  if (smart?.passed !== false && smart?.critical !== true) return [];
  const says = smart.passed === false ? "its own health test says: failing" : "it reports a critical warning";
  return [{ grade: "critical", holds: "critical", reason: "failing", says, readings: {} }];
}

/** Days until 100 % are used at the pace so far: since it was made, or of the hours it was on. */
function daysLeft({ facts, smart, wallMs }: DiskLook, usedPct: number | undefined): number | undefined {
  if (usedPct === undefined || usedPct < LEAST_USED_PCT) return undefined;
  const ageDays =
    smart?.powerOnHours === undefined ? madeDaysAgo(facts.madeMonth, wallMs) : smart.powerOnHours / HOURS_A_DAY;
  if (ageDays === undefined || ageDays < 1) return undefined;
  return Math.max(0, ((100 - usedPct) / usedPct) * ageDays);
}

function madeDaysAgo(madeMonth: number | undefined, wallMs: number): number | undefined {
  if (madeMonth === undefined || wallMs < LEAST_WALL_MS) return undefined;
  const months = 1970 * 12 + wallMs / DAY_MS / DAYS_A_MONTH - madeMonth;
  return months > 0 ? months * DAYS_A_MONTH : undefined;
}

/** What a file system noted within a day is a fault now; what is older asks for a repair. */
export function fsConditions({ errors, lastS }: FsErrors, wallMs: number): Condition {
  const ageH = lastS === undefined ? undefined : (wallMs / 1_000 - lastS) / 3_600;
  const lately = ageH !== undefined && Math.abs(ageH) < 24;
  const grade = errors === 0 ? "ok" : lately ? "major" : "minor";
  const last =
    ageH === undefined || ageH < 0
      ? ""
      : `, the last ${ageH < 48 ? `${ageH.toFixed(1)} h` : `${(ageH / 24).toFixed(0)} days`} ago`;
  const says = errors === 0 ? "no errors noted" : `${errors} errors noted in the file system${last}: it needs fsck`;
  return {
    grade,
    holds: grade,
    reason: "fserrors",
    value: errors,
    unit: "errors",
    says,
    readings: { fs_errors_count: errors },
  };
}
