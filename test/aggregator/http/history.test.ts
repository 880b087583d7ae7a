import { expect, test } from "vitest";
import { DAY_MS, HOUR_MS } from "../../../aggregator/history-store.ts";
import { openSqliteHistory } from "../../../aggregator/sqlite/history.ts";
import { page } from "../../../protocol/api.ts";
import { ApiHistoryPoint, ApiTrend } from "../../../protocol/api-history.ts";
import { fill, finding } from "../../kit/hand-history.ts";
import { httpDesk } from "../../kit/http.ts";

const NINE = Date.UTC(2026, 10, 22, 9, 0, 0);

/** A history of some hours of two figures, before nine o'clock. */
async function filled() {
  const history = openSqliteHistory({ file: ":memory:" });
  const samples = Array.from({ length: 700 }, (_, n) => ({
    ...{ device: "ft-0042", code: "disk.var", ts: NINE - (n + 1) * HOUR_MS },
    figures: { free_pct: n % 50, free_bytes: n * 1e9 },
  }));
  await fill(history, samples);
  await history.saveFindings([
    finding(),
    finding({ device: "enc-1", reason: "outlier", score: 8, median: 40, peers: 12 }),
  ]);
  return history;
}

test("hourly values by default of 30 days, page by page; samples and a range where asked", async () => {
  const history = await filled();
  await using desk = await httpDesk({ history });
  const read = async (query: string) =>
    page(ApiHistoryPoint).parse(await (await desk.get(`/api/v1/devices/ft-0042/history?code=disk.var${query}`)).json());
  const points: ApiHistoryPoint[] = [];
  for (let after = ""; ; ) {
    const { items, next } = await read(`&figure=free_pct&limit=300${after}`);
    points.push(...items);
    if (next === undefined) break;
    after = `&after=${encodeURIComponent(next)}`;
  }
  expect(points).toHaveLength(700);
  expect(points.at(-1)).toEqual({ ts: NINE - HOUR_MS, figure: "free_pct", mean: 0, min: 0, max: 0, last: 0, n: 1 });
  const raw = await read(`&step=raw&from=${NINE - 3 * HOUR_MS}&to=${NINE - HOUR_MS}`);
  expect(raw.items).toEqual([
    { ts: NINE - 3 * HOUR_MS, figure: "free_pct", value: 2 },
    { ts: NINE - 3 * HOUR_MS, figure: "free_bytes", value: 2e9 },
    { ts: NINE - 2 * HOUR_MS, figure: "free_pct", value: 1 },
    { ts: NINE - 2 * HOUR_MS, figure: "free_bytes", value: 1e9 },
  ]);
  expect((await read("&figure=nothing_pct")).items).toEqual([]);
});

test("as CSV the whole range in one file, with the times as a spreadsheet reads them", async () => {
  await using desk = await httpDesk({ history: await filled() });
  const answer = await desk.get("/api/v1/devices/ft-0042/history?code=disk.var&format=csv&lang=zh");
  expect(answer.headers.get("content-type")).toBe("text/csv; charset=utf-8");
  expect(answer.headers.get("content-disposition")).toBe('attachment; filename="vigil-ft-0042-disk.var.csv"');
  const lines = (await answer.text()).split("\r\n");
  expect(lines[0]).toMatch(/时间（UTC）,指标,平均,最小,最大,末值,样本数$/);
  expect(lines.at(-2)).toBe("2026-11-22T08:00:00Z,free_bytes,0,0,0,0,1");
  expect(lines).toHaveLength(1 + 1_400 + 1);
});

test("what is asked wrongly is refused by its name", async () => {
  await using desk = await httpDesk();
  for (const [query, name] of [
    ["", "code"],
    ["?code=UP", "code"],
    ["?code=a.b&figure=free-pct", "figure"],
    ["?code=a.b&from=-1", "from"],
    ["?code=a.b&step=day", "step"],
    ["?code=a.b&after=1/2/3", "after"],
  ]) {
    const answer = await desk.get(`/api/v1/devices/ft-0042/history${query}`);
    expect(answer.status, query).toBe(400);
    expect(((await answer.json()) as { message: string }).message).toContain(`parameter ${name} `);
  }
});

test("trends in the order of devices, of one where asked, as JSON and as CSV", async () => {
  await using desk = await httpDesk({ history: await filled() });
  const read = async (query: string) => page(ApiTrend).parse(await (await desk.get(`/api/v1/trends${query}`)).json());
  const first = await read("?limit=1");
  expect(first.items).toMatchObject([
    { device: "enc-1", reason: "outlier", score: 8, median: 40, peers: 12, told: true },
  ]);
  const second = await read(`?limit=1&after=${encodeURIComponent(first.next ?? "")}`);
  expect(second.items).toMatchObject([{ device: "ft-0042", per_day: -1, limit: 10, reaches_at: NINE + 11 * DAY_MS }]);
  expect(second.items[0]).not.toHaveProperty("reaches_to");
  expect((await read("?device=ft-0042")).items).toHaveLength(1);
  const csv = await (await desk.get("/api/v1/trends?format=csv")).text();
  expect(csv).toContain(
    "ft-0042,disk.var,free_pct,forecast,1,21.4,-1,0.99,10,2026-12-03T09:00:00Z,2026-12-02T09:00:00Z,,",
  );
});
