import { rank, type Severity } from "../../../protocol/severity.ts";
import type { Cause } from "./causes.ts";
import { type Conclusion, type Hop, type JudgeMemory, REASONS, type Reason, type StreamState } from "./conclusion.ts";
import { hopOf } from "./hop.ts";
import { ENDED_MS, type JudgeInput, type Look, lookAt } from "./look.ts";
import { DEFAULT_THRESHOLDS, type Thresholds } from "./thresholds.ts";
import { isUnmeasured } from "./unmeasured.ts";

/** Is the stream alive, and if not, what is the one cause and at which hop does it lie? Pure. */

/** Of a dead stream another reason takes over after so long, when it lies deeper; when it is milder, after so long. */
const DEEPER_MS = 20_000;
const MILDER_MS = 30_000;
/** After a restart an alarm that is not measured yet stays for so long; for a picture not seen yet, or still, for so long. */
const SETTLE_MS = 20_000;
const SETTLE_PICTURE_MS = 300_000;

const DEAD: ReadonlySet<Reason> = new Set([
  "auth",
  "refused",
  "unreachable",
  "hung",
  "missing",
  "protocol",
  "ended",
  "no_media",
  "no_video",
]);

/**
 * Concludes how a stream stands: one state, and of all that is wrong the one root cause, in the order of REASONS.
 *
 * SEVERITY OF A REASON. The contract's levels are 一级 critical, 二级 major, 三级 minor; a warning is a latent fault without a
 * clock. One stream is one terminal: dead, it is a 二级 (`thresholds.dead`: auth, refused, unreachable, hung, missing,
 * protocol, ended; no_media and no_video from 10 s on, one grade less before). A frozen picture, and a black one without
 * any sensor noise, show nothing: major. What hurts the picture but leaves it visible is a 三级: codec, resolution, stamps
 * out of 0.5 to 2, keyframe, loss from 1 %, black, bitrate, an expected frame rate, no_audio. What nobody sees yet warns:
 * loss from 0.5 %, stamps off by 3 %, one leap, suspect, the least usual frame rate, clock. 一级 is the desk's to give.
 *
 * ONE CAUSE PER FAULT. A reason stays the root while the fault lasts: symptoms that follow it (fewer frames, stamps behind)
 * are measured only while frames flow; a dead stream keeps its first reason unless a deeper one holds for 20 s, or a milder
 * one (the server is back, its media is not) for 30 s; what is left over after media came back belongs to it for 30 s. A
 * dead stream is well again only when new media proves it (`isProven`), and before any proof a stream is `unknown`.
 */
export function conclude(input: JudgeInput): Conclusion {
  const before = input.before?.memory === undefined ? undefined : input.before;
  const memory: JudgeMemory = before?.memory ?? { bornAt: input.at, faultSeen: false };
  const look = lookAt(input, (reason) => before?.reason === reason);
  const root = rootOf(look.causes);
  if (root !== undefined) return asFault(input, settle(input, before, memory, root), memory, root);
  if (look.proven && (before === undefined || !isUnmeasured(input, before))) return asWell(input, look, memory);
  // nothing new is proven: a fault stands till something is
  const waits = memory.next;
  if (waits?.reason === "ended" && before?.reason === undefined && input.figures?.playingMs === undefined) {
    if (input.at - waits.sinceAt >= ENDED_MS) {
      const ended: Cause = { ...waits, state: "no_media" };
      return asFault(input, { cause: ended, sinceAt: waits.sinceAt, seenAt: input.at }, memory, ended);
    }
  }
  if (before?.reason !== undefined) return { ...before, ...hopAgain(before.reason, input), memory: without(memory) };
  return unknown(input, look, memory);
}

function unknown(input: JudgeInput, look: Look, memory: JudgeMemory): Conclusion {
  const { provenAt: _gap, next: _next, lowAt: _low, ...rest } = memory;
  const waits = look.ended === undefined ? memory.next : endedNext(memory, look.ended, input);
  const next = input.figures?.playingMs === undefined && waits?.reason === "ended" ? { next: waits } : {};
  return { state: "unknown", says: sentence(look.unknown, input), memory: { ...rest, ...next } };
}

const endedNext = (memory: JudgeMemory, cause: Cause, input: JudgeInput): NonNullable<JudgeMemory["next"]> =>
  memory.next?.reason === "ended"
    ? memory.next
    : { reason: "ended", sinceAt: input.at, severity: cause.severity, says: cause.says };

/** What became known of the way since may say better where a silence lies. */
function hopAgain(reason: Reason, { answers, way, passive }: JudgeInput): { hop?: Hop } {
  const known = passive !== undefined || Object.keys(way ?? {}).length > 0;
  if (!known || (reason !== "no_media" && reason !== "ended" && reason !== "missing")) return {};
  return { hop: hopOf(reason, answers, way ?? {}, passive) };
}

/** A fault that goes on unproven is not proven alive. */
function without({ provenAt: _provenAt, ...rest }: JudgeMemory): JudgeMemory {
  return rest;
}

const place = (reason: Reason): number => REASONS.indexOf(reason);

function rootOf(causes: readonly Cause[]): Cause | undefined {
  let root: Cause | undefined;
  for (const cause of causes) if (root === undefined || place(cause.reason) < place(root.reason)) root = cause;
  return root;
}

// --------------------------------------------------------------------------------------- what was concluded before

