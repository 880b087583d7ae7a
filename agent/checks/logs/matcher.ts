import { compile, isFound, type Search } from "../regex-lint.ts";
import type { Pattern } from "./catalogue.ts";
import { needlesFor } from "./needles.ts";

/** Which lines of a text match which patterns? */

/** A line is looked at up to here, bytes: what a matcher can spend on one is bounded by it. */
export const LINE_BYTES = 4_096;

/** Told of every line that matches, with its text (UTF-8, what is not is replaced). */
export type OnHit = (pattern: Pattern, line: string) => void;

/** A pattern, and its expression once a line needed it. */
interface Compiled {
  pattern: Pattern;
  search: Search | undefined;
}

interface Probe {
  bytes: Buffer;
  /** Patterns with a literal that has these bytes. */
  patterns: readonly Compiled[];
}

const NEWLINE = 10;

/** Finds patterns in lines. `isKernel`: the lines are the kernel's own; undefined when each must say so itself. */
export class Matcher {
  readonly #compiled: readonly Compiled[];
  /** Made for the first text: whoever brings single lines needs none. */
  #probes: readonly Probe[] | undefined;
  /** Lines of one text that have to be looked at: their beginning, and the patterns they may match. Used again. */
  readonly #lines = new Map<number, readonly Compiled[]>();

  constructor(patterns: readonly Pattern[]) {
    this.#compiled = patterns.map((pattern) => ({ pattern, search: undefined }));
  }

  /** Everything sought, for a filter before us. */
  get literals(): string[] {
    return [...new Set(this.#compiled.flatMap(({ pattern }) => pattern.literals))];
  }

  /** Looks through whole lines, the last one with its newline or without. Hits come in the order of the lines. */
  scan(text: Buffer, onHit: OnHit, isKernel?: boolean): void {
    const lines = this.#lines;
    this.#probes ??= probesFor(this.#compiled);
    for (const { bytes: needle, patterns } of this.#probes) {
      for (let at = text.indexOf(needle); at >= 0; ) {
        const from = text.lastIndexOf(NEWLINE, at) + 1;
        const before = lines.get(from);
        lines.set(from, before === undefined ? patterns : [...new Set([...before, ...patterns])]);
        const next = text.indexOf(NEWLINE, at);
        at = next < 0 ? -1 : text.indexOf(needle, next);
      }
    }
    if (lines.size === 0) return;
    const inOrder = lines.size === 1 ? lines : [...lines].sort(([a], [b]) => a - b);
    for (const [from, patterns] of inOrder) {
      const newline = text.indexOf(NEWLINE, from);
      const to = Math.min(newline < 0 ? text.length : newline, from + LINE_BYTES);
      this.#look(text.toString("utf8", from, to), patterns, onHit, isKernel);
    }
    lines.clear();
  }

  /** Looks at one line that is text already. */
  line(line: string, onHit: OnHit, isKernel?: boolean): void {
    this.#look(line.slice(0, LINE_BYTES), this.#compiled, onHit, isKernel);
  }

  #look(line: string, candidates: readonly Compiled[], onHit: OnHit, isKernel: boolean | undefined): void {
    for (const one of candidates) {
      const { pattern } = one;
      if (!pattern.literals.some((literal) => line.includes(literal))) continue;
      if (pattern.from === "kernel" && !(isKernel ?? line.includes("kernel:"))) continue;
      if (pattern.regex !== undefined) one.search ??= compile(pattern.regex);
      if (one.search === undefined || isFound(one.search, line)) onHit(pattern, line);
    }
  }
}

function probesFor(all: readonly Compiled[]): Probe[] {
  const literals = all.flatMap((compiled) =>
    compiled.pattern.literals.map((literal) => ({ compiled, bytes: Buffer.from(literal).toString("latin1") })),
  );
  return needlesFor(literals.map(({ bytes }) => bytes)).map(({ bytes, literals: owned }) => ({
    bytes: Buffer.from(bytes, "latin1"),
    patterns: [...new Set(owned.flatMap((i) => literals[i]?.compiled ?? []))],
  }));
}
