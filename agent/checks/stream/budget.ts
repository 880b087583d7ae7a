/** Watching without a gap or looking now and then: decided for all `auto` streams together by what the agent may cost. Pure. */

export type Mode = "continuous" | "sampled";

export interface Limits {
  /** With more streams than this all `auto` ones are sampled. */
  continuousUpTo: number;
  /** Percent of one core the agent may use, all its checks together. */
  cpuPct: number;
}

export interface Choice {
  mode: Mode;
  /** One English sentence: why so. */
  because: string;
  /** Minutes in a row over the limit. */
  over: number;
  /** Monotonic ms before which it is not made continuous again, once it was too dear. */
  retryAt: number;
  /** How long that is the next time, ms. */
  retryMs: number;
}

const MINUTES_OVER = 2;
const RETRY_MS = 30 * 60_000;
const MOST_RETRY_MS = 24 * 3_600_000;

/** Before anything was measured. */
export const firstChoice = (streams: number, limits: Limits): Choice => ({
  ...byCount(streams, limits),
  over: 0,
  retryAt: 0,
  retryMs: RETRY_MS,
});

function byCount(streams: number, { continuousUpTo }: Limits): Pick<Choice, "mode" | "because"> {
  return streams <= continuousUpTo
    ? { mode: "continuous", because: `${streams} of at most ${continuousUpTo} streams are watched without a gap` }
    : { mode: "sampled", because: `${streams} streams are more than the ${continuousUpTo} watched without a gap` };
}

/** Once a minute. `cpuPct`: what the agent used of one core in it. The same object when nothing changes. */
export function nextChoice(before: Choice, cpuPct: number, streams: number, limits: Limits, now: number): Choice {
  const counted = byCount(streams, limits);
  if (counted.mode === "sampled") return before;
  if (before.mode === "continuous") {
    if (cpuPct <= limits.cpuPct) return before.over === 0 ? before : { ...before, over: 0 };
    const over = before.over + 1;
    if (over < MINUTES_OVER) return { ...before, over };
    const because = `the agent used ${cpuPct.toFixed(1)} % of a core over ${over} minutes, at most ${limits.cpuPct} % are allowed`;
    return {
      mode: "sampled",
      because,
      over: 0,
      retryAt: now + before.retryMs,
      retryMs: Math.min(MOST_RETRY_MS, before.retryMs * 2),
    };
  }
  // what else made the agent busy may have passed
  return now < before.retryAt || cpuPct > limits.cpuPct ? before : { ...before, ...counted, over: 0 };
}
