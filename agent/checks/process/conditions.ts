import { type Condition, gradeHigh } from "../check.ts";
import type { Watch } from "./config.ts";
import type { Figures } from "./figures.ts";
import type { Watched } from "./watched.ts";

const MOST_NAMED = 120;

/** How many live, of what, and how many should. */
export function presenceSays({ min, max, unit, exe, command }: Watch, { alive, zombies }: Watched): string {
  const what = unit ?? exe ?? (typeof command === "string" ? command : (command ?? []).join(" "));
  const wanted = max === undefined ? `at least ${min}` : `${min} to ${max}`;
  const dead = alive === 0 && zombies > 0 ? `, ${zombies} left as zombie` : "";
  return `${alive} alive of ${what.slice(0, MOST_NAMED)}${dead}; ${wanted} wanted`;
}

/** A few restarts are none of an alarm's business: they must not hold up another one of this watch either. */
export function restartLoop(watch: Watch, watched: Watched, nowMs: number): Condition {
  const { count: restarts, loop } = watched.restarts(nowMs);
  const { raise, withinMs, severity: grade } = watch.restarts;
  return {
    grade: restarts >= raise ? grade : "ok",
    holds: loop ? grade : "ok",
    reason: "restarts",
    value: restarts,
    unit: "count",
    says: `started again ${restarts} times within ${Math.round(withinMs / 60_000)} min`,
    readings: { restarts_count: restarts },
  };
}

const MIB = 1_048_576;

/** Resident memory against its limits, with the processor time as evidence beside it. */
export function memory(watch: Watch, { rssBytes, growthBytesPerHour, cpuPct }: Figures): Condition[] {
  const used: Condition = {
    ...gradeHigh(rssBytes ?? 0, rssBytes === undefined ? {} : { [watch.memorySeverity]: watch.rssBytes }),
    reason: "memory",
    ...(rssBytes === undefined
      ? {}
      : { value: rssBytes, unit: "B", says: `${(rssBytes / MIB).toFixed(1)} MiB resident` }),
    readings: {
      ...(rssBytes === undefined ? {} : { rss_bytes: rssBytes }),
      ...(cpuPct === undefined ? {} : { cpu_pct: cpuPct }),
    },
  };
  if (growthBytesPerHour === undefined) return [used];
  const grows: Condition = {
    ...gradeHigh(growthBytesPerHour, { [watch.memorySeverity]: watch.growthBytesPerHour }),
    reason: "memory",
    value: growthBytesPerHour,
    unit: "B/h",
    says: `resident memory grows by ${(growthBytesPerHour / MIB).toFixed(2)} MiB an hour`,
    readings: { growth_bytes_per_h: growthBytesPerHour },
  };
  return [used, grows];
}

/** Open files of the fullest process against its own limit, and how those of all of them grow. */
export function descriptors(watch: Watch, { fds, fdsPct, fdsLimit, growthFdsPerHour }: Figures): Condition[] {
  const open: Condition = {
    ...gradeHigh(fdsPct ?? 0, fdsPct === undefined ? {} : watch.descriptorsPct),
    reason: "descriptors",
    ...(fdsPct === undefined
      ? {}
      : { value: fdsPct, unit: "%", says: `${fdsPct.toFixed(0)} % of its ${fdsLimit} file descriptors are open` }),
    readings: {
      ...(fds === undefined ? {} : { fds_count: fds }),
      ...(fdsPct === undefined ? {} : { fds_pct: fdsPct }),
    },
  };
  if (growthFdsPerHour === undefined) return [open];
  const grows: Condition = {
    ...gradeHigh(growthFdsPerHour, { minor: watch.growthFdsPerHour }),
    reason: "descriptors",
    value: Math.round(growthFdsPerHour),
    unit: "1/h",
    says: `open files grow by ${Math.round(growthFdsPerHour)} an hour`,
    readings: { growth_fds_per_h: growthFdsPerHour },
  };
  return [open, grows];
}
