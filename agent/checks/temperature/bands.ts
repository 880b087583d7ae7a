import type { Bands } from "../check.ts";

/** Limits a sensor's driver or device tree names, °C. */
export interface OwnLimits {
  /** The kernel switches the machine off here: the alarm must come before. */
  shutdownC?: number;
  /** The maker's critical limit, at which nothing is switched off. */
  criticalC?: number;
  hotC?: number;
  /** The kernel begins to slow things down here. */
  passiveC?: number;
}

export interface LimitRules {
  defaults: Readonly<Record<"soc" | "disk", { major: number; critical: number }>>;
  /** A band clears so far under its raise, °C. */
  clearBelowC: number;
  /** The alarm comes so far before the kernel's own shutdown, °C. */
  shutdownMarginC: number;
}

/** What a driver names as a limit is believed only in here: makers leave 0, 127 000 or 65 261 where none was set. */
export const believableLimit = (limitC: number | undefined): limitC is number =>
  limitC !== undefined && limitC >= 40 && limitC <= 125;

/** Bands of a sensor from its own limits, the defaults where it names none. Always minor < major < critical. */
export function bandsOf(own: OwnLimits, kind: "soc" | "disk", rules: LimitRules): Bands {
  const fallback = rules.defaults[kind];
  const critical =
    own.shutdownC === undefined ? (own.criticalC ?? fallback.critical) : own.shutdownC - rules.shutdownMarginC;
  const hot = own.hotC !== undefined && own.hotC < critical ? own.hotC : fallback.major;
  const major = Math.min(hot, critical - rules.clearBelowC);
  const band = (raise: number) => ({ raise, clear: raise - rules.clearBelowC });
  const minor = own.passiveC !== undefined && own.passiveC < major ? band(own.passiveC) : undefined;
  return { minor, major: band(major), critical: band(critical) };
}

/** °C of what a sensor file says; undefined when it is no number. Old vendor kernels write degrees where others write thousandths. */
export function parseCelsius(text: string, thousandths: boolean): number | undefined {
  const word = text.trim();
  const value = Number(word);
  if (word === "" || !Number.isSafeInteger(value)) return undefined;
  return !thousandths && Math.abs(value) < 200 ? value : value / 1000;
}

/** Whether something real can be so warm: under −40 °C and from 150 °C on a sensor is broken or not connected. */
export const plausible = (tempC: number): boolean => tempC > -40 && tempC < 150;
