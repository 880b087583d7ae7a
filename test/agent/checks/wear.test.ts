import { mkdirSync, symlinkSync } from "node:fs";
import { dirname } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { CheckPorts, Judge, Verdict } from "../../../agent/checks/check.ts";
import {
  findDisks,
  parseErrStats,
  parseHex,
  parseLifeTime,
  parseMade,
  parseWritten,
} from "../../../agent/checks/wear/disks.ts";
import { parseSmart } from "../../../agent/checks/wear/smart.ts";
import { wear } from "../../../agent/checks/wear/wear.ts";
import { systemClock } from "../../../platform/clock.ts";
import { runProgram } from "../../../platform/run.ts";
import { Failure } from "../../../protocol/failure.ts";
import { type Board, openBoard } from "../../kit/board.ts";
import { checkPorts } from "../../kit/check-ports.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { needs } from "../../kit/peers.ts";
import { type TempFolder, tempFolder } from "../../kit/temp.ts";

let board: Board;
let clock: HandClock;
let folder: TempFolder;
let judge: Judge | undefined;
beforeEach(() => {
  board = openBoard("rk3568-buildroot");
  clock = new HandClock();
  folder = tempFolder();
});
afterEach(() => {
  judge?.close?.();
  judge = undefined;
  board[Symbol.dispose]();
  folder[Symbol.dispose]();
});

/** An eMMC as Linux shows it. */
function emmc(files: Record<string, string> = {}, name = "mmcblk0"): void {
  const device = `/sys/devices/platform/sdhci/mmc_host/mmc0/mmc0:0001`;
  const all = { type: "MMC", life_time: "0x01 0x01", pre_eol_info: "0x01", date: "11/2024", name: "AJTD4R", ...files };
  for (const [file, text] of Object.entries(all)) board.write(`${device}/${file}`, `${text}\n`);
  board.write(`/sys/block/${name}/size`, "30535680\n");
  written(1_000_000, name);
  const link = board.machine.at(`/sys/block/${name}/device`);
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync("../../devices/platform/sdhci/mmc_host/mmc0/mmc0:0001", link);
}
const written = (sectors: number, name = "mmcblk0"): void =>
  board.write(`/sys/block/${name}/stat`, `   120 0 900 12 55 1 ${sectors} 300 0 40 312\n`);
const life = (text: string): void => board.write("/sys/devices/platform/sdhci/mmc_host/mmc0/mmc0:0001/life_time", text);

function begin(config: Record<string, unknown> = {}, ports: Partial<CheckPorts> = {}): void {
  const none: CheckPorts["run"] = async () => {
    throw new Failure("RUN_MISSING", "no smartctl here");
  };
  judge = wear.begin(
    wear.Config.parse(config),
    checkPorts(folder.path, { machine: board.machine, clock, run: none, ...ports }),
  );
}
async function round(afterMs = 0): Promise<readonly Verdict[]> {
  await clock.wind(afterMs);
  return (await judge?.judge(new AbortController().signal)) ?? [];
}
const HOUR = 3_600_000;

