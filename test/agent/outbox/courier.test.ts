import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Courier, type CourierOptions, startCourier } from "../../../agent/outbox/courier.ts";
import { nextBoot } from "../../../protocol/boot.ts";
import { DailyCheck } from "../../../protocol/daily.ts";
import { AlarmChange, DeviceEvent, DeviceInfo, DeviceState, Telemetry } from "../../../protocol/from-device.ts";
import { InventoryDocument } from "../../../protocol/inventory.ts";
import { MAX_TO_DEVICE_BYTES } from "../../../protocol/to-device.ts";
import { readDeviceTopic, topics } from "../../../protocol/topics.ts";
import { alarmDraft, eventDraft, seqs } from "../../kit/drafts.ts";
import { FakeLink } from "../../kit/fake-link.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { type KeptLog, keptLog } from "../../kit/logs.ts";
import { MemoryOutbox } from "../../kit/memory-outbox.ts";

const device = "ft-0042";

interface Scene {
  courier: Courier;
  link: FakeLink;
  outbox: MemoryOutbox;
  clock: HandClock;
  log: KeptLog;
  /** Lets everything that is ready run. */
  settle(): Promise<void>;
  /** Appends and wakes, as the agent does. */
  tell(...drafts: Parameters<MemoryOutbox["append"]>[0]): Promise<void>;
  /** Another start of the aggregator is heard of. */
  aggregator(wall: number, retained?: boolean): Promise<void>;
}

function scene(more: Partial<CourierOptions> = {}): Scene {
  const clock = new HandClock();
  const outbox = new MemoryOutbox(clock);
  const link = new FakeLink();
  const log = keptLog();
  const courier = startCourier({
    outbox,
    clock,
    log,
    device,
    agentVersion: "1.0.0",
    heartbeatS: 60,
    info: () => ({ hostname: "board" }),
    connect: link.connect,
    ...more,
  });
  const settle = (): Promise<void> => clock.wind(0);
  return {
    courier,
    link,
    outbox,
    clock,
    log,
    settle,
    async tell(...drafts) {
      await outbox.append(drafts);
      courier.wake();
      await settle();
    },
    async aggregator(wall, retained = false) {
      const boot = nextBoot(wall, new Uint8Array(10));
      const body = { online: true, boot, ts: wall, reason: "birth", version: "1" };
      await link.hear(topics.aggregator("one"), body, retained);
      await settle();
    },
  };
}

/** A scene whose first birth is over, and forgotten. */
async function born(more: Partial<CourierOptions> = {}): Promise<Scene> {
  const all = scene(more);
  all.link.comeUp();
  await all.settle();
  all.link.taken();
  return all;
}

