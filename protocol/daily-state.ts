import { SEVERITIES } from "./severity.ts";

/**
 * What a daily check says of a subject, gravest first: a grade, or `unknown` (could not tell), `absent` (this machine has
 * no such thing), `disabled` (switched off in the config). Apart from daily.ts so that a device need not load its schema.
 */
export const DAILY_STATES = [...SEVERITIES.toReversed(), "unknown", "ok", "absent", "disabled"] as const;
export type DailyState = (typeof DAILY_STATES)[number];

/** Names of figures in a daily check: they become headings and cells. */
export const FIGURE_PATTERN = /^[!-~]{1,80}$/;

/** Subjects by state, as they stand flat at the top of a daily check. */
export type DailyCounts = Record<`${DailyState}_count`, number>;

/** The worst state of a day by its counts. */
export const worstOfDay = (counts: Readonly<DailyCounts>): DailyState =>
  DAILY_STATES.find((state) => counts[`${state}_count`] > 0) ?? "absent";
