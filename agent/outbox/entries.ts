import { BOOT_PATTERN, type Place } from "../../protocol/boot.ts";
import type { Kept } from "../../protocol/record.ts";
import type { KeptTelemetry } from "./outbox.ts";

/** What was given up so far because room was short. */
export interface Dropped {
  telemetry: number;
  records: number;
  /** How many of these records the aggregator has heard of; none when absent. */
  told?: number;
}

/** What one frame of the journal says. Read in their order they are the whole memory of the device. */
export type Entry =
  /** Opens a snapshot: first entry of every file. `days`: of which the daily check was made. */
  | { k: "head"; v: 1; boot: string; seq: number; nextId: number; dropped: Dropped; days?: readonly string[] }
  /** An agent started and went on in this file. */
  | { k: "start"; boot: string }
  /** An alarm change, event or daily check; `pending` until the aggregator has it. */
  | { k: "record"; pending: boolean; kept: Kept }
  | { k: "telemetry"; kept: KeptTelemetry }
  /** What happened since the last write but was not worth one: frees by ack, telemetry gone before an id, what was given up. */
  | { k: "note"; freed: Place[]; telemetryFrom: number; dropped: Dropped }
  /** Closes a snapshot of so many entries, itself not counted: without it the snapshot was cut off. */
  | { k: "end"; count: number };

/** Reads the text of a frame; undefined when it is not an entry of ours (a newer version's, or a stranger's). */
export function readEntry(text: string): Entry | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isObject(value) && fits(value) ? (value as Entry) : undefined;
}

/** Written by ourselves and checksummed, so only what would break us later is looked at. */
function fits(value: Record<string, unknown>): boolean {
  switch (value.k) {
    case "head":
      return (
        value.v === 1 &&
        isBoot(value.boot) &&
        isCount(value.seq) &&
        isCount(value.nextId) &&
        isDropped(value) &&
        (value.days === undefined || (Array.isArray(value.days) && value.days.every(isText)))
      );
    case "start":
      return isBoot(value.boot);
    case "record":
      return typeof value.pending === "boolean" && isObject(value.kept) && isRecord(value.kept);
    case "telemetry":
      return isObject(value.kept) && isCount(value.kept.id) && isCoded(value.kept);
    case "note":
      return (
        Array.isArray(value.freed) && value.freed.every(isPlace) && isCount(value.telemetryFrom) && isDropped(value)
      );
    case "end":
      return isCount(value.count);
    default:
      return false;
  }
}

type Fields = Record<string, unknown>;
const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null;
const isBoot = (value: unknown): boolean => typeof value === "string" && BOOT_PATTERN.test(value);
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
const isPlace = (value: unknown): boolean => isObject(value) && isBoot(value.boot) && isCount(value.seq);
const isText = (value: unknown): boolean => typeof value === "string";
const isCoded = (kept: Fields): boolean => typeof kept.code === "string" && isObject(kept.body);
const isDropped = ({ dropped }: Fields): boolean =>
  isObject(dropped) && isCount(dropped.telemetry) && isCount(dropped.records) && isCount(dropped.told ?? 0);
const isRecord = (kept: Fields): boolean =>
  isCoded(kept) &&
  isPlace(kept.body) &&
  isObject(kept.body) &&
  (kept.kind === "event" ||
    (kept.kind === "alarm" && typeof kept.body.active === "boolean") ||
    (kept.kind === "daily" && isText(kept.body.date) && isText(kept.body.packed)));

const MOST_CHARACTERS = 4_096;

/** A body as the wire wants it: no absent value, no number JSON cannot say, no text that a frame could not hold. */
export function flat<T extends object>(body: T): T {
  const fields = Object.entries(body).filter(([, value]) => value !== undefined && !isUnspeakable(value));
  return Object.fromEntries(
    fields.map(([key, value]) => [key, typeof value === "string" ? value.slice(0, MOST_CHARACTERS) : value]),
  ) as T;
}

const isUnspeakable = (value: unknown): boolean =>
  value === null || (typeof value === "number" && !Number.isFinite(value));