describe("a birth", () => {
  test("is info, then what stands and what is not acknowledged in its order, then the state", async () => {
    const { outbox, link, settle, courier } = scene();
    await outbox.append([alarmDraft("a"), eventDraft("e"), alarmDraft("b"), alarmDraft("b", false), alarmDraft("c")]);
    outbox.free({ boot: outbox.boot, seq: 4 });
    link.comeUp();
    await settle();
    expect(link.taken()).toEqual(["info", "alm/a 1", "alm/b 4", "alm/c 5", "state 5 true"]);
    expect(courier.stats()).toMatchObject({ up: true, born: true });
    expect(outbox.pending()).toHaveLength(1); // the broker's word frees nothing
  });

  test("says nothing of the state before the broker has taken every record", async () => {
    const { outbox, link, settle } = scene();
    await outbox.append([alarmDraft("a"), alarmDraft("b")]);
    link.hold();
    link.comeUp();
    await settle();
    expect(link.taken()).toEqual(["info", "alm/a 1", "alm/b 2"]);
    link.release();
    await settle();
    expect(link.taken()).toEqual(["state 2 true"]);
  });

  test("takes in what is appended meanwhile, so that the state's number is true", async () => {
    const { outbox, link, settle, tell } = scene();
    await outbox.append([alarmDraft("a")]);
    link.hold();
    link.comeUp();
    await settle();
    await tell(alarmDraft("b"));
    link.release();
    await settle();
    expect(link.taken()).toEqual(["info", "alm/a 1", "alm/b 2", "state 2 true"]);
  });

  test("keeps twenty in flight at most, in order", async () => {
    const { outbox, link, settle } = scene();
    await outbox.append(Array.from({ length: 300 }, (_, at) => alarmDraft(`c${at}`)));
    link.comeUp();
    link.hold();
    await settle();
    expect(link.said).toHaveLength(20);
    link.release();
    await settle();
    expect(link.mostInFlight).toBe(20);
    const numbers = link.said.flatMap(({ topic, payload }) =>
      topic.includes("/alm/") ? [JSON.parse(payload).seq] : [],
    );
    expect(numbers).toEqual(Array.from({ length: 300 }, (_, at) => at + 1));
  });

  test("cut short, it begins anew with the next connection", async () => {
    const { outbox, link, settle, courier } = scene();
    await outbox.append([alarmDraft("a"), alarmDraft("b")]);
    link.hold();
    link.comeUp();
    await settle();
    link.goDown();
    await settle();
    expect(courier.stats()).toMatchObject({ up: false, born: false });
    link.taken();
    link.release();
    link.comeUp();
    await settle();
    expect(link.taken()).toEqual(["info", "alm/a 1", "alm/b 2", "state 2 true"]);
    expect(JSON.parse(link.wills.at(-1)?.payload ?? "")).toMatchObject({ link: 2, online: false, reason: "will" });
  });

  test("everything it says fits its schema, its topic and the payload rules", async () => {
    const { outbox, link, settle, courier, tell } = scene();
    await outbox.append([alarmDraft("disk.var"), eventDraft("agent-start")]);
    link.comeUp();
    await settle();
    await tell(alarmDraft("disk.var", false));
    courier.telemetry([{ code: "cpu", body: { ts: 1, load: 0.5 } }]);
    await settle();
    const schemas = {
      ...{ state: DeviceState, info: DeviceInfo, alarm: AlarmChange, event: DeviceEvent, tele: Telemetry },
      ...{ daily: DailyCheck, inventory: InventoryDocument },
    };
    const kinds = [...link.said, ...link.wills].map(({ topic, payload, qos, retain, expiryS }) => {
      const { kind } = readDeviceTopic(topic);
      const body: object = JSON.parse(payload);
      schemas[kind].parse(body);
      for (const value of Object.values(body)) expect(["string", "number", "boolean"]).toContain(typeof value);
      return [kind, qos, retain ?? false, expiryS ?? 0].join(" ");
    });
    expect(kinds).toEqual([
      "info 1 true 0",
      "alarm 1 true 0",
      "event 1 false 604800",
      "state 1 true 0",
      "alarm 1 true 0",
      "tele 0 false 0",
      "state 1 true 0",
    ]);
    const state = JSON.parse(link.said[3]?.payload ?? "");
    expect(state).toMatchObject({
      active: "disk.var",
      boot: outbox.boot,
      seq: 2,
      link: 1,
      heartbeat_s: 60,
      reason: "birth",
    });
  });

  test("tells how many records were given up until the aggregator knows it, and never again", async () => {
    const { outbox, link, settle } = scene();
    outbox.dropped = 7;
    await outbox.append([alarmDraft("a")]);
    for (const [told, acked] of [
      [7, { boot: outbox.boot, seq: 0 }],
      [7, { boot: nextBoot(1, new Uint8Array(10)), seq: 1 }],
      [7, { boot: outbox.boot, seq: 1 }],
      [undefined, undefined],
    ] as const) {
      link.comeUp();
      await settle();
      expect(JSON.parse(link.said.at(-1)?.payload ?? "").dropped).toBe(told);
      if (acked !== undefined) await link.ack(device, acked.boot, acked.seq);
      link.goDown();
    }
    outbox.dropped = 9;
    link.comeUp();
    await settle();
    expect(JSON.parse(link.said.at(-1)?.payload ?? "").dropped).toBe(2);
  });
});

