import type * as core from "zod/v4/core";
import { AlarmChange, DeviceEvent, DeviceInfo, DeviceState, Telemetry } from "./from-device.ts";
import { TicketLogEntry, TicketSnapshot } from "./ticket.ts";
import { Ack, AggregatorState, Resync } from "./to-device.ts";
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
  },
  DeviceInfo: {
    topic: `${ROOT}/d/{device}/info`,
    schema: DeviceInfo,
    from: "agent",
    to: "aggregator, dashboards",
    qos: 1,
    retained: true,
    says: "inventory of a device",
  },
  Telemetry: {
    topic: `${ROOT}/d/{device}/tele/{code}`,
    schema: Telemetry,
    from: "agent",
    to: "aggregator, dashboards",
    qos: 0,
    retained: false,
    says: "figures of one check and subject",
  },
  AlarmChange: {
    topic: `${ROOT}/d/{device}/alm/{code}`,
    schema: AlarmChange,
    from: "agent",
    to: "aggregator, dashboards",
    qos: 1,
    retained: true,
    says: "an alarm raised, changed or cleared; retained: the device's truth",
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
  },
  Ack: {
    topic: `${ROOT}/d/{device}/ack`,
    schema: Ack,
    from: "aggregator",
    to: "agent",
    qos: 1,
    retained: false,
    says: "everything up to here is committed in the ticket store",
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
  },
  TicketSnapshot: {
    topic: `${ROOT}/t/{ticket}`,
    schema: TicketSnapshot,
    from: "aggregator",
    to: "dashboards",
    qos: 1,
    retained: true,
    says: "a ticket as it stands",
  },
  TicketLogEntry: {
    topic: `${ROOT}/t/{ticket}/log`,
    schema: TicketLogEntry,
    from: "aggregator",
    to: "dashboards",
    qos: 1,
    retained: false,
    says: "a new entry of a ticket's timeline",
  },
  AggregatorState: {
    topic: `${ROOT}/agg/{node}/state`,
    schema: AggregatorState,
    from: "aggregator",
    to: "agent, dashboards",
    qos: 1,
    retained: true,
    says: "birth, will and shutdown of an aggregator",
  },
} as const satisfies Record<string, MessageKind>;
