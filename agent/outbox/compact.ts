import type { Kept } from "../../protocol/record.ts";
import type { Dropped } from "./entries.ts";
import type { KeptTelemetry } from "./outbox.ts";

/** A record and what it costs on flash, bytes. */
export interface Item {
  kept: Kept;
  pending: boolean;
  bytes: number;
}

/** Telemetry and what it costs on flash, bytes. */
export interface Sample {
  kept: KeptTelemetry;
  bytes: number;
}

/** What the journal holds: records in the order of their places, telemetry in the order of its ids. */
export interface Held {
  items: readonly Item[];
  samples: readonly Sample[];
  dropped: Dropped;
}

/** Cleared alarms that the aggregator knows of are remembered only so many, the newest. */
export const MOST_CLEARED = 256;

/** Bytes of a list on flash. */
export const weigh = (list: readonly { bytes: number }[]): number => list.reduce((sum, { bytes }) => sum + bytes, 0);

/**
 * What is left when everything must fit into `room` bytes. Given up, and counted, in this order: telemetry and daily
 * checks over half the room, then any telemetry, then events, then daily checks, then alarm changes that a later one
 * supersedes; the oldest first each time. Cleared alarms beyond the newest MOST_CLEARED go first, and the others last, uncounted: the aggregator has them.
 * Never given up: the last change of a code that is active or not yet acknowledged, even when that is over the room.
 */
export function compact(held: Held, room: number): Held {
  const last = lastChanges(held.items);
  const isKnown = (item: Item): boolean => !item.pending && item.kept.kind === "alarm" && !item.kept.body.active;
  const known = held.items.filter(isKnown);
  const beyond = new Set(known.slice(0, Math.max(0, known.length - MOST_CLEARED)));
  const all = held.items.filter((item) => !beyond.has(item));
  const days = weigh(all.filter(isDaily));
  const over = weigh(all) + weigh(held.samples) > room; // where all fits, many days may stay
  let items = over ? withoutOldest(all, days - room / 2, isDaily) : all;

  const telemetryRoom = Math.min(room / 2, Math.max(0, room - weigh(items)));
  const samples = withoutOldest(held.samples, weigh(held.samples) - telemetryRoom, () => true);
  const before = all.length;
  const isSuperseded = ({ kept }: Item): boolean => kept.kind === "alarm" && last.get(kept.code)?.kept !== kept;
  for (const may of [({ kept }: Item) => kept.kind === "event", isDaily, isSuperseded]) {
    items = withoutOldest(items, weigh(items) - room, may);
  }
  const dropped = {
    ...held.dropped,
    telemetry: held.dropped.telemetry + held.samples.length - samples.length,
    records: held.dropped.records + before - items.length,
  };
  return { items: withoutOldest(items, weigh(items) - room, isKnown), samples, dropped };
}

const isDaily = ({ kept }: Item): boolean => kept.kind === "daily";

/** The last change of every code, in any order of arrival. */
export function lastChanges(items: readonly Item[]): Map<string, Item> {
  return new Map(items.filter(({ kept }) => kept.kind === "alarm").map((item) => [item.kept.code, item]));
}

/** The list without its oldest members that `may` go, until `excess` bytes are saved. */
function withoutOldest<T extends { bytes: number }>(list: readonly T[], excess: number, may: (one: T) => boolean): T[] {
  let left = excess;
  return list.filter((one) => {
    if (left <= 0 || !may(one)) return true;
    left -= one.bytes;
    return false;
  });
}
