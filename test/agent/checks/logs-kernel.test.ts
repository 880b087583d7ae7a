import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Judge } from "../../../agent/checks/check.ts";
import { KernelLog, type KernelState, parseRecord } from "../../../agent/checks/logs/kernel.ts";
import { logs } from "../../../agent/checks/logs/logs.ts";
import { findSources } from "../../../agent/checks/logs/sources.ts";
import { machineAt } from "../../../platform/machine.ts";
import { checkPorts } from "../../kit/check-ports.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { needsThat } from "../../kit/peers.ts";
import { tempFolder } from "../../kit/temp.ts";

const KMSG = "/dev/kmsg";
const BOOT = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();

describe("a record of the kernel's log", () => {
  test("has a number, a writer and a text; properties after it are no text", () => {
    expect(parseRecord("6,1234,567890,-;EXT4-fs (sda1): mounted\n SUBSYSTEM=block\n DEVICE=b8:1\n")).toEqual({
      ...{ seq: 1234, isKernel: true, atUs: 567_890, text: "EXT4-fs (sda1): mounted" },
    });
    expect(parseRecord("12,7,8,c,caller=T1;from a program; really\n")).toMatchObject({
      isKernel: false,
      text: "from a program; really",
    });
  });

  test("anything else is none", () => {
    for (const text of ["", ";", "6,1,2", "x,1,2,-;text", "6,1;text", "6,,2,-;text"])
      expect(parseRecord(text)).toBeUndefined();
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void parseRecord(text)));
  });
});

const canWrite = ((): boolean => {
  try {
    writeFileSync(KMSG, "vigil: a test asks whether it may write here\n");
    return true;
  } catch {
    return false;
  }
})();

describe.skipIf(needsThat(canWrite, "nothing, but run as root with /dev/kmsg"))("the real kernel log", () => {
  const lines: string[] = [];
  const mine = (text: string): string => `vigil-test-${process.pid}: ${text}`;
  const say = (...texts: string[]): void => {
    for (const text of texts) writeFileSync(KMSG, `${mine(text)}\n`);
  };
  /** Reads all that is there and returns what this test wrote. */
  function read(log: KernelLog): string[] {
    lines.length = 0;
    log.poll(1, () => true);
    return lines.filter((line) => line.startsWith(mine("")));
  }
  const open = (state?: KernelState, fresh = false): KernelLog =>
    new KernelLog(KMSG, BOOT, state, fresh, (line) => lines.push(line));

  test("is read from where it was left, and at the first start from its end", () => {
    say("before");
    const first = open(undefined, true);
    expect(read(first)).toEqual([]);
    say("one", "two");
    expect(read(first)).toEqual([mine("one"), mine("two")]);
    expect(read(first)).toEqual([]);
    first.close();
    say("three");
    const again = open(structuredClone(first.state));
    expect(read(again)).toEqual([mine("three")]);
    expect(again.state.lost).toBe(0);
    again.close();
  });

  test("of another boot everything is new; what was overwritten is counted by its numbers", () => {
    say("early");
    const other = open({ boot: "another", next: 5_000_000, lost: 3, lostAt: 9 });
    expect(read(other)).toContain(mine("early"));
    const { next } = other.state;
    other.close();
    const gap = open({ boot: BOOT, next: next - 1, lost: 0, lostAt: 0 });
    read(gap);
    expect(gap.state.lost).toBe(0);
    gap.close();
  });

  test("the check counts its lines over a restart, and a program's line is not the kernel's", async () => {
    using folder = tempFolder("vigil-kernel");
    const root = join(folder.path, "root"); // a machine without a journal and without syslog files
    mkdirSync(root);
    const live = machineAt();
    const bare = machineAt(root);
    const machine = {
      ...bare,
      at: (path: string) => (path === KMSG ? path : bare.at(path)),
      read: live.read,
      stat: (path: string) => (path === KMSG ? live.stat(path) : bare.stat(path)),
    };
    const pattern = { id: "mine", titleZh: "我的", titleEn: "Mine", literal: mine("tick") };
    const start = (): Judge | undefined =>
      logs.begin(logs.Config.parse({ patterns: [pattern] }), checkPorts(folder.path, { machine }));
    const count = async (judge: Judge | undefined) => {
      const verdicts = await judge?.judge(new AbortController().signal);
      const found = verdicts?.find(({ subject }) => subject === "mine");
      return found?.state === "judged" ? found.readings["total_count"] : 0;
    };
    const first = start();
    expect(await count(first)).toBe(0);
    say("tick 1", "tick 2", "Out of memory: Killed process 1 (but no kernel says so)");
    expect(await count(first)).toBe(2);
    first?.close?.();
    say("tick 3");
    const again = start();
    expect(await count(again)).toBe(3);
    const verdicts = await again?.judge(new AbortController().signal);
    expect(verdicts?.map(({ subject }) => subject).toSorted()).toEqual(["kernel", "mine"]);
    again?.close?.();
  });
});

