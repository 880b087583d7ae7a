import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { startCourier } from "../../../agent/outbox/courier.ts";
import { Skews } from "../../../agent/outbox/skews.ts";
import { systemClock } from "../../../platform/clock.ts";
import { openMqttLink } from "../../../platform/mqtt-link.ts";
import { nextBoot } from "../../../protocol/boot.ts";
import { topics } from "../../../protocol/topics.ts";
import { startMosquitto } from "../../kit/broker.ts";
import { FakeLink } from "../../kit/fake-link.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { recordLink } from "../../kit/link-recorder.ts";
import { keptLog } from "../../kit/logs.ts";
import { MemoryOutbox } from "../../kit/memory-outbox.ts";
import { needs } from "../../kit/peers.ts";

const MIN = 60_000;
const T0 = Date.UTC(2026, 10, 22, 9, 0, 0);

describe("how far our clock is from an aggregator's", () => {
  test("is known from the second word on that keeps step with the first", () => {
    const skews = new Skews(4);
    skews.heard("one", T0, { now: 0, wall: T0 + 7_000 });
    expect(skews.least(0)).toBeUndefined();
    skews.heard("one", T0 + MIN, { now: MIN, wall: T0 + 7_000 + MIN });
    expect(skews.least(MIN + 5_000)).toEqual({ ms: 7_000, at: MIN });
    expect(skews.least(7 * MIN)).toBeUndefined(); // it is silent: what it said is old
  });
  test("is not told by what waited at the broker while we were away, however much of it", () => {
    const skews = new Skews(4);
    for (let said = 0; said < 60; said += 1)
      skews.heard("one", T0 + said * MIN, { now: 100 * MIN + said * 5, wall: T0 + 100 * MIN });
    expect(skews.least(100 * MIN + 300)).toBeUndefined();
    skews.heard("one", T0 + 100 * MIN + 30_000, { now: 100 * MIN + 30_000, wall: T0 + 100 * MIN + 30_000 });
    expect(skews.least(100 * MIN + 30_000)).toBeUndefined();
    skews.heard("one", T0 + 101 * MIN + 30_000, { now: 101 * MIN + 30_000, wall: T0 + 101 * MIN + 30_000 });
    expect(skews.least(101 * MIN + 30_000)).toEqual({ ms: 0, at: 101 * MIN + 30_000 });
  });
  test("of several the nearest counts: an aggregator that is wrong blames nobody", () => {
    const skews = new Skews(4);
    for (const at of [0, MIN]) {
      skews.heard("wrong", T0 + at - 86_400_000, { now: at, wall: T0 + at });
      skews.heard("right", T0 + at + 40, { now: at, wall: T0 + at });
    }
    expect(skews.least(MIN)).toEqual({ ms: -40, at: MIN });
  });
  test("whatever was delayed, and however long: what is told is right to a few seconds", () => {
    const words = fc.array(fc.tuple(fc.nat({ max: 120_000 }), fc.nat({ max: 600_000 })), { maxLength: 30 });
    fc.assert(
      fc.property(words, fc.integer({ min: -1e7, max: 1e7 }), (list, skew) => {
        const skews = new Skews(4);
        let [said, heard, worst] = [0, 0, 0];
        for (const [gap, delay] of list) {
          said += gap;
          const before = heard;
          heard = Math.max(heard, said + delay);
          if (heard - before >= 10_000) worst = Math.max(worst, heard - said);
          skews.heard("one", T0 + said, { now: heard, wall: T0 + heard + skew });
        }
        const least = skews.least(heard);
        // a delay that stays the same cannot be told from a clock; nothing else may add to it
        if (least !== undefined) expect(least.ms - skew).toBeLessThanOrEqual(worst + 1);
      }),
    );
  });
  test("invented aggregators do not fill the memory", () => {
    const skews = new Skews(2);
    for (let node = 0; node < 5; node += 1)
      for (const at of [0, MIN]) skews.heard(`n${node}`, T0 + at, { now: at, wall: T0 + at });
    skews.heard("n0", T0 + 2 * MIN, { now: 2 * MIN, wall: T0 });
    expect(skews.least(2 * MIN)).toMatchObject({ ms: 0 });
  });
});

describe("the courier", () => {
  const parts = (clock: HandClock) => ({
    ...{ outbox: new MemoryOutbox(clock), clock, log: keptLog(), device: "ft-0042", agentVersion: "1", heartbeatS: 60 },
    info: () => ({ hostname: "board" }),
  });
  const state = (ts: number) => ({
    online: true,
    boot: nextBoot(T0, new Uint8Array(10)),
    ts,
    reason: "birth",
    version: "1",
  });

  test("takes live words, not retained ones, and not those of an aggregator that leaves", async () => {
    const clock = new HandClock(T0);
    const link = new FakeLink();
    await using courier = startCourier({ ...parts(clock), connect: link.connect });
    link.comeUp();
    await clock.wind(0);
    const hear = (body: object, retained = false) => link.hear(topics.aggregator("one"), body, retained);
    await hear(state(clock.wall() - 9_000), true);
    await clock.wind(MIN);
    await hear(state(clock.wall() - 9_000));
    expect(courier.link()).toEqual({ up: true });
    await clock.wind(MIN);
    await hear({ ...state(clock.wall() - 9_000), online: false });
    expect(courier.link()).toEqual({ up: true });
    await hear(state(clock.wall() - 9_000));
    expect(courier.link()).toEqual({ up: true, skew: { ms: 9_000, at: 2 * MIN } });
  });

  test.skipIf(needs("mosquitto", "mosquitto"))("hears it through a real broker, and its round trip", async () => {
    await using broker = await startMosquitto();
    const clock = new HandClock(T0);
    const log = keptLog();
    const open = openMqttLink({ clock: systemClock, random: Math.random, log });
    const options = {
      brokers: [{ host: "127.0.0.1", port: broker.port }] as const,
      ...{ keepaliveS: 1, sessionExpiryS: 60, receiveMaximum: 20 },
    };
    const said = recordLink();
    const will = () => ({ topic: "w", payload: "{}", qos: 0 as const, delayS: 0 });
    await using aggregator = open({ ...options, clientId: "agg", subscriptions: ["none"], will }, said.events);
    await said.until(() => said.ups.length > 0);
    await using courier = startCourier({
      ...parts(clock),
      connect: (part, events) => open({ ...options, ...part, clientId: "ft-0042" }, events),
    });
    const tell = (): Promise<void> =>
      aggregator
        .publish({
          topic: topics.aggregator("one"),
          payload: JSON.stringify(state(clock.wall() + 6_000)),
          qos: 1,
          retain: true,
        })
        .catch(() => {});
    while (!courier.link().up) await systemClock.sleep(10);
    while (courier.link().skew === undefined) {
      await tell();
      await systemClock.sleep(50);
      await clock.wind(MIN);
    }
    expect(Math.abs((courier.link().skew?.ms ?? 0) + 6_000)).toBeLessThan(2_500);
    while (courier.link().rttMs === undefined) await systemClock.sleep(20);
    expect(courier.link().rttMs).toBeGreaterThan(0);
    expect(courier.link().rttMs).toBeLessThan(1_000);
  });
});
