import { describe, expect, test } from "vitest";
import type { Judged, Verdict } from "../../../../agent/checks/check.ts";
import { authHold } from "../../../../agent/checks/stream/auth-hold.ts";
import type { Mode } from "../../../../agent/checks/stream/budget.ts";
import { Fleet } from "../../../../agent/checks/stream/fleet.ts";
import { serverTurns } from "../../../../agent/checks/stream/server-turn.ts";
import { SipWatch } from "../../../../agent/checks/stream/sip-watch.ts";
import { Watch } from "../../../../agent/checks/stream/watch.ts";
import { machineAt } from "../../../../platform/machine.ts";
import { Failure } from "../../../../protocol/failure.ts";
import { HandClock } from "../../../kit/hand-clock.ts";
import { HandExaminer, HandServer } from "../../../kit/stream/hand-play.ts";

/** A fleet of so many streams, each with a server of its own. */
function fleetOf(modes: readonly ("auto" | Mode)[]) {
  const clock = new HandClock();
  const state = { cpuMs: 0, log: [] as string[] };
  const streams = modes.map((mode, i) => {
    const server = new HandServer();
    const examiner = new HandExaminer(() => clock.now());
    return { name: `s${i}`, mode, server, examiner };
  });
  const fleet = new Fleet({
    clock,
    limits: { continuousUpTo: 2, cpuPct: 5 },
    cpuMs: () => state.cpuMs,
    waitMs: 8_000,
    log: ({ mode, because }) => state.log.push(`${mode}: ${because}`),
    tick: () => {},
    build: (chosen, changed) => ({
      sips: [],
      ships: streams.map(({ name, mode, server, examiner }) => ({
        mode,
        readings: () => ({ kbps: 2_000 }),
        aside: () => "; the picture itself is unknown",
        start: () => {},
        close: () => {},
        watch: new Watch({
          name,
          ...{ clock, examiner, changed, random: () => 0.5 },
          open: async () => server.play,
          key: async () => "k",
          hold: authHold(undefined, machineAt(), clock),
          turn: serverTurns(),
          sample: { everyMs: 60_000, forMs: 5_000 },
          mode: () => (mode === "auto" ? chosen() : mode),
          renewAfterMs: 60_000,
        }),
      })),
    }),
  });
  const never = new AbortController().signal;
  const first = async (): Promise<readonly Verdict[]> => {
    const asked = Promise.resolve(fleet.judge(never));
    await clock.wind(8_000);
    return asked;
  };
  const now = (): readonly Verdict[] => fleet.judge(never) as readonly Verdict[];
  /** So many minutes, in each of which the agent used so much of a core. */
  const minutes = async (count: number, pct: number): Promise<void> => {
    for (let i = 0; i < count; i += 1) {
      state.cpuMs += pct * 600;
      await clock.wind(60_000);
    }
  };
  return { fleet, clock, streams, state, first, now, minutes };
}

const judged = (verdict: Verdict | undefined): Judged => {
  if (verdict?.state !== "judged") throw new Error(JSON.stringify(verdict));
  return verdict;
};

