import * as z from "zod";
import {
  ApiAlarm,
  ApiChange,
  ApiDevice,
  ApiDeviceDetail,
  ApiError,
  ApiHealth,
  ApiTicket,
  ApiTicketDetail,
  ApiTicketEvent,
  page,
} from "../../protocol/api.ts";
import { ApiDailyRecord, ApiDailyRow } from "../../protocol/api-daily.ts";
import { ApiHistoryPoint, ApiTrend } from "../../protocol/api-history.ts";
import {
  ApiInventory,
  ApiInventoryChange,
  ApiInventoryCount,
  ApiInventoryDetail,
  ApiPackage,
} from "../../protocol/api-inventory.ts";
import { Failure } from "../../protocol/failure.ts";
import { PACKAGE_PATTERN, VERSION_PATTERN } from "../../protocol/inventory-limits.ts";
import { TICKET_STATES } from "../../protocol/ticket.ts";
import { CODE_PATTERN, ID_PATTERN, TICKET_PATTERN } from "../../protocol/topics.ts";
import { FIGURE_PATTERN } from "../history-store.ts";

/** Everything the API answers, by the name it has in the OpenAPI document. */
export const SCHEMAS = {
  Device: ApiDevice,
  DeviceDetail: ApiDeviceDetail,
  DevicePage: page(ApiDevice),
  Alarm: ApiAlarm,
  AlarmPage: page(ApiAlarm),
  Ticket: ApiTicket,
  TicketPage: page(ApiTicket),
  TicketEvent: ApiTicketEvent,
  TicketDetail: ApiTicketDetail,
  Inventory: ApiInventory,
  InventoryPage: page(ApiInventory),
  InventoryDetail: ApiInventoryDetail,
  InventoryChangePage: page(ApiInventoryChange),
  InventoryCountPage: page(ApiInventoryCount),
  PackagePage: page(ApiPackage),
  DailyPage: page(ApiDailyRow),
  DailyRecord: ApiDailyRecord,
  HistoryPage: page(ApiHistoryPoint),
  TrendPage: page(ApiTrend),
  Change: ApiChange,
  Health: ApiHealth,
  Error: ApiError,
} as const satisfies Record<string, z.ZodType>;
export type SchemaName = keyof typeof SCHEMAS;

export const DEFAULT_LIMIT = 100;
export const MAX_LIMIT = 500;

const id = z.string().regex(ID_PATTERN);
const no = z.string().regex(TICKET_PATTERN);
const yes = z.enum(["true", "false"]).transform((word) => word === "true");
const limit = z
  .string()
  .regex(/^[1-9]\d{0,2}$/)
  .transform(Number)
  .pipe(z.int().min(1).max(MAX_LIMIT))
  .default(DEFAULT_LIMIT);
const number = z.string().regex(/^\d{1,15}$/);
/** Key of an alarm in a list: `device/code`. */
const alarmKey = z.string().regex(new RegExp(`${ID_PATTERN.source.slice(0, -1)}/${CODE_PATTERN.source.slice(1)}`));

/** What each route takes, in its path and after the `?`. Keys in strings, as a URL has them. */
export const DeviceParams = z.strictObject({ id });
export const TicketParams = z.strictObject({ no });
export const DeviceQuery = z.strictObject({ after: id.optional(), limit });
export const AlarmQuery = z.strictObject({
  device: id.optional(),
  active: yes.optional(),
  after: alarmKey.optional(),
  limit,
});
export const TicketQuery = z.strictObject({
  device: id.optional(),
  state: z.enum(TICKET_STATES).optional(),
  open: yes.optional(),
  after: no.optional(),
  limit,
});
/** How a list is told: JSON by pages, or everything from `after` on as one CSV file. */
const told = { format: z.enum(["json", "csv"]).optional(), lang: z.enum(["zh", "en"]).default("en") };
const place = { device: id.optional(), site: id.optional(), class: id.optional() };
const version = z.string().regex(VERSION_PATTERN).optional();
const range = { below: version, above: version };
const packageName = z.string().regex(PACKAGE_PATTERN);
export const InventoryQuery = z
  .strictObject({ ...place, package: packageName.optional(), ...range, ...told, after: id.optional(), limit })
  .refine((asked) => asked.package !== undefined || (asked.below ?? asked.above) === undefined, { path: ["package"] });
