import type { DeviceInfo } from "../protocol/from-device.ts";
import type { Level, Severity } from "../protocol/severity.ts";
import type { TicketSnapshot } from "../protocol/ticket.ts";
import type { DailyReading, DailyTx } from "./daily-store.ts";
import type { InventoryReading, InventoryTx } from "./inventory-store.ts";

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
  /** The device lost its state once: records of this boot or earlier are of a life that is over. */
  floorBoot?: string;
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
  /** While active without a ticket of its own: the ticket of an absence in whose timeline it stands as the device's own word. */
  toldIn?: string;
  /** `since` of the fault last given to a ticket: a raise that comes late is not counted twice. */
  countedSince?: number;
}

/** One entry of a ticket's timeline, append-only and chained: `hash` = SHA-256(prevHash + canonical entry). */
export interface TicketEvent {
  ticket: string;
  /** From 1, without a gap. */
  id: number;
  at: number;
  /** `aggregator`, or a person. */
  actor: string;
  kind: "opened" | "alarm" | "level" | "restored" | "reopened" | "resolved" | "flapping" | "child" | "merged";
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
  /** Not in one of CLOSED_STATES (已解决, 已关闭, 合并, 误报). */
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
  readonly inventory: InventoryReading;
  readonly daily: DailyReading;
}

export interface StoreCounts {
  devices: Record<DeviceRow["presence"], number>;
  alarmsActive: Record<Severity, number>;
  /** Open tickets by contract level; `preventive` are the 隐患. */
  ticketsOpen: Record<"1" | "2" | "3" | "preventive", number>;
}

/** A record's place in the inbox: what makes a repeat known (rule R1). */
export interface InboxEntry {
  device: string;
  boot: string;
  seq: number;
  receivedAt: number;
  /** `alm/disk.var`, `evt/agent.start`. */
  branch: string;
  /** The JSON as it came. */
  payload: string;
}

/** Figures of one code of a device, as they came. */
export interface LatestFigures {
  /** JSON, with `ts`. */
  figures: string;
  receivedAt: number;
  isLate: boolean;
}

/**
 * One transaction: everything asked of it happens, or nothing does. Reads see what was written before in it.
 * Only valid inside the `work` it was given to. Every method may throw Failure STORE_BUSY or STORE_CORRUPT.
 */
export interface Tx {
  /** Writes the entry unless (device, boot, seq) is there already; false = a repeat. */
  claim(entry: InboxEntry): Promise<boolean>;
  /** Claimed places of a device with a number above `seq` and a boot after `boot`, by number; at most `limit`. */
  claimedAfter(
    device: string,
    seq: number,
    boot: string,
    limit: number,
  ): Promise<readonly { boot: string; seq: number }[]>;
  /** Forgets claims of a device with a number at or below `seq`. */
  forgetClaims(device: string, seq: number): Promise<void>;
  /** Forgets claims received before `before` that are at or below their device's acked place; at most `limit`. Says how many. */
  forgetOldClaims(before: number, limit: number): Promise<number>;

  device(id: string): Promise<DeviceRow | undefined>;
  /** Writes everything but `info`. */
  saveDevice(row: DeviceRow): Promise<void>;
  saveInfo(device: string, info: DeviceInfo): Promise<void>;
  /** A sign of life. May reach the disk up to ten seconds later than it is readable: a crash may forget it. */
  seen(device: string, at: number, skewMs?: number): Promise<void>;
  deviceCount(): Promise<number>;

  alarm(device: string, code: string): Promise<AlarmRow | undefined>;
  saveAlarm(row: AlarmRow): Promise<void>;
  /** Active alarms of a device, by code. */
  activeAlarms(device: string): Promise<readonly AlarmRow[]>;
  /** How many active alarms belong to a ticket, one left out. */
  activeOf(ticket: string, but: Pick<AlarmRow, "device" | "code">): Promise<number>;
  /** Active alarms of a device that another one, of this code, explains; by code. */
  consequences(device: string, code: string): Promise<readonly AlarmRow[]>;
  alarmCount(device: string): Promise<number>;
  /** Deletes the longest-cleared alarms of a device, at most `count`, none that is active. Says how many went. */
  forgetCleared(device: string, count: number): Promise<number>;
  /** Active alarms whose hold-on ended at `now`, oldest first; one due after `latest` waits for a clock that was set back and counts as due. */
  dueAlarms(now: number, latest: number, limit: number): Promise<readonly AlarmRow[]>;

  /** The newest ticket of a dedup key, open or not. */
  lastTicketFor(dedupKey: string): Promise<TicketRow | undefined>;
  ticket(no: string): Promise<TicketRow | undefined>;
  /** The next free number of a local day (`20261122`): 1, 2, … */
  nextTicketNumber(day: string): Promise<number>;
  /** The newest event of a ticket, of one kind where asked. */
  lastEvent(ticket: string, kind?: TicketEvent["kind"]): Promise<TicketEvent | undefined>;
  /** Appends to a timeline and stores its fold; both or none. Fails where a dedup key would get a second open ticket. */
  appendEvents(events: readonly TicketEvent[], fold: TicketRow): Promise<void>;
  /** Tickets 已恢复 since `before` or longer, without those of level 1 (a person closes them). */
  observedTickets(before: number, limit: number): Promise<readonly TicketRow[]>;

  readonly inventory: InventoryTx;
  readonly daily: DailyTx;

  /**
   * Latest figures of (device, code); false when the device would get more than `maxCodes` codes. Late ones, which waited on
   * the device, do not take the place of newer ones. Those of the moment always do: its clock may have been set back.
   */
  saveTelemetry(device: string, code: string, latest: LatestFigures, maxCodes: number): Promise<boolean>;
}

/** The ticket store. A PostgreSQL adapter may stand beside the embedded one; both pass test/contract/store.ts. */
export interface Store extends AsyncDisposable {
  readonly reading: Reading;
  /**
   * Runs `work` alone and commits what it wrote, durably, before it resolves; when `work` throws nothing of it remains.
   * Throws what `work` threw; Failure STORE_BUSY when the disk is full, locked or failing (try again), STORE_CORRUPT when the file is damaged.
   */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Tickets whose retained topic holds something, by opening; `after` is a ticket number. */
  shownTickets(page: Page): Promise<readonly TicketRow[]>;
  /** Notes that these tickets' topics were emptied. */
  hideTickets(nos: readonly string[]): Promise<void>;
}
