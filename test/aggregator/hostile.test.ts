import fc from "fast-check";
import { expect, test } from "vitest";
import { openSqliteStore } from "../../aggregator/sqlite-store.ts";
import { MAX_BYTES } from "../../protocol/from-device.ts";
import { topics } from "../../protocol/topics.ts";
import { AggregatorRig, FakeDevice } from "../kit/aggregator.ts";

const ID = "ft-0042";
const TOPICS = [
  topics.state(ID),
  topics.info(ID),
  topics.tele(ID, "self"),
  topics.alarm(ID, "disk.var"),
  topics.event(ID, "agent.start"),
];
const rigged = () => new AggregatorRig(openSqliteStore({ file: ":memory:" })).start();
const refused = (rig: AggregatorRig): Record<string, number> =>
  Object.fromEntries(
    ([rig.face.counters().vigil_refused_total ?? []].flat() as { labels: { code: string }; value: number }[]).map(
      ({ labels, value }) => [labels.code, value],
    ),
  );
/** Still at work: a fault of an honest device becomes a ticket. */
async function lives(rig: AggregatorRig): Promise<void> {
  const honest = new FakeDevice(`honest-${rig.clock.now()}`);
  for (const { topic, body } of [honest.state(), honest.raise("disk.var")]) void rig.hear(topic, body);
  await rig.settle();
  expect(await rig.store.reading.tickets({ device: honest.id }, { limit: 9 })).toHaveLength(1);
}

test("random bytes on every topic are refused and counted", async () => {
  await using rig = await rigged();
  let sent = 0;
  fc.assert(
    fc.property(fc.constantFrom(...TOPICS), fc.uint8Array({ maxLength: 300 }), (topic, bytes) => {
      void rig.hear(topic, bytes);
      sent += 1;
    }),
    { numRuns: 500 },
  );
  await rig.settle();
  expect(refused(rig)).toEqual({ MESSAGE_INVALID: sent });
  await lives(rig);
});

test("any JSON on every topic is either taken or refused by its type, never thrown", async () => {
  await using rig = await rigged();
  const base = new FakeDevice(ID);
  const valid = [base.state(), base.raise("disk.var"), base.tele()].map(({ topic, body }) => ({ topic, body }));
  let sent = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...valid),
      fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 4 }),
      fc.constantFrom(...Object.keys({ ...valid[0]?.body, ...valid[1]?.body })),
      fc.jsonValue(),
      ({ topic, body }, more, key, value) => {
        void rig.hear(topic, { ...more, ...body, [key]: value });
        void rig.hear(topic, JSON.stringify(value));
        sent += 2;
      },
    ),
    { numRuns: 500 },
  );
  await rig.settle();
  const taken = ([rig.face.counters().vigil_messages_total ?? []].flat() as { value: number }[]).reduce(
    (sum, { value }) => sum + value,
    0,
  );
  const { MESSAGE_INVALID = 0, MESSAGE_TOPIC = 0, ...others } = refused(rig);
  expect(others).toEqual({});
  expect(taken + MESSAGE_INVALID + MESSAGE_TOPIC).toBe(sent);
  await lives(rig);
});

test("topics that are not a device's are refused", async () => {
  await using rig = await rigged();
  const body = new FakeDevice().state().body;
  const wrong = [
    "",
    "vigil/v1/d//state",
    "vigil/v1/d/../state",
    "vigil/v1/d/FT/state",
    "vigil/v1/d/ft/alm",
    "vigil/v1/d/ft/alm/a/b",
    "vigil/v1/d/ft/ack",
    "vigil/v1/d/ft/toString/x",
    "vigil/v1/d/__proto__/state",
    "vigil/v1/t/GZ-20261122-0001",
    `vigil/v1/d/${"a".repeat(41)}/state`,
    "\u0000",
  ];
  for (const topic of wrong) void rig.hear(topic, body);
  expect(refused(rig)).toEqual({ MESSAGE_TOPIC: wrong.length });
  await rig.settle();
  expect(await rig.store.reading.devices({ limit: 9 })).toEqual([]);
});

test("a megabyte is refused before it is read", async () => {
  await using rig = await rigged();
  const large = Buffer.alloc(1_048_576, "[");
  for (const topic of TOPICS) void rig.hear(topic, large);
  expect(refused(rig)).toEqual({ MESSAGE_TOO_LARGE: TOPICS.length });
  await lives(rig);
});

test("nesting as deep as a payload allows is refused", async () => {
  await using rig = await rigged();
  void rig.hear(topics.info(ID), "[".repeat(MAX_BYTES.info));
  void rig.hear(topics.info(ID), "[".repeat(MAX_BYTES.info / 2) + "]".repeat(MAX_BYTES.info / 2));
  void rig.hear(topics.info(ID), `${'{"a":'.repeat(10_000)}1${"}".repeat(10_000)}`);
  expect(refused(rig)).toEqual({ MESSAGE_INVALID: 3 });
  await lives(rig);
});

