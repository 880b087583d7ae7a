import { describe, expect, test } from "vitest";
import { type Entry, type Every, type Result, runOnce, type Tick, walkRounds } from "../../agent/rounds.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Cron } from "../../platform/cron.ts";
import { Failure } from "../../protocol/failure.ts";
import { HandClock } from "../kit/hand-clock.ts";

type Check = Entry<string>;

/** A check in a test: notes when it was asked. */
function check(
  clock: Clock,
  id: string,
  every: Every,
  answer: (signal: AbortSignal) => string | Promise<string> = () => "well",
) {
  const asked: number[] = [];
  const entry: Check = {
    id,
    every,
    deadlineMs: 5_000,
    judge(signal) {
      asked.push(clock.now());
      return answer(signal);
    },
  };
  return { entry, asked };
}

const never = (): Promise<string> => new Promise(() => {});
const textOf = (result: Result<string>): string =>
  `${result.entry.id} ${"verdicts" in result ? result.verdicts : `failed: ${result.failed.because}`}`;

/** A walk by hand over these checks; `jitter` 0.5 puts every slot in the middle of where it may be. */
function walk(
  clock: HandClock,
  entries: readonly Check[],
  more: { jitter?: () => number; cron?: Cron; tell?: (said: string[]) => Promise<void> } = {},
) {
  const stop = new AbortController();
  const told: { at: number; said: string[] }[] = [];
  const ticks: (Tick & { at: number })[] = [];
  const done = walkRounds<string, Check>(
    {
      clock,
      signal: stop.signal,
      jitter: more.jitter ?? (() => 0.5),
      fastMs: 1_000,
      slowMs: 10_000,
      ...(more.cron === undefined ? {} : { cron: more.cron }),
      onTick: (tick) => ticks.push({ ...tick, at: clock.now() }),
    },
    entries,
    async (results) => {
      const said = results.map(textOf);
      told.push({ at: clock.now(), said });
      await more.tell?.(said);
    },
  );
  return { told, ticks, done, stop };
}
const end = async ({ stop, done }: ReturnType<typeof walk>): Promise<void> => {
  stop.abort();
  await done;
};

