import type * as z from "zod";
import {
  AlarmQuery,
  DailyParams,
  DailyQuery,
  DailyRecordQuery,
  DeviceParams,
  DeviceQuery,
  HistoryQuery,
  InventoryChangeQuery,
  InventoryCountQuery,
  InventoryQuery,
  NoQuery,
  PackageQuery,
  type SchemaName,
  TicketParams,
  TicketQuery,
  TrendQuery,
} from "./schemas.ts";

export interface RouteSpec {
  path: string;
  says: string;
  params: z.ZodObject;
  query: z.ZodObject;
  answer:
    | { type: "application/json"; schema: SchemaName }
    | { type: "text/event-stream" | "application/openmetrics-text" | "openapi" };
  /** The same as a CSV file. */
  csv?: true;
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
  deviceHistory: {
    path: "/api/v1/devices/{id}/history",
    says: "figures of one code of a device over time: hourly values for three years, samples for 30 days (性能数据)",
    params: DeviceParams,
    query: HistoryQuery,
    answer: json("HistoryPage"),
    csv: true,
    open: false,
  },
  trends: {
    path: "/api/v1/trends",
    says: "figures on their way to a limit, and devices unlike their class (故障的提前预知)",
    params: NoQuery,
    query: TrendQuery,
    answer: json("TrendPage"),
    csv: true,
    open: false,
  },
  deviceInventory: {
    path: "/api/v1/devices/{id}/inventory",
    says: "hardware, packages and peripherals of one device",
    params: DeviceParams,
    query: NoQuery,
    answer: json("InventoryDetail"),
    open: false,
  },
  inventoryHistory: {
    path: "/api/v1/devices/{id}/inventory/history",
    says: "what appeared, vanished or became another on one device, newest first, for three years",
    params: DeviceParams,
    query: InventoryChangeQuery,
    answer: json("InventoryChangePage"),
    csv: true,
    open: false,
  },
  inventory: {
    path: "/api/v1/inventory",
    says: "inventories in the order of device ids; with `package` only devices that have it, of versions in the range",
    params: NoQuery,
    query: InventoryQuery,
    answer: json("InventoryPage"),
    csv: true,
    open: false,
  },
  inventoryCounts: {
    path: "/api/v1/inventory/counts",
    says: "how many devices there are by class, site, model and system",
    params: NoQuery,
    query: InventoryCountQuery,
    answer: json("InventoryCountPage"),
    csv: true,
    open: false,
  },
  packages: {
    path: "/api/v1/packages",
    says: "which devices have a package, in which version, in the order of device ids",
    params: NoQuery,
    query: PackageQuery,
    answer: json("PackagePage"),
    csv: true,
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
  daily: {
    path: "/api/v1/daily",
    says: "the sheet of one day's checks (日检表), in the order of device ids: which were made, which are missing, how each stands",
    params: NoQuery,
    query: DailyQuery,
    answer: json("DailyPage"),
    csv: true,
    open: false,
  },
  dailyRecord: {
    path: "/api/v1/daily/{date}/{device}",
    says: "one device's check of one day: configuration, performance and fault data apart; as CSV its lines",
    params: DailyParams,
    query: DailyRecordQuery,
    answer: json("DailyRecord"),
    csv: true,
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
