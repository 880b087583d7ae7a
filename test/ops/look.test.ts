import * as fc from "fast-check";
import { expect, test } from "vitest";
import { bytes, figure, localTime, span, timeOfDay } from "../../ops/look.ts";
import { langOf } from "../../ops/words.ts";

const at = (timeZone: string) => ({ lang: "zh", colour: false, timeZone }) as const;

test("local time is shown with its offset, also over midnight and in odd zones", () => {
  const noon = Date.UTC(2026, 10, 22, 10, 3, 22);
  expect(localTime(at("Asia/Shanghai"), noon)).toBe("2026-11-22 18:03:22 +08:00");
  expect(localTime(at("UTC"), noon)).toBe("2026-11-22 10:03:22 +00:00");
  expect(localTime(at("Asia/Kolkata"), Date.UTC(2026, 11, 31, 18, 30, 0))).toBe("2027-01-01 00:00:00 +05:30");
  expect(timeOfDay(at("America/St_Johns"), noon)).toBe("06:33:22");
});

test("no time a device may claim breaks the display", () => {
  fc.assert(
    fc.property(fc.oneof(fc.integer(), fc.maxSafeInteger()), (ms) => {
      expect(localTime(at("Asia/Shanghai"), ms)).toMatch(/^-?\d+-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d\d:\d\d/);
    }),
  );
});

test.each([
  [0, "现在", "now"],
  [-5_000, "现在", "now"],
  [59_999, "59 秒", "59 s"],
  [180_000, "3 分钟", "3 min"],
  [7_200_000, "2 小时", "2 h"],
  [172_800_000, "2 天", "2 d"],
])("%i ms is %s, %s", (ms, zh, en) => {
  expect([span("zh", ms), span("en", ms)]).toEqual([zh, en]);
});

test.each<[number | undefined, string | undefined, string]>([
  [Math.PI, "%", "3.1 %"],
  [Math.PI, "pct", "3.1 %"],
  [0.0421, "/s", "0.042 /s"],
  [12345.6, "ms", "12346 ms"],
  [71, "c", "71 °C"],
  [1_610_612_736, "bytes", "1.5 GiB"],
  [4, undefined, "4"],
  [undefined, "%", ""],
])("%s in %s is shown as %j", (value, unit, shown) => {
  expect(figure(value, unit)).toBe(shown);
});

test("sizes use the largest unit that leaves a whole one", () => {
  expect([0, 1023, 1024, 1 << 20, 5e15].map(bytes)).toEqual(["0 B", "1023 B", "1 KiB", "1 MiB", "4547 TiB"]);
});

test.each([
  ["zh_CN.UTF-8", "zh"],
  ["en_GB.UTF-8", "en"],
  ["en", "en"],
  ["C.UTF-8", "zh"],
  [undefined, "zh"],
])("the locale %s speaks %s", (locale, lang) => {
  expect(langOf(locale)).toBe(lang);
});