describe("eMMC", () => {
  test.each([
    ["0x01 0x01", "ok", 10],
    ["0x07 0x02", "ok", 70],
    ["0x02 0x08", "warning", 80],
    ["0x09 0x01", "minor", 90],
    ["0x0A 0x0a", "major", 100],
    ["0x0B 0x01", "critical", 110],
  ])("life time %s is %s", async (text, grade, used) => {
    emmc({ life_time: text, date: "01/2008" });
    begin();
    expect(await round()).toMatchObject([
      {
        subject: "mmcblk0",
        grade,
        reason: "worn",
        value: used,
        readings: { used_pct: used, written_bytes: 512_000_000 },
      },
    ]);
  });

  test("its life is held between the steps, and spare blocks are worse", async () => {
    emmc({ life_time: "0x09 0x01", date: "01/2008" });
    begin();
    await round();
    life("0x08 0x01");
    expect(await round(HOUR)).toMatchObject([{ grade: "warning", holds: "warning" }]);
    board.write("/sys/devices/platform/sdhci/mmc_host/mmc0/mmc0:0001/pre_eol_info", "0x02\n");
    expect(await round(HOUR)).toMatchObject([{ grade: "major", reason: "spare" }]);
    board.write("/sys/devices/platform/sdhci/mmc_host/mmc0/mmc0:0001/pre_eol_info", "0x03\n");
    expect(await round(HOUR)).toMatchObject([{ grade: "critical", reason: "spare" }]);
  });

  test("what is written a day, and when it is worn out at the pace since it was made", async () => {
    emmc({ life_time: "0x07 0x01", date: "11/2025" }); // a year for 70 %
    begin();
    await round();
    written(1_000_000 + 2_000_000);
    const [verdict] = await round(12 * HOUR);
    expect(verdict).toMatchObject({
      grade: "warning",
      reason: "left",
      says: expect.stringMatching(
        /^70 % of its life is used; 2\.0 GB are written a day; at this pace worn out in 1\d\d days$/,
      ),
      readings: { written_per_day_bytes: 2_048_000_000 },
    });
  });

  test("a clock that was never set tells no end, nor does a young device", async () => {
    clock = new HandClock(86_400_000);
    emmc({ life_time: "0x07 0x01" });
    begin();
    expect(await round()).toMatchObject([{ grade: "ok" }]);
    clock = new HandClock();
    life("0x01 0x01");
    begin();
    expect((await round())[0]).not.toHaveProperty("readings.left_d");
  });

  test("an old kernel or a card tells no life; that is no fault", async () => {
    emmc({ type: "SD", date: "00/0000" });
    life("");
    board.write("/sys/devices/platform/sdhci/mmc_host/mmc0/mmc0:0001/pre_eol_info", undefined);
    begin();
    const [verdict] = await round();
    expect(verdict).toMatchObject({ subject: "mmcblk0", grade: "ok", says: "its wear is not told" });
  });
});

describe("errors", () => {
  test("of the bus are counted over a day, from debugfs and from SCSI", async () => {
    emmc();
    const errors = (n: number): void =>
      board.write(
        "/sys/kernel/debug/mmc0/err_stats",
        `# Command Timeout Occurred:\t 1\n# Data CRC Errors Occurred:\t ${n}\n`,
      );
    errors(5);
    begin();
    await round();
    errors(9);
    expect(await round(HOUR)).toMatchObject([{ grade: "ok", readings: { errors_count: 10, errors_per_day_count: 4 } }]);
    errors(25);
    expect(await round(HOUR)).toMatchObject([
      { grade: "warning", reason: "errors", value: 20, says: "20.0 errors a day, 26 in all" },
    ]);
    expect(await round(22 * HOUR)).toMatchObject([{ grade: "warning", holds: "warning" }]);
    expect(await round(3 * HOUR)).toMatchObject([{ grade: "ok", holds: "ok" }]);
    errors(0); // a reboot of the host
    const [anew] = await round(HOUR);
    expect(anew).toMatchObject({ grade: "ok", readings: { errors_count: 1 } });
    expect(JSON.stringify(anew)).not.toContain("errors_per_day_count");
  });

  test("an ext4 file system noted stay until it is repaired, and are worse when young", async () => {
    const nowS = Math.round(clock.wall() / 1_000);
    const fs = (count: number, last: number): void => {
      board.write("/sys/fs/ext4/mmcblk0p2/errors_count", `${count}\n`);
      board.write("/sys/fs/ext4/mmcblk0p2/last_error_time", `${last}\n`);
    };
    board.write("/sys/fs/ext4/features/lazy_itable_init", "supported\n");
    emmc();
    fs(0, 0);
    begin();
    const of = async (): Promise<Verdict | undefined> => (await round()).find(({ subject }) => subject === "mmcblk0p2");
    expect(await of()).toMatchObject({ grade: "ok" });
    fs(3, nowS - 7_200);
    expect(await of()).toMatchObject({
      grade: "major",
      reason: "fserrors",
      says: "3 errors noted in the file system, the last 2.0 h ago: it needs fsck",
    });
    fs(3, nowS - 5 * 86_400);
    expect(await of()).toMatchObject({ grade: "minor", says: expect.stringContaining("5 days ago") });
    fs(3, nowS + 86_400 * 365); // our own clock was never set
    expect(await of()).toMatchObject({ grade: "minor", says: "3 errors noted in the file system: it needs fsck" });
    expect((await round()).map(({ subject }) => subject)).toEqual(["mmcblk0", "mmcblk0p2"]);
  });
});

