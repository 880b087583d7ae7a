import type * as z from "zod";
import type { Incoming } from "../platform/broker-link.ts";
import { DailyCheck } from "../protocol/daily.ts";
import { Failure } from "../protocol/failure.ts";
import { AlarmChange, DeviceEvent, DeviceInfo, DeviceState, MAX_BYTES, Telemetry } from "../protocol/from-device.ts";
import { InventoryDocument } from "../protocol/inventory.ts";
import { readDeviceTopic } from "../protocol/topics.ts";

/** A message of a device, understood. Its topic, which the broker's ACL guards, says whose it is; never its payload. */
export type Heard = {
  device: string;
  /** Kept by the broker from before: information, but no sign of life. */
  retained: boolean;
  /** Wall clock at arrival, epoch ms. */
  receivedAt: number;
  /** Monotonic clock at arrival. */
  at: number;
  /** Bytes of its payload. */
  size: number;
} & (
  | { kind: "state"; body: DeviceState }
  | { kind: "info"; body: DeviceInfo }
  /** Without a body it is the one we have. */
  | { kind: "inventory"; body?: InventoryDocument }
  /** `raw` is `body` as JSON. `isLate`: it waited on the device, as what it sends with QoS 1 does; newer ones may have come before. */
  | { kind: "tele"; code: string; body: Telemetry; raw: string; isLate: boolean }
  | HeardRecord
);
export type HeardRecord =
  | { kind: "alarm"; code: string; body: AlarmChange; raw: string }
  | { kind: "event"; code: string; body: DeviceEvent; raw: string }
  | { kind: "daily"; code: "daily"; body: DailyCheck; raw: string };
export type HeardOf<K extends Heard["kind"]> = Extract<Heard, { kind: K }>;

/** Codes the aggregator's own alarms about a device use; a device may not. */
export const OWN_CHECK = "device";
export const TREND_CHECK = "trend";
/** Whether a check, or the check of a code, is ours and none of the device's. */
export const isOwn = (checkOrCode: string): boolean => {
  const [check] = checkOrCode.split(".", 1);
  return check === OWN_CHECK || check === TREND_CHECK;
};

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** What is known of inventories: they are large, and the broker tells all of them again at each connection. */
export interface Inventories {
  has(device: string, hash: string): boolean;
  /** Whether a new one is taken of this device now, monotonic ms. */
  admits(device: string, now: number): boolean;
}

/**
 * Understands a message. Throws MESSAGE_TOPIC, MESSAGE_TOO_LARGE, MESSAGE_TOO_OFTEN or MESSAGE_INVALID, and nothing else.
 */
export function decode(
  { topic, payload, retained, qos }: Incoming,
  receivedAt: number,
  at: number,
  inventories?: Inventories,
): Heard {
  const where = readDeviceTopic(topic);
  const size = payload.byteLength;
  if (size > MAX_BYTES[where.kind]) {
    const facts = { topic, bytes: size, most: MAX_BYTES[where.kind] };
    throw new Failure("MESSAGE_TOO_LARGE", `${size} bytes`, { facts });
  }
  const base = { device: where.device, retained, receivedAt, at, size };
  const json = (): { value: unknown; raw: string } => readJson(payload);
  switch (where.kind) {
    case "state":
      return { ...base, kind: "state", body: fit(DeviceState, json().value) };
    case "info":
      return { ...base, kind: "info", body: cleaned(fit(DeviceInfo, json().value)) };
    case "inventory": {
      if (isKnown(where.device, payload, inventories)) return { ...base, kind: "inventory" };
      if (inventories?.admits(where.device, at) === false) {
        throw new Failure("MESSAGE_TOO_OFTEN", "too many new inventories", { facts: { topic } });
      }
      const { packages, ...rest } = fit(InventoryDocument, json().value);
      return { ...base, kind: "inventory", body: { ...cleanedDeep(rest), packages } }; // names and versions are ASCII
    }
    case "daily": {
      const body = cleanedDeep(fit(DailyCheck, json().value));
      const raw = JSON.stringify({ date: body.date }); // the day has a place of its own: the inbox need not keep it twice
      return { ...base, kind: "daily", code: "daily", body, raw };
    }
    case "tele": {
      const { value, raw: said } = json();
      const body = isFigures(value) ? value : fit(Telemetry, value);
      const raw = NOT_PLAIN.test(said) ? JSON.stringify(body) : said;
      return { ...base, kind: "tele", code: where.code, body, raw, isLate: qos === 1 };
    }
    case "alarm": {
      const { value, raw } = json();
      const body = cleaned(fit(AlarmChange, value));
      if (isOwn(body.check) || isOwn(where.code)) throw reserved(topic);
      return { ...base, kind: "alarm", code: where.code, body, raw };
    }
    case "event": {
      const { value, raw } = json();
      return { ...base, kind: "event", code: where.code, body: cleaned(fit(DeviceEvent, value)), raw };
    }
  }
}

