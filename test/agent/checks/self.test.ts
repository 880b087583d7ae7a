import { describe, expect, test } from "vitest";
import * as z from "zod/mini";
import type { Judged, Verdict } from "../../../agent/checks/check.ts";
import { loopMeter } from "../../../agent/checks/self/loop.ts";
import { SelfConfig, type SelfPorts, selfCheck } from "../../../agent/checks/self/self.ts";
import { machineAt } from "../../../platform/machine.ts";
import { type BoardName, openBoard } from "../../kit/board.ts";
import { HandClock } from "../../kit/hand-clock.ts";

const S = 1_000;
const MIN = 60 * S;
const HOUR = 60 * MIN;
const DAY = 24 * HOUR;

/** The agent's own parts, as a test sets them, and a judge over the live machine's /proc. */
function agent(own: Partial<z.input<typeof SelfConfig>> = {}, machine = machineAt("/")) {
  const clock = new HandClock();
  const stats: ReturnType<SelfPorts["stats"]> = {
    durable: true,
    pending: 0,
    pendingBytes: 0,
    droppedTelemetry: 0,
    droppedRecords: 0,
    maxBytes: 1_000_000,
  };
  const state = { stats, linked: true, refused: 0 };
  const kind = selfCheck({
    stats: () => state.stats,
    linkUp: () => state.linked,
    refused: () => state.refused,
  });
  const judge = kind.begin(z.parse(SelfConfig, own), { machine, clock });
  const look = (): Verdict[] => {
    const verdicts = judge?.judge(new AbortController().signal);
    if (!Array.isArray(verdicts)) throw new Error("the self check answers at once");
    for (const verdict of verdicts) if (verdict.state === "judged") expect(kind.titles).toHaveProperty(verdict.reason);
    return verdicts;
  };
  const of = (subject: string, verdicts = look()): Judged => {
    const verdict = verdicts.find((one) => one.subject === subject);
    if (verdict?.state !== "judged") throw new Error(`${subject} was not judged`);
    return verdict;
  };
  return { clock, state, look, of, late: kind.late };
}

test("an agent that is well says so of every part of it, with its figures", () => {
  const { look, late } = agent();
  late(3);
  const verdicts = look();
  expect(verdicts.map(({ subject }) => subject)).toEqual(["loop", "memory", "outbox", "store", "refused"]);
  for (const verdict of verdicts) expect(verdict).toMatchObject({ state: "judged", grade: "ok", holds: "ok" });
  const readings = Object.assign(
    {},
    ...verdicts.map((verdict) => (verdict.state === "judged" ? verdict.readings : {})),
  );
  expect(readings).toMatchObject({
    loop_late_ms: 3,
    pending_count: 0,
    oldest_s: 0,
    durable_count: 1,
    refused_count: 0,
  });
  for (const name of Object.keys(readings)) expect(name).toMatch(/_(ms|pct|bytes|count|s)$/);
});

test("its memory is what the kernel says this process has", () => {
  const { of } = agent();
  const { readings } = of("memory");
  const rss = process.memoryUsage.rss();
  expect(Math.abs((readings.rss_bytes ?? 0) - rss)).toBeLessThan(rss / 2);
  expect(readings.anon_bytes).toBeGreaterThan(5e6);
  expect(readings.anon_bytes).toBeLessThan(rss * 1.5);
  expect(agent({ anonBytes: { minor: { raise: 4e6, clear: 3e6 } } }).of("memory")).toMatchObject({
    grade: "minor",
    reason: "memory",
  });
});
test("a kernel that does not tell anonymous memory apart, and one that tells nothing", () => {
  using board = openBoard("kernel-3.10" satisfies BoardName);
  board.write("/proc/self/status", "Name:\tnode\nVmRSS:\t   51200 kB\n");
  expect(agent({}, board.machine).of("memory").readings).toEqual({ anon_bytes: 52_428_800, rss_bytes: 52_428_800 });
  board.write("/proc/self/status", "Name:\tnode\n");
  const verdict = agent({}, board.machine).look()[1];
  expect(verdict).toMatchObject({ state: "unknown", subject: "memory" });
});

