import { expect, test } from "vitest";
import type { Change } from "../../aggregator/changes.ts";
import { changeJson } from "../../aggregator/http/rows.ts";
import { watchLines } from "../../ops/watch-lines.ts";
import { alarmRow, deviceRow, NOON, ticketEvent, ticketRow } from "../kit/hand-reading.ts";

const look = { lang: "zh", colour: false, timeZone: "Asia/Shanghai" } as const;
const story: Change[] = [
  { kind: "device", at: NOON, row: deviceRow() },
  { kind: "alarm", at: NOON, row: alarmRow() },
  { kind: "ticket", at: NOON, row: ticketRow(), event: ticketEvent() },
  {
    kind: "alarm",
    at: NOON + 1_000,
    row: alarmRow({ severity: "critical", value: 0.42 }),
    was: { active: true, severity: "major" },
  },
  { kind: "ticket", at: NOON + 1_000, row: ticketRow({ level: 1 }), event: ticketEvent({ kind: "level" }) },
  { kind: "alarm", at: NOON + 9_000, row: alarmRow({ active: false, value: 40 }) },
  { kind: "ticket", at: NOON + 9_000, row: ticketRow({ state: "已恢复" }), event: ticketEvent({ kind: "restored" }) },
  { kind: "device", at: NOON + 10_000, row: deviceRow({ presence: "silent" }) },
];

test("a fault from its alarm to its restored ticket reads as one line per change", () => {
  const lineOf = watchLines(look);
  expect(story.map((change) => lineOf(changeJson(change)))).toEqual([
    "18:03:22 ◆      ft-0042 在线",
    "18:03:22 ● 二级 ft-0042 disk.var 磁盘空间不足 /var 3.1 %",
    "18:03:22 ▶ 二级 ft-0042 disk.var 磁盘空间不足 → 工单 GZ-20261122-0001 新建",
    "18:03:23 ◐ 一级 ft-0042 disk.var 磁盘空间不足 /var 0.42 % (原 二级)",
    "18:03:23 ▲ 一级 ft-0042 disk.var 磁盘空间不足 → 工单 GZ-20261122-0001 新建",
    "18:03:31 ○ 二级 ft-0042 disk.var 磁盘空间不足 /var 40 % 已消除",
    "18:03:31 ✔ 二级 ft-0042 disk.var 磁盘空间不足 → 工单 GZ-20261122-0001 已恢复",
    "18:03:32 ◇      ft-0042 失联",
  ]);
});

test("the same story in English", () => {
  const lineOf = watchLines({ ...look, lang: "en" });
  expect(story.slice(1, 4).map((change) => lineOf(changeJson(change)))).toEqual([
    "18:03:22 ● L2     ft-0042 disk.var disk almost full /var 3.1 %",
    "18:03:22 ▶ L2     ft-0042 disk.var disk almost full → ticket GZ-20261122-0001 new",
    "18:03:23 ◐ L1     ft-0042 disk.var disk almost full /var 0.42 % (was L2)",
  ]);
});

test("what says nothing new has no line: a device that stays as it was, an entry that repeats an alarm", () => {
  const lineOf = watchLines(look);
  const device = changeJson({ kind: "device", at: NOON, row: deviceRow() });
  expect([lineOf(device), lineOf(device)]).toEqual([expect.any(String), undefined]);
  const note = { kind: "ticket", at: NOON, row: ticketRow(), event: ticketEvent({ kind: "alarm" }) } as const;
  expect(lineOf(changeJson(note))).toBeUndefined();
});

test("a latent fault has no level; columns widen to what was seen and stay so", () => {
  const lineOf = watchLines(look);
  const { level: _level, ...latent } = ticketRow({ device: "encoder-in-the-hall-7", code: "temperature.soc" });
  expect(lineOf(changeJson({ kind: "ticket", at: NOON, row: latent, event: ticketEvent() }))).toBe(
    "18:03:22 ▶ 隐患 encoder-in-the-hall-7 temperature.soc 磁盘空间不足 → 工单 GZ-20261122-0001 新建",
  );
  expect(lineOf(changeJson({ kind: "alarm", at: NOON, row: alarmRow() }))).toBe(
    "18:03:22 ● 二级 ft-0042               disk.var        磁盘空间不足 /var 3.1 %",
  );
});
