import * as fc from "fast-check";
import { expect, test } from "vitest";
import { line, table } from "../../ops/table.ts";
import { clean, cleanJson, clip, displayWidth, pad } from "../../platform/width.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get through
const DANGEROUS = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const ESC = "\u001b";

test.each([
  ["ft-0042", 7],
  ["磁盘空间不足", 12],
  ["ＡＢ，。", 8],
  ["한글 かな", 9],
  ["● → ✔", 5],
  ["⏰✅", 4],
  ["e\u0301", 1],
  ["👩‍🔧", 4],
  ["𠀀", 2],
  [`${ESC}[1m${ESC}[91m一级${ESC}[39m${ESC}[22m`, 4],
  ["", 0],
])("%j takes %i cells", (text, cells) => {
  expect(displayWidth(text)).toBe(cells);
});

test("padded text has the width asked for, clipped text never more", () => {
  const words = fc.array(fc.constantFrom("a", "中", "Ａ", "é", "→", " ", "😀")).map((parts) => parts.join(""));
  fc.assert(
    fc.property(
      words,
      fc.integer({ min: 1, max: 40 }),
      fc.constantFrom("left" as const, "right" as const),
      (text, cells, side) => {
        expect(displayWidth(pad(text, cells, side))).toBe(Math.max(cells, displayWidth(text)));
        expect(displayWidth(clip(text, cells))).toBeLessThanOrEqual(cells);
      },
    ),
  );
});

test.each([
  [`a${ESC}[31mred${ESC}[0m`, "ared"],
  [`${ESC}]0;title\u0007x`, "x"],
  [`${ESC}]52;c;Y3VybA==${ESC}\\x`, "x"],
  ["\u009b2Jx", "x"],
  [`x${ESC}c`, "x"],
  ["one\ntwo\r\tthree", "onetwothree"],
  ["gz\u202Efdp.exe", "gzfdp.exe"],
  ["磁盘 /var", "磁盘 /var"],
])("%j is shown as %j", (text, shown) => {
  expect(clean(text)).toBe(shown);
});

test("no text whatever brings a command to the terminal, through a line, a table or JSON; JSON keeps every value", () => {
  const hostile = fc
    .array(
      fc.oneof(fc.string(), fc.constantFrom(ESC, "\u009b", "[2J", "]0;", "\u0007", "\n", "\u202e", "\u2066", "中")),
    )
    .map((parts) => parts.join(""));
  const look = { lang: "zh", colour: false } as const;
  fc.assert(
    fc.property(hostile, (text) => {
      expect(clean(text)).not.toMatch(DANGEROUS);
      expect(line(look, [text, { text, tone: "critical", cells: 9 }])).not.toMatch(DANGEROUS);
      expect(table(look, [{ name: "x" }], [[text]]).replaceAll("\n", "")).not.toMatch(DANGEROUS);
      const json = cleanJson({ text, [text]: 1 });
      expect(json).not.toMatch(DANGEROUS);
      expect(JSON.parse(json)).toEqual({ text, [text]: 1 });
      expect(JSON.parse(cleanJson({ text }, 2))).toEqual({ text });
    }),
    { numRuns: 300 },
  );
});

test("columns of a table stand below each other, whatever script; figures at the right, empty columns left out", () => {
  const look = { lang: "zh", colour: false } as const;
  const columns = [{ name: "设备" }, { name: "站点" }, { name: "数值", right: true }, { name: "标题" }];
  expect(
    table(look, columns, [
      ["ft-1", "", "3.1 %", "磁盘空间不足"],
      ["编码器", "", "12 %", "cpu"],
    ]),
  ).toBe(["设备     数值  标题", "ft-1    3.1 %  磁盘空间不足", "编码器   12 %  cpu", ""].join("\n"));
});

test("colours never move a column", () => {
  const rows = [
    [{ text: "一级", tone: "critical" as const }, "x"],
    [{ text: "L2", tone: "major" as const }, "y"],
  ];
  const plain = table({ lang: "zh", colour: false }, [{ name: "a" }, { name: "b" }], rows);
  const coloured = table({ lang: "zh", colour: true }, [{ name: "a" }, { name: "b" }], rows);
  expect(coloured).toContain(ESC);
  expect(clean(coloured.replaceAll("\n", " "))).toBe(plain.replaceAll("\n", " "));
});
