import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Judge, Judged, Verdict } from "../../../agent/checks/check.ts";
import { logs } from "../../../agent/checks/logs/logs.ts";
import { parseConfig } from "../../../platform/config-file.ts";
import { type Machine, machineAt } from "../../../platform/machine.ts";
import { redactor } from "../../../platform/redact.ts";
import { checkPorts } from "../../kit/check-ports.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { run } from "../../kit/peers.ts";
import { tempFolder } from "../../kit/temp.ts";

let folder: string;
let log: string;
let clock: HandClock;
const live = machineAt();
/** This machine, up since the hand clock began. */
const machine: Machine = {
  ...live,
  read: (path) => (path === "/proc/uptime" ? `${1_000 + clock.now() / 1_000} 0\n` : live.read(path)),
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
});
afterEach(() => {
  judge?.close?.();
  judge = undefined;
  cleanUp[Symbol.dispose]();
});

const TICK = { id: "tick", titleZh: "滴答", titleEn: "Tick", literal: "tick", count: 1_000_000 };
const config = (more: object = {}) => ({ system: false, files: [{ path: log }], patterns: [TICK], ...more });

/** A new judge, as after a start; the one before is only forgotten, as after a kill. */
function start(more: object = {}, ports: Parameters<typeof checkPorts>[1] = {}): void {
  judge = logs.begin(logs.Config.parse(config(more)), checkPorts(folder, { clock, machine, ...ports }));
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
let written = 0;
/** Appends so many lines that each match once. */
function write(lines: number, path = log): void {
  let text = "";
  for (let i = 0; i < lines; i += 1, written += 1) text += `${written} tick of the clock\n`;
  appendFileSync(path, text);
}

describe("a file", () => {
  test("is followed from where it ends at the first start, which is said; quiet rounds answer the very same", async () => {
    write(5);
    start();
    expect((await of(log))?.says).toContain("from where it ended");
    write(3);
    expect(await ticks()).toBe(3);
    const told = await round();
    expect(await round()).toBe(told);
  });

  test("that grows fast is looked at in the fast rounds, too, for as long as it does", async () => {
    start();
    await round();
    write(10);
    await round();
    expect(judge?.stirred?.()).toBe(false);
    write(3_000);
    await round();
    expect(judge?.stirred?.()).toBe(true);
    await round();
    expect(judge?.stirred?.()).toBe(false);
  });

  test("that comes later is read from its beginning, and that it is missing is said after a while", async () => {
    start();
    expect((await of(log))?.grade).toBe("ok");
    expect(await of(log, 700_000)).toMatchObject({ grade: "warning", reason: "missing" });
    write(4);
    expect(await ticks()).toBe(4);
    expect((await of(log))?.grade).toBe("ok");
  });

  test("is picked up after a kill where it was left: nothing twice, nothing lost", async () => {
    start();
    await round();
    write(7);
    expect(await ticks()).toBe(7);
    write(2);
    start();
    expect(await ticks()).toBe(9);
    start();
    expect(await ticks()).toBe(9);
  });

  test("a line that is half written waits for its end", async () => {
    start();
    await round();
    appendFileSync(log, "one tick\nhalf a ti");
    expect(await ticks()).toBe(1);
    start();
    appendFileSync(log, "ck\n");
    expect(await ticks()).toBe(2);
  });
});

describe("a rotated file", () => {
  test("is read to its end before the new one is begun", async () => {
    start();
    await round();
    write(3);
    renameSync(log, `${log}.1`);
    write(2, `${log}.1`); // the writer has it open still
    write(4);
    expect(await ticks()).toBe(9);
    write(1, `${log}.1`);
    expect(await ticks()).toBe(10);
  });

  test("three times between two looks, and over a restart: each is found under whatever name", async () => {
    start();
    await round();
    write(3);
    await round();
    write(2);
    renameSync(log, `${log}.3`);
    write(4);
    renameSync(log, `${log}-20261122`);
    write(5);
    renameSync(log, `${log}.1`);
    write(6);
    start();
    expect(await ticks()).toBe(20);
    expect((await of(log))?.grade).toBe("ok");
    expect(await ticks(20_000)).toBe(20);
  });

  test("old ones and copies beside it are not read", async () => {
    write(50, `${log}.1`);
    write(60, `${log}.2`);
    write(3);
    start();
    await round();
    write(1);
    await round();
    copyFileSync(log, `${log}.bak`);
    renameSync(`${log}.1`, `${log}.9`);
    renameSync(log, `${log}.1`);
    write(2);
    expect(await ticks(20_000)).toBe(3);
    expect(await ticks(20_000)).toBe(3);
  });

  test("a last line without newline counts once nothing more comes", async () => {
    start();
    await round();
    appendFileSync(log, "last tick before the end");
    renameSync(log, `${log}.1`);
    write(1);
    expect(await ticks()).toBe(1);
    await round();
    expect(await ticks(6_000)).toBe(2);
  });

  test("packed while we were away: what was in it is counted as lost and told", async () => {
    start();
    await round();
    write(10);
    await ticks();
    const read = readFileSync(log).length;
    write(20);
    const packed = readFileSync(log);
    writeFileSync(`${log}.1.gz`, gzipSync(packed));
    rmSync(log);
    write(5);
    start();
    const verdict = await of(log);
    expect(verdict).toMatchObject({ grade: "warning", reason: "lost" });
    expect(verdict?.readings).toMatchObject({ lost_bytes: packed.length - read });
    expect(await ticks()).toBe(15);
    expect((await of(log, 3_700_000))?.grade).toBe("ok");
  });

  test("packed after it was read to its end: nothing is lost", async () => {
    start();
    await round();
    write(10);
    await ticks();
    writeFileSync(`${log}.1.gz`, gzipSync(readFileSync(log)));
    rmSync(log);
    write(5);
    start();
    expect((await of(log))?.grade).toBe("ok");
    expect(await ticks()).toBe(15);
  });
});

describe("a file cut in place", () => {
  test("after it was copied: the rest is read from the copy", async () => {
    start();
    await round();
    write(10);
    await ticks();
    for (let cut = 1; cut <= 3; cut += 1) {
      write(7);
      copyFileSync(log, `${log}.1`);
      truncateSync(log);
      write(2);
      expect(await ticks()).toBe(10 + 9 * cut);
    }
    expect(await of(log)).toMatchObject({ grade: "ok", readings: { lost_bytes: 0 } });
  });

  test("and copied several times while we were away, or before anything of it was read", async () => {
    start();
    await round();
    const turn = (): void => {
      for (let i = 5; i >= 1; i -= 1) if (existsSync(`${log}.${i}`)) renameSync(`${log}.${i}`, `${log}.${i + 1}`);
      copyFileSync(log, `${log}.1`);
      truncateSync(log);
    };
    write(3);
    turn();
    write(4);
    turn();
    write(5);
    expect(await ticks()).toBe(12);
    judge = undefined;
    write(1);
    turn();
    write(2);
    turn();
    write(7);
    start();
    expect(await ticks()).toBe(22);
    turn();
    await round();
    write(3);
    turn();
    write(4);
    expect(await ticks()).toBe(29);
    expect(await of(log)).toMatchObject({ grade: "ok", readings: { lost_bytes: 0 } });
  });

  test("without a copy: what is known to be lost is counted to the byte", async () => {
    start();
    await round();
    const line = "a tick that is always so long\n";
    const all = 300_000;
    writeFileSync(log, line.repeat(all)); // more than is read in one round
    const hits = await ticks();
    expect(hits).toBeGreaterThan(10_000);
    truncateSync(log);
    const verdict = await of(log);
    expect(verdict).toMatchObject({ grade: "warning", reason: "lost" });
    expect((verdict?.readings["lost_bytes"] ?? 0) + hits * line.length).toBe(all * line.length);
    write(4);
    expect(await ticks()).toBe(hits + 4);
  });

  test("and written again beyond where we stood: other bytes before our place give it away", async () => {
    start();
    await round();
    write(3);
    await ticks();
    truncateSync(log);
    write(40);
    expect(await ticks()).toBe(43);
    start();
    truncateSync(log);
    write(80);
    expect(await ticks()).toBe(123);
  });

  test("by a writer that goes on at its old place: the hole is passed over, the line after it is not", async () => {
    start();
    await round();
    write(3);
    await ticks();
    truncateSync(log);
    truncateSync(log, 200_000);
    write(2);
    expect(await ticks()).toBe(5);
  });
});

describe("hostile logs", () => {
  test("4 MB lines, NULs, what is no UTF-8, escape sequences", async () => {
    start({ patterns: [{ ...TICK, count: 1 }] });
    await round();
    appendFileSync(log, `tick ${"x".repeat(4_000_000)} tick\n`);
    appendFileSync(log, Buffer.from([0, 0, 0xff, 0xfe, 0x80, 0x0a]));
    appendFileSync(log, `\u001b[31mred\u001b[0m\u001b]0;title\u0007 tick \u202e${"\u0000"}\u001b[2J\n`);
    appendFileSync(log, Buffer.concat([Buffer.from("tick "), Buffer.from([0xc3, 0x28, 0xff]), Buffer.from(" end\n")]));
    let verdict = await of("tick");
    for (let i = 0; i < 4; i += 1) verdict = await of("tick");
    expect(verdict?.readings["total_count"]).toBe(3);
    expect(verdict?.says).toContain("tick \ufffd(\ufffd end");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be there
    expect(verdict?.says).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
  });

  test("a flood is read in parts, and none of it is passed over silently", async () => {
    start();
    await round();
    const line = `${"y".repeat(100)} tick\n`;
    writeFileSync(log, line.repeat(100_000));
    const first = await ticks();
    expect(first * line.length).toBeLessThan(3_000_000);
    expect(await of(log)).toMatchObject({ reason: "behind" });
    for (let i = 0; i < 8; i += 1) await round();
    expect(await ticks()).toBe(100_000);
    expect((await of(log))?.grade).toBe("ok");
  });

  test("far too much at once: what is given up is told to the byte", async () => {
    start();
    await round();
    writeFileSync(log, "");
    truncateSync(log, 80 * 1024 * 1024);
    appendFileSync(log, "\na tick at the end\n");
    for (let i = 0; i < 3; i += 1) await round();
    const verdict = await of(log);
    expect(verdict).toMatchObject({ grade: "warning", reason: "lost" });
    expect(verdict?.readings["lost_bytes"]).toBe(79 * 1024 * 1024 + 19);
    expect(await ticks()).toBe(1);
  });

  test("what is no plain file is not opened, and does not hold us up; the others go on", async () => {
    const files = ["fifo", "folder", "loop", "null"].map((name) => join(folder, "log", name));
    const [fifo = "", inner = "", loop = "", device = ""] = files;
    run("mkfifo", [fifo]);
    mkdirSync(inner);
    symlinkSync(loop, loop);
    symlinkSync("/dev/zero", device);
    start({ files: [...files, log].map((path) => ({ path })) });
    await round();
    write(2);
    const verdicts = await round();
    const because = verdicts.flatMap((one) => (one.state === "unknown" ? [one.because] : []));
    expect(because.map((text) => text.replace(/^.*: /, ""))).toEqual([
      "a fifo, not a plain file",
      "a folder, not a plain file",
      "ELOOP",
      "a device, not a plain file",
    ]);
    expect(await ticks()).toBe(2);
    rmSync(fifo);
    write(3, fifo);
    expect(await ticks()).toBe(5);
  });

  test("a symbolic link is followed, and the file behind it through its rotation", async () => {
    mkdirSync(join(folder, "data"));
    const real = join(folder, "data", "real.log");
    write(1, real);
    symlinkSync(real, log);
    start();
    await round();
    write(2, real);
    renameSync(real, `${real}.1`);
    write(3, real);
    start();
    expect(await ticks()).toBe(5);
  });

  test("a file that may not be read any more is unknown until it may", async () => {
    if (process.getuid?.() === 0) return; // root may read anything
    start();
    await round();
    chmodSync(log, 0);
    await expect(of(log)).rejects.toThrow("EACCES");
  });
});

describe("what is kept", () => {
  /** Of the two that take turns: grows with each save. */
  const newest = (): number => {
    const slots = ["logs", "logs-2"].map((name) => join(folder, "run", name));
    return Math.max(...slots.filter((slot) => existsSync(slot)).map(turnOf));
  };

  test("of a quiet log its place once a minute; what was found and what was rotated at once; after a kill nothing twice", async () => {
    const calm = (): void => appendFileSync(log, "all is well\n");
    appendFileSync(log, "");
    start();
    await round();
    calm();
    await round(60_000);
    const begun = newest();
    for (let i = 0; i < 5; i += 1) {
      calm();
      await round(10_000);
    }
    expect(newest()).toBe(begun);
    calm();
    await round(10_000);
    const first = newest();
    expect(first).toBe(begun + 1);
    write(2);
    expect(await ticks()).toBe(2);
    expect(newest()).toBe(first + 1);
    calm();
    await round(30_000);
    renameSync(log, `${log}.1`);
    calm();
    await round();
    expect(newest()).toBe(first + 2);
    await round(6_000);
    await round(6_000); // the old file has brought nothing for a while: it is left
    const settled = newest();
    calm();
    await round(40_000);
    expect(newest()).toBe(settled);
    start();
    write(1);
    expect(await ticks()).toBe(3);
    calm();
    await round(60_000);
    const before = newest();
    expect(before).toBeGreaterThan(settled);
    calm();
    await round(10_000);
    expect(newest()).toBe(before);
    judge?.close?.();
    expect(newest()).toBe(before + 1);
  });

  test("of a busy log its place is kept every few seconds", async () => {
    appendFileSync(log, "");
    start();
    await round();
    for (let i = 0; i < 3; i += 1) {
      const before = newest();
      appendFileSync(log, "all is well\n".repeat(4_000));
      await round(6_000);
      expect(newest()).toBe(before + 1);
    }
  });

  test("a torn write of it loses nothing: the one before is gone on from", async () => {
    start();
    await round();
    write(3);
    await ticks();
    write(4);
    await ticks();
    judge = undefined;
    const slots = ["logs", "logs-2"].map((name) => join(folder, "run", name));
    const newest = slots.toSorted((a, b) => turnOf(b) - turnOf(a))[0] ?? "";
    writeFileSync(
      newest,
      readFileSync(newest, "latin1")
        .replace(/"total":\d+/, '"tot')
        .slice(0, -10),
      "latin1",
    );
    start();
    expect(await ticks()).toBe(7);
  });

  test("without memory it is on flash after a clean end, and the next boot goes on from there", async () => {
    start();
    await round();
    write(3);
    await ticks();
    judge?.close?.();
    const onFlash = (): number =>
      statSync(join(folder, "state", "checks", "logs-1"), { throwIfNoEntry: false })?.size ?? 0;
    await expect.poll(onFlash).toBeGreaterThan(0);
    rmSync(join(folder, "run"), { recursive: true });
    write(5);
    start();
    expect(await ticks()).toBe(8);
  });

  test("a place that cannot be kept is said, and what is found is told all the same", async () => {
    writeFileSync(join(folder, "run"), "no folder");
    start();
    write(2);
    expect((await round()).at(-1)).toMatchObject({ state: "unknown", subject: "place" });
    write(2);
    expect(await ticks()).toBe(2);
    rmSync(join(folder, "run"));
    await round(); // nothing came since
    start();
    expect(await ticks()).toBe(2);
  });

  test("it fits the slot with every pattern hit and every file rotated", async () => {
    const patterns = Array.from({ length: 60 }, (_, i) => ({ ...TICK, id: `tick-${i}`, count: 1 }));
    const files = Array.from({ length: 16 }, (_, i) => join(folder, "log", `f${i}.log`));
    for (const path of files) write(1, path);
    start({ patterns, files: files.map((path) => ({ path })) });
    await round();
    for (let turn = 1; turn < 5; turn += 1) {
      for (const path of files) {
        appendFileSync(path, `tick ${"中".repeat(300)}\n`);
        renameSync(path, `${path}.${9 - turn}`);
        write(1, path);
      }
      await round();
    }
    const sizes = ["logs", "logs-2"].map((name) => readFileSync(join(folder, "run", name)).length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(65_536);
    start({ patterns, files: files.map((path) => ({ path })) });
    expect((await of("tick-7"))?.readings["total_count"]).toBe(128);
  });
});

const turnOf = (path: string): number => Number(readFileSync(path, "utf8").split("\n")[1]);

describe("what is an alarm", () => {
  const limits = { ...TICK, severity: "major", count: 3, windowMs: 60_000, quietMs: 600_000 };

  test("so many lines in so long; it holds until nothing came for a while", async () => {
    start({ patterns: [limits] });
    await round();
    write(2);
    expect(await of("tick")).toMatchObject({ grade: "ok", holds: "ok", value: 2 });
    write(1);
    const verdict = await of("tick", 30_000);
    expect(verdict).toMatchObject({
      ...{ grade: "major", holds: "major", reason: "tick", title: { zh: "滴答", en: "Tick" }, value: 3 },
      readings: { window_count: 3, total_count: 3 },
    });
    expect(verdict?.says).toMatch(/^3 lines in 60 s \(raised at 3\), the last in .*app\.log: \d+ tick of the clock$/);
    expect(await of("tick", 61_000)).toMatchObject({ grade: "ok", holds: "major" });
    start({ patterns: [limits] }); // what was raised is still held after a restart
    expect(await of("tick", 400_000)).toMatchObject({ holds: "major" });
    expect(await of("tick", 200_000)).toMatchObject({ grade: "ok", holds: "ok" });
  });

  test("a pattern that never matched is no subject", async () => {
    start();
    expect((await round()).map(({ subject }) => subject)).toEqual([log]);
  });

  test("what leaves the device is redacted before it is cut", async () => {
    start({ patterns: [{ ...TICK, count: 1 }] }, { redact: redactor(["Zhang San"]) });
    await round();
    appendFileSync(log, `tick ${"z".repeat(170)} for Zhang San password=hunter2secret\n`);
    const says = (await of("tick"))?.says ?? "";
    expect(says).toContain("tick zzz");
    expect(says).not.toMatch(/Zhang|hunter2/);
  });

  test("of a file only the patterns it names are looked for; a regex decides what the literal only suggests", async () => {
    const patterns = [TICK, { ...TICK, id: "twelve", literal: "tick", regex: "tick \\d+ of 12$" }];
    const other = join(folder, "log", "other.log");
    start({ patterns, files: [{ path: log }, { path: other, patterns: ["twelve"] }] });
    await round();
    appendFileSync(log, "tick 3 of 12\ntick 3 of 13\n");
    appendFileSync(other, "tick 4 of 12\ntick\n");
    const counts = (await round()).flatMap((one) =>
      one.state === "judged" && one.subject.startsWith("t") ? [[one.subject, one.readings["total_count"]]] : [],
    );
    expect(Object.fromEntries(counts)).toEqual({ tick: 2, twelve: 2 });
  });
});

describe("by hand", () => {
  test("the last part of each file is looked through; what is found is a warning at most, and nothing is left behind", async () => {
    write(3);
    const { keep: _keep, ...ports } = checkPorts(folder, { clock });
    judge = logs.begin(logs.Config.parse(config({ patterns: [{ ...TICK, severity: "critical", count: 2 }] })), ports);
    expect(await of("tick")).toMatchObject({ grade: "warning", value: 3, title: { en: "Tick" } });
    expect((await of(log))?.says).toContain("looked through its last");
    expect(existsSync(join(folder, "run"))).toBe(false);
  });
});

describe("config", () => {
  const fault = (value: object): string => {
    try {
      parseConfig(JSON.stringify(value), logs.Config, "logs");
      return "";
    } catch (cause) {
      return cause instanceof Error ? cause.message : String(cause);
    }
  };
  const own = (more: object) => ({ patterns: [{ ...TICK, ...more }] });

  test("an expression that may run away is refused by the name of its pattern, with the reason", () => {
    const text = fault(own({ regex: ".*tick.*tock.*" }));
    expect(text).toContain("patterns.0.regex");
    expect(text).toContain('pattern "tick" is not: quadratic');
    expect(fault(own({ regex: "(tick)+\\s*\\s*x" }))).toContain("can take the same characters");
    expect(fault(own({ regex: "tock \\d+" }))).toContain('can match a line without "tick"');
    expect(fault(own({ regex: "tick \\d+" }))).toBe("");
  });

  test("mistakes are named by their path", () => {
    expect(fault(own({ literal: "x" }))).toContain("patterns.0.literal");
    expect(fault(own({ id: "oom" }))).toContain("none of the catalogue");
    expect(fault({ catalogue: { oops: {} } })).toContain("fs-error, ");
    expect(fault({ files: [{ path: "/a", patterns: ["nope"] }] })).toContain('"nope" is none');
    expect(fault({ files: [{ path: "/a" }, { path: "/a" }] })).toContain("each path once");
    expect(fault({ files: [{ path: "a" }] })).toContain("files.0.path");
    expect(fault({ catalogue: { oom: { enabled: false }, "usb-reset": { count: 9 } } })).toBe("");
  });

  test("nothing to follow is not present", () => {
    expect(logs.begin(logs.Config.parse({ system: false }), checkPorts(folder))).toBeUndefined();
  });
});
