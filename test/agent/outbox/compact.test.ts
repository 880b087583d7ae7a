import * as fc from "fast-check";
import { expect, test } from "vitest";
import { compact, type Held, type Item, type Sample, weigh } from "../../../agent/outbox/compact.ts";
import type { Kept } from "../../../protocol/record.ts";
import { alarmDraft, dailyDraft, eventDraft } from "../../kit/drafts.ts";

const boot = "01JD0000000000000000000000";

interface Fact {
  what: "alarm" | "event" | "daily";
  code: string;
  active: boolean;
  pending: boolean;
}

function held(facts: readonly Fact[], samples: number, bytes = 100): Held {
  const items = facts.map(({ what, code, active, pending }, at): Item => {
    const draft = what === "alarm" ? alarmDraft(code, active) : what === "event" ? eventDraft(code) : dailyDraft(code);
    return { kept: { ...draft, body: { ...draft.body, boot, seq: at + 1, ts: 0 } } as Kept, pending, bytes };
  });
  const list = Array.from(
    { length: samples },
    (_, at): Sample => ({ kept: { id: at + 1, code: "cpu", body: { ts: 0 } }, bytes }),
  );
  return { items, samples: list, dropped: { telemetry: 0, records: 0 } };
}
const alarm = (code: string, active = true, pending = true): Fact => ({ what: "alarm", code, active, pending });
const day = (): Fact => ({ what: "daily", code: "2026-11-22", active: false, pending: true });
const moment = (code: string): Fact => ({ what: "event", code, active: false, pending: true });
const names = ({ items }: Held): string[] => items.map(({ kept }) => `${kept.code}${kept.body.seq}`);

test("with room enough nothing is given up", () => {
  const all = held([alarm("a"), moment("e"), alarm("a", false)], 3);
  expect(compact(all, 1_200)).toEqual(all);
});

test("figures take no more than half the room, the oldest go first", () => {
  const left = compact(held([alarm("a")], 10), 1_000);
  expect(left.samples.map(({ kept }) => kept.id)).toEqual([6, 7, 8, 9, 10]);
  expect(left.dropped).toEqual({ telemetry: 5, records: 0 });
});

test("alarms push out figures, then events, then changes that a later one supersedes; each time the oldest", () => {
  const facts = [alarm("a"), moment("e"), alarm("b"), alarm("a", false), moment("f"), alarm("a")];
  expect(names(compact(held(facts, 4), 800))).toEqual(["a1", "e2", "b3", "a4", "f5", "a6"]);
  expect(compact(held(facts, 4), 800).samples).toHaveLength(2);
  expect(names(compact(held(facts, 4), 500))).toEqual(["a1", "b3", "a4", "f5", "a6"]);
  expect(names(compact(held(facts, 4), 300))).toEqual(["b3", "a4", "a6"]);
  const least = compact(held(facts, 4), 200);
  expect(names(least)).toEqual(["b3", "a6"]);
  expect(least.dropped).toEqual({ telemetry: 4, records: 4 });
});

test("daily checks go after figures and events, and before any alarm; the oldest first", () => {
  const facts = [day(), alarm("a"), day(), moment("e"), alarm("a", false), alarm("b"), day()];
  const dailies = (left: Held) => left.items.flatMap(({ kept }) => (kept.kind === "daily" ? [kept.body.seq] : []));
  const all = compact(held(facts, 2), 900);
  expect([dailies(all), all.samples.length]).toEqual([[1, 3, 7], 2]);
  const figures = compact(held(facts, 2), 700);
  expect([dailies(figures), figures.samples.length]).toEqual([[1, 3, 7], 0]);
  const noEvents = compact(held(facts, 2), 600);
  expect([dailies(noEvents), names(noEvents).includes("e4")]).toEqual([[1, 3, 7], false]);
  const fewer = compact(held(facts, 2), 500);
  expect([dailies(fewer), names(fewer).filter((name) => !name.startsWith("daily"))]).toEqual([
    [3, 7],
    ["a2", "a5", "b6"],
  ]);
  const alarmsOnly = compact(held(facts, 2), 300);
  expect(names(alarmsOnly)).toEqual(["a2", "a5", "b6"]);
  expect(alarmsOnly.dropped).toEqual({ telemetry: 2, records: 4 });
});

test("daily checks take no more than half the room where there is not enough for all", () => {
  const left = compact(held([...Array.from({ length: 20 }, day), alarm("a")], 10), 2_000);
  expect(left.items.filter(({ kept }) => kept.kind === "daily")).toHaveLength(10);
  expect(left.samples).toHaveLength(9);
  const roomy = compact(held([...Array.from({ length: 20 }, day), alarm("a")], 3), 2_400);
  expect(roomy.dropped).toEqual({ telemetry: 0, records: 0 });
});

test("the last change of a code that is active or not acknowledged is never given up, whatever the room", () => {
  const facts = [alarm("a"), alarm("b", true, false), alarm("c", false), alarm("d", false, false)];
  const least = compact(held(facts, 0), 0);
  expect(names(least)).toEqual(["a1", "b2", "c3"]);
  expect(least.dropped.records).toBe(0); // d was acknowledged: no one loses anything
});

test("of cleared and acknowledged alarms the newest 256 stay", () => {
  const facts = Array.from({ length: 300 }, (_, at) => alarm(`c${at}.`, false, false));
  const left = compact(held([alarm("z"), ...facts], 0), 1_000_000);
  expect(left.items).toHaveLength(257);
  expect(names(left).slice(0, 2)).toEqual(["z1", "c44.46"]);
});

test("always: nothing is invented or reordered, everything missing is counted or known to the aggregator", () => {
  const code = fc.constantFrom("a", "b", "c", "d");
  const fact = fc.record({
    what: fc.constantFrom("alarm", "event", "daily"),
    code,
    active: fc.boolean(),
    pending: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(fact, { maxLength: 40 }), fc.nat(30), fc.nat(5_000), (facts, samples, room) => {
      const before = held(facts, samples);
      const left = compact(before, room);
      expect(before.items.filter((item) => left.items.includes(item))).toEqual(left.items);
      expect(before.samples.slice(before.samples.length - left.samples.length)).toEqual(left.samples);
      expect(left.dropped.telemetry).toBe(before.samples.length - left.samples.length);
      const gone = before.items.filter((item) => !left.items.includes(item));
      const known = gone.filter(({ kept, pending }) => !pending && kept.kind === "alarm" && !kept.body.active);
      expect(left.dropped.records).toBeLessThanOrEqual(gone.length);
      expect(left.dropped.records).toBeGreaterThanOrEqual(gone.length - known.length);
      const last = new Map(
        before.items.filter(({ kept }) => kept.kind === "alarm").map((item) => [item.kept.code, item]),
      );
      const must = [...last.values()].filter(
        ({ kept, pending }) => pending || (kept.kind === "alarm" && kept.body.active),
      );
      for (const item of must) expect(left.items).toContain(item);
      if (weigh(must) <= room) expect(weigh(left.items) + weigh(left.samples)).toBeLessThanOrEqual(room);
    }),
  );
});
