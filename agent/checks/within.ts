import type { Clock } from "../../platform/clock.ts";

/** Whether `work` settles (either way) within `ms`. Rejects with the signal's reason when that aborts first. */
export async function within(work: Promise<unknown>, ms: number, clock: Clock, signal: AbortSignal): Promise<boolean> {
  const settled = new AbortController();
  const late = clock.sleep(ms, AbortSignal.any([settled.signal, signal])).then(() => false);
  late.catch(() => {}); // it is rejected, and nobody's business, once the work has settled
  const done = work.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([done, late]);
  } finally {
    settled.abort();
  }
}
