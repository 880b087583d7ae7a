import { describe, expect, test } from "vitest";
import type { Verdict } from "../../../agent/checks/check.ts";
import { inTurns, type Turn, type Turns } from "../../../agent/checks/turns.ts";
import { Failure } from "../../../protocol/failure.ts";
import { HandClock } from "../../kit/hand-clock.ts";

const verdict = (subject: string, grade: "ok" | "major" = "ok"): Verdict => ({
  ...{ state: "judged", subject, grade, holds: grade, reason: "x", readings: {} },
});
const pace = {
  random: () => 0.5,
  atOnce: 2,
  waitMs: 50_000,
  redact: (text: string) => text.replaceAll("secret", "***"),
};
const signal = new AbortController().signal;

interface Asked extends Turn {
  /** Answers the open question. */
  answer(given: Verdict | Error): void;
  asked: number;
  cut: number;
}
function turn(subject: string, more: Partial<Turn> = {}): Asked {
  let open = Promise.withResolvers<readonly Verdict[]>();
  const one: Asked = {
    ...{ subject, everyMs: 60_000, deadlineMs: 10_000, asked: 0, cut: 0 },
    ...more,
    ask(own) {
      one.asked += 1;
      own.addEventListener("abort", () => {
        one.cut += 1;
      });
      open = Promise.withResolvers();
      return open.promise;
    },
    answer: (given) => (given instanceof Error ? open.reject(given) : open.resolve([given])),
  };
  return one;
}
const states = (verdicts: readonly Verdict[]) =>
  verdicts.map((one) => (one.state === "unknown" ? one.because : one.grade));
async function judge(turns: Turns, clock: HandClock): Promise<readonly Verdict[]> {
  const asked = Promise.resolve(turns.judge(signal));
  await clock.wind(0);
  return asked;
}

