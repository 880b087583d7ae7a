import { expect } from "vitest";
import type { Outbox } from "../../agent/outbox/outbox.ts";
import type { Draft, Kept } from "../../protocol/record.ts";

export { alarmChange as alarmDraft } from "./alarm-change.ts";

export function eventDraft(code: string, says = ""): Draft {
  return { kind: "event", code, body: { title_zh: "已启动", title_en: "started", says } };
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
