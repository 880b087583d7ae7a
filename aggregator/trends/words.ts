import type { Finding } from "../history-store.ts";
import type { Limit } from "./limits.ts";

export interface Words {
  titleZh: string;
  titleEn: string;
  /** The figure that decides, and its unit. */
  value: number;
  unit: string;
  /** One sentence with its numbers, en. */
  says: string;
}

/** As people read it: enough digits to tell a change of the slope from none. */
export function plain(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e9 || size < 1e-3)) return value.toExponential(2);
  return String(Number(value.toPrecision(size >= 1_000 ? 6 : 4)));
}

/** What a finding is called, and what speaks for it. `day` writes a time as a date of the desk's zone. */
export function wordsOf(finding: Finding, { zh, en }: Pick<Limit, "zh" | "en">, day: (at: number) => string): Words {
  return finding.reason === "forecast" ? forecastWords(finding, zh, en, day) : outlierWords(finding, zh, en);
}

function forecastWords(finding: Finding, zh: string, en: string, day: (at: number) => string): Words {
  const { code, figure, perDay, perDayLow, perDayHigh, level, limit = 0, confidence, days } = finding;
  const { reachesAt = 0, reachesFrom = 0, reachesTo, looked } = finding;
  const [slow, fast] = [perDayLow, perDayHigh].map((pace) => (perDay < 0 ? -pace : pace)).toSorted((a, b) => a - b);
  const pace = `${perDay < 0 ? "falls" : "rises"} by ${plain(Math.abs(perDay))} a day (${plain(slow ?? 0)} to ${plain(fast ?? 0)})`;
  const until =
    reachesTo === undefined ? `not before ${day(reachesFrom)}` : `between ${day(reachesFrom)} and ${day(reachesTo)}`;
  const when =
    reachesAt <= looked ? `has passed ${plain(limit)}` : `reaches ${plain(limit)} on ${day(reachesAt)} (${until})`;
  return {
    titleZh: `${zh}：按趋势将达限值`,
    titleEn: `${en}: on its way to its limit`,
    value: Math.max(0, Math.round((reachesAt - looked) / 8_640_000) / 10),
    unit: "d",
    says: `${figure} of ${code} ${pace}, now ${plain(level)}; ${when}; confidence ${Math.min(confidence, 0.999).toFixed(3)} over ${days} days`,
  };
}

function outlierWords(finding: Finding, zh: string, en: string): Words {
  const { code, figure, level, median = 0, peers = 0, score = 0 } = finding;
  return {
    titleZh: `${zh}：异于同类设备`,
    titleEn: `${en}: unlike its class`,
    value: level,
    unit: figure.split("_").at(-1)?.slice(0, 20) ?? "",
    says: `${figure} of ${code} is ${plain(level)} over the last day, the median of ${peers} devices of its class ${plain(median)} (${plain(score)} robust standard deviations)`,
  };
}
