import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkTable, type Line } from "../../agent/check-table.ts";
import { displayWidth, wrap } from "../../platform/width.ts";
import { DAILY_STATES } from "../../protocol/daily-state.ts";

const line = (check: string, own: Partial<Line> = {}): Line => ({
  ...{ check, name: { zh: `${check}项`, en: check }, subject: "x", state: "ok", readings: { free_pct: 40 } },
  ...own,
});

const ALL: Line[] = [
  line("disk", { subject: "/", readings: { free_pct: 74.83, free_bytes: 81.5e9 } }),
  line("disk", { subject: "/var", state: "minor", title: { zh: "空间不足", en: "almost full" }, says: "3 % left" }),
  line("cpu", { subject: "all" }),
  line("power", { subject: undefined, state: "absent", readings: undefined }),
  line("network", { subject: "eth0", state: "major", title: { zh: "断开", en: "no link" }, says: "eth0 has no link" }),
  line("wear", { subject: undefined, state: "disabled", readings: undefined }),
  line("clock", { subject: undefined, state: "unknown", says: "did not answer in 5000 ms", readings: undefined }),
  line("switch", { subject: undefined, state: "absent", readings: undefined }),
];

describe("the table of a round by hand", () => {
  test("groups by check, worst first, names each check once, counts at the end", () => {
    expect(checkTable(ALL, "en", undefined).split("\n")).toEqual([
      "check    subject  state            evidence",
      "network  eth0     major (level 2)  no link: eth0 has no link",
      "disk     /var     minor (level 3)  almost full: 3 % left",
      "         /        ok               free 74.8 %  free 81.5 GB",
      "clock             unknown          did not answer in 5000 ms",
      "cpu      all      ok               free 40 %",
      "",
      "not present: power, switch",
      "switched off: wear",
      "7 checks, 5 subjects: major 1, minor 1, unknown 1, ok 2, not present 2, switched off 1",
    ]);
    const zh = checkTable(ALL, "zh", undefined).split("\n");
    expect(zh[0]).toBe("检查       对象  状态  依据");
    expect(zh[1]).toBe("network项  eth0  二级  断开: eth0 has no link");
    expect(zh.slice(-3)).toEqual([
      "无此项: power项、switch项",
      "未启用: wear项",
      "共 7 项检查、5 个对象：二级 1，三级 1，未知 1，正常 2，无此项 2，未启用 1",
    ]);
  });

  test("long evidence stands under itself, within the terminal; with little room below its line", () => {
    const says =
      "the partition /var/lib/recordings of the encoder has 3.1 % left, 310 MB of 10 GB, and fills by 40 MB an hour";
    const rows = (columns: number) =>
      checkTable([line("disk", { subject: "/var", state: "major", says })], "en", columns).split("\n");
    const wide = rows(80);
    expect(wide.slice(0, 5)).toEqual([
      "check  subject  state            evidence",
      "disk   /var     major (level 2)  the partition /var/lib/recordings of the",
      "                                 encoder has 3.1 % left, 310 MB of 10 GB, and",
      "                                 fills by 40 MB an hour",
      "",
    ]);
    const narrow = rows(50);
    expect(narrow[2]).toBe("disk   /var     major (level 2)");
    expect(narrow[3]).toBe("    the partition /var/lib/recordings of the");
  });

  test("whatever is said, no line is wider than the terminal, nothing steers it, and every subject is there", () => {
    const text = fc.string({ unit: "binary", maxLength: 120 });
    const any = fc.record({
      check: fc.constantFrom("a", "b", "c"),
      subject: fc.option(text, { nil: undefined }),
      state: fc.constantFrom(...DAILY_STATES),
      says: fc.option(fc.oneof(text, fc.constant("磁盘空间不足，请清理录像。".repeat(9))), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(any, { maxLength: 12 }), fc.integer({ min: 70, max: 160 }), (rows, columns) => {
        const shown = checkTable(
          rows.map((own) => line(own.check, own)),
          "zh",
          columns,
        ).split("\n");
        for (const one of shown) {
          expect(displayWidth(one)).toBeLessThanOrEqual(columns);
          expect(one).not.toMatch(/\p{Cc}|[\u202a-\u202e]/u);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("wrapping", () => {
  test("breaks at blanks and beside wide characters, closes a sentence on its own line, cuts a word that is too long", () => {
    expect(wrap("the disk is full", 9)).toEqual(["the disk", "is full"]);
    expect(wrap("磁盘空间不足，请清理。", 12)).toEqual(["磁盘空间不", "足，请清理。"]);
    expect(wrap("/a/very/long/path", 6)).toEqual(["/a/ver", "y/long", "/path"]);
    expect([wrap("", 9), wrap("one line", Number.POSITIVE_INFINITY)]).toEqual([[""], ["one line"]]);
  });
  test("loses nothing but blanks, and no line is too wide", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 80 }), fc.integer({ min: 2, max: 40 }), (text, cells) => {
        const lines = wrap(text, cells);
        const bare = (one: string) => one.replace(/\s/g, "");
        expect(bare(lines.join(""))).toBe(bare(text));
        for (const one of lines) expect(displayWidth(one)).toBeLessThanOrEqual(cells);
      }),
      { numRuns: 500 },
    );
  });
});
