import fc from "fast-check";
import { expect, test } from "vitest";
import { SilenceWatch } from "../../aggregator/silence.ts";

const listening = (now = 0): SilenceWatch => {
  const watch = new SilenceWatch();
  watch.listen(now);
  return watch;
};

test("after two heartbeats a device is silent, once", () => {
  const watch = listening();
  watch.heard("a", 1_000, 10);
  expect(watch.sweep(21_000)).toEqual([]);
  expect(watch.sweep(22_000)).toEqual(["a"]);
  expect(watch.sweep(99_000)).toEqual([]);
  watch.heard("a", 99_500, 10);
  expect(watch.sweep(120_500)).toEqual(["a"]);
});

test("a shorter heartbeat counts from the next sign of life", () => {
  const watch = listening();
  watch.heard("a", 0, 3_600);
  watch.heard("a", 1_000, 1);
  expect(watch.sweep(4_000)).toEqual(["a"]);
});

test("one that said goodbye is not missed", () => {
  const watch = listening();
  watch.heard("a", 0, 1);
  watch.forget("a");
  expect(watch.sweep(99_000)).toEqual([]);
});

test("while we are deaf nobody is silent; when we hear again, the time begins anew", () => {
  const watch = listening();
  watch.heard("a", 0, 1);
  watch.deafen();
  expect(watch.sweep(50_000)).toEqual([]);
  watch.listen(60_000);
  expect(watch.sweep(62_000)).toEqual([]);
  expect(watch.sweep(62_500)).toEqual(["a"]);
});

test("when we were late, the devices are not", () => {
  const watch = listening();
  watch.heard("a", 0, 1);
  watch.late(2_000);
  expect(watch.sweep(4_000)).toEqual([]);
  expect(watch.sweep(4_500)).toEqual(["a"]);
});

test("whatever is heard and when, it finds exactly those a plain look at all would find", () => {
  const act = fc.record({
    device: fc.constantFrom("a", "b", "c", "d"),
    after: fc.integer({ min: 0, max: 3_000 }),
    heartbeatS: fc.integer({ min: 1, max: 4 }),
    what: fc.constantFrom("heard", "heard", "heard", "forget"),
  });
  fc.assert(
    fc.property(fc.array(act, { maxLength: 80 }), (acts) => {
      const watch = listening();
      const plain = new Map<string, { at: number; limitMs: number }>();
      let now = 0;
      for (const { device, after, heartbeatS, what } of acts) {
        now += after;
        const expected = [...plain].filter(([, { at, limitMs }]) => at + limitMs <= now).map(([id]) => id);
        for (const id of expected) plain.delete(id);
        expect(watch.sweep(now).toSorted()).toEqual(expected.toSorted());
        if (what === "heard") {
          watch.heard(device, now, heartbeatS);
          plain.set(device, { at: now, limitMs: 2_000 * heartbeatS + 400 });
        } else {
          watch.forget(device);
          plain.delete(device);
        }
        expect(watch.size).toBe(plain.size);
      }
    }),
  );
});
