import { symlinkSync } from "node:fs";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Judge, Judged, Verdict } from "../../../agent/checks/check.ts";
import {
  bandsOf,
  believableLimit,
  type OwnLimits,
  parseCelsius,
  plausible,
} from "../../../agent/checks/temperature/bands.ts";
import { findSensors } from "../../../agent/checks/temperature/sensors.ts";
import { temperature } from "../../../agent/checks/temperature/temperature.ts";
import { systemClock } from "../../../platform/clock.ts";
import { type Machine, machineAt } from "../../../platform/machine.ts";
import { Failure } from "../../../protocol/failure.ts";
import { BOARDS, type Board, type BoardName, openBoard } from "../../kit/board.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { asKernel } from "../../kit/proc.ts";

const ZONE = "/sys/class/thermal/thermal_zone0";
const rules = temperature.Config.parse({});

describe("limits", () => {
  test("a sensor's own come before the defaults, and the alarm before the kernel's shutdown", () => {
    expect(bandsOf({}, "soc", rules)).toEqual({
      minor: undefined,
      major: { raise: 85, clear: 80 },
      critical: { raise: 95, clear: 90 },
    });
    expect(bandsOf({}, "disk", rules)).toMatchObject({ major: { raise: 70 }, critical: { raise: 80 } });
    expect(bandsOf({ passiveC: 75, shutdownC: 115 }, "soc", rules)).toMatchObject({
      minor: { raise: 75, clear: 70 },
      major: { raise: 85 },
      critical: { raise: 110 },
    });
    expect(bandsOf({ hotC: 81.85, criticalC: 84.85 }, "disk", rules)).toMatchObject({
      major: { raise: 79.85 },
      critical: { raise: 84.85 },
    });
    expect(bandsOf({ shutdownC: 70 }, "soc", rules)).toMatchObject({ major: { raise: 60 }, critical: { raise: 65 } });
  });

  test("whatever a driver names, minor is below major and major below critical", () => {
    const limit = fc.option(fc.double({ min: 40, max: 125, noNaN: true }), { nil: undefined });
    const own = fc
      .record({ shutdownC: limit, criticalC: limit, hotC: limit, passiveC: limit })
      .map((all) => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as OwnLimits);
    fc.assert(
      fc.property(own, fc.constantFrom("soc", "disk"), (named, kind) => {
        const { minor, major, critical } = bandsOf(named, kind, rules);
        expect(major?.raise).toBeLessThan(critical?.raise ?? 0);
        if (minor !== undefined) expect(minor.raise).toBeLessThan(major?.raise ?? 0);
      }),
    );
  });

  test("what no maker can have meant is no limit", () => {
    expect([0, -273.15, 39.9, 127, 65_261.85, Number.NaN, undefined].filter(believableLimit)).toEqual([]);
    expect([40, 95, 125].filter(believableLimit)).toEqual([40, 95, 125]);
  });
});

describe("a figure of a sensor", () => {
  test("is thousandths, or whole degrees on old vendor kernels", () => {
    expect(parseCelsius("48199\n", false)).toBe(48.199);
    expect(parseCelsius("61\n", false)).toBe(61);
    expect(parseCelsius("61\n", true)).toBe(0.061);
    expect(parseCelsius("-12000\n", false)).toBe(-12);
    for (const text of ["", "\n", "x", "1.5", "0x", "1 2", "Infinity"])
      expect(parseCelsius(text, false)).toBeUndefined();
  });

  test("is a finite number or nothing, for any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.boolean(), (text, thousandths) => {
        expect(parseCelsius(text, thousandths) ?? 0).toSatisfy(Number.isFinite);
      }),
    );
    expect([-273, -40, 150, 255, Number.NaN].filter(plausible)).toEqual([]);
    expect([-39, 0, 149].filter(plausible)).toEqual([-39, 0, 149]);
  });
});