test("only real disks are disks: no loops, RAM, maps, boot areas, empty readers", () => {
  emmc();
  for (const name of [
    "loop0",
    "zram0",
    "ram1",
    "dm-0",
    "md127",
    "sr0",
    "mmcblk0boot0",
    "mmcblk0rpmb",
    "nvme0n1",
    "sda",
    "vda",
  ])
    board.write(`/sys/block/${name}/size`, "100\n");
  board.write("/sys/block/sdb/size", "0\n");
  expect(findDisks(board.machine).map(({ name, kind }) => `${name} ${kind}`)).toEqual([
    "mmcblk0 emmc",
    "nvme0n1 other",
    "sda other",
    "vda other",
  ]);
});

test("a disk that is pulled is not judged any more, one that is ignored never was", async () => {
  emmc();
  board.write("/sys/block/sda/size", "100\n");
  board.write("/sys/block/sdb/size", "100\n");
  begin({ ignore: ["sdb"] });
  expect((await round()).map(({ subject }) => subject)).toEqual(["mmcblk0", "sda"]);
  board.write("/sys/block/sda/size", undefined);
  const { rmdirSync } = await import("node:fs");
  rmdirSync(board.machine.at("/sys/block/sda"));
  expect((await round(HOUR)).map(({ subject }) => subject)).toEqual(["mmcblk0"]);
});

const nvme = (log: Record<string, number>, passed = true): string =>
  JSON.stringify({
    ...{ smartctl: { exit_status: 0 }, device: { name: "/dev/nvme0n1", type: "nvme" }, smart_status: { passed } },
    power_on_time: { hours: 10_000 },
    nvme_smart_health_information_log: {
      ...{
        critical_warning: 0,
        temperature: 41,
        available_spare: 100,
        available_spare_threshold: 10,
        percentage_used: 3,
      },
      ...{ data_units_written: 123_456, media_errors: 0, power_on_hours: 10_000, ...log },
    },
  });
const ata = (rows: [id: number, value: number, raw: number][], passed = true): string =>
  JSON.stringify({
    ...{ smartctl: { exit_status: 4 }, smart_status: { passed }, power_on_time: { hours: 20_000 } },
    ata_smart_attributes: {
      table: rows.map(([id, value, raw]) => ({
        id,
        name: `a${id}`,
        value,
        worst: value,
        thresh: 5,
        raw: { value: raw, string: String(raw) },
      })),
    },
  });

