/** Which expressions may a pattern of the logs use, and what do they mean? A parser for the plain part of JavaScript's. */

/** Characters (UTF-16 units) as sorted, disjoint ranges. */
export type Chars = readonly (readonly [from: number, to: number])[];

export type Regex =
  | { kind: "chars"; chars: Chars }
  /** `^`, `$`, `\b`, `\B`: takes no character. */
  | { kind: "assertion"; start: boolean }
  | { kind: "sequence"; parts: readonly Part[] }
  | { kind: "choice"; of: readonly Regex[] }
  | { kind: "repeat"; one: Regex; least: number; most: number };

/** One part of a sequence, and where it stands in the source. */
export interface Part {
  regex: Regex;
  from: number;
  to: number;
}

/** Why an expression is not taken. */
export class RegexFault extends Error {}

const LAST = 0xffff;
const DIGITS: Chars = [[48, 57]];
const WORDS: Chars = [[48, 57], [65, 90], [95, 95], [97, 122]]; // biome-ignore format: a table
const SPACES: Chars = [
  [9, 13], [32, 32], [0xa0, 0xa0], [0x1680, 0x1680], [0x2000, 0x200a], [0x2028, 0x2029], [0x202f, 0x202f],
  [0x205f, 0x205f], [0x3000, 0x3000], [0xfeff, 0xfeff],
]; // biome-ignore format: a table

/** Everything but `chars`. */
export function without(chars: Chars): Chars {
  const left: [number, number][] = [];
  let next = 0;
  for (const [from, to] of chars) {
    if (from > next) left.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= LAST) left.push([next, LAST]);
  return left;
}

/** Whether some character is in both. */
export const overlap = (a: Chars, b: Chars): boolean =>
  a.some(([from, to]) => b.some(([low, high]) => from <= high && low <= to));

export const holds = (chars: Chars, code: number): boolean => chars.some(([from, to]) => from <= code && code <= to);

/** What `.` takes: every character, for a line has no newline in it (flag `s`). */
export const ANY: Chars = [[0, LAST]];