describe("slow questions", () => {
  test("are waited for once; then a round gets the same answer until there is news, and is woken for it", async () => {
    const clock = new HandClock();
    const [a, b] = [turn("a"), turn("b")];
    const turns = inTurns([a, b], { ...pace, clock });
    const first = turns.judge(signal);
    await clock.wind(5_000);
    a.answer(verdict("a"));
    await clock.wind(1_000);
    b.answer(verdict("b"));
    await clock.wind(0);
    const told = await first;
    expect(states(told)).toEqual(["ok", "ok"]);
    expect(turns.stirred()).toBe(false);
    expect(turns.judge(signal)).toBe(told);
    await clock.wind(60_000);
    expect(turns.judge(signal)).toBe(told);
    a.answer(verdict("a", "major"));
    await clock.wind(0);
    expect(turns.stirred()).toBe(true);
    expect(states(await turns.judge(signal))).toEqual(["major", "ok"]);
    turns.close();
  });

  test("are so many at a time; one that hangs is cut and unknown, and the others get their turn", async () => {
    const clock = new HandClock();
    const all = ["a", "b", "c"].map((subject) => turn(subject));
    const [a, b, c] = all;
    const turns = inTurns(all, { ...pace, clock });
    const first = turns.judge(signal);
    await clock.wind(0);
    expect(all.map(({ asked }) => asked)).toEqual([1, 1, 0]);
    b?.answer(verdict("b"));
    await clock.wind(0);
    expect(c?.asked).toBe(1);
    c?.answer(new Error("the secret is out"));
    await clock.wind(10_000);
    expect(states(await first)).toEqual(["no answer within 10 s", "ok", "the *** is out"]);
    expect(a?.cut).toBe(1);
    turns.close();
  });

  test("one that goes on hanging is never asked twice at once, and is unknown anew each time it would be", async () => {
    const clock = new HandClock();
    const a = turn("a");
    const turns = inTurns([a], { ...pace, clock });
    const first = turns.judge(signal);
    await clock.wind(10_000);
    const told = await first;
    await clock.wind(60_000);
    const again = await judge(turns, clock);
    expect(again).not.toBe(told);
    expect(states(again)).toEqual(["no answer within 70 s"]);
    expect(a.asked).toBe(1);
    a.answer(verdict("a"));
    await clock.wind(60_000);
    void turns.judge(signal);
    expect(a.asked).toBe(2);
    turns.close();
  });

  test("one that cannot be told keeps nobody's figures back", async () => {
    const clock = new HandClock();
    const [a, b] = [turn("a", { everyMs: 300_000 }), turn("b", { everyMs: 10_000 })];
    const turns = inTurns([a, b], { ...pace, clock });
    const first = turns.judge(signal);
    await clock.wind(0);
    a.answer(new Failure("RUN_FAILED", "gone"));
    b.answer(verdict("b"));
    await clock.wind(0);
    expect(states(await first)).toEqual(["gone (RUN_FAILED)", "ok"]);
    await clock.wind(11_000);
    void turns.judge(signal);
    b.answer({ ...verdict("b"), readings: { latency_ms: 7 } } as Verdict);
    await clock.wind(0);
    expect(await judge(turns, clock)).toMatchObject([{ state: "unknown" }, { readings: { latency_ms: 7 } }]);
    turns.close();
  });

  test("an unknown tells which asking it came of, however often it is told", async () => {
    const clock = new HandClock();
    const [a, b, c] = [turn("a"), turn("b", { everyMs: 300_000 }), turn("c", { everyMs: 300_000, deadlineMs: 99_000 })];
    const turns = inTurns([a, b, c], { ...pace, clock, atOnce: 3, waitMs: 1_000 });
    const askings = async (): Promise<unknown[]> => {
      const round = turns.judge(signal);
      await clock.wind(1_000);
      return (await round).map((one) => (one.state === "unknown" ? one.asked : undefined));
    };
    const first = askings();
    a.answer(verdict("a"));
    b.answer(new Error("no"));
    expect(await first).toEqual([undefined, 1, 0]);
    for (const grade of ["major", "ok"] as const) {
      await clock.wind(60_000);
      const next = askings();
      a.answer(verdict("a", grade));
      expect(await next).toEqual([undefined, 1, grade === "major" ? 0 : 1]);
    }
    await clock.wind(300_000);
    await askings();
    b.answer(new Error("no"));
    await clock.wind(0);
    expect((await askings())[1]).toBe(2);
    turns.close();
  });

  test("where all are due too often for the places there are, each has its turn all the same", async () => {
    const clock = new HandClock();
    const slow = ["a", "b", "c", "d", "e"].map((subject) => turn(subject, { everyMs: 1_000, deadlineMs: 2_000 }));
    const turns = inTurns(slow, { ...pace, clock, waitMs: 1_000 });
    for (let at = 0; at < 40; at += 1) {
      void turns.judge(signal);
      await clock.wind(1_000);
      for (const one of slow) one.answer(verdict(one.subject, "major"));
    }
    const asked = slow.map((one) => one.asked);
    expect(Math.min(...asked)).toBeGreaterThan(Math.max(...asked) / 2);
    turns.close();
  });

  test("behind those that hang for ever nothing stays well: who cannot be asked is unknown, all its subjects", async () => {
    const clock = new HandClock();
    const [a, b, c] = [turn("a", { everyMs: 100_000 }), turn("b"), turn("c")];
    const ports = { ...c, ask: async () => [verdict("c"), verdict("c/1")] };
    const turns = inTurns([a, b, ports], { ...pace, clock });
    const first = turns.judge(signal);
    await clock.wind(10_000); // nobody gives up
    expect(states(await first)).toEqual(["no answer within 10 s", "no answer within 10 s", "waits behind a, b"]);
    a.answer(verdict("a"));
    await clock.wind(60_000);
    await judge(turns, clock);
    expect((await judge(turns, clock)).map(({ subject }) => subject)).toEqual(["a", "b", "c", "c/1"]);
    await clock.wind(50_000);
    await judge(turns, clock);
    await clock.wind(70_000);
    expect(states((await judge(turns, clock)).slice(2))).toEqual(["waits behind a, b", "waits behind a, b"]);
    turns.close();
  });

  test("what has not been answered when the round must go on is unknown, and closing ends all", async () => {
    const clock = new HandClock();
    const a = turn("a", { deadlineMs: 90_000 });
    const turns = inTurns([a], { ...pace, clock });
    const first = turns.judge(signal);
    await clock.wind(50_000);
    expect(states(await first)).toEqual(["not answered yet"]);
    turns.close();
    expect(a.cut).toBe(1);
    expect(a.asked).toBe(1);
  });

  test("a round that is cut gives up, and the question goes on", async () => {
    const clock = new HandClock();
    const a = turn("a");
    const turns = inTurns([a], { ...pace, clock });
    const round = new AbortController();
    const first = Promise.resolve(turns.judge(round.signal));
    round.abort(new Error("cut"));
    await expect(first).rejects.toThrow("cut");
    a.answer(verdict("a"));
    expect(states(await judge(turns, clock))).toEqual(["ok"]);
    turns.close();
  });
});
