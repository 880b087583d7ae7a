import { expect } from "vitest";
import type { Outbox } from "../../agent/outbox/outbox.ts";
import type { Draft, Kept } from "../../protocol/record.ts";

export { alarmChange as alarmDraft } from "./alarm-change.ts";

export function eventDraft(code: string, says = ""): Draft {
  return { kind: "event", code, body: { title_zh: "已启动", title_en: "started", says } };
}

/** A day's check with `lines` plausible lines, each a little different. */
export function dailyDraft(date: string, lines = 3): Extract<Draft, { kind: "daily" }> {
  const checks = Array.from({ length: lines }, (_, i) => ({
    ...{ check: "process", name_zh: "进程", name_en: "processes", subject: `unit-${i}`, state: "ok" as const },
    readings: { rss_bytes: 40_000_000 + ((i * 7_919 + Number(date.slice(-2)) * 104_729) % 9_999_991), cpu_pct: i / 7 },
  }));
  const none = { critical_count: 0, major_count: 0, minor_count: 0, warning_count: 0, unknown_count: 0 };
  const body = { ...none, ok_count: lines, absent_count: 0, disabled_count: 0, cut_count: 0, checks };
  return { kind: "daily", code: "daily", body: { date, agent: "1.0.0", config_hash: "c0ffee", ...body } };
}

/** Appends one draft and returns it with its place. */
export async function tell(outbox: Outbox, draft: Draft): Promise<Kept> {
  const [kept] = await outbox.append([draft]);
  if (kept === undefined) throw new Error("nothing was kept");
  return kept;
}

export const codes = (list: readonly { code: string }[]): string[] => list.map(({ code }) => code);
export const seqs = (list: readonly Kept[]): number[] => list.map(({ body }) => body.seq);

/** What must hold of an outbox at any moment, whatever it went through. */
export function expectSound(outbox: Outbox): void {
  const pending = seqs(outbox.pending());
  expect(pending).toEqual([...new Set(pending)].sort((a, b) => a - b));
  expect(outbox.seq).toBeGreaterThanOrEqual(Math.max(0, ...pending, ...seqs(outbox.latest())));
  expect(new Set(codes(outbox.latest())).size).toBe(outbox.latest().length);
  expect(outbox.stats().pending).toBe(pending.length);
}
