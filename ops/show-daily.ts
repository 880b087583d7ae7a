import type { ApiDailyRecord, ApiDailyRow } from "../protocol/api-daily.ts";
import { DAILY_STATES, type DailyState } from "../protocol/daily-state.ts";
import { figure, type Look, levelWord, localTime, span, type Tone, toneOf } from "./look.ts";
import { heading, none, pairs } from "./show.ts";
import { factName } from "./show-inventory.ts";
import { type CellLike, line, table } from "./table.ts";
import { type Lang, PRESENCE_WORDS, stateWord } from "./words.ts";

/** The daily checks (日检) for a duty engineer's eyes in the morning; every function returns whole lines. */
const W = {
  sheet: ["日检表", "daily checks"],
  daily: ["日检", "check"],
  device: ["设备", "device"],
  worst: ["最差", "worst"],
  alarms: ["告警", "alarms"],
  tickets: ["工单", "tickets"],
  site: ["站点", "site"],
  made: ["检查时间", "made"],
  received: ["收到时间", "received"],
  note: ["说明", "note"],
  devices: ["台", "devices"],
  late: ["补报", "told late"],
  again: ["同日重复", "again"],
  cut: ["省略", "left out"],
  heard: ["最近消息", "heard"],
  ago: ["前", "ago"],
  config: ["配置数据", "configuration data"],
  performance: ["性能数据", "performance data"],
  faults: ["故障数据", "fault data"],
  forgotten: ["已过保存期", "its years are over"],
  check: ["检查项", "check"],
  subject: ["对象", "subject"],
  level: ["级别", "level"],
  evidence: ["依据", "evidence"],
  fine: ["正常", "ok"],
  activeAlarms: ["当时的活动告警", "alarms active then"],
  openTickets: ["当时的未结工单", "tickets open then"],
  agent: ["代理版本", "agent"],
  configHash: ["配置文件哈希", "config hash"],
  packagesHash: ["软件包哈希", "packages hash"],
  drift: ["配置漂移", "config drift"],
  age: ["前的结果", "old"],
  none: ["没有设备应有日检", "no device was to make one"],
} as const;
const STATES: Readonly<Record<DailyState, readonly [zh: string, en: string]>> = {
  critical: ["一级", "L1"],
  major: ["二级", "L2"],
  minor: ["三级", "L3"],
  warning: ["隐患", "latent"],
  unknown: ["未知", "unknown"],
  ok: ["正常", "ok"],
  absent: ["无此项", "absent"],
  disabled: ["未启用", "disabled"],
};
const MADE: Readonly<Record<ApiDailyRow["state"], readonly [zh: string, en: string]>> = {
  made: ["已检", "made"],
  missing: ["缺报", "MISSING"],
  due: ["未到", "due"],
};

const say = (lang: Lang, [zh, en]: readonly [string, string]): string => (lang === "zh" ? zh : en);
const toneOfState = (state: DailyState): Tone | undefined =>
  state === "ok" ? "good" : state === "unknown" ? "warning" : toneOf(state);
const stateCell = (look: Look, state: DailyState): CellLike => ({
  text: say(look.lang, STATES[state]),
  tone: toneOfState(state),
});

/** Missing first, then by the worst state, those that are not due yet before those that are well. */
const urgency = ({ state, worst = "ok" }: ApiDailyRow): number => {
  if (state === "missing") return -1;
  return state === "due" ? DAILY_STATES.indexOf("ok") - 0.5 : DAILY_STATES.indexOf(worst);
};

const COUNTED = ["critical", "major", "minor", "warning", "unknown", "ok"] as const;

export function showDailySheet(look: Look, rows: readonly ApiDailyRow[], now: number): string {
  const w = (key: keyof typeof W) => say(look.lang, W[key]);
  if (rows.length === 0) return `${line(look, [{ text: w("none"), tone: "quiet" }])}\n`;
  const sorted = rows.toSorted((a, b) => urgency(a) - urgency(b) || (a.device < b.device ? -1 : 1));
  const names = ["device", "daily", "worst", ...COUNTED, "alarms", "tickets", "site", "made", "note"] as const;
  const figures = new Set<string>([...COUNTED, "alarms", "tickets"]);
  const columns = names.map((name) => ({
    name: (COUNTED as readonly string[]).includes(name)
      ? say(look.lang, STATES[name as DailyState])
      : w(name as "device"),
    right: figures.has(name),
  }));
  const body = table(
    look,
    columns,
    sorted.map((row) => sheetRow(look, row, now)),
  );
  return `${sheetHead(look, sorted)}\n\n${body}`;
}

