import { createHash } from "node:crypto";
import { mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { CheckPorts, Judge, Judged, Verdict } from "../../../agent/checks/check.ts";
import { data } from "../../../agent/checks/data/data.ts";
import { inspect } from "../../../agent/checks/data/integrity.ts";
import { type Day, learn, MOST_DAYS, readHistory, usual } from "../../../agent/checks/data/usual.ts";
import { type WalkLimits, walk } from "../../../agent/checks/data/walk.ts";
import { AgentConfig } from "../../../agent/config.ts";
import { systemClock } from "../../../platform/clock.ts";
import { parseConfig } from "../../../platform/config-file.ts";
import { machineAt } from "../../../platform/machine.ts";
import { checkPorts } from "../../kit/check-ports.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { needsFuse, needsMounts, openMountSpace } from "../../kit/mount-space.ts";
import { type TempFolder, tempFolder } from "../../kit/temp.ts";

let folder: TempFolder;
let judge: Judge | undefined;
beforeEach(() => {
  folder = tempFolder();
});
afterEach(() => {
  judge?.close?.();
  judge = undefined;
  folder[Symbol.dispose]();
});
const at = (...names: string[]): string => join(folder.path, ...names);
const MAIN = new URL("../../../agent/main.ts", import.meta.url).pathname;

/** A file of `bytes`, changed at `ms`. */
function put(path: string, bytes = 1, ms = systemClock.wall()): void {
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, Buffer.alloc(bytes));
  utimesSync(path, ms / 1_000, ms / 1_000);
}

const LIMITS: WalkLimits = { match: [], depth: 8, maxEntries: 1_000, crossMounts: false };
const look = (more: Partial<WalkLimits> = {}, path = at("box")) =>
  walk(path, { ...LIMITS, ...more }, new AbortController().signal);

describe("a walk", () => {
  test("counts files, bytes and ages, as deep as it may, without following links", async () => {
    put(at("box/a.mp4"), 100, 5_000);
    put(at("box/in/B.MP4"), 20, 9_000);
    put(at("box/in/deep/c.txt"), 3, 1_000);
    put(at("elsewhere/huge"), 5_000, 1);
    symlinkSync(at("elsewhere"), at("box/link"));
    symlinkSync(at("elsewhere/huge"), at("box/file-link"));
    symlinkSync(at("box"), at("box/in/round"));
    expect(await look()).toEqual({ count: 3, bytes: 123, newestMs: 9_000, oldestMs: 1_000, cut: false, unreadable: 0 });
    expect(await look({ match: [".mp4"] })).toMatchObject({ count: 2, bytes: 120 });
    expect(await look({ depth: 1 })).toMatchObject({ count: 2 });
    expect(await look({ depth: 0 })).toMatchObject({ count: 1, bytes: 100 });
  });

  test("stops at so many entries, wherever they are", async () => {
    for (let i = 0; i < 30; i += 1) put(at("box", `d${i % 3}`, `f${i}`));
    expect(await look({ maxEntries: 10 })).toMatchObject({ cut: true });
    expect(await look({ maxEntries: 33 })).toMatchObject({ count: 30, cut: false });
    expect(await look({ maxEntries: 32 })).toMatchObject({ cut: true });
  });

  test("what is not there is missing, what is no folder an error; an empty folder is as old as its last change", async () => {
    expect(await look()).toBe("missing");
    put(at("box"));
    await expect(look()).rejects.toMatchObject({ code: "ENOTDIR" });
    rmSync(at("box"));
    mkdirSync(at("box"));
    utimesSync(at("box"), 7, 7);
    expect(await look()).toMatchObject({ count: 0, bytes: 0, newestMs: 7_000 });
  });

  test("leaves the event loop free in between, and ends when it is told to", async () => {
    mkdirSync(at("box"));
    for (let i = 0; i < 3_000; i += 1) writeFileSync(at("box", String(i)), "");
    let turns = 0;
    let walking = true;
    const count = (): void => {
      turns += 1;
      if (walking) setImmediate(count);
    };
    setImmediate(count);
    expect(await look({ maxEntries: 5_000 })).toMatchObject({ count: 3_000 });
    walking = false;
    expect(turns).toBeGreaterThan(3_000 / 64);
    const cut = new AbortController();
    const ended = walk(at("box"), { ...LIMITS, maxEntries: 5_000 }, cut.signal);
    cut.abort(new Error("enough"));
    await expect(ended).rejects.toThrow("enough");
  });

  test("any tree is counted as it was made", async () => {
    const tree = fc.uniqueArray(
      fc.record({
        path: fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 3 }),
        name: fc.stringMatching(/^f[a-z0-9]{1,5}$/),
        bytes: fc.nat(50),
      }),
      { maxLength: 15, selector: ({ path, name }) => [...path, name].join("/") },
    );
    await fc.assert(
      fc.asyncProperty(tree, async (files) => {
        using place = tempFolder();
        for (const { path, name, bytes } of files) put(join(place.path, ...path, name), bytes);
        const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
        expect(await look({}, place.path)).toMatchObject({ count: files.length, bytes, unreadable: 0 });
      }),
      { numRuns: 25 },
    );
  });

  test.skipIf(needsMounts())("does not go on into another file system but by name", async () => {
    using space = openMountSpace();
    const config = `${space.folder}/agent.json`;
    const below = space.mountExt4("box");
    space.run(
      "sh",
      "-c",
      `mkdir -p ${space.folder}/top/inner && echo x > ${space.folder}/top/own && mount --bind ${below} ${space.folder}/top/inner && echo yyy > ${below}/other`,
    );
    const folders = [
      { name: "one", path: `${space.folder}/top` },
      { name: "all", path: `${space.folder}/top`, crossMounts: true, match: ["other", "own"] },
    ];
    writeFileSync(
      config,
      JSON.stringify({ device: "x", brokers: [{ host: "h", port: 1 }], checks: { data: { folders } } }),
    );
    const ask = (name: string) => JSON.parse(space.run(process.execPath, MAIN, "data", name, "-c", config));
    expect(ask("one")).toMatchObject({ count: 1 });
    expect(ask("all")).toMatchObject({ count: 2 });
  });
});

