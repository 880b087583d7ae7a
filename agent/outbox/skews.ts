/** What an aggregator said of its clock, and what ours showed then. */
interface Word {
  ts: number;
  /** Monotonic. */
  at: number;
  wall: number;
  /** It came so long after the one before as the clock in it had moved on: it was said just then. */
  fresh: boolean;
}

/** Two messages nearer to each other than this tell no pace: they may have waited together. */
const LEAST_GAP_MS = 10_000;
/** How far the pace of two messages may be from the pace of their clock, ms. */
const PACE_MS = 2_500;
/** What was heard so long ago says nothing of now; aggregators speak once a minute. */
const STALE_MS = 300_000;

/**
 * How far our wall clock is from the aggregators'. What waited at the broker for us was said long before it came, and
 * would make our clock look fast: only a message that keeps step with the one before is believed.
 */
export class Skews {
  readonly #words = new Map<string, Word>();
  readonly #most: number;

  /** `most`: so many aggregators are remembered at most. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Takes in a message of aggregator `node`, which gave its time as `ts` (epoch ms), at our `now` and `wall`. */
  heard(node: string, ts: number, { now, wall }: { now: number; wall: number }): void {
    const before = this.#words.get(node);
    const gap = before === undefined ? 0 : now - before.at;
    const fresh = before !== undefined && gap >= LEAST_GAP_MS && Math.abs(gap - (ts - before.ts)) <= PACE_MS;
    this.#words.delete(node); // to the end: the first of the map is the one not heard of for longest
    this.#words.set(node, { ts, at: now, wall, fresh });
    const [oldest] = this.#words.keys();
    if (oldest !== undefined && this.#words.size > this.#most) this.#words.delete(oldest);
  }

  /** Our clock minus theirs, ms, and when it was heard; of several aggregators the nearest: one that is wrong blames nobody. */
  least(now: number): { ms: number; at: number } | undefined {
    let least: { ms: number; at: number } | undefined;
    for (const { ts, at, wall, fresh } of this.#words.values()) {
      const ms = wall - ts;
      if (fresh && now - at <= STALE_MS && (least === undefined || Math.abs(ms) < Math.abs(least.ms)))
        least = { ms, at };
    }
    return least;
  }
}
