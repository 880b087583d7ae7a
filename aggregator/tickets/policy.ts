import { LEVELS, rank, type Severity } from "../../protocol/severity.ts";
import { isOpen } from "../../protocol/ticket.ts";
import type { AlarmRow, TicketRow } from "../store.ts";
import type { Entry } from "./timeline.ts";

export interface TicketPolicy {
  /** 已恢复 so long without a relapse is 已解决 (not at level 1). */
  observeMs: number;
  /** The same fault again within so long after it was restored reopens its ticket. */
  reopenMs: number;
  /** A flapping alarm is noted at most so often. */
  flappingNoteMs: number;
  /** A child still active so long after its cause cleared gets a ticket of its own. */
  childGraceMs: number;
  /** A ticket not older than this is merged into that of its cause, when that is heard of after it. */
  mergeMs: number;
  /** Alarm changes that move no column are noted up to this many entries. */
  maxNotes: number;
}

/**
 * What happened to an alarm, as its ticket sees it. `begins`: it is to have a ticket; `changes`, `ends`: it belongs to
 * one; `passes`: it began and ended before we heard of it; `joins`, `leaves`: another alarm explains it, or no longer does;
 * `merges`: its cause was heard of after it had a ticket, which ends in that of the cause;
 * `accounts`: by it the device says itself why it was not heard, `accounted`: and that this is over.
 */
export type Happening =
  | "begins"
  | "changes"
  | "ends"
  | "passes"
  | "joins"
  | "leaves"
  | "merges"
  | "accounts"
  | "accounted";

export interface Situation {
  happening: Happening;
  /** As it is now. */
  alarm: AlarmRow;
  site?: string | undefined;
  /** For `begins` and `passes` the newest ticket of its dedup key, else the ticket it belongs to (or is to join). */
  ticket: TicketRow | undefined;
  /** How many other alarms of that ticket are active. */
  others: number;
  /** Number of entries in its timeline. */
  entries: number;
  /** When flapping was noted last. */
  flappedAt: number | undefined;
  /** For `merges` the ticket of the cause. */
  into?: string | undefined;
  /** When the alarm was raised and when it ended, for people to read. */
  from?: string;
  to?: string;
  now: number;
  policy: TicketPolicy;
}

/** Entries for the ticket `no`, or for a new one. */
export type Decision = { no: string; entries: Entry[] } | { no: "new"; entries: [Entry, ...Entry[]] };

/** One ticket per device and code. */
export const dedupKey = ({ device, code }: Pick<AlarmRow, "device" | "code">): string => `${device}/${code}`;

/** Decides what a happening does to the tickets. Pure: the same situation always gives the same entries. */
export function decide(situation: Situation): Decision {
  const { happening, alarm, ticket, now, policy } = situation;
  switch (happening) {
    case "begins":
    case "passes": {
      const again = ticket !== undefined && continues(ticket, now, policy);
      const begun = again ? relapse(situation, ticket) : open(situation);
      const idle = situation.others === 0 && happening === "passes";
      return idle ? { ...begun, entries: [...begun.entries, entry("restored", alarm)] as [Entry] } : begun;
    }
    case "changes":
      return on(ticket, [...note(situation, "changed"), ...rise(ticket, alarm), ...flap(situation)]);
    case "ends": {
      const restores = situation.others === 0 && ticket !== undefined && isActive(ticket);
      const ending = restores ? [entry("restored", alarm)] : note(situation, "cleared");
      return on(ticket, [...ending, ...flap(situation)]);
    }
    case "joins":
      return on(ticket, [entry("child", alarm, { change: "joined" }), ...rise(ticket, alarm)]);
    case "leaves":
      return on(ticket, [entry("child", alarm, { change: "left" })]);
    case "merges":
      return on(ticket, [entry("merged", alarm, { into: situation.into ?? "" })]);
    case "accounts":
    case "accounted":
      return on(ticket, [...account(situation), ...(ticket && isOpen(ticket.state) ? rise(ticket, alarm) : [])]);
  }
}

