import type { ApiDailyRecord, ApiDailyRow } from "../../protocol/api-daily.ts";
import { Failure } from "../../protocol/failure.ts";
import type { Page } from "../store.ts";
import type { CsvCell, CsvColumn } from "./csv.ts";
import type { Listing } from "./inventory.ts";

/** Where the sheets come from; see aggregator/daily/sheets.ts. */
export interface Sheets {
  today(): string;
  rows(date: string, filter: { device?: string; site?: string }, page: Page): Promise<readonly ApiDailyRow[]>;
  day(date: string, device: string): Promise<ApiDailyRecord | undefined>;
  counts(): Promise<Record<ApiDailyRow["state"], number>>;
}

/** What the API answers of daily checks. */
export function dailyAnswers(sheets: Sheets) {
  return {
    sheet(asked: { date?: string | undefined; device?: string | undefined; site?: string | undefined }) {
      const { date = sheets.today(), device, site } = asked;
      const filter = { ...(device !== undefined && { device }), ...(site !== undefined && { site }) };
      const listing: Listing<ApiDailyRow> = {
        columns: ROW_COLUMNS,
        keyOf: (row) => row.device,
        page: (after, limit) => sheets.rows(date, filter, { limit, ...(after !== undefined && { after }) }),
      };
      return listing;
    },
    /** Throws API_NOT_FOUND. */
    async day(date: string, device: string): Promise<ApiDailyRecord> {
      const record = await sheets.day(date, device);
      if (record !== undefined) return record;
      throw new Failure("API_NOT_FOUND", `no daily check of ${device} on ${date}`, { facts: { date, device } });
    },
    /** The lines of one device's day, for a spreadsheet. */
    async lines(date: string, device: string): Promise<Listing<Line>> {
      const { faults, performance = [] } = await this.day(date, device);
      const keyOf = ({ check, subject }: Pick<Line, "check" | "subject">) => JSON.stringify([check, subject ?? ""]);
      const figures = new Map(performance.map((one) => [keyOf(one), one.readings]));
      const rows = faults.states.map((line): Line => {
        const readings = figures.get(keyOf(line));
        return { ...line, date, device, ...(readings === undefined ? {} : { readings }) };
      });
      return { columns: LINE_COLUMNS, keyOf, page: async (after) => (after === undefined ? rows : []) };
    },
  };
}

type Line = ApiDailyRecord["faults"]["states"][number] & {
  date: string;
  device: string;
  readings?: Readonly<Record<string, number>>;
};

const column = <T>(zh: string, en: string, cell: (row: T) => CsvCell): CsvColumn<T> => ({ zh, en, cell });

const ROW_COLUMNS: readonly CsvColumn<ApiDailyRow>[] = [
  column("日期", "date", ({ date }) => date),
  column("设备", "device", ({ device }) => device),
  column("站点", "site", ({ site }) => site),
  column("日检", "state", ({ state }) => state),
  column("最差", "worst", ({ worst }) => worst),
  column("一级", "critical_count", (row) => row.critical_count),
  column("二级", "major_count", (row) => row.major_count),
  column("三级", "minor_count", (row) => row.minor_count),
  column("隐患", "warning_count", (row) => row.warning_count),
  column("未知", "unknown_count", (row) => row.unknown_count),
  column("正常", "ok_count", (row) => row.ok_count),
  column("无此项", "absent_count", (row) => row.absent_count),
  column("未启用", "disabled_count", (row) => row.disabled_count),
  column("省略", "cut_count", (row) => row.cut_count),
  column("活动告警", "alarms_count", (row) => row.alarms_count),
  column("未结工单", "tickets_count", (row) => row.tickets_count),
  column("在线状态", "presence", ({ presence }) => presence),
  column("日检时间（毫秒）", "ts", ({ ts }) => ts),
  column("收到时间（毫秒）", "received_at", (row) => row.received_at),
  column("补报", "late", ({ late }) => (late === true ? "yes" : "")),
];

const LINE_COLUMNS: readonly CsvColumn<Line>[] = [
  column("日期", "date", ({ date }) => date),
  column("设备", "device", ({ device }) => device),
  column("检查项", "check", ({ check }) => check),
  column("名称", "name_zh", (row) => row.name_zh),
  column("英文名称", "name_en", (row) => row.name_en),
  column("对象", "subject", ({ subject }) => subject),
  column("状态", "state", ({ state }) => state),
  column("原因", "reason", ({ reason }) => reason),
  column("标题", "title_zh", (row) => row.title_zh),
  column("英文标题", "title_en", (row) => row.title_en),
  column("依据", "says", ({ says }) => says),
  column("读数", "readings", ({ readings = {} }) =>
    Object.entries(readings)
      .map(([name, value]) => `${name}=${value}`)
      .join("; "),
  ),
];
