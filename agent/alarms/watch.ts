import type { Draft } from "../../protocol/record.ts";
import { type Grade, rank } from "../../protocol/severity.ts";

/**
 * How one subject's alarm turns on and off: each severity is a Schmitt trigger with hold times. A worse grade also
 * wants every milder level, so the levels that are on are always the lowest `on` of the four.
 */
export type AlarmBody = Extract<Draft, { kind: "alarm" }>["body"];

/** A code that changes so often is flapping: it is held on until it has been quiet for longer (design: tickets R5). */
export const FLAPPING = {
  /** Raises and clears … */
  changes: 4,
  /** … within so long. */
  withinMs: 30 * 60_000,
  /** While flapping a subject must be well so long before its alarm clears. */
  holdOffMs: 10 * 60_000,
  /** A flapping alarm whose fault stayed so long without a break is an ordinary one again. */
  steadyMs: 60 * 60_000,
} as const;

/** What is said of one subject now: the judged half of a check's verdict. */
export interface Finding {
  grade: Grade;
  holds: Grade;
  reason: string;
  /** In place of the check's own title for the reason. */
  title?: { zh: string; en: string };
  value?: number;
  unit?: string;
  says?: string;
}

/** How long findings must last, in ms. */
export interface Holds {
  holdOnMs: number;
  holdOffMs: number;
}

/** Something wanted since `beganAt` (monotonic ms); for `pausedMs` of that nobody could tell. */
interface Wish {
  readonly beganAt: number;
  readonly pausedMs: number;
}

/** One subject that is not simply well. All times are monotonic. */
export interface Watch {
  readonly subject: string;
  readonly code?: string;
  /** How many of the four levels are on. */
  readonly on: number;
  /** Per level: since when an off one is wanted on. */
  readonly wishes: readonly (Wish | undefined)[];
  /** Per level: since when an on one does not hold any more. */
  readonly away: readonly (number | undefined)[];
  /** Another reason at the same severity, until it has stayed for the hold-on. */
  readonly turn?: Wish & { readonly reason: string };
  /** Since when nobody can tell. */
  readonly pausedAt?: number;
  /** Moments of the last raises and clears. */
  readonly changes: readonly number[];
  /** Flapping, and since when the fault neither came nor went. */
  readonly flapping?: { readonly steadyAt: number };
  /** What was told last, while it is active. */
  readonly told?: AlarmBody;
}

const NONE = [undefined, undefined, undefined, undefined] as const;

/** A subject not watched yet. `wanted`: a grade that was already there since `beganAt`. */
export const newWatch = (subject: string, wanted?: { grade: Grade; beganAt: number }): Watch => ({
  subject,
  on: 0,
  wishes: NONE.map((_, i) =>
    wanted !== undefined && rank(wanted.grade) > i ? { beganAt: wanted.beganAt, pausedMs: 0 } : undefined,
  ),
  away: NONE,
  changes: [],
});

/** A subject whose alarm the journal holds as active. */
export const restoredWatch = (code: string, told: AlarmBody, now: number): Watch => ({
  ...newWatch(told.subject),
  code,
  on: rank(told.severity),
  told,
  ...(told.flapping === true ? { flapping: { steadyAt: now } } : {}),
});

const wishing = (watch: Watch): boolean => watch.wishes.some((wish) => wish !== undefined);

/** True while a hold time runs: what will come of it should not wait for a slow round. */
export const isWaiting = (watch: Watch): boolean =>
  wishing(watch) || watch.turn !== undefined || watch.away.some((since) => since !== undefined);

/** True when forgetting the subject would change nothing. */
export const isQuiet = (watch: Watch): boolean => watch.on === 0 && watch.changes.length === 0 && !wishing(watch);

/** Nobody can tell: the alarm stays as it is, what would turn it off starts anew, what would turn it on waits. */
export function pause(watch: Watch, now: number): Watch {
  const pending = watch.turn !== undefined || wishing(watch);
  const leaving = watch.away.some((since) => since !== undefined);
  if (!leaving && watch.flapping === undefined && (!pending || watch.pausedAt !== undefined)) return watch;
  return {
    ...watch,
    away: NONE,
    ...(pending ? { pausedAt: watch.pausedAt ?? now } : {}),
    ...(watch.flapping === undefined ? {} : { flapping: { steadyAt: now } }),
  };
}

/** Takes in one finding at `now`; the same object when nothing moved. `holds` is never milder than `grade`. */
export function advance(before: Watch, finding: Finding, holds: Holds, now: number): Watch {
  const aimed = turnReason(aim(age(resume(before, now), now), finding, now), finding, now);
  const after = turnLevels(aimed, aimedLevel(aimed, holds, now), now);
  return unmoved(before, after) ? before : after;
}

