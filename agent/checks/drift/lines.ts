import { MASK, merged, type Span } from "../../../platform/searched.ts";

/** A line as it may be shown; with a seal where something in it may not be: two that differ there have different seals. */
export type Line = string | [shown: string, seal: string];

export interface Hiding {
  /** Where a text has secrets. */
  find(text: string): readonly Span[];
  /** Settings whose values are secret here, in lower case. */
  keys: readonly string[];
  /** A text no longer than a name, by which nobody can tell what was sealed. */
  seal(text: string): string;
}

const MOST_SHOWN = 200;
const MOST_LINES = 5_000;

export const shown = (line: Line): string => (typeof line === "string" ? line : line[0]);
export const isSealed = (line: Line): boolean => typeof line !== "string";
const same = (a: Line, b: Line): boolean =>
  shown(a) === shown(b) && (typeof a === "string" ? "" : a[1]) === (typeof b === "string" ? "" : b[1]);

/** The lines of a config file, what is secret in them only sealed. More than 5,000 are one sealed line at the end. */
export function linesOf(text: string, hiding: Hiding): Line[] {
  const spans = merged([...hiding.find(text), ...keyed(text, hiding.keys)]);
  const lines: Line[] = [];
  let [start, next] = [0, 0];
  while (start <= text.length) {
    if (lines.length === MOST_LINES) return [...lines, ["…", hiding.seal(text.slice(start))]];
    const newline = text.indexOf("\n", start);
    const end = newline === -1 ? text.length : newline;
    if (start === text.length && start > 0) break; // after the last line's end
    while ((spans[next]?.end ?? Number.POSITIVE_INFINITY) <= start) next += 1;
    lines.push(lineOf(text, start, end, spans, next, hiding));
    start = end + 1;
  }
  return lines;
}

function lineOf(text: string, start: number, end: number, spans: readonly Span[], first: number, hiding: Hiding): Line {
  const whole = text.slice(start, end).replace(/\r$/, "");
  let [at, out] = [start, ""];
  for (let i = first; i < spans.length; i += 1) {
    const span = spans[i];
    if (span === undefined || span.start >= end) break;
    out += text.slice(at, Math.max(at, span.start)) + MASK;
    at = Math.min(span.end, end);
  }
  const plain = at === start && out === "" ? whole : (out + text.slice(at, end)).replace(/\r$/, "");
  const safe = plain.replaceAll(/\p{Cc}/gu, (one) => (one === "\t" ? one : "�"));
  const cut = safe.length > MOST_SHOWN ? `${safe.slice(0, MOST_SHOWN).toWellFormed()}…` : safe;
  return cut === whole ? cut : [cut, hiding.seal(whole)];
}

