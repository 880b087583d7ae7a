import { isOpen } from "../protocol/ticket.ts";
import { OWN_CHECK } from "./decode.ts";
import type { AlarmRow, DeviceRow, TicketRow } from "./store.ts";

/** Which of a device's own words say why it was not heard? Pure: the table, and the times at which a word counts. */

/** The alarm of a device of ours that is not heard. */
export const OFFLINE = `${OWN_CHECK}.offline`;

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

interface Account {
  check: string;
  reasons: readonly string[];
  /** Told so long before the device fell silent it still explains that; else two heartbeats. */
  leadMs?: number;
  /** It also takes down an agent that could still say goodbye. */
  endsAgent?: true;
}

/** A stop of the agent is no fault and in no row; what lies behind the broker keeps nobody from telling. */
const ACCOUNTS: readonly Account[] = [
  { check: "network", reasons: ["carrier", "side-carrier", "lower", "address", "route"] },
  { check: "network", reasons: ["gateway", "gateway-loss", "dns", "broker", "broker-loss"] },
  // a battery carries a device for hours; its end, and that of the device, comes with the mains alarm long told
  { check: "power", reasons: ["mains", "battery-low", "ups-battery", "ups-low"], leadMs: 8 * HOUR, endsAgent: true },
  { check: "power", reasons: ["undervoltage", "ups-off", "ups-overload"], endsAgent: true },
];

/** What still shows an outage so long after its end is that one and no new fault. */
const LASTING: readonly { check: string; reasons: readonly string[]; ms: number }[] = [
  // shares of the last hour, or of as many probes
  { check: "network", reasons: ["gateway-loss", "broker-loss"], ms: HOUR + 5 * MINUTE },
  // asked every five minutes, and well for one before it is over
  { check: "network", reasons: ["dns"], ms: 8 * MINUTE },
  { check: "clock", reasons: ["server", "unsynchronised"], ms: 8 * MINUTE },
];

type Word = Pick<AlarmRow, "check" | "reason" | "since" | "ts">;
type Offline = Pick<AlarmRow, "active" | "reason" | "since" | "ts">;
type Known = Pick<DeviceRow, "online" | "presence" | "heartbeatS" | "skewMs">;

/** Whether an alarm of this kind can say why `offline` came; cheap, before anything is read. */
export const mayAccount = ({ check, reason }: Pick<AlarmRow, "check" | "reason">, offline?: Offline): boolean =>
  accountOf({ check, reason }, offline) !== undefined;

/**
 * Whether an alarm heard now was raised while its device was not heard: by its own time, put right by what is known of
 * its clock, or because it comes ahead of the birth that ends the absence (a clock may have been set meanwhile).
 * `ticket` is the absence's; absences that reopened it are one span.
 */
export function accountsFor(word: Word, offline: Offline, device: Known, ticket: TicketRow): boolean {
  if (accountOf(word, offline) === undefined) return false;
  if (!isOpen(ticket.state) && ticket.state !== "已解决") return false; // a person has closed it
  const isBirth = !offline.active && device.presence === "online" && !device.online;
  if (isBirth) return true;
  const marginMs = 2_000 * device.heartbeatS;
  const raisedAt = ourTime(word.since, device);
  const from = ticket.code === OFFLINE ? Math.min(ticket.occurred_at, offline.since) : offline.since;
  const to = offline.active ? Number.POSITIVE_INFINITY : offline.ts;
  return raisedAt >= from - marginMs && raisedAt <= to + marginMs;
}

/** Whether an active alarm, told before its device fell silent, says why it did. */
export function foretold(word: Word, offline: Offline, device: Known): boolean {
  const account = accountOf(word, offline);
  if (account === undefined) return false;
  const leadMs = Math.max(account.leadMs ?? 0, 2_000 * device.heartbeatS);
  return ourTime(word.since, device) >= offline.since - leadMs;
}

/** Until when a word told in the ticket of `offline` is that absence; after it, it is a fault of its own. */
export function accountedUntil(word: Word, offline: Offline, graceMs: number, now: number): number {
  if (offline.active) return now + graceMs;
  const lasting = LASTING.find(({ check, reasons }) => check === word.check && reasons.includes(word.reason));
  return offline.ts + Math.max(graceMs, lasting?.ms ?? 0);
}

/** A time of the device's clock by ours, epoch ms. */
export const ourTime = (ts: number, { skewMs = 0 }: Pick<DeviceRow, "skewMs">): number => Math.round(ts - skewMs);

const accountOf = ({ check, reason }: Pick<AlarmRow, "check" | "reason">, offline?: Offline): Account | undefined =>
  ACCOUNTS.find(
    (account) =>
      account.check === check &&
      account.reasons.includes(reason) &&
      (offline?.reason !== "shutdown" || account.endsAgent === true),
  );
