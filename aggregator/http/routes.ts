import type * as z from "zod";
import {
  AlarmQuery,
  DeviceParams,
  DeviceQuery,
  NoQuery,
  type SchemaName,
  TicketParams,
  TicketQuery,
} from "./schemas.ts";

export interface RouteSpec {
  path: string;
  says: string;
  params: z.ZodObject;
  query: z.ZodObject;
  answer:
    | { type: "application/json"; schema: SchemaName }
    | { type: "text/event-stream" | "application/openmetrics-text" | "openapi" };
  /** Needs no token: tells nothing of any device. */
  open: boolean;
}
const json = (schema: SchemaName) => ({ type: "application/json", schema }) as const;

/** Every address of the API: the router and the OpenAPI document are both made from this table. */
export const ROUTES = {
  openapi: {
    path: "/api/v1/openapi.json",
    says: "this document",
    params: NoQuery,
    query: NoQuery,
    answer: { type: "openapi" },
    open: true,
  },
  devices: {
    path: "/api/v1/devices",
    says: "devices in the order of their ids",
    params: NoQuery,
    query: DeviceQuery,
    answer: json("DevicePage"),
    open: false,
  },
  device: {
    path: "/api/v1/devices/{id}",
    says: "one device with its inventory, latest figures and active alarms",
    params: DeviceParams,
    query: NoQuery,
    answer: json("DeviceDetail"),
    open: false,
  },
  alarms: {
    path: "/api/v1/alarms",
    says: "alarms in the order of device and code; cleared ones too unless active=true",
    params: NoQuery,
    query: AlarmQuery,
    answer: json("AlarmPage"),
    open: false,
  },
  tickets: {
    path: "/api/v1/tickets",
    says: "tickets in the order of their numbers; open=true: those not 已解决, 已关闭, 合并 or 误报",
    params: NoQuery,
    query: TicketQuery,
    answer: json("TicketPage"),
    open: false,
  },
  ticket: {
    path: "/api/v1/tickets/{no}",
    says: "one ticket with its timeline, each entry a sentence in zh and en",
    params: TicketParams,
    query: NoQuery,
    answer: json("TicketDetail"),
    open: false,
  },
  watch: {
    path: "/api/v1/watch",
    says:
      "server-sent events, one per change: `event:` alarm, ticket or device with a Change as `data:`; first a `hello` " +
      'whose data is {"missed":true} when the Last-Event-ID sent is too old to continue from',
    params: NoQuery,
    query: NoQuery,
    answer: { type: "text/event-stream" },
    open: false,
  },
  health: {
    path: "/healthz",
    says: "200 when all is well, 503 with the reasons when not",
    params: NoQuery,
    query: NoQuery,
    answer: json("Health"),
    open: true,
  },
  metrics: {
    path: "/metrics",
    says: "OpenMetrics",
    params: NoQuery,
    query: NoQuery,
    answer: { type: "application/openmetrics-text" },
    open: false,
  },
} as const satisfies Record<string, RouteSpec>;
export type RouteName = keyof typeof ROUTES;