function sheetHead(look: Look, rows: readonly ApiDailyRow[]): string {
  const { lang } = look;
  const of = (state: ApiDailyRow["state"]) => rows.filter((row) => row.state === state).length;
  const worst = (state: DailyState) => rows.filter((row) => row.worst === state).length;
  const states = DAILY_STATES.flatMap((state): CellLike[] =>
    worst(state) === 0 ? [] : [{ text: `${say(lang, STATES[state])} ${worst(state)}`, tone: toneOfState(state) }],
  );
  const lacking = (["missing", "due"] as const).flatMap((state): CellLike[] =>
    of(state) === 0
      ? []
      : [{ text: `${say(lang, MADE[state])} ${of(state)}`, tone: state === "missing" ? "critical" : "quiet" }],
  );
  const devices = lang === "zh" ? `${rows.length} 台` : `${rows.length} devices`;
  return line(look, [
    { text: `${say(lang, W.sheet)} ${rows[0]?.date ?? ""}`, tone: "strong" },
    devices,
    ...lacking,
    ...states,
  ]);
}

function sheetRow(look: Look, row: ApiDailyRow, now: number): CellLike[] {
  const { lang } = look;
  const number = (count: number | undefined, tone?: Tone): CellLike =>
    count === undefined || count === 0 ? "" : { text: String(count), tone };
  const tone = row.state === "missing" ? "critical" : row.state === "due" ? "quiet" : undefined;
  return [
    { text: row.device, tone: "strong" },
    { text: say(lang, MADE[row.state]), tone },
    row.worst === undefined ? "" : stateCell(look, row.worst),
    ...COUNTED.map((state) => number(row[`${state}_count`], state === "ok" ? undefined : toneOfState(state))),
    number(row.alarms_count),
    number(row.tickets_count),
    row.site ?? "",
    row.ts === undefined ? "" : localTime(look, row.ts),
    notes(look, row, now).join(lang === "zh" ? "，" : ", "),
  ];
}

function notes({ lang }: Look, row: ApiDailyRow, now: number): string[] {
  const presence = say(lang, [PRESENCE_WORDS[row.presence]?.zh ?? row.presence, row.presence]);
  const since = span(lang, now - row.seen_at);
  const heard = lang === "zh" ? `${W.heard[0]} ${since}${W.ago[0]}` : `${W.heard[1]} ${since} ${W.ago[1]}`;
  const counted = (name: keyof typeof W, count = 0): string[] =>
    count === 0 ? [] : [`${say(lang, W[name])} ${count}`];
  return [
    ...(row.state === "made" ? [] : [presence, heard]),
    ...(row.late === true ? [say(lang, W.late)] : []),
    ...counted("again", row.again_count),
    ...counted("cut", row.cut_count),
  ];
}

export function showDailyRecord(look: Look, record: ApiDailyRecord): string {
  const w = (key: keyof typeof W) => say(look.lang, W[key]);
  const { worst = "ok", ts, received_at: receivedAt, late } = record;
  const counts = DAILY_STATES.flatMap((state) => {
    const count = record[`${state}_count`] ?? 0;
    return count === 0 ? [] : [`${say(look.lang, STATES[state])} ${count}`];
  });
  const cut = record.cut_count ?? 0;
  return [
    `${line(look, [{ text: record.device, tone: "strong" }, record.date, stateCell(look, worst), ...counts])}\n`,
    pairs(look, [
      [w("site"), record.site ?? ""],
      [w("made"), ts === undefined ? "" : localTime(look, ts)],
      [
        w("received"),
        receivedAt === undefined ? "" : `${localTime(look, receivedAt)}${late === true ? ` ${w("late")}` : ""}`,
      ],
      [w("cut"), cut === 0 ? "" : String(cut)],
    ]),
    heading(look, w("faults")),
    showStates(look, record.faults.states),
    heading(look, w("activeAlarms")),
    showThen(look, record.faults.alarms, ({ code, ticket = "" }) => [code, ticket]),
    heading(look, w("openTickets")),
    showThen(look, record.faults.tickets, ({ no, state, code }) => [no, stateWord(look.lang, state), code]),
    heading(look, w("performance")),
    showFigures(look, record.performance),
    heading(look, w("config")),
    showConfig(look, record.config),
  ].join("");
}

