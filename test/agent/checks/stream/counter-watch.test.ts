import { expect, test } from "vitest";
import { TargetConfig } from "../../../../agent/checks/stream/config.ts";
import { CounterWatch } from "../../../../agent/checks/stream/counter-watch.ts";
import { examinerFor } from "../../../../agent/checks/stream/examine.ts";
import { Learner } from "../../../../agent/checks/stream/learn.ts";
import { Failure } from "../../../../protocol/failure.ts";
import { HandClock } from "../../../kit/hand-clock.ts";

/** A stream known by its counters alone, which take in so many bytes a second, or cannot be read. */
function rig() {
  const clock = new HandClock();
  const state = { perSecond: 250_000, fails: undefined as Failure | undefined, looks: 0 };
  let bytes = 0;
  let lastAt = 0;
  const target = TargetConfig.parse({ name: "srt", type: "srt", statsFile: "/run/srt.json" });
  const watch = new CounterWatch({
    ...{ name: "srt", clock, changed() {}, examiner: examinerFor(target, new Learner(), clock) },
    look: async () => {
      state.looks += 1;
      bytes += (state.perSecond * (clock.now() - lastAt)) / 1_000;
      lastAt = clock.now();
      if (state.fails !== undefined) throw state.fails;
      return { at: clock.now(), inBytes: bytes, says: `${Math.round(bytes)} bytes in` };
    },
  });
  watch.start();
  return { clock, state, watch };
}

test("counters that move are alive, that stand are not, and that move again are", async () => {
  const { clock, state, watch } = rig();
  await clock.wind(1_000);
  expect(watch.conclusion.state).toBe("unknown");
  await clock.wind(10_000);
  expect(watch.conclusion.state).toBe("ok");
  state.perSecond = 0;
  await clock.wind(8_000);
  expect(watch.conclusion).toMatchObject({ state: "no_media", reason: "no_media" });
  state.perSecond = 250_000;
  await clock.wind(8_000);
  expect(watch.conclusion.state).toBe("ok");
});

test("statistics that this device cannot read say nothing of the stream, nor do looks before and after such a gap", async () => {
  const { clock, state, watch } = rig();
  await clock.wind(10_000);
  const { provenAt } = watch;
  state.perSecond = 0;
  state.fails = new Failure("FILE_UNUSABLE", "cannot use /run/srt.json: EACCES");
  await clock.wind(60_000);
  expect(watch.conclusion).toEqual({ state: "unknown", says: "cannot use /run/srt.json: EACCES" });
  expect(watch.provenAt - provenAt).toBeLessThan(3_200);
  state.fails = undefined;
  await clock.wind(3_000);
  expect(watch.conclusion.state).toBe("unknown");
});

test("is left alone once it is stopped", async () => {
  const { clock, state, watch } = rig();
  await clock.wind(10_000);
  await Promise.all([watch.stop(), clock.wind(10)]);
  const { looks } = state;
  await clock.wind(60_000);
  expect(state.looks).toBe(looks);
});
