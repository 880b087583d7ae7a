/** Times of day by the machine's wall clock. Runs `run` whenever `expression` is due, until `signal` aborts. */
export type Cron = (expression: string, run: () => void, signal: AbortSignal) => Promise<void>;

/** Real time by node-cron, which is loaded only where a config has a cron expression. */
export const nodeCron: Cron = async (expression, run, signal) => {
  const { schedule } = await import("node-cron");
  if (signal.aborted) return;
  const task = schedule(expression, run, { suppressMissedWarning: true });
  signal.addEventListener("abort", () => void task.destroy(), { once: true });
};

const MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split(" ");
const DAYS = "sun mon tue wed thu fri sat".split(" ");

interface Field {
  name: string;
  least: number;
  most: number;
  /** Names for the numbers from `least` on. */
  words?: readonly string[];
}
const SECOND: Field = { name: "second", least: 0, most: 59 };
const DAY: Field = { name: "day of month", least: 1, most: 31 };
const MONTH: Field = { name: "month", least: 1, most: 12, words: MONTHS };
/** Days of each month, from January at 1. */
const LENGTHS = [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const MINUTE: Field = { name: "minute", least: 0, most: 59 };
const HOUR: Field = { name: "hour", least: 0, most: 23 };
const WEEKDAY: Field = { name: "day of week", least: 0, most: 7, words: DAYS };
const FIELDS: readonly Field[] = [MINUTE, HOUR, DAY, MONTH, WEEKDAY];

/** What is wrong with a cron expression (five fields, or six with seconds first), undefined when nothing is. */
export function cronMistake(expression: string): string | undefined {
  const words = expression.trim().split(/\s+/);
  const fields = words.length === 6 ? [SECOND, ...FIELDS] : FIELDS;
  if (words.length !== fields.length)
    return "needs five fields (minute hour day month weekday), or six with seconds first";
  for (const [i, field] of fields.entries()) {
    const wrong = (words[i] ?? "").split(",").find((part) => !fits(part, field));
    if (wrong !== undefined) return `${field.name}: "${wrong}" is not within ${field.least}-${field.most}`;
  }
  const [days = "", months = ""] = words.slice(-3);
  const possible = values(months, MONTH).some((month) =>
    values(days, DAY).some((day) => day <= (LENGTHS[month] ?? 31)),
  );
  return possible ? undefined : `day of month: "${days}" never comes in month "${months}"`;
}

/**
 * The first time on a day at which an expression without mistakes is due, in seconds of that day; undefined where the day
 * is none of its days. Day of month and weekday must both fit, as node-cron has it.
 */
export function firstTimeOf(
  expression: string,
  { month, day, weekday }: { month: number; day: number; weekday: number },
): number | undefined {
  const words = expression.trim().split(/\s+/);
  const [seconds = "", minutes = "", hours = "", days = "", months = "", weekdays = ""] =
    words.length === 6 ? words : ["0", ...words];
  const has = (text: string, field: Field, value: number): boolean => values(text, field).includes(value);
  const isItsWeekday = has(weekdays, WEEKDAY, weekday) || (weekday === 0 && has(weekdays, WEEKDAY, 7));
  if (!has(days, DAY, day) || !has(months, MONTH, month) || !isItsWeekday) return undefined;
  const first = (text: string, field: Field): number => Math.min(...values(text, field));
  return first(hours, HOUR) * 3600 + first(minutes, MINUTE) * 60 + first(seconds, SECOND);
}

/** What a field that fits stands for. */
function values(text: string, field: Field): number[] {
  return text.split(",").flatMap((part) => {
    const [range = "", step = "1"] = part.split("/");
    const [from, to = from] = range === "*" ? [String(field.least), String(field.most)] : range.split("-");
    const first = numberOf(from, field) ?? field.least;
    const last = numberOf(to, field) ?? field.most;
    return Array.from({ length: Math.floor((last - first) / Number(step)) + 1 }, (_, i) => first + i * Number(step));
  });
}

/** A star, a number or a range, each with an optional step. */
function fits(part: string, field: Field): boolean {
  const [, star, from, to, step] = /^(?:(\*)|(\w+)(?:-(\w+))?)(?:\/(\d{1,2}))?$/.exec(part) ?? [];
  if (step !== undefined && (Number(step) < 1 || Number(step) > field.most || (star === undefined && to === undefined)))
    return false;
  if (star !== undefined) return true;
  const first = numberOf(from, field);
  const last = to === undefined ? first : numberOf(to, field);
  return first !== undefined && last !== undefined && first <= last;
}

function numberOf(word: string | undefined, { least, most, words }: Field): number | undefined {
  if (word === undefined) return undefined;
  const named = words?.indexOf(word.toLowerCase()) ?? -1;
  if (named >= 0) return named + least;
  const number = /^\d{1,2}$/.test(word) ? Number(word) : Number.NaN;
  return number >= least && number <= most ? number : undefined;
}
