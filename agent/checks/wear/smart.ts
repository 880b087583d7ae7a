import * as z from "zod/mini";
import { Failure } from "../../../protocol/failure.ts";
import type { CheckPorts } from "../check.ts";

const figure = z.optional(z.number());
/** What a disk tells of itself by SMART. What it does not tell is left out. */
export const SmartFacts = z.object({
  passed: z.optional(z.boolean()),
  usedPct: figure,
  /** NVMe: spare blocks left and the least its maker allows, percent. */
  sparePct: figure,
  leastSparePct: figure,
  /** NVMe critical warning bits but those of temperature. */
  critical: z.optional(z.boolean()),
  reallocated: figure,
  unreadable: figure,
  powerOnHours: figure,
});
export type SmartFacts = z.infer<typeof SmartFacts>;

const DEADLINE_MS = 30_000;
const OUTPUT_BYTES = 262_144;
const ENVIRONMENT = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C" };

/**
 * Asks smartctl for one disk; one that sleeps is not woken. Undefined where it is not installed. Throws Failure when it
 * cannot tell, with its own words.
 */
export async function askSmart(
  { run }: CheckPorts,
  disk: string,
  signal: AbortSignal,
): Promise<SmartFacts | undefined> {
  const argv = ["smartctl", "-j", "-n", "standby", "-a", `/dev/${disk}`] as const;
  const order = { argv, deadlineMs: DEADLINE_MS, outputCapBytes: OUTPUT_BYTES, env: ENVIRONMENT, cwd: "/", signal };
  const printed = await run({ ...order, exited: () => {} }).catch((cause: unknown) => {
    if (cause instanceof Failure && cause.code === "RUN_MISSING") return undefined;
    throw cause;
  });
  return printed === undefined ? undefined : parseSmart(printed);
}

const count = z.catch(z.optional(z.number()), undefined);
const Report = z.object({
  smartctl: z.catch(
    z.optional(z.object({ messages: z.optional(z.array(z.object({ string: z.string() }))) })),
    undefined,
  ),
  smart_status: z.catch(z.optional(z.object({ passed: z.boolean() })), undefined),
  power_on_time: z.catch(z.optional(z.object({ hours: z.number() })), undefined),
  nvme_smart_health_information_log: z.catch(
    z.optional(
      z.object({
        critical_warning: count,
        available_spare: count,
        available_spare_threshold: count,
        percentage_used: count,
        media_errors: count,
      }),
    ),
    undefined,
  ),
  ata_smart_attributes: z.catch(
    z.optional(
      z.object({
        table: z.array(
          z.object({
            id: z.number(),
            value: z.number(),
            raw: z.object({ value: z.number(), string: z.optional(z.string()) }),
          }),
        ),
      }),
    ),
    undefined,
  ),
});
type Report = z.infer<typeof Report>;

/** Reads the JSON of `smartctl -j -a`, whatever its exit code was. Throws Failure with smartctl's words where it holds no figures. */
export function parseSmart(printed: string): SmartFacts {
  const report = z.safeParse(Report, parseJson(printed));
  if (!report.success) throw new Failure("RUN_FAILED", "smartctl printed no JSON");
  const { smart_status: status, power_on_time: powerOn, smartctl } = report.data;
  const facts: SmartFacts = {
    ...(status === undefined ? {} : { passed: status.passed }),
    ...(powerOn === undefined || powerOn.hours < 0 ? {} : { powerOnHours: powerOn.hours }),
    ...nvmeFacts(report.data),
    ...ataFacts(report.data),
  };
  if (Object.keys(facts).length > 0) return facts;
  const words = smartctl?.messages?.map(({ string }) => string).join("; ") || "it tells nothing of this disk";
  throw new Failure("RUN_FAILED", `smartctl: ${words.slice(0, 200)}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** NVMe base specification, SMART / Health log: bit 1 of the critical warning is temperature, which another check watches. */
const HEAT = 0b10;

function nvmeFacts({ nvme_smart_health_information_log: log }: Report): SmartFacts {
  if (log === undefined) return {};
  const facts = {
    usedPct: log.percentage_used,
    sparePct: log.available_spare,
    leastSparePct: log.available_spare_threshold,
    critical: log.critical_warning === undefined ? undefined : (log.critical_warning & ~HEAT) !== 0,
    unreadable: log.media_errors,
  };
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}

const REALLOCATED = 5;
const UNREADABLE = [187, 197, 198];
/** Normalized from 100 down: wear levelling count, life left, media wearout indicator. */
const LIFE_LEFT = [177, 202, 231, 233];
/** Makers put other figures into the upper bytes of a raw value. */
const RAW_COUNT = 2 ** 32;

function ataFacts({ ata_smart_attributes: attributes }: Report): SmartFacts {
  if (attributes === undefined) return {};
  const raws = (ids: readonly number[]): number[] =>
    attributes.table.flatMap(({ id, raw }) => (ids.includes(id) && raw.value >= 0 ? [raw.value % RAW_COUNT] : []));
  const lives = attributes.table.flatMap(({ id, value }) =>
    LIFE_LEFT.includes(id) && value >= 1 && value <= 100 ? [value] : [],
  );
  const [reallocated] = raws([REALLOCATED]);
  const unreadable = raws(UNREADABLE);
  return {
    ...(reallocated === undefined ? {} : { reallocated }),
    ...(unreadable.length === 0 ? {} : { unreadable: Math.max(...unreadable) }),
    ...(lives.length === 0 ? {} : { usedPct: 100 - Math.min(...lives) }),
  };
}