function union(sets: readonly Chars[]): Chars {
  const merged: [number, number][] = [];
  for (const [from, to] of sets.flat().toSorted((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

const CLASSES: Readonly<Record<string, Chars>> = {
  d: DIGITS,
  w: WORDS,
  s: SPACES,
  D: without(DIGITS),
  W: without(WORDS),
  S: without(SPACES),
};
const CONTROLS: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13 };

/**
 * Parses `source`. Throws RegexFault with the reason: what it does not know (look-around, back references, named groups,
 * Unicode properties) is refused, so that whoever judges the tree has seen everything the expression can do.
 */
export function parseRegex(source: string): Regex {
  const parser = new Parser(source);
  const regex = parser.choice();
  if (!parser.atEnd) throw new RegexFault("a ) without its (");
  return regex;
}

class Parser {
  readonly #source: string;
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    this.#source = source;
  }
  get atEnd(): boolean {
    return this.#at >= this.#source.length;
  }
  get #next(): string {
    return this.#source.charAt(this.#at);
  }

  choice(): Regex {
    const of = [this.#sequence()];
    while (this.#take("|")) of.push(this.#sequence());
    const [only] = of;
    return of.length === 1 && only !== undefined ? only : { kind: "choice", of };
  }

  #sequence(): Regex {
    const parts: Part[] = [];
    while (!this.atEnd && this.#next !== "|" && this.#next !== ")") {
      const from = this.#at;
      parts.push({ regex: this.#repeated(this.#atom()), from, to: this.#at });
    }
    return { kind: "sequence", parts };
  }

  #atom(): Regex {
    const char = this.#source.charAt(this.#at++);
    if (char === "(") return this.#group();
    if (char === "[") return { kind: "chars", chars: this.#class() };
    if (char === ".") return { kind: "chars", chars: ANY };
    if (char === "^" || char === "$") return { kind: "assertion", start: char === "^" };
    if (char === "\\") {
      if (this.#take("b") || this.#take("B")) return { kind: "assertion", start: false };
      return { kind: "chars", chars: this.#escape() };
    }
    if ("*+?{".includes(char)) throw new RegexFault(`${char} with nothing before it to repeat (or write \\${char})`);
    if ("]}".includes(char)) throw new RegexFault(`${char} by itself: write \\${char}`);
    return { kind: "chars", chars: single(char.charCodeAt(0)) };
  }

  #group(): Regex {
    if (this.#take("?") && !this.#take(":"))
      throw new RegexFault("look-ahead, look-behind and named groups are not supported");
    this.#depth += 1;
    if (this.#depth > 20) throw new RegexFault("groups nested too deep");
    const inside = this.choice();
    if (!this.#take(")")) throw new RegexFault("a ( without its )");
    this.#depth -= 1;
    return inside;
  }

  #repeated(one: Regex): Regex {
    const range = this.#range();
    if (range === undefined) return one;
    this.#take("?"); // lazy: another order, the same texts
    if (one.kind === "assertion") throw new RegexFault("a repeated ^, $ or \\b");
    if (this.#range() !== undefined) throw new RegexFault("a repeat of a repeat");
    return { kind: "repeat", one, ...range };
  }

  #range(): { least: number; most: number } | undefined {
    if (this.#take("*")) return { least: 0, most: Number.POSITIVE_INFINITY };
    if (this.#take("+")) return { least: 1, most: Number.POSITIVE_INFINITY };
    if (this.#take("?")) return { least: 0, most: 1 };
    const found = /^\{(\d{1,4})(?:(,)(\d{1,4})?)?\}/.exec(this.#source.slice(this.#at, this.#at + 12));
    if (found === null) return undefined;
    this.#at += found[0].length;
    const least = Number(found[1]);
    const most = found[2] === undefined ? least : Number(found[3] ?? Number.POSITIVE_INFINITY);
    if (most < least || most === 0) throw new RegexFault(`${found[0]} repeats nothing`);
    return { least, most };
  }

  #class(): Chars {
    const inverse = this.#take("^");
    const sets: Chars[] = [];
    while (!this.#take("]")) {
      if (this.atEnd) throw new RegexFault("a [ without its ]");
      const low = this.#classPart();
      if (this.#next !== "-" || this.#source.charAt(this.#at + 1) === "]") sets.push(low);
      else {
        this.#at += 1;
        sets.push(rangeOf(low, this.#classPart()));
      }
    }
    const chars = union(sets);
    if (chars.length === 0) throw new RegexFault("an empty [ ]");
    return inverse ? without(chars) : chars;
  }

  #classPart(): Chars {
    const char = this.#source.charAt(this.#at++);
    if (char !== "\\") return single(char.charCodeAt(0));
    return this.#take("b") ? single(8) : this.#escape();
  }

  /** What follows a backslash. */
  #escape(): Chars {
    const char = this.#source.charAt(this.#at++);
    const known = CLASSES[char];
    if (known !== undefined) return known;
    const control = CONTROLS[char];
    if (control !== undefined) return single(control);
    if (char === "x" || char === "u") return single(this.#hex(char === "x" ? 2 : 4));
    if (/^[1-9]$/.test(char) || char === "k") throw new RegexFault("back references are not supported");
    if (char === "" || /^[A-Za-z0-9]$/.test(char)) throw new RegexFault(`\\${char} is not supported`);
    return single(char.charCodeAt(0));
  }

  #hex(digits: number): number {
    const text = this.#source.slice(this.#at, this.#at + digits);
    if (text.length < digits || !/^[0-9A-Fa-f]+$/.test(text)) throw new RegexFault(`\\x or \\u without its digits`);
    this.#at += digits;
    return Number.parseInt(text, 16);
  }

  #take(char: string): boolean {
    if (this.#next !== char) return false;
    this.#at += 1;
    return true;
  }
}

const single = (code: number): Chars => [[code, code]];

function rangeOf(low: Chars, high: Chars): Chars {
  const [from, to] = [low[0]?.[0], high[0]?.[0]];
  if (low.length !== 1 || high.length !== 1 || from === undefined || to === undefined || low[0]?.[1] !== from)
    throw new RegexFault("a range between classes");
  if (to < from || high[0]?.[1] !== to) throw new RegexFault("a range that runs backwards");
  return [[from, to]];
}
