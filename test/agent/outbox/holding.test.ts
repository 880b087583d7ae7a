import { expect, test } from "vitest";
import type { Entry } from "../../../agent/outbox/entries.ts";
import { Holding } from "../../../agent/outbox/holding.ts";
import { nextBoot } from "../../../protocol/boot.ts";
import { alarmDraft, codes } from "../../kit/drafts.ts";

const boot = nextBoot(1, new Uint8Array(10));
const record = (seq: number, pending: boolean): Entry => {
  const { code, body } = alarmDraft(`c${seq}`);
  return { k: "record", pending, kept: { kind: "alarm", code, body: { ...body, boot, seq, ts: 0 } } };
};

test("of two snapshots that both hold a record, one knowing it to be acknowledged is enough, in either order", () => {
  for (const [first, second] of [
    [true, false],
    [false, true],
  ] as const) {
    const holding = new Holding();
    holding.apply({ k: "start", boot });
    holding.apply(record(1, first));
    holding.apply(record(2, true));
    holding.apply(record(1, second));
    holding.apply(record(2, true));
    expect(codes(holding.pending())).toEqual(["c2"]);
    expect(codes(holding.latest())).toEqual(["c1", "c2"]);
  }
});