/** How long a wish has been there, without the time nobody could tell. */
export const waited = (wish: Wish, now: number): number => now - wish.beganAt - wish.pausedMs;

/** Wishes that waited while nobody could tell go on from here. */
function resume(watch: Watch, now: number): Watch {
  if (watch.pausedAt === undefined) return watch;
  const { pausedAt, ...rest } = watch;
  const later = <W extends Wish>(wish: W): W => ({ ...wish, pausedMs: wish.pausedMs + now - pausedAt });
  return {
    ...rest,
    wishes: watch.wishes.map((wish) => (wish === undefined ? undefined : later(wish))),
    ...(watch.turn === undefined ? {} : { turn: later(watch.turn) }),
  };
}

/** Forgets raises and clears too old to count as flapping. */
function age(watch: Watch, now: number): Watch {
  const [oldest] = watch.changes;
  if (oldest === undefined || now - oldest <= FLAPPING.withinMs) return watch;
  return { ...watch, changes: watch.changes.filter((change) => now - change <= FLAPPING.withinMs) };
}

/** Which levels want to turn on or off now, and since when. */
function aim(watch: Watch, finding: Finding, now: number): Watch {
  const wants = rank(finding.grade);
  const holds = rank(finding.holds);
  const wishes = watch.wishes.map((wish, i) =>
    i >= watch.on && wants > i ? (wish ?? { beganAt: now, pausedMs: 0 }) : undefined,
  );
  const away = watch.away.map((since, i) => (i < watch.on && holds <= i ? (since ?? now) : undefined));
  const toggled = watch.flapping !== undefined && (away[0] === undefined) !== (watch.away[0] === undefined);
  return { ...watch, wishes, away, ...(toggled ? { flapping: { steadyAt: now } } : {}) };
}

/** Another reason that decides at the same severity is noted, with the moment it came. */
function turnReason(watch: Watch, finding: Finding, now: number): Watch {
  const { turn, ...rest } = watch;
  // a grade under the active severity: only the hysteresis holds it, and the reason names some other, milder condition
  const decides = watch.told !== undefined && rank(finding.grade) >= watch.on && finding.reason !== watch.told.reason;
  if (!decides) return turn === undefined ? watch : rest;
  if (turn?.reason === finding.reason) return watch;
  return { ...rest, turn: { reason: finding.reason, beganAt: now, pausedMs: 0 } };
}

/** How many levels ought to be on once the hold times are kept. */
function aimedLevel(watch: Watch, holds: Holds, now: number): number {
  const up = watch.wishes.findLastIndex((wish) => wish !== undefined && waited(wish, now) >= holds.holdOnMs);
  if (up >= 0) return up + 1;
  const holdOffMs = watch.flapping === undefined ? holds.holdOffMs : Math.max(holds.holdOffMs, FLAPPING.holdOffMs);
  const down = watch.away.findIndex((since) => since !== undefined && now - since >= holdOffMs);
  return down >= 0 ? down : watch.on;
}

/** Turns the levels, and finds out when raises and clears come too often: the clear that would be one too many waits. */
function turnLevels(watch: Watch, target: number, now: number): Watch {
  const { flapping, ...rest } = watch;
  const steady = flapping !== undefined && watch.away[0] === undefined && now - flapping.steadyAt >= FLAPPING.steadyMs;
  if (target > 0 === watch.on > 0) return turned(steady ? rest : watch, target);
  if (flapping !== undefined) return { ...turned(rest, target), changes: [now] };
  const changes = [...watch.changes, now];
  if (changes.length < FLAPPING.changes) return { ...turned(watch, target), changes };
  return { ...turned(watch, Math.max(target, watch.on)), changes: [], flapping: { steadyAt: now } };
}

function turned(watch: Watch, on: number): Watch {
  if (on === watch.on) return watch;
  return {
    ...watch,
    on,
    wishes: watch.wishes.map((wish, i) => (i >= on ? wish : undefined)),
    away: watch.away.map((since, i) => (i < on ? since : undefined)),
  };
}

const sameWish = (a: Wish | undefined, b: Wish | undefined): boolean =>
  a?.beganAt === b?.beganAt && a?.pausedMs === b?.pausedMs;

const unmoved = (a: Watch, b: Watch): boolean =>
  a.on === b.on &&
  a.pausedAt === b.pausedAt &&
  a.changes === b.changes &&
  a.flapping?.steadyAt === b.flapping?.steadyAt &&
  a.turn?.reason === b.turn?.reason &&
  sameWish(a.turn, b.turn) &&
  a.wishes.every((wish, i) => sameWish(wish, b.wishes[i])) &&
  a.away.every((since, i) => since === b.away[i]);
