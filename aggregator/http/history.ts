import type { ApiHistoryPoint, ApiTrend } from "../../protocol/api-history.ts";
import { DAY_MS, type Finding, type FindingKey, type HistoryReading, type PointKey } from "../history-store.ts";
import type { CsvColumn } from "./csv.ts";
import type { Listing } from "./inventory.ts";
import { present } from "./rows.ts";

export interface HistoryAsked {
  code: string;
  figure?: string | undefined;
  from?: number | undefined;
  to?: number | undefined;
  step: "raw" | "hour";
}

/** Without a `from`: so far back from `to`. */
const DAYS = { raw: 1, hour: 30 } as const;

/** What the API answers of the performance history. `now`: epoch ms. */
export function historyAnswers(history: HistoryReading, now: () => number) {
  return {
    points(device: string, { code, figure, step, ...asked }: HistoryAsked): Listing<ApiHistoryPoint> {
      const to = asked.to ?? now() + DAY_MS; // a device's clock may be ahead
      const from = asked.from ?? to - DAY_MS - DAYS[step] * DAY_MS;
      return {
        columns: POINT_COLUMNS[step],
        keyOf: ({ ts, figure: name }) => `${ts}/${name}`,
        async page(after, limit) {
          const query = { device, code, figure, from, to, after: pointOf(after), limit };
          return step === "raw" ? history.raw(query) : history.hours(query);
        },
      };
    },
    trends(asked: { device?: string | undefined }): Listing<ApiTrend> {
      return {
        columns: TREND_COLUMNS,
        keyOf: ({ device, code, figure }) => `${device}/${code}/${figure}`,
        async page(text, limit) {
          const after = findingOf(text);
          const { device } = asked;
          const page = { limit, ...(after !== undefined && { after }) };
          return (await history.findings(device === undefined ? {} : { device }, page)).map(trendJson);
        },
      };
    },
  };
}

function pointOf(after: string | undefined): PointKey | undefined {
  const [ts, figure] = after?.split("/") ?? [];
  return ts === undefined || figure === undefined ? undefined : { ts: Number(ts), figure };
}

function findingOf(after: string | undefined): FindingKey | undefined {
  const [device, code, figure] = after?.split("/") ?? [];
  return device === undefined || code === undefined || figure === undefined ? undefined : { device, code, figure };
}

const trendJson = (finding: Finding): ApiTrend => {
  const { device, code, figure, alarm, reason, since, seen, looked, level, confidence, days } = finding;
  return present({
    ...{ device, code, figure, alarm, reason, told: finding.toldAt !== undefined, since, seen, looked },
    ...{ level, per_day: finding.perDay, per_day_low: finding.perDayLow, per_day_high: finding.perDayHigh },
    ...{ confidence, days, limit: finding.limit, reaches_at: finding.reachesAt },
    ...{ reaches_from: finding.reachesFrom, reaches_to: finding.reachesTo },
    ...{ score: finding.score, median: finding.median, peers: finding.peers },
  });
};

const column = <T>(zh: string, en: string, cell: CsvColumn<T>["cell"]): CsvColumn<T> => ({ zh, en, cell });
/** UTC, as ISO 8601 has it: every spreadsheet sorts it. */
const time = (at: number | undefined): string | undefined =>
  at === undefined || Math.abs(at) > 8.64e15 ? undefined : `${TIME.format(at).replace(" ", "T")}Z`;
const TIME = new Intl.DateTimeFormat("sv-SE", { timeZone: "UTC", dateStyle: "short", timeStyle: "medium" });

const point = column<ApiHistoryPoint>;
const POINT_BEGIN = [
  point("时间（UTC）", "time", ({ ts }) => time(ts)),
  point("指标", "figure", ({ figure }) => figure),
];
const POINT_COLUMNS: Readonly<Record<"raw" | "hour", readonly CsvColumn<ApiHistoryPoint>[]>> = {
  raw: [...POINT_BEGIN, point("数值", "value", ({ value }) => value)],
  hour: [
    ...POINT_BEGIN,
    point("平均", "mean", ({ mean }) => mean),
    point("最小", "min", ({ min }) => min),
    point("最大", "max", ({ max }) => max),
    point("末值", "last", ({ last }) => last),
    point("样本数", "n", ({ n }) => n),
  ],
};

const trend = column<ApiTrend>;
const TREND_COLUMNS: readonly CsvColumn<ApiTrend>[] = [
  trend("设备", "device", ({ device }) => device),
  trend("代码", "code", ({ code }) => code),
  trend("指标", "figure", ({ figure }) => figure),
  trend("类型", "reason", ({ reason }) => reason),
  trend("已告警", "told", ({ told }) => Number(told)),
  trend("当前值", "level", ({ level }) => level),
  trend("每天变化", "per_day", ({ per_day: perDay }) => perDay),
  trend("置信度", "confidence", ({ confidence }) => confidence),
  trend("限值", "limit", ({ limit }) => limit),
  trend("到达时间（UTC）", "reaches_at", ({ reaches_at: at }) => time(at)),
  trend("最早", "reaches_from", ({ reaches_from: at }) => time(at)),
  trend("最晚", "reaches_to", ({ reaches_to: at }) => time(at)),
  trend("偏离", "score", ({ score }) => score),
  trend("同类中位数", "median", ({ median }) => median),
  trend("同类设备数", "peers", ({ peers }) => peers),
];
