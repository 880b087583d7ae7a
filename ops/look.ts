import { styleText } from "node:util";
import { LEVEL_NAMES, type Severity } from "../protocol/severity.ts";
import type { Lang } from "./words.ts";

/** How things look: colours by what they mean, figures, times. Pure but for the time zone given. */
export interface Look {
  lang: Lang;
  /** Colours only where a person looks. */
  colour: boolean;
  /** IANA name; the machine's own when absent. */
  timeZone?: string | undefined;
}

const COLOURS = {
  critical: ["bold", "redBright"],
  major: ["magentaBright"],
  minor: ["yellow"],
  warning: ["cyan"],
  good: ["green"],
  quiet: ["dim"],
  strong: ["bold"],
} as const satisfies Record<string, Parameters<typeof styleText>[0]>;
export type Tone = keyof typeof COLOURS;

export const paint = (look: Look, tone: Tone | undefined, text: string): string =>
  look.colour && tone !== undefined ? styleText(COLOURS[tone], text, { validateStream: false }) : text;

const LEVEL_OF = { critical: 1, major: 2, minor: 3 } as const;
/** 一级, 二级, 三级, 隐患: four cells in zh. */
export function levelWord(lang: Lang, severity: string): string {
  if (severity === "critical" || severity === "major" || severity === "minor") {
    const level = LEVEL_OF[severity];
    return lang === "zh" ? LEVEL_NAMES[level].zh : `L${level}`;
  }
  return lang === "zh" ? "隐患" : "latent";
}
export const toneOf = (severity: string): Tone | undefined =>
  Object.hasOwn(COLOURS, severity) ? (severity as Severity) : undefined;

const UNITS: Readonly<Record<string, string>> = { pct: "%", c: "°C", s: "s", ms: "ms", kbps: "kbit/s" };
/** `3.1 %`: as many digits as a person reads; empty without a value. */
export function figure(value: number | undefined, unit: string | undefined): string {
  if (value === undefined || unit === "count") return ""; // a bare count says nothing beside its title
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 1 ? 1 : 3;
  const number = unit === "bytes" ? bytes(value) : String(Number(value.toFixed(digits)));
  return unit === undefined || unit === "" || unit === "bytes" ? number : `${number} ${UNITS[unit] ?? unit}`;
}

export function bytes(count: number): string {
  const names = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = count < 1 ? 0 : Math.min(names.length - 1, Math.floor(Math.log2(count) / 10));
  const scaled = count / 1024 ** step;
  return `${Number(scaled.toFixed(scaled >= 100 || step === 0 ? 0 : 1))} ${names[step]}`;
}

const formats = new Map<string, Intl.DateTimeFormat>();
function partsOf(look: Look, at: number): Record<string, string> {
  const key = look.timeZone ?? "";
  const format =
    formats.get(key) ??
    new Intl.DateTimeFormat("en-GB", {
      ...(look.timeZone === undefined ? {} : { timeZone: look.timeZone }),
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      hourCycle: "h23",
      timeZoneName: "longOffset",
    });
  formats.set(key, format);
  const shown = Math.min(Math.max(at, -8.64e15), 8.64e15); // beyond it there is no date to format
  return Object.fromEntries(format.formatToParts(shown).map(({ type, value }) => [type, value]));
}

/** `18:03:22` in local time. */
export function timeOfDay(look: Look, at: number): string {
  const { hour, minute, second } = partsOf(look, at);
  return `${hour}:${minute}:${second}`;
}

/** `2026-11-22 18:03:22 +08:00`. */
export function localTime(look: Look, at: number): string {
  const { year, month, day, timeZoneName = "" } = partsOf(look, at);
  return `${year}-${month}-${day} ${timeOfDay(look, at)} ${timeZoneName.replace("GMT", "") || "+00:00"}`;
}

const STEPS = [
  { ms: 86_400_000, zh: "天", en: "d" },
  { ms: 3_600_000, zh: "小时", en: "h" },
  { ms: 60_000, zh: "分钟", en: "min" },
  { ms: 1_000, zh: "秒", en: "s" },
] as const;
/** A span in its largest whole unit: `3 min`, `3 分钟`. Below a second and in the future: now. */
export function span(lang: Lang, ms: number): string {
  const step = STEPS.find((unit) => ms >= unit.ms);
  return step === undefined ? (lang === "zh" ? "现在" : "now") : `${Math.floor(ms / step.ms)} ${step[lang]}`;
}
