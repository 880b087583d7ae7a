import type { Clock } from "./clock.ts";

/** A shorter wait is kept to the millisecond. */
const LEAST_MS = 30_000;
/** Share of a wait by which it may be late. */
const MOST_LATE = 0.4;
/** With that, still a time that a timer can wait. */
const LONGEST_MS = 17 * 86_400_000;

/** A clock on which long waits end a little late: together with a tick of whoever wakes the machine anyway. */
export interface RidingClock extends Clock {
  /** The machine is awake: ends every wait whose time has come. */
  tick(): void;
}

interface Rider {
  dueAt: number;
  /** Undefined once it was called off. */
  work: (() => void) | undefined;
  /** Calls its own timer off. */
  callOff(): void;
}

/**
 * `clock`, with waits of half a minute and more that end at the first tick after their time, or without one by themselves:
 * `patienceMs`, or 0.4 of the wait, later. Never early. Waking a sleeping machine costs more than most of what such a
 * timer then does (docs/performance.md).
 */
export function ridingClock(clock: Clock, patienceMs: number): RidingClock {
  const riders = new Set<Rider>();
  const leave = (rider: Rider): void => {
    riders.delete(rider);
    rider.callOff();
  };
  const after = (ms: number, work: () => void): (() => void) => {
    if (!(ms >= LEAST_MS)) return clock.after(ms, work);
    const rider: Rider = { dueAt: clock.now() + ms, work, callOff: () => {} };
    riders.add(rider);
    rider.callOff = clock.after(ms + Math.min(patienceMs, MOST_LATE * ms), () => {
      riders.delete(rider);
      work();
    });
    return () => {
      rider.work = undefined; // also where a tick has just let it go
      leave(rider);
    };
  };
  const sleep = (ms: number, signal?: AbortSignal): Promise<void> => {
    if (!(ms >= LEAST_MS) || ms > LONGEST_MS) return clock.sleep(ms, signal);
    return new Promise((wake, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason);
        return;
      }
      const cut = (): void => {
        callOff();
        reject(signal?.reason);
      };
      const callOff = after(ms, () => {
        signal?.removeEventListener("abort", cut);
        wake();
      });
      signal?.addEventListener("abort", cut, { once: true });
    });
  };
  return {
    now: () => clock.now(),
    wall: () => clock.wall(),
    sleep,
    after,
    every: (ms, work) => clock.every(ms, work),
    tick() {
      if (riders.size === 0) return;
      const now = clock.now();
      for (const rider of riders) {
        if (rider.dueAt > now) continue;
        leave(rider);
        queueMicrotask(() => rider.work?.()); // as from a timer: what it throws is not the ticker's
      }
    },
  };
}
