import { utimesSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import * as z from "zod/mini";
import type { Judge, Judged, Verdict } from "../../../agent/checks/check.ts";
import { type ClockConfig, clocks } from "../../../agent/checks/clock/clock.ts";
import type { LinkFacts } from "../../../platform/broker-link.ts";
import { type Board, openBoard } from "../../kit/board.ts";
import { checkPorts } from "../../kit/check-ports.ts";
import { CheckRig } from "../../kit/check-rig.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { freePort } from "../../kit/ports.ts";
import { type TimeServer, timeServer } from "../../kit/time-server.ts";

const S = 1_000;
const MIN = 60 * S;
const HOUR = 60 * MIN;
const DAY = 24 * HOUR;

let board: Board;
let clock: HandClock;
let judge: Judge | undefined;
let link: LinkFacts;
beforeEach(() => {
  board = openBoard("x86-vm");
  clock = new HandClock();
  link = { up: true };
});
afterEach(() => {
  judge?.close?.();
  judge = undefined;
  board[Symbol.dispose]();
});
function begin(config: object = {}): void {
  const parsed = clocks.Config.parse({ sync: { expected: false }, ...config });
  judge = clocks.begin(parsed, checkPorts("/nowhere", { machine: board.machine, clock, link: () => link }));
}
async function look(): Promise<readonly Verdict[]> {
  const verdicts = (await judge?.judge(new AbortController().signal)) ?? [];
  for (const verdict of verdicts) if (verdict.state === "judged") expect(clocks.titles).toHaveProperty(verdict.reason);
  return verdicts;
}
async function of(subject: string): Promise<Judged> {
  const verdict = (await look()).find((one) => one.subject === subject);
  if (verdict?.state !== "judged") throw new Error(`${subject} was not judged: ${JSON.stringify(verdict)}`);
  return verdict;
}

describe("the wall clock", () => {
  test.each([DAY, -DAY, MIN, -MIN])("set by %i ms is shown for ten minutes", async (by) => {
    begin();
    expect(await of("wall")).toMatchObject({ grade: "ok" });
    await clock.wind(10 * S);
    clock.setWall(clock.wall() + by);
    expect(await of("wall")).toMatchObject({ grade: "minor", reason: "jump", value: by / S, unit: "s" });
    await clock.wind(10 * MIN - S);
    expect(await of("wall")).toMatchObject({ grade: "minor" });
    await clock.wind(S);
    expect(await of("wall")).toMatchObject({ grade: "ok", holds: "ok" });
  });
  test("that NTP corrects by less than a minute is well", async () => {
    begin();
    await look();
    await clock.wind(10 * S);
    clock.setWall(clock.wall() - 59 * S);
    expect(await of("wall")).toMatchObject({ grade: "ok" });
  });
  test("that jumps between the start and the first round has jumped", async () => {
    begin();
    clock.setWall(clock.wall() + DAY);
    expect(await of("wall")).toMatchObject({ grade: "minor", reason: "jump", value: 86_400 });
  });
  test("in 1970 is major until it is set, and being set right is no jump", async () => {
    clock.setWall(20 * S);
    begin();
    expect(await of("wall")).toMatchObject({ grade: "major", reason: "implausible" });
    await clock.wind(HOUR);
    expect(await of("wall")).toMatchObject({ grade: "major" });
    clock.setWall(1_795_000_000_000);
    expect(await of("wall")).toMatchObject({ grade: "ok", holds: "ok" });
  });
  test("that falls back to 1970 is major", async () => {
    begin();
    await look();
    clock.setWall(0);
    await clock.wind(S);
    expect(await of("wall")).toMatchObject({ grade: "major", reason: "implausible" });
  });
  test("answers the very same array while nothing happens", async () => {
    begin();
    await look();
    const verdicts = await look();
    await clock.wind(10 * S);
    expect(await look()).toBe(verdicts);
  });
});

describe("the aggregator's clock", () => {
  const hear = (ms: number): void => {
    link = { up: true, skew: { ms, at: clock.now() } };
  };
  test("further than five seconds away is told, and holds until it is within three", async () => {
    begin();
    expect((await look()).map(({ subject }) => subject)).toEqual(["wall", "skew"]);
    hear(-4_900);
    expect(await of("skew")).toMatchObject({ grade: "ok", readings: { skew_ms: -4_900 } });
    hear(-5_100);
    expect(await of("skew")).toMatchObject({
      grade: "warning",
      reason: "skew",
      value: -5.1,
      says: expect.stringContaining("behind"),
    });
    hear(3_100);
    expect(await of("skew")).toMatchObject({ grade: "ok", holds: "warning" });
    hear(0);
    expect(await of("skew")).toMatchObject({ grade: "ok", holds: "ok" });
    hear(61_000);
    expect(await of("skew")).toMatchObject({ grade: "minor" });
  });
  test("that is not heard any more changes nothing", async () => {
    begin();
    hear(9_000);
    await look();
    link = { up: false };
    expect(await of("skew")).toMatchObject({ grade: "warning", value: 9 });
  });
});

describe("servers", () => {
  let server: TimeServer;
  beforeEach(async () => {
    server = await timeServer(clock);
  });
  afterEach(() => server.close());
  const watch = (): CheckRig<ClockConfig> =>
    new CheckRig<ClockConfig>(
      clocks,
      { sync: { expected: false }, servers: [server.name], serversEveryMs: 30 * MIN },
      { machine: board.machine, link: () => link },
      clock,
    );

  test("that say our clock is right make the aggregator's the wrong one, for as long as their word holds", async () => {
    using check = watch();
    await check.round();
    link = { up: true, skew: { ms: 90 * S, at: clock.now() } };
    await check.round();
    expect(check.judged("skew")).toMatchObject({
      grade: "warning",
      says: "our clock is 90 s ahead of the aggregator's; NTP servers say that ours is right (0 ms)",
    });
    server.mute = true;
    for (let i = 0; i < 5; i += 1) await check.round(31 * MIN);
    link = { up: true, skew: { ms: 90 * S, at: clock.now() } };
    await check.round();
    expect(check.judged("skew")).toMatchObject({ grade: "minor" });
  });
  test("that ask to be asked less often are passed over four times", async () => {
    using check = watch();
    await check.round();
    server.rate = true;
    await check.round(32 * MIN);
    const before = server.asked;
    await check.rounds(4, 32 * MIN);
    expect(server.asked).toBe(before);
    server.rate = false;
    await check.rounds(2, 32 * MIN);
    expect(server.asked).toBeGreaterThan(before);
    expect(check.judged("offset")).toMatchObject({ grade: "ok", reason: "offset" });
  });
});

describe("the battery clock", () => {
  const rtc = (text: string | undefined): void => board.write("/sys/class/rtc/rtc0/since_epoch", text);
  test("that is off by a minute is told; without one there is nothing to say", async () => {
    begin();
    expect((await look()).map(({ subject }) => subject)).not.toContain("rtc");
    rtc(`${Math.round(clock.wall() / S)}\n`);
    begin();
    expect(await of("rtc")).toMatchObject({ grade: "ok", readings: { rtc_offset_s: 0 } });
    rtc(`${Math.round(clock.wall() / S) - 90}\n`);
    begin();
    expect(await of("rtc")).toMatchObject({ grade: "warning", value: -90, says: expect.stringContaining("behind") });
  });
  test("that has lost its time", async () => {
    rtc("what?\n");
    begin();
    expect(await of("rtc")).toMatchObject({ grade: "warning", says: expect.stringContaining("battery is empty") });
  });
});

describe("systemd-timesyncd", () => {
  const FILE = "/run/systemd/timesync/synchronized";
  async function timesync(agoMs: number | undefined): Promise<Judged> {
    const free = await freePort();
    board.write("/run/systemd/timesync/.keep", "");
    board.write("/proc/uptime", "9000.0 1.0\n");
    if (agoMs !== undefined) {
      board.write(FILE, "");
      const at = (clock.wall() - agoMs) / S;
      utimesSync(board.machine.at(FILE), at, at);
    }
    begin({ sync: { chronyPort: free, ntpPort: free } });
    return of("sync");
  }
  test("that has heard the time lately sets the clock", async () => {
    expect(await timesync(30 * MIN)).toMatchObject({
      grade: "ok",
      says: "systemd-timesyncd heard the time 1800 s ago",
    });
  });
  test("that heard it hours ago, or never, does not", async () => {
    expect(await timesync(4 * HOUR)).toMatchObject({ grade: "minor", reason: "unsynchronised" });
    board.write(FILE, undefined);
    expect(await timesync(undefined)).toMatchObject({
      grade: "minor",
      says: expect.stringContaining("has not found the time"),
    });
  });
  test("has a quarter of an hour after the machine's start", async () => {
    const free = await freePort();
    board.write("/proc/uptime", "600.0 1.0\n");
    begin({ sync: { chronyPort: free, ntpPort: free } });
    expect(await of("sync")).toMatchObject({ grade: "ok", holds: "minor" });
  });
});

test("a wrong config names the place", () => {
  const wrong = (config: object): string =>
    z.prettifyError(clocks.Config.safeParse(config).error ?? new z.core.$ZodError([]));
  expect(wrong({ sync: { ntpport: 9 } })).toContain("sync");
  expect(wrong({ sync: { ntpPort: 0 } })).toContain("sync.ntpPort");
  expect(wrong({ offsetMs: { minor: { raise: 5, clear: 6 } } })).toContain("offsetMs.minor");
});
