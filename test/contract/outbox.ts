import { describe, expect, test } from "vitest";
import type { Outbox } from "../../agent/outbox/outbox.ts";
import { unpack } from "../../agent/outbox/packed.ts";
import { BOOT_PATTERN } from "../../protocol/boot.ts";
import { alarmDraft, codes, dailyDraft, eventDraft, expectSound, seqs, tell } from "../kit/drafts.ts";
import { HandClock } from "../kit/hand-clock.ts";

/** What every outbox does, the journal on flash and its stand-in alike. `open` makes a fresh one. */
export function outboxContract(name: string, open: (clock: HandClock) => Promise<Outbox>): void {
  describe(`an outbox: ${name}`, () => {
    const fresh = async (): Promise<{ outbox: Outbox; clock: HandClock }> => {
      const clock = new HandClock();
      return { outbox: await open(clock), clock };
    };

    test("is empty and named by a ULID at first", async () => {
      await using outbox = (await fresh()).outbox;
      expect(outbox.boot).toMatch(BOOT_PATTERN);
      expect(outbox.seq).toBe(0);
      expect([outbox.latest(), outbox.pending(), outbox.telemetry()]).toEqual([[], [], []]);
      expect(outbox.stats()).toMatchObject({ durable: true, pending: 0, droppedRecords: 0, droppedTelemetry: 0 });
    });

    test("gives each draft the next number, this boot and the device's time", async () => {
      const { outbox, clock } = await fresh();
      const kept = await outbox.append([alarmDraft("disk.var"), eventDraft("start")]);
      expect(kept.map(({ body }) => body)).toMatchObject([
        { seq: 1, boot: outbox.boot, ts: clock.wall() },
        { seq: 2, boot: outbox.boot, ts: clock.wall() },
      ]);
      expect(outbox.pending()).toEqual(kept);
      expect(outbox.seq).toBe(2);
      expect(outbox.stats()).toMatchObject({ pending: 2, oldestTs: clock.wall() });
      await outbox[Symbol.asyncDispose]();
    });

    test("keeps order when several are appended at once", async () => {
      await using outbox = (await fresh()).outbox;
      const all = await Promise.all([1, 2, 3, 4].map((since) => outbox.append([alarmDraft("cpu", true, since)])));
      expect(seqs(all.flat())).toEqual([1, 2, 3, 4]);
      expect(outbox.pending()).toEqual(all.flat());
      expect(outbox.latest()).toEqual([all[3]?.[0]]);
    });

    test("an empty append costs no number", async () => {
      await using outbox = (await fresh()).outbox;
      expect(await outbox.append([])).toEqual([]);
      expect(outbox.seq).toBe(0);
    });

    test("frees up to a place of its boot, and remembers the last change of each code all the same", async () => {
      await using outbox = (await fresh()).outbox;
      await outbox.append([alarmDraft("a"), eventDraft("e"), alarmDraft("a", false), alarmDraft("b"), alarmDraft("c")]);
      outbox.free({ boot: outbox.boot, seq: 4 });
      expect(seqs(outbox.pending())).toEqual([5]);
      expect(seqs(outbox.latest())).toEqual([3, 4, 5]);
      expectSound(outbox);
    });

    test("an ack of an older boot frees nothing of this one", async () => {
      await using outbox = (await fresh()).outbox;
      await tell(outbox, alarmDraft("a"));
      outbox.free({ boot: `0${outbox.boot.slice(1, -1)}0`.replace(/^../, "00"), seq: 99 });
      expect(seqs(outbox.pending())).toEqual([1]);
    });

    test("of cleared alarms it remembers the newest 256, and every active one", async () => {
      await using outbox = (await fresh()).outbox;
      await outbox.append(Array.from({ length: 300 }, (_, at) => alarmDraft(`up-${at}`)));
      await outbox.append(Array.from({ length: 300 }, (_, at) => alarmDraft(`gone-${at}`, false)));
      outbox.free({ boot: outbox.boot, seq: outbox.seq });
      const latest = codes(outbox.latest());
      expect(latest.filter((code) => code.startsWith("up"))).toHaveLength(300);
      expect(latest.filter((code) => code.startsWith("gone"))).toHaveLength(256);
      expect(latest).not.toContain("gone-43");
      expect(latest).toContain("gone-44");
    });

    test("figures are freed one after the other, oldest first", async () => {
      await using outbox = (await fresh()).outbox;
      await outbox.keepTelemetry([
        { code: "disk.var", body: { ts: 1, free_pct: 3 } },
        { code: "cpu", body: { ts: 2, load: 1.5 } },
      ]);
      await outbox.keepTelemetry([{ code: "cpu", body: { ts: 3, load: 2 } }]);
      expect(outbox.telemetry().map(({ body }) => body.ts)).toEqual([1, 2, 3]);
      const [first, second] = outbox.telemetry();
      outbox.freeTelemetry(first?.id ?? 0);
      expect(outbox.telemetry()[0]).toEqual(second);
      outbox.freeTelemetry(Number.MAX_SAFE_INTEGER);
      expect(outbox.telemetry()).toEqual([]);
      expect(outbox.seq).toBe(0);
    });

    test("takes over from a lost past: a later boot, numbers above, everything it knows told anew", async () => {
      await using outbox = (await fresh()).outbox;
      await outbox.append([alarmDraft("a"), alarmDraft("a", false), alarmDraft("b"), eventDraft("e")]);
      outbox.free({ boot: outbox.boot, seq: 3 });
      const known = `7${outbox.boot.slice(1)}`.replace(/^../, "6Z");
      const boot = await outbox.adopt({ boot: known, seq: 500 });
      expect(boot > known).toBe(true);
      expect(outbox.boot).toBe(boot);
      expect(boot).toMatch(BOOT_PATTERN);
      const bodies = outbox.pending().map(({ code, body }) => [code, body.boot, body.seq]);
      expect(bodies).toEqual([
        ["a", boot, 501],
        ["b", boot, 502],
        ["e", boot, 503],
      ]);
      expect(outbox.latest().map(({ code, body }) => [code, body.active, body.seq])).toEqual([
        ["a", false, 501],
        ["b", true, 502],
      ]);
      expect((await tell(outbox, alarmDraft("c"))).body).toMatchObject({ boot, seq: 504 });
      outbox.free({ boot: known, seq: 10_000 });
      expect(outbox.pending()).toHaveLength(4);
      expectSound(outbox);
    });

    test("keeps a day's check at its place until it is freed, and remembers its day beyond that", async () => {
      await using outbox = (await fresh()).outbox;
      await outbox.append([alarmDraft("a"), dailyDraft("2026-11-21"), dailyDraft("2026-11-22", 40), eventDraft("e")]);
      expect(outbox.pending().map(({ kind }) => kind)).toEqual(["alarm", "daily", "daily", "event"]);
      const days = outbox.pending().flatMap((kept) => (kept.kind === "daily" ? [unpack(kept.body)] : []));
      expect(days).toMatchObject([
        { date: "2026-11-21", boot: outbox.boot, seq: 2 },
        { ...dailyDraft("2026-11-22", 40).body, seq: 3 },
      ]);
      outbox.free({ boot: outbox.boot, seq: 3 });
      expect(seqs(outbox.pending())).toEqual([4]);
      expect(codes(outbox.latest())).toEqual(["a"]);
      expect(outbox.days()).toEqual(["2026-11-21", "2026-11-22"]);
      expectSound(outbox);
    });

    test("remembers the latest forty days", async () => {
      await using outbox = (await fresh()).outbox;
      const dates = Array.from({ length: 45 }, (_, i) => new Date(Date.UTC(2026, 0, 1 + i)).toISOString().slice(0, 10));
      for (const date of dates) await outbox.append([dailyDraft(date)]);
      expect(outbox.days()).toEqual(dates.slice(-40));
    });

    test("an earlier or equal boot is nothing to take over", async () => {
      await using outbox = (await fresh()).outbox;
      const before = outbox.boot;
      expect(await outbox.adopt({ boot: before, seq: 900 })).toBe(before);
      expect((await tell(outbox, alarmDraft("a"))).body.seq).toBe(1);
    });
  });
}
