/**
 * Which few byte strings must one search for to find every literal? Native search is all the speed there is on a device
 * (`--jitless`: expressions are interpreted), and its price is how often the first byte of what is sought comes along.
 */

/** A byte string, and the literals that contain it, by their place in the list. */
export interface Needle {
  bytes: string;
  literals: readonly number[];
}

/**
 * Up to seven bytes are sought by their first byte alone (memchr, then compared); more by skipping ahead once the first
 * byte has come too often, which pays for long texts only (Node's string search, Boyer-Moore-Horspool).
 */
const SHORT = [6, 7] as const;

/** How often a byte comes along in 1,000 bytes of ordinary logs of a kernel and of programs. What is not named is rare. */
const PER_THOUSAND: readonly (readonly [chars: string, times: number])[] = [
  [" ", 120],
  ["0e1o2t", 50],
  [":rn-s7d4avc", 26],
  ["35f.lm6i8pN9", 15],
  ["u[]byh", 9.5],
  ["kgw=()", 7],
  ["ETX_/S", 3],
  ["MQ,xIOFUDB", 1.5],
  ["AjG#Cq", 0.8],
];
/** Nanoseconds per 1,000 bytes: a pass, one stop at a first byte, a pass of skipping times the length (bench/logs.ts). */
const PASS_NS = 40;
const STOP_NS = 20;
const SKIP_NS = 4_800;
/** A first byte that comes more often makes the search of a long text skip. */
const PATIENCE = 0.5;

/** A part of literals that could be sought. */
interface Part {
  bytes: string;
  price: number;
  /** Literals that contain it. */
  of: number[];
  /** How many of them have no needle yet. */
  open: number;
}

/** The cheapest set of needles that finds all `literals` (bytes as latin1), by greedy choice. */
export function needlesFor(literals: readonly string[]): Needle[] {
  const parts = new Map<string, Part>();
  const partsIn = literals.map((literal, i) =>
    [...new Set(partsOf(literal))].map((bytes) => {
      const part = parts.get(bytes) ?? { bytes, price: priceOf(bytes), of: [], open: 0 };
      parts.set(bytes, part);
      part.of.push(i);
      part.open += 1;
      return part;
    }),
  );
  const covered = new Set<number>();
  const needles: Needle[] = [];
  while (covered.size < literals.length) {
    const best = cheapest(parts.values());
    if (best === undefined) break;
    const found = best.of.filter((i) => !covered.has(i));
    for (const i of found) {
      covered.add(i);
      for (const part of partsIn[i] ?? []) part.open -= 1;
    }
    needles.push({ bytes: best.bytes, literals: found });
  }
  return needles;
}

/** The least price for each literal found; of equal ones the longer, which stops less often for nothing. */
function cheapest(parts: Iterable<Part>): Part | undefined {
  let best: Part | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const part of parts) {
    if (part.open === 0) continue;
    const share = part.price / part.open;
    if (share < least || (share === least && part.bytes.length > (best?.bytes.length ?? 0)))
      [best, least] = [part, share];
  }
  return best;
}

/** What can stand for a literal: itself, and short parts of it, some of which others share. */
function partsOf(literal: string): string[] {
  const parts = [literal];
  for (const length of SHORT)
    for (let from = 0; from + length < literal.length; from += 1) parts.push(literal.slice(from, from + length));
  return parts;
}

function priceOf(bytes: string): number {
  const first = bytes.charAt(0);
  const often = PER_THOUSAND.find(([chars]) => chars.includes(first))?.[1] ?? 0.1;
  const skips = bytes.length > SHORT[1] && often > PATIENCE;
  return PASS_NS + (skips ? SKIP_NS / bytes.length : STOP_NS * often);
}
