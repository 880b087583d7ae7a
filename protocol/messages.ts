import type * as core from "zod/v4/core";
import { DailyCheck } from "./daily.ts";
import { AlarmChange, DeviceEvent, DeviceInfo, DeviceState, Telemetry } from "./from-device.ts";
import { InventoryDocument } from "./inventory.ts";
import { TicketLogEntry, TicketSnapshot } from "./ticket.ts";
import { Ack, AggregatorState, InventoryAsk, Resync } from "./to-device.ts";
import { ROOT } from "./topics.ts";

export interface MessageKind {
  /** Topic with `{parameters}`, as AsyncAPI writes addresses. */
  topic: string;
  schema: core.$ZodType;
  from: "agent" | "aggregator";
  to: string;
  qos: 0 | 1;
  retained: boolean;
  /** Seconds after which the broker may forget it. */
  expiryS?: number;
  says: string;
  saysZh: string;
}

/** Every message of the system: the source of docs/schemas, docs/asyncapi.json and docs/topics.md. */
export const MESSAGES = {
  DeviceState: {
    topic: `${ROOT}/d/{device}/state`,
    schema: DeviceState,
    from: "agent",
    to: "aggregator, dashboards",
    qos: 1,
    retained: true,
    says: "birth, will and shutdown of an agent",
    saysZh: "设备代理的上线、遗嘱与停机",
  },
  DeviceInfo: {
    topic: `${ROOT}/d/{device}/info`,
    schema: DeviceInfo,
    from: "agent",
    to: "aggregator, dashboards",
    qos: 1,
    retained: true,
    says: "what a device is, in a few facts; `inventory_hash` names its inventory document",
    saysZh: "设备资产概要；inventory_hash 指明对应的资产明细",
  },
  InventoryDocument: {
    topic: `${ROOT}/d/{device}/inventory`,
    schema: InventoryDocument,
    from: "agent",
    to: "aggregator, dashboards",
    qos: 1,
    retained: true,
    says: "hardware, packages and peripherals of a device: a nested document, told only when it changed",
    saysZh: "设备软硬件资产明细：嵌套文档，仅在变化时上报",
  },
  Telemetry: {
    topic: `${ROOT}/d/{device}/tele/{code}`,
    schema: Telemetry,
    from: "agent",
    to: "aggregator, dashboards",
    qos: 0,
    retained: false,
    says: "figures of one check and subject; late ones, which waited on the device, come with QoS 1",
    saysZh: "某项检查某个对象的读数；断网期间积压的以 QoS 1 补发",
  },
  AlarmChange: {
    topic: `${ROOT}/d/{device}/alm/{code}`,
    schema: AlarmChange,
    from: "agent",
    to: "aggregator, dashboards",
    qos: 1,
    retained: true,
    says: "an alarm raised, changed or cleared; retained: the device's truth",
    saysZh: "告警的产生、变化与清除；保留消息即设备的事实",
  },
  DeviceEvent: {
    topic: `${ROOT}/d/{device}/evt/{code}`,
    schema: DeviceEvent,
    from: "agent",
    to: "aggregator, dashboards",
    qos: 1,
    retained: false,
    expiryS: 604800,
    says: "a moment: an agent start, a clock jump",
    saysZh: "瞬时事件：代理启动、时钟跳变",
  },
  DailyCheck: {
    topic: `${ROOT}/d/{device}/daily`,
    schema: DailyCheck,
    from: "agent",
    to: "aggregator, dashboards",
    qos: 1,
    retained: false,
    expiryS: 604800,
    says: "the daily check: every check's state and figures, once a day; its list nests, its counts are flat",
    saysZh: "每日自检（日检）：全部检查项的状态与读数，每天一次；明细嵌套，计数在顶层",
  },
  Ack: {
    topic: `${ROOT}/d/{device}/ack`,
    schema: Ack,
    from: "aggregator",
    to: "agent",
    qos: 1,
    retained: false,
    says: "everything up to here is committed in the ticket store",
    saysZh: "到此为止的记录均已写入工单库",
  },
  Resync: {
    topic: `${ROOT}/d/{device}/cmd/resync`,
    schema: Resync,
    from: "aggregator",
    to: "agent",
    qos: 1,
    retained: false,
    expiryS: 60,
    says: "tell everything again",
    saysZh: "请重新上报全部内容",
  },
  InventoryAsk: {
    topic: `${ROOT}/d/{device}/cmd/inventory`,
    schema: InventoryAsk,
    from: "aggregator",
    to: "agent",
    qos: 1,
    retained: false,
    expiryS: 60,
    says: "tell the inventory document again",
    saysZh: "请重新上报资产明细",
  },
  TicketSnapshot: {
    topic: `${ROOT}/t/{ticket}`,
    schema: TicketSnapshot,
    from: "aggregator",
    to: "dashboards",
    qos: 1,
    retained: true,
    says: "a ticket as it stands",
    saysZh: "工单当前快照",
  },
  TicketLogEntry: {
    topic: `${ROOT}/t/{ticket}/log`,
    schema: TicketLogEntry,
    from: "aggregator",
    to: "dashboards",
    qos: 1,
    retained: false,
    says: "a new entry of a ticket's timeline",
    saysZh: "工单时间线的新记录",
  },
  AggregatorState: {
    topic: `${ROOT}/agg/{node}/state`,
    schema: AggregatorState,
    from: "aggregator",
    to: "agent, dashboards",
    qos: 1,
    retained: true,
    says: "birth, will and shutdown of an aggregator",
    saysZh: "汇聚端的上线、遗嘱与停机",
  },
} as const satisfies Record<string, MessageKind>;
