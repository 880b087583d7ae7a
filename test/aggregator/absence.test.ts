import * as fc from "fast-check";
import { expect, test } from "vitest";
import { accountsFor } from "../../aggregator/absence.ts";
import { says } from "../../aggregator/says.ts";
import { openSqliteStore } from "../../aggregator/sqlite-store.ts";
import type { TicketRow } from "../../aggregator/store.ts";
import { verifyTickets } from "../../aggregator/tickets/verify.ts";
import type { AlarmChange } from "../../protocol/from-device.ts";
import type { TicketState } from "../../protocol/ticket.ts";
import { alarmRow, deviceRow } from "../contract/store.ts";
import { AggregatorRig, BOOTS, FakeDevice, type Message } from "../kit/aggregator.ts";

/** What a device tells of a dead line once it is back, or told before it fell silent, is the ticket of its absence. */

const MINUTE = 60_000;
const all = { limit: 100 };
const rigged = (config: Record<string, unknown> = {}) =>
  new AggregatorRig(openSqliteStore({ file: ":memory:" }), config).start();
const say = async (rig: AggregatorRig, ...messages: Message[]) => {
  for (const { topic, body } of messages) void rig.hear(topic, body);
  await rig.settle();
};
const standing = async (rig: AggregatorRig) =>
  (await rig.store.reading.tickets({}, all)).map(({ code, state, level }) => [code, state, level]);
const kinds = async (rig: AggregatorRig) =>
  (await rig.store.reading.timeline("GZ-20261122-0001")).map(({ kind, data }) =>
    [kind, data["change"], kind === "child" ? data["code"] : undefined].filter(Boolean).join(" "),
  );

const GATEWAY = { reason: "gateway", title_zh: "网关不可达", title_en: "gateway unreachable" } as const;
const BROKER = { reason: "broker", title_zh: "消息服务器不可达", title_en: "broker unreachable" } as const;
const LOSS = { reason: "broker-loss", severity: "warning" } as const;
const MAINS = { reason: "mains", title_zh: "市电中断", title_en: "mains lost" } as const;
const explained = { ...BROKER, explained_by: "network.gateway" };
const ONE_RESTORED = [["device.offline", "已恢复", 2]];

/** A device whose clock is ours plus `aheadMs`; it sends a sign of life every five seconds. */
async function deviceAt(rig: AggregatorRig, aheadMs = 0): Promise<FakeDevice> {
  const device = new FakeDevice();
  device.heartbeatS = 5;
  device.ts = rig.clock.wall() + aheadMs;
  await say(rig, device.state());
  return device;
}
/** What it records of itself so long after now. */
const after = (device: FakeDevice, ms: number, record: () => Message): Message => {
  device.ts += ms;
  return record();
};
/** The broker tells its end, and after a minute that is a ticket. */
async function goes(rig: AggregatorRig, device: FakeDevice): Promise<void> {
  const end = device.will();
  device.ts -= 1;
  await say(rig, end);
  await rig.clock.wind(5 * MINUTE);
}
/** First a figure, as a sign of life and of its clock, then what waited, then the birth. */
async function returns(rig: AggregatorRig, device: FakeDevice, aheadMs: number, ...told: Message[]): Promise<void> {
  device.ts = rig.clock.wall() + aheadMs;
  device.link += 1;
  await say(rig, device.tele(), ...told, device.state());
}
/** What an agent writes while its gateway is dead. */
const dead = (device: FakeDevice): Message[] => [
  after(device, 30_000, () => device.raise("network.gateway", GATEWAY)),
  after(device, 20_000, () => device.raise("network.broker", explained)),
];
const mended = (device: FakeDevice): Message[] => [
  after(device, 1_000, () => device.clear("network.gateway", GATEWAY)),
  device.change("network.broker", BROKER),
  after(device, 1_000, () => device.clear("network.broker", BROKER)),
];

