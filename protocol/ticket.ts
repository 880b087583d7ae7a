import * as z from "zod";
import { TICKET_PATTERN } from "./topics.ts";

/** Ticket types (工单类型). Machines open 故障 and 隐患 only. */
export const TICKET_TYPES = ["故障", "隐患", "咨询", "缺陷", "投诉", "安全", "巡检", "变更"] as const;
/** States of a ticket in their order (design: tickets §1), then the side states. */
export const TICKET_STATES = [
  "新建",
  "已受理",
  "处理中",
  "已恢复",
  "已解决",
  "待确认",
  "已关闭",
  "挂起",
  "合并",
  "误报",
  "重新打开",
] as const;
export type TicketState = (typeof TICKET_STATES)[number];
/** States in which nothing is left to do: at most one ticket of a fault is in any other. */
export const CLOSED_STATES = ["已解决", "已关闭", "合并", "误报"] as const satisfies readonly TicketState[];
export const isOpen = (state: TicketState): boolean => !(CLOSED_STATES as readonly TicketState[]).includes(state);

const ms = z.int();

/** Retained snapshot `t/{ticket}`: flat, a fold of the timeline. Times are epoch ms of the aggregator unless said otherwise. */
export const TicketSnapshot = z.object({
  no: z.string().regex(TICKET_PATTERN),
  type: z.enum(TICKET_TYPES),
  /** Contract fault level 1–3; absent on a 隐患. */
  level: z.union([z.literal(1), z.literal(2), z.literal(3)]).optional(),
  severity: z.string(),
  state: z.enum(TICKET_STATES),
  device: z.string(),
  site: z.string().optional(),
  code: z.string(),
  dedup_key: z.string(),
  title_zh: z.string(),
  title_en: z.string(),
  /** Device clock: evidence. */
  occurred_at: ms,
  detected_at: ms,
  restored_at: ms.optional(),
  resolved_at: ms.optional(),
  reopened: z.int().nonnegative(),
  flapping: z.boolean().optional(),
  recurrence_of: z.string().optional(),
  assignee: z.string().optional(),
  ts: ms,
});
export type TicketSnapshot = z.infer<typeof TicketSnapshot>;

/** One entry of `t/{ticket}/log`: the timeline is the only truth, every column of a ticket is a fold of it. */
export const TicketLogEntry = z.object({
  no: z.string().regex(TICKET_PATTERN),
  id: z.int().positive(),
  at: ms,
  actor: z.string(),
  kind: z.string(),
  says_zh: z.string(),
  says_en: z.string(),
  /** Chain of the timeline: SHA-256 over the entry before and this one. */
  hash: z.string(),
});
export type TicketLogEntry = z.infer<typeof TicketLogEntry>;
