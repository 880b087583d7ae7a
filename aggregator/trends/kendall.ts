const tails = new Map<number, Float64Array>();

/**
 * Probability that `n` values without any order reach a Kendall score (rising pairs less falling ones) of `score` or more:
 * exact, from the distribution of inversions of permutations (Kendall 1938). With ties it errs to the careful side.
 */
export function kendallTail(n: number, score: number): number {
  const pairs = (n * (n - 1)) / 2;
  const tail = tailsFor(n);
  const inversions = Math.floor((pairs - score) / 2); // score or more is so many inversions or fewer
  return inversions < 0 ? 0 : (tail[Math.min(inversions, tail.length - 1)] ?? 1);
}

/** The least score that chance reaches with a probability of `p` or less; undefined when none does. */
export function kendallScore(n: number, p: number): number | undefined {
  const pairs = (n * (n - 1)) / 2;
  const inversions = tailsFor(n).findLastIndex((tail) => tail <= p);
  return inversions < 0 ? undefined : pairs - 2 * inversions;
}

/** Probability of at most k inversions, by k. */
function tailsFor(n: number): Float64Array {
  const known = tails.get(n);
  if (known !== undefined) return known;
  let shares = Float64Array.of(1);
  for (let m = 2; m <= n; m += 1) {
    const next = new Float64Array((m * (m - 1)) / 2 + 1);
    let window = 0;
    for (let k = 0; k < next.length; k += 1) {
      window += shares[k] ?? 0;
      if (k >= m) window -= shares[k - m] ?? 0;
      next[k] = window / m;
    }
    shares = next;
  }
  let sum = 0;
  const tail = shares.map((share) => {
    sum += share;
    return Math.min(1, sum);
  });
  tails.set(n, tail);
  return tail;
}
