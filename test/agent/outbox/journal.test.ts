import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type JournalOptions, openJournal } from "../../../agent/outbox/journal.ts";
import type { Outbox } from "../../../agent/outbox/outbox.ts";
import { BOOT_PATTERN, nextBoot } from "../../../protocol/boot.ts";
import { alarmDraft, codes, eventDraft, expectSound, seqs, tell } from "../../kit/drafts.ts";
import { FakeDisk, systemError } from "../../kit/fake-disk.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { keptLog, silentLog } from "../../kit/logs.ts";
import { MemoryOutbox } from "../../kit/memory-outbox.ts";

const open = (folder: FakeDisk, more: Partial<JournalOptions> = {}): Promise<Outbox> =>
  openJournal({ folder, clock: new HandClock(), log: silentLog, maxBytes: 1 << 20, ...more });

const says = (length: number): string => "x".repeat(length);

describe("a start after a clean end", () => {
  test("knows what stands and what is not acknowledged; the frees of the last minute too", async () => {
    const disk = new FakeDisk();
    const first = await open(disk);
    await first.append([alarmDraft("a"), alarmDraft("b"), eventDraft("e"), alarmDraft("b", false)]);
    await first.keepTelemetry([{ code: "cpu", body: { ts: 5, load: 1 } }]);
    first.free({ boot: first.boot, seq: 3 });
    const [latest, pending, telemetry] = [first.latest(), first.pending(), first.telemetry()];
    await first[Symbol.asyncDispose]();
    await using second = await open(disk);
    expect([second.latest(), second.pending(), second.telemetry()]).toEqual([latest, pending, telemetry]);
    expect(second.boot > first.boot).toBe(true);
    expect((await tell(second, alarmDraft("c"))).body.seq).toBe(5);
  });

  test("two hundred starts with nothing to say neither fill the journal nor lose the count", async () => {
    const disk = new FakeDisk();
    let last = "";
    for (let start = 0; start < 200; start += 1) {
      await using outbox = await open(disk, { maxBytes: 32_768 });
      expect(outbox.boot > last).toBe(true);
      last = outbox.boot;
      if (start === 0) await tell(outbox, alarmDraft("a"));
      expect([outbox.seq, outbox.stats().durable]).toEqual([1, true]);
    }
  });

  test("in 1970 its name still is later than the one of 2026", async () => {
    const disk = new FakeDisk();
    const first = await open(disk);
    await first[Symbol.asyncDispose]();
    await using second = await open(disk, { clock: new HandClock(12_000) });
    expect(second.boot > first.boot).toBe(true);
  });

  test("with a larger or smaller journal configured, what was there is there, and both files come to the new size", async () => {
    const disk = new FakeDisk();
    const first = await open(disk, { maxBytes: 1 << 17 });
    await first.append([alarmDraft("a"), eventDraft("e")]);
    await first[Symbol.asyncDispose]();
    for (const maxBytes of [1 << 18, 1 << 16]) {
      for (const start of [1, 2]) {
        await using outbox = await open(disk.afterCut(), { maxBytes });
        expect([start, codes(outbox.pending()), outbox.stats().durable]).toEqual([start, ["a", "e"], true]);
      }
      await using outbox = await open(disk, { maxBytes });
      // As much as makes it change files twice.
      for (let since = 0; since * 300 < maxBytes; since += 1) {
        outbox.free({ boot: outbox.boot, seq: (await tell(outbox, alarmDraft("b", true, since))).body.seq - 1 });
      }
      await outbox.append([alarmDraft("a"), eventDraft("e")]);
      outbox.free({ boot: outbox.boot, seq: outbox.seq - 2 });
      const sizes = await Promise.all(["journal.a", "journal.b"].map(async (name) => (await disk.read(name))?.length));
      expect(sizes).toEqual([maxBytes / 2, maxBytes / 2]);
    }
  });
});