describe("what is usual", () => {
  const days = (values: readonly number[]): Day[] =>
    values.map((value, day) => ({ day, least: { n: value }, most: { n: value + 1 } }));

  test("lies between the lows and highs of the days, without the odd ones", () => {
    expect(usual(days([5, 6, 7, 8]), 99, "n", 5)).toBeUndefined();
    expect(usual(days([5, 6, 7, 8, 9]), 99, "n", 5)).toEqual({ low: 5, high: 10 });
    expect(usual(days([5, 6, 7, 8, 9]), 4, "n", 5)).toBeUndefined(); // today is judged, not asked
    const month = [...Array.from({ length: 26 }, (_, i) => 100 + i), 0, 9_999];
    expect(usual(days(month), 99, "n", 7)).toEqual({ low: 101, high: 125 });
  });

  test("a day holds the least and the most of its looks, and only so many days are kept", () => {
    let kept: readonly Day[] = [];
    for (const value of [5, 3, 9]) kept = learn(kept, 1, { n: value });
    expect(kept).toEqual([{ day: 1, least: { n: 3 }, most: { n: 9 } }]);
    for (let day = 2; day < 100; day += 1) kept = learn(kept, day, { n: 1 });
    expect(kept).toHaveLength(MOST_DAYS);
    expect(kept.at(-1)?.day).toBe(99);
  });

  test("a range never lies the wrong way round, and always within what was seen", () => {
    const looks = fc.array(fc.tuple(fc.nat(40), fc.double({ noNaN: true, min: 0, max: 1e12 })), {
      minLength: 1,
      maxLength: 80,
    });
    fc.assert(
      fc.property(looks, (all) => {
        let kept: readonly Day[] = [];
        for (const [day, value] of all) kept = learn(kept, day, { n: value });
        const range = usual(kept, -1, "n", 2);
        if (range === undefined) return;
        const values = all.map(([, value]) => value);
        expect(range.low).toBeLessThanOrEqual(range.high);
        expect(range.low).toBeGreaterThanOrEqual(Math.min(...values));
        expect(range.high).toBeLessThanOrEqual(Math.max(...values));
      }),
    );
  });

  test("of a damaged memory nothing is believed", () => {
    for (const text of [
      undefined,
      "",
      "{",
      "[]",
      '{"a":1}',
      '{"a":[{"day":"x"}]}',
      '{"a":[{"day":1,"least":{"n":null},"most":{}}]}',
    ])
      expect(readHistory(text)).toEqual({});
    fc.assert(fc.property(fc.string(), (text) => void readHistory(text)));
  });
});

