import { expect, test } from "vitest";
import type { TicketRow } from "../../aggregator/store.ts";
import { decide, isObserved, type Situation } from "../../aggregator/tickets/policy.ts";
import { alarmRow } from "../contract/store.ts";

const NOW = 1_000_000_000;
const policy = {
  observeMs: 1_800_000,
  reopenMs: 86_400_000,
  flappingNoteMs: 3_600_000,
  childGraceMs: 90_000,
  mergeMs: 600_000,
  maxNotes: 5,
};
const ticket = (more: Partial<TicketRow> = {}): TicketRow => ({
  ...{
    no: "GZ-20261122-0001",
    type: "故障",
    level: 2,
    severity: "major",
    state: "新建",
    device: "ft-1",
    code: "disk.var",
  },
  ...{
    dedup_key: "ft-1/disk.var",
    title_zh: "磁盘",
    title_en: "disk",
    occurred_at: 1,
    detected_at: 1,
    reopened: 0,
    ts: 1,
  },
  ...more,
});
const at = (more: Partial<Situation>): Situation => ({
  ...{ happening: "begins", alarm: alarmRow("ft-1", "disk.var"), ticket: undefined, others: 0, entries: 1 },
  ...{ flappedAt: undefined, now: NOW, policy },
  ...more,
});
const kinds = (situation: Situation): string[] => decide(situation).entries.map(({ kind }) => kind);

test("what a fault that begins does depends on its last ticket", () => {
  expect(decide(at({}))).toMatchObject({ no: "new", entries: [{ kind: "opened", data: { level: 2 } }] });
  const restored = ticket({ state: "已恢复", restored_at: NOW - 1 });
  expect(kinds(at({ ticket: restored }))).toEqual(["reopened"]);
  const resolved = (ago: number) => ticket({ state: "已解决", restored_at: NOW - ago, resolved_at: NOW - 1 });
  expect(kinds(at({ ticket: resolved(86_399_999) }))).toEqual(["reopened"]);
  expect(decide(at({ ticket: resolved(86_400_000) }))).toMatchObject({
    no: "new",
    entries: [{ data: { recurrence_of: "GZ-20261122-0001" } }],
  });
  for (const state of ["误报", "合并", "已关闭"] as const) {
    expect(kinds(at({ ticket: ticket({ state, restored_at: NOW - 1, ts: NOW - 1 }) })), state).toEqual(["opened"]);
  }
  expect(kinds(at({ ticket: ticket() }))).toEqual(["alarm"]);
});

test("a fault that had passed when it was heard restores its ticket, unless another alarm holds it", () => {
  expect(kinds(at({ happening: "passes" }))).toEqual(["opened", "restored"]);
  const restored = ticket({ state: "已恢复", restored_at: NOW - 1 });
  expect(kinds(at({ happening: "passes", ticket: restored }))).toEqual(["reopened", "restored"]);
  expect(kinds(at({ happening: "passes", ticket: ticket(), others: 1 }))).toEqual(["alarm"]);
});

test("a level rises with the severity and never falls", () => {
  const changes = (severity: "minor" | "critical") =>
    kinds(at({ happening: "changes", alarm: alarmRow("ft-1", "disk.var", { severity }), ticket: ticket() }));
  expect(changes("critical")).toEqual(["alarm", "level"]);
  expect(changes("minor")).toEqual(["alarm"]);
});

test("a ticket is restored when the last of its alarms ends", () => {
  const ends = (others: number) => kinds(at({ happening: "ends", ticket: ticket(), others }));
  expect(ends(1)).toEqual(["alarm"]);
  expect(ends(0)).toEqual(["restored"]);
});

test("a fault heard of after its end is opened and restored at once", () => {
  expect(kinds(at({ happening: "passes" }))).toEqual(["opened", "restored"]);
  expect(kinds(at({ happening: "passes", ticket: ticket({ state: "已恢复", restored_at: 1 }) }))).toEqual([
    "reopened",
    "restored",
  ]);
});

test("a flapping alarm is noted once an hour", () => {
  const alarm = alarmRow("ft-1", "disk.var", { flapping: true });
  const flaps = (flappedAt?: number) => kinds(at({ happening: "changes", alarm, ticket: ticket(), flappedAt }));
  expect(flaps()).toEqual(["alarm", "flapping"]);
  expect(flaps(NOW - 3_599_999)).toEqual(["alarm"]);
  expect(flaps(NOW - 3_600_000)).toEqual(["alarm", "flapping"]);
});

test("notes are bounded, what moves a column is not", () => {
  const alarm = alarmRow("ft-1", "disk.var", { severity: "critical" });
  expect(kinds(at({ happening: "changes", alarm, ticket: ticket(), entries: 5 }))).toEqual(["level"]);
});

test("observation ends after its time, and not at level 1", () => {
  const restored = (ago: number, level: 1 | 2 = 2) => ticket({ state: "已恢复", restored_at: NOW - ago, level });
  expect(isObserved(restored(1_799_999), NOW, policy)).toBe(false);
  expect(isObserved(restored(1_800_000), NOW, policy)).toBe(true);
  expect(isObserved(restored(9_999_999, 1), NOW, policy)).toBe(false);
  expect(isObserved(ticket(), NOW, policy)).toBe(false);
});