describe("a folder that cannot be written", () => {
  test.each(["ENOSPC", "EROFS", "EIO", "EACCES"])(
    "%s under an append: kept in memory, told, and made durable later",
    async (code) => {
      const disk = new FakeDisk();
      const clock = new HandClock();
      const log = keptLog();
      const outbox = await open(disk, { clock, log });
      await tell(outbox, alarmDraft("a"));
      disk.before = () => {
        throw systemError(code);
      };
      expect((await tell(outbox, alarmDraft("b"))).body.seq).toBe(2);
      await tell(outbox, alarmDraft("c"));
      expect(seqs(outbox.pending())).toEqual([1, 2, 3]);
      expect(outbox.stats()).toMatchObject({ durable: false, because: expect.stringContaining(code) });
      await clock.wind(600_000);
      expect(outbox.stats().durable).toBe(false);
      disk.before = () => undefined;
      await clock.wind(60_000);
      expect(outbox.stats()).toMatchObject({ durable: true });
      expect(outbox.stats().because).toBeUndefined();
      expect(log.lines.map(({ facts }) => facts.event)).toEqual(["journal.unwritable", "journal.durable"]);
      await using again = await open(disk.afterCut());
      expect(again.pending()).toEqual(outbox.pending());
      await outbox[Symbol.asyncDispose]();
    },
  );

  test("at the start, with a ledger in it: the ledger is known, alarms go on from there", async () => {
    const disk = new FakeDisk();
    const first = await open(disk);
    await first.append([alarmDraft("a"), alarmDraft("b")]);
    await first[Symbol.asyncDispose]();
    disk.beforeOpen = (what) => {
      if (what === "open") throw systemError("EROFS");
    };
    await using second = await open(disk);
    expect(codes(second.latest())).toEqual(["a", "b"]);
    expect(second.stats().durable).toBe(false);
    expect((await tell(second, alarmDraft("a", false))).body.seq).toBe(3);
  });

  test("full at the first start of all: nothing is thrown; once there is room both files are made and filled", async () => {
    const disk = new FakeDisk();
    const clock = new HandClock();
    disk.before = (what) => {
      if (what === "resize") throw systemError("ENOSPC");
    };
    const outbox = await open(disk, { clock });
    await tell(outbox, alarmDraft("a"));
    expect(outbox.stats().durable).toBe(false);
    disk.before = () => undefined;
    await clock.wind(60_000);
    expect(outbox.stats().durable).toBe(true);
    await using again = await open(disk.afterCut());
    expect(codes(again.latest())).toEqual(["a"]);
    await outbox[Symbol.asyncDispose]();
  });

  test("full from now on: alarms go into room that was taken at the first start", async () => {
    const disk = new FakeDisk();
    await using outbox = await open(disk, { maxBytes: 65_536 });
    const sizes = async (): Promise<number[]> =>
      await Promise.all(["journal.a", "journal.b"].map(async (name) => (await disk.read(name))?.length ?? 0));
    expect(await sizes()).toEqual([32_768, 32_768]);
    disk.before = (what) => {
      if (what === "resize") throw systemError("ENOSPC");
    };
    for (let since = 0; since < 600; since += 1) {
      await tell(outbox, alarmDraft(`c${since % 7}`, since % 2 === 0, since));
      outbox.free({ boot: outbox.boot, seq: outbox.seq });
    }
    expect(outbox.stats().durable).toBe(true);
    expect(await sizes()).toEqual([32_768, 32_768]);
  });

  test("unreadable at the start: begins anew, and comes after what is found there later", async () => {
    const disk = new FakeDisk();
    const first = await open(disk);
    await first.append([alarmDraft("a"), alarmDraft("b")]);
    await first[Symbol.asyncDispose]();
    const clock = new HandClock(0);
    disk.beforeOpen = () => {
      throw systemError("EIO");
    };
    const second = await open(disk, { clock });
    await tell(second, alarmDraft("z"));
    expect(second.boot < first.boot).toBe(true);
    disk.beforeOpen = () => undefined;
    await clock.wind(60_000);
    expect(second.stats().durable).toBe(true);
    expect(second.boot > first.boot).toBe(true);
    expect(second.pending()).toMatchObject([{ code: "z", body: { boot: second.boot, seq: 3 } }]);
    await second[Symbol.asyncDispose]();
  });

  test("held by another agent: in memory, until that one is gone", async () => {
    const disk = new FakeDisk();
    disk.holder = 4711;
    const clock = new HandClock();
    const outbox = await open(disk, { clock });
    expect(outbox.stats().because).toContain("4711");
    await tell(outbox, alarmDraft("a"));
    expect(disk.changes).toBe(0);
    disk.holder = undefined;
    await clock.wind(60_000);
    expect(outbox.stats().durable).toBe(true);
    await outbox[Symbol.asyncDispose]();
  });
});

