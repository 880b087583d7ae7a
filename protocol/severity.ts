/** Perceived severity of an alarm, least first (ITU-T X.733 §8.1.2.3). `cleared` is not a severity here: it is the absence of one. */
export const SEVERITIES = ["warning", "minor", "major", "critical"] as const;
export type Severity = (typeof SEVERITIES)[number];

/** What a check says of one subject at one moment: nothing wrong, or how bad it is. */
export const GRADES = ["ok", ...SEVERITIES] as const;
export type Grade = (typeof GRADES)[number];

/** Place of a grade in the order ok < warning < minor < major < critical, from 0. */
export const rank = (grade: Grade): number => GRADES.indexOf(grade);

/** The worse of two grades. */
export const worse = <G extends Grade>(a: G, b: G): G => (rank(a) >= rank(b) ? a : b);

/**
 * Contract fault level (故障级别) of a severity: 一级 = 1 = critical, 二级 = 2 = major, 三级 = 3 = minor.
 * A warning is a latent fault (隐患): no level, so no contract clock ever starts for it.
 */
export const LEVELS = { critical: 1, major: 2, minor: 3, warning: undefined } as const satisfies Record<
  Severity,
  Level | undefined
>;
export type Level = 1 | 2 | 3;

/** Names of the contract levels as people read them. */
export const LEVEL_NAMES = {
  1: { zh: "一级", en: "level 1" },
  2: { zh: "二级", en: "level 2" },
  3: { zh: "三级", en: "level 3" },
} as const;
