import * as z from "zod/mini";
import type { Machine, Source } from "../../../platform/machine.ts";
import { Failure } from "../../../protocol/failure.ts";
import {
  type Bands,
  type CheckKind,
  type Condition,
  commonConfig,
  gradeHigh,
  highBand,
  type Judge,
  Latch,
  type LocalPorts,
  type Verdict,
  worstOf,
} from "../check.ts";
import { Trail } from "../trend.ts";
import { bandsOf, parseCelsius, plausible } from "./bands.ts";
import { findSensors, type Sensor } from "./sensors.ts";

const celsius = z.number().check(z.minimum(-40), z.maximum(150));
const band = highBand(-40, 150);
const limits = (major: number, critical: number) =>
  z.prefault(z.strictObject({ major: z._default(celsius, major), critical: z._default(celsius, critical) }), {});

const Config = z.strictObject({
  ...commonConfig({ every: "slow", holdOnMs: 30_000, holdOffMs: 60_000 }),
  /** For sensors that name no limits of their own. */
  defaults: z.prefault(z.strictObject({ soc: limits(85, 95), disk: limits(70, 80) }), {}),
  clearBelowC: z._default(z.number().check(z.minimum(1), z.maximum(20)), 5),
  shutdownMarginC: z._default(z.number().check(z.minimum(0), z.maximum(30)), 5),
  rising: z.prefault(
    z.strictObject({
      cPerMin: z._default(highBand(0, 1000), { raise: 10, clear: 5 }),
      /** A cold machine warming up is no fault: only from here on. */
      fromC: z._default(celsius, 50),
      windowMs: z._default(z.int().check(z.minimum(30_000), z.maximum(3_600_000)), 120_000),
    }),
    {},
  ),
  /** Other limits for a sensor, by its subject. */
  sensors: z._default(
    z.record(
      z.string(),
      z.strictObject({ minor: z.optional(band), major: z.optional(band), critical: z.optional(band) }),
    ),
    {},
  ),
  /** Subjects not to be judged. */
  ignore: z._default(z.array(z.string().check(z.minLength(1), z.maxLength(200))), []),
});
type Config = z.infer<typeof Config>;

/** Does anything get too hot, or hot too fast? */
export const temperature: CheckKind<Config, LocalPorts> = {
  id: "temperature",
  name: { zh: "温度", en: "Temperature" },
  Config,
  titles: {
    hot: { zh: "温度过高", en: "Temperature high" },
    critical: { zh: "温度达到危险值", en: "Temperature critical" },
    rising: { zh: "温度上升过快", en: "Temperature rises fast" },
    gone: { zh: "温度传感器已消失", en: "Temperature sensor gone" },
  },
  begin(config, ports) {
    const sensors = findSensors(ports.machine);
    return sensors.length === 0 ? undefined : new TemperatureJudge(config, ports, sensors);
  },
};

const SEARCH_AGAIN_MS = 600_000;
/** The share of the window that must be seen before a rate is believed. */
const SEEN_SHARE = 0.75;

class TemperatureJudge implements Judge {
  readonly #config: Config;
  readonly #ports: LocalPorts;
  readonly #probes = new Map<string, Probe>();
  #searchedAtMs: number;

  constructor(config: Config, ports: LocalPorts, sensors: readonly Sensor[]) {
    this.#config = config;
    this.#ports = ports;
    this.#searchedAtMs = ports.clock.now();
    this.#take(sensors);
  }

  judge(): readonly Verdict[] {
    const nowMs = this.#ports.clock.now();
    if (nowMs - this.#searchedAtMs >= SEARCH_AGAIN_MS) {
      this.#take(findSensors(this.#ports.machine));
      this.#searchedAtMs = nowMs;
    }
    const verdicts: Verdict[] = [];
    for (const probe of this.#probes.values()) {
      const verdict = probe.judge(nowMs);
      if (verdict === "gone") this.#drop(probe);
      else if (verdict !== "never") verdicts.push(verdict);
    }
    return verdicts;
  }

