import { Failure } from "../../../protocol/failure.ts";
import { type CheckPorts, type Condition, gradeHigh, gradeLow, Latch, type Verdict, worstOf } from "../check.ts";
import type { Turn } from "../turns.ts";
import { askNut, type NutAnswer } from "./nut.ts";
import type { UpsConfig } from "./power.ts";

const RETRY_MS = 15_000;
const LATE_MS = 1_000;

/** One UPS, asked at its own pace. */
export function upsTurn(config: UpsConfig, ports: CheckPorts): Turn {
  const { ups, host, port, everyMs, deadlineMs } = config;
  const subject = config.name ?? `${ups}@${host}`;
  const latch = new Latch();
  return {
    ...{ subject, everyMs, retryMs: RETRY_MS, deadlineMs: deadlineMs + LATE_MS },
    async ask(signal) {
      const { clock } = ports;
      const answer = await askNut({ host, port }, ups, { clock, signal, deadlineMs }).catch((cause: unknown) => {
        if (cause instanceof Failure) return cause;
        throw cause;
      });
      return [verdictOf(subject, config, answer, latch, ports.redact)];
    },
  };
}

/** upsd has lost its UPS (RFC 9271 §4.3): what it would say is old. */
const LOST: Readonly<Record<string, string>> = {
  "DATA-STALE": "its upsd does not hear the UPS any more",
  "DRIVER-NOT-CONNECTED": "its upsd has no driver for the UPS: the cable, or the driver, is gone",
};

function verdictOf(
  subject: string,
  config: UpsConfig,
  answer: NutAnswer | Failure,
  latch: Latch,
  redact: (text: string) => string,
): Verdict {
  const lost = (says: string): Verdict => {
    const grade = config.unreachable;
    return { ...{ state: "judged", subject, grade, holds: grade, reason: "ups-unreachable", says, readings: {} } };
  };
  if (answer instanceof Failure) return lost(redact(answer.message));
  if ("variables" in answer) {
    const status = answer.variables.get("ups.status") ?? "";
    if (status !== "" && status !== "WAIT")
      return worstOf(subject, upsConditions(config, answer.variables, redact), latch);
    return { state: "unknown", subject, because: "upsd does not know the state of the UPS yet" };
  }
  const why = LOST[answer.error];
  if (why !== undefined) return lost(why);
  return {
    state: "unknown",
    subject,
    because: redact(`upsd says ${answer.error.slice(0, 60)}: see \`upsc -l ${config.host}\``),
  };
}

/** All conditions of a UPS that answers; the first holds the readings. `ups.status` holds words as RFC 9271 appendix A has them. Pure. */
export function upsConditions(
  { chargePct, runtimeS, loadPct }: UpsConfig,
  variables: ReadonlyMap<string, string>,
  redact: (text: string) => string,
): Condition[] {
  const figure = (name: string): number | undefined => {
    const text = variables.get(name);
    const value = Number(text);
    return text === undefined || text.trim() === "" || !Number.isFinite(value) ? undefined : value;
  };
  const status = new Set((variables.get("ups.status") ?? "").split(/\s+/));
  const [charge, runtime, load] = [figure("battery.charge"), figure("battery.runtime"), figure("ups.load")];
  const onBattery = status.has("OB");
  const isLow = status.has("LB") || status.has("FSD");
  const left = [
    ...(charge === undefined ? [] : [`${charge} % charged`]),
    ...(runtime === undefined ? [] : [`${Math.round(runtime / 60)} min left`]),
    ...(load === undefined ? [] : [`load ${load} %`]),
  ].join(", ");
  const says = `${onBattery ? "on battery" : "on mains"}${left === "" ? "" : `: ${left}`}`;
  const fault = (isOn: boolean, reason: string, grade: "minor" | "major" | "critical", text = says): Condition => ({
    ...(isOn ? { grade, holds: grade } : ({ grade: "ok", holds: "ok" } as const)),
    ...{ reason, says: text, readings: {} },
  });
  const lowBy = (value: number | undefined, bands: UpsConfig["chargePct"], unit: string): Condition[] =>
    onBattery && value !== undefined
      ? [{ ...gradeLow(value, bands), reason: "ups-low", value, unit, says, readings: {} }]
      : [];
  return [
    { ...fault(onBattery, "ups-battery", "major"), readings: readingsOf(figure, onBattery) },
    fault(isLow, "ups-low", "critical"),
    ...lowBy(charge, chargePct, "%"),
    ...lowBy(runtime, runtimeS, "s"),
    ...(load === undefined
      ? []
      : [{ ...gradeHigh(load, loadPct), reason: "ups-overload", value: load, unit: "%", says, readings: {} }]),
    fault(status.has("OVER"), "ups-overload", "major"),
    fault(
      status.has("OFF") || status.has("BYPASS"),
      "ups-off",
      "major",
      `it does not protect: ${[...status].join(" ")}`,
    ),
    fault(status.has("RB"), "ups-replace", "minor", "its battery must be replaced"),
    fault(
      status.has("ALARM"),
      "ups-alarm",
      "minor",
      `it says: ${printable(redact(variables.get("ups.alarm") ?? "alarm"))}`,
    ),
  ];
}

const printable = (text: string): string => text.replaceAll(/\p{C}+/gu, " ").slice(0, 200);

const READINGS = [
  ["battery.charge", "charge_pct"],
  ["battery.runtime", "runtime_s"],
  ["ups.load", "load_pct"],
  ["input.voltage", "input_v"],
  ["output.voltage", "output_v"],
  ["battery.voltage", "battery_v"],
  ["ups.temperature", "temp_c"],
] as const;

const readingsOf = (figure: (name: string) => number | undefined, onBattery: boolean): Record<string, number> => ({
  on_battery_count: onBattery ? 1 : 0,
  ...Object.fromEntries(
    READINGS.flatMap(([name, key]) => {
      const value = figure(name);
      return value === undefined ? [] : [[key, value]];
    }),
  ),
});
