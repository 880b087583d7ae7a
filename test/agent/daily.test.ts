import { spawnSync } from "node:child_process";
import { join } from "node:path";
import fc from "fast-check";
import { createTask } from "node-cron";
import { describe, expect, test } from "vitest";
import type { Verdict } from "../../agent/checks/check.ts";
import { Answers, type DailyParts, isDue, lookForDaily, shareOf } from "../../agent/daily.ts";
import { unpack } from "../../agent/outbox/packed.ts";
import { localTime } from "../../platform/clock.ts";
import { cronMistake, firstTimeOf } from "../../platform/cron.ts";
import { DailyCheck } from "../../protocol/daily.ts";
import { HandClock } from "../kit/hand-clock.ts";
import { silentLog } from "../kit/logs.ts";
import { MemoryOutbox } from "../kit/memory-outbox.ts";

await import("../../agent/daily-sheet.ts"); // loaded when first needed: a clock wound by hand would not wait for it

const HOUR = 3_600_000;
/** 06:00 on this machine's wall, whatever its time zone. */
const SIX = (() => {
  const noon = Date.UTC(2026, 10, 22, 12);
  return noon - localTime(noon).second * 1000 + 6 * HOUR;
})();

const verdict = (subject: string): Verdict => ({
  ...{ state: "judged", subject, grade: "ok", holds: "ok", reason: "r", readings: { free_pct: 1 } },
});
const kind = (id: string) => ({ id, name: { zh: "项", en: id }, titles: { r: { zh: "故障", en: "fault" } } });

/** A device that looks once a minute, over restarts; its check answers at once when it is asked anew. */
function device({
  at = "30 7 * * *",
  spreadMs = 0,
  clock = new HandClock(SIX),
  hangs = false,
  subjects = 1,
  roomBytes = 1 << 20,
} = {}) {
  const outbox = new MemoryOutbox(clock);
  let asked = 0;
  const verdicts = Array.from({ length: subjects }, (_, i) => verdict(i === 0 ? "/" : `/${i}`));
  let life = begin();
  function begin() {
    const answers = new Answers();
    answers.note("disk", clock.now(), verdicts);
    const parts: DailyParts = {
      ...{ clock, log: silentLog, device: "ft-0042", config: { at, spreadMs }, answers, slowMs: 60_000 },
      checks: [
        { kind: kind("disk"), state: "watched", deadlineMs: 5_000 },
        { kind: kind("network"), state: "absent" },
      ],
      days: () => outbox.days(),
      roomBytes,
      facts: { agent: "1.0.0", config_hash: "c" },
      redact: (text) => text,
      tell: async (draft) => void (await outbox.append([draft])),
    };
    const stop = new AbortController();
    const walk = async () => {
      while (!stop.signal.aborted) {
        await clock.sleep(60_000, stop.signal).catch(() => undefined);
        if (!stop.signal.aborted) await lookForDaily(parts, stop.signal);
      }
    };
    const rounds = async () => {
      await clock.sleep(5_000, stop.signal).catch(() => undefined);
      while (!stop.signal.aborted) {
        await clock.sleep(60_000, stop.signal).catch(() => undefined);
        if (!answers.wants("disk") || hangs) continue;
        asked += 1;
        answers.note("disk", clock.now(), verdicts);
      }
    };
    return { stop, done: Promise.all([walk(), rounds()]) };
  }
  const told = async () =>
    outbox.pending().flatMap((kept) => (kept.kind === "daily" ? [`${kept.body.date} ${clockTime(kept.body.ts)}`] : []));
  const end = async () => {
    life.stop.abort();
    await clock.wind(0);
    await life.done;
  };
  const restart = async (offMs = 0) => {
    await end();
    await clock.wind(offMs);
    life = begin();
  };
  return { clock, outbox, told, end, restart, asked: () => asked };
}
const clockTime = (ts: number): string => {
  const { second } = localTime(ts);
  return `${String(Math.floor(second / 3600)).padStart(2, "0")}:${String(Math.floor((second % 3600) / 60)).padStart(2, "0")}`;
};
const dayOf = (offset: number): string => localTime(SIX + offset * 24 * HOUR).date;

