import { comparePlaces, type Place } from "../protocol/boot.ts";
import type { AlarmChange } from "../protocol/from-device.ts";
import type { Severity } from "../protocol/severity.ts";
import { OFFLINE } from "./absence.ts";
import { Accounts } from "./accounts.ts";
import type { Change } from "./changes.ts";
import { type HeardOf, isOwn, OWN_CHECK } from "./decode.ts";
import type { News } from "./news.ts";
import type { AlarmRow, DeviceRow, Tx } from "./store.ts";
import type { TicketDesk } from "./tickets/desk.ts";
import { dedupKey } from "./tickets/policy.ts";

export interface AlarmRules {
  /** How long an alarm of this code must last before it gets a ticket, milliseconds (rule R3). */
  holdOnMs(code: string): number;
  /** The longest wait any rule sets. */
  longestMs: number;
  childGraceMs: number;
  /** Alarm codes one device may have. */
  maxCodes: number;
}

/** An alarm as we raise it ourselves; its place among others is given to it. */
export type OwnAlarm = Pick<
  AlarmRow,
  "device" | "code" | "active" | "severity" | "check" | "subject" | "reason" | "titleZh" | "titleEn" | "says" | "boot"
> &
  Pick<AlarmRow, "value" | "unit">;

/** Why a device of ours is not heard. */
export type Unheard = "silent" | "offline" | "shutdown";

/** What is explained through others is due after them, a millisecond for each: a chain ends this much later at most. */
const CHAIN_MS = 1_000;

type Was = Change & { kind: "alarm" };

/** What alarms are, and which of their changes a ticket must hear of (rules R2, R3, R6, and R7 within a device). */
export class Alarms {
  readonly #desk: TicketDesk;
  readonly #rules: AlarmRules;
  readonly #accounts: Accounts;

  constructor(desk: TicketDesk, rules: AlarmRules) {
    this.#desk = desk;
    this.#rules = rules;
    this.#accounts = new Accounts(desk, rules.childGraceMs);
  }

