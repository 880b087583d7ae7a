import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openJournal } from "../../../agent/outbox/journal.ts";
import type { Outbox } from "../../../agent/outbox/outbox.ts";
import { alarmDraft, dailyDraft, eventDraft, expectSound, tell } from "../../kit/drafts.ts";
import { FakeDisk, type Fate } from "../../kit/fake-disk.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { silentLog } from "../../kit/logs.ts";

/** Small files, so that a short story fills them several times: 16 KiB each, some forty records. */
const open = (folder: FakeDisk): Promise<Outbox> =>
  openJournal({ folder, clock: new HandClock(), log: silentLog, maxBytes: 32_768, random: () => new Uint8Array(10) });

/** What the world outside was told before the plug was pulled. Facts are told apart by their `since`, starts by name. */
interface Told {
  boots: string[];
  seq: number;
  /** Every fact that was ever handed in, as `code active since`. */
  handedIn: Set<string>;
  /** Facts whose append resolved, in order. */
  resolved: string[];
  acked: Set<string>;
}
const nothingTold = (): Told => ({ boots: [], seq: 0, handedIn: new Set(), resolved: [], acked: new Set() });

type Step =
  | { do: "tell"; code: string; active: boolean }
  | { do: "day" }
  | { do: "ack"; back: number }
  | { do: "figures" }
  | { do: "restart" };

const factOf = ({ code, body }: { code: string; body: object }): string =>
  "date" in body
    ? `day:${body.date}`
    : "since" in body
      ? `${code} ${"active" in body && body.active} ${body.since}`
      : `event ${code}`;

const dateOf = (at: number): string => new Date(Date.UTC(2026, 0, 1 + at)).toISOString().slice(0, 10);

/** Runs a life of the agent on `disk` and notes what it promised. */
async function live(disk: FakeDisk, steps: readonly Step[], told: Told): Promise<void> {
  let outbox = await open(disk);
  told.boots.push(outbox.boot);
  for (const [at, step] of steps.entries()) {
    if (step.do === "tell") {
      const draft = alarmDraft(step.code, step.active, 1_000 + at);
      told.handedIn.add(factOf(draft));
      told.resolved.push(factOf(await tell(outbox, draft)));
      told.seq = outbox.seq;
    } else if (step.do === "day") {
      const draft = dailyDraft(dateOf(at), 12);
      told.handedIn.add(factOf(draft));
      told.resolved.push(factOf(await tell(outbox, draft)));
      told.seq = outbox.seq;
      expect(outbox.days().at(-1)).toBe(dateOf(at));
    } else if (step.do === "ack") {
      const place = { boot: outbox.boot, seq: outbox.seq - step.back };
      for (const kept of outbox.pending()) if (kept.body.seq <= place.seq) told.acked.add(factOf(kept));
      outbox.free(place);
    } else if (step.do === "figures") {
      // Far more than waits in memory, so that unsynced writes stand between the synced ones.
      const says = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`figure_number_${i}_pct`, i]));
      await outbox.keepTelemetry(Array.from({ length: 6 }, () => ({ code: "cpu", body: { ts: at, ...says } })));
    } else {
      await outbox[Symbol.asyncDispose]();
      outbox = await open(disk);
      told.boots.push(outbox.boot);
    }
  }
}

/** Runs it until `changes` writes, resizes and syncs were done; then the machine stands still for ever. */
async function liveUntil(changes: number, steps: readonly Step[]): Promise<{ disk: FakeDisk; told: Told }> {
  const disk = new FakeDisk();
  const told = nothingTold();
  await new Promise<void>((stopped, failed) => {
    disk.before = () => {
      if (disk.changes < changes) return;
      stopped();
      return new Promise(() => {});
    };
    live(disk, steps, told).then(stopped, failed);
  });
  return { disk, told };
}

/** Every moment of a story at which the plug can be pulled: before each write, resize and sync, and after the last. */
async function everyMoment(steps: readonly Step[]): Promise<{ disk: FakeDisk; told: Told }[]> {
  const disk = new FakeDisk();
  const told = nothingTold();
  const moments: { disk: FakeDisk; told: Told }[] = [];
  const note = (): void => {
    moments.push({ disk: disk.copy(), told: structuredClone(told) });
  };
  disk.before = note;
  await live(disk, steps, told);
  note();
  expect(told.resolved).toHaveLength(steps.filter((step) => step.do === "tell" || step.do === "day").length);
  return moments;
}

/** What a start after the cut must know, and that it can be worked with. */
async function expectRight(found: FakeDisk, told: Told): Promise<void> {
  const outbox = await open(found);
  expectSound(outbox);
  expect(outbox.stats()).toMatchObject({ durable: true, droppedRecords: 0 });
  for (const boot of told.boots) expect(outbox.boot > boot).toBe(true);
  expect(outbox.seq).toBeGreaterThanOrEqual(told.seq);
  const pending = outbox.pending().map(factOf);
  const latest = outbox.latest().map(factOf);
  for (const fact of [...pending, ...latest]) expect(told.handedIn).toContain(fact);
  for (const fact of told.resolved) if (!told.acked.has(fact)) expect(pending).toContain(fact);
  const days = told.resolved.filter((fact) => fact.startsWith("day:"));
  for (const fact of days) expect(outbox.days()).toContain(fact.slice(4)); // acknowledged or not: no second one
  for (const day of outbox.days()) expect(told.handedIn).toContain(`day:${day}`);
  const last = new Map(
    told.resolved.filter((fact) => !fact.startsWith("day:")).map((fact) => [fact.split(" ")[0] ?? "", fact]),
  );
  for (const fact of last.values()) {
    const newer = [...told.handedIn].filter((other) => other.split(" ")[0] === fact.split(" ")[0]).at(-1);
    expect([fact, newer]).toContain(latest.find((other) => other.split(" ")[0] === fact.split(" ")[0]));
  }
  const kept = await tell(outbox, eventDraft("after"));
  expect(kept.body).toMatchObject({ boot: outbox.boot, seq: outbox.seq });
  await using again = await open(found.afterKill());
  expect(again.pending()).toEqual(outbox.pending());
  expect(again.boot > outbox.boot).toBe(true);
}

