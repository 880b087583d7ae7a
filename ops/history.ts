import { Failure } from "../protocol/failure.ts";
import type { Api } from "./client.ts";
import type { Look } from "./look.ts";
import { showHistory, showTrends } from "./show-history.ts";

interface HistoryDesk {
  look: Look;
  json: boolean;
  api(): Promise<Api>;
  out(text: string): void;
  print(value: unknown, text: () => string): void;
}
interface HistoryOptions {
  days?: number;
  raw?: boolean;
  csv?: boolean;
}
interface Asked {
  id: string;
  code: string;
  figure: string | undefined;
}

const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 14;

/** `vigil history ID CODE [FIGURE]`. `now`: epoch ms. */
export async function history(desk: HistoryDesk, now: number, options: HistoryOptions, asked: Asked): Promise<void> {
  const { days = DEFAULT_DAYS, raw = false, csv = false } = options;
  const { id, code, figure } = asked;
  refuseBoth(desk, csv);
  const query = { code, figure, from: now - days * DAY_MS, step: raw ? "raw" : "hour" } as const;
  const api = await desk.api();
  if (csv) {
    const path = `/api/v1/devices/${encodeURIComponent(id)}/history`;
    return desk.out(await api.csv(path, { ...query, lang: desk.look.lang }));
  }
  const points = await api.history(id, query);
  desk.print(points, () => showHistory(desk.look, points, { from: query.from, to: now, byDay: figure !== undefined }));
}

/** `vigil trends`. */
export async function trends(
  desk: HistoryDesk,
  { device, csv = false }: { device?: string; csv?: boolean },
): Promise<void> {
  refuseBoth(desk, csv);
  const api = await desk.api();
  if (csv) return desk.out(await api.csv("/api/v1/trends", { device, lang: desk.look.lang }));
  const rows = await api.trends({ device });
  desk.print(rows, () => showTrends(desk.look, rows));
}

function refuseBoth({ json }: HistoryDesk, csv: boolean): void {
  if (csv && json) throw new Failure("ARGUMENT_INVALID", "either --csv or --json");
}
