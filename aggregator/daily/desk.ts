import { comparePlaces } from "../../protocol/boot.ts";
import type { DailyCheck } from "../../protocol/daily.ts";
import type { AlarmRow, TicketRow, Tx } from "../store.ts";
import { dateAfter, dayNumber, localDay } from "./calendar.ts";
import { recordOf } from "./record.ts";

export interface HeardDaily {
  device: string;
  receivedAt: number;
  body: DailyCheck;
}

/** Days a record may be ahead of us (a device east of us), and behind (one that was away). */
const WINDOW = { ahead: 2, behind: 400 } as const;
const MOST_TICKETS = 200;
/** A raise and its ticket are of our own making under this check: they have no place in the device's history. */
const OWN_CHECK = "device";

/** Enters the daily checks of devices, inside the caller's transaction. */
export class DailyDesk {
  readonly #local: ReturnType<typeof localDay>;

  /** `timeZone` (IANA name): whose calendar the desk lives by. */
  constructor(timeZone: string) {
    this.#local = localDay(timeZone);
  }

  /** A device said its first word: from tomorrow on its check is missed when there is none. */
  async met(tx: Tx, device: string, at: number): Promise<void> {
    await tx.daily.meet(device, dateAfter(this.#local(at).date, 1));
  }

  /**
   * Enters a day's check with what stood around it when it was made: the alarms told before it, the tickets open then.
   * The first of a day stands, whatever comes later. False where the day is none that can be: a clock far off.
   */
  async heard(tx: Tx, { device, receivedAt, body }: HeardDaily): Promise<boolean> {
    const away = dayNumber(body.date) - dayNumber(this.#local(receivedAt).date);
    if (away > WINDOW.ahead || away < -WINDOW.behind) return false;
    const skewMs = (await tx.device(device))?.skewMs ?? 0;
    const madeAt = Math.min(receivedAt, body.ts - skewMs);
    const alarms = (await tx.activeAlarms(device)).filter((alarm) => stoodBefore(alarm, body));
    const tickets = await ticketsOf(tx, device, madeAt, alarms);
    const info = await tx.daily.info(device);
    await tx.daily.enter(recordOf(body, { device, receivedAt, info, alarms, tickets }));
    return true;
  }

  /** Forgets what is older than `keepDays`, at most `limit` of each family. Says how many went. */
  forget(tx: Tx, now: number, keepDays: number, limit: number): Promise<number> {
    return tx.daily.forget(dateAfter(this.#local(now).date, -keepDays), limit);
  }
}

/** Those open at `at`, and those of `alarms`: of a device that was away they were opened later than the fault was there. */
async function ticketsOf(tx: Tx, device: string, at: number, alarms: readonly AlarmRow[]): Promise<TicketRow[]> {
  const tickets = [...(await tx.daily.ticketsOpenAt(device, at, MOST_TICKETS))];
  for (const { ticket: no } of alarms) {
    if (no === undefined || tickets.length >= MOST_TICKETS || tickets.some((known) => known.no === no)) continue;
    const row = await tx.ticket(no);
    if (row !== undefined) tickets.push(row);
  }
  return tickets;
}

const stoodBefore = (alarm: AlarmRow, body: DailyCheck): boolean =>
  alarm.check !== OWN_CHECK && comparePlaces(alarm, body) < 0;