describe("slots", () => {
  test("each tier has its own period, and what is due together is told in one call", async () => {
    const clock = new HandClock();
    const checks = [
      check(clock, "process", "fast"),
      check(clock, "disk", "slow"),
      check(clock, "cpu", "slow", async () => "busy"),
    ];
    const rounds = walk(
      clock,
      checks.map(({ entry }) => entry),
    );
    await clock.wind(20_000);
    expect(checks[0]?.asked).toHaveLength(20);
    expect(checks[1]?.asked).toEqual([4_500, 14_500]);
    expect(rounds.told.filter(({ said }) => said.length > 1)).toEqual([
      { at: 4_500, said: ["disk well", "cpu busy"] },
      { at: 14_500, said: ["disk well", "cpu busy"] },
    ]);
    await end(rounds);
  });
  test("the slow rounds wake nobody by themselves: they go along with the nearest fast one, which is not held up", async () => {
    const clock = new HandClock();
    const hangs = check(clock, "disk", "slow", () => new Promise<string>(() => {}));
    const process = check(clock, "process", "fast");
    const rounds = walk(clock, [process.entry, hangs.entry], { jitter: () => 0.3 });
    await clock.wind(60_000);
    expect(process.asked).toHaveLength(60);
    const slow = rounds.ticks.filter(({ tier }) => tier === "slow").map(({ at }) => at);
    expect(slow.length).toBeGreaterThan(4);
    expect(slow.filter((at) => !process.asked.includes(at))).toEqual([]);
    await end(rounds);
  });
  test("a seldom check is asked with the slow round that is due, and wakes nobody by itself", async () => {
    const clock = new HandClock();
    const slow = check(clock, "disk", "slow");
    const seldom = check(clock, "certificate", { everyMs: 60_000 });
    const rounds = walk(clock, [slow.entry, seldom.entry]);
    await clock.wind(130_000);
    expect(seldom.asked).toEqual([5_000, 65_000, 125_000]);
    expect(rounds.ticks.map(({ at }) => at).filter((at) => !slow.asked.includes(at))).toEqual([]);
    await end(rounds);
  });
  test("a seldom check that is stirred is asked in every slow round, never in a fast one", async () => {
    const clock = new HandClock();
    const process = check(clock, "process", "fast");
    const seldom = check(clock, "switch", { everyMs: 3_600_000 });
    let stirred = false;
    const rounds = walk(clock, [process.entry, { ...seldom.entry, stirred: () => stirred }]);
    await clock.wind(20_000);
    stirred = true;
    await clock.wind(30_000);
    stirred = false;
    await clock.wind(30_000);
    expect(seldom.asked).toEqual([4_500, 24_500, 34_500, 44_500]);
    await end(rounds);
  });
  test("a seldom check that comes out of step with the slow rounds' jitter does not lose a whole round", async () => {
    const clock = new HandClock();
    const draws = [0.5, 0.999, 0, 0.999, 0, 0.999, 0, 0.999, 0, 0.999, 0, 0.999, 0];
    const seldom = check(clock, "service", { everyMs: 30_000 });
    const rounds = walk(clock, [seldom.entry], { jitter: () => draws.shift() ?? 0.5 });
    await clock.wind(100_000);
    expect(seldom.asked.map((at) => Math.round((at - 5_000) / 10_000))).toEqual([0, 3, 6, 9]);
    await end(rounds);
  });
  test("a start falls anywhere in the period, each slot a little beside its place, and none drifts", async () => {
    const clock = new HandClock();
    const draws = [0.9, 0, 0.999, 0.5, 0, 0.999];
    const slow = check(clock, "disk", "slow");
    const rounds = walk(clock, [slow.entry], { jitter: () => draws.shift() ?? 0.5 });
    await clock.wind(60_000);
    expect(slow.asked.map(Math.round)).toEqual([8_500, 19_499, 29_000, 38_500, 49_499, 59_000]);
    await end(rounds);
  });
  test("slots missed while the machine slept are skipped, not made up", async () => {
    const clock = new HandClock();
    let asleep = 0;
    const leaping: Clock = {
      now: () => clock.now() + asleep,
      wall: () => clock.wall(),
      sleep: (ms, signal) => clock.sleep(ms, signal),
      after: (ms, work) => clock.after(ms, work),
      every: (ms, work) => clock.every(ms, work),
    };
    const asked: number[] = [];
    const stop = new AbortController();
    const done = walkRounds<string, Check>(
      { clock: leaping, signal: stop.signal, jitter: () => 0.5, fastMs: 1_000, slowMs: 10_000 },
      [{ id: "process", every: "fast", deadlineMs: 5_000, judge: () => String(asked.push(leaping.now())) }],
      () => {},
    );
    await clock.wind(2_000);
    asleep = 3_600_000;
    await clock.wind(3_000);
    expect(asked).toEqual([500, 1_500, 3_602_500, 3_603_500, 3_604_500]);
    stop.abort();
    await done;
  });
  test("a tick says how late the event loop came to it", async () => {
    const clock = new HandClock();
    const late: number[] = [];
    const sluggish: Clock = {
      now: () => clock.now(),
      wall: () => clock.wall(),
      sleep: (ms, signal) => clock.sleep(ms + 300, signal),
      after: (ms, work) => clock.after(ms + 300, work),
      every: (ms, work) => clock.every(ms + 300, work),
    };
    const stop = new AbortController();
    const done = walkRounds<string, Check>(
      {
        clock: sluggish,
        signal: stop.signal,
        jitter: () => 0.5,
        fastMs: 1_000,
        slowMs: 10_000,
        onTick: ({ lateMs }) => late.push(lateMs),
      },
      [check(clock, "process", "fast").entry],
      () => {},
    );
    await clock.wind(3_400);
    expect(late).toEqual([300, 300, 300]); // at 0.8, 2.1 and 3.4 s
    stop.abort();
    await done;
  });
});

