import type { Judge } from "./check.ts";

/** A judge whose code is only loaded when it is first asked: what is not configured costs no memory at start. */
export function loadedLater(load: () => Promise<Judge>): Judge {
  let judge: Judge | undefined;
  let loading: Promise<Judge> | undefined;
  let closed = false;
  return {
    judge(signal) {
      if (judge !== undefined) return judge.judge(signal);
      loading ??= load().finally(() => {
        loading = undefined;
      });
      return loading.then((loaded) => {
        judge = loaded;
        if (!closed) return loaded.judge(signal);
        loaded.close?.();
        return [];
      });
    },
    stirred: () => judge?.stirred?.() === true,
    close() {
      closed = true;
      judge?.close?.();
    },
  };
}
