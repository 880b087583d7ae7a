import { createHash } from "node:crypto";
import { LEVELS, type Level, type Severity } from "../../protocol/severity.ts";
import type { TicketEvent, TicketRow } from "../store.ts";

/** Something to enter into a timeline that has no place in it yet. */
export type Entry = Pick<TicketEvent, "kind" | "data">;
type Data = TicketEvent["data"];

/** What the first entry of a timeline follows. */
export const GENESIS = "0".repeat(64);

/** Entries with their places: numbered on from `last`, each chained to the one before by SHA-256. */
export function chain(
  ticket: string,
  last: Pick<TicketEvent, "id" | "hash"> | undefined,
  entries: readonly Entry[],
  at: number,
  actor = "aggregator",
): TicketEvent[] {
  let { id, hash } = last ?? { id: 0, hash: GENESIS };
  return entries.map(({ kind, data }) => {
    id += 1;
    const entry = { ticket, id, at, actor, kind, data, prevHash: hash };
    hash = hashOf(entry);
    return { ...entry, hash };
  });
}

/** SHA-256 over the hash before and the entry; keys of `data` in their order, so that storage may not matter. */
function hashOf({ ticket, id, at, actor, kind, data, prevHash }: Omit<TicketEvent, "hash">): string {
  const sorted = Object.entries(data).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return createHash("sha256")
    .update(`${prevHash}\n${JSON.stringify([ticket, id, at, actor, kind, sorted])}`)
    .digest("hex");
}

/** Where a timeline was tampered with: the first entry that does not follow from the one before. */
export function findBreak(events: readonly TicketEvent[]): { id: number; because: string } | undefined {
  let hash = GENESIS;
  for (const [index, event] of events.entries()) {
    if (event.id !== index + 1) return { id: index + 1, because: "an entry is missing or doubled" };
    if (event.prevHash !== hash) return { id: event.id, because: "it does not follow from the entry before" };
    if (event.hash !== hashOf(event)) return { id: event.id, because: "it was edited" };
    hash = event.hash;
  }
  return undefined;
}

/** A ticket after one more entry of its timeline: every column of a ticket is this fold and nothing else. */
export function fold(row: TicketRow | undefined, event: TicketEvent): TicketRow {
  if (row === undefined) {
    if (event.kind !== "opened") throw new Error(`timeline of ${event.ticket} begins with ${event.kind}`);
    return opened(event);
  }
  const { restored_at, resolved_at, flapping, ...kept } = row;
  const { at, data } = event;
  switch (event.kind) {
    case "opened":
      throw new Error(`timeline of ${event.ticket} opens twice`);
    case "alarm":
    case "child":
      return { ...row, ts: at };
    case "flapping":
      return { ...row, flapping: true, ts: at };
    case "level":
      return { ...row, ...graded(severity(data)), ts: at };
    case "restored":
      return { ...row, state: "已恢复", restored_at: at, ts: at };
    case "reopened":
      return { ...kept, ...(flapping && { flapping }), state: "重新打开", reopened: row.reopened + 1, ts: at };
    case "merged":
      return { ...row, state: "合并", ts: at };
    case "resolved":
      return { ...kept, ...(restored_at && { restored_at }), state: "已解决", resolved_at: at, ts: at };
  }
}

/** The ticket a whole timeline makes; undefined when there is none. */
export const refold = (events: readonly TicketEvent[]): TicketRow | undefined =>
  events.reduce<TicketRow | undefined>(fold, undefined);

function opened({ ticket, at, data }: TicketEvent): TicketRow {
  return {
    no: ticket,
    ...graded(severity(data)),
    state: "新建",
    device: text(data, "device"),
    ...(data["site"] !== undefined && { site: text(data, "site") }),
    code: text(data, "code"),
    dedup_key: text(data, "dedup_key"),
    title_zh: text(data, "title_zh"),
    title_en: text(data, "title_en"),
    occurred_at: Number(data["occurred_at"]),
    detected_at: at,
    reopened: 0,
    ...(data["recurrence_of"] !== undefined && { recurrence_of: text(data, "recurrence_of") }),
    ts: at,
  };
}

/** A warning is a latent fault (隐患) without a contract level, all else a 故障 with one. */
function graded(grade: Severity): { severity: Severity; type: TicketRow["type"]; level?: Level } {
  const level = LEVELS[grade];
  return level === undefined ? { severity: grade, type: "隐患" } : { severity: grade, type: "故障", level };
}

const text = (data: Data, key: string): string => String(data[key] ?? "");
const severity = (data: Data): Severity => text(data, "severity") as Severity;
