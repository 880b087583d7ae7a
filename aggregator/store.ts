import type { DeviceInfo } from "../protocol/from-device.ts";
import type { Level, Severity } from "../protocol/severity.ts";
import type { TicketSnapshot } from "../protocol/ticket.ts";

/** One device as the aggregator knows it. Times are epoch ms of the aggregator unless named `…Ts` (device clock). */
export interface DeviceRow {
  id: string;
  /** From the aggregator's registry, never from the device. */
  site?: string;
  /** The newest boot heard of. */
  boot?: string;
  link: number;
  online: boolean;
  /** `silent`: online by its last word, but no sign of life for two heartbeats. */
  presence: "online" | "offline" | "silent" | "unknown";
  heartbeatS: number;
  agent?: string;
  seenAt: number;
  stateTs?: number;
  /** Device clock minus ours at the last message, milliseconds. */
  skewMs?: number;
  /** Everything at or before this place is committed and acknowledged; absent until a first birth closed a snapshot. */
  acked?: { boot: string; seq: number };
  /** Records the device says it had to drop. */
  dropped: number;
  info?: DeviceInfo;
}

export interface AlarmRow {
  device: string;
  code: string;
  active: boolean;
  severity: Severity;
  check: string;
  subject: string;
  reason: string;
  titleZh: string;
  titleEn: string;
  value?: number;
  unit?: string;
  says?: string;
  flapping: boolean;
  explainedBy?: string;
  /** Raised at, device clock for the device's own alarms, ours for silence. */
  since: number;
  boot: string;
  seq: number;
  ts: number;
  receivedAt: number;
  /** While set, a ticket is due at this time if the alarm is still active then (hold-on, rule R3); survives restarts. */
  opensAt?: number;
  /** Ticket it belongs to. */
  ticket?: string;
}

/** One entry of a ticket's timeline, append-only and chained: `hash` = SHA-256(prevHash + canonical entry). */
export interface TicketEvent {
  ticket: string;
  /** From 1, without a gap. */
  id: number;
  at: number;
  /** `aggregator`, or a person. */
  actor: string;
  kind: "opened" | "alarm" | "level" | "restored" | "reopened" | "resolved" | "flapping" | "child";
  data: Readonly<Record<string, string | number | boolean>>;
  prevHash: string;
  hash: string;
}

export interface TicketRow extends TicketSnapshot {
  level?: Level;
}

export interface AlarmFilter {
  device?: string;
  active?: boolean;
}
export interface TicketFilter {
  device?: string;
  state?: string;
  /** Neither 已解决 nor 已关闭. */
  open?: boolean;
}
/** Rows after `after` (the last key of the page before), at most `limit`. */
export interface Page {
  after?: string;
  limit: number;
}

/** What people and programs may read; every list is in the order of its key. */
export interface Reading {
  devices(page: Page): Promise<readonly DeviceRow[]>;
  device(id: string): Promise<DeviceRow | undefined>;
  /** Latest figures of a device by code. */
  telemetry(device: string): Promise<Readonly<Record<string, Readonly<Record<string, number>>>>>;
  alarms(filter: AlarmFilter, page: Page): Promise<readonly AlarmRow[]>;
  tickets(filter: TicketFilter, page: Page): Promise<readonly TicketRow[]>;
  ticket(no: string): Promise<TicketRow | undefined>;
  timeline(no: string): Promise<readonly TicketEvent[]>;
  counts(): Promise<StoreCounts>;
}

export interface StoreCounts {
  devices: Record<DeviceRow["presence"], number>;
  alarmsActive: Record<Severity, number>;
  /** Open tickets by contract level; `preventive` are the 隐患. */
  ticketsOpen: Record<"1" | "2" | "3" | "preventive", number>;
}
