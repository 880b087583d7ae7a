import { setTimeout as wait } from "node:timers/promises";

/** Time, as everything here gets it. `now` never runs back; `wall` is what the machine's owner set. */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary start. */
  now(): number;
  /** Epoch milliseconds; may jump by years (a device without a battery clock boots in 1970). */
  wall(): number;
  /** Resolves after `ms` milliseconds of `now`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  sleep: async (ms, signal) => {
    await wait(Math.max(0, ms), undefined, signal === undefined ? {} : { signal });
  },
};
