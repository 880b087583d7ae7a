import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Judged } from "../../../agent/checks/check.ts";
import { memory, readMeminfo, readOomKills, readPressure } from "../../../agent/checks/memory.ts";
import { machineAt } from "../../../platform/machine.ts";
import { Failure } from "../../../protocol/failure.ts";
import { BOARDS, type BoardName, openBoard } from "../../kit/board.ts";
import { HandClock } from "../../kit/hand-clock.ts";

function start(name: BoardName, config: object = {}) {
  const board = openBoard(name);
  const clock = new HandClock();
  const judge = memory.begin(memory.Config.parse(config), { machine: board.machine, clock });
  if (judge === undefined) throw new Error("not present");
  onTestFinished(() => {
    judge.close?.();
    board[Symbol.dispose]();
  });
  const round = async (): Promise<Judged> => {
    const [verdict, ...others] = await judge.judge(new AbortController().signal);
    if (verdict?.state !== "judged" || others.length > 0) throw new Error("one subject, judged");
    return verdict;
  };
  return { board, clock, round };
}

const meminfo = (availablePct: number): string =>
  `MemTotal: 1000000 kB\nMemFree: 1000 kB\nMemAvailable: ${availablePct * 10_000} kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n`;
const psi = (some: number, full: number): string =>
  `some avg10=${some.toFixed(2)} avg60=0.00 avg300=0.00 total=1\nfull avg10=${full.toFixed(2)} avg60=0.00 avg300=0.00 total=1\n`;

describe("the memory check", () => {
  test.each(BOARDS)("finds nothing wrong with a %s in good order", async (name) => {
    const { round } = start(name);
    expect(await round()).toMatchObject({ subject: "ram", grade: "ok", holds: "ok" });
  });

  test("tells what the board has, and leaves out what it has not", async () => {
    expect((await start("rk3588-overlay").round()).readings).toEqual({
      available_pct: 86.13,
      available_bytes: 6_902_288 * 1024,
      swap_used_pct: 25,
      psi_some_pct: 1.12,
      psi_full_pct: 0.36,
      oom_kills_count: 0,
    });
    expect(Object.keys((await start("kernel-3.10").round()).readings)).toEqual(["available_pct", "available_bytes"]);
  });

  test.each([
    [16, "ok", "ok"],
    [14, "ok", "minor"],
    [12, "minor", "minor"],
    [8, "minor", "major"],
    [6, "major", "major"],
    [4, "major", "critical"],
    [3, "critical", "critical"],
  ])("grades %d %% available as %s, and as %s while in alarm", async (pct, grade, holds) => {
    const { board, round } = start("x86-vm");
    board.write("/proc/meminfo", meminfo(pct));
    expect(await round()).toMatchObject({ grade, holds, reason: "available", value: pct, unit: "%" });
  });

  test.each([
    [39, 0, "ok", "warning"],
    [40, 0, "warning", "warning"],
    [60, 14, "warning", "minor"],
    [60, 15, "minor", "minor"],
    [90, 34, "minor", "major"],
    [90, 50, "major", "major"],
  ])(
    "grades a pressure of some %d %% and full %d %% as %s, and as %s while in alarm",
    async (some, full, grade, holds) => {
      const { board, round } = start("x86-vm");
      board.write("/proc/pressure/memory", psi(some, full));
      expect(await round()).toMatchObject({ grade, holds, ...(grade === "ok" ? {} : { reason: "pressure" }) });
    },
  );

  test("does not miss the pressure a kernel refuses to tell", async () => {
    const board = openBoard("x86-vm");
    onTestFinished(() => board[Symbol.dispose]());
    let asked = 0;
    const machine = {
      ...board.machine,
      source: (path: string) => ({
        ...board.machine.source(path),
        ...(path.includes("pressure")
          ? {
              read: () => {
                asked += 1;
                throw new Failure("MACHINE_READ", "cannot read: EOPNOTSUPP");
              },
            }
          : {}),
      }),
    };
    const judge = memory.begin(memory.Config.parse({}), { machine, clock: new HandClock() });
    for (let i = 0; i < 3; i += 1) {
      const [verdict] = (await judge?.judge(new AbortController().signal)) ?? [];
      expect(verdict).toMatchObject({ state: "judged", grade: "ok" });
    }
    expect(asked).toBe(1);
    judge?.close?.();
  });

  test("cannot tell when meminfo tells no total", async () => {
    const { board, round } = start("x86-vm");
    board.write("/proc/meminfo", "MemFree: 12 kB\n");
    await expect(round()).rejects.toThrow(Failure);
  });

  test("is not there where there is no meminfo", () => {
    using board = openBoard("x86-vm");
    board.write("/proc/meminfo", undefined);
    expect(memory.begin(memory.Config.parse({}), { machine: board.machine, clock: new HandClock() })).toBeUndefined();
  });

  test("judges this very machine, and closes what it opened", async () => {
    const judge = memory.begin(memory.Config.parse({}), { machine: machineAt(), clock: new HandClock() });
    const [verdict] = (await judge?.judge(new AbortController().signal)) ?? [];
    judge?.close?.();
    expect(verdict).toMatchObject({ state: "judged", subject: "ram" });
    const readings = verdict?.state === "judged" ? verdict.readings : {};
    expect(readings["available_pct"]).toBeGreaterThan(0);
    expect(readings["available_pct"]).toBeLessThanOrEqual(100);
  });
});

