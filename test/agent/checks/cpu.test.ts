import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Judge, Judged } from "../../../agent/checks/check.ts";
import { cpu } from "../../../agent/checks/cpu/cpu.ts";
import { parseCpuList, parseCpuTimes, parseLoad, parsePressure, sharesOf } from "../../../agent/checks/cpu/text.ts";
import { parseWhole, piFlags } from "../../../agent/checks/cpu/throttle.ts";
import { systemClock } from "../../../platform/clock.ts";
import { type Machine, machineAt } from "../../../platform/machine.ts";
import { Failure } from "../../../protocol/failure.ts";
import { BOARDS, type Board, type BoardName, openBoard } from "../../kit/board.ts";
import { HandClock } from "../../kit/hand-clock.ts";

const anything = fc.string({ unit: "binary" });
const ticks = fc.nat({ max: 2 ** 40 });

let board: Board;
let clock: HandClock;
let judge: Judge | undefined;
beforeEach(() => {
  clock = new HandClock();
  board = openBoard("x86-vm");
});
afterEach(() => {
  judge?.close?.();
  judge = undefined;
  board[Symbol.dispose]();
});

describe("what the kernel writes", () => {
  test("processor times add up, with as many columns as the kernel has", () => {
    expect(parseCpuTimes("cpu  10 20 30 400 5 6 7 8 9 1\ncpu0 1 1 1 1\n")).toEqual({
      busy: 81,
      iowait: 5,
      steal: 8,
      total: 486,
    });
    expect(parseCpuTimes("cpu  10 20 30 400")).toEqual({ busy: 60, iowait: 0, steal: 0, total: 460 });
    for (const text of ["", "cpu", "cpu  1 2 3", "cpu0 1 2 3 4", "cpu  a b c d", "intr 5"])
      expect(parseCpuTimes(text)).toBeUndefined();
  });

  test("shares lie between 0 and 100 for any two readings, also when counters run back", () => {
    const times = fc
      .tuple(ticks, ticks, ticks, ticks, ticks, ticks, ticks, ticks)
      .map((list) => parseCpuTimes(`cpu  ${list.join(" ")}\n`));
    fc.assert(
      fc.property(times, times, (before, after) => {
        if (before === undefined || after === undefined) throw new Error("a good line was refused");
        for (const share of Object.values(sharesOf(before, after) ?? {})) {
          expect(share).toBeGreaterThanOrEqual(0);
          expect(share).toBeLessThanOrEqual(100);
        }
      }),
    );
  });

  test("a processor list is counted, and hostile ones are nothing", () => {
    expect(parseCpuList("0-3,5,7-8\n")).toEqual([0, 1, 2, 3, 5, 7, 8]);
    expect(parseCpuList("0\n")).toEqual([0]);
    for (const text of ["", "\n", "3-1", "0-999999999999", "a", "0--1", "1.5", "0,"])
      expect(parseCpuList(text)).toEqual([]);
  });

  test("pressure is the line of `some`", () => {
    expect(parsePressure("some avg10=1.42 avg60=0.88 avg300=0.71 total=912\nfull avg10=9.00 avg60=9.00\n")).toEqual({
      avg10Pct: 1.42,
      avg60Pct: 0.88,
    });
    expect(parsePressure("full avg10=1.00 avg60=1.00")).toBeUndefined();
    expect(parsePressure("some avg10=x avg60=1")).toBeUndefined();
  });

  test("no text makes a parser throw or give a figure that is none", () => {
    fc.assert(
      fc.property(anything, (text) => {
        for (const figure of [
          ...(parseLoad(text) ?? []),
          ...Object.values(parsePressure(`some ${text}`) ?? {}),
          ...parseCpuList(text),
        ])
          expect(Number.isFinite(figure) && figure >= 0).toBe(true);
        for (const figure of Object.values(parseCpuTimes(`cpu ${text}`) ?? {}))
          expect(Number.isFinite(figure)).toBe(true);
        expect(parseWhole(text) ?? 0).toSatisfy(Number.isSafeInteger);
        piFlags(text);
      }),
    );
    expect(parseLoad("Infinity 1 1")).toBeUndefined();
  });

  test("the Raspberry Pi's flags of the past are not those of now", () => {
    expect(piFlags("50000\n")).toEqual([]);
    expect(piFlags("0\n")).toEqual([]);
    expect(piFlags("50005")).toEqual(["under-voltage", "throttled"]);
    expect(piFlags("8")).toEqual(["soft temperature limit"]);
  });
});