/** Values of the keys a person named: all that follows up to the end of the line. */
function keyed(text: string, keys: readonly string[]): Span[] {
  if (keys.length === 0) return [];
  const lower = text.toLowerCase();
  if (lower.length !== text.length) return [{ start: 0, end: text.length }]; // places cannot be trusted: rather all
  return keys.flatMap((key) => {
    const spans: Span[] = [];
    for (let at = lower.indexOf(key); at !== -1; at = lower.indexOf(key, at + key.length)) {
      if (/[\w.-]/.test(lower.charAt(at - 1)) || /[\w.-]/.test(lower.charAt(at + key.length))) continue;
      const from = at + key.length;
      const newline = lower.indexOf("\n", from);
      const end = newline === -1 ? lower.length : newline;
      const gap = /^["']?[ \t]*[:=>]?[ \t]*/.exec(text.slice(from, Math.min(end, from + 40)))?.[0] ?? "";
      if (from + gap.length < end) spans.push({ start: from + gap.length, end });
      at = Math.max(at, end - key.length);
    }
    return spans;
  });
}

/** One stretch of lines that differs; numbers count from 1. */
export interface Hunk {
  /** Line of the older text before which, or from which on, it differs. */
  from: number;
  /** The same in the newer text. */
  to: number;
  removed: readonly Line[];
  added: readonly Line[];
}

/** A larger middle is one stretch: nobody reads it line by line. */
const MOST_CELLS = 250_000;

/** What differs between two texts, in order. */
export function differences(before: readonly Line[], after: readonly Line[]): Hunk[] {
  let head = 0;
  const shorter = Math.min(before.length, after.length);
  while (head < shorter && same(before[head] ?? "", after[head] ?? "")) head += 1;
  let tail = 0;
  while (tail < shorter - head && same(before.at(-1 - tail) ?? "", after.at(-1 - tail) ?? "")) tail += 1;
  const old = before.slice(head, before.length - tail);
  const young = after.slice(head, after.length - tail);
  if (old.length === 0 && young.length === 0) return [];
  if (old.length * young.length > MOST_CELLS) return [{ from: head + 1, to: head + 1, removed: old, added: young }];
  return hunks(old, young, head);
}

/** Longest common subsequence, by its table. */
function hunks(old: readonly Line[], young: readonly Line[], head: number): Hunk[] {
  const width = young.length + 1;
  const table = new Uint16Array((old.length + 1) * width);
  const cell = (i: number, j: number): number => table[i * width + j] ?? 0;
  for (let i = old.length - 1; i >= 0; i -= 1)
    for (let j = young.length - 1; j >= 0; j -= 1)
      table[i * width + j] = same(old[i] ?? "", young[j] ?? "")
        ? cell(i + 1, j + 1) + 1
        : Math.max(cell(i + 1, j), cell(i, j + 1));
  const found: { from: number; to: number; removed: Line[]; added: Line[] }[] = [];
  let open: (typeof found)[number] | undefined;
  let [i, j] = [0, 0];
  while (i < old.length || j < young.length) {
    const [left, right] = [old[i], young[j]];
    if (left !== undefined && right !== undefined && same(left, right)) {
      open = undefined;
      i += 1;
      j += 1;
      continue;
    }
    if (open === undefined) {
      open = { from: head + i + 1, to: head + j + 1, removed: [], added: [] };
      found.push(open);
    }
    if (right === undefined || (left !== undefined && cell(i + 1, j) >= cell(i, j + 1))) {
      open.removed.push(left ?? "");
      i += 1;
    } else {
      open.added.push(right);
      j += 1;
    }
  }
  return found;
}

const SETTING = /^\s*["']?([\w.-]{1,40})["']?\s*[:=\s]\s*(\S.*?)[,;]?\s*$/;
const short = (text: string, most: number): string =>
  text.length <= most ? text : `${text.slice(0, most - 1).toWellFormed()}…`;

/** The differences in words, one each: `line 12 PermitRootLogin no → yes`. */
export function inWords(found: readonly Hunk[]): string[] {
  return found.flatMap(({ to, from, removed, added }) => {
    const pairs = Math.min(removed.length, added.length);
    return [
      ...added.slice(0, pairs).map((line, i) => changed(to + i, removed[i] ?? "", line)),
      ...added.slice(pairs).map((line, i) => `line ${to + pairs + i} added${quoted(line)}`),
      ...removed.slice(pairs).map((line, i) => `line ${from + pairs + i} removed${quoted(line)}`),
    ];
  });
}

function changed(number: number, before: Line, after: Line): string {
  const old = SETTING.exec(shown(before));
  const young = SETTING.exec(shown(after));
  const key = young?.[1] ?? "";
  if (shown(before) === shown(after)) return `line ${number}${key === "" ? "" : ` ${key}`} changed (not shown)`;
  if (old !== null && young !== null && old[1] === key)
    return `line ${number} ${key} ${short(old[2] ?? "", 40)} → ${short(young[2] ?? "", 40)}`;
  return `line ${number}${quoted(before)} →${quoted(after)}`;
}

function quoted(line: Line): string {
  const text = shown(line).trim();
  return text === "" ? " (empty)" : ` "${short(text, 40)}"`;
}

/** The differences as people know them from `diff`, each line with its number; what is sealed says so. */
export function asDiff(found: readonly Hunk[]): string[] {
  const write = (sign: string, number: number, line: Line): string =>
    `${sign} ${String(number).padStart(4)}  ${shown(line)}${isSealed(line) ? "  (not shown whole)" : ""}`;
  return found.flatMap(({ from, to, removed, added }) => [
    ...removed.map((line, i) => write("-", from + i, line)),
    ...added.map((line, i) => write("+", to + i, line)),
  ]);
}