function begin(config: Record<string, unknown>, ports: Partial<CheckPorts> = {}): void {
  const file = at("agent.json");
  const text = JSON.stringify({ device: "x", brokers: [{ host: "h", port: 1 }], checks: { data: config } });
  writeFileSync(file, text);
  const self = [process.execPath, "--disable-warning=ExperimentalWarning", MAIN, "--config", file] as const;
  judge = data.begin(parseConfig(text, AgentConfig, file).checks.data, checkPorts(folder.path, { self, ...ports }));
}
const round = async (): Promise<readonly Verdict[]> => (await judge?.judge(new AbortController().signal)) ?? [];
async function first(): Promise<Judged> {
  const [verdict] = await round();
  if (verdict?.state !== "judged") throw new Error(`not judged: ${JSON.stringify(verdict)}`);
  return verdict;
}

describe("a folder", () => {
  const HOUR = 3_600_000;
  const band = (raise: number, clear: number) => ({ raise, clear });

  test("is judged by number, size and ages; its files are told to nobody", async () => {
    const clock = new HandClock();
    put(at("box/张三-case.mp4"), 2_000, clock.wall() - 3 * HOUR);
    put(at("box/secret-name.mp4"), 1_000, clock.wall() - 50 * HOUR);
    const path = at("box");
    const folders = [
      { name: "plain", path },
      { name: "few", path, count: { low: { minor: band(2, 3) } } },
      { name: "many", path, count: { high: { major: band(2, 1) } } },
      { name: "large", path, bytes: { high: { minor: band(3_000, 2_000) } } },
      { name: "still", path, newestAgeMs: { major: band(2 * HOUR, HOUR) } },
      { name: "backlog", path, oldestAgeMs: { minor: band(48 * HOUR, 24 * HOUR) } },
      { name: "absent", path: at("absent") },
      { name: "cut", path, maxEntries: 1 },
    ];
    begin({ folders }, { clock });
    const verdicts = await round();
    expect(verdicts.map((one) => one.state === "judged" && [one.subject, one.grade, one.reason])).toEqual([
      ["plain", "ok", "count"],
      ["few", "minor", "count"],
      ["many", "major", "count"],
      ["large", "minor", "size"],
      ["still", "major", "stale"],
      ["backlog", "minor", "backlog"],
      ["absent", "major", "missing"],
      ["cut", "warning", "toomany"],
    ]);
    expect(verdicts[0]).toMatchObject({
      readings: { files_count: 2, size_bytes: 3_000, newest_age_s: 3 * 3_600, oldest_age_s: 50 * 3_600 },
    });
    expect(verdicts[4]).toMatchObject({ value: 10_800, unit: "s", says: "the newest file is 3.0 h old" });
    expect(JSON.stringify(verdicts)).not.toMatch(/张三|secret-name/);
  });

  test("of which a clock that was never set can tell no ages", async () => {
    put(at("box/a"));
    begin({ folders: [{ path: at("box"), newestAgeMs: { major: band(1, 0) } }] }, { clock: new HandClock(86_400_000) });
    expect(Object.keys((await first()).readings)).toEqual(["files_count", "size_bytes"]);
  });

  test("fills and is emptied again: a band raises once and clears once", async () => {
    const clock = new HandClock();
    mkdirSync(at("box"));
    begin({ folders: [{ path: at("box"), everyMs: HOUR, count: { high: { minor: band(3, 1) } } }] }, { clock });
    const seen: string[] = [];
    for (const files of [0, 3, 2, 1]) {
      rmSync(at("box"), { recursive: true });
      mkdirSync(at("box"));
      for (let i = 0; i < files; i += 1) put(at("box", String(i)));
      seen.push(await looked(clock));
    }
    expect(seen).toEqual(["ok/ok", "minor/minor", "ok/minor", "ok/ok"]);
  });

  test("is unusual when it is far from what it was on most days, over restarts too", async () => {
    const clock = new HandClock();
    const folders = [{ name: "box", path: at("box"), everyMs: 24 * HOUR }];
    const fill = (files: number): void => {
      rmSync(at("box"), { recursive: true, force: true });
      mkdirSync(at("box"));
      for (let i = 0; i < files; i += 1) put(at("box", String(i)), 1, clock.wall());
    };
    fill(100);
    begin({ folders }, { clock });
    for (let day = 0; day < 9; day += 1) {
      fill(100 + day);
      expect(await looked(clock)).toBe("ok/ok");
    }
    judge?.close?.();
    rmSync(at("run"), { recursive: true }); // a reboot: what lay in memory is lost
    await clock.wind(24 * HOUR);
    fill(400);
    begin({ folders }, { clock });
    expect(await first()).toMatchObject({
      grade: "warning",
      reason: "unusual",
      says: expect.stringMatching(/^files_count is 400, usually 10\d to 10\d$/),
    });
    judge?.close?.();
    fill(10);
    begin({ folders }, { clock });
    expect(await first()).toMatchObject({ grade: "warning", reason: "unusual" });
  });

  test("is written to flash once a day at most", async () => {
    const clock = new HandClock();
    const writes: number[] = [];
    const ports = checkPorts(folder.path);
    const { keep } = ports;
    if (keep === undefined) throw new Error("no keep");
    const counted = {
      ...keep,
      folder: {
        ...keep.folder,
        replace: async (name: string, bytes: Uint8Array) => {
          writes.push(bytes.length);
          await keep.folder.replace(name, bytes);
        },
      },
    };
    put(at("box/a"));
    begin({ folders: [{ path: at("box"), everyMs: HOUR }] }, { clock, keep: counted });
    for (let hour = 0; hour < 24 * 4; hour += 1) await looked(clock, HOUR);
    expect(writes.length).toBeGreaterThanOrEqual(3);
    expect(writes.length).toBeLessThanOrEqual(4);
  });

  /** Lets one more look come in; its grade and what it holds. */
  async function looked(clock: HandClock, ms = 26 * HOUR): Promise<string> {
    const before = await round();
    await clock.wind(ms * 1.06);
    for (;;) {
      const now = await round();
      if (now !== before) break;
      await systemClock.sleep(2);
    }
    const [verdict] = await round();
    return verdict?.state === "judged" ? `${verdict.grade}/${verdict.holds}` : "unknown";
  }

  test.skipIf(needsFuse())("on a mount that hangs is unknown, and keeps no other waiting", async () => {
    using space = openMountSpace();
    const hung = space.mountHung("nfs");
    mkdirSync(join(space.folder, "well"));
    const folders = [
      { name: "dead", path: `${hung.point}/inbox`, deadlineMs: 1_500 },
      { name: "well", path: join(space.folder, "well") },
    ];
    const file = join(space.folder, "agent.json");
    const text = JSON.stringify({ device: "x", brokers: [{ host: "h", port: 1 }], checks: { data: { folders } } });
    writeFileSync(file, text);
    const inside = ["nsenter", "-t", String(space.pid), "-m", "--"] as const;
    const self = [...inside, process.execPath, MAIN, "--config", file] as const;
    const clock = new HandClock();
    const ports = checkPorts(folder.path, { machine: space.machine, self, clock });
    const asked: string[] = [];
    judge = data.begin(parseConfig(text, AgentConfig, file).checks.data, {
      ...ports,
      run(order) {
        asked.push(...order.argv.slice(-2));
        return ports.run({ ...order, deadlineMs: 3_000 });
      },
    });
    expect(await round()).toMatchObject([
      { subject: "dead", state: "unknown", because: expect.stringContaining("did not end within 3000 ms") },
      { subject: "well", state: "judged", grade: "ok" },
    ]);
    expect(asked).toEqual(["data", "dead"]);
    hung.release();
  });

  test("whose name looks like an option is asked for all the same", async () => {
    writeFileSync(at("a.json"), "{}");
    begin({ files: [{ name: "-c", path: at("a.json"), integrity: "json" }] });
    expect(await round()).toMatchObject([{ subject: "-c", state: "judged", grade: "ok" }]);
  });

  test("we may not read is unknown, with the remedy", async () => {
    const root = at("root");
    mkdirSync(root);
    begin({ folders: [{ path: "/proc/1/fd/x" }] }, { machine: { ...machineAt(), at: () => "/proc/self/environ/x" } });
    expect(await round()).toMatchObject([
      { state: "unknown", because: expect.stringContaining("cannot read /proc/1/fd/x") },
    ]);
  });
});

