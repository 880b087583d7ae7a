import { describe, expect, test } from "vitest";
import { authHold } from "../../../../agent/checks/stream/auth-hold.ts";
import type { Mode } from "../../../../agent/checks/stream/budget.ts";
import type { Conclusion } from "../../../../agent/checks/stream/conclusion.ts";
import { serverTurns } from "../../../../agent/checks/stream/server-turn.ts";
import { Watch, type WatchOrder } from "../../../../agent/checks/stream/watch.ts";
import { machineAt } from "../../../../platform/machine.ts";
import { slotAt } from "../../../../platform/slot.ts";
import { Failure } from "../../../../protocol/failure.ts";
import { HandClock } from "../../../kit/hand-clock.ts";
import { HandExaminer, HandServer } from "../../../kit/stream/hand-play.ts";
import { tempFolder } from "../../../kit/temp.ts";

const DEAD: Conclusion = { state: "no_media", reason: "no_media", hop: "encoder", severity: "major", says: "silent" };
const UNPROVEN: Conclusion = { state: "unknown", says: "warming up" };
const refused = () => new Failure("DIAL_REFUSED", "nothing listens there");
const wrongPassword = () => new Failure("STREAM_AUTH", "401", { facts: { status: 401 } });

/** Time passes on it without anything being done. */
class LeapingClock extends HandClock {
  leapt = 0;
  override now(): number {
    return super.now() + this.leapt;
  }
}

function rig(more: Partial<WatchOrder> = {}, clock = new HandClock()) {
  const server = new HandServer();
  const examiner = new HandExaminer(() => clock.now());
  const state = { mode: "continuous" as Mode, key: "a", changes: 0 };
  const watch = new Watch({
    name: "main",
    clock,
    random: () => 0.5,
    open: async () => server.play,
    key: async () => state.key,
    examiner,
    hold: authHold(undefined, machineAt(), clock),
    turn: serverTurns(),
    sample: { everyMs: 60_000, forMs: 5_000 },
    mode: () => state.mode,
    renewAfterMs: 60_000,
    changed: () => {
      state.changes += 1;
    },
    ...more,
  });
  watch.start();
  return { clock, server, examiner, state, watch };
}

describe("a session that cannot begin", () => {
  test("is tried again after 0.5 s, then twice as long each time, up to 10 s where nobody is there", async () => {
    const { clock, server } = rig();
    server.refuses = refused;
    const at: number[] = [];
    let seen = 0;
    for (let i = 0; i < 6_000; i += 1) {
      await clock.wind(10);
      if (server.begun > seen) at.push(clock.now());
      seen = server.begun;
    }
    const pauses = at.slice(1).map((moment, i) => Math.round((moment - (at[i] ?? 0)) / 100) / 10);
    expect(pauses).toEqual([0.5, 1, 2, 4, 8, 10, 10, 10, 10]);
  });

  test("asks a server that hangs once a minute at last", async () => {
    const { clock, server } = rig();
    server.refuses = () => new Failure("STREAM_TIMEOUT", "no answer to DESCRIBE", { facts: { step: "described" } });
    await clock.wind(200_000);
    const before = server.begun;
    await clock.wind(600_000);
    expect(server.begun - before).toBe(10);
  });

  test("is concluded at once, and back at once when it succeeds", async () => {
    const { clock, server, watch, state } = rig();
    server.refuses = refused;
    await clock.wind(1);
    expect(watch.conclusion).toMatchObject({ state: "unreachable", reason: "refused" });
    server.refuses = undefined;
    await clock.wind(1_500);
    expect(watch.conclusion.state).toBe("ok");
    expect(state.changes).toBe(2);
  });

  test("for a fault of this device is unknown, not the stream's", async () => {
    const { clock, watch, examiner } = rig({
      open: async () => {
        throw new Failure("FILE_UNUSABLE", "cannot use /etc/vigil/encoder.password: ENOENT");
      },
    });
    await clock.wind(1_000);
    expect(watch.conclusion).toEqual({
      state: "unknown",
      says: "cannot use /etc/vigil/encoder.password: ENOENT",
    });
    expect(examiner.failures).toEqual([]);
  });

  test("for a mistake of ours ends neither the watch nor the agent", async () => {
    const { clock, watch } = rig({
      open: async () => {
        throw new TypeError("undefined is not a function");
      },
    });
    await clock.wind(5_000);
    expect(watch.conclusion.state).toBe("unknown");
    expect(watch.tries).toBeGreaterThan(2);
  });
});

