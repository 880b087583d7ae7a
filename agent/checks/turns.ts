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
  /** It could not be told, and that has been said: once for each time it was asked, for three times in a row are an alarm. */
  saidUnknown: boolean;
  /** Undefined before the first answer. */
  verdicts?: readonly Verdict[];
}

/**
 * Asks each of `turns` at its own pace, a few at a time, and keeps the answers in between: a slow one makes no other wait,
 * and a round costs nothing. One that was never answered yet is `unknown`.
 */
export function inTurns(turns: readonly Turn[], { clock, random, atOnce, waitMs, redact }: Pace): Turns {
  const seats = turns.map(
    (turn): Seat => ({ turn, dueAt: clock.now(), busy: false, retries: 0, asked: 0, saidUnknown: false }),
  );
  const ending = new AbortController();
  let busy = 0;
  let news: "none" | "figures" | "grades" = "grades";
  let told: readonly Verdict[] = [];
  let arrived = Promise.withResolvers<void>();

  function start(): void {
    const now = clock.now();
    for (const seat of seats) {
      if (ending.signal.aborted) return;
      if (seat.dueAt > now) continue;
      if (seat.hangsSince !== undefined) keep(seat, unanswered(seat.turn, now - seat.hangsSince));
      else if (!seat.busy && busy < atOnce) void take(seat);
    }
  }

  async function take(seat: Seat): Promise<void> {
    const { turn } = seat;
    const askedAt = clock.now();
    seat.busy = true;
    busy += 1;
    const cut = new AbortController();
    const asked = turn.ask(AbortSignal.any([cut.signal, ending.signal])).catch((cause: unknown) => {
      const because = cause instanceof Error ? cause.message : String(cause);
      return [{ state: "unknown", subject: turn.subject, because: redact(because) } as const];
    });
    const free = (): void => {
      seat.busy = false;
      seat.hangsSince = undefined;
      busy -= 1;
    };
    const inTime = await within(asked, turn.deadlineMs, clock, ending.signal).catch(() => false);
    if (ending.signal.aborted) return;
    keep(seat, inTime ? await asked : unanswered(turn, turn.deadlineMs));
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
    if (!same || seat.verdicts === undefined) news = "grades";
    else if (news === "none") news = "figures";
    seat.verdicts = verdicts;
    seat.saidUnknown = false;
    arrived.resolve();
    arrived = Promise.withResolvers<void>();
  }

  const hasNews = (): boolean => news === "grades" || (news === "figures" && !seats.some((seat) => seat.saidUnknown));

  function answer(): readonly Verdict[] {
    if (!hasNews()) return told;
    news = "none";
    for (const seat of seats) seat.saidUnknown = seat.verdicts?.some(({ state }) => state === "unknown") === true;
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
    stirred: () => told.length > 0 && hasNews(),
    close: () => ending.abort(),
  };
}

const unanswered = ({ subject }: Turn, forMs: number): Verdict[] => [
  { state: "unknown", subject, because: `no answer within ${Math.round(forMs / 1_000)} s` },
];

/** Grades in a few letters: equal where nothing changed but figures. */
const gradesOf = (verdicts: readonly Verdict[]): string =>
  verdicts
    .map((verdict) => (verdict.state === "unknown" ? "unknown" : verdict.grade))
    .filter((grade) => grade !== "ok")
    .join();
