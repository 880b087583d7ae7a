import type { ApiHistoryPoint, ApiTrend } from "../protocol/api-history.ts";
import { type Look, localTime } from "./look.ts";
import { none } from "./show.ts";
import { type CellLike, table } from "./table.ts";

/** The performance history and its trends for a person's eyes; every function returns whole lines. */
const W = {
  figure: ["指标", "figure"],
  line: ["曲线", "line"],
  day: ["日期", "day"],
  min: ["最小", "min"],
  mean: ["平均", "mean"],
  max: ["最大", "max"],
  last: ["末值", "last"],
  count: ["样本", "samples"],
  device: ["设备", "device"],
  code: ["代码", "code"],
  now: ["当前", "now"],
  perDay: ["每天", "a day"],
  limit: ["限值", "limit"],
  reaches: ["预计到达", "reached on"],
  between: ["区间", "between"],
  confidence: ["置信度", "confidence"],
  told: ["工单", "told"],
  passed: ["已过限值", "passed"],
  unlike: ["异于同类", "unlike its class"],
  median: ["同类中位", "class median"],
  later: ["或更晚", "or later"],
} as const;
const wordsOf =
  ({ lang }: Look) =>
  (key: keyof typeof W): string =>
    W[key][lang === "zh" ? 0 : 1];

const BARS = "▁▂▃▄▅▆▇█";
const CELLS = 56;

/** So many digits as a person reads. */
function number(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return "";
  const size = Math.abs(value);
  if (size >= 1e15 || (size !== 0 && size < 1e-4)) return value.toExponential(2);
  return String(Number(value.toFixed(size >= 1_000 ? 0 : size >= 10 ? 1 : 3)));
}

/** Values as bars from the least to the most; a blank where there is none (NaN). */
export function sparkline(values: readonly number[]): string {
  const known = values.filter((value) => !Number.isNaN(value));
  const low = known.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const span = known.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY) / 2 - low / 2; // halves: a whole could overflow
  return values
    .map((value) => {
      if (Number.isNaN(value)) return " ";
      const share = span > 0 ? (value / 2 - low / 2) / span : 0.5;
      return BARS[Math.min(BARS.length - 1, Math.floor(share * BARS.length))] ?? " ";
    })
    .join("");
}

interface Range {
  from: number;
  to: number;
  byDay: boolean;
}
interface Sum {
  min: number;
  max: number;
  mean: number;
  last: number;
  n: number;
}

const levelOf = ({ value, mean }: ApiHistoryPoint): number => value ?? mean ?? Number.NaN;

function sumOf(points: readonly ApiHistoryPoint[]): Sum {
  const n = points.reduce((sum, point) => sum + (point.n ?? 1), 0);
  return {
    min: points.reduce((least, point) => Math.min(least, point.min ?? levelOf(point)), Number.POSITIVE_INFINITY),
    max: points.reduce((most, point) => Math.max(most, point.max ?? levelOf(point)), Number.NEGATIVE_INFINITY),
    mean: points.reduce((mean, point) => mean + levelOf(point) * ((point.n ?? 1) / n), 0),
    last: points.at(-1)?.last ?? levelOf(points.at(-1) ?? { ts: 0, figure: "" }),
    n,
  };
}

/** One line for each figure, and for one figure alone each day's values. */
export function showHistory(look: Look, points: readonly ApiHistoryPoint[], range: Range): string {
  const w = wordsOf(look);
  if (points.length === 0) return none(look);
  const cells = ({ min, mean, max, last, n }: Sum): CellLike[] => [...[min, mean, max, last].map(number), String(n)];
  const rows = [...Map.groupBy(points, ({ figure }) => figure)].map(([figure, own]): CellLike[] => [
    { text: figure, tone: "strong" },
    sparkline(cellsOf(own, range)),
    ...cells(sumOf(own)),
  ]);
  const figures = ["min", "mean", "max", "last", "count"] as const;
  const columns = figures.map((key) => ({ name: w(key), right: true }));
  const lines = table(look, [{ name: w("figure") }, { name: w("line") }, ...columns], rows);
  if (!range.byDay) return lines;
  const days = Map.groupBy(points, ({ ts }) => localTime(look, ts).slice(0, 10));
  const byDay = [...days].map(([day, own]): CellLike[] => [{ text: day, tone: "quiet" }, ...cells(sumOf(own))]);
  return `${lines}\n${table(look, [{ name: w("day") }, ...columns], byDay)}`;
}

/** The mean of each of the line's stretches of time. */
function cellsOf(points: readonly ApiHistoryPoint[], { from, to }: Range): number[] {
  const begin = Math.min(from, points[0]?.ts ?? from);
  const end = Math.max(to, (points.at(-1)?.ts ?? to) + 1);
  const stretches = Array.from({ length: CELLS }, (): number[] => []);
  for (const point of points) stretches[Math.floor(((point.ts - begin) / (end - begin)) * CELLS)]?.push(levelOf(point));
  return stretches.map((own) =>
    own.length === 0 ? Number.NaN : own.reduce((mean, value) => mean + value / own.length, 0),
  );
}

export function showTrends(look: Look, trends: readonly ApiTrend[]): string {
  const w = wordsOf(look);
  const day = (at: number): string => localTime(look, at).slice(0, 10);
  const rows = trends.map((trend): CellLike[] => {
    const { reaches_at: at, reaches_from: from, reaches_to: to } = trend;
    const passed = at !== undefined && at <= trend.looked;
    const between = from === undefined ? "" : `${day(from)} … ${to === undefined ? w("later") : day(to)}`;
    return [
      { text: trend.device, tone: "strong" },
      trend.code,
      trend.figure,
      number(trend.level),
      trend.reason === "forecast" ? `${trend.per_day > 0 ? "+" : ""}${number(trend.per_day)}` : "",
      trend.reason === "forecast" ? number(trend.limit) : `${w("median")} ${number(trend.median)}`,
      trend.reason === "outlier" ? w("unlike") : passed ? w("passed") : at === undefined ? "" : day(at),
      passed ? "" : between,
      trend.reason === "forecast" ? trend.confidence.toFixed(3) : "",
      trend.told ? { text: trend.alarm, tone: "warning" } : "",
    ];
  });
  const names = [
    "device",
    "code",
    "figure",
    "now",
    "perDay",
    "limit",
    "reaches",
    "between",
    "confidence",
    "told",
  ] as const;
  const right = new Set<string>(["now", "perDay", "limit", "confidence"]);
  const columns = names.map((key) => ({ name: w(key), right: right.has(key) }));
  return rows.length === 0 ? none(look) : table(look, columns, rows);
}
