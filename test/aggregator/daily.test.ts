import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dateAfter, dayNumber, localDay } from "../../aggregator/daily/calendar.ts";
import { openSqliteStore } from "../../aggregator/sqlite-store.ts";
import { MAX_BYTES } from "../../protocol/from-device.ts";
import { topics } from "../../protocol/topics.ts";
import { AggregatorRig, BOOTS, FakeDevice, type Message } from "../kit/aggregator.ts";

const TODAY = "2026-11-22"; // 17:00 in Shanghai when a rig starts
const rigged = (config: Record<string, unknown> = {}) =>
  new AggregatorRig(openSqliteStore({ file: ":memory:" }), config).start();
const say = async (rig: AggregatorRig, ...messages: Message[]) => {
  for (const { topic, body } of messages) void rig.hear(topic, body);
  await rig.settle();
};
const day = (rig: AggregatorRig, date = TODAY, device = "ft-0042") => rig.face.daily.day(date, device);
const sheet = async (rig: AggregatorRig, date = TODAY) =>
  (await rig.face.daily.rows(date, {}, { limit: 100 })).map(({ device, state, worst }) =>
    [device, state, worst].filter(Boolean).join(" "),
  );
const lastAck = (rig: AggregatorRig) => rig.on(topics.ack("ft-0042")).at(-1);
const HOUR = 3_600_000;

