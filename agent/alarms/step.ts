import { rank, SEVERITIES, worse } from "../../protocol/severity.ts";
import { type AlarmBody, advance, type Finding, type Holds, type Watch, waited } from "./watch.ts";

/** How a check's findings are held, and what its reasons are called. */
export interface Rule extends Holds {
  check: string;
  titles: Readonly<Record<string, { zh: string; en: string }>>;
}

/** Both clocks of one moment, in ms: `now` monotonic, `wall` epoch. Only `now` decides anything. */
export interface Moment {
  now: number;
  wall: number;
}

/** The reason of an alarm whose subject its check does not see any more. */
export const GONE = "gone";

/** Takes in one finding of one subject, and says what there is to tell: at most one change. */
export function step(before: Watch, found: Finding, rule: Rule, at: Moment): { watch: Watch; tell?: AlarmBody } {
  const finding = { ...found, reason: cut(found.reason, 40), holds: worse(found.grade, found.holds) };
  const after = advance(before, finding, rule, at.now);
  const change = changeOf(before, after, finding, rule, at);
  if (change === undefined) return { watch: after };
  const tell = write(change, before, finding, rule);
  const { told: _told, turn: _turn, ...rest } = after;
  return { watch: tell.active ? { ...rest, told: tell } : rest, tell };
}

type Change = Pick<AlarmBody, "kind" | "since" | "reason"> & { on: number; flapping: boolean; cause?: string };

/** What changed of what people know: severity, reason, flapping. A new figure alone is no change. */
function changeOf(before: Watch, after: Watch, finding: Finding, rule: Rule, at: Moment): Change | undefined {
  const { told } = before;
  const { on } = after;
  const flapping = after.flapping !== undefined;
  if (told === undefined) {
    if (on === 0) return undefined;
    const began = before.wishes[on - 1]?.beganAt ?? at.now;
    // reckoned back from now: the wall clock may have been set while the fault was held
    return { kind: "raised", since: Math.round(at.wall - (at.now - began)), reason: finding.reason, on, flapping };
  }
  if (on === 0) {
    const reason = finding.reason === GONE ? GONE : told.reason;
    return { kind: "cleared", since: told.since, reason, on: before.on, flapping: false };
  }
  const reason = reasonNow(told.reason, before, after, finding, rule, at.now);
  if (on === before.on && reason === told.reason && flapping === (told.flapping ?? false)) return undefined;
  const cause = told.explained_by === undefined ? {} : { cause: told.explained_by };
  return { kind: "changed", since: told.since, reason, on, flapping, ...cause };
}

/** A rise takes its reason along, a drop only where it decides; at the same severity it must have stayed for the hold-on. */
function reasonNow(old: string, before: Watch, after: Watch, finding: Finding, rule: Rule, now: number): string {
  if (after.on > before.on) return finding.reason;
  if (after.on < before.on) return rank(finding.grade) >= after.on ? finding.reason : old;
  return after.turn !== undefined && waited(after.turn, now) >= rule.holdOnMs ? after.turn.reason : old;
}

/** Cut to the limits of the wire (protocol/from-device.ts): a record too long would be refused for ever. */
const cut = (text: string, most: number): string => (text.length <= most ? text : text.slice(0, most).toWellFormed());

/** The change as it is told. The figure goes with it only where it belongs to the reason. */
function write(change: Change, before: Watch, finding: Finding, rule: Rule): AlarmBody {
  const { kind, since, reason, on, flapping, cause } = change;
  const { value, unit, says } = finding;
  const figure = finding.reason === reason && value !== undefined && Number.isFinite(value);
  const known = before.told === undefined ? undefined : { zh: before.told.title_zh, en: before.told.title_en };
  const own = finding.reason === reason ? finding.title : undefined;
  const title = own ?? rule.titles[reason] ?? known ?? { zh: rule.check, en: rule.check };
  return {
    active: kind !== "cleared",
    severity: SEVERITIES[on - 1] ?? "warning",
    kind,
    since,
    check: rule.check,
    subject: before.subject,
    reason,
    title_zh: cut(title.zh, 200),
    title_en: cut(title.en, 200),
    ...(figure ? { value } : {}),
    ...(figure && unit !== undefined ? { unit: cut(unit, 20) } : {}),
    ...(says === undefined ? {} : { says: cut(says, 400) }),
    ...(flapping ? { flapping } : {}),
    ...(cause === undefined ? {} : { explained_by: cause }),
  };
}
