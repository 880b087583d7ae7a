import * as z from "zod";
import { CODE_PATTERN, ID_PATTERN } from "./topics.ts";

/** What the HTTP API answers of the performance history and its trends; see api.ts for its habits. */
const ms = z.int();

/** One figure at one moment (`value`), or over one hour from `ts` on (all the others). */
export const ApiHistoryPoint = z.object({
  ts: ms.describe("device clock, as far as it can be believed"),
  figure: z.string(),
  value: z.number().optional(),
  mean: z.number().optional(),
  min: z.number().optional(),
  max: z.number().optional(),
  last: z.number().optional().describe("the last value of the hour"),
  n: z.int().optional().describe("how many values the hour rests on"),
});
export type ApiHistoryPoint = z.infer<typeof ApiHistoryPoint>;

export const ApiTrend = z.object({
  device: z.string().regex(ID_PATTERN),
  code: z.string().regex(CODE_PATTERN),
  figure: z.string(),
  alarm: z.string().regex(CODE_PATTERN).describe("code of its alarm, once it is told"),
  reason: z.enum(["forecast", "outlier"]),
  told: z.boolean().describe("it has an alarm, and a preventive ticket (隐患)"),
  since: ms,
  seen: ms.describe(
    "when it was seen last; an earlier time than that of `looked`: it is gone, and waits to be taken back",
  ),
  looked: ms,
  level: z.number(),
  per_day: z.number(),
  per_day_low: z.number().describe("the change a day lies between these with 90 %"),
  per_day_high: z.number(),
  confidence: z.number(),
  days: z.int(),
  limit: z.number().optional(),
  reaches_at: ms.optional(),
  reaches_from: ms.optional(),
  reaches_to: ms.optional().describe("absent: it may never come"),
  score: z.number().optional().describe("distance from the class's median in robust standard deviations"),
  median: z.number().optional(),
  peers: z.int().optional(),
});
export type ApiTrend = z.infer<typeof ApiTrend>;
