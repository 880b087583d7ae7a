import { alwaysContains, automatonOf, isAmbiguous, isSquareWhenSearched } from "./regex-automaton.ts";
import { ANY, type Chars, type Part, parseRegex, type Regex, RegexFault } from "./regex-syntax.ts";

/**
 * What may be looked for in a log? A line comes from whoever can write one, and the device has little time: every
 * expression is proven to take time in proportion to the line, or refused.
 */

/**
 * An expression ready to search a line. One `.*` on its top level is taken out of the matcher's hands: `head` has one
 * length, so when `rest` is not found after its first place, it is not found after any later one.
 */
export interface Search {
  head: RegExp;
  /** So many characters at least between the two. */
  gap?: number;
  rest?: RegExp;
}

/** Whether the line has a match. */
export function isFound({ head, gap = 0, rest }: Search, line: string): boolean {
  head.lastIndex = 0;
  if (!head.test(line)) return false;
  if (rest === undefined) return true;
  rest.lastIndex = head.lastIndex + gap;
  return rest.test(line);
}

/** An expression that has passed `regexFault`. */
export function compile(source: string): Search {
  const cut = cutAtGap(source, topOf(parseRegex(source)));
  if (cut.rest === undefined) return { head: new RegExp(source, "gs") };
  return { head: new RegExp(cut.head.source, "gs"), gap: cut.gap, rest: new RegExp(cut.rest.source, "gs") };
}

/**
 * Why `source` cannot be taken as the expression of a pattern whose matches all contain one of `literals`; undefined when
 * it can.
 */
export function regexFault(source: string, literals: readonly string[]): string | undefined {
  try {
    judge(source, literals);
    return undefined;
  } catch (fault) {
    if (fault instanceof RegexFault || fault instanceof SyntaxError) return fault.message;
    throw fault;
  }
}

function judge(source: string, literals: readonly string[]): void {
  const whole = parseRegex(source);
  new RegExp(source); // what only the engine finds wrong
  const { head, rest } = cutAtGap(source, topOf(whole));
  const segments = rest === undefined ? [head.parts] : [head.parts, rest.parts];
  for (const [i, parts] of segments.entries()) {
    const regex: Regex = { kind: "sequence", parts };
    const automaton = automatonOf(regex);
    if (automaton.nullable && segments.length > 1) throw new RegexFault("nothing certain beside its .*");
    if (isAmbiguous(automaton))
      throw new RegexFault(
        "neighbouring repeats or alternatives can take the same characters: backtracking without end",
      );
    // nothing comes after the end that could fail: the engine never goes back into a repeat there
    const searched = i === segments.length - 1 ? automatonOf(trimmed(regex)) : automaton;
    if (!(i === 0 && beginsAtStart(regex)) && isSquareWhenSearched(searched))
      throw new RegexFault(
        "quadratic: a repeat can run over the beginning of the next match; put fixed text before it that it cannot contain, or a limit like {1,20}",
      );
  }
  if (!alwaysContains(automatonOf(whole), literals))
    throw new RegexFault(`it can match a line without ${literals.map((one) => JSON.stringify(one)).join(" or ")}`);
}

const topOf = (regex: Regex): readonly Part[] =>
  regex.kind === "sequence" ? regex.parts : [{ regex, from: 0, to: Number.POSITIVE_INFINITY }];

interface Cut {
  source: string;
  parts: readonly Part[];
}

/** The expression before and after the one `.*` it may have. */
function cutAtGap(source: string, parts: readonly Part[]): { head: Cut; gap: number; rest?: Cut } {
  const gaps = parts.flatMap(({ regex }, i) => (regex.kind === "repeat" && isGap(regex) ? [{ i, regex }] : []));
  const [gap] = gaps;
  if (gap === undefined) return { head: { source, parts }, gap: 0 };
  if (gaps.length > 1) throw new RegexFault("quadratic: more than one .* (or .+)");
  const { i, regex } = gap;
  const head = parts.slice(0, i);
  const rest = parts.slice(i + 1);
  if (head.length === 0 || rest.length === 0)
    throw new RegexFault("a .* at the beginning or the end finds nothing more: leave it out");
  if (widthOf({ kind: "sequence", parts: head }) === undefined)
    throw new RegexFault(
      "what stands before .* must have one length: no repeats, no alternatives of different lengths",
    );
  return {
    head: { source: source.slice(0, head.at(-1)?.to), parts: head },
    gap: regex.least,
    rest: { source: source.slice(rest[0]?.from), parts: rest },
  };
}

const isGap = ({ one, most }: { one: Regex; most: number }): boolean =>
  most === Number.POSITIVE_INFINITY && one.kind === "chars" && covers(one.chars);
const covers = (chars: Chars): boolean =>
  ANY.every(([from, to]) => chars.some(([low, high]) => low <= from && to <= high));

/** How many characters it takes, undefined when that varies. */
function widthOf(regex: Regex): number | undefined {
  switch (regex.kind) {
    case "assertion":
      return 0;
    case "chars":
      return 1;
    case "repeat": {
      const width = widthOf(regex.one);
      return width === undefined || regex.least !== regex.most ? undefined : width * regex.least;
    }
    case "sequence":
      return regex.parts.reduce<number | undefined>((sum, part) => {
        const width = widthOf(part.regex);
        return sum === undefined || width === undefined ? undefined : sum + width;
      }, 0);
    case "choice": {
      const widths = new Set(regex.of.map(widthOf));
      return widths.size === 1 ? [...widths][0] : undefined;
    }
  }
}

/** The same but for open repeats at its end, which take what they need and no more. */
function trimmed(regex: Regex): Regex {
  if (regex.kind === "choice") return { kind: "choice", of: regex.of.map(trimmed) };
  if (regex.kind === "repeat" && regex.most === Number.POSITIVE_INFINITY && regex.least <= 1)
    return regex.least === 0 ? { kind: "sequence", parts: [] } : trimmed(regex.one);
  if (regex.kind !== "sequence") return regex;
  const last = regex.parts.at(-1);
  if (last === undefined) return regex;
  return { kind: "sequence", parts: [...regex.parts.slice(0, -1), { ...last, regex: trimmed(last.regex) }] };
}

function beginsAtStart(regex: Regex): boolean {
  if (regex.kind === "assertion") return regex.start;
  if (regex.kind === "choice") return regex.of.every(beginsAtStart);
  const [first] = regex.kind === "sequence" ? regex.parts : [];
  return first !== undefined && beginsAtStart(first.regex);
}
