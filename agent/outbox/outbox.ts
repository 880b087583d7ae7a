import type { Place } from "../../protocol/boot.ts";
import type { Telemetry } from "../../protocol/from-device.ts";
import type { Draft, Kept, KeptAlarm } from "../../protocol/record.ts";

/** Telemetry written down while the broker is away: freed when published, first to go when room is short. */
export interface KeptTelemetry {
  id: number;
  code: string;
  body: Telemetry;
}

export interface OutboxStats {
  /** False while the state folder cannot be written: records are then in memory only. */
  durable: boolean;
  /** Why not, for people. */
  because?: string;
  pending: number;
  pendingBytes: number;
  /** What all records together may take before some are given up, bytes. */
  roomBytes: number;
  /** Device time of the oldest unacknowledged record, epoch ms. */
  oldestTs?: number;
  droppedTelemetry: number;
  droppedRecords: number;
  /** Of these, how many the aggregator does not know of yet. */
  untoldRecords: number;
}

/**
 * The device's memory of what it said: one journal on disk, seen two ways. `latest` is the alarm ledger (the last
 * change of each code), `pending` the outbox (what no ack has freed yet). One write makes both true.
 */
export interface Outbox extends AsyncDisposable {
  /** This start's name; later in order than every start before. */
  readonly boot: string;
  /** The last sequence number given, over all boots; 0 when none. */
  readonly seq: number;
  /** Last change of every code, by seq: the active ones, and those once active (the newest 256 of them). */
  latest(): readonly KeptAlarm[];
  /** Records not freed yet, by seq. */
  pending(): readonly Kept[];
  /** The days whose daily check was appended, the latest 40 of them; known over restarts. */
  days(): readonly string[];
  /** Gives each draft the next number and the device's time; resolves when they are on flash (or known not to be durable). */
  append(drafts: readonly Draft[]): Promise<readonly Kept[]>;
  /** Frees every record at or before `place` (both its boot and its seq). Costs no write of its own. */
  free(place: Place): void;
  /** Takes over an order from a lost past: the aggregator knows a later boot than ours. Returns the new boot. */
  adopt(place: Place): Promise<string>;
  keepTelemetry(telemetry: readonly Omit<KeptTelemetry, "id">[]): Promise<void>;
  telemetry(): readonly KeptTelemetry[];
  freeTelemetry(upToId: number): void;
  /** The aggregator has heard that so many records (of `droppedRecords`, since ever) were given up. Costs no write of its own. */
  toldDropped(records: number): void;
  stats(): OutboxStats;
}
