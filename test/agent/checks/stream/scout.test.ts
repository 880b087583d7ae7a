import { describe, expect, test } from "vitest";
import type { Conclusion } from "../../../../agent/checks/stream/conclusion.ts";
import type { TrackFigures } from "../../../../agent/checks/stream/figures.ts";
import { LearnStore } from "../../../../agent/checks/stream/learn-store.ts";
import type { PassiveFacts } from "../../../../agent/checks/stream/passive.ts";
import { Scout } from "../../../../agent/checks/stream/scout.ts";
import { folderAt } from "../../../../platform/files.ts";
import { Failure } from "../../../../protocol/failure.ts";
import { HandClock } from "../../../kit/hand-clock.ts";
import { tempFolder } from "../../../kit/temp.ts";

const WELL: Conclusion = { state: "ok", says: "video lives" };
const DEAD: Conclusion = { state: "no_media", reason: "no_media", hop: "encoder", severity: "major", says: "silent" };

/** A forwarder that takes in `kbps`, or cannot be asked. */
function rig() {
  const clock = new HandClock();
  const state = {
    kbps: 2_000 as number | undefined,
    bytes: 0,
    looks: 0,
    ways: 0,
    standing: 0,
    signal: undefined as AbortSignal | undefined,
  };
  const looked: (PassiveFacts | undefined)[] = [];
  const went: object[] = [];
  let lastAt = 0;
  const scout = new Scout({
    clock,
    look: async (signal) => {
      state.signal = signal;
      state.looks += 1;
      if (state.kbps === undefined) throw new Failure("DIAL_REFUSED", "nothing listens there");
      state.bytes += (state.kbps / 8) * (clock.now() - lastAt);
      lastAt = clock.now();
      return { at: clock.now(), inBytes: state.bytes, says: "" };
    },
    way: async () => {
      state.ways += 1;
      return { hostReachable: false };
    },
    looked: (facts) => looked.push(facts),
    went: (way) => went.push(way),
    standing: () => {
      state.standing += 1;
    },
  });
  scout.start();
  return { clock, scout, state, looked, went };
}

describe("what lies around a stream", () => {
  test("is looked at every 9 to 12 s while it is well, and nobody asks the way", async () => {
    const { clock, state } = rig();
    await clock.wind(60_000);
    expect(state.looks).toBeGreaterThanOrEqual(5);
    expect(state.looks).toBeLessThanOrEqual(7);
    expect(state.ways).toBe(0);
    expect(state.standing).toBe(0);
  });

  test("is looked at anew at once when it is not: what was counted before says nothing of the fault", async () => {
    const { clock, scout, state, looked, went } = rig();
    await clock.wind(10_000);
    state.kbps = 0;
    const before = looked.length;
    scout.heard(DEAD);
    await clock.wind(3_000);
    const [forgotten, first, second] = looked.slice(before);
    expect(forgotten).toBeUndefined();
    expect(second?.inBytes).toBe(first?.inBytes);
    expect(went).toEqual([{ hostReachable: false }]);
    scout.heard(WELL);
    expect(went.at(-1)).toEqual({});
    const { ways } = state;
    await clock.wind(30_000);
    expect(state.ways).toBe(ways);
  });

  test("whose counters stand while all seemed well calls for a look at the stream", async () => {
    const { clock, state } = rig();
    await clock.wind(30_000);
    state.kbps = 0;
    await clock.wind(25_000);
    expect(state.standing).toBeGreaterThan(0);
  });

  test("that cannot be asked is unknown, and asked again", async () => {
    const { clock, state, looked } = rig();
    await clock.wind(10_000);
    state.kbps = undefined;
    await clock.wind(13_000);
    expect(looked.at(-1)).toBeUndefined();
    const { looks } = state;
    await clock.wind(13_000);
    expect(state.looks).toBeGreaterThan(looks);
  });

  test("is left alone once it is stopped", async () => {
    const { clock, scout, state } = rig();
    await clock.wind(10_000);
    expect(state.signal?.aborted).toBe(false);
    scout.stop();
    expect(state.signal?.aborted).toBe(true);
    const { looks } = state;
    scout.heard(DEAD);
    await clock.wind(60_000);
    expect(state.looks).toBe(looks);
  });
});

describe("what is usual for a stream", () => {
  const TRACK: TrackFigures = {
    ...{ kind: "video", codec: "H264", frames: 500, keyframes: 10, bytes: 1e6, fps: 25, kbps: 2_000, gopMs: 2_000 },
    ...{
      gopFrames: 50,
      silentMs: 20,
      byteSilentMs: 20,
      stuckMs: 0,
      jumps: 0,
      keySizes: [40_000],
      deltaMedianBytes: 8_000,
    },
    format: { codec: "H264", width: 1_920, height: 1_080 },
  };

  test("is written once an hour at most, found again after a restart, and a torn file is as none", async () => {
    using folder = tempFolder("vigil-learn");
    const clock = new HandClock();
    const store = await LearnStore.open(folderAt(folder.path), clock);
    const written = async () => (await folderAt(folder.path).read("streams.json", 1e6))?.toString();
    const learn = async (minutes: number): Promise<void> => {
      for (let i = 0; i < minutes * 60; i += 1) {
        await clock.wind(1_000);
        store.learner("main").teach(TRACK, WELL, clock.now());
      }
      await store.keep();
    };
    await learn(5);
    expect(await written()).toBeUndefined();
    await learn(11);
    const first = await written();
    expect(first).toBeDefined();
    await learn(10);
    expect(await written()).toBe(first);

    const again = await LearnStore.open(folderAt(folder.path), clock);
    expect(again.learner("main").learnt).toMatchObject({ kbps: 2_000, fps: 25, gopMs: 2_000, width: 1_920 });
    expect(again.learner("other").learnt.minutes).toBe(0);
    await folderAt(folder.path).replace("streams.json", Buffer.from('{"main":"{\\"v\\":1,'));
    const torn = await LearnStore.open(folderAt(folder.path), clock);
    expect(torn.learner("main").learnt.minutes).toBe(0);
  });
});