describe("delivery", () => {
  test("a new record goes out at once, and no ack frees more than it says", async () => {
    const { link, outbox, tell, settle } = await born();
    await tell(alarmDraft("a"), alarmDraft("b"));
    expect(link.taken()).toEqual(["alm/a 1", "alm/b 2"]);
    await link.ack(device, outbox.boot, 1);
    expect(seqs(outbox.pending())).toEqual([2]);
    await settle();
    expect(link.taken()).toEqual([]);
  });

  test("while no broker is there nothing is tried", async () => {
    const { link, clock, tell } = scene();
    await tell(alarmDraft("a"));
    await clock.wind(3_600_000);
    expect(link.said).toEqual([]);
  });

  test("without an ack a record is sent again after 30 s, 60 s … at most every 5 min; an ack makes it quick again", async () => {
    const { link, outbox, clock, tell, courier } = await born();
    await tell(alarmDraft("a"));
    const at: number[] = [];
    const start = clock.now();
    for (let second = 0; second < 1_500; second += 1) {
      if (link.taken().length > 0) at.push(Math.round((clock.now() - start) / 1_000));
      await clock.wind(1_000);
    }
    expect(at).toEqual([0, 30, 90, 210, 450, 750, 1_050, 1_350]);
    expect(courier.stats().resent).toBe(7);
    await link.ack(device, outbox.boot, 1);
    await tell(alarmDraft("b"));
    link.taken();
    await clock.wind(29_999);
    expect(link.taken()).toEqual([]);
    await clock.wind(1);
    expect(link.taken()).toEqual(["alm/b 2"]);
  });

  test("a younger record does not ride along with an older one's second try", async () => {
    const { link, clock, tell } = await born();
    await tell(alarmDraft("a"));
    await clock.wind(20_000);
    await tell(alarmDraft("b"));
    link.taken();
    await clock.wind(10_000);
    expect(link.taken()).toEqual(["alm/a 1"]);
  });

  test("sent again, a change that was superseded does not become the retained one", async () => {
    const { link, clock, tell } = await born();
    await tell(alarmDraft("a"));
    await tell(alarmDraft("a", false));
    expect(link.said.map(({ retain }) => retain)).toEqual([true, true]);
    link.taken();
    await clock.wind(30_000);
    expect(link.said.map(({ retain }) => retain)).toEqual([false, true]);
  });

  test("an aggregator that started just now gets everything unacknowledged at once; one that was there gets nothing twice", async () => {
    const { link, outbox, tell, aggregator } = await born();
    await aggregator(1_000, true);
    await tell(alarmDraft("a"), alarmDraft("b"));
    await link.ack(device, outbox.boot, 1);
    link.taken();
    await aggregator(1_000);
    expect(link.taken()).toEqual([]);
    await aggregator(2_000);
    expect(link.taken()).toEqual(["alm/b 2"]);
  });

  test("a resync is a whole birth, at most one in five seconds", async () => {
    const { link, outbox, clock, tell, settle } = await born();
    await tell(alarmDraft("a"));
    await link.ack(device, outbox.boot, 1);
    await clock.wind(10_000);
    link.taken();
    const whole = ["info", "alm/a 1", "state 1 true"];
    await link.hear(topics.command(device, "resync"), {});
    await settle();
    expect(link.taken()).toEqual(whole);
    for (let i = 0; i < 50; i += 1) await link.hear(topics.command(device, "resync"), { because: "gap" });
    await clock.wind(4_999);
    expect(link.taken()).toEqual([]);
    await clock.wind(1);
    expect(link.taken()).toEqual(whole);
    await clock.wind(60_000);
    expect(link.taken()).toEqual([]);
  });

  test("what nobody heard is kept, and sent again when an aggregator comes", async () => {
    const { link, outbox, tell, aggregator, courier } = await born();
    link.answer = () => "LINK_UNHEARD";
    await tell(alarmDraft("a"));
    expect(outbox.pending()).toHaveLength(1);
    link.taken();
    link.answer = () => undefined;
    await aggregator(5_000);
    expect(link.taken()).toEqual(["alm/a 1"]);
    expect(courier.stats().refused).toBe(0);
  });

  test("what the broker forbids is told once, kept, and left alone until the next connection", async () => {
    const { link, outbox, clock, log, tell, courier, settle } = await born();
    link.answer = ({ topic }) => (topic.endsWith("alm/a") ? "LINK_DENIED" : undefined);
    await tell(alarmDraft("b"), alarmDraft("a"), alarmDraft("c"));
    await tell(alarmDraft("a", false));
    link.taken();
    await link.ack(device, outbox.boot, 4); // a state claimed all four, but two were never let through
    expect(seqs(outbox.pending())).toEqual([2, 3, 4]);
    await clock.wind(3_600_000);
    expect(link.taken().filter((said) => said.startsWith("alm/a"))).toEqual([]);
    expect(courier.stats().refused).toBe(2);
    expect(log.lines.filter(({ level }) => level === "warn")).toHaveLength(1);
    link.goDown();
    link.answer = () => undefined;
    link.comeUp();
    await settle();
    expect(link.taken()).toEqual(["info", "alm/b 1", "alm/a 2", "alm/c 3", "alm/a 4", "state 4 true"]);
    await link.ack(device, outbox.boot, 4);
    expect(outbox.pending()).toEqual([]);
  });

  test("a changed inventory is told without a birth", async () => {
    const { link, courier, settle } = await born();
    courier.tellInfo();
    await settle();
    expect(link.taken()).toEqual(["info"]);
  });
});

