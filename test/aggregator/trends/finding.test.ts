import fc from "fast-check";
import { expect, test } from "vitest";
import { DAY_MS, type Finding, HOUR_MS } from "../../../aggregator/history-store.ts";
import { TrendsConfig } from "../../../aggregator/trends/config.ts";
import { afterLook, alarmCode, isNews, type Look, stepOf } from "../../../aggregator/trends/finding.ts";
import type { Forecast } from "../../../aggregator/trends/forecast.ts";
import { KNOWN_LIMITS, Limits, openLimits } from "../../../aggregator/trends/limits.ts";
import { Peers } from "../../../aggregator/trends/peers.ts";
import { wordsOf } from "../../../aggregator/trends/words.ts";
import { CODE_PATTERN } from "../../../protocol/topics.ts";

const NOW = Date.UTC(2026, 10, 22, 9);
const RULES = TrendsConfig.parse({});
const KEY = { device: "ft-1", code: "disk.var", figure: "free_pct" };
const disk = KNOWN_LIMITS["disk.*/free_pct"];
if (disk === undefined) throw new Error("the disk has a limit");

const forecast = (reachesIn: number): Forecast => ({
  ...{ perDay: -1.02, low: -1.09, high: -0.95, confidence: 0.996, level: 21.4, days: 11, limit: 10 },
  ...{ reachesIn, reachesFrom: reachesIn * 0.9, reachesTo: reachesIn * 1.2 },
});
const look = (hour: number, reachesIn?: number, score?: number): Look => ({
  now: NOW + hour * HOUR_MS,
  analysis: { level: 21.4, ...(reachesIn !== undefined && { forecast: forecast(reachesIn) }) },
  standing: score === undefined ? undefined : { score, median: 40, peers: 12 },
  rule: disk,
});
/** A figure looked at hour by hour. */
function live(looks: readonly Look[], told?: number): Finding | undefined {
  return looks.reduce<Finding | undefined>((known, one) => {
    const next = afterLook(known, KEY, one, RULES);
    return next !== undefined && told !== undefined && next.looked >= NOW + told * HOUR_MS
      ? { ...next, toldAt: next.toldAt ?? next.looked, toldReachesAt: next.toldReachesAt ?? next.reachesAt ?? 0 }
      : next;
  }, undefined);
}

test("a forecast is told once it was seen for six hours, an outlier for a day", () => {
  const hours = (count: number, ...of: [number?, number?]) =>
    Array.from({ length: count }, (_, hour) => look(hour, ...of));
  const step = (looks: readonly Look[]) => stepOf(live(looks) as Finding, RULES);
  expect(step(hours(6, 8))).toBe("wait");
  expect(step(hours(7, 8))).toBe("tell");
  expect(step(hours(24, undefined, 7))).toBe("wait");
  expect(step(hours(25, undefined, 7))).toBe("tell");
  expect(live([...hours(5, 8), look(5), look(6, 8)])?.since).toBe(NOW + 6 * HOUR_MS);
  expect(live([look(0, 15)])).toBeUndefined();
  expect(live([look(0, undefined, 5.9)])).toBeUndefined();
});

test("told, it stands until it is gone for a day: a limit that moves about the horizon is one alarm", () => {
  const seen = Array.from({ length: 10 }, (_, hour) => look(hour, 10));
  const wavering = [16, 20.9, 14, 19].map((days, i) => look(10 + i, days));
  const finding = live([...seen, ...wavering], 6);
  expect(finding).toMatchObject({ since: NOW, seen: NOW + 13 * HOUR_MS });
  const gone = (hours: number) =>
    Array.from({ length: hours }, (_, i) => look(14 + i, i === 5 && hours > 90 ? 10 : undefined));
  const after = (hours: number) => stepOf(live([...seen, ...wavering, ...gone(hours)], 6) as Finding, RULES);
  expect(after(23)).toBe("wait");
  expect(after(24)).toBe("clear");
});

test("news is what moves the day by more than a day and a fifth, once a day at most", () => {
  const told = { toldAt: NOW, toldReachesAt: NOW + 10 * DAY_MS };
  const finding = (reachesAt: number) => ({ ...told, reachesAt }) as Finding;
  expect(isNews(finding(NOW + 3 * DAY_MS), NOW + 23 * HOUR_MS)).toBe(false);
  expect(isNews(finding(NOW + 3 * DAY_MS), NOW + 24 * HOUR_MS)).toBe(true);
  expect(isNews(finding(NOW + 11 * DAY_MS), NOW + DAY_MS)).toBe(false);
  expect(isNews({ ...finding(0), toldAt: undefined } as unknown as Finding, NOW)).toBe(true);
});