type Line = ApiDailyRecord["faults"]["states"][number];

/** What is not well, gravest first; what is well in one line for each check. */
function showStates(look: Look, lines: readonly Line[]): string {
  const { lang } = look;
  const w = (key: keyof typeof W) => say(lang, W[key]);
  const rank = ({ state }: Line) => DAILY_STATES.indexOf(state);
  const bad = lines.filter((one) => rank(one) < DAILY_STATES.indexOf("ok")).toSorted((a, b) => rank(a) - rank(b));
  const rows = bad.map((one): CellLike[] => [
    stateCell(look, one.state),
    say(lang, [one.name_zh, one.name_en]),
    one.subject ?? "",
    say(lang, [one.title_zh ?? "", one.title_en ?? ""]),
    one.says ?? "",
    one.age_s === undefined ? "" : { text: `${span(lang, one.age_s * 1000)} ${w("age")}`, tone: "quiet" },
  ]);
  const columns = [w("level"), w("check"), w("subject"), "", w("evidence"), ""].map((name) => ({ name }));
  const rest = (["ok", "absent", "disabled"] as const).flatMap((state) => {
    const names = [
      ...new Set(lines.filter((one) => one.state === state).map((one) => say(lang, [one.name_zh, one.name_en]))),
    ];
    if (names.length === 0) return [];
    const word = { text: `${say(lang, STATES[state])}:`, tone: toneOfState(state) ?? ("quiet" as const) };
    return [`${line(look, [word, names.join(lang === "zh" ? "、" : ", ")])}\n`];
  });
  return `${rows.length === 0 ? "" : table(look, columns, rows)}${rest.join("")}`;
}

function showThen<T extends { severity: string; title_zh: string; title_en: string }>(
  look: Look,
  rows: readonly T[],
  cells: (row: T) => CellLike[],
): string {
  if (rows.length === 0) return none(look);
  return rows
    .map((row) => {
      const level = { text: levelWord(look.lang, row.severity), tone: toneOf(row.severity) };
      return `${line(look, [level, ...cells(row), say(look.lang, [row.title_zh, row.title_en])])}\n`;
    })
    .join("");
}

function showFigures(look: Look, figures: ApiDailyRecord["performance"]): string {
  if (figures === undefined) return forgotten(look);
  if (figures.length === 0) return none(look);
  const rows = figures.map(({ check, subject = "", readings }): CellLike[] => [
    { text: check, tone: "quiet" },
    subject,
    Object.entries(readings).map(readingOf).join("  "),
  ]);
  const [, ...lines] = table(look, [{ name: "" }, { name: "" }, { name: "" }], rows).split("\n");
  return lines.join("\n");
}

/** `free_pct` 3.1 → `free 3.1 %`. */
function readingOf([key, value]: [string, number]): string {
  const cut = key.lastIndexOf("_");
  const [name, unit] = cut <= 0 ? [key, undefined] : [key.slice(0, cut), key.slice(cut + 1)];
  const shown = unit === "count" ? String(value) : figure(value, unit);
  return `${name} ${shown}`;
}

function showConfig(look: Look, config: ApiDailyRecord["config"]): string {
  if (config === undefined) return forgotten(look);
  const w = (key: keyof typeof W) => say(look.lang, W[key]);
  const drift = config.drift.map(({ state, subject = "", says = "" }) =>
    [say(look.lang, STATES[state]), subject, says].filter(Boolean).join(" "),
  );
  const { model, serial, firmware, os, kernel } = config.info ?? {};
  const facts = Object.entries({ model, serial, firmware, os, kernel });
  return pairs(look, [
    [w("agent"), config.agent],
    [w("configHash"), config.config_hash ?? ""],
    [w("packagesHash"), config.packages_hash ?? ""],
    ...facts.map(([name, value = ""]): [string, string] => [factName(look.lang, name), value]),
    ...drift.map((text, i): [string, string] => [i === 0 ? w("drift") : " ", text]),
  ]);
}

const forgotten = (look: Look): string => `${line(look, [{ text: say(look.lang, W.forgotten), tone: "quiet" }])}\n`;