  /** Applies a claimed change, in the order of its place and never of its arrival. */
  async heard(tx: Tx, message: HeardOf<"alarm">, news: News): Promise<void> {
    const { device, code, body } = message;
    const was = await tx.alarm(device, code);
    const order = was === undefined ? 1 : comparePlaces(body, was);
    if (was !== undefined && order < 0) return this.#late(tx, was, body, news);
    if (order === 0) return;
    if (was === undefined && !(await this.#room(tx, device))) {
      news.refused.set("DEVICE_LIMIT", (news.refused.get("DEVICE_LIMIT") ?? 0) + 1);
      return;
    }
    await this.#apply(tx, was, rowOf(message, was), news);
  }

  /** Our own alarm about a device we do not hear; `reason` undefined: heard again. */
  async unheard(tx: Tx, device: DeviceRow, reason: Unheard | undefined, severity: Severity, boot: string, news: News) {
    const was = await tx.alarm(device.id, OFFLINE);
    if (reason === undefined && was?.active !== true) return;
    if (was?.active === true && was.reason === reason) return;
    const since = was?.active === true ? was.since : reason === "shutdown" ? news.now : device.seenAt;
    await this.#apply(tx, was, offlineRow(device.id, { reason, since, severity, boot }, was, news.now), news);
  }

  /**
   * An alarm of ours about a device we hear: raised, told anew, or cleared where it is active. False when the device has
   * as many alarms as it may.
   */
  async own(tx: Tx, alarm: OwnAlarm, news: News): Promise<boolean> {
    const was = await tx.alarm(alarm.device, alarm.code);
    if (!alarm.active && was?.active !== true) return true;
    if (was === undefined && !(await this.#room(tx, alarm.device))) return false;
    const { now } = news;
    const since = was?.active === true ? was.since : now;
    const place = { since, seq: (was?.seq ?? 0) + 1, ts: now, receivedAt: now };
    await this.#apply(tx, was, { ...alarm, flapping: false, ...place, ...carried(was) }, news);
    return true;
  }

  /** Clears what a state at `place` does not list: it went with the device's state. Own alarms are not the device's to clear. */
  async reconcile(tx: Tx, device: string, active: ReadonlySet<string>, place: Place & { ts: number }, news: News) {
    for (const was of await tx.activeAlarms(device)) {
      if (isOwn(was.check) || active.has(was.code) || comparePlaces(was, place) > 0) continue;
      const { boot, seq, ts } = place;
      const says = "lost with the device's state";
      await this.#apply(tx, was, { ...was, active: false, boot, seq, ts, receivedAt: news.now, says }, news);
    }
  }

  /** Whether one of the codes a state lists is not active here, though nothing later was heard of it. */
  async lacks(tx: Tx, device: string, active: ReadonlySet<string>, place: Place): Promise<boolean> {
    for (const code of active) {
      const row = await tx.alarm(device, code);
      if (row === undefined || (!row.active && comparePlaces(row, place) <= 0)) return true;
    }
    return false;
  }

  /** Opens what is due: alarms that lasted through their hold-on. Says how many were looked at. */
  async openDue(tx: Tx, news: News, limit: number): Promise<number> {
    const due = await tx.dueAlarms(news.now, news.now + this.#rules.longestMs + CHAIN_MS, limit);
    for (const row of due) {
      const waiting = await tx.alarm(row.device, row.code); // its cause may have been opened just now, and taken it along
      if (waiting?.opensAt === undefined) continue;
      const { opensAt: _, ...due } = waiting;
      if (waiting.active) await this.#due(tx, waiting, news);
      else await tx.saveAlarm(due);
    }
    return due.length;
  }

  /** Its time has come: a ticket, or a place in that of an absence. */
  async #due(tx: Tx, row: AlarmRow, news: News): Promise<AlarmRow> {
    const { opensAt: _, ...due } = row;
    if (row.code === OFFLINE) {
      const before = await this.#accounts.foretold(tx, due);
      if (before !== undefined) return this.#begin(tx, { ...due, explainedBy: before.code }, before, news);
    }
    const cause = await this.#cause(tx, due);
    const hosted = cause?.active && cause.ticket !== undefined;
    const told = hosted || due.toldIn !== undefined ? due : await this.#accounts.enter(tx, due, cause, news);
    const opensAt = hosted ? undefined : await this.#accounts.waits(tx, told, cause, news.now);
    if (opensAt === undefined) return this.#begin(tx, told, cause, news);
    const waiting = { ...told, opensAt };
    await tx.saveAlarm(waiting);
    return waiting;
  }

  async #apply(tx: Tx, was: AlarmRow | undefined, row: AlarmRow, news: News): Promise<void> {
    const told: Was = { at: news.now, kind: "alarm", row, ...(was && { was }) };
    news.changes.push(told);
    if (row.active) told.row = await (was?.active ? this.#goesOn(tx, was, row, news) : this.#starts(tx, row, news));
    else told.row = await this.#ends(tx, was, row, news);
  }

  async #starts(tx: Tx, row: AlarmRow, news: News): Promise<AlarmRow> {
    const { ticket: _, toldIn: __, ...fresh } = row;
    return this.#wait(tx, fresh, news);
  }

  /** Whether it lost its explanation because the cause has ended: what it caused may take a moment longer to mend. */
  async #outlasts(tx: Tx, was: AlarmRow, row: AlarmRow): Promise<boolean> {
    return explainer(row) === undefined && (await this.#cause(tx, was))?.active === false;
  }

  /** To its cause's ticket, or to its own: at once, or when its time has come; `outlasts`: its cause has just ended. */
  async #wait(tx: Tx, row: AlarmRow, news: News, outlasts = false): Promise<AlarmRow> {
    const cause = await this.#cause(tx, row);
    if (cause?.active && cause.ticket !== undefined) return this.#begin(tx, row, cause, news);
    const holdOnMs = this.#rules.holdOnMs(row.code);
    const told = await this.#accounts.enter(tx, row, cause, news, row.toldIn === undefined ? undefined : row);
    const explained = outlasts || explainer(row) !== undefined || told.toldIn !== undefined;
    const waitMs = explained ? Math.max(holdOnMs, this.#rules.childGraceMs) : holdOnMs;
    if (waitMs === 0) return this.#due(tx, told, news);
    const waiting = { ...told, opensAt: news.now + waitMs };
    await tx.saveAlarm(waiting);
    return waiting;
  }

  /** Gives an active alarm its place: a child joins its cause's ticket, any other has one of its own. */
  async #begin(tx: Tx, from: AlarmRow, cause: AlarmRow | undefined, news: News): Promise<AlarmRow> {
    const row = await this.#accounts.leave(tx, from, news);
    const joins = cause?.active === true && cause.ticket !== undefined;
    const ticket = joins
      ? await this.#desk.enter(tx, "joins", { ...row, ...(cause.ticket && { ticket: cause.ticket }) }, news)
      : await this.#desk.enter(tx, "begins", row, news);
    const begun = { ...row, ...(ticket && { ticket }), countedSince: row.since };
    await tx.saveAlarm(begun);
    for (const child of await tx.consequences(row.device, row.code)) {
      if (child.ticket !== undefined) {
        if ((await tx.ticket(child.ticket))?.dedup_key === dedupKey(child)) await this.#merge(tx, child, begun, news);
        continue;
      }
      const { opensAt: _, ...waiting } = child;
      await this.#begin(tx, waiting, begun, news);
    }
    return begun;
  }

  async #goesOn(tx: Tx, was: AlarmRow, row: AlarmRow, news: News): Promise<AlarmRow> {
    if (row.ticket === undefined) return this.#stillWaits(tx, was, row, news);
    const guest = (await tx.ticket(row.ticket))?.dedup_key !== dedupKey(row);
    if (guest && explainer(row) !== explainer(was) && (await this.#cause(tx, row))?.ticket !== row.ticket) {
      await this.#desk.enter(tx, "leaves", row, news);
      const { ticket: _, ...own } = row;
      await tx.saveAlarm(own);
      await this.#releaseAll(tx, own, row.ticket, this.#rules.childGraceMs, news);
      return this.#wait(tx, own, news, await this.#outlasts(tx, was, row));
    }
    const merged = guest ? undefined : await this.#merge(tx, row, await this.#cause(tx, row), news);
    if (merged !== undefined) return merged;
    await this.#desk.enter(tx, "changes", row, news);
    const counted = { ...row, countedSince: row.since };
    await tx.saveAlarm(counted);
    return counted;
  }

  /**
   * A consequence is often seen before its cause, and has a ticket of its own by then: while that is young and untouched
   * it ends in the cause's. Undefined where it does not.
   */
  async #merge(tx: Tx, row: AlarmRow, cause: AlarmRow | undefined, news: News): Promise<AlarmRow | undefined> {
    if (!cause?.active || cause.ticket === undefined || cause.ticket === row.ticket) return undefined;
    const ticket = row.ticket === undefined ? undefined : await tx.ticket(row.ticket);
    if (ticket === undefined || !this.#desk.mayMerge(ticket, news)) return undefined;
    await this.#desk.enter(tx, "merges", row, news, cause.ticket);
    const { ticket: _, ...free } = row;
    const guests = await this.#freeGuests(tx, row, ticket.no);
    const begun = await this.#begin(tx, free, cause, news);
    for (const { device, code } of guests) {
      const guest = await tx.alarm(device, code);
      if (guest?.active && guest.ticket === undefined) await this.#wait(tx, guest, news);
    }
    return begun;
  }

  /** Takes the guests of a ticket that ends out of it: they follow their host, or find a place of their own. */
  async #freeGuests(tx: Tx, host: AlarmRow, ticket: string): Promise<AlarmRow[]> {
    const guests = (await tx.activeAlarms(host.device)).filter(
      (other) => other.ticket === ticket && other.code !== host.code,
    );
    for (const { ticket: _, ...free } of guests) await tx.saveAlarm(free);
    return guests;
  }

