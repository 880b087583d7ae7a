import * as z from "zod/mini";
import type { Redact } from "../../../platform/redact.ts";
import type { Judged } from "../check.ts";
import type { Pattern } from "./catalogue.ts";
import { excerptOf } from "./excerpt.ts";

/** How often did one pattern match lately, and is that an alarm? */

/** What outlives a restart. Times are milliseconds since the machine's boot. */
export const TallyState = z.object({
  total: z.number(),
  /** Matches of the window, oldest first: when, and how many. */
  recent: z.array(z.tuple([z.number(), z.number()])),
  lastAt: z.number(),
  raised: z.boolean(),
  where: z.string(),
  excerpt: z.string(),
});
export type TallyState = z.infer<typeof TallyState>;

/** The window is told apart into so many parts at most. */
const PARTS = 12;

/** The matches of one pattern. It is only made for one that has matched. */
export class Tally {
  readonly #pattern: Pattern;
  readonly #redact: Redact;
  #state: TallyState;
  /** The last line of this round; cleaned once, however many there were. */
  #line: string | undefined;
  #verdict: Judged | undefined;
  /** Milliseconds since boot at which the verdict may change by itself. */
  #dueAt = Number.NEGATIVE_INFINITY;

  constructor(pattern: Pattern, redact: Redact, state?: TallyState) {
    this.#pattern = pattern;
    this.#redact = redact;
    this.#state = state ?? { total: 0, recent: [], lastAt: 0, raised: false, where: "", excerpt: "" };
  }

  hit(line: string, where: string, now: number): void {
    const { recent } = this.#state;
    const last = recent.at(-1);
    if (last !== undefined && now - last[0] < this.#pattern.windowMs / PARTS) last[1] += 1;
    else recent.push([now, 1]);
    this.#state.total += 1;
    this.#state.lastAt = now;
    this.#state.where = where;
    this.#line = line;
    this.#dueAt = Number.NEGATIVE_INFINITY;
  }

  /** Whether `verdict` would say anything new. */
  isDue = (now: number): boolean => now >= this.#dueAt;

  /** The same object while nothing changed. */
  verdict(now: number): Judged {
    if (this.#verdict === undefined || this.isDue(now)) this.#verdict = this.#judge(now);
    return this.#verdict;
  }

  /** To be kept; call `verdict` before. */
  get state(): TallyState {
    return this.#state;
  }

  #judge(now: number): Judged {
    const { windowMs, quietMs, count } = this.#pattern;
    const state = this.#state;
    state.recent = state.recent.filter(([at]) => now - at < windowMs);
    const within = state.recent.reduce((sum, [, times]) => sum + times, 0);
    const bad = within >= count;
    state.raised = bad || (state.raised && now - state.lastAt < quietMs);
    if (this.#line !== undefined) state.excerpt = excerptOf(this.#line, this.#redact);
    this.#line = undefined;
    if (!state.raised && within === 0) state.excerpt = "";
    const [oldest] = state.recent;
    this.#dueAt = Math.min(
      oldest === undefined ? Number.POSITIVE_INFINITY : oldest[0] + windowMs,
      state.raised ? state.lastAt + quietMs : Number.POSITIVE_INFINITY,
    );
    return this.#told(within, bad);
  }

  #told(within: number, bad: boolean): Judged {
    const { id, title, severity, windowMs, count } = this.#pattern;
    const { total, raised, where, excerpt } = this.#state;
    return {
      state: "judged",
      subject: id,
      grade: bad ? severity : "ok",
      holds: raised ? severity : "ok",
      reason: id,
      title,
      value: within,
      unit: "count",
      says: `${within} lines in ${spoken(windowMs)} (raised at ${count})${excerpt === "" ? "" : `, the last in ${where}: ${excerpt}`}`,
      readings: { window_count: within, total_count: total },
    };
  }
}

/** A span as people say it. */
export function spoken(ms: number): string {
  if (ms >= 7_200_000) return `${Math.round(ms / 360_000) / 10} h`;
  return ms >= 120_000 ? `${Math.round(ms / 6_000) / 10} min` : `${Math.round(ms / 1_000)} s`;
}
