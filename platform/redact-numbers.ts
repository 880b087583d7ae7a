import type { Searched, Span } from "./searched.ts";

/** Digits as people write them: in one piece, or in groups parted by one space or dash. Longer rows are no person's number. */
const DIGITS = /(?<!\d)\d(?:[ -]?\d){6,39}/g;

/** First two digits of a resident ID: the province. */
const PROVINCES = new Set(
  "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 83 91".split(
    " ",
  ),
);
const WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECKS = "10x98765432";
/** How a mobile number is grouped. */
const MOBILE_SHAPES = new Set(["11", "3 4 4", "3 8", "7 4", "4 4 3", "3 3 5", "5 6"]);
const CARD_SHAPES = new Set(["4 4 4 4", "4 4 4 4 1", "4 4 4 4 2", "4 4 4 4 3", "4 6 5", "6 13", "6 10"]);
/** Before a plain row of digits: it counts or names something of the machine. */
const MACHINE_BEFORE =
  /(?<![a-z])(?:sectors?|blocks?|inode|ino|offset|size|lba|pos|position|seq|addr|nr|count|bytes|start|len|length|limit|s\/n|sn|serial|serialnumber|serial number|imei|imsi|iccid|meid|pid|ts|time|timestamp|epoch|cycles|total|used|free|序列号|扇区)["']?[ \t]{0,2}[:=#]?[ \t]{0,2}["']?[+-]?$/;
const MACHINE_AFTER = /^ ?(?:bytes?|[kmgt]i?b|sectors?|blocks?|ns|us|µs|ms|packets?|frames?|cycles|ticks|hz)(?![a-z])/;
const CONTEXT = 24;

const LABELLED =
  /(?:护照|passport|通行证|军官证|警官证|警号|驾驶证|证件号?码?|身份证|公民身份号码|id ?card|sfzh?)[号码a-z_. ]{0,8}?["']?[ \t]{0,3}[:=#]?[ \t]{0,3}["']?([a-z]{0,2}\d[\dx -]{4,24}[\dx])/g;
const LABELLED_PHONE =
  /(?:电话|手机|传真|联系方式|座机|(?<![a-z])(?:tel|telephone|phone|mobile|fax|cell))[号码a-z_.]{0,8}["']?[ \t]{0,3}[:=#]?[ \t]{0,3}["']?([+(]?\d[\d() -]{4,20}\d)(?![.\d])/g;
/** With its area code, parted from the number or with the country's. */
const LANDLINE =
  /(?<![\d.:-])(?:\(0[1-9]\d{1,2}\) ?|0[1-9]\d{1,2}[ -]|(?:\+|00)86[ -]?\(?0?[1-9]\d{1,2}\)?[ -]?)[2-9]\d{2,3}[ -]?\d{4}(?:[-转]\d{1,5})?(?![\d.])/g;
const PLATE =
  /[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][a-z][·. -]?(?=[a-z]{0,5}\d)[a-z0-9]{4,6}[警学挂港澳使领]?(?![a-z0-9])/g;

/** Resident IDs (GB 11643, with checksum, and the old ones of 15 digits), phone, bank card and passport numbers, licence plates. */
export function personalNumbers({ lower }: Searched): Span[] {
  const spans: Span[] = [];
  if (!/\d/.test(lower)) return spans;
  for (const match of lower.matchAll(DIGITS)) inRow(lower, match.index, match[0], spans);
  for (const pattern of [LABELLED, LABELLED_PHONE])
    for (const match of lower.matchAll(pattern)) {
      const end = match.index + match[0].length;
      spans.push({ start: end - (match[1] ?? "").length, end });
    }
  for (const pattern of [LANDLINE, PLATE])
    for (const match of lower.matchAll(pattern)) spans.push({ start: match.index, end: match.index + match[0].length });
  return spans;
}

/** One row of digits: every stretch of its groups that is somebody's number. */
function inRow(text: string, offset: number, row: string, spans: Span[]): void {
  const groups: { at: number; digits: string }[] = [];
  for (const match of row.matchAll(/\d+/g)) groups.push({ at: offset + match.index, digits: match[0] });
  for (let first = 0; first < groups.length; first += 1) {
    let digits = "";
    let shape = "";
    for (let last = first; last < groups.length && digits.length < 19; last += 1) {
      const group = groups[last];
      const begin = groups[first];
      if (group === undefined || begin === undefined) break;
      digits += group.digits;
      shape += `${shape === "" ? "" : " "}${group.digits.length}`;
      const end = endOf(text, begin.at, group.at + group.digits.length, digits, shape);
      if (end === undefined) continue;
      spans.push({ start: begin.at, end });
      first = last;
      break;
    }
  }
}

/** Where the number that these digits are ends; undefined when they are nobody's. */
function endOf(text: string, start: number, end: number, digits: string, shape: string): number | undefined {
  const next = text.charAt(end);
  if (/\d/.test(next)) return undefined;
  if (digits.length === 17 && isResident(digits + (next === " " || next === "-" ? text.charAt(end + 1) : next)))
    return next === "x" ? end + 1 : end + 2;
  if (digits.length === 18 && isResident(digits)) return end;
  const before = text.charAt(start - 1);
  const bare = !/[a-z0-9.]/.test(before) && !/[a-z]/.test(next) && !(next === "." && /\d/.test(text.charAt(end + 1)));
  if (!bare || (!shape.includes(" ") && isOfMachine(text, start, end))) return undefined;
  if (digits.length === 15 && isOldResident(digits)) return end;
  const mobile = isMobile(digits, shape, before);
  return mobile || isCard(digits, shape) ? end : undefined;
}

function isOfMachine(text: string, start: number, end: number): boolean {
  return (
    MACHINE_BEFORE.test(text.slice(Math.max(0, start - CONTEXT), start)) ||
    MACHINE_AFTER.test(text.slice(end, end + CONTEXT))
  );
}

const isDate = (year: number, month: number, day: number): boolean =>
  year >= 1900 && year < 2100 && month >= 1 && month <= 12 && day >= 1 && day <= 31;

/** GB 11643-1999: province, birthday, ISO 7064 MOD 11-2 check. */
function isResident(id: string): boolean {
  if (!PROVINCES.has(id.slice(0, 2))) return false;
  if (!isDate(Number(id.slice(6, 10)), Number(id.slice(10, 12)), Number(id.slice(12, 14)))) return false;
  const sum = WEIGHTS.reduce((total, weight, i) => total + weight * Number(id.charAt(i)), 0);
  return CHECKS.charAt(sum % 11) === id.charAt(17);
}

const isOldResident = (id: string): boolean =>
  PROVINCES.has(id.slice(0, 2)) && isDate(1900, Number(id.slice(8, 10)), Number(id.slice(10, 12)));

function isMobile(digits: string, shape: string, before: string): boolean {
  if (/^1[3-9]\d{9}$/.test(digits)) return MOBILE_SHAPES.has(shape);
  if (!/^(?:00)?861[3-9]\d{9}$/.test(digits)) return false;
  return before === "+" || shape.includes(" ") || digits.startsWith("00") || digits.length === 13;
}

/** Luhn, for the issuers whose cards are about here: 3 (15 digits), 4, 5, 6. */
function isCard(digits: string, shape: string): boolean {
  const issued = /^(?:3[47]\d{13}|[456]\d{15,18})$/.test(digits);
  if (!issued || (shape.includes(" ") && !CARD_SHAPES.has(shape))) return false;
  let sum = 0;
  for (let i = 0; i < digits.length; i += 1) {
    const digit = Number(digits.charAt(digits.length - 1 - i));
    sum += i % 2 === 0 ? digit : digit > 4 ? digit * 2 - 9 : digit * 2;
  }
  return sum % 10 === 0;
}