/** Whether the observation of a restored ticket is over; level 1 needs a person. */
export const isObserved = (ticket: TicketRow, now: number, policy: TicketPolicy): boolean =>
  ticket.state === "已恢复" && ticket.level !== 1 && now - (ticket.restored_at ?? now) >= policy.observeMs;

/**
 * Whether a ticket may still be merged into that of its cause, which was heard of later: it is young, and nobody has begun
 * to work on it.
 */
export const isMergeable = (ticket: TicketRow, now: number, { mergeMs }: TicketPolicy): boolean =>
  (ticket.state === "新建" || ticket.state === "重新打开") && now - ticket.detected_at <= mergeMs;

export const resolution: Entry = { kind: "resolved", data: {} };

/** A fault is the same while its ticket is open, and for `reopenMs` after its service came back. */
function continues(ticket: TicketRow, now: number, { reopenMs }: TicketPolicy): boolean {
  if (isOpen(ticket.state)) return true;
  if (ticket.state !== "已解决") return false;
  return now - (ticket.restored_at ?? ticket.ts) < reopenMs;
}

const isActive = ({ state }: TicketRow): boolean => isOpen(state) && state !== "已恢复";

function relapse(situation: Situation, ticket: TicketRow): Decision {
  const { alarm } = situation;
  const back = isActive(ticket)
    ? note(situation, "raised")
    : [entry("reopened", alarm, { reopened: ticket.reopened + 1 })];
  return { no: ticket.no, entries: [...back, ...rise(ticket, alarm), ...flap(situation)] };
}

function open(situation: Situation): Decision {
  const { alarm, ticket, site } = situation;
  const level = LEVELS[alarm.severity];
  const opened = entry("opened", alarm, {
    dedup_key: dedupKey(alarm),
    subject: alarm.subject,
    reason: alarm.reason,
    occurred_at: alarm.since,
    ...(level !== undefined && { level }),
    ...(site !== undefined && { site }),
    ...(ticket !== undefined && { recurrence_of: ticket.no }),
  });
  return { no: "new", entries: [opened, ...flap({ ...situation, flappedAt: undefined })] };
}

/** A machine raises a level and never lowers one. */
function rise(ticket: TicketRow | undefined, { severity }: AlarmRow): Entry[] {
  if (ticket === undefined || rank(severity) <= rank(ticket.severity as Severity)) return [];
  const [from, to] = [ticket.level, LEVELS[severity]];
  return [{ kind: "level", data: { from: from ?? "隐患", to: to ?? "隐患", severity, reason: "severity" } }];
}

function flap({ alarm, flappedAt, now, policy }: Situation): Entry[] {
  const due = flappedAt === undefined || now - flappedAt >= policy.flappingNoteMs;
  return alarm.flapping && due ? [entry("flapping", alarm)] : [];
}

/** Something to remember that moves no column: bounded, or an alarm gone mad would fill the disk. */
const note = (situation: Situation, change: "raised" | "changed" | "cleared"): Entry[] =>
  situation.entries < situation.policy.maxNotes ? [entry("alarm", situation.alarm, { change })] : [];

/** The device's own word for its absence. It holds nothing up: the absence alone says when its ticket is restored. */
function account({ happening, alarm, from = "", to = "", entries, policy }: Situation): Entry[] {
  if (entries >= policy.maxNotes) return [];
  if (happening === "accounts") return [entry("child", alarm, { change: "accounts", from })];
  const { value: _, unit: __, ...over } = alarm; // its last figure is that of a thing that is well again
  return [entry("child", over, { change: "accounted", from, to })];
}

const on = (ticket: TicketRow | undefined, entries: Entry[]): Decision => ({
  no: ticket?.no ?? "",
  entries: ticket === undefined ? [] : entries,
});

function entry(kind: Entry["kind"], alarm: AlarmRow, more: Entry["data"] = {}): Entry {
  const { device, code, severity, titleZh: title_zh, titleEn: title_en, value, unit, says } = alarm;
  return {
    kind,
    data: {
      ...{ device, code, severity, title_zh, title_en },
      ...(value !== undefined && { value }),
      ...(unit !== undefined && { unit }),
      ...(says !== undefined && { says }),
      ...more,
    },
  };
}