export const InventoryCountQuery = z.strictObject({
  site: place.site,
  class: place.class,
  ...told,
  after: number.optional(),
  limit,
});
export const InventoryChangeQuery = z.strictObject({ ...told, after: number.optional(), limit });
export const PackageQuery = z.strictObject({
  name: packageName,
  ...place,
  ...range,
  ...told,
  after: id.optional(),
  limit,
});
const code = z.string().regex(CODE_PATTERN);
const figure = z.string().regex(FIGURE_PATTERN);
const time = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number);
const keyOf = (...parts: RegExp[]) =>
  z.string().regex(new RegExp(`^${parts.map(({ source }) => source.replace(/^\^|\$$/g, "")).join("/")}$`));
export const HistoryQuery = z.strictObject({
  ...{ code, figure: figure.optional(), from: time.optional(), to: time.optional() },
  step: z.enum(["raw", "hour"]).default("hour"),
  ...told,
  after: keyOf(/\d{1,15}/, FIGURE_PATTERN).optional(),
  limit,
});
export const TrendQuery = z.strictObject({
  device: place.device,
  ...told,
  after: keyOf(ID_PATTERN, CODE_PATTERN, FIGURE_PATTERN).optional(),
  limit,
});
const date = z.iso.date();
export const DailyQuery = z.strictObject({
  ...{ date: date.optional(), device: place.device, site: place.site },
  ...told,
  after: id.optional(),
  limit,
});
export const DailyParams = z.strictObject({ date, device: id });
export const DailyRecordQuery = z.strictObject(told);
export const NoQuery = z.strictObject({});

/** What a parameter may be, in words, for people who got it wrong and for the OpenAPI document. */
export const ALLOWED: Readonly<Record<string, string>> = {
  id: "1–40 of a–z 0–9 -",
  device: "1–40 of a–z 0–9 -",
  no: "a ticket number like GZ-20261122-0001",
  site: "1–40 of a–z 0–9 -",
  class: "1–40 of a–z 0–9 -",
  package: "a package name like libssl3; needed by below and above",
  name: "a package name like libssl3",
  below: "a version: strictly earlier ones by Debian's order",
  above: "a version: strictly later ones by Debian's order",
  date: "a day like 2026-11-22; of a list today, where it is left out",
  format: "json, or csv (also by `Accept: text/csv`): everything from `after` on in one file",
  lang: "zh or en: headings of the CSV",
  after: "the `next` of the page before",
  limit: `a whole number from 1 to ${MAX_LIMIT}`,
  code: "a telemetry code like disk.var",
  figure: "a figure of that code like free_pct; all of them where it is left out",
  from: "epoch milliseconds; 30 days back (raw: one day) where it is left out",
  to: "epoch milliseconds, not included; now where it is left out",
  step: "hour (one row an hour: mean, min, max, last, n), or raw (the samples, kept 30 days)",
  active: "true or false",
  open: "true or false",
  state: TICKET_STATES.join(", "),
};

/**
 * Reads parameters as strings by a schema of this file. A name given twice is refused: which one counts would be a guess.
 * Throws API_INVALID naming the parameter and what it may be.
 */
export function readParams<T extends z.ZodObject>(schema: T, pairs: Iterable<readonly [string, string]>): z.infer<T> {
  const names = Object.keys(schema.shape);
  const given: Record<string, string> = Object.create(null);
  for (const [name, value] of pairs) {
    if (!names.includes(name)) {
      const known = names.length === 0 ? "none" : names.join(", ");
      throw refusal(name, `unknown parameter ${show(name)}; allowed: ${known}`);
    }
    if (Object.hasOwn(given, name)) throw refusal(name, `parameter ${name} is given twice`);
    given[name] = value;
  }
  const read = schema.safeParse({ ...given });
  if (read.success) return read.data;
  const name = String(read.error.issues[0]?.path[0] ?? "");
  throw refusal(
    name,
    `parameter ${name} is ${show(given[name] ?? "missing")}; allowed: ${ALLOWED[name] ?? "see help"}`,
  );
}

const show = (text: string): string => JSON.stringify(text.slice(0, 60));
const refusal = (name: string, message: string): Failure =>
  new Failure("API_INVALID", message, { facts: { parameter: name.slice(0, 60) } });