function on(name: BoardName, config: unknown = {}): void {
  board[Symbol.dispose]();
  board = openBoard(name);
  begin(config);
}
function begin(config: unknown = {}): void {
  judge = cpu.begin(cpu.Config.parse(config), { machine: board.machine, clock });
}
async function round(afterMs = 10_000): Promise<Judged> {
  await clock.wind(afterMs);
  const verdicts = judge?.judge(new AbortController().signal);
  const [verdict] = verdicts as readonly [Judged];
  return verdict;
}

describe("load", () => {
  test("is judged by core: 8.0 is minor on four cores and nothing on eight", async () => {
    on("rpi-cm4-debian");
    expect(await round()).toMatchObject({
      subject: "all",
      grade: "ok",
      holds: "ok",
      readings: { cores_count: 4, load1_count: 0.42 },
    });
    board.write("/proc/loadavg", "8.00 3.00 1.00 9/200 300\n");
    expect(await round()).toMatchObject({ grade: "minor", reason: "load", value: 2 });
    board.write("/proc/loadavg", "6.40 3.00 1.00 9/200 300\n");
    expect(await round()).toMatchObject({ grade: "ok", holds: "minor" });
    board.write("/proc/loadavg", "16.00 3.00 1.00 9/200 300\n");
    expect(await round()).toMatchObject({ grade: "major", reason: "load", value: 4 });
    board.write("/sys/devices/system/cpu/online", "0-7\n");
    expect(await round()).toMatchObject({ grade: "minor", value: 2 });
  });

  test("without a list of online cores one is assumed", async () => {
    on("x86-vm");
    board.write("/sys/devices/system/cpu/online", undefined);
    begin();
    expect((await round()).readings).toMatchObject({ cores_count: 1 });
  });

  test("text that is no load is a Failure, not an ok", async () => {
    on("x86-vm");
    board.write("/proc/loadavg", "garbage\n");
    await expect(round()).rejects.toMatchObject({ code: "MACHINE_READ" });
  });

  test("a machine that tells no load has no such check", () => {
    on("x86-vm");
    board.write("/proc/loadavg", undefined);
    begin();
    expect(judge).toBeUndefined();
  });
});

describe("times and pressure", () => {
  test("busy, waiting and stolen shares are those since the last round", async () => {
    on("x86-vm", { iowaitPct: { warning: { raise: 40, clear: 20 } } });
    board.write("/proc/stat", "cpu  1000 0 0 1000 0 0 0 0 0 0\n");
    await round();
    board.write("/proc/stat", "cpu  1020 0 0 1030 40 0 0 10 0 0\n");
    const verdict = await round();
    expect(verdict.readings).toMatchObject({ busy_pct: 30, iowait_pct: 40, steal_pct: 10 });
    expect(verdict).toMatchObject({ grade: "warning", reason: "iowait", value: 40 });
  });

  test("waiting for disks raises nothing unless a limit is given", async () => {
    on("x86-vm");
    board.write("/proc/stat", "cpu  1000 0 0 1000 0 0 0 0 0 0\n");
    await round();
    board.write("/proc/stat", "cpu  1000 0 0 1000 900 0 0 0 0 0\n");
    expect(await round()).toMatchObject({ grade: "ok", readings: { iowait_pct: 100 } });
  });

  test("tasks that wait for a processor most of a minute are a minor fault", async () => {
    on("x86-vm");
    board.write("/proc/pressure/cpu", "some avg10=90.00 avg60=82.50 avg300=9.80 total=1\n");
    expect(await round()).toMatchObject({
      grade: "minor",
      reason: "pressure",
      value: 82.5,
      readings: { psi60_pct: 82.5 },
    });
  });

  test("a kernel started without pressure figures may have the file and refuse to read it", async () => {
    const { machine } = board;
    const source: Machine["source"] = (path) => ({
      ...machine.source(path),
      read() {
        if (path !== "/proc/pressure/cpu") return machine.read(path);
        throw new Failure("MACHINE_READ", `cannot read ${path}: EOPNOTSUPP`, { facts: { path, errno: "EOPNOTSUPP" } });
      },
    });
    judge = cpu.begin(cpu.Config.parse({}), { machine: { ...machine, source }, clock });
    expect((await round()).grade).toBe("ok");
  });

  test("a kernel without pressure figures is judged by the others", async () => {
    on("kernel-3.10");
    const { readings, grade } = await round();
    expect(grade).toBe("ok");
    expect(readings).not.toHaveProperty("psi60_pct");
    expect(readings).toMatchObject({ load_ratio: 0.65, freq_cap_pct: 100 });
  });
});

