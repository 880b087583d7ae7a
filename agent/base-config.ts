import * as z from "zod/mini";
import { LOG_LEVELS } from "../platform/log.ts";
import { ID_PATTERN } from "../protocol/topics.ts";
import { cronExpression } from "./checks/check.ts";

const path = z.string().check(z.minLength(1), z.maxLength(4096));
const ms = (least: number, most: number, fallback: number) =>
  z._default(z.int().check(z.minimum(least), z.maximum(most)), fallback);

const BrokerConfig = z.strictObject({
  host: z.string().check(z.minLength(1), z.maxLength(255)),
  port: z.int().check(z.minimum(1), z.maximum(65_535)),
  /** MQTTS; the broker's certificate is always verified against `caFile`. */
  tls: z.optional(
    z.strictObject({
      caFile: path,
      certFile: z.optional(path),
      keyFile: z.optional(path),
      servername: z.optional(z.string()),
    }),
  ),
});

/** The agent's configuration without its `checks`. Every range and default stands here or in its check, and nowhere else. */
export const BaseConfig = z.strictObject({
  /** Name of this device in every topic, and its MQTT client id. */
  device: z.string().check(z.regex(ID_PATTERN)),
  /** Tried in order. */
  brokers: z.tuple([BrokerConfig], BrokerConfig),
  username: z.optional(z.string()),
  passwordFile: z.optional(path),
  stateDir: z._default(path, "/var/lib/vigil"),
  /** In memory, kept over a restart of the agent: where checks stand in what they follow. */
  runtimeDir: z._default(path, "/run/vigil"),
  logLevel: z._default(z.enum(LOG_LEVELS), "info"),
  rounds: z.prefault(z.strictObject({ fastMs: ms(50, 60_000, 1_000), slowMs: ms(50, 3_600_000, 10_000) }), {}),
  /** A sign of life (`tele/self`) so often; the aggregator calls a device silent after two. */
  heartbeatMs: ms(1_000, 3_600_000, 60_000),
  /** All figures so often; kept in the outbox at the same pace while no broker is there. */
  telemetryMs: ms(1_000, 86_400_000, 300_000),
  /** Inventory soon after the start, then so often: a child of a second or two each time. */
  inventoryMs: ms(5_000, 2_592_000_000, 86_400_000),
  /**
   * The day's check (日检): every check's state and figures in one message, at the first time `at` of each day (cron
   * expression, device local time), moved by up to `spreadMs` by the device's name so that a fleet does not send at once.
   */
  daily: z.prefault(
    z.strictObject({
      enabled: z._default(z.boolean(), true),
      at: z._default(cronExpression, "30 7 * * *"),
      spreadMs: ms(0, 43_200_000, 300_000),
    }),
    {},
  ),
  outbox: z.prefault(z.strictObject({ maxBytes: ms(262_144, 8_388_608, 4_194_304) }), {}),
  /** Names and words of the site that must never leave the device (people, cases), taken out of every text, in any case. */
  secretWords: z._default(z.array(z.string().check(z.minLength(2), z.maxLength(100))).check(z.maxLength(1_000)), []),
});
