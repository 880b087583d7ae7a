import { afterEach, expect, test } from "vitest";
import { runOps } from "../../ops/cli.ts";
import { showDailySheet } from "../../ops/show-daily.ts";
import { ApiDailyRecord, ApiDailyRow } from "../../protocol/api-daily.ts";
import { HandClock } from "../kit/hand-clock.ts";
import { dailyRecord, deviceRow, handReading, NOON } from "../kit/hand-reading.ts";
import { httpDesk, TOKEN } from "../kit/http.ts";

const servers: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

async function desk(rows: Parameters<typeof handReading>[0] = {}) {
  const found = await httpDesk({ reading: handReading(rows) });
  servers.push(found.server);
  return found.url;
}
async function vigil(url: string, ...args: string[]) {
  const said = { out: "", err: "" };
  const code = await runOps({
    argv: ["daily", ...args],
    env: { LANG: "zh_CN.UTF-8", VIGIL_URL: url, VIGIL_TOKEN: TOKEN },
    tty: false,
    out: (piece) => {
      said.out += piece;
    },
    err: (piece) => {
      said.err += piece;
    },
    clock: new HandClock(NOON),
    random: (count) => new Uint8Array(count),
    stop: new AbortController().signal,
  });
  return { ...said, code, lines: said.out.split("\n") };
}
const none = { major_count: 0, unknown_count: 0 };
const FLEET = {
  devices: ["a-fine", "b-grave", "c-gone", "d-latent", "e-blind"].map((id) =>
    deviceRow({
      id,
      ...(id === "c-gone" ? { presence: "silent" as const, seenAt: NOON - 7_200_000, site: "s-1" } : {}),
    }),
  ),
  dailies: [
    dailyRecord({ device: "a-fine", ...none, alarms: 0, tickets: 0 }),
    dailyRecord({ device: "b-grave" }),
    dailyRecord({ device: "d-latent", ...none, warning_count: 2, again: 1, cut_count: 30 }),
    dailyRecord({ device: "e-blind", major_count: 0 }),
  ],
};

test("the sheet of the morning: missing ones on top, then the worst first, every count under its heading", async () => {
  const { lines, code, err } = await vigil(await desk(FLEET));
  expect([code, err]).toEqual([0, ""]);
  expect(lines[0]).toBe("日检表 2026-11-22 5 台 缺报 1 二级 1 隐患 1 未知 1 正常 1");
  expect(lines[2]).toMatch(/^设备 +日检 +最差 +二级 +隐患 +未知 +正常 +告警 +工单 +站点 +检查时间 +说明$/);
  expect(lines.slice(3, 8).map((line) => line.split(/\s+/).slice(0, 3).join(" "))).toEqual([
    "c-gone 缺报 s-1",
    "b-grave 已检 二级",
    "d-latent 已检 隐患",
    "e-blind 已检 未知",
    "a-fine 已检 正常",
  ]);
  expect(lines[3]).toContain("失联，最近消息 2 小时前");
  expect(lines[5]).toContain("同日重复 1，省略 30");
});

test("in English, for a site, for another day, as JSON", async () => {
  const url = await desk(FLEET);
  expect((await vigil(url, "--lang", "en")).lines[0]).toBe(
    "daily checks 2026-11-22 5 devices MISSING 1 L2 1 latent 1 unknown 1 ok 1",
  );
  const site = await vigil(url, "--site", "s-1", "--lang", "en");
  expect(site.out).toContain("MISSING");
  expect(site.out).not.toContain("a-fine");
  const tomorrow = await vigil(url, "--date", "2026-11-23");
  expect(tomorrow.lines[0]).toBe("日检表 2026-11-23 5 台 未到 5");
  expect(tomorrow.out).not.toContain("缺报");
  const rows = ApiDailyRow.array().parse(JSON.parse((await vigil(url, "--json")).out));
  expect(rows.map(({ device }) => device)).toEqual(["a-fine", "b-grave", "c-gone", "d-latent", "e-blind"]);
  expect((await vigil(await desk())).out).toBe("没有设备应有日检\n");
});