describe("a device that lost its past", () => {
  test("takes over the aggregator's place and gives birth again under a new boot", async () => {
    const { link, outbox, clock, tell, settle } = await born();
    await tell(alarmDraft("a"));
    link.taken();
    const known = nextBoot(clock.wall() + 86_400_000, new Uint8Array(10));
    await link.ack(device, known, 500);
    await settle();
    expect(outbox.boot > known).toBe(true);
    expect(link.taken()).toEqual(["info", "alm/a 501", "state 501 true"]);
    await link.ack(device, outbox.boot, 501);
    expect(outbox.pending()).toEqual([]);
  });

  test("is not driven round and round by another of its name", async () => {
    const { link, outbox, clock, settle } = await born();
    const boots = new Set<string>();
    for (let i = 0; i < 100; i += 1) {
      await link.ack(device, nextBoot(clock.wall() + 1, new Uint8Array(10), outbox.boot), 1);
      await settle();
      boots.add(outbox.boot);
    }
    expect(boots.size).toBe(1);
  });
});

describe("figures", () => {
  const cpu = (ts: number) => [{ code: "cpu", body: { ts, load: 1 } }];

  test("go out at once while the broker is there", async () => {
    const { courier, link, outbox } = await born();
    courier.telemetry(cpu(1));
    expect(link.said).toMatchObject([{ topic: topics.tele(device, "cpu"), qos: 0 }]);
    expect(outbox.telemetry()).toEqual([]);
  });

  test("are kept, one of each code in five minutes, while it is not; and drained slowly after the birth", async () => {
    const { courier, link, outbox, clock, settle } = scene();
    for (let minute = 0; minute < 20; minute += 1) {
      courier.telemetry([...cpu(minute), { code: "disk.var", body: { ts: minute, free_pct: 1 } }]);
      await clock.wind(60_000);
    }
    expect(outbox.telemetry().map(({ body }) => body.ts)).toEqual([0, 0, 5, 5, 10, 10, 15, 15]);
    link.comeUp();
    await settle();
    expect(link.taken().slice(0, 3)).toEqual(["info", "state 0 true", "tele/cpu"]);
    await clock.wind(100);
    expect(link.said).toHaveLength(2);
    await clock.wind(1_000);
    expect(link.said).toHaveLength(7);
    expect(outbox.telemetry()).toEqual([]);
  });

  test("stay when the broker did not take them", async () => {
    const { courier, link, outbox, clock, aggregator } = scene();
    courier.telemetry(cpu(1));
    link.answer = ({ topic }) => (topic.includes("/tele/") ? "LINK_UNHEARD" : undefined);
    link.comeUp();
    await clock.wind(600_000);
    expect(outbox.telemetry()).toHaveLength(1);
    expect(link.taken().filter((said) => said.startsWith("tele"))).toHaveLength(1);
    link.answer = () => undefined;
    await aggregator(7_000);
    expect(outbox.telemetry()).toEqual([]);
  });

  test("are kept when the line is so slow that too many are under way", async () => {
    const { courier, link, outbox } = await born();
    link.hold();
    for (let i = 0; i < 1_036; i += 1) courier.telemetry([{ code: `c${i}`, body: { ts: i } }]);
    expect(link.said).toHaveLength(1_000);
    expect(outbox.telemetry()).toHaveLength(36);
  });
});

describe("the end", () => {
  test("is said, then the link is closed", async () => {
    const { courier, link } = await born();
    await courier[Symbol.asyncDispose]();
    expect(link.taken()).toEqual(["state 0 false"]);
    expect(link.closed).toBe(true);
    courier.wake();
    courier.telemetry([{ code: "cpu", body: { ts: 1 } }]);
  });

  test("waits two seconds at most for each answer of a broker that gives none", async () => {
    const { courier, link, clock, tell } = await born();
    link.hold();
    await tell(alarmDraft("a"));
    const ending = courier[Symbol.asyncDispose]();
    await clock.wind(4_000);
    await ending;
    expect(link.taken()).toEqual(["alm/a 1", "state 1 false"]);
    expect(link.closed).toBe(true);
  });

  test("without a connection it only closes", async () => {
    const { courier, link } = scene();
    await courier[Symbol.asyncDispose]();
    expect([link.said, link.closed]).toEqual([[], true]);
  });
});