let board: Board;
let clock: HandClock;
let judge: Judge | undefined;
beforeEach(() => {
  board = openBoard("rpi-cm4-debian");
  clock = new HandClock();
});
afterEach(() => {
  judge?.close?.();
  judge = undefined;
  board[Symbol.dispose]();
});
function on(name: BoardName): void {
  board[Symbol.dispose]();
  board = openBoard(name);
}
function begin(config: unknown = {}, machine: Machine = asKernel(board.machine)): void {
  judge = temperature.begin(temperature.Config.parse(config), { machine, clock });
}
async function round(afterMs = 10_000): Promise<Verdict[]> {
  await clock.wind(afterMs);
  return [...((await judge?.judge(new AbortController().signal)) ?? [])];
}
async function first(afterMs = 10_000): Promise<Judged> {
  const [verdict] = await round(afterMs);
  if (verdict?.state !== "judged") throw new Error(`not judged: ${JSON.stringify(verdict)}`);
  return verdict;
}
const heat = (tempC: number, path = `${ZONE}/temp`) => board.write(path, `${Math.round(tempC * 1000)}\n`);
const subjects = () => findSensors(board.machine).map(({ subject }) => subject);

describe("which sensors there are", () => {
  test("a zone the kernel mirrors as a chip is one sensor", () => {
    expect(subjects()).toEqual(["cpu-thermal"]);
    on("rk3568-buildroot");
    expect(subjects()).toEqual(["soc-thermal", "gpu-thermal"]);
  });

  test("a chip whose device is a zone is that zone, whatever it is called", () => {
    board.write("/sys/class/hwmon/hwmon5/name", "acpitz\n");
    board.write("/sys/class/hwmon/hwmon5/temp1_input", "40000\n");
    expect(subjects()).toEqual(["cpu-thermal", "acpitz-temp1"]);
    symlinkSync("../../thermal_zone0", board.machine.at("/sys/class/hwmon/hwmon5/device"));
    expect(subjects()).toEqual(["cpu-thermal"]);
  });

  test("several of one name are numbered in the kernel's order, with their labels", () => {
    on("rk3588-overlay");
    expect(subjects()).toEqual([
      "soc-thermal",
      "bigcore0-thermal",
      "bigcore1-thermal",
      "littlecore-thermal",
      "center-thermal",
      "gpu-thermal",
      "npu-thermal",
      "nvme-Composite",
      "nvme-Sensor-1",
      "nvme-Composite-2",
    ]);
  });

  test("old kernels: two zones of one type, and a chip whose figures lie at its device", () => {
    on("kernel-3.10");
    expect(subjects()).toEqual(["sunxi-therm-1", "sunxi-therm-1-2", "lm75-temp1"]);
  });

  test("limits are read from trip points and chips, without what was never set", () => {
    on("rk3568-buildroot");
    expect(findSensors(board.machine).map(({ own }) => own)).toEqual([{ passiveC: 75, shutdownC: 115 }, {}]);
    on("rk3588-overlay");
    expect(
      findSensors(board.machine)
        .slice(-3)
        .map(({ own }) => own),
    ).toEqual([{ criticalC: 84.85, hotC: 81.85 }, {}, { criticalC: 87.85, hotC: 83.85 }]);
    on("kernel-3.10");
    board.write("/sys/class/hwmon/hwmon9/name", "tmp401\n");
    board.write("/sys/class/hwmon/hwmon9/temp2_input", "50000\n");
    board.write("/sys/class/hwmon/hwmon9/temp2_emergency", "100000\n");
    expect(findSensors(board.machine).at(-1)).toMatchObject({ subject: "tmp401-temp2", own: { criticalC: 100 } });
    expect(
      findSensors(board.machine)
        .slice(0, 3)
        .map(({ own }) => own),
    ).toEqual([{ passiveC: 90, shutdownC: 105 }, {}, { hotC: 80 }]);
  });

  test("no sensor at all is not present: in a virtual machine, and on this one if it has none", () => {
    on("x86-vm");
    begin();
    expect(judge).toBeUndefined();
    const machine = machineAt();
    const live = temperature.begin(rules, { machine, clock: systemClock });
    const has = [...machine.list("/sys/class/thermal"), ...machine.list("/sys/class/hwmon")].some(
      (name) => name.startsWith("thermal_zone") || name.startsWith("hwmon"),
    );
    if (!has) expect(live).toBeUndefined();
    live?.close?.();
  });

  test.each(BOARDS)("%s as captured is well", async (name) => {
    on(name);
    begin();
    for (const verdict of await round()) expect(verdict).toMatchObject({ state: "judged", grade: "ok", holds: "ok" });
  });
});

