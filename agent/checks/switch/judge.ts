import type { Grade } from "../../../protocol/severity.ts";
import { type Bands, type Condition, gradeHigh } from "../check.ts";
import type { Device, PortConfig, SwitchConfig } from "./config.ts";
import { type PortLook, type Rates, uptimeText } from "./figures.ts";

/** What a visit learned of the device itself. */
export interface DeviceLook {
  /** Hundredths of a second. */
  uptimeTicks: number;
  roundTripMs: number;
  /** sysDescr, cut. */
  description: string;
  /** Restarts seen within the hold time. */
  restarts: number;
}

const flat = (grade: Grade): Pick<Condition, "grade" | "holds"> => ({ grade, holds: grade });
const round = (value: number): number => Math.round(value * 10) / 10;

/** A device that answers. */
export function judgeDevice({ uptimeTicks, roundTripMs, description, restarts }: DeviceLook): Condition[] {
  const who = description === "" ? "" : `${description}, `;
  const often = restarts > 1 ? `, ${restarts} times lately` : "";
  const says = `${who}up for ${uptimeText(uptimeTicks)}, answered after ${round(roundTripMs)} ms`;
  return [
    {
      ...flat(restarts > 0 ? "warning" : "ok"),
      reason: "restarted",
      value: Math.round(uptimeTicks / 100),
      unit: "s",
      says: restarts > 0 ? `${says}: it has restarted${often}` : says,
      readings: { uptime_s: Math.round(uptimeTicks / 100), rtt_ms: round(roundTripMs), restart_count: restarts },
    },
  ];
}

/** Why a device did not answer. */
export type Silence = "unreachable" | "snmp" | "auth";

/** A device that does not answer; where it is there all the same we are blind, but nothing is down. */
export const judgeSilence = (device: Device, why: Silence, says: string): Condition[] => [
  { ...flat(why === "unreachable" ? device.severity : "minor"), reason: why, says, readings: {} },
];

const OPER = ["?", "up", "down", "testing", "unknown", "dormant", "not present", "down, as the layer below it is"];
const UP = 1;
const SHUT = 2;
const UNKNOWN = 4;

/** How a port is watched. */
export type PortRule = Pick<PortConfig, "expect" | "minSpeedMbps" | "severity"> & {
  /** Found by itself (`all`): one that a person has shut is no fault. */
  isFound: boolean;
};

/** One port. `undefined`: the device itself does not know its state. */
export function judgePort(
  { expect, minSpeedMbps, severity = "major", isFound }: PortRule,
  look: PortLook,
  rates: Rates,
  limits: SwitchConfig,
): Condition[] | undefined {
  const { name, admin, oper, speedMbps } = look;
  if (oper === undefined || (oper === UNKNOWN && admin !== SHUT)) return undefined;
  const isUp = oper === UP;
  const isShut = admin === SHUT;
  const state = isShut ? "shut by its configuration" : (OPER[oper] ?? `in state ${oper}`);
  const speed = isUp && speedMbps !== undefined ? ` at ${speedMbps} Mbit/s` : "";
  const wrong = expect === "up" ? !isUp && !(isFound && isShut) : isUp;
  const tooSlow = isUp && minSpeedMbps !== undefined && speedMbps !== undefined && speedMbps < minSpeedMbps;
  return [
    {
      ...flat(wrong ? severity : "ok"),
      reason: expect === "up" ? "port-down" : "port-up",
      says: `${name} is ${state}${speed}`,
      readings: {
        up_count: isUp ? 1 : 0,
        ...(isUp && speedMbps !== undefined ? { speed_mbps: speedMbps } : {}),
      },
    },
    ...(minSpeedMbps === undefined
      ? []
      : [
          {
            ...flat(tooSlow ? "warning" : "ok"),
            ...{ reason: "port-speed", value: speedMbps ?? 0, unit: "Mbit/s", readings: {} },
            says: `${name} is up at ${speedMbps ?? "?"} Mbit/s, at least ${minSpeedMbps} is wanted`,
          },
        ]),
    ...rateConditions(name, rates, limits),
  ];
}

/** Reasons that need two looks at a port. */
export const RATES = ["port-errors", "port-discards", "port-busy"] as const;

function rateConditions(name: string, rates: Rates, limits: SwitchConfig): Condition[] {
  const conditions: Condition[] = [];
  const add = (value: number | undefined, bands: Bands, reason: string, unit: string, what: string, figure: string) => {
    if (value === undefined) return;
    const says = `${name} has ${round(value)} ${what}`;
    conditions.push({
      ...gradeHigh(value, bands),
      reason,
      value: round(value),
      unit,
      says,
      readings: { [figure]: round(value) },
    });
  };
  add(
    rates.errorsPerMin,
    limits.errorsPerMin,
    "port-errors",
    "errors/min",
    "frames with errors a minute",
    "errors_per_min",
  );
  add(
    rates.discardsPerMin,
    limits.discardsPerMin,
    "port-discards",
    "frames/min",
    "good frames a minute thrown away",
    "discards_per_min",
  );
  add(rates.usePct, limits.usePct, "port-busy", "%", "% of its speed in use", "use_pct");
  return conditions;
}