describe("the day's check is made", () => {
  test("once a day, at the set time, day after day", async () => {
    const ft = device();
    await ft.clock.wind(1.4 * HOUR);
    expect(await ft.told()).toEqual([]);
    await ft.clock.wind(48 * HOUR);
    expect(await ft.told()).toEqual([0, 1].map((day) => expect.stringMatching(`${dayOf(day)} 07:3[01]`)));
    await ft.end();
  });

  test("no larger than half of what the outbox has, and never larger than its topic takes", async () => {
    for (const [roomBytes, most] of [
      [20_000, 10_000],
      [1 << 20, 60_000],
    ] as const) {
      const ft = device({ subjects: 2_000, roomBytes });
      await ft.clock.wind(2 * HOUR);
      const bytes = ft.outbox
        .pending()
        .map((kept) => (kept.kind === "daily" ? Buffer.byteLength(JSON.stringify(unpack(kept.body))) : 0));
      expect(bytes).toEqual([expect.any(Number)]);
      expect(bytes[0]).toBeGreaterThan(most / 2);
      expect(bytes[0]).toBeLessThanOrEqual(most);
      await ft.end();
    }
  });

  test("at the next start where the device was off at the time; not when its day has passed", async () => {
    const ft = device();
    await ft.restart(5 * HOUR); // 11:00
    await ft.clock.wind(3 * 60_000);
    expect(await ft.told()).toEqual([expect.stringMatching(`${dayOf(0)} 11:0`)]);
    await ft.restart(40 * HOUR); // 03:00 of the day after the next: that one's is due in four hours, yesterday's is lost
    await ft.clock.wind(2 * HOUR);
    expect(await ft.told()).toHaveLength(1);
    await ft.clock.wind(3 * HOUR);
    expect((await ft.told())[1]).toContain(dayOf(2));
    await ft.end();
  });

  test("never twice for one day, over restarts, acks and a clock that jumps back and forth", async () => {
    const ft = device();
    await ft.clock.wind(2 * HOUR);
    for (let again = 0; again < 3; again += 1) await ft.restart(HOUR);
    ft.clock.setWall(SIX - HOUR); // back before the time
    await ft.clock.wind(6 * HOUR);
    ft.clock.setWall(SIX + 24 * HOUR + 2 * HOUR); // a day ahead, past the time
    await ft.clock.wind(HOUR);
    ft.clock.setWall(SIX + 2 * HOUR); // and back to the day before
    await ft.clock.wind(HOUR);
    ft.clock.setWall(SIX + 23 * HOUR);
    await ft.clock.wind(6 * HOUR);
    expect((await ft.told()).map((one) => one.slice(0, 10))).toEqual([dayOf(0), dayOf(1)]);
    ft.outbox.free({ boot: ft.outbox.boot, seq: ft.outbox.seq });
    await ft.restart(60_000);
    await ft.clock.wind(HOUR);
    expect(await ft.told()).toEqual([]);
    await ft.end();
  });

  test("not by a clock that was never set: 1970 is no day to report; once it is set the day is", async () => {
    const ft = device({ clock: new HandClock(12 * HOUR) });
    await ft.clock.wind(30 * HOUR);
    expect(await ft.told()).toEqual([]);
    ft.clock.setWall(SIX + 3 * HOUR);
    await ft.clock.wind(2 * 60_000);
    expect(await ft.told()).toEqual([expect.stringContaining(dayOf(0))]);
    await ft.end();
  });

  test("of what is old only anew: an answer of the last ten minutes is taken, one that hangs is told with its age", async () => {
    const fresh = device({ at: "3 6 * * *" });
    await fresh.clock.wind(5 * 60_000);
    expect([await fresh.told(), fresh.asked()]).toEqual([[expect.any(String)], 0]);
    await fresh.end();
    const old = device();
    await old.clock.wind(2 * HOUR);
    expect(old.asked()).toBe(1);
    await old.end();
    const hung = device({ hangs: true });
    await hung.clock.wind(2 * HOUR);
    const [kept] = hung.outbox.pending();
    if (kept?.kind !== "daily") throw new Error("no daily");
    expect(unpack(kept.body).checks[0]).toMatchObject({ state: "ok", age_s: expect.any(Number) });
    expect(unpack(kept.body).checks[0]?.age_s).toBeGreaterThan(5_000);
    await hung.end();
  });

  test("an end in the midst of it leaves nothing behind", async () => {
    const ft = device({ hangs: true });
    await ft.clock.wind(1.5 * HOUR + 5_000); // waits for what hangs
    await ft.end();
    expect(await ft.told()).toEqual([]);
  });
});