describe("a running session", () => {
  test("that could not be read for a while, since the whole agent stood still, is read before it is judged", async () => {
    const clock = new LeapingClock();
    const { examiner, watch } = rig({}, clock);
    await clock.wind(10_000);
    const well = examiner.sees;
    examiner.sees = DEAD;
    clock.leapt += 8_000;
    await clock.wind(500);
    expect(watch.conclusion.state).toBe("ok");
    examiner.sees = well;
    await clock.wind(500);
    expect(watch.conclusion.state).toBe("ok");
    examiner.sees = DEAD;
    clock.leapt += 8_000;
    await clock.wind(500);
    expect(watch.conclusion.state).toBe("ok");
    await clock.wind(500);
    expect(watch.conclusion.state).toBe("no_media");
    examiner.sees = well;
    for (let i = 0; i < 2; i += 1) {
      clock.leapt += 3_000; // so slow is a device that is always late
      await clock.wind(500);
    }
    expect(watch.conclusion.state).toBe("ok");
  });

  test("stays while no media come, and is one", async () => {
    const { clock, server, examiner, watch } = rig();
    await clock.wind(10_000);
    examiner.sees = DEAD;
    await clock.wind(50_000);
    expect(watch.conclusion.state).toBe("no_media");
    expect({ begun: server.begun, parted: server.parted }).toEqual({ begun: 1, parted: 0 });
    examiner.sees = { state: "ok", says: "back" };
    await clock.wind(500);
    expect(watch.conclusion.state).toBe("ok");
    expect(server.begun).toBe(1);
  });

  test("is closed and opened anew after a minute without media, then ever more seldom", async () => {
    const { clock, server, examiner } = rig();
    await clock.wind(10_000);
    examiner.sees = DEAD;
    await clock.wind(62_000);
    expect({ begun: server.begun, parted: server.parted, most: server.mostOpen }).toEqual({
      begun: 2,
      parted: 1,
      most: 1,
    });
    await clock.wind(600_000);
    expect(server.begun).toBeLessThanOrEqual(5);
    expect(server.mostOpen).toBe(1);
  });

  test("counts the minute of the next outage from nothing", async () => {
    const { clock, server, examiner } = rig();
    for (let i = 0; i < 3; i += 1) {
      const begun = server.begun;
      examiner.sees = DEAD;
      await clock.wind(62_000);
      expect(server.begun - begun).toBe(i === 0 ? 2 : 1);
      examiner.sees = { state: "ok", says: "back" };
      await clock.wind(10_000);
    }
  });

  test("that lasted is asked for again at once, however often it failed before", async () => {
    const { clock, server } = rig();
    server.refuses = () => new Failure("STREAM_TIMEOUT", "no answer to DESCRIBE", { facts: { step: "described" } });
    await clock.wind(300_000);
    server.refuses = undefined;
    while (server.open === 0) await clock.wind(1_000);
    await clock.wind(30_000);
    server.end(new Failure("STREAM_ENDED", "BYE", { facts: { how: "bye" } }));
    await clock.wind(600);
    expect(server.open).toBe(1);
  });

  test("is not begun before its time by somebody who wants a look: the pause after a failure protects the server", async () => {
    const { clock, server, watch, state } = rig();
    state.mode = "sampled";
    server.refuses = () => new Failure("STREAM_TIMEOUT", "no answer to DESCRIBE", { facts: { step: "described" } });
    await clock.wind(40_000);
    const { begun } = server;
    watch.lookNow();
    await clock.wind(1_000);
    expect(server.begun).toBe(begun);
  });

  test("ended by the other side is begun again, the fault standing until something is proven", async () => {
    const { clock, server, examiner, watch } = rig();
    await clock.wind(40_000);
    examiner.sees = UNPROVEN;
    server.end(new Failure("STREAM_ENDED", "BYE", { facts: { how: "bye" } }));
    await clock.wind(5_000);
    expect(server.begun).toBe(2);
    expect(watch.conclusion.state).toBe("unreachable");
    examiner.sees = { state: "ok", says: "25 frames a second" };
    await clock.wind(500);
    expect(watch.conclusion.state).toBe("ok");
  });

  test("that never proves anything is unknown in the end", async () => {
    const { clock, examiner, watch } = rig();
    await clock.wind(10_000);
    examiner.sees = UNPROVEN;
    await clock.wind(15_000);
    expect(watch.conclusion.state).toBe("ok");
    await clock.wind(10_000);
    expect(watch.conclusion.state).toBe("unknown");
    const { tries } = watch;
    await clock.wind(60_000); // and somebody must be told, though it is one session
    expect(watch.tries - tries).toBe(3);
    examiner.sees = { state: "ok", says: "25 frames a second" };
    await clock.wind(120_000);
    expect(watch.tries - tries).toBe(3);
  });

  test("is ended politely when the watch stops, and never again begun", async () => {
    const { clock, server, watch } = rig();
    await clock.wind(1_000);
    await watch.stop();
    await clock.wind(120_000);
    expect({ begun: server.begun, parted: server.parted, open: server.open }).toEqual({ begun: 1, parted: 1, open: 0 });
  });

  test("is not even begun when the watch stops in a pause", async () => {
    const { clock, server, watch } = rig();
    server.refuses = refused;
    await clock.wind(1);
    await watch.stop();
    await clock.wind(120_000);
    expect(server.begun).toBe(1);
  });
});

