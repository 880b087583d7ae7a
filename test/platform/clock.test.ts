import { describe, expect, test } from "vitest";
import { systemClock } from "../../platform/clock.ts";

describe("a sleep under a signal", () => {
  test("is cut when the signal aborts, with its reason, and so are all others under it", async () => {
    const stop = new AbortController();
    const sleeps = [systemClock.sleep(60_000, stop.signal), systemClock.sleep(50_000, stop.signal)];
    stop.abort(new Error("enough"));
    for (const sleep of sleeps) await expect(sleep).rejects.toThrow("enough");
    await expect(systemClock.sleep(0, stop.signal)).rejects.toThrow("enough");
  });

  test("that has ended is not touched by a later abort", async () => {
    const stop = new AbortController();
    await systemClock.sleep(1, stop.signal);
    const second = systemClock.sleep(60_000, stop.signal);
    stop.abort(new Error("enough"));
    await expect(second).rejects.toThrow("enough");
  });

  test("costs its signal one listener for its whole life", async () => {
    const stop = new AbortController();
    let listeners = 0;
    const add = stop.signal.addEventListener.bind(stop.signal);
    stop.signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    for (let i = 0; i < 5; i += 1) await systemClock.sleep(0, stop.signal);
    expect(listeners).toBe(1);
  });

  test("the monotonic clock moves by what was slept", async () => {
    const before = systemClock.now();
    await systemClock.sleep(20);
    expect(systemClock.now() - before).toBeGreaterThanOrEqual(19);
  });
});