test("its words name figure, slope, limit and dates, in both languages, and fit their fields", () => {
  const date = new Intl.DateTimeFormat("en-CA", { timeZone: "Asia/Shanghai", dateStyle: "short" });
  const finding = live([look(0, 11.1)]) as Finding;
  const words = wordsOf(finding, disk, (at) => date.format(at));
  expect(words).toEqual({
    titleZh: "磁盘可用空间：按趋势将达限值",
    titleEn: "free disk space: on its way to its limit",
    value: 11.1,
    unit: "d",
    says: "free_pct of disk.var falls by 1.02 a day (0.95 to 1.09), now 21.4; reaches 10 on 2026-12-03 (between 2026-12-02 and 2026-12-06); confidence 0.996 over 11 days",
  });
  const outlier = live([look(0, undefined, 7)]) as Finding;
  expect(wordsOf(outlier, disk, String).says).toContain(
    "the median of 12 devices of its class 40 (7 robust standard deviations)",
  );
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (level) => {
      const wild = { ...finding, level, perDay: level, perDayLow: level, perDayHigh: level, limit: level };
      expect(wordsOf(wild, disk, () => "2026-12-03").says.length).toBeLessThanOrEqual(400);
    }),
  );
});

test("the code of its alarm is one that topics take, and its own for each code and figure", () => {
  const name = fc.stringMatching(/^[a-z0-9-]{1,40}\.[a-z0-9-]{1,80}$/);
  fc.assert(
    fc.property(name, fc.stringMatching(/^[a-z][a-z0-9_]{0,59}$/), (code, figure) => {
      expect(alarmCode({ code, figure })).toMatch(CODE_PATTERN);
    }),
  );
  expect(alarmCode(KEY)).toBe("trend.disk-var-free-pct");
});

test("the limit with the most letters of its own counts; own ones stand over the known, false takes one away", () => {
  const limitOf = openLimits(
    Limits.parse({
      "disk.data/free_pct": { towards: "below", limit: 30, zh: "数据盘", en: "data disk" },
      "disk.*/inodes_free_pct": false,
      "*/loss_pct": { towards: "above", limit: 5, zh: "丢包", en: "loss" },
    }),
  );
  expect(limitOf("disk.data", "free_pct")?.limit).toBe(30);
  expect(limitOf("disk.var", "free_pct")?.limit).toBe(15);
  expect(limitOf("disk.var", "inodes_free_pct")).toBeUndefined();
  expect(limitOf("net.eth0", "loss_pct")?.limit).toBe(5);
  expect(limitOf("diskxvar", "free_pct")).toBeUndefined();
  expect(limitOf("disk.var", "free_pct_x")).toBeUndefined();
});

test("a wrong setting is named by its path, and what is printed as default is taken again", () => {
  const path = (own: unknown) => TrendsConfig.safeParse(own).error?.issues[0]?.path.join(" ");
  expect(path({ confidence: 1.5 })).toBe("confidence");
  expect(path({ limits: { "disk.*/free_pct": { towards: "down", zh: "x", en: "x" } } })).toBe("limits disk.*/free_pct");
  expect(path({ limits: { "disk/(a+)+": false } })).toBe("limits disk/(a+)+");
  expect(TrendsConfig.parse(TrendsConfig.parse({}))).toEqual(TrendsConfig.parse({}));
});

test("one of a class that is unlike it is told, on the bad side alone; small classes and small differences are not", () => {
  const peers = new Peers();
  const gather = (levels: readonly number[]) => {
    for (const level of levels) peers.add("ft/temperature.cpu/temp_c", level);
    peers.turn(8);
  };
  const standing = (level: number, sign: 1 | -1 = 1) => peers.standing("ft/temperature.cpu/temp_c", level, sign, 5);
  gather([50, 51, 52, 53, 54, 55, 56]);
  expect(standing(90)).toBeUndefined();
  gather([50, 51, 52, 53, 54, 55, 56, 90]);
  expect(standing(90)?.score).toBeGreaterThan(10);
  expect(standing(90, -1)?.score).toBeLessThan(0);
  expect(standing(56)?.score).toBeLessThan(6);
  gather(Array.from({ length: 20 }, () => 50));
  expect(standing(54.9)?.score).toBeLessThanOrEqual(0);
  expect(standing(56)?.score).toBeGreaterThan(6);
});