  /** Without a ticket yet: a new explanation, or the loss of one, sets the time anew; else the first time stands. */
  async #stillWaits(tx: Tx, was: AlarmRow, row: AlarmRow, news: News): Promise<AlarmRow> {
    const told = row.toldIn === undefined ? row : await this.#accounts.enter(tx, row, undefined, news, was);
    if (explainer(was) !== explainer(row) || row.opensAt === undefined)
      return this.#wait(tx, told, news, await this.#outlasts(tx, was, row));
    await tx.saveAlarm(told);
    return told;
  }

  async #ends(tx: Tx, was: AlarmRow | undefined, row: AlarmRow, news: News): Promise<AlarmRow> {
    const { opensAt: _, ...over } = row;
    const ended = await this.#accounts.end(tx, over, news);
    await tx.saveAlarm(ended);
    if (was?.active !== true) return ended;
    await this.#releaseAll(tx, ended, ended.ticket, this.#rules.childGraceMs, news);
    if (over.ticket !== undefined) await this.#desk.enter(tx, "ends", ended, news);
    return ended;
  }

  /** What `cause` explains is free: of no ticket, or a guest of `ticket`. */
  async #releaseAll(tx: Tx, cause: AlarmRow, ticket: string | undefined, graceMs: number, news: News): Promise<void> {
    for (const child of await tx.consequences(cause.device, cause.code)) {
      await this.#release(tx, child, ticket, graceMs, news);
    }
  }

  /** Its cause is gone: what still lasts after the grace was a fault of its own. */
  async #release(tx: Tx, child: AlarmRow, ticket: string | undefined, graceMs: number, news: News): Promise<void> {
    if (child.ticket !== undefined && child.ticket !== ticket) return; // it has one of its own
    if (child.ticket !== undefined) {
      if ((await tx.ticket(child.ticket))?.dedup_key === dedupKey(child)) return;
      await this.#desk.enter(tx, "leaves", child, news);
    }
    const { ticket: guestOf, ...free } = child;
    await tx.saveAlarm({ ...free, opensAt: news.now + graceMs });
    // What it explained itself was a guest too, and is due after it, so that it joins it.
    if (guestOf !== undefined) await this.#releaseAll(tx, free, guestOf, graceMs + 1, news);
  }

  /** A raise heard after its clear: the fault was there, and is counted once. */
  async #late(tx: Tx, was: AlarmRow, body: AlarmChange, news: News): Promise<void> {
    const counted = was.countedSince === body.since || was.active;
    if (body.kind !== "raised" || counted || body.explained_by !== undefined) return;
    if (this.#rules.holdOnMs(was.code) > 0) return;
    const { severity, since } = body;
    const fault = { ...was, severity, since };
    const ticket =
      (await this.#accounts.passed(tx, fault, news)) ?? (await this.#desk.enter(tx, "passes", fault, news));
    await tx.saveAlarm({ ...was, countedSince: since, ...(ticket && { ticket }) });
  }

  async #cause(tx: Tx, row: AlarmRow): Promise<AlarmRow | undefined> {
    const code = explainer(row);
    return code === undefined ? undefined : tx.alarm(row.device, code);
  }

  async #room(tx: Tx, device: string): Promise<boolean> {
    if ((await tx.alarmCount(device)) < this.#rules.maxCodes) return true;
    return (await tx.forgetCleared(device, Math.ceil(this.#rules.maxCodes / 10))) > 0;
  }
}

/** The code that explains an alarm; none explains itself. */
const explainer = ({ explainedBy, code }: AlarmRow): string | undefined =>
  explainedBy === code ? undefined : explainedBy;

function rowOf({ device, code, body, receivedAt }: HeardOf<"alarm">, was: AlarmRow | undefined): AlarmRow {
  const { value, unit, says, explained_by: explainedBy } = body;
  return {
    ...{ device, code, active: body.active, severity: body.severity, check: body.check, subject: body.subject },
    ...{ reason: body.reason, titleZh: body.title_zh, titleEn: body.title_en, flapping: body.flapping ?? false },
    ...{ since: body.since, boot: body.boot, seq: body.seq, ts: body.ts, receivedAt },
    ...(value !== undefined && { value }),
    ...(unit !== undefined && { unit }),
    ...(says !== undefined && { says }),
    ...(explainedBy !== undefined && { explainedBy }),
    ...carried(was),
  };
}

/** What is ours and not the device's word. */
const carried = (was: AlarmRow | undefined): Partial<AlarmRow> => ({
  ...(was?.opensAt !== undefined && { opensAt: was.opensAt }),
  ...(was?.ticket !== undefined && { ticket: was.ticket }),
  ...(was?.toldIn !== undefined && { toldIn: was.toldIn }),
  ...(was?.countedSince !== undefined && { countedSince: was.countedSince }),
});

const WORDS: Record<Unheard, string> = {
  silent: "no sign of life for two heartbeats",
  offline: "the broker lost the connection",
  shutdown: "the agent was stopped",
};

interface OfflineFacts {
  reason: Unheard | undefined;
  since: number;
  severity: Severity;
  boot: string;
}

function offlineRow(
  device: string,
  { reason, since, severity, boot }: OfflineFacts,
  was: AlarmRow | undefined,
  now: number,
): AlarmRow {
  return {
    ...{ device, code: OFFLINE, check: OWN_CHECK, subject: device, titleZh: "设备失联", titleEn: "device unreachable" },
    ...{ active: reason !== undefined, severity: reason === undefined ? (was?.severity ?? severity) : severity },
    ...{ reason: reason ?? was?.reason ?? "silent", flapping: false, since, ts: now, receivedAt: now },
    ...{ boot, seq: (was?.seq ?? 0) + 1 },
    says: reason === undefined ? "heard again" : WORDS[reason],
    ...(was?.active && was.explainedBy !== undefined && { explainedBy: was.explainedBy }),
    ...carried(was),
  };
}
