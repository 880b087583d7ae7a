import { getEventListeners } from "node:events";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { type RidingClock, ridingClock } from "../../platform/riding-clock.ts";
import { HandClock } from "../kit/hand-clock.ts";

const S = 1_000;
let hand: HandClock;
let clock: RidingClock;
beforeEach(() => {
  hand = new HandClock();
  clock = ridingClock(hand, 15 * S);
});
/** When the wait ended, or "waits". */
function noted(ms: number): { at: number | "waits" } {
  const note: { at: number | "waits" } = { at: "waits" };
  void clock.sleep(ms).then(() => {
    note.at = hand.now();
  });
  return note;
}
/** Winds, with a tick every so often. */
async function ride(ms: number, everyMs: number): Promise<void> {
  for (let gone = everyMs; gone <= ms; gone += everyMs) {
    await hand.wind(everyMs);
    clock.tick();
    await hand.wind(0);
  }
}

describe("a long wait", () => {
  test("ends with the first tick after its time", async () => {
    const minute = noted(57 * S);
    await ride(50 * S, 10 * S);
    expect(minute.at).toBe("waits");
    await ride(10 * S, 10 * S);
    expect(minute.at).toBe(60 * S);
  });

  test("ends by itself where no tick comes: after the patience, or 0.4 of the wait where that is less", async () => {
    const [half, minute] = [noted(30 * S), noted(60 * S)];
    await hand.wind(41_999);
    expect(half.at).toBe("waits");
    await hand.wind(33_001);
    expect([half.at, minute.at]).toEqual([42 * S, 75 * S]);
  });

  test("is never early, never later than it may be, and ends once, whatever the ticks", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 200 * S }), { minLength: 1, maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 40 * S }), { maxLength: 30 }),
        async (waits, ticks) => {
          hand = new HandClock();
          clock = ridingClock(hand, 15 * S);
          const ends = waits.map((): number[] => []);
          for (const [i, ms] of waits.entries()) clock.after(ms, () => void ends[i]?.push(hand.now()));
          for (const gap of ticks) {
            await hand.wind(gap);
            clock.tick();
            await hand.wind(0);
          }
          await hand.wind(300 * S);
          for (const [i, ms] of waits.entries()) {
            expect(ends[i]).toHaveLength(1);
            const late = (ends[i]?.[0] ?? 0) - ms;
            expect(late).toBeGreaterThanOrEqual(0);
            expect(late).toBeLessThanOrEqual(ms < 30 * S ? 0 : Math.min(15 * S, 0.4 * ms) + 1e-6);
          }
        },
      ),
    );
  });

  test("called off, it never ends, neither by a tick nor by itself", async () => {
    let ended = 0;
    const callOff = clock.after(60 * S, () => {
      ended += 1;
    });
    await hand.wind(59 * S);
    callOff();
    await ride(60 * S, 10 * S);
    expect(ended).toBe(0);
  });

  test("called off by another that ended with the same tick, it does not end either", async () => {
    let ended = 0;
    clock.after(60 * S, () => callOff());
    const callOff = clock.after(60 * S, () => {
      ended += 1;
    });
    await ride(60 * S, 60 * S);
    expect(ended).toBe(0);
  });

  test("under a signal ends with its reason, before and while it waits", async () => {
    const stop = new AbortController();
    const wait = clock.sleep(60 * S, stop.signal);
    const rejected = expect(wait).rejects.toThrow("enough");
    await hand.wind(10 * S);
    stop.abort(new Error("enough"));
    await rejected;
    await expect(clock.sleep(60 * S, stop.signal)).rejects.toThrow("enough");
    await ride(120 * S, 10 * S);
  });

  test("whose work throws harms neither the ticker nor the others", async () => {
    const seen: unknown[] = [];
    const catchOne = (cause: unknown): void => void seen.push(cause);
    process.setUncaughtExceptionCaptureCallback(catchOne);
    try {
      clock.after(60 * S, () => {
        throw new Error("mine");
      });
      const other = noted(60 * S);
      await ride(60 * S, 60 * S);
      expect(other.at).toBe(60 * S);
      expect(seen).toMatchObject([{ message: "mine" }]);
    } finally {
      process.setUncaughtExceptionCaptureCallback(null);
    }
  });
});

test("a wait longer than any timer can wait is not cut short by the patience", async () => {
  const MOST = 2 ** 31 - 1;
  const after = hand.after.bind(hand);
  hand.after = (ms, work) => after(ms > MOST ? 1 : ms, work); // as Node's
  const sleep = hand.sleep.bind(hand);
  const long: number[] = [];
  hand.sleep = (ms, signal) => {
    long.push(ms);
    return sleep(ms, signal);
  };
  const wide = ridingClock(hand, Number.POSITIVE_INFINITY);
  for (const days of [17, 18, 40]) {
    let ended = false;
    void wide.sleep(days * 86_400_000).then(() => {
      ended = true;
    });
    await hand.wind(1_000);
    expect(ended, `${days} days`).toBe(false);
  }
  expect(long).toEqual([18 * 86_400_000, 40 * 86_400_000]);
});

test("waits that are over leave nothing at their signal: it lives as long as the agent", async () => {
  const { signal } = new AbortController();
  const listeners = (): number => getEventListeners(signal, "abort").length;
  for (let i = 0; i < 3; i += 1) void clock.sleep(60 * S, signal);
  expect(listeners()).toBe(3);
  await ride(60 * S, 60 * S);
  expect(listeners()).toBe(0);
});

test("a short wait is kept to the millisecond", async () => {
  const short = noted(29_999);
  await hand.wind(29_998);
  clock.tick();
  await hand.wind(0);
  expect(short.at).toBe("waits");
  await hand.wind(1);
  expect(short.at).toBe(29_999);
});