describe("sampled", () => {
  test("a stream is watched for 5 s of each minute", async () => {
    const { clock, server, state } = rig();
    state.mode = "sampled";
    await clock.wind(4_000);
    expect(server.open).toBe(1);
    await clock.wind(1_500);
    expect({ open: server.open, parted: server.parted }).toEqual({ open: 0, parted: 1 });
    await clock.wind(600_000);
    expect(server.begun).toBe(11);
  });

  test("the moment is moved by up to a tenth, so that no loop of a clip is always met at one place", async () => {
    const draws = [0, 0.999, 0.25, 0.75];
    let drawn = 0;
    const { clock, server, state } = rig({ random: () => draws[drawn++ % draws.length] ?? 0 });
    state.mode = "sampled";
    const at: number[] = [];
    for (let i = 0; i < 3_000; i += 1) {
      await clock.wind(100);
      if (server.begun > at.length) at.push(clock.now());
    }
    const gaps = at.slice(1).map((moment, i) => Math.round((moment - (at[i] ?? 0)) / 1_000));
    expect(gaps.slice(0, 4)).toEqual([54, 66, 57, 63]);
  });

  test("a stream without media is watched on until it is back", async () => {
    const { clock, server, examiner, state, watch } = rig();
    state.mode = "sampled";
    examiner.sees = DEAD;
    await clock.wind(40_000);
    expect({ open: server.open, state: watch.conclusion.state }).toEqual({ open: 1, state: "no_media" });
    examiner.sees = { state: "ok", says: "back" };
    await clock.wind(500);
    expect({ open: server.open, state: watch.conclusion.state }).toEqual({ open: 0, state: "ok" });
  });

  test("one that flows but is not well is looked at for six times as long", async () => {
    const { clock, server, examiner, state } = rig();
    state.mode = "sampled";
    examiner.sees = { state: "degraded", reason: "loss", hop: "network", severity: "minor", says: "2 % lost" };
    await clock.wind(29_000);
    expect(server.open).toBe(1);
    await clock.wind(2_000);
    expect(server.open).toBe(0);
  });

  test("a sample goes on till the keyframe that is waited for has come", async () => {
    const { clock, server, examiner, state } = rig();
    state.mode = "sampled";
    examiner.wants = true;
    await clock.wind(12_000);
    expect(server.open).toBe(1);
    examiner.wants = false;
    await clock.wind(500);
    expect(server.open).toBe(0);
  });

  test("somebody who wants a look gets it in the pause between two samples", async () => {
    const { clock, server, watch, state } = rig();
    state.mode = "sampled";
    await clock.wind(10_000);
    expect(server.open).toBe(0);
    watch.lookNow();
    await clock.wind(1);
    expect(server.open).toBe(1);
  });

  test("the change to continuous begins a session at once, and the one back ends it", async () => {
    const { clock, server, state, watch } = rig();
    state.mode = "sampled";
    await clock.wind(10_000);
    expect(server.open).toBe(0);
    state.mode = "continuous";
    watch.modeChanged();
    await clock.wind(60_000);
    expect({ open: server.open, begun: server.begun }).toEqual({ open: 1, begun: 2 });
    state.mode = "sampled";
    await clock.wind(1_000);
    expect(server.open).toBe(0);
  });
});

describe("wrong user or password", () => {
  test("is tried once in 30 minutes", async () => {
    const { clock, server, watch } = rig();
    server.refuses = wrongPassword;
    await clock.wind(29 * 60_000);
    expect(server.begun).toBe(1);
    expect(watch.conclusion).toMatchObject({ state: "auth", reason: "auth" });
    await clock.wind(2 * 60_000);
    expect(server.begun).toBe(2);
  });

  test("is tried again soon when the password file was written anew", async () => {
    const { clock, server, state, watch } = rig();
    server.refuses = wrongPassword;
    await clock.wind(60_000);
    server.refuses = undefined;
    state.key = "b";
    await clock.wind(11_000);
    expect({ begun: server.begun, state: watch.conclusion.state }).toEqual({ begun: 2, state: "ok" });
  });

  test("is remembered over a restart of the agent, with the fault", async () => {
    using folder = tempFolder("vigil-auth");
    const clock = new HandClock();
    const open = () => authHold(slotAt(folder.path, "stream-auth"), machineAt(), clock);
    const first = rig({ hold: open() }, clock);
    first.server.refuses = wrongPassword;
    await clock.wind(60_000);
    await first.watch.stop();

    const second = rig({ hold: open() }, clock);
    await clock.wind(60_000);
    expect(second.server.begun).toBe(0);
    expect(second.watch.conclusion).toMatchObject({ state: "auth", reason: "auth" });
    expect(second.watch.conclusion.says).toContain("no new try for 29 min");
    second.state.key = "b"; // the password was corrected
    await clock.wind(11_000);
    expect(second.server.begun).toBe(1);
  });
});
