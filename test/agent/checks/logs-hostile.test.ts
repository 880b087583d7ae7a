import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Judge, Judged, Verdict } from "../../../agent/checks/check.ts";
import { FollowedFile } from "../../../agent/checks/logs/file.ts";
import { logs } from "../../../agent/checks/logs/logs.ts";
import { type Machine, machineAt } from "../../../platform/machine.ts";
import { checkPorts } from "../../kit/check-ports.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { tempFolder } from "../../kit/temp.ts";

/** What a field does to a log that nobody planned. */

let folder: string;
let log: string;
let clock: HandClock;
let boot: string;
const live = machineAt();
const machine: Machine = {
  ...live,
  read(path) {
    if (path === "/proc/uptime") return `${1_000 + clock.now() / 1_000} 0\n`;
    return path === "/proc/sys/kernel/random/boot_id" ? `${boot}\n` : live.read(path);
  },
};
let judge: Judge | undefined;
let cleanUp: Disposable;
beforeEach(() => {
  const made = tempFolder("vigil-logs");
  cleanUp = made;
  folder = made.path;
  mkdirSync(join(folder, "log"));
  log = join(folder, "log", "app.log");
  clock = new HandClock();
  boot = "one";
});
afterEach(() => {
  judge?.close?.();
  judge = undefined;
  cleanUp[Symbol.dispose]();
});

const TICK = { id: "tick", titleZh: "滴答", titleEn: "Tick", literal: "tick", count: 1_000_000 };
function start(more: object = {}): void {
  const config = logs.Config.parse({ system: false, files: [{ path: log }], patterns: [TICK], ...more });
  judge = logs.begin(config, checkPorts(folder, { clock, machine }));
}
async function round(afterMs = 1_000): Promise<readonly Verdict[]> {
  await clock.wind(afterMs);
  return (await judge?.judge(new AbortController().signal)) ?? [];
}
async function of(subject: string, afterMs?: number): Promise<Judged | undefined> {
  const verdict = (await round(afterMs)).find((one) => one.subject === subject);
  if (verdict?.state === "unknown") throw new Error(verdict.because);
  return verdict;
}
const ticks = async (afterMs?: number): Promise<number> => (await of("tick", afterMs))?.readings["total_count"] ?? 0;
const write = (lines: number, path = log): void => {
  for (let i = 0; i < lines; i += 1) appendFileSync(path, `${i} ${path} tick of the clock\n`);
};

describe("a log with the rotated ones of many days beside it", () => {
  /** Each a day older than the one before, as `dateext` leaves them. */
  function manyDays(count: number, end: string): void {
    for (let day = 1; day <= count; day += 1) {
      const path = `${log}-2026${String(day).padStart(4, "0")}${end}`;
      write(3, path);
      const at = Date.now() / 1_000 - day * 86_400;
      utimesSync(path, at, at);
    }
  }

  test.each([
    ["", "plain"],
    [".gz", "packed"],
  ])("none of them is news after the next rotation, nor lost %s(%s)", async (end) => {
    manyDays(90, end);
    manyDays(60, ".old");
    write(3);
    start();
    await round();
    write(2);
    await ticks();
    renameSync(log, `${log}.1`);
    write(4);
    expect(await ticks()).toBe(6);
    expect(await ticks(20_000)).toBe(6);
    expect(await of(log)).toMatchObject({ grade: "ok", readings: { lost_count: 0 } });
  });
  test("nor where the log is not there at the start", async () => {
    manyDays(90, "");
    start();
    await round();
    write(4);
    expect(await ticks()).toBe(4);
    expect(await ticks(20_000)).toBe(4);
  });
});

test("rotated a dozen times while nobody read: after the start all of it is read", async () => {
  start();
  await round();
  write(3);
  await ticks();
  write(5);
  for (let i = 30; i > 18; i -= 1) {
    renameSync(log, `${log}.${i}`);
    write(2);
  }
  start();
  await round();
  expect(await ticks(20_000)).toBe(8 + 24);
  expect((await of(log))?.readings["lost_bytes"]).toBe(0);
});

test("rotated more often between two looks than can be kept: what is given up of the first is counted, too", async () => {
  start();
  await round();
  write(3);
  await ticks();
  write(5);
  const unread = statSync(log).size;
  let all = 8;
  for (let i = 30; i > 10; i -= 1) {
    renameSync(log, `${log}.${i}`);
    write(2);
    all += 2;
  }
  await round();
  const verdict = await of(log);
  const seen = await ticks(20_000);
  const line = readFileSync(log).length / 2;
  expect(unread).toBe(8 * line);
  expect(seen * line + (verdict?.readings["lost_bytes"] ?? 0)).toBe(all * line);
});

