import type { Place } from "../protocol/boot.ts";
import type { Change } from "./changes.ts";
import type { HeardOf } from "./decode.ts";

/** What a transaction brought about beside its rows: told to broker, desk and memory only after its commit. */
export interface News {
  /** Wall clock of the transaction, epoch ms. */
  readonly now: number;
  readonly changes: Change[];
  /** What each device may free. */
  readonly acks: Map<string, Place>;
  /** Devices whose snapshot is incomplete, and why. */
  readonly resyncs: Map<string, string>;
  /** Signs of life: monotonic ms of arrival, and how often to expect one; `undefined` = it said goodbye, expect none. */
  readonly lives: Map<string, { at: number; heartbeatS: number } | undefined>;
  /** Whether a device has a hole in its numbers now. */
  readonly gaps: Map<string, boolean>;
  /** Acked number at which a birth left a hole open; `undefined` = none. */
  readonly holes: Map<string, number | undefined>;
  /** Hash of the inventory that stands now, by device. */
  readonly inventories: Map<string, string>;
  /** Hash of the inventory that a device's `info` names; `undefined` = none. */
  readonly named: Map<string, string | undefined>;
  /** Figures that were entered, for the history. */
  readonly telemetry: HeardOf<"tele">[];
  duplicates: number;
  /** Messages refused inside, by failure code. */
  readonly refused: Map<string, number>;
}

export const noNews = (now: number): News => ({
  now,
  changes: [],
  acks: new Map(),
  resyncs: new Map(),
  lives: new Map(),
  gaps: new Map(),
  holes: new Map(),
  inventories: new Map(),
  named: new Map(),
  telemetry: [],
  duplicates: 0,
  refused: new Map(),
});