test.each([
  [0, "will"],
  [-7_200_000, "will"],
  [0, "silence"],
  [-7_200_000, "silence"],
  [86_400_000, "silence"],
] as const)(
  "a dead gateway, told by a clock %i ms ahead once the line is back after a %s, is the ticket of the absence",
  async (aheadMs, how) => {
    await using rig = await rigged();
    const device = await deviceAt(rig, aheadMs);
    if (how === "will") await goes(rig, device);
    else await rig.clock.wind(5 * MINUTE);
    expect(await standing(rig)).toEqual([["device.offline", "新建", 2]]);
    await returns(rig, device, aheadMs, ...dead(device));
    expect(await standing(rig)).toEqual(ONE_RESTORED);
    await rig.later(60_000);
    device.ts = rig.clock.wall() + aheadMs;
    await say(rig, ...mended(device));
    await rig.later(10 * MINUTE);
    expect(await standing(rig)).toEqual(ONE_RESTORED);
    expect(await kinds(rig)).toEqual([
      "opened",
      "restored",
      "child accounts network.gateway",
      "child accounts network.broker",
      "child accounted network.gateway",
      "child accounted network.broker",
    ]);
    const event = (await rig.store.reading.timeline("GZ-20261122-0001"))[4];
    expect(event && says(event)).toEqual({
      zh: expect.stringMatching(
        /^设备自述：ft-0042 network.gateway 网关不可达（重要），2026-11-22 1\d:\d\d:\d\d 至 2026-11-22 1\d:\d\d:\d\d$/,
      ),
      en: expect.stringMatching(
        /^the device's own word: ft-0042 network.gateway gateway unreachable \(major\), from 2026-11-22 .* to 2026/,
      ),
    });
    const alarms = await rig.store.reading.alarms({}, all);
    expect(alarms.map(({ code, ticket }) => [code, ticket])).toEqual(
      ["device.offline", "network.broker", "network.gateway"].map((code) => [code, "GZ-20261122-0001"]),
    );
    expect(await verifyTickets(rig.store.reading)).toEqual([]);
  },
);

test("what lasts when the line is back gets a ticket of its own after its grace, with its consequences", async () => {
  await using rig = await rigged();
  const device = await deviceAt(rig);
  await goes(rig, device);
  await returns(rig, device, 0, ...dead(device));
  await rig.later(80_000);
  expect(await standing(rig)).toEqual(ONE_RESTORED);
  await rig.later(15_000);
  expect(await standing(rig)).toEqual([...ONE_RESTORED, ["network.gateway", "新建", 2]]);
  expect((await kinds(rig)).slice(-2)).toEqual(["child left network.gateway", "child left network.broker"]);
  await say(rig, ...mended(device));
  expect(await standing(rig)).toEqual([...ONE_RESTORED, ["network.gateway", "已恢复", 2]]);
});

test("whatever the order and however often: one ticket, restored once", { timeout: 60_000 }, async () => {
  const order = fc.shuffledSubarray([0, 1, 2, 3, 4, 0, 2, 4, 1, 3], { minLength: 10 });
  await fc.assert(
    fc.asyncProperty(order, fc.boolean(), fc.integer({ min: 0, max: 9 }), async (places, byWill, births) => {
      await using rig = await rigged();
      const device = await deviceAt(rig);
      if (byWill) await goes(rig, device);
      else await rig.clock.wind(5 * MINUTE);
      expect(await standing(rig)).toEqual([["device.offline", "新建", 2]]);
      const records = [...dead(device), ...mended(device)];
      const told = places.flatMap((place) => records[place] ?? []);
      await returns(rig, device, 0, ...told.slice(0, births));
      await say(rig, ...told.slice(births), device.state());
      await rig.later(10 * MINUTE);
      expect(await standing(rig)).toEqual(ONE_RESTORED);
      expect((await kinds(rig)).filter((kind) => kind === "restored")).toHaveLength(1);
      expect(await verifyTickets(rig.store.reading)).toEqual([]);
    }),
    { numRuns: 25 },
  );
});

test("the aggregator ends in between and the birth is told again: one ticket still", async () => {
  const store = openSqliteStore({ file: ":memory:" });
  const before = await new AggregatorRig(store).start();
  const device = await deviceAt(before);
  await goes(before, device);
  const waiting = dead(device);
  await returns(before, device, 0, ...waiting.slice(0, 1));
  await before.stop();
  await using rig = await new AggregatorRig(store, {}, before.clock).start();
  device.boot = BOOTS[1];
  device.link = 1;
  await say(rig, ...waiting, device.state(), ...waiting, ...mended(device), device.state());
  await rig.later(10 * MINUTE);
  expect(await standing(rig)).toEqual(ONE_RESTORED);
});

test("without the store that knew of the absence the device's word alone opens the ticket", async () => {
  await using rig = await rigged();
  const device = new FakeDevice();
  await say(rig, device.tele(), ...dead(device), device.state());
  expect(await standing(rig)).toEqual([["network.gateway", "新建", 2]]);
});

