import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  commandMatches,
  isDead,
  nameOf,
  pageBytes,
  parseOpenFilesLimit,
  parsePids,
  parseStat,
  residentPages,
} from "../../../agent/checks/process/stat.ts";
import { statText } from "../../kit/proc.ts";

const figure = fc.nat({ max: 2 ** 40 });
const letter = fc.constantFrom("R", "S", "D", "T", "t", "Z", "X", "I");

describe("the stat of a process", () => {
  test("any name, also one with spaces, parentheses and line ends, leaves the fields where they are", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 15 }), letter, figure, figure, figure, (comm, state, start, utime, stime) => {
        const text = statText({ pid: 77, comm, state, start, utime, stime, threads: 3 });
        expect(parseStat(text)).toEqual({
          state,
          cpuTicks: utime + stime,
          threads: 3,
          startTicks: start,
          sizeBytes: 8_192_000,
        });
        expect(nameOf(text)).toBe(comm);
      }),
    );
  });

  test("a name made to look like a stat of its own fools nobody", () => {
    const text = statText({ pid: 77, comm: "x) S 1 1 1 0 -1 ", state: "Z", start: 42 });
    expect(parseStat(text)).toMatchObject({ state: "Z", startTicks: 42 });
  });

  test("what is no stat is refused, never misread", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const stat = parseStat(text);
        if (stat !== undefined) expect(Number.isSafeInteger(stat.startTicks)).toBe(true);
      }),
    );
    for (const text of ["", ")", "1 (a) ", "1 (a) S", "1 (a) S 1 2 3", "1 (a S 1 2 3"])
      expect(parseStat(text)).toBeUndefined();
    const words = statText({ pid: 7, start: 9 }).split(" ");
    for (let cut = 1; cut < 21; cut += 1) expect(parseStat(words.slice(0, cut).join(" "))).toBeUndefined();
  });

  test("a zombie is dead, a process whose first thread ended while others work is not", () => {
    const of = (state: string, threads: number) => isDead({ state, threads, cpuTicks: 0, startTicks: 1, sizeBytes: 0 });
    expect(of("Z", 1)).toBe(true);
    expect(of("X", 0)).toBe(true);
    expect(of("Z", 4)).toBe(false);
    for (const state of ["R", "S", "D", "T", "t", "I"]) expect(of(state, 1)).toBe(false);
  });
});

describe("figures of a process", () => {
  test("a page of this machine is known by any process, also where its size changed between the two reads", () => {
    const grown = fc.double({ min: 0.8, max: 1.25, noNaN: true });
    fc.assert(
      fc.property(
        fc.constantFrom(4_096, 16_384, 65_536),
        fc.integer({ min: 10, max: 1e6 }),
        grown,
        (page, pages, more) => {
          expect(pageBytes(`${pages} 3 1 1 0 1 0\n`, pages * page * more)).toBe(page);
        },
      ),
    );
    for (const [statm, size] of [
      ["0 0 0 0 0 0 0\n", 0],
      ["", 8_192_000],
      ["x", 8_192_000],
      ["12 5", 0],
    ] as const)
      expect(pageBytes(statm, size)).toBeUndefined();
  });

  test("a zombie and a kernel thread have no resident memory, and what is no statm tells none", () => {
    expect(residentPages("12 0 0 0 0 0 0\n")).toBe(0);
    for (const text of ["0 0 0 0 0 0 0\n", "", "x", "12", "12 many", "12 -3"])
      expect(residentPages(text)).toBeUndefined();
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.nat(), (text, size) => {
        const told = [residentPages(text) ?? 0, pageBytes(text, size) ?? 0];
        expect(told.every((one) => Number.isSafeInteger(one) && one >= 0)).toBe(true);
      }),
    );
  });

  test("what this very process holds is what the kernel's own figure says", () => {
    const read = (file: string) => readFileSync(`/proc/self/${file}`, "utf8");
    const page = pageBytes(read("statm"), parseStat(read("stat"))?.sizeBytes ?? 0) ?? 0;
    const status = 1_024 * Number(/^VmRSS:\s*(\d+) kB$/m.exec(read("status"))?.[1]);
    expect(Math.abs((residentPages(read("statm")) ?? 0) * page - status) / status).toBeLessThan(0.05);
  });

  test("the soft limit of open files is the first figure; unlimited is no limit", () => {
    const limits = (soft: string) =>
      `Limit                     Soft Limit           Hard Limit           Units     \nMax processes             95              95             processes \nMax open files            ${soft.padEnd(20)} 524288               files     \n`;
    expect(parseOpenFilesLimit(limits("1024"))).toBe(1024);
    expect(parseOpenFilesLimit(limits("unlimited"))).toBeUndefined();
    expect(parseOpenFilesLimit("")).toBeUndefined();
  });

  test("process ids are taken once each, and nothing but process ids", () => {
    expect(parsePids("12\n7\n12\n0\n\n")).toEqual([12, 7]);
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) =>
        parsePids(text).every((pid) => Number.isSafeInteger(pid) && pid > 0),
      ),
    );
  });
});

describe("a command line", () => {
  const line = (...argv: string[]) => `${argv.join("\0")}\0`;
  test("fits a part of it, or its first arguments word by word", () => {
    const python = line("python3", "/opt/bridge.py", "--port", "5");
    expect(commandMatches(python, "/opt/bridge.py --port")).toBe(true);
    expect(commandMatches(python, ["python3", "/opt/bridge.py"])).toBe(true);
    expect(commandMatches(python, ["python3", "/opt/bridge"])).toBe(false);
    expect(commandMatches(python, ["/opt/bridge.py"])).toBe(false);
    expect(commandMatches(line("a"), ["a", ""])).toBe(false);
  });

  test("an argument list always fits itself and every beginning of itself", () => {
    const word = fc.string({ minLength: 1, unit: fc.constantFrom("a", " ", "-", "é") });
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 6 }), fc.nat(6), (argv, cut) =>
        commandMatches(line(...argv), argv.slice(0, cut)),
      ),
    );
  });
});
