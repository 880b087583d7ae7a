import { isDeepStrictEqual } from "node:util";
import type { Reading, TicketRow } from "../store.ts";
import { findBreak, refold } from "./timeline.ts";

export interface Finding {
  ticket: string;
  /** The entry of the timeline, where it is one. */
  id?: number;
  because: string;
}

/** Walks all tickets: every timeline must be whole, and every stored row must be the fold of its timeline. */
export async function verifyTickets(reading: Pick<Reading, "tickets" | "timeline">): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (let after: string | undefined; ; ) {
    const rows = await reading.tickets({}, { limit: 200, ...(after !== undefined && { after }) });
    for (const row of rows) findings.push(...(await verifyTicket(reading, row)));
    after = rows.at(-1)?.no;
    if (after === undefined) return findings;
  }
}

async function verifyTicket(reading: Pick<Reading, "timeline">, row: TicketRow): Promise<Finding[]> {
  const events = await reading.timeline(row.no);
  const broken = findBreak(events);
  if (broken !== undefined) return [{ ticket: row.no, ...broken }];
  if (isDeepStrictEqual(refold(events), row)) return [];
  return [{ ticket: row.no, because: "the stored row is not the fold of its timeline" }];
}
