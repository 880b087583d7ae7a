import { type Redact, redactedWithin } from "../platform/redact.ts";
import type { Draft } from "../protocol/record.ts";
import type { Verdict } from "./checks/check.ts";

/** What leaves the device is said without secrets: the last look at every text, whatever the checks have done. */

/** The most a record may carry (protocol/from-device.ts). */
const MOST = { says: 400, title: 200, subject: 200 } as const;

/** The draft with every text in it redacted, still within what a record may carry. A day's check is redacted where it is made. */
export function discreet(draft: Draft, redact: Redact): Draft {
  if (draft.kind === "daily") return draft;
  const { says } = draft.body;
  const texts = {
    title_zh: redactedWithin(draft.body.title_zh, MOST.title, redact),
    title_en: redactedWithin(draft.body.title_en, MOST.title, redact),
    ...(says === undefined ? {} : { says: redactedWithin(says, MOST.says, redact) }),
  };
  if (draft.kind === "event") return { ...draft, body: { ...draft.body, ...texts } };
  const subject = redactedWithin(draft.body.subject, MOST.subject, redact, false);
  return { ...draft, body: { ...draft.body, ...texts, subject } };
}

const MOST_REMEMBERED = 4_096;

/**
 * Subjects as they may be named outside: their alarm codes and topics are made of them. Each is looked at once; of two
 * that look alike without their secrets the second gets a number.
 */
export function discreetSubjects(redact: Redact): (verdicts: readonly Verdict[]) => readonly Verdict[] {
  const names = new Map<string, string>();
  const owners = new Map<string, string>();
  const nameOf = (subject: string): string => {
    const known = names.get(subject);
    if (known !== undefined) return known;
    if (names.size >= MOST_REMEMBERED) {
      names.clear();
      owners.clear();
    }
    const plain = redact(subject);
    let name = plain;
    if (plain !== subject) for (let i = 2; owners.has(name); i += 1) name = `${plain} ${i}`;
    names.set(subject, name);
    owners.set(name, subject);
    return name;
  };
  return (verdicts) =>
    verdicts.every(({ subject }) => nameOf(subject) === subject)
      ? verdicts
      : verdicts.map((verdict) => ({ ...verdict, subject: nameOf(verdict.subject) }));
}