describe("a folder that does not answer", () => {
  /** Holds every write until released. */
  function hang(disk: FakeDisk, called: () => void = () => undefined): () => void {
    let release = (): void => undefined;
    const gate = new Promise<void>((go) => {
      release = go;
    });
    disk.before = () => {
      called();
      return gate;
    };
    return () => {
      disk.before = () => undefined;
      release();
    };
  }

  test("a write that hangs holds an alarm up for ten seconds at most, the next ones not at all", async () => {
    const disk = new FakeDisk();
    const clock = new HandClock();
    const outbox = await open(disk, { clock });
    let calls = 0;
    const release = hang(disk, () => {
      calls += 1;
    });
    const stuck = tell(outbox, alarmDraft("a"));
    await clock.wind(9_999);
    expect(outbox.pending()).toEqual([]); // not durable: nobody may publish it yet
    await clock.wind(1);
    expect((await stuck).body.seq).toBe(1);
    expect((await tell(outbox, alarmDraft("b"))).body.seq).toBe(2);
    expect(outbox.stats()).toMatchObject({ durable: false, pending: 2 });
    await clock.wind(3_600_000);
    expect(calls).toBe(1); // no second call beside the one that hangs
    release();
    await clock.wind(60_000);
    expect(outbox.stats().durable).toBe(true);
    await using again = await open(disk.afterCut());
    expect(again.pending()).toEqual(outbox.pending());
    await outbox[Symbol.asyncDispose]();
  });

  test("at the start: the agent starts all the same; its end is not held up either", async () => {
    const disk = new FakeDisk();
    const clock = new HandClock();
    disk.beforeOpen = () => new Promise(() => {});
    const opening = open(disk, { clock });
    await clock.wind(10_000);
    const outbox = await opening;
    expect(outbox.stats().durable).toBe(false);
    await tell(outbox, alarmDraft("a"));
    await outbox[Symbol.asyncDispose]();
  });
});

describe("a damaged journal", () => {
  test("any one byte spoiled: the start works, nothing is invented, and what lies before it is known", async () => {
    const disk = new FakeDisk();
    const first = await open(disk, { maxBytes: 32_768 });
    const all = [];
    for (let since = 0; since < 12; since += 1) all.push(await tell(first, alarmDraft(`c${since}`, true, since)));
    const length = disk.writtenBytes;
    for (let at = 0; at < length; at += 7) {
      const spoiled = disk.afterKill();
      spoiled.spoil("journal.a", at);
      spoiled.spoil("journal.b", at);
      await using again = await open(spoiled, { maxBytes: 32_768 });
      expect(again.stats().durable).toBe(true);
      const found = again.pending();
      expect(found.length).toBeGreaterThanOrEqual(10);
      for (const kept of found) expect(all).toContainEqual(kept);
      expectSound(again);
    }
    await first[Symbol.asyncDispose]();
  });

  test("both files full of noise: begins anew, and is durable at once", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 3_000 }), fc.uint8Array({ maxLength: 3_000 }), async (a, b) => {
        const disk = new FakeDisk(
          new Map([
            ["journal.a", Buffer.from(a)],
            ["journal.b", Buffer.from(b)],
          ]),
        );
        const outbox = await open(disk, { maxBytes: 32_768 });
        expect([outbox.seq, outbox.stats().durable]).toEqual([0, true]);
        await tell(outbox, alarmDraft("a"));
        await using again = await open(disk.afterCut(), { maxBytes: 32_768 });
        expect(codes(again.pending())).toEqual(["a"]);
      }),
      { numRuns: 40 },
    );
  });
});

