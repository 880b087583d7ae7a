import { describe, expect, test } from "vitest";
import { startCourier } from "../../../agent/outbox/courier.ts";
import { type JournalOptions, openJournal } from "../../../agent/outbox/journal.ts";
import type { Outbox } from "../../../agent/outbox/outbox.ts";
import { pack, unpack } from "../../../agent/outbox/packed.ts";
import { DailyCheck } from "../../../protocol/daily.ts";
import { MAX_BYTES } from "../../../protocol/from-device.ts";
import type { Kept } from "../../../protocol/record.ts";
import { topics } from "../../../protocol/topics.ts";
import { alarmDraft, codes, dailyDraft, eventDraft, seqs, tell } from "../../kit/drafts.ts";
import { FakeDisk } from "../../kit/fake-disk.ts";
import { FakeLink } from "../../kit/fake-link.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { silentLog } from "../../kit/logs.ts";
import { MemoryOutbox } from "../../kit/memory-outbox.ts";

const open = (folder: FakeDisk, more: Partial<JournalOptions> = {}): Promise<Outbox> =>
  openJournal({ folder, clock: new HandClock(), log: silentLog, maxBytes: 4_194_304, ...more });
const dateOf = (day: number): string => new Date(Date.UTC(2026, 0, 1 + day)).toISOString().slice(0, 10);
const datesOf = (list: readonly Kept[]): string[] =>
  list.flatMap((kept) => (kept.kind === "daily" ? [kept.body.date] : []));
/** So many lines make the largest message there may be. */
const LARGEST = 360;

