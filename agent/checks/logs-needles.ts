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

/**
 * A cheap set of needles that finds all `literals` (bytes as latin1): for each literal the part that costs least, shared
 * by as many as have it.
 */
export function needlesFor(literals: readonly string[]): Needle[] {
  const parts = literals.map(partsOf);
  const owners = new Map<string, number[]>();
  for (const [i, of] of parts.entries())
    for (const part of new Set(of)) {
      const known = owners.get(part);
      if (known === undefined) owners.set(part, [i]);
      else known.push(i);
    }
  const shareOf = (part: string): number => priceOf(part) / (owners.get(part)?.length ?? 1);
  const covered = new Set<number>();
  const needles: Needle[] = [];
  for (const [i, of] of parts.entries()) {
    if (covered.has(i)) continue;
    let [best = "", least] = [of[0], Number.POSITIVE_INFINITY];
    for (const part of of) {
      const share = shareOf(part);
      if (share < least) [best, least] = [part, share];
    }
    const found = (owners.get(best) ?? []).filter((one) => !covered.has(one));
    for (const one of found) covered.add(one);
    needles.push({ bytes: best, literals: found });
  }
  return needles;
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