test.each([
  [0, "will"],
  [1, "will"],
  [0, "silence"],
  [1, "silence"],
] as const)(
  "a line that comes for a moment, for %i records, and goes again by its %s is one ticket",
  async (heard, how) => {
    await using rig = await rigged();
    const device = await deviceAt(rig);
    const leaves = () => (how === "will" ? goes(rig, device) : rig.clock.wind(5 * MINUTE));
    await leaves();
    const waiting = dead(device);
    device.ts = rig.clock.wall();
    device.link += 1;
    await say(rig, device.tele(), ...waiting.slice(0, heard)); // and the rest is not heard
    await leaves();
    await rig.later(2 * MINUTE);
    await rig.later(2 * MINUTE);
    expect(await standing(rig)).toEqual([["device.offline", "重新打开", 2]]);
    await returns(rig, device, 0, ...waiting, ...mended(device));
    await rig.later(10 * MINUTE);
    expect(await standing(rig)).toEqual(ONE_RESTORED);
  },
);

test("a clock that was set while nobody heard it does not part the word from its absence", async () => {
  await using rig = await rigged();
  const device = await deviceAt(rig, -30 * 365 * 86_400_000);
  await goes(rig, device);
  await returns(rig, device, 0, ...dead(device), ...mended(device));
  await rig.later(10 * MINUTE);
  expect(await standing(rig)).toEqual(ONE_RESTORED);
});

test.each<[string, Partial<AlarmChange>, number]>([
  ["network.broker", LOSS, 65], // a share of the last hour
  ["network.dns", { reason: "dns", severity: "minor" }, 8],
  ["clock.sync", { reason: "server", severity: "minor" }, 8], // asked so seldom
])("%s %o is the outage that is over for %i more minutes, then a fault of its own", async (code, more, minutes) => {
  await using rig = await rigged();
  const device = await deviceAt(rig);
  await goes(rig, device);
  const gone = [
    ...dead(device),
    device.raise(code, { ...more, explained_by: "network.gateway" }),
    device.clear("network.gateway", GATEWAY),
  ];
  const others = code === "network.broker" ? [] : [device.change("network.broker", BROKER)];
  await returns(rig, device, 0, ...gone, ...others, device.change(code, more));
  if (code !== "network.broker") await say(rig, device.clear("network.broker", BROKER));
  const codes = async () => (await standing(rig)).map(([first]) => first);
  const passes = async (count: number) => {
    for (let i = 0; i < count; i += 1) {
      await rig.later(MINUTE);
      device.ts = rig.clock.wall();
      await say(rig, device.tele());
    }
  };
  await passes(minutes - 2);
  expect(await codes()).toEqual(["device.offline"]);
  await passes(4);
  expect(await codes()).toEqual(["device.offline", code]);
});

test.each<[string, Partial<AlarmChange>, number, "joins" | "apart"]>([
  ["network.eth1", { reason: "side-carrier", severity: "minor" }, 2_000, "joins"],
  ["network.eth1", { reason: "side-carrier", severity: "minor" }, 30 * MINUTE, "apart"],
  ["network.broker", LOSS, 2_000, "joins"],
  ["power.bat0", MAINS, 30 * MINUTE, "joins"],
  ["power.bat0", MAINS, 9 * 60 * MINUTE, "apart"],
  ["disk.var", { severity: "minor" }, 2_000, "apart"],
])("%s %o, told %i ms before the silence: %s", async (code, more, beforeMs, how) => {
  await using rig = await rigged();
  const device = await deviceAt(rig);
  await say(rig, device.raise(code, more));
  for (let ms = beforeMs; ms > 0; ms -= 20 * MINUTE) await rig.later(Math.min(ms, 20 * MINUTE));
  device.ts = rig.clock.wall();
  await say(rig, device.tele());
  await goes(rig, device);
  const own = [code, "新建", more.severity === "minor" ? 3 : undefined];
  if (how === "apart") {
    expect((await standing(rig)).map(([first]) => first)).toEqual([code, "device.offline"]);
    return;
  }
  expect(await standing(rig)).toEqual([[...own.slice(0, 2), 2]]);
  await returns(rig, device, 0, ...dead(device));
  expect((await standing(rig)).map(([, state]) => state)).toEqual(["新建"]);
  await say(rig, device.clear(code, more), ...mended(device));
  await rig.later(10 * MINUTE);
  expect(await standing(rig)).toEqual([[code, "已恢复", 2]]);
  expect((await kinds(rig)).filter((kind) => kind === "restored")).toHaveLength(1);
});

