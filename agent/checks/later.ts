import type { Judge, Verdict } from "./check.ts";

/** A judge whose code is loaded when it is asked first: what a check needs is in memory only where the check runs. */
export function judgeLater(load: () => Promise<Judge>): Judge {
  let loading: Promise<Judge> | undefined;
  let judge: Judge | undefined;
  let closed = false;
  const first = async (signal: AbortSignal): Promise<readonly Verdict[]> => {
    loading ??= load();
    try {
      judge = await loading;
    } catch (cause) {
      loading = undefined; // tried again in the next round
      throw cause;
    }
    if (closed) judge.close?.();
    return judge.judge(signal);
  };
  return {
    judge: (signal) => judge?.judge(signal) ?? first(signal),
    stirred: () => judge?.stirred?.() === true,
    close() {
      closed = true;
      judge?.close?.();
    },
  };
}