describe("days that nobody hears of", () => {
  test("31 of the largest wait in the journal as it is by default, beside figures and alarms, over starts and cuts", async () => {
    expect(Buffer.byteLength(JSON.stringify(dailyDraft(dateOf(0), LARGEST).body))).toBeGreaterThan(55_000);
    const disk = new FakeDisk();
    let outbox = await open(disk);
    for (let day = 0; day < 31; day += 1) {
      await tell(outbox, dailyDraft(dateOf(day), LARGEST));
      for (let i = 0; i < 4; i += 1) await tell(outbox, alarmDraft(`code-${i}`, day % 2 === 0, day));
      const figures = { ts: day, used_bytes: 123_456_789, free_pct: 12.5 };
      await outbox.keepTelemetry(Array.from({ length: 300 }, (_, i) => ({ code: `disk.d${i}`, body: figures })));
      if (day % 7 !== 6) continue;
      await outbox[Symbol.asyncDispose]();
      outbox = await open(disk.afterCut());
      await outbox[Symbol.asyncDispose]();
      outbox = await open(disk);
    }
    expect(datesOf(outbox.pending())).toEqual(Array.from({ length: 31 }, (_, day) => dateOf(day)));
    expect(outbox.stats()).toMatchObject({ durable: true, droppedRecords: 0 });
    const [first] = outbox.pending().filter(({ kind }) => kind === "daily");
    if (first?.kind !== "daily") throw new Error("no daily");
    expect(unpack(first.body)).toMatchObject(dailyDraft(dateOf(0), LARGEST).body);
    await outbox[Symbol.asyncDispose]();
  });

  test("two years of them push out no alarm: the oldest days are given up, counted, the rest stands", async () => {
    await using outbox = await open(new FakeDisk(), { maxBytes: 262_144 });
    for (let i = 0; i < 50; i += 1) await tell(outbox, alarmDraft(`code-${i}`));
    const alarms = codes(outbox.latest());
    for (let day = 0; day < 730; day += 1) await tell(outbox, dailyDraft(dateOf(day), 20));
    expect(codes(outbox.latest())).toEqual(alarms);
    expect(outbox.pending().filter(({ kind }) => kind === "alarm")).toHaveLength(50);
    const left = datesOf(outbox.pending());
    expect(left.at(-1)).toBe(dateOf(729));
    expect(left).toEqual(Array.from({ length: left.length }, (_, i) => dateOf(730 - left.length + i)));
    expect(outbox.stats()).toMatchObject({ durable: true, droppedRecords: 730 - left.length });
    for (let i = 0; i < 100; i += 1) await tell(outbox, alarmDraft(`more-${i}`));
    expect(outbox.pending().filter(({ kind }) => kind === "alarm")).toHaveLength(150);
    expect(datesOf(outbox.pending()).length).toBeLessThan(left.length);
  });

  test("a day costs the flash little: not a tenth of what the message has", async () => {
    const disk = new FakeDisk();
    await using outbox = await open(disk);
    const before = disk.writtenBytes;
    await tell(outbox, dailyDraft(dateOf(1), LARGEST));
    expect(disk.writtenBytes - before).toBeLessThan(15_000);
  });

  test("one that cannot be compressed fits a frame all the same", async () => {
    const disk = new FakeDisk();
    const outbox = await open(disk);
    const draft = dailyDraft(dateOf(1), 1);
    let seed = 1;
    const noise = Array.from({ length: 58_000 }, () => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return String.fromCharCode(33 + ((seed >>> 16) % 90)).replace(/["\\]/, "x");
    }).join("");
    const [line] = draft.body.checks;
    if (line === undefined) throw new Error("no line");
    draft.body.checks = [{ ...line, says: noise }];
    await tell(outbox, draft);
    expect(outbox.stats().durable).toBe(true);
    const again = await open(disk.afterCut());
    expect(again.pending()).toEqual(outbox.pending());
  });
});

test("the day is remembered beyond the ack: over snapshots, starts and a cut", async () => {
  const disk = new FakeDisk();
  const outbox = await open(disk, { maxBytes: 65_536 });
  await tell(outbox, dailyDraft("2026-11-21"));
  outbox.free({ boot: outbox.boot, seq: outbox.seq });
  for (let since = 0; since < 500; since += 1) {
    outbox.free({ boot: outbox.boot, seq: (await tell(outbox, alarmDraft("b", true, since))).body.seq - 1 });
  }
  expect(disk.writtenBytes).toBeGreaterThan(3 * 32_768); // several snapshots since
  for (const start of [disk.afterCut(), disk.afterKill()]) {
    await using again = await open(start, { maxBytes: 65_536 });
    expect([again.days(), datesOf(again.pending())]).toEqual([["2026-11-21"], []]);
  }
});

test("what cannot be unpacked is an empty day, valid for its topic: it must not hold up what stands behind it", () => {
  const place = { date: "2026-11-22", boot: "01JD0000000000000000000000", seq: 7, ts: 1 };
  const { packed } = pack(dailyDraft("2026-11-22", 5).body);
  for (const bad of ["", "no base64 at all!", packed.slice(0, packed.length / 2), "AAAA"]) {
    expect(DailyCheck.parse(unpack({ ...place, packed: bad }))).toMatchObject({
      ...place,
      checks: [],
      unknown_count: 1,
    });
  }
});

describe("the courier", () => {
  test("tells days in the order of their places within the birth, once, until the ack frees them", async () => {
    const clock = new HandClock();
    const outbox = new MemoryOutbox(clock);
    const link = new FakeLink();
    await using courier = startCourier({
      ...{ outbox, clock, log: silentLog, device: "ft-0042", agentVersion: "1.0.0", heartbeatS: 60 },
      info: () => ({}),
      connect: link.connect,
    });
    await outbox.append([
      alarmDraft("a"),
      dailyDraft("2026-11-20", LARGEST),
      eventDraft("e"),
      dailyDraft("2026-11-21"),
    ]);
    link.comeUp();
    await clock.wind(0);
    const [day] = link.said.filter(({ topic }) => topic === topics.daily("ft-0042"));
    expect(day).toMatchObject({ qos: 1, expiryS: 604_800 });
    expect(day?.retain ?? false).toBe(false);
    expect(Buffer.byteLength(day?.payload ?? "")).toBeLessThanOrEqual(MAX_BYTES.daily);
    const message = DailyCheck.parse(JSON.parse(day?.payload ?? ""));
    expect(message).toMatchObject({ date: "2026-11-20", boot: outbox.boot, seq: 2, ok_count: LARGEST });
    expect(link.taken()).toEqual(["info", "alm/a 1", "daily 2", "evt/e 3", "daily 4", "state 4 true"]);
    await link.ack("ft-0042", outbox.boot, 3);
    expect(seqs(outbox.pending())).toEqual([4]);
    await clock.wind(60_000);
    expect(link.taken()).toEqual(["daily 4"]); // no ack came: again
    await outbox.append([dailyDraft("2026-11-22")]);
    courier.wake();
    await clock.wind(0);
    expect(link.taken()).toEqual(["daily 5"]);
    await link.ack("ft-0042", outbox.boot, 5);
    await clock.wind(600_000);
    expect(link.taken()).toEqual([]);
  });
});
