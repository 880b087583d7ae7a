import { existsSync } from "node:fs";
import type { Clock } from "../platform/clock.ts";
import { parseConfig, readConfig } from "../platform/config-file.ts";
import type { Machine } from "../platform/machine.ts";
import { type Redact, redactor } from "../platform/redact.ts";
import { runProgram } from "../platform/run.ts";
import { displayWidth } from "../platform/width.ts";
import { Failure } from "../protocol/failure.ts";
import { type Grade, LEVEL_NAMES, LEVELS, rank } from "../protocol/severity.ts";
import { configured } from "./checks/all.ts";
import { beginOrLater, type CheckKind, type Judge, type Verdict } from "./checks/check.ts";
import { AgentConfig } from "./config.ts";
import { type Entry, runOnce } from "./rounds.ts";

/** What a person at the device asks by hand. */

type Say = (text: string) => number;

const EXAMPLE = {
  device: "ft-0042",
  brokers: [
    {
      host: "broker.example",
      port: 8883,
      tls: { caFile: "/etc/vigil/ca.pem", certFile: "/etc/vigil/ft-0042.pem", keyFile: "/etc/vigil/ft-0042.key" },
    },
  ],
};

/** Prints a whole config: an example device, everything else as it is when left out. */
export const printDefaults = (say: Say): number =>
  say(`${JSON.stringify(parseConfig(JSON.stringify(EXAMPLE), AgentConfig, "defaults"), undefined, 2)}\n`);

/** Reads a config as `run` would. Throws CONFIG_UNREADABLE or CONFIG_INVALID. */
export async function validate(file: string, say: Say): Promise<number> {
  const config = await readConfig(file, AgentConfig);
  const on = Object.entries(config.checks).filter(([, { enabled }]) => enabled);
  return say(`${file}: 正确 valid (${config.device}; ${on.map(([id]) => id).join(", ")})\n`);
}

interface CheckOrder {
  /** The config given by hand; without one `fallback` where it exists, else the defaults. */
  file: string | undefined;
  fallback: string;
  json: boolean;
  lang: string;
  clock: Clock;
  machine: Machine;
  /** What starts this very program. */
  self: readonly [string, ...string[]];
  signal: AbortSignal;
  say: Say;
}

/** One line of the answer: a subject with its state, or a check that is not present or failed as a whole. */
interface Line {
  check: string;
  name: { zh: string; en: string };
  subject?: string;
  state: Grade | "unknown" | "absent";
  title?: { zh: string; en: string };
  says?: string;
  readings?: Readonly<Record<string, number>>;
}

/** One round by hand, as a monitoring plugin answers: exit 0 ok, 1 warning or minor, 2 major or critical, 3 unknown. */
export async function check(order: CheckOrder): Promise<number> {
  const { lang, clock, machine, signal } = order;
  if (lang !== "zh" && lang !== "en") throw new Failure("ARGUMENT_INVALID", `--lang takes zh or en, not "${lang}"`);
  const file = order.file ?? (existsSync(order.fallback) ? order.fallback : undefined);
  const config =
    file === undefined
      ? parseConfig(JSON.stringify(EXAMPLE), AgentConfig, "defaults")
      : await readConfig(file, AgentConfig);
  const redact = redactor(config.secretWords);
  const lines: Line[] = [];
  const posts: (Entry<readonly Verdict[]> & { kind: CheckKind; watch: Judge })[] = [];
  for (const { kind, config: own } of configured(config.checks)) {
    const watch = beginOrLater(kind, own, {
      ...{ machine, clock, stateDir: config.stateDir, brokers: config.brokers, random: Math.random },
      redact,
      run: (program) => runProgram({ ...program, signal: program.signal ?? signal }, clock),
      ...(file === undefined ? {} : { self: [...order.self, "--config", file] }),
    });
    if (watch === undefined) lines.push({ check: kind.id, name: kind.name, state: "absent" });
    else
      posts.push({
        id: kind.id,
        kind,
        watch,
        every: "slow",
        deadlineMs: own.deadlineMs,
        judge: (cut) => watch.judge(cut),
      });
  }
  const results = await runOnce<readonly Verdict[], (typeof posts)[number]>({ clock, signal }, posts);
  for (const { watch } of posts) watch.close?.();
  for (const result of results) {
    const { id, name, titles } = result.entry.kind;
    if ("failed" in result) lines.push({ check: id, name, state: "unknown", says: redact(result.failed.because) });
    else lines.push(...result.verdicts.map((verdict) => lineOf({ check: id, name }, titles, verdict, redact)));
  }
  lines.sort((a, b) => a.check.localeCompare(b.check) || (a.subject ?? "").localeCompare(b.subject ?? ""));
  const exit = exitCode(lines);
  order.say(
    order.json
      ? `${JSON.stringify({ device: config.device, ts: clock.wall(), exit, checks: lines })}\n`
      : table(lines, lang, exit),
  );
  return exit;
}

/** Redacted like what leaves the device: such tables are photographed and passed on. */
function lineOf(of: Pick<Line, "check" | "name">, titles: CheckKind["titles"], verdict: Verdict, redact: Redact): Line {
  const subject = redact(verdict.subject);
  if (verdict.state === "unknown") return { ...of, subject, state: "unknown", says: redact(verdict.because) };
  const title = verdict.grade === "ok" ? undefined : titles[verdict.reason];
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
  const worst = Math.max(0, ...lines.map(({ state }) => (state === "unknown" || state === "absent" ? 0 : rank(state))));
  if (worst >= rank("major")) return 2;
  if (lines.some(({ state }) => state === "unknown")) return 3;
  return worst > 0 ? 1 : 0;
}

const STATES = {
  zh: {
    ok: "正常",
    warning: "隐患",
    minor: "三级",
    major: "二级",
    critical: "一级",
    unknown: "未知",
    absent: "无此项",
  },
  en: {
    ok: "ok",
    warning: "warning",
    minor: "minor",
    major: "major",
    critical: "critical",
    unknown: "unknown",
    absent: "not present",
  },
} as const;
const ENDS = { zh: ["正常", "警告", "严重", "未知"], en: ["OK", "WARNING", "CRITICAL", "UNKNOWN"] } as const;

function table(lines: readonly Line[], lang: "zh" | "en", exit: number): string {
  const rows = lines.map(({ name, subject = "", state, title, says, readings = {} }) => {
    const level =
      state === "minor" || state === "major" || state === "critical" ? LEVEL_NAMES[LEVELS[state]][lang] : undefined;
    const word = lang === "en" && level !== undefined ? `${STATES.en[state]} (${level})` : STATES[lang][state];
    const figures = Object.entries(readings)
      .map(([key, value]) => figure(key, value))
      .join("  ");
    return [name[lang], subject, word, [title?.[lang], says ?? figures].filter(Boolean).join(": ")];
  });
  const head = lang === "zh" ? ["检查", "对象", "状态", "依据"] : ["check", "subject", "state", "evidence"];
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => displayWidth(row[column] ?? ""))));
  const text = all.map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell + " ".repeat((widths[i] ?? 0) - displayWidth(cell))))
      .join("  ")
      .trimEnd(),
  );
  return `${text.join("\n")}\n\n${ENDS[lang][exit] ?? ""}\n`;
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