describe("a day's check", () => {
  test("becomes the day's record, is acknowledged in its place, and once more changes nothing", async () => {
    await using rig = await rigged();
    const device = new FakeDevice();
    device.ts = rig.clock.wall();
    await say(rig, device.state());
    const before = device.raise("a.x");
    const daily = device.daily(TODAY, { major: 1, unknown: 1, ok: 2, absent: 1 });
    await say(rig, before, daily, device.raise("b.x"));
    expect(lastAck(rig)).toEqual({ boot: device.boot, seq: 3 });
    const record = await day(rig);
    expect(record).toMatchObject({
      ...{ device: "ft-0042", date: TODAY, state: "made", worst: "major", seq: 2, late: false, again_count: 0 },
      ...{ major_count: 1, unknown_count: 1, ok_count: 2, absent_count: 1, alarms_count: 1, tickets_count: 1 },
    });
    expect(record?.performance).toEqual([
      { check: "disk", subject: "ok-0", readings: { free_pct: 40 } },
      { check: "disk", subject: "ok-1", readings: { free_pct: 41 } },
    ]);
    expect(record?.faults.states).toHaveLength(5);
    expect(JSON.stringify(record?.faults)).not.toContain("free_pct");
    expect(record?.faults.alarms.map(({ code }) => code)).toEqual(["a.x"]); // b.x came after it
    expect(record?.faults.tickets).toMatchObject([{ no: "GZ-20261122-0001", code: "a.x", state: "新建" }]);
    for (let again = 0; again < 3; again += 1) await say(rig, daily);
    expect(await day(rig)).toEqual(record);
  });

  test("bears what the device had told of itself, and what its drift check said", async () => {
    await using rig = await rigged();
    const device = new FakeDevice();
    const info = { ts: 5, boot: device.boot, agent: "0.1.0", model: "FT-9000", packages_hash: "d00d" };
    const line = { check: "drift", name_zh: "配置", name_en: "config drift", subject: "/etc/app.conf", state: "minor" };
    const drifted = device.daily(TODAY, {}, { minor_count: 1, checks: [{ ...line, state: "minor", says: "changed" }] });
    await say(rig, { topic: topics.info("ft-0042"), body: info }, drifted);
    expect((await day(rig))?.config).toEqual({
      ...{ agent: "0.1.0", config_hash: "c0ffee", packages_hash: "d00d", info_ts: 5 },
      info: { model: "FT-9000", packages_hash: "d00d" },
      drift: [{ ...line, says: "changed" }],
    });
  });

  test("told days later keeps its own day, is marked late, and shows the tickets of then", async () => {
    await using rig = await rigged({ silence: { holdOnMs: 86_400_000 } });
    const device = new FakeDevice();
    await say(rig, device.state());
    await rig.later(26 * HOUR);
    device.ts = rig.clock.wall() - 26 * HOUR + 1;
    const missed = device.daily(TODAY);
    device.ts = rig.clock.wall();
    await say(rig, missed, device.raise("late.x"), device.daily("2026-11-23"), device.state());
    expect(await day(rig)).toMatchObject({ late: true, alarms_count: 0, tickets_count: 0 });
    expect(await day(rig, "2026-11-23")).toMatchObject({ late: false, alarms_count: 1, tickets_count: 1 });
  });

  test("told again after a fault that came later, it does not bear that fault", async () => {
    await using rig = await rigged();
    const device = new FakeDevice();
    const [before, daily, after] = [device.raise("a.x"), device.daily(TODAY), device.raise("b.x")];
    await say(rig, before, after, daily, device.state());
    expect((await day(rig))?.faults.alarms.map(({ code }) => code)).toEqual(["a.x"]);
  });

  test("of a device whose clock is wrong shows the tickets of when it was really made", async () => {
    await using rig = await rigged({ silence: { holdOnMs: 86_400_000 } });
    const device = new FakeDevice();
    const slow = HOUR; // its clock is so much behind
    const made = rig.clock.wall() + HOUR / 2;
    device.ts = rig.clock.wall() - slow;
    await say(rig, device.state(), device.raise("a.x"), device.clear("a.x")); // observed for another half hour
    await rig.later(2 * HOUR);
    device.ts = made - slow - 60_000;
    const daily = device.daily(TODAY);
    device.ts = rig.clock.wall() - slow;
    await say(rig, device.state({ seq: 2 }), daily);
    expect(await day(rig)).toMatchObject({ alarms_count: 0, tickets_count: 1 });
  });

  test("a second one of the same day is acknowledged, counted and changes nothing: a clock set back, a state folder lost", async () => {
    await using rig = await rigged();
    const device = new FakeDevice();
    await say(rig, device.state(), device.daily(TODAY, { ok: 3 }), device.state());
    await say(rig, device.daily("2026-11-23", { ok: 1 }), device.daily(TODAY, { critical: 1 }));
    expect(lastAck(rig)).toEqual({ boot: device.boot, seq: 3 });
    expect(await day(rig)).toMatchObject({ seq: 1, worst: "ok", ok_count: 3, again_count: 1 });
    const reborn = new FakeDevice();
    reborn.boot = BOOTS[1];
    await say(rig, reborn.daily(TODAY, { minor: 2 }), reborn.state());
    expect(lastAck(rig)).toEqual({ boot: BOOTS[1], seq: 1 });
    expect(await day(rig)).toMatchObject({ boot: BOOTS[0], seq: 1, worst: "ok", again_count: 2 });
  });

  test.each([
    ["far ahead", "2026-11-25", 0],
    ["far behind", "2025-10-01", 0],
    ["a day ahead of us", "2026-11-23", 1],
    ["of a device that was away for a year", "2025-11-25", 1],
  ])("of a date %s", async (_, date, made) => {
    await using rig = await rigged();
    const device = new FakeDevice();
    await say(rig, device.state(), device.daily(date), device.state());
    expect(lastAck(rig)).toEqual({ boot: device.boot, seq: 1 }); // whatever becomes of it, the device need not keep it
    expect((await rig.store.reading.daily.counts(date)).made).toBe(made);
    const refused = rig.face.counters()["vigil_refused_total"];
    expect(refused).toEqual(made === 1 ? [] : [{ labels: { code: "DAILY_DATE" }, value: 1 }]);
  });

  test("what is none is refused: too large, no date, nested too deep, a count that is none", async () => {
    await using rig = await rigged();
    const device = new FakeDevice();
    const { topic, body } = device.daily(TODAY);
    await say(rig, { topic, body: { ...body, date: "2026-02-31" } }, { topic, body: { ...body, date: undefined } });
    await say(rig, { topic, body: { ...body, ok_count: -1 } }, { topic, body: { ...body, checks: [{}] } });
    const [line = {}] = body["checks"] as object[];
    await say(rig, { topic, body: { ...body, checks: [{ ...line, readings: { "a\u001b[2J": 1 } }] } });
    void rig.hear(topic, "[".repeat(MAX_BYTES.daily + 1));
    void rig.hear(topic, "[".repeat(MAX_BYTES.daily));
    void rig.hear(`${topic}/x`, body);
    await rig.settle();
    expect(
      Object.fromEntries(
        (rig.face.counters()["vigil_refused_total"] as { labels: { code: string }; value: number }[]).map(
          ({ labels, value }) => [labels.code, value],
        ),
      ),
    ).toEqual({ MESSAGE_INVALID: 6, MESSAGE_TOO_LARGE: 1, MESSAGE_TOPIC: 1 });
    expect(await rig.store.reading.daily.counts(TODAY)).toMatchObject({ made: 0 });
  });

  test("nothing in it can steer a terminal or forge a line, however deep it stands", async () => {
    await using rig = await rigged();
    const device = new FakeDevice();
    const evil = "a\u001b[2J\u202eb\nc";
    const { topic, body } = device.daily(TODAY);
    const line = { check: evil.slice(0, 40), name_zh: evil, name_en: evil, subject: evil, state: "ok", says: evil };
    await say(rig, { topic, body: { ...body, agent: evil, checks: [line] } });
    const { ts: _ts, ...record } = (await day(rig)) ?? {};
    expect(JSON.stringify(record)).not.toMatch(/\\u001b|\\n|\u202e/);
  });
});

