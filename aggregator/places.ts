import type { Place } from "../protocol/boot.ts";
import type { DeviceState } from "../protocol/from-device.ts";
import type { DeviceRow } from "./store.ts";

/** Where a record stands against what is committed of its device; the inbox decides what `new` and `near` leave open. */
export type Standing =
  /** Beyond what is acked. */
  | "new"
  /** Within what is acked, but near enough that the inbox still knows whether it came before. */
  | "near"
  /** Committed long ago. */
  | "repeat"
  /** Of a life that is over, or of one that lost its place in time: its device must take a later boot. */
  | "stale"
  /** The device lost its state: a later boot counts again from below. */
  | "lost";

type Known = Pick<DeviceRow, "acked" | "floorBoot">;

/**
 * Tells where a record stands. Within one life of a device numbers grow over its boots, so a later boot with a lower
 * number, or an earlier boot with a higher one, can only come of a lost state folder. `keep`: how many claims the inbox holds.
 */
export function standing({ acked, floorBoot }: Known, place: Place, keep: number): Standing {
  if (floorBoot !== undefined && place.boot <= floorBoot) return "stale";
  if (acked === undefined) return "new";
  if (place.boot > acked.boot) return place.seq <= acked.seq ? "lost" : "new";
  if (place.seq <= acked.seq) return place.seq > acked.seq - keep ? "near" : "repeat";
  return place.boot === acked.boot ? "new" : "stale";
}

/** The device as it is once known to have lost its state: nothing of its new life is acked before its next birth. */
export function startsAnew(row: DeviceRow, boot: string): DeviceRow {
  const { acked, ...rest } = row;
  return { ...rest, boot, link: 0, ...(acked && { floorBoot: acked.boot }) };
}

/** What a device may free: as far as its records are committed without a hole, in the name of its newest boot. */
export function ackOf({ acked, boot }: Pick<DeviceRow, "acked" | "boot">): Place | undefined {
  if (acked === undefined) return undefined;
  return { boot: boot !== undefined && boot > acked.boot ? boot : acked.boot, seq: acked.seq };
}

/** `acked` moved on over every claimed record that follows without a hole. */
export function advance(acked: Place, claimed: readonly Place[]): Place {
  let { boot, seq } = acked;
  for (const place of claimed) {
    if (place.seq > seq + 1) break;
    if (place.seq === seq + 1) seq += 1;
    if (place.boot > boot) boot = place.boot;
  }
  return { boot, seq };
}

/**
 * How a state stands against the newest one known of its device: `newer` (a later boot or connection), `same` (a birth
 * told again, or the end of this very connection), `older` (overtaken, or from a clock in 1970).
 */
export function stateOrder(row: DeviceRow, state: Pick<DeviceState, "boot" | "link">): "newer" | "same" | "older" {
  if (row.boot === undefined || state.boot > row.boot) return "newer";
  if (state.boot < row.boot || state.link < row.link) return "older";
  return state.link > row.link ? "newer" : "same";
}