describe("heat", () => {
  test("is judged by the trip points: minor where the kernel slows down, critical before it switches off", async () => {
    on("rk3568-buildroot");
    begin();
    expect(await first()).toMatchObject({ subject: "soc-thermal", grade: "ok", readings: { temp_c: 56.111 } });
    heat(75);
    expect(await first()).toMatchObject({ grade: "minor", reason: "hot", value: 75, unit: "°C" });
    heat(71);
    expect(await first()).toMatchObject({ grade: "ok", holds: "minor", reason: "hot" });
    heat(70);
    expect(await first()).toMatchObject({ grade: "ok", holds: "ok" });
    heat(90);
    expect(await first()).toMatchObject({ grade: "major", reason: "hot" });
    heat(110);
    expect(await first()).toMatchObject({ grade: "critical", reason: "critical" });
    heat(106);
    expect(await first()).toMatchObject({ grade: "major", holds: "critical", reason: "critical" });
  });

  test("a sensor without limits gets the defaults of its kind, or those the config names for it", async () => {
    on("rk3588-overlay");
    board.write("/sys/class/hwmon/hwmon10/temp2_input", "72000\n");
    begin({ sensors: { "gpu-thermal": { major: { raise: 46, clear: 40 } } }, ignore: ["nvme-Composite"] });
    const verdicts = await round();
    expect(verdicts.find(({ subject }) => subject === "nvme-Sensor-1")).toMatchObject({
      grade: "major",
      reason: "hot",
    });
    expect(verdicts.find(({ subject }) => subject === "gpu-thermal")).toMatchObject({ grade: "major", reason: "hot" });
    expect(verdicts.map(({ subject }) => subject)).not.toContain("nvme-Composite");
    expect(verdicts).toHaveLength(9);
  });

  test("an old kernel's whole degrees are degrees", async () => {
    on("kernel-3.10");
    begin();
    expect(await first()).toMatchObject({ subject: "sunxi-therm-1", readings: { temp_c: 61 } });
    board.write(`${ZONE}/temp`, "88\n");
    expect(await first()).toMatchObject({ grade: "major", reason: "hot", value: 88 });
  });

  test("a board in the frost near 0 °C is not taken for one that tells degrees", async () => {
    begin();
    heat(8);
    await first();
    heat(0.12);
    expect(await first()).toMatchObject({ grade: "ok", readings: { temp_c: 0.12 } });
    heat(0);
    expect(await first()).toMatchObject({ grade: "ok", readings: { temp_c: 0 } });
  });
});

