import { slug } from "../../protocol/topics.ts";
import { DAY_MS, type Finding, type FindingKey, HOUR_MS } from "../history-store.ts";
import type { Analysis } from "./forecast.ts";
import type { Limit } from "./limits.ts";
import type { Standing } from "./peers.ts";

/** What a figure was seen to do this time. */
export interface Look {
  /** Epoch ms, and the end of what was looked at. */
  now: number;
  analysis: Analysis;
  standing: Standing | undefined;
  rule: Limit;
}

export interface FindingRules {
  horizonDays: number;
  holdHours: number;
  clearHours: number;
  outliers: { score: number; holdHours: number };
}

/** Once seen, a forecast stands until its limit is so many times further than the horizon, an outlier down to this share. */
const HORIZON_CLEARS = 1.5;
const SCORE_CLEARS = 0.75;

export const alarmCode = ({ code, figure }: Pick<FindingKey, "code" | "figure">): string =>
  `trend.${slug(`${code}-${figure}`)}`;

/** What is known of a figure after a look. Undefined: nothing worth remembering. Pure. */
export function afterLook(
  known: Finding | undefined,
  key: FindingKey,
  look: Look,
  rules: FindingRules,
): Finding | undefined {
  const { now, analysis } = look;
  const reason = reasonOf(known, look, rules);
  if (reason === undefined)
    return known?.toldAt === undefined ? undefined : { ...known, looked: now, level: analysis.level };
  const { toldAt, toldReachesAt } = known ?? {};
  return {
    ...{ device: key.device, code: key.code, figure: key.figure, alarm: alarmCode(key), reason },
    ...{ since: known?.reason === reason || known?.toldAt !== undefined ? known.since : now, seen: now, looked: now },
    ...numbers(look),
    ...(toldAt !== undefined && { toldAt }),
    ...(toldReachesAt !== undefined && { toldReachesAt }),
  };
}

function reasonOf(known: Finding | undefined, { analysis, standing, rule }: Look, rules: FindingRules) {
  const horizon = (rule.horizonDays ?? rules.horizonDays) * (known?.reason === "forecast" ? HORIZON_CLEARS : 1);
  if (analysis.forecast !== undefined && analysis.forecast.reachesIn <= horizon) return "forecast" as const;
  const score = rules.outliers.score * (known?.reason === "outlier" ? SCORE_CLEARS : 1);
  return standing !== undefined && standing.score >= score ? ("outlier" as const) : undefined;
}

function numbers({ now, analysis: { level, forecast }, standing }: Look) {
  const at = (days: number): number => Math.round(now + days * DAY_MS);
  return {
    level: forecast?.level ?? level,
    ...{ perDay: forecast?.perDay ?? 0, perDayLow: forecast?.low ?? 0, perDayHigh: forecast?.high ?? 0 },
    ...{ confidence: forecast?.confidence ?? 0, days: forecast?.days ?? 1 },
    ...(forecast !== undefined && {
      limit: forecast.limit,
      reachesAt: at(forecast.reachesIn),
      reachesFrom: at(forecast.reachesFrom),
    }),
    ...(forecast?.reachesTo !== undefined && { reachesTo: at(forecast.reachesTo) }),
    ...(standing !== undefined && standing.score > 0 && standing),
  };
}

/** What is to be done about a finding now. */
export type Step = "wait" | "tell" | "clear";
export function stepOf(finding: Finding, { holdHours, clearHours, outliers }: FindingRules): Step {
  const { looked, seen, since, reason } = finding;
  if (looked > seen) return looked - seen >= clearHours * HOUR_MS ? "clear" : "wait";
  const hold = reason === "forecast" ? holdHours : outliers.holdHours;
  return finding.toldAt !== undefined || looked - since >= hold * HOUR_MS ? "tell" : "wait";
}

/** Whether what was told is out of date: the limit comes nearer or goes further by a day and a fifth of what is left. */
export function isNews(finding: Finding, now: number): boolean {
  const { toldAt, toldReachesAt, reachesAt } = finding;
  if (toldAt === undefined || now - toldAt < DAY_MS) return toldAt === undefined;
  if (reachesAt === undefined || toldReachesAt === undefined) return reachesAt !== toldReachesAt;
  const moved = Math.abs(reachesAt - toldReachesAt);
  return moved > DAY_MS && moved > 0.2 * Math.abs(toldReachesAt - now);
}
