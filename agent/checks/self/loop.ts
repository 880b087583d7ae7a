import { type EventLoopUtilization, performance } from "node:perf_hooks";

/** How well the event loop came to its work since it was last asked. */
export interface LoopFigures {
  /** The longest the rounds had to wait for it, ms. */
  lateMs: number;
  /** Share of the time it was at work, percent. */
  busyPct: number;
}

export interface LoopMeter {
  /** Notes that a tick of the rounds came `lateMs` after its planned time. */
  note(lateMs: number): void;
  /** The figures since the last call. */
  take(): LoopFigures;
}

/**
 * Watches the event loop by the lateness of the rounds' own ticks. It sets no timer: `monitorEventLoopDelay` at 20 ms
 * costs 14 CPU seconds an hour, more than ten times what the whole agent may use.
 */
export function loopMeter(): LoopMeter {
  let worst = 0;
  let since: EventLoopUtilization = performance.eventLoopUtilization();
  return {
    note: (lateMs) => {
      worst = Math.max(worst, lateMs);
    },
    take() {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, since);
      const figures = { lateMs: worst, busyPct: Number.isFinite(utilization) ? 100 * utilization : 0 };
      worst = 0;
      since = now;
      return figures;
    },
  };
}