describe("the sheet", () => {
  test("a device known since yesterday is due until the time and its grace are over, then missing, then made", async () => {
    await using rig = await rigged();
    await say(rig, new FakeDevice().state(), new FakeDevice("enc-1").state());
    expect(await sheet(rig)).toEqual([]); // met today: expected from tomorrow on
    const device = new FakeDevice("enc-1");
    device.ts = Date.UTC(2026, 10, 23, 0);
    rig.clock.setWall(Date.UTC(2026, 10, 22, 20)); // 04:00 of the 23rd in Shanghai
    expect(rig.face.daily.today()).toBe("2026-11-23");
    expect(await sheet(rig, "2026-11-23")).toEqual(["enc-1 due", "ft-0042 due"]);
    expect(await rig.face.daily.counts()).toEqual({ made: 0, missing: 0, due: 2 });
    rig.clock.setWall(Date.UTC(2026, 10, 23, 1, 29, 59)); // 09:29:59
    expect(await sheet(rig, "2026-11-23")).toEqual(["enc-1 due", "ft-0042 due"]);
    rig.clock.setWall(Date.UTC(2026, 10, 23, 1, 30));
    device.seq = 0;
    await say(rig, device.daily("2026-11-23", { warning: 1, ok: 1 }));
    expect(await sheet(rig, "2026-11-23")).toEqual(["enc-1 made warning", "ft-0042 missing"]);
    expect(await rig.face.daily.counts()).toEqual({ made: 1, missing: 1, due: 0 });
    expect(await sheet(rig, "2026-11-24")).toEqual(["enc-1 due", "ft-0042 due"]);
  });

  test("a time whose grace ends after midnight is not missing before", async () => {
    await using rig = await rigged({ daily: { at: "23:30" } });
    const over = (...time: [number, number]) => {
      rig.clock.setWall(Date.UTC(2026, 10, 22, ...time));
      return rig.face.daily.isOver("2026-11-22");
    };
    expect([over(15, 40), over(16, 10), over(17, 29), over(17, 30)]).toEqual([false, false, false, true]);
  });

  test("configuration and performance of a day are forgotten after their years, its faults never", async () => {
    await using rig = await rigged({ daily: { keepDays: 31 } });
    const device = new FakeDevice();
    await say(rig, device.state(), device.daily(TODAY, { major: 1 }), device.state());
    await rig.clock.wind(700_000);
    expect(await day(rig)).toHaveProperty("config");
    rig.clock.setWall(Date.UTC(2026, 11, 24, 9));
    await rig.clock.wind(700_000);
    const record = await day(rig);
    expect(record?.faults.states).toMatchObject([{ state: "major" }]);
    expect([record?.config, record?.performance]).toEqual([undefined, undefined]);
  });

  test("an aggregator stopped between two days knows both", async () => {
    await using store = openSqliteStore({ file: ":memory:" });
    const kept: AggregatorRig["store"] = { ...store, reading: store.reading } as AggregatorRig["store"];
    kept.transaction = (work) => store.transaction(work);
    kept.shownTickets = (page) => store.shownTickets(page);
    kept.hideTickets = (nos) => store.hideTickets(nos);
    const device = new FakeDevice();
    const first = await new AggregatorRig(kept).start();
    await say(first, device.state(), device.daily("2026-11-21"));
    await first.stop();
    const second = await new AggregatorRig(kept).start();
    await say(second, device.daily(TODAY), device.state());
    expect([await day(second, "2026-11-21"), await day(second)]).toMatchObject([{ seq: 1 }, { seq: 2 }]);
    await second.stop();
  });
});

describe("the calendar", () => {
  const at = fc.integer({ min: Date.UTC(1970, 0, 1), max: Date.UTC(2200, 0, 1) });
  const iso = (ms: number) => new Date(ms).toISOString().slice(0, 10);
  test("counts days as the world does", () => {
    fc.assert(
      fc.property(at, fc.integer({ min: -40_000, max: 40_000 }), (ms, days) => {
        const there = ms + days * 86_400_000;
        fc.pre(there > 0);
        expect(dayNumber(iso(there)) - dayNumber(iso(ms))).toBe(days);
        expect(dateAfter(iso(ms), days)).toBe(iso(there));
      }),
    );
  });
  test("knows date and second of the day in a time zone", () => {
    fc.assert(
      fc.property(at, (ms) => {
        expect(localDay("UTC")(ms)).toEqual({ date: iso(ms), second: Math.floor(ms / 1000) % 86_400 });
      }),
    );
    expect(localDay("Asia/Shanghai")(Date.UTC(2026, 10, 22, 15, 59, 59))).toEqual({ date: TODAY, second: 86_399 });
    expect(localDay("Asia/Shanghai")(Date.UTC(2026, 10, 22, 16))).toEqual({ date: "2026-11-23", second: 0 });
  });
});