describe("throttling", () => {
  test("a frequency limit lowered while we watch is throttling, raised again it is over", async () => {
    on("rk3568-buildroot");
    expect(await round()).toMatchObject({ grade: "ok", readings: { throttles_count: 0, freq_cap_pct: 100 } });
    board.write("/sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq", "1104000\n");
    const verdict = await round();
    expect(verdict).toMatchObject({ grade: "minor", reason: "throttled", readings: { throttles_count: 1 } });
    expect(verdict.says).toBe("policy0 limited to 1104 of 1992 MHz");
    board.write("/sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq", "1992000\n");
    expect(await round()).toMatchObject({ grade: "ok", holds: "ok" });
  });

  test("a limit an administrator set before is his will; below it is throttling", async () => {
    on("rk3568-buildroot");
    board.write("/sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq", "1416000\n");
    begin();
    expect((await round()).grade).toBe("ok");
    board.write("/sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq", "1104000\n");
    expect(await round()).toMatchObject({ grade: "minor", reason: "throttled" });
  });

  test("kernels before 4.3 keep the limit in each processor's own folder", async () => {
    on("kernel-3.10");
    board.write("/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq", "576000\n");
    expect(await round()).toMatchObject({ grade: "minor", reason: "throttled", value: 50 });
  });

  test("a cooling device that takes speed away is throttling, a fan or the graphics is not", async () => {
    on("rk3588-overlay");
    board.write("/sys/class/thermal/cooling_device2/cur_state", "4\n");
    expect((await round()).grade).toBe("ok");
    board.write("/sys/class/thermal/cooling_device1/cur_state", "3\n");
    const verdict = await round();
    expect(verdict).toMatchObject({ grade: "minor", reason: "throttled" });
    expect(verdict.says).toBe("thermal-cpufreq-1 cools");
  });

  test("the Raspberry Pi's firmware is believed", async () => {
    on("rpi-cm4-debian");
    expect((await round()).grade).toBe("ok");
    board.write("/sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n");
    const verdict = await round();
    expect(verdict).toMatchObject({ grade: "minor", reason: "throttled" });
    expect(verdict.says).toBe("firmware reports under-voltage, throttled");
  });

  test("x86 counts throttling: rising is throttling until it has been still for half a minute", async () => {
    on("x86-vm");
    const count = "/sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count";
    board.write(count, "17\n");
    begin();
    expect((await round()).grade).toBe("ok");
    board.write(count, "19\n");
    expect(await round()).toMatchObject({ grade: "minor", reason: "throttled" });
    expect((await round(20_000)).grade).toBe("minor");
    expect((await round(10_000)).grade).toBe("ok");
    board.write(count, "0\n");
    expect((await round()).grade, "a core taken offline counts anew").toBe("ok");
  });
});

describe("everywhere", () => {
  test.each(BOARDS)("%s as captured is well", async (name) => {
    on(name);
    expect(await round()).toMatchObject({ grade: "ok", holds: "ok" });
  });

  test("every reason has its titles, and the config is complete from nothing", () => {
    expect(Object.keys(cpu.titles).toSorted()).toEqual(["gone", "iowait", "load", "pressure", "throttled"]);
    expect(cpu.Config.parse({})).toMatchObject({ every: "slow", holdOnMs: 60_000, throttled: "minor" });
    expect(cpu.Config.safeParse({ load: 3 }).success).toBe(false);
  });

  test("this very machine can be judged", async () => {
    judge = cpu.begin(cpu.Config.parse({}), { machine: machineAt(), clock: systemClock });
    const verdict = await round();
    expect(verdict).toMatchObject({ state: "judged", subject: "all" });
    expect(verdict.readings["load1_count"]).toBeGreaterThanOrEqual(0);
  });
});
