import type * as z from "zod";
import type { Incoming } from "../platform/broker-link.ts";
import { Failure } from "../protocol/failure.ts";
import { AlarmChange, DeviceEvent, DeviceInfo, DeviceState, MAX_BYTES, Telemetry } from "../protocol/from-device.ts";
import { type DeviceTopic, readDeviceTopic } from "../protocol/topics.ts";

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
  | { kind: "tele"; code: string; body: Telemetry }
  | HeardRecord
);
export type HeardRecord =
  | { kind: "alarm"; code: string; body: AlarmChange; raw: string }
  | { kind: "event"; code: string; body: DeviceEvent; raw: string };
export type HeardOf<K extends Heard["kind"]> = Extract<Heard, { kind: K }>;

/** Codes the aggregator's own alarms about a device use; a device may not. */
export const OWN_CHECK = "device";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Understands a message. Throws MESSAGE_TOPIC, MESSAGE_TOO_LARGE or MESSAGE_INVALID, and nothing else. */
export function decode({ topic, payload, retained }: Incoming, receivedAt: number, at: number): Heard {
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
    case "tele":
      return { ...base, kind: "tele", code: where.code, body: fit(Telemetry, json().value) };
    case "alarm": {
      const { value, raw } = json();
      const body = cleaned(fit(AlarmChange, value));
      if (body.check === OWN_CHECK || belongsToUs(where)) throw reserved(topic);
      return { ...base, kind: "alarm", code: where.code, body, raw };
    }
    case "event": {
      const { value, raw } = json();
      return { ...base, kind: "event", code: where.code, body: cleaned(fit(DeviceEvent, value)), raw };
    }
  }
}

const belongsToUs = (where: Extract<DeviceTopic, { code: string }>): boolean =>
  where.code === OWN_CHECK || where.code.startsWith(`${OWN_CHECK}.`);
const reserved = (topic: string): Failure =>
  new Failure("MESSAGE_TOPIC", "this code is the aggregator's own", { facts: { topic } });

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

/** Control characters, line and paragraph separators, text direction overrides: they could forge a line in a terminal or a log. */
const UNSAFE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;
/** One line of plain, well-formed text. */
export const clean = (text: string): string => text.replace(UNSAFE, " ").toWellFormed();

function cleaned<T extends object>(body: T): T {
  const entries = Object.entries(body).map(([key, value]) => [key, typeof value === "string" ? clean(value) : value]);
  return Object.fromEntries(entries) as T;
}
