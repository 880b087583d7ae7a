import type { Change } from "../changes.ts";
import type { AlarmRow, TicketRow, Tx } from "../store.ts";
import {
  type Decision,
  decide,
  dedupKey,
  type Happening,
  isMergeable,
  isObserved,
  resolution,
  type TicketPolicy,
} from "./policy.ts";
import { chain, type Entry, fold } from "./timeline.ts";

/** Where a desk's word goes, and what time it is: the transaction's news. */
export interface DeskNews {
  readonly now: number;
  readonly changes: Change[];
}

/** The last millisecond of the year 9999. */
const MOST_MS = 253_402_300_799_999;

/** Carries out what the policy decides, inside the caller's transaction. */
export class TicketDesk {
  readonly #policy: TicketPolicy;
  readonly #day: Intl.DateTimeFormat;
  readonly #time: Intl.DateTimeFormat;

  /** `timeZone` (IANA name) says which day a ticket number belongs to, and what a timeline calls the time. */
  constructor(policy: TicketPolicy, timeZone: string) {
    this.#policy = policy;
    this.#day = new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" });
    this.#time = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "medium" });
  }

  /** Enters a happening of `alarm` where it belongs. Returns the number of its ticket, undefined where it has none. */
  async enter(
    tx: Tx,
    happening: Happening,
    alarm: AlarmRow,
    news: DeskNews,
    into?: string,
  ): Promise<string | undefined> {
    const fresh = happening === "begins" || happening === "passes";
    const ticket = fresh
      ? await tx.lastTicketFor(dedupKey(alarm))
      : alarm.ticket === undefined
        ? undefined
        : await tx.ticket(alarm.ticket);
    const last = ticket && (await tx.lastEvent(ticket.no));
    const flapped = ticket && alarm.flapping ? await tx.lastEvent(ticket.no, "flapping") : undefined;
    const decision = decide({
      happening,
      alarm,
      site: fresh ? (await tx.device(alarm.device))?.site : undefined,
      ticket,
      others: ticket === undefined ? 0 : await tx.activeOf(ticket.no, alarm),
      entries: last?.id ?? 0,
      flappedAt: flapped?.at,
      ...((happening === "accounts" || happening === "accounted") && {
        from: this.#timeOf(alarm.since),
        to: this.#timeOf(alarm.ts),
      }),
      into,
      now: news.now,
      policy: this.#policy,
    });
    return this.#carryOut(tx, decision, ticket, news);
  }

  /** Whether the ticket of an alarm may still end in that of its cause. */
  mayMerge(ticket: TicketRow, news: DeskNews): boolean {
    return isMergeable(ticket, news.now, this.#policy);
  }

  /** `2026-11-22 16:00:30`; a device may say any number, and not each is a time. */
  #timeOf(ms: number): string {
    return this.#time.format(Math.min(Math.max(ms, 0), MOST_MS));
  }

  /** Resolves restored tickets whose observation is over; at most `limit`. Says how many. */
  async resolveObserved(tx: Tx, news: DeskNews, limit: number): Promise<number> {
    const tickets = await tx.observedTickets(news.now - this.#policy.observeMs, limit);
    for (const ticket of tickets) {
      if (isObserved(ticket, news.now, this.#policy)) await this.#append(tx, ticket.no, ticket, [resolution], news);
    }
    return tickets.length;
  }

  async #carryOut(tx: Tx, decision: Decision, ticket: TicketRow | undefined, news: DeskNews) {
    if (decision.entries.length === 0) return ticket?.no;
    if (decision.no !== "new") return this.#append(tx, decision.no, ticket, decision.entries, news);
    const day = this.#day.format(news.now).replaceAll("-", "");
    const no = `GZ-${day}-${String(await tx.nextTicketNumber(day)).padStart(4, "0")}`;
    return this.#append(tx, no, undefined, decision.entries, news);
  }

  async #append(tx: Tx, no: string, ticket: TicketRow | undefined, entries: readonly Entry[], news: DeskNews) {
    const last = ticket && (await tx.lastEvent(no));
    const events = chain(no, last, entries, news.now);
    const told: Change[] = [];
    let row = ticket;
    for (const event of events) {
      row = fold(row, event);
      told.push({ at: news.now, kind: "ticket", row, event });
    }
    if (row === undefined) return undefined;
    await tx.appendEvents(events, row);
    news.changes.push(...told);
    return no;
  }
}