describe("the spread", () => {
  const day = { ...localTime(SIX), second: 0 };
  test("a fleet is spread over its minutes, each device always at its own", () => {
    const shares = Array.from({ length: 500 }, (_, i) => shareOf(`ft-${String(i).padStart(4, "0")}`));
    for (let tenth = 0; tenth < 10; tenth += 1) {
      const there = shares.filter((share) => share >= tenth / 10 && share < (tenth + 1) / 10);
      expect(there.length).toBeGreaterThan(20);
    }
    expect(shareOf("ft-0042")).toBe(shareOf("ft-0042"));
  });
  test("ends with the day: a time just before midnight is told on that day", () => {
    const late = { ...day, second: 86_399 };
    for (const share of [0, 0.5, 0.999999]) expect(isDue(late, "59 23 * * *", share, 43_200_000)).toBe(true);
    expect(isDue({ ...day, second: 86_340 }, "59 23 * * *", 0.5, 300_000)).toBe(false);
  });
  test("begins at the set time and moves it by its share", () => {
    expect(isDue({ ...day, second: 26_999 }, "30 7 * * *", 0, 300_000)).toBe(false);
    expect(isDue({ ...day, second: 27_000 }, "30 7 * * *", 0, 300_000)).toBe(true);
    expect(isDue({ ...day, second: 27_149 }, "30 7 * * *", 0.5, 300_000)).toBe(false);
    expect(isDue({ ...day, second: 27_150 }, "30 7 * * *", 0.5, 300_000)).toBe(true);
  });
});

test("the first time of a day is the one node-cron would ring at, and on other days there is none", () => {
  const pick = (most: number, least = 0) =>
    fc.oneof(
      fc.constant("*"),
      fc.integer({ min: least, max: most }).map(String),
      fc.uniqueArray(fc.integer({ min: least, max: most }), { minLength: 1, maxLength: 3 }).map((list) => list.join()),
      fc.integer({ min: 1, max: most }).map((step) => `*/${step}`),
    );
  const expression = fc
    .tuple(pick(59), pick(59), pick(23), fc.oneof(fc.constant("*"), pick(28, 1)), pick(12, 1), pick(7))
    .map((parts) => parts.join(" "))
    .filter((text) => cronMistake(text) === undefined);
  fc.assert(
    fc.property(expression, (text) => {
      const task = createTask(text, () => {});
      const next = task.getNextRuns(1)[0];
      void task.destroy();
      if (next === undefined) return;
      const now = localTime(Date.now());
      const there = localTime(next.getTime());
      const first = firstTimeOf(text, there);
      if (there.date === now.date) expect(first).toBeLessThanOrEqual(there.second);
      else expect(first).toBe(there.second);
      for (let at = Date.now() + 24 * HOUR; localTime(at).date < there.date; at += 24 * HOUR) {
        expect(firstTimeOf(text, localTime(at))).toBeUndefined();
      }
    }),
    { numRuns: 300 },
  );
});

/** Looks every ten minutes over three days in a time zone, and prints the local date and time at which each was made. */
function madeIn(timeZone: string, at: string, from: number): string[] {
  const clock = join(import.meta.dirname, "../../platform/clock.ts");
  const daily = join(import.meta.dirname, "../../agent/daily.ts");
  const script = `
    import { localTime } from ${JSON.stringify(clock)};
    import { isDue } from ${JSON.stringify(daily)};
    const made = new Set();
    for (let wall = ${from}; wall < ${from + 72 * HOUR}; wall += 600_000) {
      const now = localTime(wall);
      if (made.has(now.date) || !isDue(now, ${JSON.stringify(at)}, 0, 0)) continue;
      made.add(now.date);
      console.log(now.date, Math.floor(now.second / 60));
    }`;
  const args = ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", script];
  const done = spawnSync(process.execPath, args, { encoding: "utf8", env: { ...process.env, TZ: timeZone } });
  expect(done.stderr).toBe("");
  return done.stdout.trim().split("\n");
}

test("summer time begins and ends: one a day, also at an hour that is not there, or is there twice", () => {
  const march = Date.UTC(2027, 2, 27, 0);
  expect(madeIn("Europe/Berlin", "30 2 * * *", march)).toEqual(["2027-03-27 150", "2027-03-28 180", "2027-03-29 150"]);
  const october = Date.UTC(2027, 9, 30, 0);
  const twice = madeIn("Europe/Berlin", "30 2 * * *", october);
  expect(twice).toEqual(["2027-10-30 150", "2027-10-31 150", "2027-11-01 150"]);
  expect(madeIn("Asia/Shanghai", "30 7 * * *", march)).toEqual([
    "2027-03-27 480", // the first look is at 08:00 there
    "2027-03-28 450",
    "2027-03-29 450",
    "2027-03-30 450",
  ]);
});

test("what is told is what the topic's schema wants", async () => {
  const ft = device();
  await ft.clock.wind(2 * HOUR);
  const [kept] = ft.outbox.pending();
  if (kept?.kind !== "daily") throw new Error("no daily");
  const message = DailyCheck.parse(unpack(kept.body));
  expect(message).toMatchObject({ date: dayOf(0), ok_count: 1, absent_count: 1, cut_count: 0, agent: "1.0.0" });
  expect(message.checks).toMatchObject([
    { check: "disk", subject: "/", state: "ok", readings: { free_pct: 1 } },
    { check: "network", name_zh: "项", state: "absent" },
  ]);
  await ft.end();
});
