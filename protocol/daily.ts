import * as z from "zod";
import { BOOT_PATTERN } from "./boot.ts";
import { DAILY_STATES, FIGURE_PATTERN } from "./daily-state.ts";

/**
 * The daily check (日检): once a day everything a device knows of itself, in one message. A document: its list nests,
 * unlike what is graphed (docs/decisions/0010-documents.md); its counts stand flat at the top. Built with full zod; the
 * agent imports its types alone.
 */

/** Lines of a daily check at most; a device cuts to bytes long before. */
export const MOST_DAILY_LINES = 4_000;

const title = z.string().min(1).max(200);
const count = z.int().nonnegative();

/** One subject of a check, or a check that has none. */
export const DailyLine = z.object({
  check: z.string().min(1).max(40),
  name_zh: title,
  name_en: title,
  subject: z.string().max(200).optional(),
  state: z.enum(DAILY_STATES),
  /** Which condition of the check decided, e.g. `space`; absent on what is well. */
  reason: z.string().max(40).optional(),
  title_zh: title.optional(),
  title_en: title.optional(),
  /** One sentence of evidence, en. */
  says: z.string().max(400).optional(),
  /** How old the answer is, where it could not be had anew. */
  age_s: count.optional(),
  /** Figures by name; each name ends in its unit. */
  readings: z.record(z.string().regex(FIGURE_PATTERN), z.number()).optional(),
});
export type DailyLine = z.infer<typeof DailyLine>;

export const DailyCheck = z.object({
  /** The day it stands for, by the device's own calendar. */
  date: z.iso.date(),
  boot: z.string().regex(BOOT_PATTERN),
  seq: z.int().positive(),
  /** When it was made: epoch ms, device clock. */
  ts: z.int(),
  agent: z.string().max(40),
  config_hash: z.string().max(128).optional(),
  /** Subjects by state, those that were cut off included. */
  critical_count: count,
  major_count: count,
  minor_count: count,
  warning_count: count,
  unknown_count: count,
  ok_count: count,
  absent_count: count,
  disabled_count: count,
  /** Lines left out because the message would have been too large: of what is well, the last. */
  cut_count: count,
  checks: z.array(DailyLine).max(MOST_DAILY_LINES),
});
export type DailyCheck = z.infer<typeof DailyCheck>;
