import * as z from "zod";
import { BOOT_PATTERN } from "./boot.ts";
import { MAX_INVENTORY_BYTES } from "./inventory-limits.ts";
import { SEVERITIES } from "./severity.ts";

/**
 * What a device says. The aggregator parses these at full rate, so they are built with full zod; the agent imports
 * only their types (its bundle carries zod/mini, docs/decisions/0003).
 * All objects are flat and tolerate unknown keys; an absent value is left out, never null.
 */
const boot = z.string().regex(BOOT_PATTERN);
const seq = z.int().nonnegative();
/** Epoch ms of the device's own clock: evidence, never an order. */
const ts = z.int();
const title = z.string().min(1).max(200);

/** The largest payload of each kind, in bytes of UTF-8. */
export const MAX_BYTES = {
  state: 8192,
  info: 65536,
  tele: 8192,
  alarm: 8192,
  event: 8192,
  daily: 65536,
  inventory: MAX_INVENTORY_BYTES,
} as const;

export const DeviceState = z.object({
  online: z.boolean(),
  boot,
  /** The last number given to an alarm or event: with `online` it closes the birth snapshot; all up to it was sent before. */
  seq,
  ts,
  reason: z.enum(["birth", "will", "shutdown"]),
  agent: z.string().max(40),
  /** Connections of this boot, from 1: a will that overtakes its successor's birth is known by it. */
  link: z.int().positive(),
  /** Seconds between two signs of life while online. */
  heartbeat_s: z.number().positive().max(86400),
  /** Codes of all alarms active at `seq`, parted by spaces; what the store holds beyond it was lost with the device's state. */
  active: z.string().max(6144).optional(),
  /** Records given up since the last birth because the outbox was full. */
  dropped: z.int().nonnegative().optional(),
});
export type DeviceState = z.infer<typeof DeviceState>;

export const DeviceInfo = z.object({
  ts,
  boot,
  agent: z.string().max(40),
  hostname: z.string().max(255).optional(),
  model: z.string().max(200).optional(),
  serial: z.string().max(200).optional(),
  firmware: z.string().max(200).optional(),
  os: z.string().max(200).optional(),
  kernel: z.string().max(200).optional(),
  arch: z.string().max(40).optional(),
  cpu: z.string().max(200).optional(),
  cores: z.int().positive().optional(),
  memory_bytes: z.int().positive().optional(),
  disk_bytes: z.int().positive().optional(),
  packages_hash: z.string().max(128).optional(),
  /** Names the document on the `inventory` topic that belongs to this. */
  inventory_hash: z.string().max(128).optional(),
  config_hash: z.string().max(128).optional(),
  ip: z.string().max(64).optional(),
  mac: z.string().max(64).optional(),
});
export type DeviceInfo = z.infer<typeof DeviceInfo>;

/** Figures of one code: every key but `ts` is a number whose name ends in its unit (`free_pct`, `temp_c`). */
export const Telemetry = z.object({ ts }).catchall(z.number());
export type Telemetry = z.infer<typeof Telemetry>;

export const AlarmChange = z.object({
  active: z.boolean(),
  /** While active how bad it is; once cleared how bad it was. */
  severity: z.enum(SEVERITIES),
  kind: z.enum(["raised", "changed", "cleared"]),
  /** When this alarm was raised, device clock. */
  since: z.int(),
  boot,
  seq: seq.positive(),
  ts,
  check: z.string().min(1).max(40),
  /** What is alarmed: a mount, a unit, a sensor. */
  subject: z.string().min(1).max(200),
  /** Which condition of the check, e.g. `space`, `inodes`, `readonly`. */
  reason: z.string().min(1).max(40),
  title_zh: title,
  title_en: title,
  /** The figure that decided, in the unit of its name in the telemetry. */
  value: z.number().optional(),
  unit: z.string().max(20).optional(),
  /** One sentence of evidence, en. */
  says: z.string().max(400).optional(),
  flapping: z.boolean().optional(),
  /** Code of the alarm on this device that explains this one: it gets no ticket of its own. */
  explained_by: z.string().max(121).optional(),
});
export type AlarmChange = z.infer<typeof AlarmChange>;

export const DeviceEvent = z.object({
  boot,
  seq: seq.positive(),
  ts,
  title_zh: title,
  title_en: title,
  says: z.string().max(400).optional(),
});
export type DeviceEvent = z.infer<typeof DeviceEvent>;
