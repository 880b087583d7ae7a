import * as z from "zod";
import { DeviceInfo } from "./from-device.ts";
import { SEVERITIES } from "./severity.ts";
import { TicketLogEntry, TicketSnapshot } from "./ticket.ts";
import { CODE_PATTERN, ID_PATTERN } from "./topics.ts";

/**
 * What the aggregator's HTTP API answers. Flat, snake_case and without nulls, like the MQTT payloads; times are epoch ms
 * of the aggregator unless said otherwise.
 */
const id = z.string().regex(ID_PATTERN);
const ms = z.int();

export const PRESENCES = ["online", "offline", "silent", "unknown"] as const;

const { boot: _boot, ts: _ts, agent: _agent, ...inventory } = DeviceInfo.shape;
export const ApiDevice = z.object({
  id,
  site: z.string().optional(),
  boot: z.string().optional().describe("the newest agent start heard of"),
  link: z.int(),
  online: z.boolean(),
  presence: z.enum(PRESENCES).describe("silent: online by its last word, but no sign of life for two heartbeats"),
  heartbeat_s: z.number(),
  agent: z.string().optional(),
  seen_at: ms,
  state_ts: ms.optional().describe("device clock"),
  skew_ms: z.number().optional().describe("device clock minus the aggregator's"),
  acked_boot: z.string().optional(),
  acked_seq: z.int().optional(),
  dropped: z.int().describe("records the device had to give up"),
  info_ts: ms.optional().describe("device clock"),
  ...inventory,
});
export type ApiDevice = z.infer<typeof ApiDevice>;

export const ApiAlarm = z.object({
  device: id,
  code: z.string().regex(CODE_PATTERN),
  active: z.boolean(),
  severity: z.enum(SEVERITIES),
  check: z.string(),
  subject: z.string(),
  reason: z.string(),
  title_zh: z.string(),
  title_en: z.string(),
  value: z.number().optional(),
  unit: z.string().optional(),
  says: z.string().optional(),
  flapping: z.boolean(),
  explained_by: z.string().optional(),
  since: ms.describe("device clock for its own alarms, the aggregator's for silence"),
  boot: z.string(),
  seq: z.int(),
  ts: ms.describe("device clock"),
  received_at: ms,
  opens_at: ms.optional().describe("a ticket is due then if the alarm is still active"),
  ticket: z.string().optional(),
});
export type ApiAlarm = z.infer<typeof ApiAlarm>;

export const ApiTicket = TicketSnapshot;
export type ApiTicket = TicketSnapshot;

export const ApiTicketEvent = TicketLogEntry.extend({
  data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  prev_hash: z.string(),
});
export type ApiTicketEvent = z.infer<typeof ApiTicketEvent>;

export const ApiDeviceDetail = ApiDevice.extend({
  telemetry: z.record(z.string(), z.record(z.string(), z.number())).describe("latest figures by code"),
  alarms: z.array(ApiAlarm).describe("the active ones"),
});
export type ApiDeviceDetail = z.infer<typeof ApiDeviceDetail>;

export const ApiTicketDetail = ApiTicket.extend({ timeline: z.array(ApiTicketEvent) });
export type ApiTicketDetail = z.infer<typeof ApiTicketDetail>;

/** One `data:` of the watch stream; its `event:` is the kind. */
export const ApiChange = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("alarm"),
    at: ms,
    change: z.enum(["raised", "changed", "cleared"]),
    severity_was: z.enum(SEVERITIES).optional(),
    alarm: ApiAlarm,
  }),
  z.object({ kind: z.literal("ticket"), at: ms, ticket: ApiTicket, entry: ApiTicketEvent }),
  z.object({ kind: z.literal("device"), at: ms, device: ApiDevice }),
]);
export type ApiChange = z.infer<typeof ApiChange>;

/** Every refusal: `code` is one of docs/errors.md. */
export const ApiError = z.object({ code: z.string(), message: z.string(), help: z.string() });
export type ApiError = z.infer<typeof ApiError>;

export const ApiHealth = z.object({ ok: z.boolean(), because: z.array(z.string()) });
export type ApiHealth = z.infer<typeof ApiHealth>;

/** Rows of one page; `next` is the `after` of the page that follows, absent after the last row. */
export const page = <T extends z.ZodType>(row: T) => z.object({ items: z.array(row), next: z.string().optional() });