test("what was rotated away and read is closed again: one file is open in the end, and none after it", async () => {
  const open = (): string[] =>
    readdirSync("/proc/self/fd").flatMap((fd) => {
      try {
        const path = readlinkSync(`/proc/self/fd/${fd}`);
        return path.startsWith(join(folder, "log")) ? [path] : [];
      } catch {
        return []; // the one that lists them
      }
    });
  start();
  for (let turn = 0; turn < 20; turn += 1) {
    write(1);
    await round();
    if (turn % 2 === 0) renameSync(log, `${log}.${turn}`);
    else rmSync(log);
  }
  write(1);
  for (let i = 0; i < 4; i += 1) await round(6_000);
  expect(open()).toEqual([log]);
  judge?.close?.();
  judge = undefined;
  expect(open()).toEqual([]);
});

test("a log that could not be read at the first start is begun at its end, also after a restart", async () => {
  start();
  symlinkSync(log, log); // a loop
  await round();
  await round(20_000);
  start();
  await round();
  rmSync(log);
  write(5);
  await round();
  write(2);
  expect(await ticks()).toBe(2);
});

test("lines that take long to search are looked at in smaller parts, and none is passed over", () => {
  const parts: number[] = [];
  let lines = 0;
  const onLines = (bytes: Buffer): void => {
    parts.push(bytes.length);
    lines += bytes.toString().split("\n").length - 1;
  };
  write(1);
  const file = new FollowedFile(log, onLines, "end");
  file.poll(0, { bytes: 1_000_000, more: () => true });
  for (let i = 0; i < 100; i += 1) appendFileSync(log, `${"x".repeat(3_000)}\n`);
  let asked = 0; // each part takes all the time there is
  const once = { bytes: 1_000_000, more: () => asked++ % 2 === 0 };
  for (let round = 1; round < 60; round += 1) file.poll(round, once);
  file.close();
  expect(parts[0]).toBeGreaterThan(50_000);
  expect(Math.max(...parts.slice(4))).toBeLessThanOrEqual(4_096);
  expect(lines).toBe(100);
});

describe("over a reboot", () => {
  const limits = { ...TICK, severity: "major", count: 2, windowMs: 60_000, quietMs: 600_000 };
  test("an alarm that stood is held until it was quiet for so long", async () => {
    start({ patterns: [limits] });
    await round();
    write(2);
    expect(await of("tick")).toMatchObject({ grade: "major" });
    boot = "two";
    clock = new HandClock();
    start({ patterns: [limits] });
    expect(await of("tick")).toMatchObject({ holds: "major", value: 0 });
    expect(await of("tick", 500_000)).toMatchObject({ holds: "major" });
    expect(await of("tick", 200_000)).toMatchObject({ holds: "ok" });
  });
  test("so it is after a power cut, though the memory went with it and nothing can be read again", async () => {
    start({ patterns: [limits] });
    await round();
    write(2);
    expect(await of("tick")).toMatchObject({ grade: "major" });
    const onFlash = (): string =>
      ["logs-1", "logs-2"]
        .map((name) => join(folder, "state", "checks", name))
        .map((path) => (existsSync(path) ? readFileSync(path, "utf8") : ""))
        .join("");
    await expect.poll(onFlash).toContain('"raised":true');
    judge = undefined;
    rmSync(join(folder, "run"), { recursive: true });
    boot = "two";
    clock = new HandClock();
    start({ patterns: [limits] });
    expect(await of("tick")).toMatchObject({ holds: "major" });
  });
  test("an alarm that comes and goes wears the flash no more than every ten minutes", async () => {
    start({ patterns: [{ ...limits, quietMs: 1_000, windowMs: 1_000 }] });
    const turns = new Set<string>();
    for (let second = 0; second < 300; second += 1) {
      if (second % 3 === 0) write(2);
      await round();
      for (const name of ["logs-1", "logs-2"]) {
        const path = join(folder, "state", "checks", name);
        if (existsSync(path)) turns.add(readFileSync(path, "utf8").split("\n")[0] ?? "");
      }
    }
    expect([...turns].filter((turn) => turn !== "").length).toBeLessThanOrEqual(2);
  });
  test("a disk that has another number now is the same log still", async () => {
    start();
    await round();
    write(5);
    expect(await ticks()).toBe(5);
    judge = undefined;
    for (const name of ["logs", "logs-2"]) {
      const path = join(folder, "run", name);
      writeFileSync(
        path,
        readFileSync(path, "utf8").replaceAll(/"dev":(\d+)/g, (_, dev: string) => `"dev":${"9".repeat(dev.length)}`),
      );
    }
    write(2);
    boot = "two";
    start();
    expect(await ticks()).toBe(7);
    write(1);
    start();
    expect(await ticks()).toBe(8);
  });
});
