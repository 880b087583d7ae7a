import type { ApiDailyConfig, ApiDailyFaults, ApiDailyFigures } from "../../protocol/api-daily.ts";
import type { DailyCheck, DailyLine } from "../../protocol/daily.ts";
import type { DeviceInfo } from "../../protocol/from-device.ts";
import type { DailyRecord } from "../daily-store.ts";
import type { AlarmRow, TicketRow } from "../store.ts";

/** What stood around a device's check when it was made. */
export interface Around {
  device: string;
  receivedAt: number;
  info: DeviceInfo | undefined;
  alarms: readonly AlarmRow[];
  tickets: readonly TicketRow[];
}

/** Whose lines say how a device is set up against what was signed off. */
const DRIFT = "drift";

/** Parts a day's check into its three families: 配置数据, 性能数据, 故障数据. Pure. */
export function recordOf(body: DailyCheck, around: Around): DailyRecord {
  const { date, boot, seq, ts, agent: _agent, config_hash: _hash, checks: _checks, ...counts } = body;
  const { device, receivedAt, alarms, tickets } = around;
  return {
    head: {
      ...{ device, date, boot, seq, ts, receivedAt, alarms: alarms.length, tickets: tickets.length, again: 0 },
      ...counts,
    },
    config: configOf(body, around.info),
    performance: figuresOf(body.checks),
    faults: { states: body.checks.map(stateOf), alarms: alarms.map(alarmOf), tickets: tickets.map(ticketOf) },
  };
}

function stateOf({ readings: _, ...line }: DailyLine): ApiDailyFaults["states"][number] {
  return line;
}

function configOf({ agent, config_hash, checks }: DailyCheck, told: DeviceInfo | undefined): ApiDailyConfig {
  const { ts, boot: _boot, agent: _agent, ...info } = told ?? { ts: undefined };
  const { packages_hash, inventory_hash } = told ?? {};
  return {
    agent,
    ...(config_hash === undefined ? {} : { config_hash }),
    ...(packages_hash === undefined ? {} : { packages_hash }),
    ...(inventory_hash === undefined ? {} : { inventory_hash }),
    ...(ts === undefined ? {} : { info, info_ts: ts }),
    drift: checks.filter(({ check }) => check === DRIFT).map(stateOf),
  };
}

const figuresOf = (lines: readonly DailyLine[]): ApiDailyFigures[] =>
  lines.flatMap(({ check, subject, readings }) =>
    readings === undefined ? [] : [{ check, ...(subject === undefined ? {} : { subject }), readings }],
  );

function alarmOf(row: AlarmRow): ApiDailyFaults["alarms"][number] {
  const { code, severity, check, subject, reason, since, explainedBy, ticket } = row;
  return {
    ...{ code, severity, check, subject, reason, title_zh: row.titleZh, title_en: row.titleEn, since },
    ...(explainedBy === undefined ? {} : { explained_by: explainedBy }),
    ...(ticket === undefined ? {} : { ticket }),
  };
}

function ticketOf(row: TicketRow): ApiDailyFaults["tickets"][number] {
  const { no, type, level, severity, state, code, title_zh, title_en, detected_at } = row;
  return {
    no,
    type,
    ...(level === undefined ? {} : { level }),
    severity,
    state,
    code,
    title_zh,
    title_en,
    detected_at,
  };
}