test("an alarm told before the silence that passes a short absence does not change its ticket", async () => {
  await using rig = await rigged();
  const device = await deviceAt(rig);
  await say(rig, device.raise("network.eth1", { reason: "side-carrier", severity: "minor" }), device.will());
  await rig.clock.wind(30_000);
  await returns(rig, device, 0);
  expect(await standing(rig)).toEqual([["network.eth1", "新建", 3]]);
  expect(await kinds(rig)).toEqual(["opened"]);
});

test("a clean stop is explained by power and by no line", async () => {
  await using rig = await rigged();
  const device = await deviceAt(rig);
  await say(rig, device.raise("network.eth1", { reason: "side-carrier", severity: "minor" }));
  await say(rig, device.state({ online: false, reason: "shutdown" }));
  await rig.clock.wind(2 * MINUTE);
  expect(await standing(rig)).toHaveLength(2);
  await using other = await rigged();
  const second = await deviceAt(other);
  await say(other, second.raise("power.ups", { reason: "ups-low", severity: "critical" }));
  await say(other, second.state({ online: false, reason: "shutdown" }));
  await other.clock.wind(2 * MINUTE);
  expect(await standing(other)).toEqual([["power.ups", "新建", 1]]);
});

test("what is no reason for an absence, or came long after one, has its own ticket at once", async () => {
  await using rig = await rigged();
  const device = await deviceAt(rig);
  await goes(rig, device);
  await returns(
    rig,
    device,
    0,
    after(device, 30_000, () => device.raise("disk.var")),
  );
  expect((await standing(rig)).map(([code]) => code)).toEqual(["device.offline", "disk.var"]);
  await rig.later(2 * MINUTE);
  device.ts = rig.clock.wall();
  await say(rig, device.tele(), device.raise("network.gateway", GATEWAY));
  expect((await standing(rig)).map(([code]) => code)).toEqual(["device.offline", "disk.var", "network.gateway"]);
});

test("a worse word raises the level, a lesser one leaves it, and any number is taken for a time", async () => {
  await using rig = await rigged();
  const device = await deviceAt(rig);
  await goes(rig, device);
  const low = { reason: "ups-low", severity: "critical" } as const;
  const battery = after(device, 10_000, () => device.raise("power.ups", { reason: "ups-battery" }));
  const line = device.raise("network.gateway", { ...GATEWAY, severity: "minor", since: Number.MIN_SAFE_INTEGER });
  await returns(rig, device, 0, battery, device.change("power.ups", low), line);
  expect(await standing(rig)).toEqual([["device.offline", "已恢复", 1]]);
  await say(rig, device.clear("power.ups", low), device.clear("network.gateway", { since: Number.MAX_SAFE_INTEGER }));
  expect(await standing(rig)).toEqual([["device.offline", "已恢复", 1]]);
});

test("a device gone mad does not fill the ticket of its absence", async () => {
  await using rig = await rigged({ tickets: { maxNotes: 20 } });
  const device = await deviceAt(rig);
  await goes(rig, device);
  const told = Array.from({ length: 40 }, () => [
    device.raise("network.gateway", GATEWAY),
    device.clear("network.gateway", GATEWAY),
  ]);
  await returns(rig, device, 0, ...told.flat());
  expect(await standing(rig)).toEqual(ONE_RESTORED);
  expect(await kinds(rig)).toHaveLength(20);
});

test("a ticket a person has closed takes no word any more, one the machine resolved does", () => {
  const device = deviceRow("ft-1");
  const offline = alarmRow("ft-1", "device.offline", { active: false, reason: "silent" });
  const word = { ...alarmRow("ft-1", "network.gateway"), check: "network", reason: "gateway" };
  const ticket: Omit<TicketRow, "state"> = {
    ...{ no: "GZ-20261122-0001", type: "故障", severity: "major", device: "ft-1", code: "device.offline" },
    ...{ dedup_key: "ft-1/device.offline", title_zh: "设备失联", title_en: "device unreachable", reopened: 0 },
    ...{ occurred_at: offline.since, detected_at: offline.since, ts: offline.since },
  };
  const takes = (state: TicketState) => accountsFor(word, offline, device, { ...ticket, state });
  expect((["新建", "已恢复", "已解决", "误报", "合并", "已关闭"] as const).map(takes)).toEqual([
    ...[true, true, true],
    ...[false, false, false],
  ]);
});

