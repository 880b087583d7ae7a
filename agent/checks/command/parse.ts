import { fingerprint } from "../../../protocol/topics.ts";

/**
 * What a plugin prints, as the Monitoring Plugins Development Guidelines have it: "text | figures", then lines of long text
 * and, after a second bar, of more figures. Pure, and total: any text at all is read as well as can be.
 */
export interface PluginOutput {
  /** The first line without its figures: one line of printable text, at most 200 characters. */
  text: string;
  figures: Figure[];
}

/** `'label'=value[unit];[warn];[crit];[min];[max]`. */
export interface Figure {
  label: string;
  value: number;
  /** As printed: "", s, us, ms, %, B, KB, MB, GB, TB, c, or the plugin's own. */
  unit: string;
  /** Where a value is worth a warning. */
  warning?: Range;
  critical?: Range;
}

/** Worth an alert is what lies outside `from`..`to`, both still being well; with `inside` what lies in it. */
export interface Range {
  from: number;
  to: number;
  inside: boolean;
}

const MOST_TEXT = 200;
const MOST_CHARACTERS = 65_536;
const MOST_FIGURES = 200;

/** Reads all that a plugin printed. */
export function parseOutput(printed: string): PluginOutput {
  const [first = "", ...others] = printed.slice(0, MOST_CHARACTERS).replaceAll("\r", "").trimStart().split("\n");
  const [text, figures] = cutAt(first, "|");
  const [, more] = cutAt(others.join("\n"), "|");
  return { text: oneLine(text, MOST_TEXT), figures: parseFigures(`${figures} ${more}`) };
}

const cutAt = (text: string, by: string): [string, string] => {
  const at = text.indexOf(by);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
};

/** Printable text in one line: colours and other escape sequences out, control characters and line ends made spaces. */
export const oneLine = (text: string, most: number): string =>
  text
    .slice(0, most * 8)
    .replaceAll(/\p{Cc}\[[\d;?]*[A-Za-z]/gu, "")
    .replaceAll(/[\p{C}\s]+/gu, " ")
    .trim()
    .slice(0, most)
    .toWellFormed();

/** Reads figures parted by white space. What is not of that form is passed over, up to the next one. */
export function parseFigures(text: string): Figure[] {
  const found: Figure[] = [];
  for (let at = 0; at < text.length && found.length < MOST_FIGURES; ) {
    at = skip(text, at, isSpace);
    const { label, next } = readLabel(text, at);
    const end = skip(text, Math.max(next, at), (char) => !isSpace(char));
    const figure = label === undefined ? undefined : parseFigure(label, text.slice(next + 1, end));
    if (figure !== undefined) found.push(figure);
    at = Math.max(end, at + 1);
  }
  return found;
}

const isSpace = (char: string): boolean =>
  char === " " || char === "\t" || char === "\n" || char === "\v" || char === "\f";

function skip(text: string, from: number, over: (char: string) => boolean): number {
  let at = from;
  while (at < text.length && over(text.charAt(at))) at += 1;
  return at;
}

/** A label and where its `=` is; in quotes it may hold spaces, and two quotes stand for one. */
function readLabel(text: string, from: number): { label: string | undefined; next: number } {
  if (text.charAt(from) !== "'") {
    const at = skip(text, from, (char) => char !== "=" && !isSpace(char));
    return { label: text.charAt(at) === "=" && at > from ? text.slice(from, at) : undefined, next: at };
  }
  for (let at = from + 1; at < text.length; at += 1) {
    if (text.charAt(at) !== "'") continue;
    if (text.charAt(at + 1) === "'") at += 1;
    else {
      const label = text.slice(from + 1, at).replaceAll("''", "'");
      return { label: text.charAt(at + 1) === "=" && label !== "" ? label : undefined, next: at + 1 };
    }
  }
  return { label: undefined, next: from + 1 }; // a quote that nobody closed
}

const VALUE = /^([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?)([^\d\s.;+-][^\s;]{0,15})?$/;

function parseFigure(label: string, text: string): Figure | undefined {
  const [amount = "", warn = "", crit = ""] = text.split(";", 3);
  // a comma for the point is what plugins print under a foreign locale
  const [, number, unit = ""] = VALUE.exec(amount.replace(",", ".")) ?? [];
  const value = Number(number);
  if (number === undefined || !Number.isFinite(value)) return undefined; // U: the plugin could not tell
  const warning = parseRange(warn);
  const critical = parseRange(crit);
  return {
    ...{ label, value, unit },
    ...(warning === undefined ? {} : { warning }),
    ...(critical === undefined ? {} : { critical }),
  };
}

const RANGE = /^(@)?(?:(~|[-+]?(?:\d+\.?\d*|\.\d+))?:)?([-+]?(?:\d+\.?\d*|\.\d+))?$/;

/** `10` 0 to 10, `10:` 10 and up, `~:10` up to 10, `10:20`, `@10:20` all but these. Undefined when it is none. */
export function parseRange(text: string): Range | undefined {
  const parts = RANGE.exec(text);
  if (parts === null || text === "" || text === "@") return undefined;
  const [, at, start, end] = parts;
  if (start === undefined && end === undefined) return undefined;
  const from = start === "~" ? Number.NEGATIVE_INFINITY : Number(start ?? 0);
  const to = end === undefined ? Number.POSITIVE_INFINITY : Number(end);
  return from <= to ? { from, to, inside: at === "@" } : undefined;
}

/** Whether a value is worth an alert by this range. */
export const alerts = ({ from, to, inside }: Range, value: number): boolean =>
  (value >= from && value <= to) === inside;

/** How the unit of a reading is written, and what a value is multiplied by. Sizes count in 1024, as check_disk's do. */
const UNITS: Readonly<Record<string, readonly [string, number]>> = {
  "": ["count", 1],
  c: ["count", 1],
  s: ["s", 1],
  ms: ["ms", 1],
  us: ["us", 1],
  "%": ["pct", 1],
  b: ["bytes", 1],
  kb: ["bytes", 1024],
  mb: ["bytes", 1024 ** 2],
  gb: ["bytes", 1024 ** 3],
  tb: ["bytes", 1024 ** 4],
  kib: ["bytes", 1024],
  mib: ["bytes", 1024 ** 2],
  gib: ["bytes", 1024 ** 3],
  tib: ["bytes", 1024 ** 4],
};

const MOST_NAME = 50;

/** Figures as readings: `/var/log` in MB is `var_log_bytes`. At most `most`; of the same name the later get a number. */
export function readingsOf(figures: readonly Figure[], most: number): Record<string, number> {
  const readings: Record<string, number> = {};
  for (const { label, value, unit } of figures.slice(0, most)) {
    const [suffix, times] = unitOf(unit);
    const scaled = value * times;
    if (!Number.isFinite(scaled)) continue;
    const name = nameOf(label);
    let key = `${name}_${suffix}`;
    for (let nth = 2; Object.hasOwn(readings, key); nth += 1) key = `${name}_${nth}_${suffix}`;
    readings[key] = scaled;
  }
  return readings;
}

function unitOf(unit: string): readonly [string, number] {
  const plain = unit.toLowerCase();
  if (Object.hasOwn(UNITS, plain)) return UNITS[plain] ?? ["count", 1];
  return [plain.replaceAll(/[^a-z]/g, "") || "count", 1];
}

const nameOf = (label: string): string => {
  const plain = label
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "_")
    .slice(0, MOST_NAME)
    .replaceAll(/^_+|_+$/g, "");
  return plain === "" ? (label === "/" ? "root" : `x${fingerprint(label)}`) : plain;
};