describe("sensors that lie", () => {
  test.each(["-273150", "0", "255000", "150000", "rubbish", ""])(
    "one that told %j since we began is left out",
    async (text) => {
      board.write(`${ZONE}/temp`, `${text}\n`);
      begin();
      expect(await round()).toEqual([]);
      heat(50);
      expect(await first()).toMatchObject({ subject: "cpu-thermal", grade: "ok" });
    },
  );

  test.each(["-273150", "0", "255000", "rubbish"])(
    "one that worked and then tells %j is unknown, never ok",
    async (text) => {
      begin();
      await first();
      board.write(`${ZONE}/temp`, `${text}\n`);
      expect(await round()).toMatchObject([{ state: "unknown", subject: "cpu-thermal" }]);
    },
  );

  test("one whose driver answers with an error is unknown, and left out when it always did", async () => {
    let broken = true;
    const machine: Machine = {
      ...board.machine,
      source: (path) => ({
        ...board.machine.source(path),
        read: () => {
          if (broken) throw new Failure("MACHINE_READ", `cannot read ${path}: EIO`, { facts: { path, errno: "EIO" } });
          return "48000\n";
        },
      }),
    };
    begin({}, machine);
    expect(await round()).toEqual([]);
    broken = false;
    expect((await first()).grade).toBe("ok");
    broken = true;
    expect(await round()).toMatchObject([{ state: "unknown", because: expect.stringContaining("EIO") }]);
  });

  test("one whose driver calls it faulty is unknown", async () => {
    on("kernel-3.10");
    board.write("/sys/class/hwmon/hwmon0/device/temp1_fault", "0\n");
    begin();
    expect((await round()).at(-1)).toMatchObject({ subject: "lm75-temp1", grade: "ok" });
    board.write("/sys/class/hwmon/hwmon0/device/temp1_fault", "1\n");
    expect((await round()).at(-1)).toMatchObject({ state: "unknown", subject: "lm75-temp1" });
  });

  test("one that is taken away is gone, and found again when it is back", async () => {
    on("kernel-3.10");
    begin();
    expect(await round()).toHaveLength(2);
    board.write("/sys/class/hwmon/hwmon0/device/temp1_input", undefined);
    expect((await round()).map(({ subject }) => subject)).toEqual(["sunxi-therm-1"]);
    board.write("/sys/class/hwmon/hwmon0/device/temp1_input", "42000\n");
    expect(await round(600_000)).toHaveLength(2);
  });
});

test("a chip the kernel gave another number is followed there, never mixed up with its successor", async () => {
  on("kernel-3.10");
  begin();
  await round();
  for (const file of ["name", "temp1_input", "temp1_max"]) {
    const text = board.machine.read(`/sys/class/hwmon/hwmon0/device/${file}`);
    board.write(`/sys/class/hwmon/hwmon4/device/${file}`, text);
  }
  board.write("/sys/class/hwmon/hwmon0/device/name", "w83627\n");
  board.write("/sys/class/hwmon/hwmon0/device/temp1_input", "91000\n");
  const verdicts = await round(600_000);
  expect(verdicts.find(({ subject }) => subject === "lm75-temp1")).toMatchObject({ readings: { temp_c: 41.5 } });
  expect(verdicts.find(({ subject }) => subject === "w83627-temp1")).toMatchObject({ readings: { temp_c: 91 } });
});

describe("a fast rise", () => {
  test("of 12 °C a minute over two minutes is a warning until it slows down", async () => {
    begin();
    let last: Judged | undefined;
    for (let tempC = 52; tempC <= 76; tempC += 2) {
      heat(tempC);
      last = await first();
    }
    expect(last).toMatchObject({ grade: "warning", reason: "rising", unit: "°C/min" });
    expect(last?.value).toBeCloseTo(12);
    for (let i = 0; i < 12; i += 1) last = await first();
    expect(last).toMatchObject({ grade: "ok", holds: "ok" });
  });

  test("one jump when a load begins is none", async () => {
    begin();
    for (let i = 0; i < 40; i += 1) {
      heat(i < 15 ? 45 : 75);
      expect(await first(), `round ${i}`).toMatchObject({ grade: "ok" });
    }
  });

  test("a cold machine that warms up is none", async () => {
    begin();
    for (let tempC = -20; tempC < 48; tempC += 4) {
      heat(tempC === 0 ? 0.5 : tempC);
      expect(await first()).toMatchObject({ grade: "ok", holds: "ok" });
    }
  });
});

test("the config is complete from nothing, strict, and every reason has its titles", () => {
  expect(rules).toMatchObject({ every: "slow", clearBelowC: 5, defaults: { soc: { major: 85, critical: 95 } } });
  expect(temperature.Config.safeParse({ rising: { cPerMins: 3 } }).success).toBe(false);
  expect(temperature.Config.safeParse({ sensors: { a: { major: { raise: 50, clear: 60 } } } }).success).toBe(false);
  expect(Object.keys(temperature.titles).toSorted()).toEqual(["critical", "gone", "hot", "rising"]);
});