test("rounds that come late are its fault; the threshold to clear lies below the one to raise", () => {
  const { of, late } = agent();
  late(1_200);
  late(700);
  expect(of("loop")).toMatchObject({ grade: "warning", value: 1_200, reason: "late" });
  late(700);
  expect(of("loop")).toMatchObject({ grade: "ok", holds: "warning" });
});
test("the meter keeps the worst tick since it was last asked", () => {
  const meter = loopMeter();
  for (const lateMs of [4, 250, 9]) meter.note(lateMs);
  expect(meter.take()).toMatchObject({ lateMs: 250 });
  const { lateMs, busyPct } = meter.take();
  expect(lateMs).toBe(0);
  expect(busyPct).toBeGreaterThanOrEqual(0);
  expect(busyPct).toBeLessThanOrEqual(100);
});

describe("outbox", () => {
  test("nearly full", () => {
    const { of, state } = agent();
    state.stats = { ...state.stats, pending: 900, pendingBytes: 920_000 };
    expect(of("outbox")).toMatchObject({
      grade: "minor",
      reason: "full",
      value: 92,
      readings: { pending_count: 900, outbox_pct: 92 },
    });
  });
  test("records given up count for an hour, telemetry less than alarms; what was lost before this start does not", async () => {
    const { of, state, clock } = agent();
    state.stats = { ...state.stats, droppedRecords: 40, droppedTelemetry: 7 };
    expect(of("outbox").grade).toBe("ok");
    state.stats = { ...state.stats, droppedTelemetry: 8 };
    expect(of("outbox")).toMatchObject({ grade: "warning", reason: "dropped", value: 1 });
    state.stats = { ...state.stats, droppedRecords: 45 };
    expect(of("outbox")).toMatchObject({ grade: "minor", reason: "dropped", value: 6 });
    await clock.wind(HOUR);
    expect(of("outbox")).toMatchObject({
      grade: "ok",
      readings: { dropped_records_count: 45, dropped_telemetry_count: 8 },
    });
  });
  test("no ack for 15 minutes with a broker there is a fault; without a broker it is none, however long", async () => {
    const { of, state, clock } = agent();
    state.linked = false;
    of("outbox");
    state.stats = { ...state.stats, pending: 1, pendingBytes: 300, oldestTs: clock.wall() };
    await clock.wind(7 * DAY);
    expect(of("outbox")).toMatchObject({ grade: "ok", holds: "ok" });
    state.linked = true;
    expect(of("outbox").grade).toBe("ok");
    await clock.wind(14 * MIN);
    expect(of("outbox").grade).toBe("ok");
    await clock.wind(MIN);
    expect(of("outbox")).toMatchObject({ grade: "minor", reason: "old", value: 900 });
    state.stats = { ...state.stats, oldestTs: clock.wall() };
    await clock.wind(10 * S);
    expect(of("outbox")).toMatchObject({ grade: "ok", holds: "ok", readings: { oldest_s: 10 } });
  });
  test("a clock set by a day makes no record older or younger than it is", async () => {
    const { of, state, clock } = agent();
    of("outbox");
    await clock.wind(10 * S);
    state.stats = { ...state.stats, pending: 1, oldestTs: clock.wall() };
    clock.setWall(clock.wall() + DAY);
    expect(of("outbox").readings.oldest_s).toBe(10);
    clock.setWall(clock.wall() - 2 * DAY);
    await clock.wind(20 * S);
    expect(of("outbox").readings.oldest_s).toBe(30);
  });
  test("after a restart the age of what an earlier start left is believed", () => {
    const { of, state, clock } = agent();
    state.stats = { ...state.stats, pending: 1, oldestTs: clock.wall() - 2 * HOUR };
    expect(of("outbox").readings.oldest_s).toBe(7_200);
  });
});

test("a state folder that cannot be written is major, with the reason in words", () => {
  const { of, state } = agent();
  state.stats = { ...state.stats, durable: false, because: "ENOSPC: no space left on device" };
  expect(of("store")).toMatchObject({
    grade: "major",
    holds: "major",
    reason: "store",
    says: expect.stringContaining("ENOSPC"),
  });
});

test("refused messages count within their window", async () => {
  const { of, state, clock } = agent();
  of("refused");
  state.refused = 9;
  expect(of("refused").grade).toBe("ok");
  state.refused = 12;
  expect(of("refused")).toMatchObject({ grade: "warning", reason: "refused", value: 12 });
  await clock.wind(10 * MIN);
  expect(of("refused")).toMatchObject({ grade: "ok", holds: "ok", readings: { refused_count: 12 } });
});