describe("SMART", () => {
  test.each([
    ["a healthy NVMe disk", nvme({}), "ok", "worn"],
    ["a worn one", nvme({ percentage_used: 104 }), "major", "worn"],
    ["one without spare blocks", nvme({ available_spare: 8 }), "critical", "spare"],
    ["one with media errors", nvme({ media_errors: 2 }), "minor", "unreadable"],
    ["one that only is hot", nvme({ critical_warning: 2 }), "ok", "worn"],
    ["one that is read-only", nvme({ critical_warning: 8 }), "critical", "failing"],
    ["one that says it fails", nvme({}, false), "critical", "failing"],
    [
      "a healthy SSD",
      ata([
        [5, 100, 0],
        [177, 97, 30],
        [231, 95, 5],
      ]),
      "ok",
      "worn",
    ],
    ["a worn SSD", ata([[233, 8, 0]]), "minor", "worn"],
    ["a disk that gave up sectors", ata([[5, 80, 150]]), "minor", "reallocated"],
    [
      "a disk with pending sectors",
      ata([
        [5, 100, 0],
        [197, 100, 60],
      ]),
      "major",
      "unreadable",
    ],
    ["a raw value with other figures above", ata([[197, 100, 7 * 2 ** 32]]), "ok", "worn"],
  ])("%s", async (_, printed, grade, reason) => {
    board.write("/sys/block/nvme0n1/size", "100\n");
    const asked: string[][] = [];
    begin(
      {},
      {
        run: async (order) => {
          asked.push([...order.argv]);
          order.exited?.(4, "");
          return printed;
        },
      },
    );
    expect(await round()).toMatchObject([{ subject: "nvme0n1", grade, reason }]);
    await round(HOUR);
    expect(asked).toEqual([["smartctl", "-j", "-n", "standby", "-a", "/dev/nvme0n1"]]); // once a day
  });

  test("what it told once stands while the disk sleeps; an eMMC is never asked", async () => {
    emmc();
    board.write("/sys/block/sda/size", "100\n");
    let printed = ata([[197, 100, 60]]);
    let asked = 0;
    begin(
      {},
      {
        run: async () => {
          asked += 1;
          return printed;
        },
      },
    );
    expect(await round()).toMatchObject([{ subject: "mmcblk0" }, { subject: "sda", grade: "major" }]);
    printed = JSON.stringify({
      smartctl: { messages: [{ string: "Device is in STANDBY mode, exit(2)" }], exit_status: 2 },
    });
    await round(26 * HOUR);
    await clock.wind(0);
    expect(await round()).toMatchObject([{ subject: "mmcblk0" }, { subject: "sda", grade: "major" }]);
    expect(asked).toBe(2);
  });

  test("where it must tell and cannot, the disk is unknown in smartctl's words", async () => {
    board.write("/sys/block/sda/size", "100\n");
    begin(
      { smart: "on" },
      {
        run: async () =>
          JSON.stringify({
            smartctl: { messages: [{ string: "Smartctl open device: /dev/sda failed: Permission denied" }] },
          }),
      },
    );
    expect(await round()).toMatchObject([
      { subject: "sda", state: "judged" },
      { subject: "sda", state: "unknown", because: expect.stringContaining("Permission denied") },
    ]);
    judge?.close?.();
    begin({ smart: "on" });
    expect((await round())[1]).toMatchObject({ state: "unknown", because: expect.stringContaining("smartmontools") });
  });

  test.skipIf(needs("smartctl", "smartmontools"))("the real program, of a disk that has none", async () => {
    board.write("/sys/block/vigil-none/size", "100\n");
    begin({ smart: "on" }, { run: (order) => runProgram(order, systemClock) });
    expect((await round())[1]).toMatchObject({
      ...{ subject: "vigil-none", state: "unknown" },
      because: expect.stringMatching(/^smartctl: .*\/dev\/vigil-none/),
    });
  });

  test("any JSON and any text is facts or a failure", () => {
    const part = fc.constantFrom(
      "smart_status",
      "nvme_smart_health_information_log",
      "ata_smart_attributes",
      "power_on_time",
      "smartctl",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.dictionary(part, fc.jsonValue()).map((all) => JSON.stringify(all)),
        ),
        (text) => {
          try {
            for (const value of Object.values(parseSmart(text))) expect(["number", "boolean"]).toContain(typeof value);
          } catch (failure) {
            expect(failure).toBeInstanceOf(Failure);
          }
        },
      ),
    );
  });
});

describe("what the kernel writes", () => {
  test("is read, or nothing", () => {
    expect(parseHex("0x0b")).toBe(11);
    expect([undefined, "", "11", "0x", "0xzz", "0x1 "].map(parseHex)).toEqual(Array(6).fill(undefined));
    expect(["0x01 0x03", "0x00 0x02", "0x0b 0x00"].map(parseLifeTime)).toEqual([30, 20, 110]);
    expect([undefined, "", "0x00 0x00", "0xff 0x0c", "x"].map(parseLifeTime)).toEqual(Array(5).fill(undefined));
    expect(parseMade("11/2019")).toBe(2019 * 12 + 10);
    expect([undefined, "", "13/2019", "00/2019", "01/1997", "2019"].map(parseMade)).toEqual(Array(6).fill(undefined));
    expect(parseErrStats("# A:\t 2\n# B Occurred:\t 3\nrubbish\n")).toBe(5);
    expect(parseWritten(" 1 2 3 4 5 6 7 8 9")).toBe(7 * 512);
    expect(["", "1 2 3", "1 2 3 4 5 6 x"].map(parseWritten)).toEqual([undefined, undefined, undefined]);
  });

  test("however damaged, is a finite figure or nothing", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        for (const parse of [parseHex, parseLifeTime, parseMade, parseErrStats, parseWritten])
          expect(parse(text) ?? 0).toSatisfy(Number.isFinite);
      }),
    );
  });
});

test("this machine's own disks are judged", async () => {
  const { machineAt } = await import("../../../platform/machine.ts");
  judge = wear.begin(wear.Config.parse({}), checkPorts(folder.path, { machine: machineAt() }));
  for (const verdict of await round()) expect(verdict).toMatchObject({ state: "judged" });
});