test("a device speaks for itself only, whatever its payload claims", async () => {
  await using rig = await rigged();
  const victim = new FakeDevice("victim");
  const thief = new FakeDevice("thief");
  for (const { topic, body } of [victim.state(), victim.raise("disk.var")]) void rig.hear(topic, body);
  for (const { topic, body } of [thief.raise("disk.var"), thief.clear("disk.var"), thief.will()]) {
    void rig.hear(topic, { ...body, device: "victim", id: "victim", topic: topics.alarm("victim", "disk.var") });
  }
  await rig.settle();
  expect((await rig.store.reading.alarms({ device: "victim" }, { limit: 9 })).map(({ active }) => active)).toEqual([
    true,
  ]);
  expect((await rig.store.reading.device("victim"))?.presence).toBe("online");
});

test("the aggregator's own alarm cannot be raised or cleared by a device", async () => {
  await using rig = await rigged();
  const device = new FakeDevice(ID);
  for (const { topic, body } of [
    device.raise("device.offline"),
    device.raise("x.y", { check: "device" }),
    device.raise("device"),
  ]) {
    void rig.hear(topic, body);
  }
  await rig.settle();
  expect(await rig.store.reading.alarms({}, { limit: 9 })).toEqual([]);
  expect(refused(rig)).toEqual({ MESSAGE_TOPIC: 3 });
});

test("unknown fields are tolerated, prototype keys and huge numbers do no harm", async () => {
  await using rig = await rigged();
  const device = new FakeDevice(ID);
  const { topic, body } = device.raise("disk.var");
  void rig.hear(topic, { ...body, tomorrow: { deep: [1] }, constructor: "x", toString: 1 });
  const tele = `{"ts":1,"__proto__":{"polluted":1},"constructor":2,"a_pct":1.5,"b_pct":-0}`;
  void rig.hear(topics.tele(ID, "self"), tele);
  void rig.hear(topics.tele(ID, "self"), '{"ts":1,"a_pct":1e999}');
  void rig.hear(topics.tele(ID, "self"), '{"ts":1e300}');
  void rig.hear(topics.tele(ID, "self"), '{"ts":1,"a_pct":NaN}');
  void rig.hear(topics.alarm(ID, "a.x"), { ...body, seq: Number.MAX_SAFE_INTEGER });
  void rig.hear(topics.alarm(ID, "a.x"), JSON.stringify(body).replace(/"seq":\d+/, '"seq":1e30'));
  await rig.settle();
  expect(refused(rig)).toEqual({ MESSAGE_INVALID: 4 });
  expect(await rig.store.reading.telemetry(ID)).toEqual({ self: { ts: 1, constructor: 2, a_pct: 1.5, b_pct: 0 } });
  expect({}).not.toHaveProperty("polluted");
  expect(await rig.store.reading.tickets({}, { limit: 9 })).toHaveLength(2);
  await lives(rig);
});

test("text that would forge lines or turn the reading direction is made plain", async () => {
  await using rig = await rigged();
  const device = new FakeDevice(ID);
  const evil = "a\u001b[31m\nb\u202ec\ud800d\u0000";
  const { topic, body } = device.raise("disk.var", { title_zh: evil, says: evil, subject: evil });
  void rig.hear(topic, body);
  await rig.settle();
  const [row] = await rig.store.reading.alarms({}, { limit: 9 });
  expect(row).toMatchObject({
    titleZh: "a [31m b c\ufffdd ",
    says: "a [31m b c\ufffdd ",
    subject: "a [31m b c\ufffdd ",
  });
});

test("a flood of refusals is logged once a minute for each device and code, without its control characters", async () => {
  await using rig = await rigged();
  for (let i = 0; i < 1_000; i += 1) void rig.hear(topics.state(ID), `\u001b[2Jnot json\n${"x".repeat(500)}`);
  void rig.hear(topics.state("other"), "{}");
  const lines = () => rig.log.lines.filter(({ facts }) => facts.event === "intake.refused");
  expect(lines().map(({ facts }) => facts["device"])).toEqual([ID, "other"]);
  expect(String(lines()[0]?.facts["sample"])).toMatch(/^ \[2Jnot json x{1,80}$/);
  await rig.clock.wind(61_000);
  void rig.hear(topics.state(ID), "again");
  expect(lines()).toHaveLength(3);
  expect(refused(rig)["MESSAGE_INVALID"]).toBe(1_002);
});
