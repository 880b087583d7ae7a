import * as z from "zod";
import { ApiAlarm, ApiTicket, PRESENCES } from "./api.ts";
import { DailyLine } from "./daily.ts";
import { DAILY_STATES } from "./daily-state.ts";
import { DeviceInfo } from "./from-device.ts";
import { ID_PATTERN } from "./topics.ts";

/** What the aggregator's HTTP API answers of the daily checks (日检). */
const count = z.int();
const ms = z.int();

const dailyCounts = {
  critical_count: count,
  major_count: count,
  minor_count: count,
  warning_count: count,
  unknown_count: count,
  ok_count: count,
  absent_count: count,
  disabled_count: count,
  cut_count: count.describe("lines the device left out, of what is well"),
};
export const DAILY_PRESENCES = ["made", "missing", "due"] as const;
/** A device on the sheet of the daily checks (日检表) of one day; its figures are there where its check was made. */
export const ApiDailyRow = z.object({
  device: z.string().regex(ID_PATTERN),
  site: z.string().optional(),
  date: z.iso.date(),
  state: z.enum(DAILY_PRESENCES).describe("due: not there yet, and its time with grace is not over"),
  worst: z.enum(DAILY_STATES).optional(),
  presence: z.enum(PRESENCES).describe("now"),
  seen_at: ms,
  ...z.object(dailyCounts).partial().shape,
  alarms_count: count.optional().describe("active on the device when it was made"),
  tickets_count: count.optional().describe("open then"),
  again_count: count.optional().describe("further records of the same day: the first one stands"),
  ts: ms.optional().describe("device clock"),
  received_at: ms.optional(),
  late: z.boolean().optional().describe("received after its day was over"),
});
export type ApiDailyRow = z.infer<typeof ApiDailyRow>;

const { readings: _readings, ...line } = DailyLine.shape;
/** 配置数据: what the device was set up as on that day. */
export const ApiDailyConfig = z.object({
  agent: z.string(),
  config_hash: z.string().optional(),
  packages_hash: z.string().optional(),
  inventory_hash: z.string().optional(),
  info: DeviceInfo.omit({ boot: true, ts: true, agent: true }).optional().describe("as the device had told it last"),
  info_ts: ms.optional().describe("device clock"),
  drift: z.array(z.object(line)).describe("what its drift check said"),
});
export type ApiDailyConfig = z.infer<typeof ApiDailyConfig>;
/** 性能数据: the figures of one subject. */
export const ApiDailyFigures = z.object({
  check: line.check,
  subject: line.subject,
  readings: z.record(z.string(), z.number()),
});
export type ApiDailyFigures = z.infer<typeof ApiDailyFigures>;
/** 故障数据: every check's states, the alarms active then and the tickets open then. */
export const ApiDailyFaults = z.object({
  states: z.array(z.object(line)),
  alarms: z.array(
    ApiAlarm.pick({
      ...{ code: true, severity: true, check: true, subject: true, reason: true, title_zh: true, title_en: true },
      ...{ since: true, explained_by: true, ticket: true },
    }),
  ),
  tickets: z.array(
    ApiTicket.pick({
      ...{ no: true, type: true, level: true, severity: true, state: true, code: true, title_zh: true, title_en: true },
      detected_at: true,
    }),
  ),
});
export type ApiDailyFaults = z.infer<typeof ApiDailyFaults>;
export const ApiDailyRecord = ApiDailyRow.omit({ presence: true, seen_at: true }).extend({
  boot: z.string(),
  seq: z.int(),
  config: ApiDailyConfig.optional().describe("absent once its years are over"),
  performance: z.array(ApiDailyFigures).optional().describe("absent once its years are over"),
  faults: ApiDailyFaults,
});
export type ApiDailyRecord = z.infer<typeof ApiDailyRecord>;