describe("short room", () => {
  test("a flood of changes without any aggregator: the last of each code stays, what is given up is counted for ever", async () => {
    const disk = new FakeDisk();
    const outbox = await open(disk, { maxBytes: 65_536 });
    for (let since = 0; since < 900; since += 1)
      await tell(outbox, alarmDraft(`c${since % 9}`, since % 2 === 0, since));
    expect(outbox.latest()).toHaveLength(9);
    expect(outbox.latest().map(({ body }) => body.since)).toEqual([891, 892, 893, 894, 895, 896, 897, 898, 899]);
    const { droppedRecords, pending } = outbox.stats();
    expect(droppedRecords + pending).toBe(900);
    expect(outbox.stats().pendingBytes).toBeLessThanOrEqual(16_384);
    await outbox[Symbol.asyncDispose]();
    await using again = await open(disk, { maxBytes: 65_536 });
    expect(again.stats().droppedRecords).toBeGreaterThanOrEqual(droppedRecords);
    expect(again.latest()).toEqual(outbox.latest());
  });

  test("what was told of the losses is not told again by the next start", async () => {
    const disk = new FakeDisk();
    const outbox = await open(disk, { maxBytes: 65_536 });
    for (let since = 0; since < 300; since += 1) await tell(outbox, alarmDraft("c", since % 2 === 0, since));
    const { droppedRecords } = outbox.stats();
    expect(droppedRecords).toBeGreaterThan(100);
    expect(outbox.stats().untoldRecords).toBe(droppedRecords);
    outbox.toldDropped(droppedRecords);
    expect(outbox.stats().untoldRecords).toBe(0);
    await outbox[Symbol.asyncDispose]();
    for (const start of [disk, disk.afterKill()]) {
      await using again = await open(start, { maxBytes: 65_536 });
      expect(again.stats().untoldRecords).toBe(again.stats().droppedRecords - droppedRecords);
    }
  });

  test("figures give way to alarms", async () => {
    await using outbox = await open(new FakeDisk(), { maxBytes: 65_536 });
    for (let ts = 0; ts < 500; ts += 1) await outbox.keepTelemetry([{ code: "cpu", body: { ts, load: 1 } }]);
    const kept = outbox.telemetry().length;
    expect(outbox.stats().droppedTelemetry).toBe(500 - kept);
    expect(outbox.telemetry().at(-1)?.body.ts).toBe(499);
    for (let i = 0; i < 40; i += 1) await tell(outbox, alarmDraft(`code-${i}`));
    expect(outbox.telemetry().length).toBeLessThan(kept);
    expect(outbox.stats()).toMatchObject({ pending: 40, droppedRecords: 0 });
  });

  test("more active alarms than the journal can hold are kept in memory, none is given up", async () => {
    const clock = new HandClock();
    await using outbox = await open(new FakeDisk(), { maxBytes: 32_768, clock });
    for (let i = 0; i < 100; i += 1) await tell(outbox, alarmDraft(`code-${i}`));
    expect(outbox.stats()).toMatchObject({
      durable: false,
      because: expect.stringContaining("do not fit"),
      pending: 100,
    });
    outbox.free({ boot: outbox.boot, seq: 100 });
    await outbox.append(Array.from({ length: 90 }, (_, i) => alarmDraft(`code-${i}`, false)));
    outbox.free({ boot: outbox.boot, seq: 190 });
    await outbox.append([alarmDraft("z")]);
    await clock.wind(60_000);
    expect(outbox.stats().durable).toBe(true);
  });

  test("text without end is cut, numbers JSON cannot say are left out", async () => {
    const disk = new FakeDisk();
    const outbox = await open(disk);
    const draft = alarmDraft("a");
    if (draft.kind !== "alarm") throw new Error("an alarm");
    await tell(outbox, { ...draft, body: { ...draft.body, says: says(1_000_000), value: Number.NaN } });
    const [kept] = (await open(disk.afterKill())).pending();
    expect(kept).toEqual(outbox.pending()[0]);
    expect(kept?.body).not.toHaveProperty("value");
    expect(outbox.stats().durable).toBe(true);
  });
});

