import * as z from "zod/mini";
import { type CheckKind, commonConfig, highBand, type Judge, lowBand } from "../check.ts";
import { judgeLater } from "../later.ts";
import { hasPowerFiles } from "./present.ts";

const HOUR = 3_600_000;
const severity = z.enum(["warning", "minor", "major", "critical"]);
const low = (most: number) => {
  const band = z.optional(lowBand(0, most));
  return z.strictObject({ warning: band, minor: band, major: band, critical: band });
};
const high = (most: number) => {
  const band = z.optional(highBand(0, most));
  return z.strictObject({ warning: band, minor: band, major: band, critical: band });
};
const ms = (least: number, most: number, fallback: number) =>
  z._default(z.int().check(z.minimum(least), z.maximum(most)), fallback);
const charge = z._default(low(100), { major: { raise: 30, clear: 40 }, critical: { raise: 15, clear: 25 } });
const word = z.string().check(z.minLength(1), z.maxLength(80));

const UpsConfig = z.strictObject({
  /** Its subject; `UPS@HOST` when not given. */
  name: z.optional(word),
  /** The UPS as `upsc -l` of that host lists it. */
  ups: z.string().check(z.regex(/^[A-Za-z0-9_.-]{1,64}$/, "a name as `upsc -l` lists it")),
  /** Where NUT's upsd listens. */
  host: z._default(z.string().check(z.minLength(1), z.maxLength(255)), "127.0.0.1"),
  port: z._default(z.int().check(z.minimum(1), z.maximum(65_535)), 3_493),
  everyMs: ms(1_000, HOUR, 60_000),
  deadlineMs: ms(100, 60_000, 5_000),
  /** Charge and time left are judged while it runs on its battery. */
  chargePct: charge,
  runtimeS: z._default(low(1e6), { major: { raise: 900, clear: 1_200 }, critical: { raise: 300, clear: 600 } }),
  loadPct: z._default(high(1_000), { minor: { raise: 85, clear: 75 }, major: { raise: 100, clear: 90 } }),
  /** How bad it is when it cannot be asked: nobody would know of a power cut. */
  unreachable: z._default(severity, "minor"),
});
export type UpsConfig = z.infer<typeof UpsConfig>;

const Config = z.strictObject({
  ...commonConfig({ every: "slow", holdOnMs: 10_000, holdOffMs: 60_000, deadlineMs: 15_000 }),
  /** So long an under-voltage that has passed is still a warning: each one may cost a file system. */
  latelyMs: ms(0, 7 * 24 * HOUR, HOUR),
  /** Charge of a battery while it is being used, percent. */
  chargePct: charge,
  /** Also the `inN_alarm` of sensor chips; on many boards they stand on inputs nobody connected. */
  allAlarms: z._default(z.boolean(), false),
  /** Supplies of other kinds than mains that must be connected, by their names in /sys/class/power_supply. */
  expect: z._default(z.array(word), []),
  /** Subjects that are not judged. */
  ignore: z._default(z.array(word), []),
  /** UPSs to be asked of NUT's upsd, by its network protocol (RFC 9271); no upsc is needed. */
  ups: z._default(z.array(UpsConfig).check(z.maxLength(20)), []),
});
export type PowerConfig = z.infer<typeof Config>;

/** Is the power good, and how long will it last? */
export const power: CheckKind<PowerConfig> = {
  id: "power",
  name: { zh: "供电", en: "Power" },
  Config,
  titles: {
    undervoltage: { zh: "供电电压过低", en: "Under-voltage" },
    mains: { zh: "市电中断", en: "Mains lost" },
    feed: { zh: "一路电源中断", en: "One of two supplies lost" },
    "battery-low": { zh: "电池电量低", en: "Battery low" },
    "battery-bad": { zh: "电池故障", en: "Battery bad" },
    "ups-battery": { zh: "UPS 由电池供电", en: "UPS on battery" },
    "ups-low": { zh: "UPS 电池将耗尽", en: "UPS battery low" },
    "ups-replace": { zh: "UPS 电池需更换", en: "UPS battery to be replaced" },
    "ups-overload": { zh: "UPS 过载", en: "UPS overloaded" },
    "ups-off": { zh: "UPS 未在保护负载", en: "UPS does not protect" },
    "ups-alarm": { zh: "UPS 告警", en: "UPS alarm" },
    "ups-unreachable": { zh: "UPS 无法监测", en: "UPS cannot be watched" },
    gone: { zh: "电源设备已移除", en: "Power supply gone" },
  },
  begin: (config, ports): Judge | undefined =>
    config.ups.length + config.expect.length > 0 || hasPowerFiles(ports.machine)
      ? judgeLater(async () => (await import("./judge.ts")).openPower(config, ports))
      : undefined,
};