describe("a check that hangs", () => {
  test("is cut by its deadline and told to give up; its neighbours are told long before", async () => {
    const clock = new HandClock();
    let given: unknown;
    const hanging = check(clock, "nfs", "slow", (signal) => {
      signal.addEventListener("abort", () => {
        given = signal.reason;
      });
      return never();
    });
    const rounds = walk(clock, [hanging.entry, check(clock, "disk", "slow").entry]);
    await clock.wind(14_000);
    expect(rounds.told).toEqual([
      { at: 5_100, said: ["disk well"] },
      { at: 10_000, said: ["nfs failed: did not answer in 5000 ms"] },
    ]);
    expect(given).toMatchObject({ code: "CHECK_DEADLINE" });
    await end(rounds);
  });
  test("is not asked again until it has come back, and each slot without an answer counts", async () => {
    const clock = new HandClock();
    const { promise, resolve } = Promise.withResolvers<string>();
    let first = true;
    const hanging = check(clock, "nfs", "slow", () => {
      if (!first) return "well";
      first = false;
      return promise;
    });
    const rounds = walk(clock, [hanging.entry]);
    await clock.wind(30_000);
    expect(hanging.asked).toEqual([5_000]);
    expect(rounds.told.map(({ said }) => said[0])).toEqual([
      "nfs failed: did not answer in 5000 ms",
      "nfs failed: still running after 10 s",
      "nfs failed: still running after 20 s",
    ]);
    resolve("too late");
    await clock.wind(10_000);
    expect(hanging.asked).toEqual([5_000, 35_000]);
    expect(rounds.told.at(-1)).toEqual({ at: 35_000, said: ["nfs well"] });
    await end(rounds);
  });
  test("one slower than its period but within its deadline is not asked twice at once, and is no failure", async () => {
    const clock = new HandClock();
    let running = 0;
    let most = 0;
    const slowish = check(clock, "gpu", "fast", async () => {
      running += 1;
      most = Math.max(most, running);
      await clock.sleep(2_300);
      running -= 1;
      return "well";
    });
    const rounds = walk(clock, [slowish.entry, check(clock, "process", "fast").entry]);
    await clock.wind(10_000);
    expect(most).toBe(1);
    expect(slowish.asked).toEqual([500, 3_500, 6_500, 9_500]);
    expect(rounds.told.flatMap(({ said }) => said).filter((text) => text.startsWith("gpu"))).toEqual([
      "gpu well",
      "gpu well",
      "gpu well",
    ]);
    expect(rounds.told.flatMap(({ said }) => said).filter((text) => text.startsWith("process"))).toHaveLength(10);
    await end(rounds);
  });
  test("does not hold up the other tier", async () => {
    const clock = new HandClock();
    const process = check(clock, "process", "fast");
    const rounds = walk(clock, [check(clock, "nfs", "slow", never).entry, process.entry]);
    await clock.wind(30_000);
    expect(process.asked).toHaveLength(30);
    await end(rounds);
  });
});

test("a check that throws, at once or later, failed with its own words, and the walk goes on", async () => {
  const clock = new HandClock();
  const rounds = walk(clock, [
    check(clock, "a", "slow", () => {
      throw new Failure("MACHINE_READ", "cannot read /proc/stat: EIO");
    }).entry,
    check(clock, "b", "slow", () => {
      throw new TypeError("x is undefined");
    }).entry,
    check(clock, "c", "slow", () => Promise.reject(new Error("late"))).entry,
  ]);
  await clock.wind(20_000);
  expect(rounds.told).toHaveLength(2);
  expect(rounds.told[1]?.said).toEqual([
    "a failed: cannot read /proc/stat: EIO (MACHINE_READ)",
    "b failed: x is undefined",
    "c failed: late",
  ]);
  await end(rounds);
});

describe("telling", () => {
  test("is never done twice at once, over all tiers, and in the order of the answers", async () => {
    const clock = new HandClock();
    let telling = 0;
    let most = 0;
    const rounds = walk(
      clock,
      [
        check(clock, "process", "fast").entry,
        check(clock, "disk", "slow").entry,
        check(clock, "nfs", "slow", never).entry,
      ],
      {
        tell: async () => {
          telling += 1;
          most = Math.max(most, telling);
          await clock.sleep(700);
          telling -= 1;
        },
      },
    );
    await clock.wind(60_000);
    expect(most).toBe(1);
    expect(rounds.told.flatMap(({ said }) => said).filter((text) => text === "disk well")).toHaveLength(6);
    rounds.stop.abort();
    await clock.wind(5_000);
    await rounds.done;
  });
  test("that takes long holds its tier up: nothing is asked meanwhile, and what was missed is not made up", async () => {
    const clock = new HandClock();
    const [process, disk] = [check(clock, "process", "fast"), check(clock, "disk", "slow")];
    const rounds = walk(clock, [process.entry, disk.entry], { tell: () => clock.sleep(25_000) });
    await clock.wind(200_000);
    expect(process.asked.length).toBeLessThanOrEqual(8);
    expect(disk.asked.length).toBeLessThanOrEqual(8);
    rounds.stop.abort();
    await clock.wind(100_000);
    await rounds.done;
  });
  test("that fails ends the walk with its error", async () => {
    const clock = new HandClock();
    const disk = check(clock, "disk", "slow");
    const rounds = walk(clock, [disk.entry], { tell: () => Promise.reject(new Error("no journal")) });
    const outcome = expect(rounds.done).rejects.toThrow("no journal");
    await clock.wind(40_000);
    await outcome;
    expect(disk.asked).toEqual([5_000]);
  });
  test("that fails on a late answer ends the walk as well", async () => {
    const clock = new HandClock();
    const rounds = walk(clock, [check(clock, "nfs", "slow", never).entry], {
      tell: () => Promise.reject(new Error("no journal")),
    });
    const outcome = expect(rounds.done).rejects.toThrow("no journal");
    await clock.wind(12_000);
    await outcome;
  });
});