  close(): void {
    for (const probe of this.#probes.values()) this.#drop(probe);
  }

  #take(sensors: readonly Sensor[]): void {
    const paths = new Map(sensors.map(({ subject, path }) => [subject, path]));
    for (const probe of this.#probes.values()) if (paths.get(probe.subject) !== probe.path) this.#drop(probe); // unplugged, or renumbered by the kernel
    for (const sensor of sensors)
      if (!this.#probes.has(sensor.subject) && !this.#config.ignore.includes(sensor.subject))
        this.#probes.set(sensor.subject, new Probe(sensor, this.#config, this.#ports.machine));
  }
  #drop(probe: Probe): void {
    probe.close();
    this.#probes.delete(probe.subject);
  }
}

/** One sensor from round to round. */
class Probe {
  readonly subject: string;
  readonly path: string;
  readonly #config: Config;
  readonly #bands: Bands;
  readonly #input: Source;
  readonly #fault: Source | undefined;
  readonly #latch = new Latch();
  readonly #trail: Trail;
  #thousandths = false;
  /** The last temperature one could believe: a sensor that never told one is not connected. */
  #last: number | undefined;

  constructor({ subject, path, faultPath, kind, own }: Sensor, config: Config, machine: Machine) {
    this.subject = subject;
    this.path = path;
    this.#config = config;
    this.#bands = { ...bandsOf(own, kind, config), ...config.sensors[subject] };
    this.#input = machine.source(path);
    this.#fault = faultPath === undefined ? undefined : machine.source(faultPath);
    this.#trail = new Trail(config.rising.windowMs);
  }

  judge(nowMs: number): Verdict | "gone" | "never" {
    const told = this.#read();
    if (told === "gone") return "gone";
    if ("because" in told)
      return this.#last === undefined ? "never" : { state: "unknown", subject: this.subject, because: told.because };
    this.#last = told.tempC;
    this.#trail.add(nowMs, told.tempC);
    return worstOf(this.subject, [this.#heat(told.tempC), ...this.#rise(told.tempC)], this.#latch);
  }

  close(): void {
    this.#input.close();
    this.#fault?.close();
  }

  #read(): { tempC: number } | { because: string } | "gone" {
    try {
      const text = this.#input.read();
      if (text === undefined) return "gone";
      if (this.#fault?.read()?.trim() === "1") return { because: "its driver reports a sensor fault" };
      if (Math.abs(Number(text)) >= 1000) this.#thousandths = true;
      const tempC = parseCelsius(text, this.#thousandths);
      if (tempC === undefined) return { because: "what it says is no temperature" };
      // exactly 0 is what an open line reads as, unless it came near it before
      const broken = !plausible(tempC) || (tempC === 0 && (this.#last === undefined || Math.abs(this.#last) > 10));
      return broken ? { because: `${tempC} °C is not plausible: the sensor is broken or not connected` } : { tempC };
    } catch (error) {
      if (error instanceof Failure) return { because: error.message };
      throw error;
    }
  }

  #heat(tempC: number): Condition {
    const grades = gradeHigh(tempC, this.#bands);
    const { critical, major } = this.#bands;
    return {
      ...grades,
      reason: grades.holds === "critical" ? "critical" : "hot",
      value: tempC,
      unit: "°C",
      says: `${tempC.toFixed(1)} °C; major from ${major?.raise ?? "–"} °C, critical from ${critical?.raise ?? "–"} °C`,
      readings: { temp_c: tempC },
    };
  }

  #rise(tempC: number): Condition[] {
    const perMs = this.#trail.rise(SEEN_SHARE);
    if (perMs === undefined) return [];
    const cPerMin = perMs * 60_000;
    const { cPerMin: warning, fromC } = this.#config.rising;
    return [
      {
        ...gradeHigh(cPerMin, tempC >= fromC ? { warning } : {}),
        reason: "rising",
        value: cPerMin,
        unit: "°C/min",
        says: `rises by ${cPerMin.toFixed(1)} °C a minute, now ${tempC.toFixed(1)} °C`,
        readings: { rise_c_per_min: cPerMin },
      },
    ];
  }
}
