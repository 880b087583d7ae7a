import { rank } from "../protocol/severity.ts";
import { accountedUntil, accountsFor, foretold, mayAccount, OFFLINE, ourTime } from "./absence.ts";
import { isOwn } from "./decode.ts";
import type { News } from "./news.ts";
import type { AlarmRow, Tx } from "./store.ts";
import type { TicketDesk } from "./tickets/desk.ts";

/** What a device says itself of why it was not heard: it stands in the ticket of its absence and opens none. */
export class Accounts {
  readonly #desk: TicketDesk;
  readonly #graceMs: number;

  /** `graceMs`: what outlasts the absence by so long is a fault of its own. */
  constructor(desk: TicketDesk, graceMs: number) {
    this.#desk = desk;
    this.#graceMs = graceMs;
  }

  /**
   * Enters an alarm that has no ticket where it accounts for an absence, itself or through its `cause`. Returns it with
   * the ticket it stands in, or as it was. One that stands there already is entered again only when it got worse than `was`.
   */
  async enter(tx: Tx, row: AlarmRow, cause: AlarmRow | undefined, news: News, was?: AlarmRow): Promise<AlarmRow> {
    const worse = was === undefined || rank(row.severity) > rank(was.severity);
    if (row.toldIn !== undefined && !worse) return row;
    const toldIn = row.toldIn ?? (cause?.active ? cause.toldIn : undefined) ?? (await this.#ticketFor(tx, row));
    if (toldIn === undefined) return row;
    await this.#tell(tx, "accounts", row, toldIn, news);
    return { ...row, toldIn, countedSince: row.since };
  }

  /** It has ended: its ticket is the one it stands in. */
  async end(tx: Tx, { toldIn, ...row }: AlarmRow, news: News): Promise<AlarmRow> {
    if (toldIn === undefined) return row;
    await this.#tell(tx, "accounted", row, toldIn, news);
    return { ...row, ticket: toldIn };
  }

  /** A fault of the absence that had ended when its beginning was heard. Returns the ticket it stands in now. */
  async passed(tx: Tx, row: AlarmRow, news: News): Promise<string | undefined> {
    const toldIn = await this.#ticketFor(tx, row);
    if (toldIn !== undefined) await this.#tell(tx, "accounted", row, toldIn, news);
    return toldIn;
  }

  /** It has become a fault of its own, or another one's. */
  async leave(tx: Tx, { toldIn, ...row }: AlarmRow, news: News): Promise<AlarmRow> {
    if (toldIn !== undefined) await this.#desk.enter(tx, "leaves", { ...row, ticket: toldIn }, news);
    return row;
  }

  /** When an alarm whose time has come is to be looked at again; undefined: it is no part of an absence any more. */
  async waits(tx: Tx, row: AlarmRow, cause: AlarmRow | undefined, now: number): Promise<number | undefined> {
    if (row.toldIn === undefined) return undefined;
    // behind what explains it, so that it joins that one's ticket
    if (cause?.active && cause.toldIn !== undefined) return Math.max(cause.opensAt ?? now, now) + 1;
    const offline = await tx.alarm(row.device, OFFLINE);
    if (offline === undefined) return undefined;
    const until = accountedUntil(row, offline, this.#graceMs, now);
    return until > now ? Math.min(until, now + Math.max(this.#graceMs, 1_000)) : undefined;
  }

  /** What the device told before it fell silent and that explains it; it has a ticket. */
  async foretold(tx: Tx, offline: AlarmRow): Promise<AlarmRow | undefined> {
    const device = await tx.device(offline.device);
    if (device === undefined) return undefined;
    const active = await tx.activeAlarms(offline.device);
    return active
      .filter((row) => row.ticket !== undefined && row.explainedBy === undefined && !isOwn(row.check))
      .filter((row) => foretold(row, offline, device))
      .toSorted((a, b) => rank(b.severity) - rank(a.severity) || a.since - b.since)[0];
  }

  async #ticketFor(tx: Tx, row: AlarmRow): Promise<string | undefined> {
    if (isOwn(row.check) || !mayAccount(row)) return undefined;
    const [offline, device] = [await tx.alarm(row.device, OFFLINE), await tx.device(row.device)];
    if (offline?.ticket === undefined || device === undefined) return undefined;
    const ticket = await tx.ticket(offline.ticket);
    return ticket !== undefined && accountsFor(row, offline, device, ticket) ? ticket.no : undefined;
  }

  async #tell(tx: Tx, happening: "accounts" | "accounted", row: AlarmRow, ticket: string, news: News): Promise<void> {
    const device = (await tx.device(row.device)) ?? {};
    const ours = { ...row, ticket, since: ourTime(row.since, device), ts: ourTime(row.ts, device) };
    await this.#desk.enter(tx, happening, ours, news);
  }
}