/** Every way the unsynced writes may have come out: all, none, each alone, each missing, and the last torn at several bytes or with a hole. */
function fatesOf(disk: FakeDisk): Fate[][] {
  const writes = disk.inDoubt;
  const one = (at: number, fate: Fate, others: Fate): Fate[] =>
    writes.map((_, index) => (index === at ? fate : others));
  if (writes.length === 0) return [[]];
  const length = writes.at(-1)?.bytes ?? 0;
  const cuts = [1, 15, 16, 17, Math.trunc(length / 2), length - 17, length - 1].filter(
    (cut) => cut > 0 && cut < length,
  );
  const [third, half] = [Math.trunc(length / 3), Math.trunc(length / 2)];
  const holes: [number, number][] = [
    [0, third],
    [third, half],
    [third, length - 1],
  ];
  return [
    writes.map(() => "kept" as const),
    ...holes.map((hole) => one(writes.length - 1, { hole }, "kept")),
    writes.map(() => "lost" as const),
    ...writes.flatMap((_, at) => [one(at, "kept", "lost"), one(at, "lost", "kept")]),
    ...[...new Set(cuts)].flatMap((cut) => [
      one(writes.length - 1, { cut }, "kept"),
      one(writes.length - 1, { cut }, "lost"),
    ]),
  ];
}

const tells = (from: number, to: number): Step[] =>
  Array.from(
    { length: to - from },
    (_, at): Step => ({ do: "tell", code: `c${(from + at) % 4}`, active: (from + at) % 3 > 0 }),
  );
const STORY: Step[] = [
  ...tells(0, 3),
  { do: "day" },
  ...tells(3, 5),
  { do: "figures" },
  { do: "ack", back: 2 },
  ...tells(5, 14),
  { do: "ack", back: 0 },
  { do: "figures" },
  ...tells(14, 20),
  { do: "day" },
  { do: "restart" },
  { do: "day" },
  { do: "ack", back: 1 },
  ...tells(20, 31),
  { do: "ack", back: 3 },
  { do: "figures" },
  ...tells(31, 40),
  { do: "restart" },
  { do: "day" },
  ...tells(40, 44),
  { do: "ack", back: 0 },
  ...tells(44, 60),
  { do: "ack", back: 12 },
  ...tells(60, 68),
];

describe("the plug is pulled", () => {
  test("after every single write, with every fate of what was not synced: the next start is right", async () => {
    let cuts = 0;
    for (const { disk, told } of await everyMoment(STORY)) {
      for (const fates of fatesOf(disk)) {
        await expectRight(disk.afterCut(fates), told);
        cuts += 1;
      }
    }
    expect(cuts).toBeGreaterThan(500);
  });

  test("and again at every write of the start that follows", async () => {
    for (const [at, { disk, told }] of (await everyMoment(STORY)).entries()) {
      const isSnapshot = disk.inDoubt.some(({ bytes }) => bytes > 3_000);
      for (const [which, fates] of fatesOf(disk).entries()) {
        // Every cut of a snapshot, and a sample of the others.
        if (isSnapshot || (at + which) % 16 === 0) await cutTheStart(() => disk.afterCut(fates), told);
      }
    }
  });

  test("in any story at any write", async () => {
    const code = fc.constantFrom("a", "b", "c");
    const step: fc.Arbitrary<Step> = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant("tell" as const), code, active: fc.boolean() }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("ack" as const), back: fc.nat(3) }) },
      { weight: 1, arbitrary: fc.constantFrom<Step>({ do: "figures" }, { do: "restart" }, { do: "day" }) },
    );
    // An ack now and then, so that nothing need be given up: what is given up has its own tests.
    const steps = fc
      .array(step, { minLength: 1, maxLength: 60 })
      .map((list) => list.flatMap((one, at): Step[] => (at % 6 === 5 ? [one, { do: "ack", back: 1 }] : [one])));
    const fate = fc.oneof(
      fc.constantFrom<Fate>("kept", "lost"),
      fc.record({ cut: fc.nat(600) }),
      fc.record({ hole: fc.tuple(fc.nat(300), fc.integer({ min: 300, max: 3_000 })) }),
    );
    await fc.assert(
      fc.asyncProperty(steps, fc.nat(120), fc.array(fate, { maxLength: 6 }), async (story, changes, fates) => {
        const { disk, told } = await liveUntil(changes, story);
        await expectRight(disk.afterCut(fates), told);
      }),
      { numRuns: 150 },
    );
  });
});

/** Starts on what was found, cuts that start after each of its writes, and starts again. */
async function cutTheStart(find: () => FakeDisk, told: Told): Promise<void> {
  for (let changes = 0; ; changes += 1) {
    const disk = find();
    const finished = await new Promise<boolean>((done, failed) => {
      disk.before = () => {
        if (disk.changes < changes) return;
        done(false);
        return new Promise(() => {});
      };
      open(disk).then(() => done(true), failed);
    });
    if (finished) return;
    for (const fates of fatesOf(disk)) await expectRight(disk.afterCut(fates), told);
  }
}