describe("the end", () => {
  test("tells running checks to give up, asks and tells nothing more, and leaves no timer", async () => {
    const clock = new HandClock();
    let gaveUp = false;
    const hanging = check(clock, "nfs", "slow", (signal) => {
      signal.addEventListener("abort", () => {
        gaveUp = true;
      });
      return never();
    });
    const rounds = walk(clock, [hanging.entry, check(clock, "process", "fast").entry]);
    await clock.wind(6_000);
    const [count, ticks] = [rounds.told.length, rounds.ticks.length];
    await end(rounds);
    expect(gaveUp).toBe(true);
    await clock.wind(60_000);
    expect(rounds.told).toHaveLength(count);
    expect(rounds.ticks).toHaveLength(ticks);
  });
  test("before the beginning is no walk at all", async () => {
    const clock = new HandClock();
    await walkRounds<string, Check>(
      { clock, signal: AbortSignal.abort(), jitter: Math.random, fastMs: 1, slowMs: 1 },
      [check(clock, "a", "fast").entry],
      () => {},
    );
  });
});

describe("by the wall clock", () => {
  test("a check with a cron expression is asked when that is due, never twice at once", async () => {
    const clock = new HandClock();
    const due: { expression: string; run: () => void }[] = [];
    const nightly = check(clock, "smart", { cron: "30 3 * * *" }, async () => {
      await clock.sleep(3_000);
      return "well";
    });
    const rounds = walk(clock, [nightly.entry], {
      cron: async (expression, run) => void due.push({ expression, run }),
    });
    await clock.wind(60_000);
    expect(nightly.asked).toEqual([]);
    due[0]?.run();
    due[0]?.run();
    await clock.wind(10_000);
    expect(due[0]?.expression).toBe("30 3 * * *");
    expect(nightly.asked).toEqual([60_000]);
    expect(rounds.told).toEqual([{ at: 63_000, said: ["smart well"] }]);
    await end(rounds);
  });
});

describe("once, for a person", () => {
  test("every check is asked twice, together, and the second answer counts", async () => {
    const clock = new HandClock();
    let looks = 0;
    const rate = check(clock, "cpu", "slow", () => (++looks === 1 ? "no rate yet" : "12 %"));
    const nightly = check(clock, "smart", { cron: "30 3 * * *" });
    const answers = runOnce<string, Check>({ clock, signal: new AbortController().signal }, [
      rate.entry,
      nightly.entry,
    ]);
    await clock.wind(1_000);
    expect((await answers).map(textOf)).toEqual(["cpu 12 %", "smart well"]);
    expect(rate.asked).toEqual([0, 1_000]);
  });
  test("what hangs is cut, and the others have their answer", async () => {
    const clock = new HandClock();
    const answers = runOnce<string, Check>({ clock, signal: new AbortController().signal }, [
      check(clock, "nfs", "slow", never).entry,
      check(clock, "disk", "slow").entry,
    ]);
    await clock.wind(10_000);
    expect((await answers).map(textOf)).toEqual(["nfs failed: still running after 6 s", "disk well"]);
  });
});

describe("a slow check that stirs", () => {
  test("is asked in the next fast round, for as long as it stirs, and otherwise only in its slots", async () => {
    const clock = new HandClock();
    const slow = check(clock, "disk", "slow");
    let stirring = false;
    const walked = walk(clock, [{ ...slow.entry, stirred: () => stirring }], { jitter: () => 0.5 });
    await clock.wind(6_000);
    const before = slow.asked.length;
    expect(before).toBe(1);
    stirring = true;
    await clock.wind(3_000);
    expect(slow.asked.length).toBe(before + 3);
    stirring = false;
    await clock.wind(5_000);
    expect(slow.asked.length).toBe(before + 3);
    await end(walked);
  });

  test("is asked when the look itself fails", async () => {
    const clock = new HandClock();
    const slow = check(clock, "disk", "slow");
    const stirred = (): boolean => {
      throw new Error("EIO");
    };
    const walked = walk(clock, [{ ...slow.entry, stirred }], { jitter: () => 0.5 });
    await clock.wind(3_000);
    expect(slow.asked.length).toBe(3);
    await end(walked);
  });
});
