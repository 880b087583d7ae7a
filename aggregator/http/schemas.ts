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
import { Failure } from "../../protocol/failure.ts";
import { TICKET_STATES } from "../../protocol/ticket.ts";
import { CODE_PATTERN, ID_PATTERN, TICKET_PATTERN } from "../../protocol/topics.ts";

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
export const NoQuery = z.strictObject({});

/** What a parameter may be, in words, for people who got it wrong and for the OpenAPI document. */
export const ALLOWED: Readonly<Record<string, string>> = {
  id: "1–40 of a–z 0–9 -",
  device: "1–40 of a–z 0–9 -",
  no: "a ticket number like GZ-20261122-0001",
  after: "the `next` of the page before",
  limit: `a whole number from 1 to ${MAX_LIMIT}`,
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
