export interface BackoffLimits {
  /** Ceiling of the pause after the first failure, milliseconds. */
  firstMs: number;
  /** Ceiling of every later one, milliseconds. */
  mostMs: number;
}

export const BACKOFF: BackoffLimits = { firstMs: 1000, mostMs: 60_000 };
/** A connection that held this long was a good one: the next failure is a first one again. */
export const SETTLED_MS = 30_000;

/**
 * Pause before the next try, milliseconds, after `failures` (from 1) failures in a row. The ceiling doubles with each,
 * and the pause lies anywhere below it (full jitter: a thousand devices whose broker restarts must not return at once).
 * A `stubborn` failure, which only a person can mend, waits at least half of the longest. `random` lies in [0, 1).
 */
export function pauseMs(failures: number, limits: BackoffLimits, random: number, stubborn = false): number {
  if (stubborn) return limits.mostMs * (0.5 + random / 2);
  return random * Math.min(limits.mostMs, limits.firstMs * 2 ** Math.min(Math.max(failures, 1) - 1, 30));
}