describe("the verdicts", () => {
  test("come with the first round once all streams are known, and each names its mode", async () => {
    const { first } = fleetOf(["auto", "sampled"]);
    const [continuous, sampled] = (await first()).map(judged);
    expect(continuous).toMatchObject({
      subject: "s0",
      grade: "ok",
      reason: "ok",
      readings: { kbps: 2_000, gapless_pct: 100 },
    });
    expect(sampled).toMatchObject({ subject: "s1", grade: "ok", readings: { gapless_pct: 0 } });
    expect(sampled?.says).toContain("sampled");
  });

  test("of a stream nothing is known of yet is unknown, and the same asking however often it is told", async () => {
    const { streams, first, now, clock } = fleetOf(["auto"]);
    const [{ examiner }] = streams as [(typeof streams)[number]];
    examiner.sees = { state: "unknown", says: "12 frames came, which may be out of a cache" };
    expect(await first()).toEqual([{ state: "unknown", subject: "s0", because: expect.any(String), asked: 1 }]);
    await clock.wind(10_000);
    expect(now()).toMatchObject([{ state: "unknown", asked: 1 }]);
  });

  test("are the very same array while nothing moves, and news is told by stirred", async () => {
    const { fleet, streams, first, now, clock } = fleetOf(["sampled"]);
    const [{ server }] = streams as [(typeof streams)[number]];
    await first();
    const quiet = now();
    expect(now()).toBe(quiet);
    expect(fleet.stirred()).toBe(false);
    server.refuses = () => new Failure("DIAL_REFUSED", "nothing listens there");
    await clock.wind(60_000);
    expect(fleet.stirred()).toBe(true);
    expect(judged(now()[0])).toMatchObject({
      grade: "major",
      reason: "refused",
      title: { zh: "视频服务端口拒绝连接（编码器）" },
    });
    expect(fleet.stirred()).toBe(false);
  });

  test("name the hop in the alarm's title, in both languages", async () => {
    const { streams, first } = fleetOf(["auto"]);
    const [{ examiner }] = streams as [(typeof streams)[number]];
    examiner.sees = {
      state: "no_media",
      reason: "no_media",
      hop: "network",
      severity: "major",
      says: "silent for 3.2 s",
    };
    expect(judged((await first())[0])).toMatchObject({
      title: { zh: "视频流无媒体数据（网络）", en: "Stream brings no media (network)" },
      says: "silent for 3.2 s", // its picture is nobody's question now
    });
  });

  test("of a stream whose picture nobody could look at say so, though all else is well", async () => {
    const { first } = fleetOf(["auto"]);
    expect(judged((await first())[0])).toMatchObject({
      grade: "ok",
      says: "25 frames a second; the picture itself is unknown",
    });
  });

  test("of a stream of which nothing was seen for 5 minutes beyond its pause are unknown, whatever was known of it", async () => {
    const clock = new HandClock();
    const stuck = {
      ...{ name: "s0", provenAt: 0, tries: 3, open: true, everyMs: 60_000 },
      conclusion: { state: "ok", says: "25 frames a second" },
      ...{ start() {}, stop: async () => {}, modeChanged() {} },
    } as const;
    const nothing = { readings: () => ({}), aside: () => "", start() {}, close() {} };
    const fleet = new Fleet({
      ...{ clock, limits: { continuousUpTo: 2, cpuPct: 5 }, cpuMs: () => 0, waitMs: 1_000, log() {}, tick() {} },
      build: () => ({ sips: [], ships: [{ watch: stuck, mode: "auto", ...nothing }] }),
    });
    const ask = async () => (await fleet.judge(new AbortController().signal))[0];
    await clock.wind(359_000);
    expect(await ask()).toMatchObject({ grade: "ok" });
    await clock.wind(2_000);
    expect(await ask()).toEqual({ state: "unknown", subject: "s0", because: "nothing was seen for 6 min", asked: 3 });
    fleet.close();
  });
});

describe("the budget", () => {
  test("streams over the limit are sampled; that is said once", async () => {
    const { streams, state, first, minutes } = fleetOf(["auto", "auto", "auto"]);
    await first();
    expect(streams.map(({ server }) => server.open)).toEqual([0, 0, 0]);
    await minutes(5, 1);
    expect(state.log).toEqual(["sampled: 3 streams are more than the 2 watched without a gap"]);
  });

  test("streams that need not be watched without a gap do not count", async () => {
    const { streams, first } = fleetOf(["auto", "auto", "sampled"]);
    await first();
    expect(streams.map(({ server }) => server.open)).toEqual([1, 1, 0]);
  });

  test("an agent that is too busy samples, and goes back to watching when it is not; each change is logged once", async () => {
    const { streams, state, first, minutes } = fleetOf(["auto", "continuous"]);
    await first();
    await minutes(3, 9);
    expect(streams.map(({ server }) => server.open)).toEqual([0, 1]);
    await minutes(31, 1);
    expect(streams.map(({ server }) => server.open)).toEqual([1, 1]);
    expect(state.log.map((line) => line.split(":")[0])).toEqual(["continuous", "sampled", "continuous"]);
    expect(state.log[1]).toContain("9.0 % of a core");
  });
});

test("closing ends every session politely, and nothing is begun after it", async () => {
  const { fleet, clock, streams, first } = fleetOf(["auto", "auto"]);
  await first();
  fleet.close();
  await clock.wind(300_000);
  expect(streams.map(({ server: { begun, parted, open } }) => ({ begun, parted, open }))).toEqual([
    { begun: 1, parted: 1, open: 0 },
    { begun: 1, parted: 1, open: 0 },
  ]);
});

test("closing ends what asks the platforms and what looks each minute, too", async () => {
  const clock = new HandClock();
  const count = { asked: 0, ticks: 0 };
  const sip = new SipWatch({
    ...{ name: "gb-sip", severity: "major", everyMs: 30_000, clock, random: () => 0.5, changed() {} },
    ask: async () => {
      count.asked += 1;
      return { ms: 4, status: 200, retransmitted: 0 };
    },
    key: async () => "k",
    hold: authHold(undefined, machineAt(), clock),
  });
  const fleet = new Fleet({
    ...{ clock, limits: { continuousUpTo: 2, cpuPct: 5 }, cpuMs: () => 0, waitMs: 1_000, log() {} },
    tick: () => {
      count.ticks += 1;
    },
    build: () => ({ sips: [sip], ships: [] }),
  });
  const asked = Promise.resolve(fleet.judge(new AbortController().signal));
  await clock.wind(61_000);
  expect(await asked).toMatchObject([{ subject: "gb-sip", grade: "ok" }]);
  const before = { ...count };
  expect(before).toEqual({ asked: 3, ticks: 1 });
  fleet.close();
  await clock.wind(300_000);
  expect(count).toEqual(before);
});
