/** Time, as everything here gets it. `now` never runs back; `wall` is what the machine's owner set. */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary start. */
  now(): number;
  /** Epoch milliseconds; may jump by years (a device without a battery clock boots in 1970). */
  wall(): number;
  /** Resolves after `ms` milliseconds of `now`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `work` once, after `ms` (24 days at most), unless it is called off: a sleep without the cost of a promise. Returns how to call it off. */
  after(ms: number, work: () => void): () => void;
  /**
   * Calls `work` every `ms` (24 days at most) until it is called off; may fall behind by a millisecond each time. Half as
   * dear as a new timer each time. Returns how to call it off.
   */
  every(ms: number, work: () => void): () => void;
}

/** A longer timer of Node's runs at once. */
const LONGEST_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  sleep: (ms, signal) =>
    ms <= LONGEST_MS
      ? nap(Math.max(0, ms), signal)
      : nap(LONGEST_MS, signal).then(() => systemClock.sleep(ms - LONGEST_MS, signal)),
  after(ms, work) {
    const timer = setTimeout(work, Math.min(Math.max(0, ms), LONGEST_MS));
    return () => clearTimeout(timer);
  },
  every(ms, work) {
    const timer = setInterval(work, Math.min(Math.max(1, ms), LONGEST_MS));
    return () => clearInterval(timer);
  },
};

const nap = (ms: number, signal: AbortSignal | undefined): Promise<void> =>
  new Promise((wake, reject) => {
    if (signal === undefined) {
      setTimeout(wake, ms);
      return;
    }
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const sleepers = sleepersOf(signal);
    const cut = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      sleepers.delete(cut);
      wake();
    }, ms);
    sleepers.add(cut);
  });

/**
 * Who sleeps under each signal. One listener per signal for its whole life: adding and removing one per sleep was the
 * dearest part of a round (docs/performance.md), and rounds sleep once a second for years under the same signal.
 */
const sleeping = new WeakMap<AbortSignal, Set<() => void>>();

function sleepersOf(signal: AbortSignal): Set<() => void> {
  const known = sleeping.get(signal);
  if (known !== undefined) return known;
  const sleepers = new Set<() => void>();
  sleeping.set(signal, sleepers);
  signal.addEventListener(
    "abort",
    () => {
      for (const cut of sleepers) cut();
      sleepers.clear();
    },
    { once: true },
  );
  return sleepers;
}

/** Real time that keeps no process alive: resolves after `ms`, if the process still is there then. */
export const unheld = (ms: number): Promise<void> =>
  new Promise((wake) => {
    setTimeout(wake, ms).unref();
  });

/** A moment as the calendar and the clock on the machine's wall show it. */
export interface LocalTime {
  /** `2026-11-22`. */
  date: string;
  month: number;
  day: number;
  /** 0 = Sunday. */
  weekday: number;
  /** Seconds the clock shows since 00:00; where summer time begins or ends they jump. */
  second: number;
}

/** `wall` (epoch ms) in the machine's time zone, as it was when this process started. */
export function localTime(wall: number): LocalTime {
  const at = new Date(wall);
  const [month, day] = [at.getMonth() + 1, at.getDate()];
  const two = (part: number): string => String(part).padStart(2, "0");
  return {
    date: `${String(at.getFullYear()).padStart(4, "0")}-${two(month)}-${two(day)}`,
    month,
    day,
    weekday: at.getDay(),
    second: at.getHours() * 3600 + at.getMinutes() * 60 + at.getSeconds(),
  };
}