test("one device: what is wrong with its evidence, what is well in a line, and the three families apart", async () => {
  const url = await desk(FLEET);
  const { out, lines } = await vigil(url, "--device", "b-grave");
  expect(lines[0]).toBe("b-grave 2026-11-22 二级 二级 1 未知 1 正常 6 无此项 3 未启用 1");
  expect(out).toMatch(/故障数据[\s\S]*当时的活动告警[\s\S]*当时的未结工单[\s\S]*性能数据[\s\S]*配置数据/);
  expect(out).toMatch(/二级 +磁盘 +\/var +磁盘空间不足 +\/var has 3\.1 % left/);
  expect(out).toMatch(/未知 +时钟 +did not answer in 5000 ms/);
  expect(out).toContain("正常: 磁盘\n");
  expect(out).toContain("无此项: 电源\n");
  expect(out).toContain("二级 disk.var GZ-20261122-0001 磁盘空间不足");
  expect(out).toMatch(/disk +\/var +free 3\.1 % {2}free 296 MiB/);
  expect(out).toMatch(/配置文件哈希 +c0ffee/);
  const json = ApiDailyRecord.parse(JSON.parse((await vigil(url, "--device", "b-grave", "--json")).out));
  expect(json.performance).toHaveLength(1);
  const lacking = ApiDailyRow.parse(JSON.parse((await vigil(url, "--device", "c-gone", "--json")).out));
  expect(lacking).toMatchObject({ device: "c-gone", state: "missing" });
  expect((await vigil(url, "--device", "nobody", "--json")).out).toBe("null\n");
  expect((await vigil(url, "--device", "c-gone")).out).toContain("缺报");
  expect((await vigil(url, "--device", "nobody")).out).toBe("没有设备应有日检\n");
});

test("a day whose years are over still shows its faults", async () => {
  const { config: _c, performance: _p, ...old } = dailyRecord();
  const { out } = await vigil(
    await desk({ devices: [deviceRow()], dailies: [old] }),
    "--device",
    "ft-0042",
    "--lang",
    "en",
  );
  expect(out).toContain("disk almost full");
  expect(out.match(/its years are over/g)).toHaveLength(2);
});

test("CSV of the sheet, and of one device's lines", async () => {
  const url = await desk(FLEET);
  const sheet = await vigil(url, "--csv");
  expect(sheet.out.startsWith("\ufeff日期,设备")).toBe(true);
  expect(sheet.out).toContain("2026-11-22,c-gone,s-1,missing");
  const lines = await vigil(url, "--csv", "--device", "b-grave", "--lang", "en");
  expect(lines.out).toContain("2026-11-22,b-grave,disk,磁盘,disks,/var,major");
  expect((await vigil(url, "--csv", "--device", "c-gone")).out).toContain("c-gone,s-1,missing");
  const both = await vigil(url, "--csv", "--json");
  expect([both.code, both.err]).toEqual([2, expect.stringContaining("--csv")]);
});

test.each([
  ["--date", "yesterday"],
  ["--date", "2026-13-01"],
  ["--device", "No!"],
])("%s %s is told with what is allowed", async (...args) => {
  const { code, err } = await vigil("http://127.0.0.1:9", ...args);
  expect([code, err]).toEqual([2, expect.stringContaining("Allowed")]);
});

test("nothing a device says reaches the terminal as a command", () => {
  const evil = "\u001b]0;owned\u0007\u202eok";
  const row: ApiDailyRow = {
    device: evil,
    date: "2026-11-22",
    state: "missing",
    presence: "silent",
    seen_at: 1,
    site: evil,
  };
  const shown = showDailySheet({ lang: "zh", colour: false }, [row], NOON);
  expect(shown.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\u202e]/u);
});
