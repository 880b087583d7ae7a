import { type Clock, localTime } from "../platform/clock.ts";
import { firstTimeOf } from "../platform/cron.ts";
import type { Logger } from "../platform/log.ts";
import type { Draft } from "../protocol/record.ts";
import { fingerprint } from "../protocol/topics.ts";
import type { CheckKind, Verdict } from "./checks/check.ts";

/**
 * When is the day's check (日检) told? Once for each day of the device's own calendar, at the set time or as soon after it
 * as the device is there. No timer rings at that time: it is looked, every minute, whether today's is due and not there
 * yet, so that a device that was off, a clock that jumps either way and summer time need no case of their own. (node-cron
 * at work would cost 15 MB of memory for it: docs/decisions/0005-libraries.md; it judges our reading in the tests.)
 */

/** What a check said last, and when (monotonic ms): its verdicts, or why there are none. */
export interface Answer {
  at: number;
  said: readonly Verdict[] | string;
}

/** An answer that is not older is taken as it is. */
const FRESH_MS = 600_000;
/** A clock that shows less was never set: the day it tells is none. 2026-01-01 UTC. */
const LEAST_WALL_MS = 1_767_225_600_000;
const DAY_S = 86_400;
/** The payload, bytes: under what its topic may carry. */
export const MOST_DAILY_BYTES = 60_000;

/** What each check said last, and which of them are to be asked anew before the next slot of theirs. */
export class Answers {
  readonly #last = new Map<string, Answer>();
  #wanted = new Set<string>();
  #served: (() => void) | undefined;

  note(check: string, at: number, said: Answer["said"]): void {
    this.#last.set(check, { at, said });
    if (this.#wanted.delete(check) && this.#wanted.size === 0) this.#served?.();
  }
  of(check: string): Answer | undefined {
    return this.#last.get(check);
  }
  wants(check: string): boolean {
    return this.#wanted.has(check);
  }
  get wantsAny(): boolean {
    return this.#wanted.size > 0;
  }
  /** Wants a new answer of `checks`; resolves when all have come, after `patienceMs`, or when `signal` aborts. */
  async renew(checks: readonly string[], clock: Clock, patienceMs: number, signal: AbortSignal): Promise<void> {
    this.#wanted = new Set(checks);
    if (this.#wanted.size === 0) return;
    const enough = new AbortController();
    this.#served = () => enough.abort();
    await clock.sleep(patienceMs, AbortSignal.any([signal, enough.signal])).catch(() => undefined); // all came, or we end
    this.#served = undefined;
    this.#wanted.clear();
  }
}

/** A check of this program, at work or not. */
export interface Listed {
  kind: Pick<CheckKind, "id" | "name" | "titles">;
  state: "watched" | "absent" | "disabled";
  /** Undefined where it answers at its own times only (a cron expression). */
  deadlineMs?: number;
}

export interface DailyParts {
  clock: Clock;
  log: Logger;
  device: string;
  config: { at: string; spreadMs: number };
  /** All of them, in the order people read them. */
  checks: readonly Listed[];
  answers: Answers;
  /** Days that have their check already. */
  days(): readonly string[];
  /** What the journal has for records, bytes. */
  roomBytes: number;
  slowMs: number;
  facts: { agent: string; config_hash: string };
  redact(text: string): string;
  /** Appends it where it outlives a power cut, and has it published. */
  tell(draft: Draft): Promise<void>;
}

/** Where in the spread a device has its place, in [0, 1): always the same, so that a fleet does not send at once. */
export const shareOf = (device: string): number =>
  Number.parseInt(fingerprint(`${device}: the day's check`), 16) / 2 ** 32; // names of a series differ in their last digit: more words carry that into every bit

/** Whether the day's check is due by now; the spread ends with the day at the latest. */
export function isDue(now: ReturnType<typeof localTime>, at: string, share: number, spreadMs: number): boolean {
  const first = firstTimeOf(at, now);
  if (first === undefined) return false;
  return now.second >= first + Math.floor(share * Math.min(spreadMs / 1000, DAY_S - 1 - first));
}

/** Looks whether today's check is due and was not made yet, and makes it then. Rejects only where `tell` does. */
export async function lookForDaily(parts: DailyParts, signal: AbortSignal): Promise<void> {
  const { clock, config, device, log } = parts;
  const wall = clock.wall();
  if (wall < LEAST_WALL_MS) return;
  const now = localTime(wall);
  if (parts.days().includes(now.date) || !isDue(now, config.at, shareOf(device), config.spreadMs)) return;
  await renewOld(parts, signal);
  if (signal.aborted) return;
  const { daySheet } = await import("./daily-sheet.ts"); // once a day: not worth a place in memory before
  const at = clock.now();
  const checks = parts.checks.map(({ kind, state }) => ({ kind, state, answer: parts.answers.of(kind.id) }));
  const mostBytes = Math.min(MOST_DAILY_BYTES, parts.roomBytes / 2);
  const body = daySheet({ date: now.date, ...parts.facts }, checks, { now: at, mostBytes, redact: parts.redact });
  await parts.tell({ kind: "daily", code: "daily", body });
  log.info({ event: "daily.made", date: now.date, lines: body.checks.length, cut: body.cut_count }, "the day's check");
}

/** Has those asked anew whose last word is old; a slow round, and the slowest of them, are waited for. */
async function renewOld({ clock, checks, answers, slowMs }: DailyParts, signal: AbortSignal): Promise<void> {
  const isOld = ({ kind }: Listed): boolean =>
    clock.now() - (answers.of(kind.id)?.at ?? Number.NEGATIVE_INFINITY) > FRESH_MS;
  const old = checks.filter((one) => one.state === "watched" && one.deadlineMs !== undefined && isOld(one));
  const slowest = Math.max(0, ...old.map(({ deadlineMs = 0 }) => deadlineMs));
  await answers.renew(
    old.map(({ kind }) => kind.id),
    clock,
    1.2 * slowMs + slowest + 10_000,
    signal,
  );
}