interface Deed {
  kind: "raise" | "change" | "clear" | "goes" | "falls silent" | "returns" | "wait";
  which: number;
  explained: boolean;
}
const CODES = ["network.gateway", "network.broker", "network.eth1", "power.bat0", "disk.var"] as const;
const WORDS: Readonly<Record<(typeof CODES)[number], Partial<AlarmChange>>> = {
  "network.gateway": GATEWAY,
  "network.broker": BROKER,
  "network.eth1": { reason: "side-carrier", severity: "minor" },
  "power.bat0": MAINS,
  "disk.var": { severity: "warning" },
};

/** A device that writes what happens and tells it when somebody hears it. */
class Story {
  readonly rig: AggregatorRig;
  readonly device: FakeDevice;
  #away: "by will" | "silently" | undefined;
  #waiting: Message[] = [];

  constructor(rig: AggregatorRig, device: FakeDevice) {
    this.rig = rig;
    this.device = device;
  }
  async does({ kind, which, explained: isExplained }: Deed): Promise<void> {
    const { rig, device } = this;
    const code = CODES[which % CODES.length] ?? "disk.var";
    device.ts = rig.clock.wall();
    const other = CODES[(which + 1) % CODES.length] ?? "disk.var";
    const more = { ...WORDS[code], ...(isExplained && { explained_by: other }) };
    if (kind === "raise" && !device.active().includes(code)) await this.#tells(device.raise(code, more));
    if (kind === "change" && device.active().includes(code)) await this.#tells(device.change(code, more));
    if (kind === "clear" && device.active().includes(code)) await this.#tells(device.clear(code, WORDS[code]));
    if (kind === "goes" && this.#away === undefined) {
      await say(rig, device.will());
      this.#away = "by will";
    }
    if (kind === "falls silent") this.#away ??= "silently";
    if (kind === "returns") await this.returns();
    await this.#lives(kind === "wait" ? (which + 1) * 40_000 : 7_000);
  }
  async returns(): Promise<void> {
    if (this.#away === undefined) return;
    this.#away = undefined;
    await returns(this.rig, this.device, 0, ...this.#waiting.splice(0));
  }
  async #tells(record: Message): Promise<void> {
    if (this.#away === undefined) await say(this.rig, record);
    else this.#waiting.push(record);
  }
  /** Time in which it gives its signs of life, where it is heard. */
  async #lives(ms: number): Promise<void> {
    for (let gone = 0; gone < ms; gone += 7_000) {
      this.device.ts = this.rig.clock.wall();
      if (this.#away === undefined) await say(this.rig, this.device.tele());
      await this.rig.clock.wind(7_000);
    }
  }
}

test("whatever comes and goes: in the end every fault that lasts has a ticket, and every other ticket is at rest", {
  timeout: 60_000,
}, async () => {
  const deed: fc.Arbitrary<Deed> = fc.record({
    kind: fc.constantFrom("raise", "raise", "change", "clear", "clear", "goes", "falls silent", "returns", "wait"),
    which: fc.nat({ max: 4 }),
    explained: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(deed, { minLength: 6, maxLength: 24 }), async (deeds) => {
      await using rig = await rigged();
      const story = new Story(rig, await deviceAt(rig));
      for (const one of deeds) await story.does(one);
      await story.returns();
      for (let i = 0; i < 8; i += 1) {
        await rig.later(10 * MINUTE);
        story.device.ts = rig.clock.wall();
        await say(rig, story.device.tele());
      }
      const active = await rig.store.reading.alarms({ active: true }, all);
      expect(active.map(({ code }) => code)).toEqual(story.device.active().toSorted());
      expect(active.filter(({ ticket }) => ticket === undefined)).toEqual([]);
      const worked = (await rig.store.reading.tickets({}, all)).filter(
        ({ state }) => state !== "已解决" && state !== "合并",
      );
      expect(worked.map(({ no }) => no)).toEqual([...new Set(active.map(({ ticket }) => ticket))].toSorted());
      expect(worked.filter(({ state }) => state === "已恢复")).toEqual([]);
      expect(await verifyTickets(rig.store.reading)).toEqual([]);
    }),
    { numRuns: 25 },
  );
});