describe("flash", () => {
  test("an ack costs no write", async () => {
    const disk = new FakeDisk();
    const outbox = await open(disk);
    await tell(outbox, alarmDraft("a"));
    const before = disk.changes;
    outbox.free({ boot: outbox.boot, seq: 1 });
    expect(disk.changes).toBe(before);
    await tell(outbox, alarmDraft("b"));
    expect(disk.changes).toBe(before + 2); // one write, one sync, the ack within
    await using again = await open(disk.afterCut());
    expect(codes(again.pending())).toEqual(["b"]);
  });

  test("figures wait for company: an alarm, 8 KiB of them, or ten minutes", async () => {
    const disk = new FakeDisk();
    const clock = new HandClock();
    const outbox = await open(disk, { clock });
    const keep = (times: number) =>
      outbox.keepTelemetry(Array.from({ length: times }, () => ({ code: "cpu", body: { ts: clock.wall(), load: 1 } })));
    const onFlash = async (): Promise<number> => (await open(disk.afterKill())).telemetry().length;
    const before = disk.changes;
    for (let i = 0; i < 9; i += 1) {
      await keep(1);
      await clock.wind(60_000);
    }
    expect([disk.changes, await onFlash()]).toEqual([before, 0]);
    await clock.wind(60_000);
    await keep(1);
    expect(await onFlash()).toBe(10);
    await keep(1);
    expect(await onFlash()).toBe(10);
    await tell(outbox, alarmDraft("a"));
    expect(await onFlash()).toBe(11);
    await keep(200);
    expect(await onFlash()).toBe(211);
    await outbox[Symbol.asyncDispose]();
  });

  test("a day without a broker costs at most 10 MB of it", async () => {
    const disk = new FakeDisk();
    const clock = new HandClock();
    let pages = 0; // every write brings out its pages and, after a sync, one of the file system's own
    const count = (): number => Math.ceil(disk.writtenBytes / 4_096);
    const outbox = await open(disk, { clock, maxBytes: 4_194_304 });
    let before = count();
    disk.before = (what) => {
      pages += count() - before + 1 + (what === "sync" ? 1 : 0);
      before = count();
    };
    for (let minute = 0; minute < 1_440; minute += 5) {
      const body = { ts: clock.wall(), free_pct: 12.5, used_bytes: 123_456_789, inodes_pct: 3, rate_kbps: 77 };
      await outbox.keepTelemetry(Array.from({ length: 30 }, (_, i) => ({ code: `check.subject-${i}`, body })));
      if (minute % 15 === 0) await tell(outbox, alarmDraft(`c${minute % 4}`, minute % 2 === 0, minute));
      await clock.wind(300_000);
    }
    expect(pages * 4_096).toBeLessThanOrEqual(10e6);
    expect(pages).toBeGreaterThan(200);
    expect(outbox.stats()).toMatchObject({ durable: true, droppedRecords: 0, pending: 96 });
    await outbox[Symbol.asyncDispose]();
  });
});

