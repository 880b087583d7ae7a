import { expect, test } from "vitest";
import type { Judged } from "../../agent/checks/check.ts";
import { discreet, discreetSubjects } from "../../agent/discreet.ts";
import { redactor } from "../../platform/redact.ts";
import { AlarmChange } from "../../protocol/from-device.ts";
import { CANARIES, canariesIn, SITE_WORDS } from "../kit/canaries.ts";
import { alarmDraft } from "../kit/drafts.ts";

const redact = redactor(SITE_WORDS);
const judged = (subject: string): Judged => ({
  ...{ state: "judged", subject, grade: "ok", holds: "ok", reason: "x", readings: { a_count: 1 } },
});

test("no draft carries a canary, and each still fits the wire", () => {
  for (const { text } of CANARIES) {
    const draft = alarmDraft("disk.var");
    const body = { ...draft.body, subject: text.slice(0, 200), title_zh: text, title_en: text, says: text };
    const clean = discreet({ ...draft, body }, redact);
    expect(canariesIn(Buffer.from(JSON.stringify(clean)))).toEqual([]);
    expect(AlarmChange.safeParse({ ...clean.body, boot: "01JDA2B3C4D5E6F7G8H9JKMNPQ", seq: 1, ts: 1 }).success).toBe(
      true,
    );
    const event = discreet(
      { kind: "event", code: "x", body: { title_zh: text, title_en: text, says: `${"p".repeat(300)} ${text}` } },
      redact,
    );
    expect(canariesIn(Buffer.from(JSON.stringify(event)))).toEqual([]);
  }
});

test("a sentence that was cut to its limit before shows no half secret", () => {
  const draft = alarmDraft("disk.var");
  const long = `${"evidence ".repeat(43)}11010519491231002X 13912345678`;
  for (let shift = 0; shift < 30; shift += 1) {
    const says = `${"x".repeat(shift)}${long}`.slice(0, 400);
    const clean = discreet({ ...draft, body: { ...draft.body, says } }, redact);
    expect(JSON.stringify(clean)).not.toMatch(/110105|139123/);
  }
});

test("a subject keeps one name, and two that look alike without their secrets stay two", () => {
  const named = discreetSubjects(redact);
  const plain = [judged("/var"), judged("eth0")];
  expect(named(plain)).toBe(plain);
  const secret = [judged("欧阳丹青 门"), judged("/var"), judged("KanarieVoornaam 门")];
  const names = named(secret).map(({ subject }) => subject);
  expect(names).toEqual(["*** 门", "/var", "*** 门 2"]);
  expect(named([...secret].reverse()).map(({ subject }) => subject)).toEqual(names.toReversed());
});
