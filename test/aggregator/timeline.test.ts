import fc from "fast-check";
import { expect, test } from "vitest";
import type { TicketEvent } from "../../aggregator/store.ts";
import { chain, type Entry, findBreak, fold, refold } from "../../aggregator/tickets/timeline.ts";
import { SEVERITIES } from "../../protocol/severity.ts";
import { TicketSnapshot } from "../../protocol/ticket.ts";

const NO = "GZ-20261122-0001";
const severity = fc.constantFrom(...SEVERITIES);
const opened = fc.record({
  severity,
  title: fc.string({ unit: "grapheme" }),
  at: fc.integer({ min: 0, max: 2 ** 41 }),
});
const later: fc.Arbitrary<Entry> = fc.oneof(
  fc.constantFrom<Entry["kind"]>("alarm", "restored", "reopened", "resolved", "flapping", "child").map((kind) => ({
    kind,
    data: { code: "disk.var" },
  })),
  severity.map((grade): Entry => ({ kind: "level", data: { severity: grade } })),
);
const timeline = fc
  .tuple(opened, fc.array(later, { maxLength: 20 }))
  .map(([{ severity: grade, title, at }, entries]) => {
    const data = { device: "ft-1", code: "disk.var", dedup_key: "ft-1/disk.var", title_zh: title, title_en: title };
    return chain(
      NO,
      undefined,
      [{ kind: "opened", data: { ...data, severity: grade, occurred_at: at } }, ...entries],
      at,
    );
  });

test("a timeline as it was written is whole, wherever it was read from", () => {
  fc.assert(
    fc.property(timeline, (events) => {
      expect(findBreak(events)).toBeUndefined();
      const reread = (JSON.parse(JSON.stringify(events)) as TicketEvent[]).map((event) => ({
        ...event,
        data: Object.fromEntries(Object.entries(event.data).toReversed()),
      }));
      expect(findBreak(reread)).toBeUndefined();
    }),
  );
});

test("any edit, any entry taken out, put in or moved is found at or before its place", () => {
  const edits: ((event: TicketEvent) => TicketEvent)[] = [
    (event) => ({ ...event, at: event.at + 1 }),
    (event) => ({ ...event, actor: "somebody" }),
    (event) => ({ ...event, kind: event.kind === "restored" ? "resolved" : "restored" }),
    (event) => ({ ...event, data: { ...event.data, severity: "none" } }),
    (event) => ({ ...event, hash: "f".repeat(64) }),
    (event) => ({ ...event, ticket: "GZ-20261122-0002" }),
  ];
  fc.assert(
    fc.property(timeline, fc.nat(), fc.constantFrom(...edits), (events, pick, edit) => {
      const at = pick % events.length;
      const edited = events.map((event, index) => (index === at ? edit(event) : event));
      expect(findBreak(edited)?.id).toBe(at + 1);
      if (at < events.length - 1) expect(findBreak(events.toSpliced(at, 1))?.id).toBe(at + 1);
      expect(findBreak(events.toSpliced(at, 0, ...events.slice(at, at + 1)))).toBeDefined();
    }),
  );
});

test("a ticket folded entry by entry is the whole timeline folded, and fits the protocol", () => {
  fc.assert(
    fc.property(timeline, (events) => {
      let row = undefined as ReturnType<typeof refold>;
      for (const event of events) row = fold(row, event);
      expect(row).toEqual(refold(events));
      expect(TicketSnapshot.parse(row)).toEqual(row);
      expect(row?.state === "重新打开").toBe(
        row !== undefined && row.reopened > 0 && row.restored_at === undefined && row.resolved_at === undefined,
      );
    }),
  );
});

test("a timeline must begin with its opening, and opens once", () => {
  const [restored] = chain(NO, undefined, [{ kind: "restored", data: {} }], 1);
  expect(() => refold(restored === undefined ? [] : [restored])).toThrow(NO);
});
