import type { DailyCheck, DailyLine } from "../protocol/daily.ts";
import { DAILY_STATES, type DailyCounts, type DailyState, FIGURE_PATTERN } from "../protocol/daily-state.ts";
import type { CheckKind, Verdict } from "./checks/check.ts";
import type { Answer } from "./daily.ts";

/** What the day's check says: every check with its state and figures, none missing, in bounded bytes. Pure. */

export type Sheet = Omit<DailyCheck, "boot" | "seq" | "ts">;
export interface SheetCheck {
  kind: Pick<CheckKind, "id" | "name" | "titles">;
  state: "watched" | "absent" | "disabled";
  answer: Answer | undefined;
}

/** Older answers are told with their age. */
const TOLD_AGE_S = 600;
const MOST_READINGS = 64;
/** The numbers the outbox adds: boot, seq and ts. */
const PLACE_BYTES = 100;

/**
 * The sheet of one day. `now`: monotonic ms, against which answers have their age. What would be over `mostBytes` is cut:
 * first of what is well, the last first; the worst line of each check stays longest. The counts count it all the same.
 */
export function daySheet(
  facts: Pick<DailyCheck, "date" | "agent" | "config_hash">,
  checks: readonly SheetCheck[],
  { now, mostBytes, redact }: { now: number; mostBytes: number; redact(text: string): string },
): Sheet {
  const lines = checks.flatMap((check) => linesOf(check, now, redact));
  const counts = countsOf(lines);
  const bare = JSON.stringify({ ...facts, ...counts, cut_count: lines.length, checks: [] });
  const kept = fitting(lines, mostBytes - Buffer.byteLength(bare) - PLACE_BYTES);
  return { ...facts, ...counts, cut_count: lines.length - kept.length, checks: kept };
}

function linesOf({ kind, state, answer }: SheetCheck, now: number, redact: (text: string) => string): DailyLine[] {
  const plain = (text: string, most: number): string => redact(text).slice(0, most).toWellFormed();
  const of = { check: kind.id, name_zh: kind.name.zh, name_en: kind.name.en };
  if (state !== "watched") return [{ ...of, state }];
  if (answer === undefined) return [{ ...of, state: "unknown", says: "not answered yet" }];
  const seconds = Math.round((now - answer.at) / 1000);
  const age = seconds > TOLD_AGE_S ? { age_s: seconds } : {};
  if (typeof answer.said === "string") return [{ ...of, state: "unknown", says: plain(answer.said, 400), ...age }];
  if (answer.said.length === 0) return [{ ...of, state: "absent" }];
  return answer.said.map((verdict) => ({
    ...of,
    subject: plain(verdict.subject, 200),
    ...judged(verdict, kind.titles, plain),
    ...age,
  }));
}

function judged(
  verdict: Verdict,
  titles: CheckKind["titles"],
  plain: (text: string, most: number) => string,
): Omit<DailyLine, "check" | "name_zh" | "name_en"> {
  if (verdict.state === "unknown") return { state: "unknown", says: plain(verdict.because, 400) };
  const { grade, reason, says } = verdict;
  const title =
    grade === "ok" ? undefined : (verdict.title ?? (Object.hasOwn(titles, reason) ? titles[reason] : undefined));
  const readings = Object.entries(verdict.readings).filter(
    ([name, value]) => Number.isFinite(value) && FIGURE_PATTERN.test(name),
  );
  return {
    state: grade,
    ...(grade === "ok" ? {} : { reason }),
    ...(title === undefined ? {} : { title_zh: plain(title.zh, 200), title_en: plain(title.en, 200) }),
    ...(says === undefined ? {} : { says: plain(says, 400) }),
    ...(readings.length === 0 ? {} : { readings: Object.fromEntries(readings.slice(0, MOST_READINGS)) }),
  };
}

function countsOf(lines: readonly DailyLine[]): DailyCounts {
  const of = (state: DailyState): number => lines.filter((line) => line.state === state).length;
  return Object.fromEntries(DAILY_STATES.map((state) => [`${state}_count`, of(state)])) as DailyCounts;
}

/** The lines that `room` bytes hold, in their order. */
function fitting(lines: readonly DailyLine[], room: number): DailyLine[] {
  const sizes = lines.map((line) => Buffer.byteLength(JSON.stringify(line)) + 1);
  let excess = sizes.reduce((sum, size) => sum + size, 0) - room;
  if (excess <= 0) return [...lines];
  const worst = worstLines(lines);
  const leastFirst = lines
    .map((line, index) => ({ index, weight: weightOf(line) + (worst.has(index) ? DAILY_STATES.length : 0) }))
    .sort((a, b) => a.weight - b.weight || b.index - a.index);
  const gone = new Set<number>();
  for (const { index } of leastFirst) {
    if (excess <= 0) break;
    gone.add(index);
    excess -= sizes[index] ?? 0;
  }
  return lines.filter((_, index) => !gone.has(index));
}

const weightOf = ({ state }: DailyLine): number => DAILY_STATES.length - DAILY_STATES.indexOf(state);

/** The gravest line of each check, by index. */
function worstLines(lines: readonly DailyLine[]): Set<number> {
  const worst = new Map<string, number>();
  for (const [index, line] of lines.entries()) {
    const before = lines[worst.get(line.check) ?? -1];
    if (before === undefined || weightOf(line) > weightOf(before)) worst.set(line.check, index);
  }
  return new Set(worst.values());
}