test("records that were overwritten before they were read are counted", () => {
  using folder = tempFolder("vigil-ring");
  const path = join(folder.path, "kmsg");
  writeFileSync(path, "6,100,1,-;after a gap\n"); // one read gives one record: of a plain file, all of it
  const lines: string[] = [];
  const log = new KernelLog(path, "b", { boot: "b", next: 40, lost: 2, lostAt: 0 }, false, (line) => lines.push(line));
  expect(log.poll(77, () => true)).toBe(true);
  expect(lines).toEqual(["after a gap"]);
  expect(log.state).toEqual({ boot: "b", next: 101, lost: 62, lostAt: 77 });
  log.close();
});

test("a kernel that says much is read in the fast rounds, too, and its place is kept: after a kill nothing is called lost", async () => {
  using folder = tempFolder("vigil-flood");
  const root = join(folder.path, "root");
  mkdirSync(join(root, "dev"), { recursive: true });
  const bare = machineAt(root);
  const read = (path: string) => (path.endsWith("boot_id") ? "b\n" : path === "/proc/uptime" ? "1000 0\n" : undefined);
  const machine = { ...bare, read };
  const device = join(root, KMSG);
  /** One read gives one record. */
  const record = (seq: number): string => `6,${seq},1,-;all is well\n`.padEnd(8_192);
  const say = (from: number, to: number): void => {
    for (let seq = from; seq < to; seq += 1) appendFileSync(device, record(seq));
  };
  const pattern = { id: "mine", titleZh: "我的", titleEn: "Mine", literal: "tick" };
  const clock = new HandClock();
  const start = (): Judge | undefined =>
    logs.begin(logs.Config.parse({ patterns: [pattern] }), checkPorts(folder.path, { machine, clock }));
  const round = async (judge: Judge | undefined, afterMs: number) => {
    await clock.wind(afterMs);
    return judge?.judge(new AbortController().signal);
  };
  say(0, 1);
  const first = start();
  await round(first, 0);
  say(1, 20);
  await round(first, 10_000);
  expect(first?.stirred?.()).toBe(false);
  say(20, 320);
  await round(first, 10_000);
  expect(first?.stirred?.()).toBe(true);
  await round(first, 1_000);
  expect(first?.stirred?.()).toBe(false);
  writeFileSync(device, record(320)); // all before is written over; and the agent was killed
  const [kernel] = (await round(start(), 0)) ?? [];
  expect(kernel).toMatchObject({ subject: "kernel", grade: "ok", readings: { lost_count: 0 } });
});

describe("which logs a machine has", () => {
  function sources(files: Record<string, string>, canKernel: boolean, config: object = {}) {
    using folder = tempFolder("vigil-sources");
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(folder.path, path, ".."), { recursive: true });
      writeFileSync(join(folder.path, path), text);
    }
    const found = findSources(machineAt(folder.path), logs.Config.parse(config), canKernel);
    return {
      journal: found.journal !== undefined,
      kernel: found.kernel !== undefined,
      files: found.files.map(({ path, skipsKernel }) => (skipsKernel ? `${path} without the kernel` : path)),
      patterns: found.files.map(({ patterns }) => patterns.map(({ id }) => id)),
    };
  }
  const SYSLOG = { "/var/log/syslog": "", "/var/log/kern.log": "", "/var/log/auth.log": "" };
  const JOURNAL = { "/usr/bin/journalctl": "", "/var/log/journal/0123456789abcdef0123456789abcdef/system.journal": "" };

  test("the journal has everything: no file of syslog beside it, but the site's own", () => {
    const config = { files: [{ path: "/var/log/syslog" }, { path: "/opt/app.log" }] };
    expect(sources({ ...SYSLOG, ...JOURNAL }, true, config)).toMatchObject({
      journal: true,
      kernel: false,
      files: ["/opt/app.log"],
    });
    expect(sources({ ...SYSLOG, "/usr/bin/journalctl": "" }, false).journal).toBe(false);
  });

  test("without it the kernel is asked itself, and its lines in syslog are passed over", () => {
    const found = sources(SYSLOG, true);
    expect(found).toMatchObject({
      journal: false,
      kernel: true,
      files: ["/var/log/syslog without the kernel", "/var/log/auth.log without the kernel"],
    });
    expect(found.patterns[0]).toContain("auth-failed");
    expect(found.patterns[0]).not.toContain("oom");
  });

  test("where the kernel may not be asked, one file has its lines", () => {
    expect(sources(SYSLOG, false)).toMatchObject({ kernel: false, files: ["/var/log/syslog", "/var/log/auth.log"] });
    expect(sources({ "/var/log/kern.log": "" }, false).files).toEqual(["/var/log/kern.log"]);
    expect(sources({ "/var/log/messages": "", "/var/log/secure": "" }, false).patterns[0]).toContain("oom");
  });

  test("the site's word goes before: none of the machine's own, other patterns, others left out", () => {
    expect(sources(SYSLOG, true, { system: false })).toMatchObject({ journal: false, kernel: false, files: [] });
    const config = {
      files: [{ path: "/var/log/syslog", patterns: ["oom"] }, { path: "/opt/a.log" }],
      catalogue: { oom: { count: 5 } },
    };
    expect(sources(SYSLOG, false, config).patterns.slice(0, 2)).toEqual([["oom"], []]);
  });
});