interface Settled {
  cause: Cause;
  sinceAt: number;
  seenAt: number;
  next?: JudgeMemory["next"];
}

/** The root that this look has, or the one the fault began with, which it still is. */
function settle({ at }: JudgeInput, before: Conclusion | undefined, memory: JudgeMemory, found: Cause): Settled {
  const reason = before?.reason;
  const anew: Settled = { cause: found, sinceAt: at, seenAt: at };
  if (before === undefined || reason === undefined) return anew;
  const { sinceAt = at, seenAt = at, next } = memory;
  if (found.reason === reason) return { cause: found, sinceAt, seenAt: at };
  const stays: Settled = { cause: { ...found, reason, state: before.state }, sinceAt, seenAt };
  const waitingSince = next?.reason === found.reason ? next.sinceAt : at;
  const waiting = {
    ...stays,
    next: { reason: found.reason, sinceAt: waitingSince, severity: found.severity, says: found.says },
  };
  if (found.reason === "auth") return anew;
  const deeper = place(found.reason) < place(reason);
  const choked = isNarrow(before) && found.reason === "no_media";
  if (deeper && (choked || DEAD.has(reason))) return at - waitingSince >= DEEPER_MS ? anew : waiting;
  if (deeper) return anew;
  return at - seenAt >= MILDER_MS ? anew : waiting;
}

/** Its frames came right, but too slowly. */
const isNarrow = (before: Conclusion | undefined): boolean =>
  before?.reason === "timestamp" && before.hop === "network";

// -------------------------------------------------------------------------------------------------- how it is said

function asFault(input: JudgeInput, settled: Settled, memory: JudgeMemory, found: Cause): Conclusion {
  const { cause, sinceAt, seenAt, next } = settled;
  const { provenAt: _provenAt, lowAt: _lowAt, next: _next, ...rest } = memory;
  const own = cause.reason === found.reason;
  const kept = own ? undefined : input.before;
  const deeper = place(found.reason) < place(cause.reason);
  // a deeper reason that does not hold for long enough yet already knows better where to look
  const hopNow = hopOf(found.reason, input.answers, input.way ?? {}, input.passive, found.late);
  // a way that is too narrow stays what it is where nothing gets through, and where what was late comes in a rush
  const narrow = cause.reason === "timestamp" && isNarrow(input.before);
  const hop = narrow ? "network" : own || deeper ? hopNow : (kept?.hop ?? hopNow);
  const severity = severityOf(cause, kept, input.thresholds ?? DEFAULT_THRESHOLDS);
  return {
    state: cause.state,
    reason: cause.reason,
    hop,
    severity,
    says: sentence(own ? cause.says : `still after it: ${found.says}`, input),
    ...(own && cause.value !== undefined ? { value: cause.value } : {}),
    ...(own && cause.unit !== undefined ? { unit: cause.unit } : {}),
    memory: { ...rest, faultSeen: true, sinceAt, seenAt, ...(next === undefined ? {} : { next }) },
  };
}

/** A fault that goes on under its first reason stays as bad as it was. */
function severityOf(cause: Cause, kept: Conclusion | undefined, { severities }: Thresholds): Severity {
  const own = severities[cause.reason];
  if (own !== undefined) return own;
  const before = kept?.severity;
  return before !== undefined && rank(before) > rank(cause.severity) ? before : cause.severity;
}

function asWell(input: JudgeInput, look: Look, memory: JudgeMemory): Conclusion {
  const { at, picture } = input;
  const { sinceAt: _since, seenAt: _seen, next: _next, lowAt: _low, ...rest } = memory;
  const provenAt = memory.provenAt ?? at;
  // many keyframes must come before one that stands still is proven frozen
  const unseen = picture?.state === "unknown" || picture?.state === "still" ? SETTLE_PICTURE_MS : SETTLE_MS;
  const unsettled = !memory.faultSeen && at - memory.bornAt < SETTLE_PICTURE_MS * 2 && at - provenAt < unseen;
  const still = picture?.state === "still" || isStillByNature(input);
  const state: StreamState = still ? "still" : "ok";
  const lowAt = look.low === true ? (memory.lowAt ?? at) : undefined;
  return {
    state,
    says: still ? `${look.well}; ${picture?.says ?? "the picture stands still"}` : look.well,
    ...(unsettled ? { holds: "critical" } : {}),
    memory: { ...rest, provenAt, ...(lowAt === undefined ? {} : { lowAt }) },
  };
}

/** A presentation that shows one page: frozen or suspect by sizes or motion is what it should be. */
const isStillByNature = ({ picture, streamClass }: JudgeInput): boolean =>
  streamClass === "presentation" && (picture?.state === "frozen" || picture?.state === "suspect");

/** One sentence, with when it was well last. */
function sentence(says: string, { at, lastGoodAt }: JudgeInput): string {
  if (lastGoodAt === undefined || !(lastGoodAt <= at)) return says;
  return `${says}; last well ${spanOf(at - lastGoodAt)} ago`;
}

function spanOf(ms: number): string {
  const whole = Math.round(ms / 1000);
  if (whole < 120) return `${whole} s`;
  if (whole < 7_200) return `${Math.round(whole / 60)} min`;
  return whole < 172_800 ? `${Math.round(whole / 3_600)} h` : `${Math.round(whole / 86_400)} days`;
}
