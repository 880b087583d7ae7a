import * as z from "zod";
import { LOG_LEVELS } from "../platform/log.ts";
import { SEVERITIES } from "../protocol/severity.ts";
import { CODE_PATTERN, ID_PATTERN } from "../protocol/topics.ts";
import { HistoryConfig } from "./history/config.ts";
import { TrendsConfig } from "./trends/config.ts";

const DAY_MS = 86_400_000;
const path = z.string().min(1).max(4096);
const id = z.string().regex(ID_PATTERN);
const ms = (least: number, most: number) => z.int().min(least).max(most);
const severity = z.enum(SEVERITIES);

const Broker = z.strictObject({
  host: z.string().min(1).max(255),
  port: z.int().min(1).max(65_535),
  /** MQTTS; the broker's certificate is always verified against `caFile`. */
  tls: z
    .strictObject({
      caFile: path,
      certFile: path.optional(),
      keyFile: path.optional(),
      servername: z.string().optional(),
    })
    .optional(),
});

const isTimeZone = (name: string): boolean => {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
};

/** The aggregator's whole configuration. Every range and default stands here and nowhere else. */
export const AggregatorConfig = z.strictObject({
  /** Name of this aggregator in `agg/{node}/state`; its MQTT client id is `vigil-{node}`. */
  node: id,
  /** Tried in order. */
  brokers: z.tuple([Broker], Broker),
  username: z.string().optional(),
  passwordFile: path.optional(),
  keepaliveS: z.int().min(5).max(600).default(30),
  /** File of the ticket store. */
  store: path.default("/var/lib/vigil-aggregator/vigil.db"),
  logLevel: z.enum(LOG_LEVELS).default("info"),
  http: z
    .strictObject({
      host: z.string().min(1).default("127.0.0.1"),
      /** 0: any free one, told in the log. */
      port: z.int().min(0).max(65_535).default(8480),
      /** Lines of `name sha256-of-token`; 0600. Without it every request but /healthz is refused. */
      tokensFile: path.optional(),
      tls: z.strictObject({ certFile: path, keyFile: path }).optional(),
    })
    .prefault({}),
  intake: z
    .strictObject({
      /** Messages, and bytes of them, that may wait for their commit; beyond it the broker has to wait. */
      queueMessages: z.int().min(100).max(100_000).default(4_000),
      queueBytes: z.int().min(262_144).max(268_435_456).default(8_388_608),
      batchMessages: z.int().min(1).max(5_000).default(500),
      /** How long figures wait for company in one transaction; anything else waits 20 ms at most. */
      batchMs: ms(0, 1_000).default(200),
    })
    .prefault({}),
  limits: z
    .strictObject({
      devices: z.int().min(1).max(1_000_000).default(20_000),
      telemetryCodes: z.int().min(1).max(10_000).default(200),
      alarmCodes: z.int().min(1).max(10_000).default(1_000),
      /** Repeats are known by their row this far behind what is acknowledged; records of so many days are kept. */
      inboxRecords: z.int().min(64).max(100_000).default(500),
      inboxDays: z.int().min(1).max(3_650).default(30),
    })
    .prefault({}),
  silence: z
    .strictObject({
      /** A sign of life is expected so often from a device that did not say how often. */
      heartbeatS: z.number().min(1).max(86_400).default(60),
      /** An unreachable device gets its ticket after so long. */
      holdOnMs: ms(0, DAY_MS).default(60_000),
      severity: severity.default("major"),
    })
    .prefault({}),
  tickets: z
    .strictObject({
      /** IANA name: says which day a ticket number belongs to. */
      timeZone: z.string().refine(isTimeZone, "must be an IANA time zone, e.g. Asia/Shanghai").default("Asia/Shanghai"),
      /** 已恢复 so long without a relapse is 已解决. */
      observeMs: ms(0, 30 * DAY_MS).default(1_800_000),
      /** The same fault again within so long reopens its ticket. */
      reopenMs: ms(0, 365 * DAY_MS).default(DAY_MS),
      flappingNoteMs: ms(0, DAY_MS).default(3_600_000),
      /** A consequence that outlasts its cause by so long gets a ticket of its own. */
      childGraceMs: ms(0, DAY_MS).default(90_000),
      /** A ticket not older than this, that nobody works on, is merged into that of its cause when that is heard of after it. */
      mergeMs: ms(0, DAY_MS).default(600_000),
      /** Entries of a timeline up to which mere changes of an alarm are noted. */
      maxNotes: z.int().min(10).max(100_000).default(1_000),
      /** By alarm code, or by the check's name before the dot: how long it must last before it gets a ticket. */
      holdOnMs: z.record(z.string().regex(CODE_PATTERN), ms(0, DAY_MS)).default({}),
    })
    .prefault({}),
  history: HistoryConfig,
  trends: TrendsConfig,
  daily: z
    .strictObject({
      /** When devices make their daily check (日检), `HH:MM` in the time zone of the tickets; as the agents' config has it. */
      at: z
        .string()
        .regex(/^([01]\d|2[0-3]):[0-5]\d$/, "must be HH:MM, e.g. 07:30")
        .default("07:30"),
      /** One that is not there so much later is missing. */
      graceMs: ms(0, DAY_MS).default(7_200_000),
      /** Configuration and performance data of each day are kept so long, fault data for ever. */
      keepDays: z.int().min(31).max(36_600).default(1_096),
    })
    .prefault({}),
  registry: z
    .strictObject({
      /** By class name. */
      classes: z.record(id, z.strictObject({ offlineSeverity: severity })).default({}),
      /** By device id. */
      devices: z.record(id, z.strictObject({ site: id.optional(), class: id.optional() })).default({}),
    })
    .prefault({}),
});
export type AggregatorConfig = z.infer<typeof AggregatorConfig>;

/** A valid config with every default spelled out, for `--print-defaults`. */
export const exampleConfig = (): AggregatorConfig =>
  AggregatorConfig.parse({ node: "agg-1", brokers: [{ host: "127.0.0.1", port: 1883 }] });
