import { clean, displayWidth, pad, wrap } from "../platform/width.ts";
import { DAILY_STATES, type DailyState } from "../protocol/daily-state.ts";
import { LEVEL_NAMES, LEVELS } from "../protocol/severity.ts";

/** What a person at the device reads of a round: worst first, evidence in full, nothing that a terminal would obey. Pure. */

export type Lang = "zh" | "en";

/** One line of the answer: a subject with its state, or a check that is not present or failed as a whole. */
export interface Line {
  check: string;
  name: { zh: string; en: string };
  subject?: string | undefined;
  state: DailyState;
  title?: { zh: string; en: string };
  says?: string | undefined;
  readings?: Readonly<Record<string, number>> | undefined;
}

const STATES: Readonly<Record<DailyState, Record<Lang, string>>> = {
  ok: { zh: "正常", en: "ok" },
  warning: { zh: "隐患", en: "warning" },
  minor: { zh: "三级", en: "minor" },
  major: { zh: "二级", en: "major" },
  critical: { zh: "一级", en: "critical" },
  unknown: { zh: "未知", en: "unknown" },
  absent: { zh: "无此项", en: "not present" },
  disabled: { zh: "未启用", en: "switched off" },
};
const HEAD = { zh: ["检查", "对象", "状态", "依据"], en: ["check", "subject", "state", "evidence"] } as const;
const GAP = "  ";
/** Evidence narrower than this stands below its line instead. */
const LEAST_EVIDENCE = 24;
const MOST_SUBJECT = 40;

/** The table with its last lines: what is not present, and how many of each state. `columns`: the terminal's; no wrapping without. */
export function checkTable(lines: readonly Line[], lang: Lang, columns: number | undefined): string {
  const asked = lines.filter(({ state }) => state !== "absent" && state !== "disabled");
  const body = rowsOf(grouped(asked), lang);
  const ends = [...(["absent", "disabled"] as const).flatMap((state) => leftOut(lines, state, lang, columns))];
  return [
    ...layOut(body, lang, columns),
    "",
    ...ends,
    ...wrap(summary(lines, lang), columns ?? Number.POSITIVE_INFINITY),
  ].join("\n");
}

type Row = readonly [name: string, subject: string, state: string, evidence: string];

const gravity = ({ state }: Line): number => DAILY_STATES.indexOf(state);

/** Checks by their worst subject, and within one the worst first; otherwise as they came. */
function grouped(lines: readonly Line[]): Line[][] {
  const groups = [...Map.groupBy(lines, ({ check }) => check).values()];
  const sorted = groups.map((group) =>
    group.toSorted((a, b) => gravity(a) - gravity(b) || (a.subject ?? "").localeCompare(b.subject ?? "")),
  );
  const worst = ([first]: Line[]): number => (first === undefined ? DAILY_STATES.length : gravity(first));
  return sorted.toSorted((a, b) => worst(a) - worst(b));
}

function rowsOf(groups: readonly Line[][], lang: Lang): Row[] {
  return groups.flatMap((group) =>
    group.map((line, i): Row => {
      const { name, subject = "", state, title, says, readings = {} } = line;
      const figures = Object.entries(readings).map(([key, value]) => figure(key, value));
      const evidence = [title?.[lang], says ?? figures.join(GAP)].filter(Boolean).join(": ");
      return [i === 0 ? clean(name[lang]) : "", clean(subject), stateWord(state, lang), clean(evidence)];
    }),
  );
}

function stateWord(state: DailyState, lang: Lang): string {
  const level = state === "minor" || state === "major" || state === "critical" ? LEVEL_NAMES[LEVELS[state]].en : "";
  return lang === "en" && level !== "" ? `${STATES[state].en} (${level})` : STATES[state][lang];
}

function layOut(rows: readonly Row[], lang: Lang, columns: number | undefined): string[] {
  const all: Row[] = [HEAD[lang] as unknown as Row, ...rows];
  const width = (column: 0 | 1 | 2): number => Math.max(...all.map((row) => displayWidth(row[column])));
  const widths = [width(0), columns === undefined ? width(1) : Math.min(MOST_SUBJECT, width(1)), width(2)] as const;
  const before = widths[0] + widths[1] + widths[2] + 3 * GAP.length;
  const room = columns === undefined ? Number.POSITIVE_INFINITY : columns - before;
  const below = room < LEAST_EVIDENCE;
  return all.flatMap(([name, subject, state, evidence]) => {
    const subjects = wrap(subject, widths[1]);
    const said = wrap(evidence, below ? (columns ?? 0) - 4 : room);
    const cells = (i: number): string =>
      [
        pad(i === 0 ? name : "", widths[0]),
        pad(subjects[i] ?? "", widths[1]),
        pad(i === 0 ? state : "", widths[2]),
      ].join(GAP);
    if (below) {
      return [...subjects.map((_, i) => cells(i).trimEnd()), ...said.filter(Boolean).map((text) => `    ${text}`)];
    }
    const count = Math.max(subjects.length, said.length);
    return Array.from({ length: count }, (_, i) => `${cells(i)}${GAP}${said[i] ?? ""}`.trimEnd());
  });
}

/** All checks of a state in one line. */
function leftOut(
  lines: readonly Line[],
  state: "absent" | "disabled",
  lang: Lang,
  columns: number | undefined,
): string[] {
  const names = lines.filter((line) => line.state === state).map(({ name }) => name[lang]);
  if (names.length === 0) return [];
  const text = `${STATES[state][lang]}: ${[...new Set(names)].join(lang === "zh" ? "、" : ", ")}`;
  return wrap(clean(text), columns ?? Number.POSITIVE_INFINITY);
}

function summary(lines: readonly Line[], lang: Lang): string {
  const of = (state: DailyState): number => lines.filter((line) => line.state === state).length;
  const subjects = lines.length - of("absent") - of("disabled");
  const checks = new Set(lines.map(({ check }) => check)).size;
  const counts = DAILY_STATES.flatMap((state) => (of(state) === 0 ? [] : [`${STATES[state][lang]} ${of(state)}`]));
  return lang === "zh"
    ? `共 ${checks} 项检查、${subjects} 个对象：${counts.join("，")}`
    : `${checks} checks, ${subjects} subjects: ${counts.join(", ")}`;
}

/** A reading for people: bytes and shares shortened, the unit after the number. */
function figure(key: string, value: number): string {
  const [, name = key, unit = ""] = /^(.*)_([a-z]+)$/.exec(key) ?? [];
  if (unit === "bytes") return `${name} ${human(value)}`;
  const units: Record<string, string> = { pct: " %", c: " °C", count: "", s: " s", h: " h", ms: " ms" };
  return `${name} ${Math.round(value * 10) / 10}${units[unit] ?? ` ${unit}`}`;
}

function human(bytes: number): string {
  const steps = ["B", "KB", "MB", "GB", "TB"];
  const step = Math.min(steps.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${(bytes / 1000 ** step).toFixed(step === 0 ? 0 : 1)} ${steps[step]}`;
}