describe("a file", () => {
  const file = (integrity: string, name: string) => {
    const [found] = data.Config.parse({ files: [{ path: at(name), integrity }] }).files;
    if (found === undefined) throw new Error("no file");
    return inspect(found, (path) => path);
  };

  test("json", async () => {
    writeFileSync(at("a.json"), '{"a": [1]}');
    writeFileSync(at("b.json"), '{"password": "hunter2", ');
    writeFileSync(at("c.json"), Buffer.from([0x22, 0xff, 0x22]));
    expect(await file("json", "a.json")).toEqual({ state: "whole", count: 1 });
    expect(await file("json", "b.json")).toEqual({ state: "damaged", says: "no JSON in its 24 bytes" });
    expect(await file("json", "c.json")).toEqual({ state: "damaged", says: "it is no UTF-8" });
    expect(await file("json", "absent.json")).toEqual({ state: "missing" });
  });

  test("sqlite", async () => {
    const database = new DatabaseSync(at("a.db"));
    database.exec("CREATE TABLE t (id)");
    database.close();
    writeFileSync(at("b.db"), "x".repeat(5_000));
    expect(await file("sqlite", "a.db")).toEqual({ state: "whole", count: 1 });
    expect(await file("sqlite", "b.db")).toMatchObject({ state: "damaged" });
  });

  test("sha256sums", async () => {
    const sum = (text: string): string => createHash("sha256").update(text).digest("hex");
    mkdirSync(at("in"));
    writeFileSync(at("a"), "a");
    writeFileSync(at("in/b c"), "b");
    writeFileSync(at("SUMS"), `${sum("a")}  a\n${sum("b").toUpperCase()} *in/b c\n`);
    expect(await file("sha256sums", "SUMS")).toEqual({ state: "whole", count: 2 });
    writeFileSync(at("a"), "A");
    rmSync(at("in/b c"));
    expect(await file("sha256sums", "SUMS")).toEqual({
      state: "damaged",
      says: "of 2 files 1 differ from their sums, 1 are missing",
    });
    writeFileSync(at("SUMS"), "no sums\n");
    expect(await file("sha256sums", "SUMS")).toMatchObject({ state: "damaged" });
  });

  test("is looked through by the child, and damage is an alarm until it is mended", async () => {
    writeFileSync(at("site.json"), "{");
    begin({
      files: [
        { name: "site", path: at("site.json"), integrity: "json", severity: "minor" },
        { path: at("absent"), integrity: "json" },
      ],
    });
    expect(await round()).toMatchObject([
      { subject: "site", grade: "minor", reason: "damaged", says: "json: no JSON in its 1 bytes" },
      { subject: at("absent"), grade: "major", reason: "missing" },
    ]);
  });
});

describe("config", () => {
  const agent = (own: unknown) => () =>
    parseConfig(
      JSON.stringify({ device: "x", brokers: [{ host: "h", port: 1 }], checks: { data: own } }),
      AgentConfig,
      "agent.json",
    );
  test.each([
    [{ folders: [{ path: "relative" }] }, "checks.data.folders.0.path"],
    [{ folders: [{ path: "/a/" }] }, "checks.data.folders.0.path"],
    [{ folders: [{ path: "/a" }], files: [{ path: "/a", integrity: "json" }] }, "the same name"],
    [{ folders: [{ path: "/a", count: { low: { minor: { raise: 3, clear: 2 } } } }] }, "clear must not be below raise"],
    [{ folders: [{ path: "/a", newestAge: 1 }] }, "newestAgeMs"],
    [{ files: [{ path: "/a", integrity: "xml" }] }, "checks.data.files.0.integrity"],
  ])("%j is refused", (own, words) => {
    expect(agent(own)).toThrow(words);
  });

  test("without folders and files there is nothing to judge", () => {
    expect(data.begin(data.Config.parse({}), checkPorts(folder.path))).toBeUndefined();
  });
});