describe("taking over from a lost past", () => {
  test("holds over the next start", async () => {
    const disk = new FakeDisk();
    const outbox = await open(disk, { clock: new HandClock(0) });
    await outbox.append([alarmDraft("a"), alarmDraft("b", false)]);
    const known = nextBoot(Date.UTC(2027, 0, 1), new Uint8Array(10));
    const boot = await outbox.adopt({ boot: known, seq: 70 });
    await using again = await open(disk.afterCut(), { clock: new HandClock(0) });
    expect(again.boot > boot).toBe(true);
    expect(again.pending()).toEqual(outbox.pending());
    expect(again.seq).toBe(72);
  });

  test("a place after which none can follow is refused, and harms nothing", async () => {
    await using outbox = await open(new FakeDisk());
    const before = outbox.boot;
    await expect(outbox.adopt({ boot: "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", seq: 1 })).rejects.toMatchObject({
      code: "MESSAGE_INVALID",
    });
    const late = nextBoot(Date.UTC(2030, 0, 1), new Uint8Array(10));
    await expect(outbox.adopt({ boot: late, seq: Number.MAX_SAFE_INTEGER })).rejects.toMatchObject({
      code: "MESSAGE_INVALID",
    });
    expect(outbox.boot).toBe(before);
    expect(outbox.boot).toMatch(BOOT_PATTERN);
    expect((await tell(outbox, alarmDraft("a"))).body.seq).toBe(1);
  });
});

test("always the same as a plain list in memory, over any calls and clean or rude restarts", async () => {
  const code = fc.constantFrom("a", "b", "c", "d", "e");
  const call = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ do: fc.constant("tell" as const), code, active: fc.boolean(), alarm: fc.boolean() }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("ack" as const), back: fc.nat(4) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("keep" as const), count: fc.nat(5) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("drain" as const), count: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.constant({ do: "restart" as const }) },
    { weight: 1, arbitrary: fc.constant({ do: "adopt" as const }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(call, { maxLength: 50 }), async (calls) => {
      const clock = new HandClock();
      const disk = new FakeDisk();
      const options = { clock, maxBytes: 65_536, random: () => new Uint8Array(10) };
      let outbox = await open(disk, options);
      const model = new MemoryOutbox(clock, outbox.boot);
      for (const one of calls) {
        if (one.do === "tell") {
          const draft = one.alarm ? alarmDraft(one.code, one.active) : eventDraft(one.code);
          expect(await outbox.append([draft])).toEqual(await model.append([draft]));
        } else if (one.do === "ack") {
          const place = { boot: outbox.boot, seq: Math.max(0, outbox.seq - one.back) };
          for (const each of [outbox, model]) each.free(place);
        } else if (one.do === "keep") {
          const list = Array.from({ length: one.count }, () => ({ code: "cpu", body: { ts: clock.wall(), load: 1 } }));
          for (const each of [outbox, model]) await each.keepTelemetry(list);
        } else if (one.do === "drain") {
          const id = outbox.telemetry()[one.count]?.id ?? 0;
          for (const each of [outbox, model]) each.freeTelemetry(id);
        } else if (one.do === "adopt") {
          const place = {
            boot: nextBoot(clock.wall() + 86_400_000, new Uint8Array(10), outbox.boot),
            seq: outbox.seq + 5,
          };
          expect(await outbox.adopt(place)).toBe(await model.adopt(place));
        } else {
          await outbox[Symbol.asyncDispose]();
          outbox = await open(disk, options);
          model.boot = outbox.boot;
        }
        expectSound(outbox);
        expect(outbox.pending()).toEqual(model.pending());
        expect(outbox.latest()).toEqual(model.latest());
        expect(outbox.telemetry()).toEqual(model.telemetry());
        expect(outbox.seq).toBe(model.seq);
      }
      await outbox[Symbol.asyncDispose]();
    }),
    { numRuns: 80 },
  );
});
