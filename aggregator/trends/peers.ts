/** How one device stands among those of its class. */
export interface Standing {
  /** Distance from the median in robust standard deviations, positive on the bad side. */
  score: number;
  median: number;
  peers: number;
}

interface Crowd {
  median: number;
  /** Robust standard deviation: 1.4826 × the median distance from the median. */
  spread: number;
  peers: number;
}

/** What the devices of each class tell of each figure: gathered over a round, compared with in the next. */
export class Peers {
  #crowds = new Map<string, Crowd>();
  #gathering = new Map<string, number[]>();

  /** `key` names class, code and figure. */
  add(key: string, level: number): void {
    const levels = this.#gathering.get(key);
    if (levels === undefined) this.#gathering.set(key, [level]);
    else levels.push(level);
  }
  /** A round is over: what was gathered is what the next one is compared with. */
  turn(leastDevices: number): void {
    const crowds = [...this.#gathering].filter(([, levels]) => levels.length >= leastDevices);
    this.#crowds = new Map(crowds.map(([key, levels]) => [key, crowdOf(levels)]));
    this.#gathering = new Map();
  }
  /** Undefined where the class is too small, or nothing was gathered yet. `sign`: 1 where high is bad, −1 where low is. */
  standing(key: string, level: number, sign: 1 | -1, least: number): Standing | undefined {
    const crowd = this.#crowds.get(key);
    if (crowd === undefined) return undefined;
    const away = sign * (level - crowd.median);
    // Where all are alike the smallest difference would be endless: less than what matters is nothing.
    const score = away < least ? Math.min(0, away) : away / Math.max(crowd.spread, least / 100);
    return { score, median: crowd.median, peers: crowd.peers };
  }
}

function crowdOf(levels: readonly number[]): Crowd {
  const median = middle(levels);
  return { median, spread: 1.4826 * middle(levels.map((level) => Math.abs(level - median))), peers: levels.length };
}

function middle(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort();
  const [low = Number.NaN, high = Number.NaN] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return low / 2 + high / 2;
}
