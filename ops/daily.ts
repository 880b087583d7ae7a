import { Failure } from "../protocol/failure.ts";
import type { Api } from "./client.ts";
import type { Look } from "./look.ts";
import { showDailyRecord, showDailySheet } from "./show-daily.ts";

export interface DailyOptions {
  date?: string;
  device?: string;
  site?: string;
  csv?: boolean;
}
interface DailyDesk {
  look: Look;
  json: boolean;
  clock: { wall(): number };
  api(): Promise<Api>;
  out(text: string): void;
  print(value: unknown, text: () => string): void;
}

/** `vigil daily`: the sheet of a day's checks (日检表), or one device's whole day. */
export async function daily(desk: DailyDesk, options: DailyOptions): Promise<void> {
  const { date, device, site, csv = false } = options;
  if (csv && desk.json) throw new Failure("ARGUMENT_INVALID", "either --csv or --json");
  const api = await desk.api();
  const { look } = desk;
  if (csv && device === undefined) {
    return desk.out(await api.csv("/api/v1/daily", { date, site, lang: look.lang }));
  }
  const rows = await api.dailySheet({ date, device, site });
  const [row] = rows;
  if (device === undefined || row === undefined || row.state !== "made") {
    if (csv) return desk.out(await api.csv("/api/v1/daily", { date, device, site, lang: look.lang }));
    // of one device it is one object, made or not: a program that reads it must not have to guess
    return desk.print(device === undefined ? rows : (row ?? null), () => showDailySheet(look, rows, desk.clock.wall()));
  }
  const path = `/api/v1/daily/${row.date}/${encodeURIComponent(device)}`;
  if (csv) return desk.out(await api.csv(path, { lang: look.lang }));
  const record = await api.dailyRecord(row.date, device);
  desk.print(record, () => showDailyRecord(look, record));
}
