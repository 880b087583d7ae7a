import type { ApiAlarm, ApiChange, ApiDevice, ApiTicket, ApiTicketEvent } from "../../protocol/api.ts";
import type { Change } from "../changes.ts";
import { says } from "../says.ts";
import type { AlarmRow, DeviceRow, TicketEvent, TicketRow } from "../store.ts";

/** The store's rows as the API answers them; absent values are left out. */
export function deviceJson(row: DeviceRow): ApiDevice {
  const { ts, boot: _boot, agent: _agent, ...inventory } = row.info ?? {};
  return present({
    ...inventory,
    info_ts: ts,
    id: row.id,
    site: row.site,
    boot: row.boot,
    link: row.link,
    online: row.online,
    presence: row.presence,
    heartbeat_s: row.heartbeatS,
    agent: row.agent,
    seen_at: row.seenAt,
    state_ts: row.stateTs,
    skew_ms: row.skewMs,
    acked_boot: row.acked?.boot,
    acked_seq: row.acked?.seq,
    dropped: row.dropped,
  });
}

export function alarmJson(row: AlarmRow): ApiAlarm {
  return present({
    device: row.device,
    code: row.code,
    active: row.active,
    severity: row.severity,
    check: row.check,
    subject: row.subject,
    reason: row.reason,
    title_zh: row.titleZh,
    title_en: row.titleEn,
    value: row.value,
    unit: row.unit,
    says: row.says,
    flapping: row.flapping,
    explained_by: row.explainedBy,
    since: row.since,
    boot: row.boot,
    seq: row.seq,
    ts: row.ts,
    received_at: row.receivedAt,
    opens_at: row.opensAt,
    ticket: row.ticket ?? row.toldIn,
  });
}

export const ticketJson = (row: TicketRow): ApiTicket => present({ ...row });

export function ticketEventJson(event: TicketEvent): ApiTicketEvent {
  const { zh, en } = says(event);
  return {
    no: event.ticket,
    id: event.id,
    at: event.at,
    actor: event.actor,
    kind: event.kind,
    says_zh: zh,
    says_en: en,
    data: { ...event.data },
    prev_hash: event.prevHash,
    hash: event.hash,
  };
}

export function changeJson(change: Change): ApiChange {
  const { at } = change;
  switch (change.kind) {
    case "alarm":
      return {
        kind: "alarm",
        at,
        change: alarmChange(change.row, change.was),
        ...(change.was?.active ? { severity_was: change.was.severity } : {}),
        alarm: alarmJson(change.row),
      };
    case "ticket":
      return { kind: "ticket", at, ticket: ticketJson(change.row), entry: ticketEventJson(change.event) };
    case "device":
      return { kind: "device", at, device: deviceJson(change.row) };
  }
}

function alarmChange(row: AlarmRow, was?: { active: boolean }): "raised" | "changed" | "cleared" {
  if (!row.active) return "cleared";
  return was?.active === true ? "changed" : "raised";
}

type Present<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};
/** The object without the keys whose value is undefined. */
export function present<T extends object>(row: T): Present<T> {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined)) as Present<T>;
}
