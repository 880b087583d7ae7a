import { type Chars, holds, overlap, type Regex, RegexFault } from "./regex-syntax.ts";

/**
 * An expression as its positions (Glushkov): one state per character it can take, and which may follow which. On it one
 * can decide, not guess, whether a backtracking matcher may take more than linear time.
 */
export interface Automaton {
  /** What each position takes. */
  chars: readonly Chars[];
  /** Positions that may follow each. */
  follow: readonly (readonly number[])[];
  first: readonly number[];
  last: ReadonlySet<number>;
  /** Whether it matches the empty text. */
  nullable: boolean;
}

/** A bounded repeat is unrolled so far; beyond it counts as an unbounded one. */
const UNROLLED = 64;
const MOST_POSITIONS = 600;

interface Piece {
  nullable: boolean;
  first: number[];
  last: number[];
}
const EMPTY: Piece = { nullable: true, first: [], last: [] };

/**
 * Builds the automaton. Throws RegexFault when it would be too large, and where one and the same step could be taken for
 * two reasons (a repeat in a repeat), which the automaton could not show.
 */
export function automatonOf(regex: Regex): Automaton {
  const builder = new Builder();
  const whole = builder.build(regex);
  return {
    chars: builder.chars,
    follow: builder.follow.map((next) => [...next]),
    first: whole.first,
    last: new Set(whole.last),
    nullable: whole.nullable,
  };
}

class Builder {
  readonly chars: Chars[] = [];
  readonly follow: Set<number>[] = [];

  build(regex: Regex): Piece {
    switch (regex.kind) {
      case "assertion":
        return EMPTY;
      case "chars": {
        if (this.chars.length >= MOST_POSITIONS) throw new RegexFault("too large: split it or lower its counts");
        const position = this.chars.push(regex.chars) - 1;
        this.follow.push(new Set());
        return { nullable: false, first: [position], last: [position] };
      }
      case "choice":
        return this.#choice(regex.of.map((one) => this.build(one)));
      case "sequence":
        return regex.parts.reduce<Piece>((before, { regex: part }) => this.#then(before, this.build(part)), EMPTY);
      case "repeat":
        return this.#repeat(regex.one, regex.least, regex.most);
    }
  }

  #choice(of: readonly Piece[]): Piece {
    if (of.filter(({ nullable }) => nullable).length > 1)
      throw new RegexFault("more than one alternative can be empty");
    return {
      nullable: of.some(({ nullable }) => nullable),
      first: of.flatMap(({ first }) => first),
      last: of.flatMap(({ last }) => last),
    };
  }

  #then(a: Piece, b: Piece): Piece {
    this.#link(a.last, b.first);
    return {
      nullable: a.nullable && b.nullable,
      first: a.nullable ? [...a.first, ...b.first] : a.first,
      last: b.nullable ? [...a.last, ...b.last] : b.last,
    };
  }

  #repeat(one: Regex, least: number, most: number): Piece {
    const open = most > UNROLLED;
    const needed = Math.min(least, UNROLLED);
    const copies = open ? Math.max(1, needed) : most;
    let whole = EMPTY;
    let before = EMPTY;
    for (let copy = 1; copy <= copies; copy += 1) {
      const piece = this.build(one);
      if (piece.nullable && copies + (open ? 1 : 0) > 1) throw new RegexFault("it repeats what can be empty");
      if (piece.nullable && least === 0) throw new RegexFault("it makes optional what can be empty");
      this.#link(before.last, piece.first);
      const optional = copy > needed;
      whole = {
        nullable: copy === 1 ? optional || piece.nullable : whole.nullable,
        first: copy === 1 ? piece.first : whole.first,
        last: optional && copy > 1 ? [...whole.last, ...piece.last] : piece.last,
      };
      before = piece;
    }
    if (open) this.#link(before.last, before.first);
    return whole;
  }

  #link(from: readonly number[], to: readonly number[]): void {
    for (const a of from)
      for (const b of to) {
        const next = this.follow[a];
        if (next?.has(b) !== false)
          throw new RegexFault("a repeat within a repeat can split the same text in many ways");
        next.add(b);
      }
  }
}

/**
 * Whether two ways lead from one position to another over the same text: with that a matcher that fails later tries
 * every combination of them. Without it there are never more ways to read a text than there are positions.
 */
export function isAmbiguous(automaton: Automaton): boolean {
  const { chars, follow, first } = automaton;
  const size = chars.length;
  const seen = new Set<number>();
  const queue: (readonly [number, number])[] = [];
  const compatible = memo(automaton);
  const pair = (a: number, b: number): void => {
    const key = Math.min(a, b) * size + Math.max(a, b);
    if (a === b || seen.has(key) || !compatible(a, b)) return;
    seen.add(key);
    queue.push([a, b]);
  };
  for (const next of [first, ...follow])
    for (const [i, a] of next.entries()) for (const b of next.slice(i + 1)) pair(a, b);
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    const [a, b] = at;
    for (const nextA of follow[a] ?? [])
      for (const nextB of follow[b] ?? []) {
        if (nextA === nextB) return true;
        pair(nextA, nextB);
      }
  }
  return false;
}

