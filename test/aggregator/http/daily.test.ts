import { expect, test } from "vitest";
import { ApiDailyRecord, ApiDailyRow } from "../../../protocol/api-daily.ts";
import { dailyRecord, deviceRow, handReading } from "../../kit/hand-reading.ts";
import { httpDesk } from "../../kit/http.ts";

/** 17:00 of 2026-11-22 in Shanghai. */
function desk() {
  const formula = dailyRecord({ device: "enc-1", major_count: 0, unknown_count: 0 });
  const reading = handReading({
    devices: [deviceRow(), deviceRow({ id: "enc-1", site: "s-1" }), deviceRow({ id: "gone", presence: "silent" })],
    dailies: [dailyRecord({ receivedAt: Date.UTC(2026, 10, 22, 17) }), formula],
  });
  return httpDesk({ reading });
}
const items = async (answer: Response) =>
  ApiDailyRow.array().parse(((await answer.json()) as { items: unknown }).items);

test("the sheet of today lists every device with its counts; what is not there is missing", async () => {
  await using api = await desk();
  const rows = await items(await api.get("/api/v1/daily"));
  expect(rows.map(({ device, state, worst, late }) => [device, state, worst, late])).toEqual([
    ["enc-1", "made", "ok", false],
    ["ft-0042", "made", "major", true], // received at 01:00 of the day after
    ["gone", "missing", undefined, undefined],
  ]);
  expect(rows[1]).toMatchObject({ date: "2026-11-22", major_count: 1, ok_count: 6, alarms_count: 1, tickets_count: 1 });
  expect(rows[2]).toMatchObject({ presence: "silent" });
  expect(rows[2]).not.toHaveProperty("ok_count");
});

test("by date, site and device, and page by page", async () => {
  await using api = await desk();
  const of = async (query: string) => (await items(await api.get(`/api/v1/daily${query}`))).map(({ device }) => device);
  expect(await of("?site=s-1")).toEqual(["enc-1"]);
  expect(await of("?device=gone")).toEqual(["gone"]);
  expect(await of("?limit=1&after=enc-1")).toEqual(["ft-0042"]);
  const tomorrow = await items(await api.get("/api/v1/daily?date=2026-11-23"));
  expect(tomorrow.map(({ state }) => state)).toEqual(["due", "due", "due"]);
  const yesterday = await items(await api.get("/api/v1/daily?date=2026-11-21"));
  expect(yesterday.map(({ state }) => state)).toEqual(["missing", "missing", "missing"]);
  for (const bad of ["?date=2026-02-31", "?date=today", "?site=No", "?device=", "?x=1"]) {
    expect((await api.get(`/api/v1/daily${bad}`)).status, bad).toBe(400);
  }
});

test("a record has its three families apart; there is none of a day without", async () => {
  await using api = await desk();
  const record = ApiDailyRecord.parse(await (await api.get("/api/v1/daily/2026-11-22/ft-0042")).json());
  const { config, performance, faults } = dailyRecord();
  expect(record).toMatchObject({ state: "made", worst: "major", seq: 40, config, performance, faults });
  for (const path of ["2026-11-21/ft-0042", "2026-11-22/gone", "2026-11-22/nobody"]) {
    const answer = await api.get(`/api/v1/daily/${path}`);
    expect([path, answer.status]).toEqual([path, 404]);
  }
  expect((await api.get("/api/v1/daily/2026-11-31/ft-0042")).status).toBe(400);
  expect((await api.get("/api/v1/daily/2026-11-22/ft-0042", {})).status).toBe(401);
});

test("as CSV: the sheet, and one device's lines with their figures, for Excel, in either language", async () => {
  await using api = await desk();
  const sheet = await api.get("/api/v1/daily?format=csv&lang=zh");
  expect(sheet.headers.get("content-type")).toBe("text/csv; charset=utf-8");
  const bytes = Buffer.from(await sheet.arrayBuffer());
  expect(bytes.subarray(0, 3)).toEqual(Buffer.from([0xef, 0xbb, 0xbf]));
  const [head, ...rows] = bytes.toString("utf8").trim().split("\r\n");
  expect(head).toContain("日期,设备,站点,日检,最差,一级,二级");
  expect(rows.map((row) => row.split(",").slice(0, 7).join())).toEqual([
    "2026-11-22,enc-1,s-1,made,ok,0,0",
    "2026-11-22,ft-0042,,made,major,0,1",
    "2026-11-22,gone,,missing,,,",
  ]);
  const lines = await (await api.get("/api/v1/daily/2026-11-22/ft-0042?format=csv")).text();
  expect(lines.trim().split("\r\n")).toEqual([
    expect.stringContaining("date,device,check"),
    '2026-11-22,ft-0042,disk,磁盘,disks,/var,major,space,磁盘空间不足,disk almost full,/var has 3.1 % left,"free_pct=3.1; free_bytes=310000000"',
    "2026-11-22,ft-0042,disk,磁盘,disks,/,ok,,,,,",
    "2026-11-22,ft-0042,clock,时钟,clock,,unknown,,,,did not answer in 5000 ms,",
    "2026-11-22,ft-0042,power,电源,power,,absent,,,,,",
  ]);
});

test("metrics tell how many checks of today are there and how many are missing", async () => {
  await using api = await desk();
  const { text } = { text: await (await api.get("/metrics")).text() };
  expect(text).toContain('vigil_daily_checks{state="made"} 2');
  expect(text).toContain('vigil_daily_checks{state="missing"} 1');
  expect(text).toContain('vigil_daily_checks{state="due"} 0');
});

test("one device's lines are all there, each once, however many", async () => {
  const { faults, ...record } = dailyRecord();
  const [state] = faults.states;
  if (state === undefined) throw new Error("a record without a state");
  const states = Array.from({ length: 1_001 }, (_, i) => ({ ...state, subject: `/${i}` }));
  await using api = await httpDesk({
    reading: handReading({ devices: [deviceRow()], dailies: [{ ...record, faults: { ...faults, states } }] }),
  });
  const text = await (await api.get("/api/v1/daily/2026-11-22/ft-0042?format=csv")).text();
  expect(text.trim().split("\r\n")).toHaveLength(1_002);
});
