import { localTime } from "../platform/clock.ts";
import { parseConfig, readConfig } from "../platform/config-file.ts";
import { type Redact, redactor } from "../platform/redact.ts";
import { clip } from "../platform/width.ts";
import { Failure } from "../protocol/failure.ts";
import { GRADES, type Grade, rank } from "../protocol/severity.ts";
import { EXAMPLE, type HandCheck, type HandOrder, roundByHand } from "./by-hand.ts";
import { checkTable, type Lang, type Line } from "./check-table.ts";
import type { CheckKind, Verdict } from "./checks/check.ts";
import { SELF } from "./checks/self/self.ts";
import { AgentConfig } from "./config.ts";
import { MOST_DAILY_BYTES } from "./daily.ts";

/** What a person at the device asks by hand. */

type Say = (text: string) => number;

/** Prints a whole config: an example device, everything else as it is when left out. */
export const printDefaults = (say: Say): number =>
  say(`${JSON.stringify(parseConfig(JSON.stringify(EXAMPLE), AgentConfig, "defaults"), undefined, 2)}\n`);

/** Reads a config as `run` would. Throws CONFIG_UNREADABLE or CONFIG_INVALID. */
export async function validate(file: string, say: Say): Promise<number> {
  const config = await readConfig(file, AgentConfig);
  const on = Object.entries(config.checks).filter(([, { enabled }]) => enabled);
  return say(`${file}: 正确 valid (${config.device}; ${on.map(([id]) => id).join(", ")})\n`);
}

interface CheckOrder extends Omit<HandOrder, "only" | "waiting"> {
  /** `disk,network`: only these. */
  check?: string | undefined;
  json: boolean;
  lang: string;
  /** Cells of the terminal that reads the answer. */
  columns?: number | undefined;
  /** Shows how far it is, in one line that is written over; absent where nobody looks. */
  progress?: { columns: number; tell(text: string): void } | undefined;
  say: Say;
}

/** One round by hand, as a monitoring plugin answers: exit 0 ok, 1 warning or minor, 2 major or critical, 3 unknown. */
export async function check(order: CheckOrder): Promise<number> {
  const lang = langOf(order.lang);
  const { config, checks } = await askedByHand(order, lang);
  const redact = redactor(config.secretWords);
  const lines = checks.flatMap((one) => linesOf(one, redact));
  const exit = exitCode(lines);
  if (!order.json) order.say(`${checkTable(lines, lang, order.columns)}\n\n${ENDS[lang][exit] ?? ""}\n`);
  else {
    const shown = lines
      .filter(({ state }) => state !== "disabled" || order.check !== undefined)
      .sort((a, b) => a.check.localeCompare(b.check) || (a.subject ?? "").localeCompare(b.subject ?? ""));
    order.say(`${JSON.stringify({ device: config.device, ts: order.clock.wall(), exit, checks: shown })}\n`);
  }
  return exit;
}

/** What the day's check (日检) would say now; nothing is sent or kept. */
export async function daily(order: CheckOrder & { version: string }): Promise<number> {
  const lang = langOf(order.lang);
  const { config, configHash, checks } = await askedByHand(order, lang);
  const { daySheet } = await import("./daily-sheet.ts");
  const redact = redactor(config.secretWords);
  const { now, date } = { now: order.clock.now(), date: localTime(order.clock.wall()).date };
  const body = daySheet(
    { date, agent: order.version, ...(configHash === undefined ? {} : { config_hash: configHash }) },
    [...checks, ...(order.check === undefined ? [selfByHand(config)] : [])].map(({ kind, state, said }) => ({
      kind,
      state,
      answer: { at: now, said },
    })),
    { now, mostBytes: MOST_DAILY_BYTES, redact },
  );
  const ts = Math.trunc(order.clock.wall());
  if (order.json) return order.say(`${JSON.stringify({ ...body, ts })}\n`);
  const lines = body.checks.map(({ check: id, name_zh: zh, name_en: en, title_zh, title_en, ...line }): Line => {
    const title = title_zh === undefined || title_en === undefined ? {} : { title: { zh: title_zh, en: title_en } };
    return { ...line, ...title, check: id, name: { zh, en } };
  });
  const head = `${lang === "zh" ? "日检" : "daily check"} ${date} ${config.device}`;
  return order.say(`${head}\n\n${checkTable(lines, lang, order.columns)}\n`);
}

const selfByHand = ({ checks: { self } }: AgentConfig): HandCheck => ({
  ...{ kind: SELF, state: self.enabled ? "watched" : "disabled" },
  said: "only the running agent can tell",
});

function langOf(lang: string): Lang {
  if (lang === "zh" || lang === "en") return lang;
  throw new Failure("ARGUMENT_INVALID", `--lang takes zh or en, not "${lang}"`);
}

function askedByHand({ check: only, progress, ...order }: CheckOrder, lang: Lang) {
  const waiting: HandOrder["waiting"] = (names, all) => {
    const left = names.map((name) => name[lang]).join(lang === "zh" ? "、" : ", ");
    const done = `${all - names.length}/${all}`;
    const text = lang === "zh" ? `检查中 ${done}，等待：${left}` : `checking ${done}: ${left}`;
    progress?.tell(names.length === 0 ? "" : clip(text, progress.columns - 1));
  };
  return roundByHand({
    ...order,
    ...(only === undefined ? {} : { only: only.split(",").map((id) => id.trim()) }),
    ...(progress === undefined ? {} : { waiting }),
  }).finally(() => progress?.tell(""));
}

function linesOf({ kind: { id, name, titles }, state, said }: HandCheck, redact: Redact): Line[] {
  const of = { check: id, name };
  if (state !== "watched") return [{ ...of, state }];
  if (typeof said === "string") return [{ ...of, state: "unknown", says: redact(said) }];
  return said.map((verdict) => lineOf(of, titles, verdict, redact));
}

/** Redacted like what leaves the device: such tables are photographed and passed on. */
function lineOf(of: Pick<Line, "check" | "name">, titles: CheckKind["titles"], verdict: Verdict, redact: Redact): Line {
  const subject = redact(verdict.subject);
  if (verdict.state === "unknown") return { ...of, subject, state: "unknown", says: redact(verdict.because) };
  const title = verdict.grade === "ok" ? undefined : (verdict.title ?? titles[verdict.reason]);
  return {
    ...of,
    subject,
    state: verdict.grade,
    ...(title === undefined ? {} : { title }),
    ...(verdict.says === undefined ? {} : { says: redact(verdict.says) }),
    readings: verdict.readings,
  };
}

function exitCode(lines: readonly Line[]): number {
  const isGrade = (state: string): state is Grade => (GRADES as readonly string[]).includes(state);
  const worst = Math.max(0, ...lines.map(({ state }) => (isGrade(state) ? rank(state) : 0)));
  if (worst >= rank("major")) return 2;
  if (lines.some(({ state }) => state === "unknown")) return 3;
  return worst > 0 ? 1 : 0;
}

const ENDS = { zh: ["正常", "警告", "严重", "未知"], en: ["OK", "WARNING", "CRITICAL", "UNKNOWN"] } as const;