describe("a process killed for want of memory", () => {
  const kills = (count: number): string => `nr_free_pages 1\noom_kill ${count}\noom_kill_other 99\n`;

  test("is a major fault for ten minutes; what was before we came is none", async () => {
    const { board, clock, round } = start("rk3568-buildroot"); // it has seen three already
    expect(await round()).toMatchObject({ grade: "ok", readings: { oom_kills_count: 3 } });
    board.write("/proc/vmstat", kills(5));
    expect(await round()).toMatchObject({ grade: "major", holds: "major", reason: "oom", value: 2 });
    await clock.wind(599_000);
    expect(await round()).toMatchObject({ grade: "major", reason: "oom" });
    await clock.wind(1_000);
    expect(await round()).toMatchObject({ grade: "ok", holds: "ok", readings: { oom_kills_count: 5 } });
  });

  test("another one makes the time begin anew, and is counted with the first", async () => {
    const { board, clock, round } = start("rk3568-buildroot");
    board.write("/proc/vmstat", kills(4));
    await round();
    await clock.wind(300_000);
    board.write("/proc/vmstat", kills(5));
    expect(await round()).toMatchObject({ value: 2, says: expect.stringContaining("2 processes") });
    await clock.wind(599_000);
    expect(await round()).toMatchObject({ grade: "major" });
  });

  test("is not believed of a count that went back", async () => {
    const { board, round } = start("rk3568-buildroot");
    board.write("/proc/vmstat", kills(1));
    expect((await round()).grade).toBe("ok");
    board.write("/proc/vmstat", kills(2));
    expect((await round()).grade).toBe("major");
  });

  test("can be graded otherwise, or not at all", async () => {
    for (const [oom, grade] of [
      ["off", "ok"],
      ["warning", "warning"],
    ]) {
      const { board, round } = start("rk3568-buildroot", { oom });
      board.write("/proc/vmstat", kills(9));
      expect(await round()).toMatchObject({ grade, readings: { oom_kills_count: 9 } });
    }
  });
});

describe("what the kernel writes", () => {
  test("available memory of an old kernel is reckoned near what a newer one says of the same figures", () => {
    for (const name of ["rpi-cm4-debian", "rk3568-buildroot", "rk3588-overlay"] as const) {
      using board = openBoard(name);
      const text = board.machine.read("/proc/meminfo") ?? "";
      const minFree = Number(board.machine.read("/proc/sys/vm/min_free_kbytes")) * 1024;
      const told = readMeminfo(text, minFree)?.availableBytes ?? 0;
      const reckoned = readMeminfo(text.replace(/^MemAvailable.*\n/m, ""), minFree)?.availableBytes ?? 0;
      expect(Math.abs(reckoned - told) / told, name).toBeLessThan(0.06);
    }
  });

  test("any text is read without an exception, and never as a share beyond all there is", () => {
    const number = fc.oneof(fc.nat().map(String), fc.constantFrom("", "-1", "99999999999999999999", "1e9", "x"));
    const line = fc.tuple(
      fc.constantFrom("MemTotal", "MemFree", "MemAvailable", "Active(file)", "SReclaimable", "SwapTotal", "SwapFree"),
      number,
    );
    fc.assert(
      fc.property(fc.array(line), fc.string({ unit: "binary" }), fc.nat(), (lines, noise, minFree) => {
        const figures = readMeminfo(`${lines.map(([name, n]) => `${name}: ${n} kB`).join("\n")}\n${noise}`, minFree);
        if (figures === undefined) return;
        expect(figures.availableBytes).toBeGreaterThanOrEqual(0);
        expect(figures.availableBytes).toBeLessThanOrEqual(figures.totalBytes);
        expect(figures.swapFreeBytes).toBeLessThanOrEqual(figures.swapTotalBytes);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(readOomKills(text) ?? 0).toBeGreaterThanOrEqual(0);
        expect(readPressure(text)?.some ?? 0).toBeLessThanOrEqual(100);
      }),
    );
  });

  test("a field is found first, last and only by its whole name", () => {
    expect(readOomKills("oom_kill 7\n")).toBe(7);
    expect(readOomKills("a 1\noom_kill 7")).toBe(7);
    expect(readOomKills("my_oom_kill 7\noom_kill_disable 3\n")).toBeUndefined();
  });

  test("pressure of a kernel that knows no `full` is told without it", () => {
    expect(readPressure("some avg10=12.50 avg60=0.00 avg300=0.00 total=1\n")).toEqual({ some: 12.5, full: undefined });
  });
});