describe("whatever is sent to the device", () => {
  test("is counted and told once per kind when it cannot be understood, and changes nothing", async () => {
    const { courier, link, outbox, tell, log } = await born();
    await tell(alarmDraft("a"));
    link.taken();
    const before = courier.stats().refused;
    for (let i = 0; i < 20; i += 1) {
      await link.hear(topics.ack(device), { boot: outbox.boot, seq: "1" });
      await link.hear(topics.ack(device), Buffer.alloc(MAX_TO_DEVICE_BYTES + 1, "["));
      await link.hear(topics.ack("ft-0043"), { boot: outbox.boot, seq: 1 });
      await link.hear(topics.command(device, "format-disk"), {});
      await link.hear(topics.aggregator("one"), null);
      await link.hear(topics.ack(device), { boot: "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", seq: -1 });
    }
    expect(courier.stats().refused - before).toBe(120);
    expect(log.lines.filter(({ level }) => level === "warn")).toHaveLength(5);
    expect(seqs(outbox.pending())).toEqual([1]);
    expect(link.taken()).toEqual([]);
  });

  test("random bytes on any topic are refused or understood, never thrown", async () => {
    const { link, outbox, tell } = await born();
    await tell(alarmDraft("a"));
    const topic = fc.oneof(
      fc.constantFrom(topics.ack(device), topics.command(device, "resync"), topics.aggregator("one")),
      fc.string(),
    );
    const body = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.jsonValue());
    await fc.assert(fc.asyncProperty(topic, body, (to, what) => link.hear(to, what)));
    expect(seqs(outbox.pending())).toEqual([1]);
  });
});

test("whoever invents aggregators does not fill our memory, and the one known longest is heard of anew", async () => {
  const { outbox, link, settle, tell } = await born();
  await tell(alarmDraft("a"));
  link.taken();
  const say = async (node: string, wall: number): Promise<void> => {
    const boot = nextBoot(wall, new Uint8Array(10));
    await link.hear(topics.aggregator(node), { online: true, boot, ts: wall, reason: "birth", version: "1" });
    await settle();
  };
  await say("one", 1);
  expect(link.taken()).toEqual(["alm/a 1"]);
  await say("one", 1);
  expect(link.taken()).toEqual([]); // known
  for (let node = 0; node < 64; node += 1) await say(`false-${node}`, 1);
  link.taken();
  await say("one", 1);
  expect(link.taken()).toEqual(["alm/a 1"]);
  expect(outbox.pending()).toHaveLength(1);
});

test("of very many alarms every last word is retained, or the broker would tell an old one for ever", async () => {
  const { outbox, link, settle } = scene();
  const codes = Array.from({ length: 300 }, (_, i) => `c${i}`);
  for (const code of codes) await outbox.append([alarmDraft(code), alarmDraft(code, false)]);
  link.comeUp();
  await settle();
  const retained = new Map(link.said.flatMap(({ topic, payload, retain }) => (retain ? [[topic, payload]] : [])));
  for (const code of codes) expect(JSON.parse(retained.get(topics.alarm(device, code)) ?? "{}").active).toBe(false);
});

test("with a broker there the figures of hundreds of subjects go to it, and none to the flash", async () => {
  const { courier, outbox, link, settle } = await born();
  const list = Array.from({ length: 400 }, (_, i) => ({ code: `process.p${i}`, body: { ts: 1, n_count: i } }));
  courier.telemetry(list);
  await settle();
  expect(link.said).toHaveLength(400);
  expect(outbox.telemetry()).toEqual([]);
});

test("whoever acknowledges is alive: what it has not acknowledged yet gets its time anew", async () => {
  const { outbox, link, clock, tell } = await born();
  await tell(alarmDraft("a"), alarmDraft("b"));
  link.taken();
  await clock.wind(20_000);
  await link.ack(device, outbox.boot, 1);
  await clock.wind(29_000);
  expect(link.taken()).toEqual([]);
  await clock.wind(2_000);
  expect(link.taken()).toEqual(["alm/b 2"]);
});

test("an aggregator that was there before us is no reason to say all again", async () => {
  const { link, tell, aggregator } = await born();
  await tell(alarmDraft("a"));
  link.taken();
  await aggregator(5, true);
  expect(link.taken()).toEqual([]);
  await aggregator(6);
  expect(link.taken()).toEqual(["alm/a 1"]);
});
