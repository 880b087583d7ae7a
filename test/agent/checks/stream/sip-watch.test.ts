import { describe, expect, test } from "vitest";
import { authHold } from "../../../../agent/checks/stream/auth-hold.ts";
import { SipWatch } from "../../../../agent/checks/stream/sip-watch.ts";
import { machineAt } from "../../../../platform/machine.ts";
import { Failure } from "../../../../protocol/failure.ts";
import { HandClock } from "../../../kit/hand-clock.ts";

function rig() {
  const clock = new HandClock();
  const state = { asked: 0, key: "a", fails: undefined as Failure | undefined, changes: 0 };
  const sip = new SipWatch({
    ...{ name: "channel-sip", severity: "major", everyMs: 30_000, clock, random: () => 0.5 },
    ask: async () => {
      state.asked += 1;
      if (state.fails !== undefined) throw state.fails;
      return { ms: 4.25, status: 200, retransmitted: 0 };
    },
    key: async () => state.key,
    hold: authHold(undefined, machineAt(), clock),
    changed: () => {
      state.changes += 1;
    },
  });
  sip.start();
  return { clock, state, sip };
}
const silent = new Failure("STREAM_TIMEOUT", "10.20.0.9:5060 does not answer OPTIONS in 4000 ms");

describe("the platform's side of a channel", () => {
  test("is asked at its pace, with the round trip as a figure", async () => {
    const { clock, state, sip } = rig();
    await clock.wind(90_000);
    expect(state.asked).toBe(4);
    expect(sip.verdict).toMatchObject({
      grade: "ok",
      subject: "channel-sip",
      readings: { rtt_ms: 4.3, missed_count: 0 },
    });
  });

  test("is late after two that were not answered, down after three, and well after one that was", async () => {
    const { clock, state, sip } = rig();
    await clock.wind(1);
    state.fails = silent;
    await clock.wind(30_000);
    expect(sip.verdict).toMatchObject({ grade: "ok", holds: "major", reason: "sip-late" });
    await clock.wind(10_000);
    expect(sip.verdict).toMatchObject({ grade: "warning", reason: "sip-late" });
    await clock.wind(10_000);
    expect(sip.verdict).toMatchObject({
      grade: "major",
      reason: "sip-down",
      title: { zh: "GB/T 28181 平台离线（平台）" },
      value: 3,
    });
    state.fails = undefined;
    await clock.wind(10_000);
    expect(sip.verdict).toMatchObject({ grade: "ok", holds: "ok" });
    state.fails = silent;
    await clock.wind(30_000);
    expect(sip.verdict).toMatchObject({ grade: "ok", value: 1 }); // counted from nothing
  });

  test("that has not answered yet is not called well for its first silence", async () => {
    const { clock, state, sip } = rig();
    state.fails = silent;
    await clock.wind(1);
    expect(sip.verdict).toMatchObject({ state: "unknown", because: expect.stringMatching(/^1 not answered in a row/) });
    await clock.wind(10_000);
    expect(sip.verdict).toMatchObject({ grade: "warning", reason: "sip-late" });
  });

  test("that refuses us is asked again after half an hour, or when the password was changed", async () => {
    const { clock, state, sip } = rig();
    state.fails = new Failure("STREAM_AUTH", "403", { facts: { status: 403 } });
    await clock.wind(29 * 60_000);
    expect(state.asked).toBe(1);
    expect(sip.verdict).toMatchObject({ grade: "major", reason: "sip-refused" });
    state.key = "b";
    await clock.wind(12_000);
    expect(state.asked).toBe(2);
  });

  test("cannot be told where this device is at fault", async () => {
    const { clock, state, sip } = rig();
    state.fails = new Failure("FILE_UNUSABLE", "cannot use /etc/vigil/platform.password: ENOENT");
    await clock.wind(1);
    expect(sip.verdict).toEqual({
      ...{ state: "unknown", subject: "channel-sip", asked: 1 },
      because: "cannot use /etc/vigil/platform.password: ENOENT",
    });
  });

  test("is left alone once it is stopped", async () => {
    const { clock, state, sip } = rig();
    await clock.wind(1);
    sip.stop();
    await clock.wind(600_000);
    expect(state.asked).toBe(1);
  });
});
