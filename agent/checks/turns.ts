import type { Clock } from "../../platform/clock.ts";
import type { Judge, Verdict } from "./check.ts";
import { within } from "./within.ts";

/** One slow question with a pace of its own: a program, a server, a walk through a folder. */
export interface Turn {
  /** What is `unknown` when there is no answer. */
  subject: string;
  /** Asked so often, ms; moved by up to 5 % either way. */
  everyMs: number;
  /** So soon again, ms, for the next three times after an answer of another grade: holds and clears are decided on fresh looks. */
  retryMs?: number;
  /** Cut off, and unknown, after so long, ms. */
  deadlineMs: number;
  /** Rejects where nothing can be told: unknown, with the error's message. Must give up when `signal` aborts. */
  ask(signal: AbortSignal): Promise<readonly Verdict[]>;
}

interface Pace {
  clock: Clock;
  /** In [0, 1). */
  random: () => number;
  /** So many are asked at one time; one that does not give up after its deadline counts on. */
  atOnce: number;
  /** A round waits so long at most for first answers, ms. */
  waitMs: number;
  /** Takes out of an error's message what must not leave the device. */
  redact: (text: string) => string;
}

/** The answers of slow questions, as a check gives them. */
export interface Turns extends Judge {
  /** Asks what is due in the background, and waits for nothing but first answers; the same array when nothing is new. */
  judge(signal: AbortSignal): readonly Verdict[] | Promise<readonly Verdict[]>;
  stirred(): boolean;
  close(): void;
}

const RETRIES = 3;
const JITTER = 0.05;

interface Seat {
  turn: Turn;
  dueAt: number;
  busy: boolean;
  /** Since when it has been asked without giving up, past its deadline. */
  hangsSince?: number | undefined;
  retries: number;
  /** How often it was answered, or given up. */
  asked: number;
  /** Undefined before the first answer. */
  verdicts?: readonly Verdict[];
}

/**
 * Asks each of `turns` at its own pace, a few at a time, and keeps the answers in between: a slow one makes no other wait,
 * and a round costs nothing. One that was never answered yet is `unknown`.
 */
export function inTurns(turns: readonly Turn[], { clock, random, atOnce, waitMs, redact }: Pace): Turns {
  const seats = turns.map((turn): Seat => ({ turn, dueAt: clock.now(), busy: false, retries: 0, asked: 0 }));
  const ending = new AbortController();
  let busy = 0;
  let hasNews = true;
  let told: readonly Verdict[] = [];
  let arrived = Promise.withResolvers<void>();

  function start(): void {
    const now = clock.now();
    // who has waited longest goes first: those at the end of the list would never have their turn
    const due = seats.filter(({ dueAt }) => dueAt <= now).toSorted((a, b) => a.dueAt - b.dueAt);
    for (const seat of due) {
      if (ending.signal.aborted) return;
      if (seat.hangsSince !== undefined) keep(seat, unanswered(seat, now - seat.hangsSince));
      else if (!seat.busy && busy < atOnce) void take(seat);
      else if (!seat.busy) waitBehind(seat);
    }
  }

  /** What was said last does not stay true while nobody can be asked. */
  function waitBehind(seat: Seat): void {
    const taken = seats.filter(({ busy: isTaken }) => isTaken);
    if (taken.some(({ hangsSince }) => hangsSince === undefined)) return; // soon it is its turn
    keep(seat, unknownAll(seat, `waits behind ${taken.map(({ turn }) => turn.subject).join(", ")}`));
  }

  async function take(seat: Seat): Promise<void> {
    const { turn } = seat;
    const askedAt = clock.now();
    seat.busy = true;
    busy += 1;
    const cut = new AbortController();
    const asked = turn.ask(AbortSignal.any([cut.signal, ending.signal])).catch((cause: unknown) => {
      const because = cause instanceof Error ? cause.message : String(cause);
      return unknownAll(seat, redact(because));
    });
    const free = (): void => {
      seat.busy = false;
      seat.hangsSince = undefined;
      busy -= 1;
    };
    const inTime = await within(asked, turn.deadlineMs, clock, ending.signal).catch(() => false);
    if (ending.signal.aborted) return;
    keep(seat, inTime ? await asked : unanswered(seat, turn.deadlineMs));
    if (inTime) free();
    else {
      seat.hangsSince = askedAt;
      void asked.then(free);
      cut.abort();
    }
    start(); // one that waited for a place, though no round has come
  }

  function keep(seat: Seat, answered: readonly Verdict[]): void {
    seat.asked += 1;
    const verdicts = answered.map((one) => (one.state === "unknown" ? { ...one, asked: seat.asked } : one));
    const { everyMs, retryMs } = seat.turn;
    const same = gradesOf(verdicts) === gradesOf(seat.verdicts ?? []);
    seat.retries = same ? Math.max(0, seat.retries - 1) : RETRIES;
    const pauseMs = seat.retries > 0 && retryMs !== undefined ? Math.min(retryMs, everyMs) : everyMs;
    seat.dueAt = clock.now() + pauseMs * (1 - JITTER + 2 * JITTER * random());
    seat.verdicts = verdicts;
    hasNews = true;
    arrived.resolve();
    arrived = Promise.withResolvers<void>();
  }

  function answer(): readonly Verdict[] {
    if (!hasNews) return told;
    hasNews = false;
    told = seats.flatMap(({ turn: { subject }, verdicts }): readonly Verdict[] =>
      verdicts === undefined ? [{ state: "unknown", subject, because: "not answered yet", asked: 0 }] : verdicts,
    );
    return told;
  }

  /** The first answers decide whether alarms kept over a restart still hold: worth waiting for. */
  async function first(signal: AbortSignal): Promise<readonly Verdict[]> {
    const until = clock.now() + waitMs;
    while (!ending.signal.aborted && seats.some(({ verdicts }) => verdicts === undefined)) {
      if (!(await within(arrived.promise, until - clock.now(), clock, signal))) break;
    }
    return answer();
  }

  return {
    judge(signal) {
      start();
      return seats.some(({ verdicts }) => verdicts === undefined) ? first(signal) : answer();
    },
    stirred: () => told.length > 0 && hasNews,
    close: () => ending.abort(),
  };
}

const unanswered = (seat: Seat, forMs: number): Verdict[] =>
  unknownAll(seat, `no answer within ${Math.round(forMs / 1_000)} s`);

/** A subject left out would be one that is gone. */
const unknownAll = ({ turn, verdicts = [] }: Seat, because: string): Verdict[] =>
  [...new Set([turn.subject, ...verdicts.map(({ subject }) => subject)])].map((subject) => ({
    state: "unknown",
    subject,
    because,
  }));

/** Grades in a few letters: equal where nothing changed but figures. */
const gradesOf = (verdicts: readonly Verdict[]): string =>
  verdicts
    .map((verdict) => (verdict.state === "unknown" ? "unknown" : verdict.grade))
    .filter((grade) => grade !== "ok")
    .join();
