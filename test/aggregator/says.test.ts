import * as fc from "fast-check";
import { expect, test } from "vitest";
import { says } from "../../aggregator/says.ts";
import type { TicketEvent } from "../../aggregator/store.ts";

const KINDS = ["opened", "alarm", "level", "restored", "reopened", "resolved", "flapping", "child"] as const;
const alarm = {
  device: "ft-0042",
  code: "disk.var",
  title_zh: "磁盘空间不足",
  title_en: "disk almost full",
  severity: "major",
  value: Math.PI,
  unit: "%",
};

test.each<[TicketEvent["kind"], TicketEvent["data"], string, string]>([
  [
    "opened",
    { ...alarm, level: 2, recurrence_of: "GZ-20261101-0007" },
    "工单新建：二级，ft-0042 disk.var 磁盘空间不足 3.1 %（重要），再次发生，前单 GZ-20261101-0007",
    "ticket opened: level 2, ft-0042 disk.var disk almost full 3.1 % (major), recurrence of GZ-20261101-0007",
  ],
  [
    "alarm",
    { ...alarm, change: "cleared", value: 0.0421 },
    "告警消除：ft-0042 disk.var 磁盘空间不足 0.042 %（重要）",
    "alarm cleared: ft-0042 disk.var disk almost full 0.042 % (major)",
  ],
  [
    "level",
    { from: "隐患", to: 1, reason: "severity" },
    "级别调整：隐患 → 一级，随告警级别",
    "level: latent fault → level 1, as the alarm's severity",
  ],
  ["restored", {}, "服务已恢复，进入观察", "service restored, under observation"],
  ["reopened", { reopened: 2 }, "重新打开：2 次", "reopened: 2 times"],
  ["resolved", {}, "观察期满，已解决", "observation over, resolved"],
  [
    "child",
    { code: "cpu", change: "left" },
    "告警不再由本故障引起：cpu",
    "alarm no longer explained by this fault: cpu",
  ],
  [
    "child",
    { code: "network.gateway", change: "accounts", from: "2026-11-22 16:00:30" },
    "设备自述：network.gateway，自 2026-11-22 16:00:30 起",
    "the device's own word: network.gateway, from 2026-11-22 16:00:30",
  ],
])("an entry `%s` is one sentence in each language", (kind, data, zh, en) => {
  expect(says({ kind, data })).toEqual({ zh, en });
});

test("whatever an entry holds, both sentences say something and no key is missed aloud", () => {
  const data = fc.dictionary(
    fc.constantFrom(...Object.keys(alarm), "level", "from", "to", "reason", "reopened", "change", "recurrence_of"),
    fc.oneof(fc.string(), fc.double(), fc.boolean()),
  );
  fc.assert(
    fc.property(fc.constantFrom(...KINDS), data, (kind, own) => {
      const { zh, en } = says({ kind, data: own });
      expect(zh.length).toBeGreaterThan(1);
      expect(en.length).toBeGreaterThan(1);
      expect(`${zh} ${en}`).not.toMatch(/undefined|\[object/);
    }),
  );
});