/**
 * Whether a repeat can run over texts that begin the expression anew: then each beginning on a long line runs to its end,
 * and the line costs the square of its length.
 */
export function isSquareWhenSearched(automaton: Automaton): boolean {
  const compatible = memo(automaton);
  return automaton.chars.some((_, position) => runsOverBeginning(automaton, position, compatible));
}

/** Two runners over the same text, one from before the beginning, one from `loop`: can both arrive at `loop`? */
function runsOverBeginning(automaton: Automaton, loop: number, compatible: Compatible): boolean {
  const { chars, follow, first } = automaton;
  if (!reaches(automaton, loop, loop)) return false;
  const size = chars.length;
  const START = size;
  const seen = new Set<number>();
  const queue: (readonly [number, number])[] = [[START, loop]];
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    const [a, b] = at;
    for (const nextB of follow[b] ?? [])
      for (const nextA of a === START ? [START, ...first] : (follow[a] ?? [])) {
        if (nextA !== START && !compatible(nextA, nextB)) continue;
        if (nextA === loop && nextB === loop) return true;
        const key = nextA * size + nextB;
        if (seen.has(key)) continue;
        seen.add(key);
        queue.push([nextA, nextB]);
      }
  }
  return false;
}

function reaches({ follow }: Automaton, from: number, to: number): boolean {
  const seen = new Set<number>();
  const queue = [from];
  for (let at = queue.pop(); at !== undefined; at = queue.pop())
    for (const next of follow[at] ?? []) {
      if (next === to) return true;
      if (!seen.has(next)) queue.push(next);
      seen.add(next);
    }
  return false;
}

type Compatible = (a: number, b: number) => boolean;

/** Whether two positions can take the same character; asked again and again. */
function memo({ chars }: Automaton): Compatible {
  const known = new Map<number, boolean>();
  return (a, b) => {
    const key = a * chars.length + b;
    const before = known.get(key);
    if (before !== undefined) return before;
    const answer = overlap(chars[a] ?? [], chars[b] ?? []);
    known.set(key, answer);
    return answer;
  };
}

/** Whether every text it matches contains one of `literals` as a whole. Exact, but for what assertions rule out. */
export function alwaysContains(automaton: Automaton, literals: readonly string[]): boolean {
  if (automaton.nullable) return false;
  const scanners = literals.map((literal) => new Scanner(literal));
  const told = [...new Set(literals.join(""))].map((char) => char.charCodeAt(0));
  const seen = new Set<string>();
  const queue: { position: number; progress: readonly number[] }[] = [];
  const enter = (positions: readonly number[], progress: readonly number[]): boolean =>
    positions.every((position) => {
      const chars = automaton.chars[position] ?? [];
      // -1 stands for every character that is in no literal
      const codes = [...told.filter((code) => holds(chars, code)), ...(coveredBy(chars, told) ? [] : [-1])];
      return codes.every((code) => {
        const next = scanners.map((scanner, i) => scanner.step(progress[i] ?? 0, code));
        if (next.some((at, i) => at === scanners[i]?.length)) return true;
        if (automaton.last.has(position)) return false;
        const key = `${position} ${next.join(" ")}`;
        if (!seen.has(key)) queue.push({ position, progress: next });
        seen.add(key);
        return true;
      });
    });
  let held = enter(
    automaton.first,
    literals.map(() => 0),
  );
  for (let at = queue.pop(); held && at !== undefined; at = queue.pop())
    held = enter(automaton.follow[at.position] ?? [], at.progress);
  return held;
}

const coveredBy = (chars: Chars, codes: readonly number[]): boolean =>
  chars.reduce((sum, [from, to]) => sum + to - from + 1, 0) <= codes.filter((code) => holds(chars, code)).length;

/** How far a text is into a literal, character by character (Knuth, Morris, Pratt). */
class Scanner {
  readonly length: number;
  readonly #codes: readonly number[];
  readonly #fall: number[] = [0];

  constructor(literal: string) {
    this.length = literal.length;
    this.#codes = Array.from({ length: literal.length }, (_, i) => literal.charCodeAt(i));
    for (let i = 1, at = 0; i < this.length; i += 1) {
      while (at > 0 && this.#codes[i] !== this.#codes[at]) at = this.#fall[at - 1] ?? 0;
      if (this.#codes[i] === this.#codes[at]) at += 1;
      this.#fall.push(at);
    }
  }
  step(progress: number, code: number): number {
    let at = progress;
    while (at > 0 && this.#codes[at] !== code) at = this.#fall[at - 1] ?? 0;
    return this.#codes[at] === code ? at + 1 : at;
  }
}