const reserved = (topic: string): Failure =>
  new Failure("MESSAGE_TOPIC", "this code is the aggregator's own", { facts: { topic } });

const HASH_FIRST = /^\{"hash":"([0-9a-f]{64})"/;

/** By its first bytes alone, as our agents write them. */
function isKnown(device: string, payload: Uint8Array, inventories: Inventories | undefined): boolean {
  const head = Buffer.from(payload.buffer, payload.byteOffset, Math.min(payload.byteLength, 80)).toString("latin1");
  const hash = HASH_FIRST.exec(head)?.[1];
  return hash !== undefined && inventories?.has(device, hash) === true;
}

function readJson(payload: Uint8Array): { value: unknown; raw: string } {
  try {
    const raw = utf8.decode(payload);
    return { value: JSON.parse(raw), raw };
  } catch (cause) {
    throw new Failure("MESSAGE_INVALID", "not JSON in UTF-8", { cause });
  }
}

function fit<T>(schema: z.ZodType<T>, value: unknown): T {
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const { path = [], message = "" } = read.error.issues[0] ?? {};
  const where = path.map(String).join(".");
  throw new Failure("MESSAGE_INVALID", `${where}: ${message}`.slice(0, 200), { facts: { path: where.slice(0, 80) } });
}

/** What `Telemetry` takes, told without a copy: most messages are of this kind. Whatever else comes is for the schema to judge. */
function isFigures(value: unknown): value is Telemetry {
  if (typeof value !== "object" || value === null || Object.hasOwn(value, "__proto__")) return false;
  for (const figure of Object.values(value)) if (!Number.isFinite(figure)) return false; // 1e999 is Infinity
  return "ts" in value && Number.isSafeInteger(value.ts);
}

/** What may read back as something else than what was understood: escapes, `__proto__`, a negative zero. */
const NOT_PLAIN = /\\|__proto__|-0(?!\.\d*[1-9])/;

/** Control characters, line and paragraph separators, text direction overrides: they could forge a line in a terminal or a log. */
const UNSAFE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;
/** One line of plain, well-formed text. */
export const clean = (text: string): string => text.replace(UNSAFE, " ").toWellFormed();

function cleaned<T extends object>(body: T): T {
  const entries = Object.entries(body).map(([key, value]) => [key, typeof value === "string" ? clean(value) : value]);
  return Object.fromEntries(entries) as T;
}

/** The same for everything a document nests. */
function cleanedDeep<T>(value: T): T {
  const walk = (part: unknown): unknown => {
    if (typeof part === "string") return clean(part);
    if (Array.isArray(part)) return part.map(walk);
    if (typeof part !== "object" || part === null) return part;
    return Object.fromEntries(Object.entries(part).map(([key, inner]) => [key, walk(inner)]));
  };
  return walk(value) as T;
}
