import type { Failure } from "../../../protocol/failure.ts";
import type { Grade } from "../../../protocol/severity.ts";
import { type Condition, gradeHigh, gradeLow, type Latch, type Verdict, worstOf } from "../check.ts";
import { compile, isFound } from "../regex-lint.ts";
import { isPlausible } from "../wall.ts";
import type { HttpTarget, Target } from "./config.ts";
import type { Outcome } from "./try.ts";

const DAY_MS = 86_400_000;
/** Words of the verification that a wrong clock of ours alone can cause. */
const OF_TIME = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);

export const unknown = (subject: string, because: string): Verdict => ({ state: "unknown", subject, because });

/** One try, judged. `wall` is this machine's clock, epoch ms; while that was never set no certificate is judged. Pure but for the latch. */
export function judgeTarget(target: Target, outcome: Outcome, wall: number, latch: Latch): Verdict {
  const { name } = target;
  if (outcome.got === "nothing") return unknown(name, outcome.because);
  if (outcome.got === "failure") return failed(target, outcome.failure, wall, latch);
  if (outcome.got === "connection") {
    const conditions = [
      ...banner(target, outcome.banner),
      latency(target, outcome.ms, { latency_ms: round(outcome.ms) }),
    ];
    return worstOf(name, conditions, latch);
  }
  if (target.type !== "http") throw new Error(`${name}: an answer of another kind`);
  return worstOf(name, answered(target, outcome, wall), latch);
}

function failed(target: Target, failure: Failure, wall: number, latch: Latch): Verdict {
  const { name, severity } = target;
  const untrusted = failure.code === "DIAL_UNTRUSTED";
  if (untrusted && OF_TIME.has(String(failure.facts["why"])) && !isPlausible(wall))
    return unknown(name, "this machine's clock is not set, so that no certificate can be verified");
  const reason = untrusted ? "certificate" : isUnreached(failure, target) ? "unreachable" : "down";
  return worstOf(name, [{ ...flat(severity), reason, says: saysOf(failure, wall), readings: {} }], latch);
}

const BEFORE_CONTACT = new Set(["was looked up", "was being connected to"]);
const LOOPBACK = /^(127\.|localhost$|\[?::1\]?$)/;

/** Nothing at all came back from another host: the way to it may be at fault. A refusal is the host's own word. */
function isUnreached({ code, facts }: Failure, target: Target): boolean {
  const host = target.type === "tcp" ? target.host : new URL(target.url).hostname;
  if (LOOPBACK.test(host)) return false;
  if (code === "DIAL_TIMEOUT") return BEFORE_CONTACT.has(String(facts["phase"]));
  return code === "DIAL_UNREACHABLE" || code === "DIAL_NAME";
}

/** The failure's message, without its code; with the days of a certificate that is out of its time. */
function saysOf({ message, code, facts }: Failure, wall: number): string {
  const words = message.slice(0, message.length - ` (${code})`.length);
  const { why, notAfterMs, notBeforeMs } = facts;
  if (why === "CERT_HAS_EXPIRED" && typeof notAfterMs === "number")
    return `${words}, it ended ${Math.floor((wall - notAfterMs) / DAY_MS)} days ago`;
  if (why === "CERT_NOT_YET_VALID" && typeof notBeforeMs === "number")
    return `${words}, it begins in ${Math.ceil((notBeforeMs - wall) / DAY_MS)} days`;
  return words;
}

function answered(
  target: HttpTarget,
  { answer, text }: Extract<Outcome, { got: "answer" }>,
  wall: number,
): Condition[] {
  const { status, connectMs, handshakeMs, firstByteMs, totalMs, body } = answer;
  const readings = {
    status_code: status,
    latency_ms: round(firstByteMs),
    connect_ms: round(connectMs),
    ...(handshakeMs === undefined ? {} : { handshake_ms: round(handshakeMs) }),
    total_ms: round(totalMs),
    body_bytes: body.length,
  };
  const fits = target.expectStatus.some((wanted) => isIn(status, wanted));
  const wrong = fits ? "ok" : target.severity;
  return [
    {
      ...flat(wrong),
      reason: "status",
      value: status,
      unit: "status",
      says: `answers with status ${status}${fits ? "" : `, expected ${target.expectStatus.join(", ")}`} after ${round(firstByteMs)} ms`,
      readings: {},
    },
    ...(fits ? content(target, text, answer.isCut) : []),
    ...certificate(target, answer.chainNotAfterMs, wall),
    latency(target, firstByteMs, readings),
  ];
}

const isIn = (status: number, wanted: number | string): boolean =>
  typeof wanted === "number"
    ? status === wanted
    : status >= Number(wanted.slice(0, 3)) && status <= Number(wanted.slice(4));

function content({ bodyMatch, severity }: HttpTarget, text: string, isCut: boolean): Condition[] {
  if (bodyMatch === undefined) return [];
  const { contains, regex, absent } = bodyMatch;
  const found = holds(text, contains, regex);
  const where = isCut ? "the first 64 KiB of the answer" : `the answer of ${text.length} characters`;
  const wanted = regex === undefined ? `"${contains}"` : `what fits /${regex}/`;
  const says = `${where} ${found ? "holds" : "does not hold"} ${wanted}`;
  return [{ ...flat(found === absent ? severity : "ok"), reason: "body", says, readings: {} }];
}

/** Line by line, so that the expression's work stays in proportion to the text. */
function holds(text: string, contains: string, regex: string | undefined): boolean {
  if (regex === undefined || !text.includes(contains)) return text.includes(contains);
  const search = compile(regex);
  return text.split("\n").some((line) => line.includes(contains) && isFound(search, line));
}

function banner(target: Target, heard: string | undefined): Condition[] {
  if (target.type !== "tcp" || target.banner === undefined || heard === undefined) return [];
  const { expect } = target.banner;
  const found = heard.includes(expect);
  const says = `its first ${heard.length} characters ${found ? "hold" : "do not hold"} "${expect}"`;
  return [{ ...flat(found ? "ok" : target.severity), reason: "body", says, readings: {} }];
}

function certificate({ certificateDays }: HttpTarget, notAfterMs: number | undefined, wall: number): Condition[] {
  if (notAfterMs === undefined || !isPlausible(wall)) return [];
  const days = Math.floor((notAfterMs - wall) / DAY_MS);
  const says = `the certificate it shows, or one of its chain, ends in ${days} days`;
  const readings = { certificate_days: days };
  return [{ ...gradeLow(days, certificateDays), reason: "certificate", value: days, unit: "days", says, readings }];
}

function latency({ latencyMs }: Target, ms: number, readings: Condition["readings"]): Condition {
  const value = round(ms);
  return {
    ...gradeHigh(value, latencyMs),
    reason: "slow",
    value,
    unit: "ms",
    says: `answered after ${value} ms`,
    readings,
  };
}

const flat = (grade: Grade): Pick<Condition, "grade" | "holds"> => ({ grade, holds: grade });
const round = (ms: number): number => Math.round(ms * 10) / 10;
