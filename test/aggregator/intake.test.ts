import { expect, test } from "vitest";
import { openSqliteStore } from "../../aggregator/sqlite-store.ts";
import type { Store, Tx } from "../../aggregator/store.ts";
import { Failure } from "../../protocol/failure.ts";
import { topics } from "../../protocol/topics.ts";
import { AggregatorRig, FakeDevice } from "../kit/aggregator.ts";

/** A store whose transactions can be made to fail. */
function moody(): { store: Store; mood: { fails?: (tx: Tx) => Tx } } {
  const real = openSqliteStore({ file: ":memory:" });
  const mood: { fails?: (tx: Tx) => Tx } = {};
  const store: Store = {
    reading: real.reading,
    transaction: (work) => real.transaction((tx) => work(mood.fails?.(tx) ?? tx)),
    shownTickets: (page) => real.shownTickets(page),
    hideTickets: (nos) => real.hideTickets(nos),
    [Symbol.asyncDispose]: () => real[Symbol.asyncDispose](),
  };
  return { store, mood };
}
const busy = () => {
  throw new Failure("STORE_BUSY", "disk full");
};

test("a full queue holds the line, and lets it go when the batch is committed", async () => {
  const { store } = moody();
  await using rig = await new AggregatorRig(store, { intake: { queueMessages: 100, batchMessages: 60 } }).start();
  const device = new FakeDevice();
  let held = 0;
  for (let i = 0; i < 100; i += 1) {
    const { topic, body } = device.tele(`t.c${i}`);
    const taken = rig.hear(topic, body);
    if (taken === undefined) continue;
    held += 1;
    void taken.then(() => {
      held -= 1;
    });
  }
  expect(held).toBe(1);
  await rig.settle();
  expect(held).toBe(0);
  expect(Object.keys(await store.reading.telemetry(device.id))).toHaveLength(100);
});

test("a payload heavy queue holds the line by its bytes", async () => {
  const { store } = moody();
  await using rig = await new AggregatorRig(store, { intake: { queueBytes: 262_144 } }).start();
  const heavy = { ...new FakeDevice().state().body, padding: "x".repeat(8_000 - 400) };
  const held = Array.from({ length: 40 }, () => rig.hear(topics.state("ft-0042"), heavy)).filter(
    (taken) => taken !== undefined,
  );
  expect(held.length).toBeGreaterThan(0);
  await rig.settle();
  await Promise.all(held);
});

test("while the store cannot write, nothing is acknowledged, told or lost, and nobody is called silent", async () => {
  const { store, mood } = moody();
  await using rig = await new AggregatorRig(store).start();
  const device = new FakeDevice();
  device.heartbeatS = 5;
  void rig.hear(topics.state(device.id), device.state().body);
  await rig.settle();
  mood.fails = busy;
  const { topic, body } = device.raise("disk.var");
  void rig.hear(topic, body);
  await rig.clock.wind(60_000);
  expect(rig.on(topics.ack(device.id))).toEqual([{ boot: device.boot, seq: 0 }]);
  expect(rig.face.health()).toEqual({ ok: false, because: ["the store cannot write: STORE_BUSY"] });
  expect(rig.log.lines.filter(({ facts }) => facts.event === "store.stuck")).toHaveLength(1);
  delete mood.fails;
  await rig.clock.wind(6_000);
  expect(rig.on(topics.ack(device.id)).at(-1)).toEqual({ boot: device.boot, seq: 1 });
  expect(await store.reading.tickets({}, { limit: 9 })).toHaveLength(1);
  expect((await store.reading.device(device.id))?.presence).toBe("online");
  expect(rig.face.health().ok).toBe(true);
});

test("a store that fails while nobody speaks is seen in the health, and logged once", async () => {
  const { store, mood } = moody();
  await using rig = await new AggregatorRig(store).start();
  mood.fails = busy;
  await rig.clock.wind(60_000);
  expect(rig.face.health()).toEqual({ ok: false, because: ["the store cannot write: STORE_BUSY"] });
  expect(rig.log.lines.filter(({ facts }) => facts.event === "rounds.failed")).toHaveLength(1);
  delete mood.fails;
  await rig.clock.wind(1_000);
  expect(rig.face.health().ok).toBe(true);
});

test("one message the store chokes on is refused, and its neighbours are committed", async () => {
  const { store, mood } = moody();
  await using rig = await new AggregatorRig(store).start();
  const device = new FakeDevice();
  mood.fails = (tx) =>
    new Proxy(tx, {
      get: (target, key) => {
        const own = Reflect.get(target, key);
        if (key !== "saveTelemetry") return typeof own === "function" ? own.bind(target) : own;
        return (...args: Parameters<Tx["saveTelemetry"]>) => {
          if (args[1] === "poison.x") throw new TypeError("a bug");
          return target.saveTelemetry(...args);
        };
      },
    });
  for (const code of ["a.x", "poison.x", "b.x"]) {
    const { topic, body } = device.tele(code);
    void rig.hear(topic, body);
  }
  await rig.settle();
  expect(Object.keys(await store.reading.telemetry(device.id))).toEqual(["a.x", "b.x"]);
  expect(rig.face.counters().vigil_refused_total).toEqual([{ labels: { code: "MESSAGE_REFUSED" }, value: 1 }]);
});

test("what was heard before the stop is committed", async () => {
  const { store } = moody();
  await using rig = await new AggregatorRig(store).start();
  const { topic, body } = new FakeDevice().raise("disk.var");
  void rig.hear(topic, body);
  await rig.stop();
  expect(await store.reading.alarms({}, { limit: 9 })).toHaveLength(1);
});

test("alarm codes of one device are bounded: long-cleared ones make room, active ones do not", async () => {
  const { store } = moody();
  await using rig = await new AggregatorRig(store, { limits: { alarmCodes: 10 } }).start();
  const device = new FakeDevice();
  for (let i = 0; i < 12; i += 1) {
    const { topic, body } = device.raise(`a.c${i}`);
    void rig.hear(topic, body);
  }
  await rig.settle();
  const codes = async () => (await store.reading.alarms({}, { limit: 99 })).map(({ code }) => code);
  expect(await codes()).toHaveLength(10);
  for (const message of [device.clear("a.c0"), device.raise("a.new")]) void rig.hear(message.topic, message.body);
  await rig.settle();
  expect(await codes()).toContain("a.new");
  expect(await codes()).not.toContain("a.c0");
});

test("figures wait for company, whatever else comes does not", async () => {
  const { store } = moody();
  await using rig = await new AggregatorRig(store).start();
  const device = new FakeDevice();
  const hear = ({ topic, body }: { topic: string; body: object }) => void rig.hear(topic, body);
  const figures = async () => Object.keys(await store.reading.telemetry(device.id));
  hear(device.tele("a.x"));
  await rig.clock.wind(190);
  expect(await figures()).toEqual([]);
  await rig.clock.wind(20);
  expect(await figures()).toEqual(["a.x"]);
  hear(device.tele("b.x"));
  await rig.clock.wind(50);
  hear(device.raise("disk.var"));
  await rig.clock.wind(30);
  expect(await figures()).toEqual(["a.x", "b.x"]);
  expect(await store.reading.alarms({}, { limit: 10 })).toHaveLength(1);
});
