import { mkdirSync, symlinkSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Judged, Verdict } from "../../../agent/checks/check.ts";
import { diskWith } from "../../../agent/checks/disk/disk.ts";
import type { WriteOutcome } from "../../../platform/probe-file.ts";
import { Failure } from "../../../protocol/failure.ts";
import { BOARDS, type Board, type BoardName, openBoard, PLENTY } from "../../kit/board.ts";
import { HandClock } from "../../kit/hand-clock.ts";

const MINUTE = 60_000;
const GB = 1e9;

/** A disk check on a captured board; the write probe is answered by `answer`. */
function start(name: BoardName, config: object = {}, stateDir = "/var/lib/vigil") {
  const board = openBoard(name);
  const clock = new HandClock();
  const probed: string[] = [];
  const probe = { answer: async (_folder: string): Promise<WriteOutcome> => ({ ended: "written" }) };
  const kind = diskWith(async (folder, ours) => {
    if (ours !== (folder === board.machine.at(stateDir))) throw new Error(`${folder}: whose is it?`);
    const path = folder.slice(board.machine.at("").length) || "/";
    probed.push(path);
    return probe.answer(path);
  });
  const judge = kind.begin(kind.Config.parse(config), { machine: board.machine, clock, stateDir });
  if (judge === undefined) throw new Error("not present");
  onTestFinished(() => {
    judge.close?.();
    board[Symbol.dispose]();
  });
  const round = async () => judge.judge(new AbortController().signal);
  /** One round in which the clock is wound as far as anything waits. */
  const slowRound = async (ms = 5_000) => {
    const verdicts = round();
    await clock.wind(ms);
    return verdicts;
  };
  return { board, clock, probed, probe, kind, judge, round, slowRound };
}

const of = (verdicts: readonly Verdict[], subject: string): Verdict | undefined =>
  verdicts.find((verdict) => verdict.subject === subject);
const judged = (verdicts: readonly Verdict[], subject: string): Judged => {
  const verdict = of(verdicts, subject);
  if (verdict?.state !== "judged") throw new Error(`${subject}: ${JSON.stringify(verdict)}`);
  return verdict;
};
const edit = (board: Board, path: string, change: (text: string) => string): void =>
  board.write(path, change(board.machine.read(path) ?? ""));
const MOUNTS = "/proc/self/mountinfo";
const remount = (board: Board, point: string, from: string, to: string): void =>
  edit(board, MOUNTS, (text) =>
    text
      .split("\n")
      .map((line) => (line.includes(` ${point} `) ? line.replace(from, to) : line))
      .join("\n"),
  );
const free = (pct: number) => ({ ...PLENTY, freeBytes: pct * 0.1 * GB, unusedBytes: pct * 0.1 * GB });

describe("the disk check", () => {
  test.each(BOARDS)("finds nothing wrong with a %s in good order", async (name) => {
    const { round } = start(name);
    const verdicts = await round();
    expect(verdicts.length).toBeGreaterThan(0);
    for (const verdict of verdicts) expect(verdict).toMatchObject({ state: "judged", grade: "ok", holds: "ok" });
  });

  test("says how much is free as df does: of what an ordinary user may use", async () => {
    const { board, round } = start("x86-vm");
    board.spaces.set("/", { ...PLENTY, totalBytes: 10 * GB, freeBytes: 2 * GB, unusedBytes: 3 * GB });
    const root = judged(await round(), "/");
    expect(root).toMatchObject({ grade: "ok", reason: "space", says: "22.22 % free, 2.0 GB of 9.0 GB" });
    expect(root.readings).toEqual({
      free_pct: 22.22, // 2 of 7 used and 2 free; the root's own 1 is in neither
      free_bytes: 2 * GB,
      total_bytes: 10 * GB,
      inodes_free_pct: 83.33,
    });
  });

  test.each([
    [20, "ok", "ok"],
    [16, "ok", "minor"],
    [15, "minor", "minor"],
    [6, "minor", "major"],
    [5, "major", "major"],
    [2.5, "major", "critical"],
    [2, "critical", "critical"],
    [0, "critical", "critical"],
  ])("grades %d %% free as %s, and as %s while in alarm", async (pct, grade, holds) => {
    const { board, round } = start("x86-vm");
    board.spaces.set("/", free(pct));
    const verdict = judged(await round(), "/");
    expect(verdict).toMatchObject({
      grade,
      holds,
      ...(grade === "ok" ? {} : { reason: "space", value: pct, unit: "%" }),
    });
  });

  test("grades the inodes where the file system counts them, and is silent where it does not", async () => {
    const { board, round } = start("rpi-cm4-debian");
    board.spaces.set("/", { ...PLENTY, totalInodes: 1000, freeInodes: 30 });
    board.spaces.set("/boot/firmware", { ...PLENTY, totalInodes: 0, freeInodes: 0 });
    const verdicts = await round();
    expect(judged(verdicts, "/")).toMatchObject({ grade: "major", reason: "inodes", value: 3 });
    expect(judged(verdicts, "/boot/firmware").grade).toBe("ok");
    expect(judged(verdicts, "/boot/firmware").readings).not.toHaveProperty("inodes_free_pct");
  });

  test("a floor in bytes raises although the share is large", async () => {
    const floorBytes = { major: { raise: 7 * GB, clear: 8 * GB } };
    const { round } = start("x86-vm", { floorBytes });
    expect(judged(await round(), "/")).toMatchObject({ grade: "major", reason: "space", value: 6 * GB, unit: "B" });
  });

  test("one mount may have limits of its own, and keep the common ones for the rest", async () => {
    const mounts = { "/userdata": { space: { minor: { raise: 50, clear: 55 } } } };
    const { board, round } = start("rk3568-buildroot", { mounts });
    for (const point of ["/", "/userdata"]) board.spaces.set(point, { ...free(40), freeInodes: 12_000 });
    const verdicts = await round();
    expect(judged(verdicts, "/userdata")).toMatchObject({ grade: "major", reason: "inodes" });
    expect(judged(verdicts, "/")).toMatchObject({ grade: "major", reason: "inodes", holds: "major" });
    for (const point of ["/", "/userdata"]) board.spaces.set(point, free(40));
    expect(judged(await round(), "/userdata")).toMatchObject({ grade: "minor", reason: "space" });
    expect(judged(await round(), "/").grade).toBe("ok");
  });

  test("a mount that is gone is a subject no more; one that must be there is missing", async () => {
    const { board, round } = start("rk3568-buildroot", { expect: ["/userdata", "/oem"] });
    expect((await round()).filter((v) => v.state === "judged" && v.reason === "missing")).toEqual([]);
    edit(board, MOUNTS, (text) => text.replace(/^.* \/(userdata|mnt\/sdcard|media\/udisk0) .*\n/gm, ""));
    const verdicts = await round();
    expect(of(verdicts, "/mnt/sdcard")).toBeUndefined();
    expect(judged(verdicts, "/userdata")).toMatchObject({ grade: "major", reason: "missing", readings: {} });
  });

  test("a mount hidden from us, by a sandbox or an unmount in this moment, is no subject and no fault", async () => {
    const { board, round } = start("rk3568-buildroot");
    board.spaces.set("/oem", new Failure("MACHINE_READ", "gone", { facts: { errno: "ENOENT" } }));
    expect(of(await round(), "/oem")).toBeUndefined();
    expect(of(await round(), "/oem")).toBeUndefined();
    board.spaces.set("/oem", free(50));
    expect(judged(await round(), "/oem")).toMatchObject({ grade: "ok", value: 50 });
  });

  test("a disk that answers EIO is a fault; one we may not ask is unknown", async () => {
    const { board, round } = start("rk3568-buildroot");
    board.spaces.set("/oem", new Failure("MACHINE_READ", "cannot read /oem: EIO", { facts: { errno: "EIO" } }));
    board.spaces.set(
      "/userdata",
      new Failure("MACHINE_READ", "cannot read /userdata: EACCES", { facts: { errno: "EACCES" } }),
    );
    const verdicts = await round();
    expect(judged(verdicts, "/oem")).toMatchObject({ grade: "major", reason: "io" });
    expect(of(verdicts, "/userdata")).toMatchObject({ state: "unknown", because: expect.stringContaining("EACCES") });
  });

  test("a machine without mountinfo has no such check; one that loses it cannot tell", async () => {
    const { board, kind, clock, round } = start("x86-vm");
    board.write(MOUNTS, "");
    expect(await round()).toEqual([]);
    using bare = openBoard("x86-vm");
    bare.write(MOUNTS, undefined);
    expect(kind.begin(kind.Config.parse({}), { machine: bare.machine, clock })).toBeUndefined();
  });

  test("every reason a verdict can give has its titles", () => {
    const { titles } = start("x86-vm").kind;
    expect(Object.keys(titles).toSorted()).toEqual(
      ["forecast", "gone", "inodes", "io", "missing", "readonly", "space", "stuck"].toSorted(),
    );
    for (const { zh, en } of Object.values(titles))
      expect([zh, en]).toEqual([expect.stringMatching(/[一-鿿]/), expect.stringMatching(/^[A-Z]/)]);
  });

  test("a config with a typo, crossed bands or a wait beyond the deadline is refused", () => {
    const { Config } = start("x86-vm").kind;
    for (const bad of [
      { spaec: {} },
      { mounts: { "/data": { spaec: {} } } },
      { mounts: { "/data/": {} } },
      { space: { major: { raise: 7, clear: 5 } } },
      { probeEveryMs: 1000 },
      { waitMs: 5000, deadlineMs: 5000 },
    ])
      expect(Config.safeParse(bad).success, JSON.stringify(bad)).toBe(false);
  });
});

describe("a read-only file system", () => {
  test("is a fault when it turned so while we watched, until it is writable again", async () => {
    const { board, round } = start("rpi-cm4-debian");
    edit(board, "/etc/fstab", () => "");
    await round();
    remount(board, "/mnt/record\\040store", "rw,stripe", "ro,stripe");
    expect(judged(await round(), "/mnt/record store")).toMatchObject({
      grade: "major",
      holds: "major",
      reason: "readonly",
    });
    expect(judged(await round(), "/mnt/record store").grade).toBe("major");
    remount(board, "/mnt/record\\040store", "ro,stripe", "rw,stripe");
    expect(judged(await round(), "/mnt/record store").grade).toBe("ok");
  });

  test("is a fault from the beginning when fstab says it is writable", async () => {
    const { board, round } = start("rpi-cm4-debian");
    remount(board, "/mnt/record\\040store", "rw,stripe", "ro,stripe");
    expect(judged(await round(), "/mnt/record store")).toMatchObject({
      reason: "readonly",
      says: expect.stringContaining("fstab"),
    });
  });

  test("is critical for the root, and for the disk of the agent's own state", async () => {
    const root = start("rpi-cm4-debian");
    remount(root.board, "/", "mmcblk0p2 rw", "mmcblk0p2 ro");
    expect(judged(await root.round(), "/").grade).toBe("critical");
    const state = start("rk3568-buildroot", {}, "/userdata/vigil");
    remount(state.board, "/userdata", "p8 rw", "p8 ro");
    expect(judged(await state.round(), "/userdata").grade).toBe("critical");
  });

  test("is none where fstab says ro, below an overlay, or by config; and such an image may be full", async () => {
    const board3 = start("kernel-3.10");
    board3.board.spaces.set("/factory", free(0));
    expect(judged(await board3.round(), "/factory")).toMatchObject({ grade: "ok", readings: { free_pct: 0 } });

    const overlay = start("rk3588-overlay");
    remount(overlay.board, "/media/root-ro", "p6 ro", "p6 rw"); // for maintenance
    await overlay.round();
    remount(overlay.board, "/media/root-ro", "p6 rw", "p6 ro");
    expect(judged(await overlay.round(), "/media/root-ro").grade).toBe("ok");

    const allowed = start("rpi-cm4-debian", { mounts: { "/": { readonly: "allowed" } } });
    remount(allowed.board, "/", "mmcblk0p2 rw", "mmcblk0p2 ro");
    expect(judged(await allowed.round(), "/").grade).toBe("ok");
  });

  test("is none when only our own sandbox mounts it so", async () => {
    const { board, round, probed } = start("rpi-cm4-debian");
    remount(board, "/", "/ rw,noatime", "/ ro,noatime");
    expect(judged(await round(), "/").grade).toBe("ok");
    expect(probed).toEqual(["/mnt/record store"]);
  });

  test("is a fault when the file system noted errors, though nobody says it was writable", async () => {
    const { board, round } = start("rk3568-buildroot"); // its fstab leaves / to others: noauto
    remount(board, "/", "root rw", "root ro");
    expect(judged(await round(), "/").grade).toBe("ok");
    mkdirSync(board.machine.at("/sys/dev/block"), { recursive: true });
    symlinkSync("../../devices/platform/fe310000.sdhci/mmcblk2p6", board.machine.at("/sys/dev/block/179:6"));
    board.write("/sys/fs/ext4/mmcblk2p6/errors_count", "3\n");
    expect(judged(await round(), "/")).toMatchObject({
      grade: "critical",
      reason: "readonly",
      says: expect.stringContaining("3 errors"),
    });
  });

  test("is seen although its flags still say rw, as ext4 of newer kernels leaves them", async () => {
    const { board, round } = start("x86-vm");
    await round();
    remount(board, "/", "rw,discard", "rw,emergency_ro,discard");
    expect(judged(await round(), "/")).toMatchObject({ grade: "critical", reason: "readonly" });
    const late = start("x86-vm");
    remount(late.board, "/", "rw,discard", "rw,emergency_ro,discard");
    expect(judged(await late.round(), "/")).toMatchObject({ grade: "critical", reason: "readonly" });
    expect(late.probed).toEqual([]);
  });

  test("is not written to", async () => {
    const { board, round, probed } = start("rpi-cm4-debian");
    remount(board, "/", "mmcblk0p2 rw", "mmcblk0p2 ro");
    await round();
    expect(probed).toEqual(["/mnt/record store"]);
  });
});

describe("the write probe", () => {
  test("writes at once, then only every six hours, and never to what must not be written", async () => {
    const { round, clock, probed } = start("rk3568-buildroot", {}, "/userdata/vigil");
    const all = ["/", "/mnt/sdcard", "/oem", "/userdata/vigil"];
    await round();
    expect(probed).toEqual(all);
    for (let i = 0; i < 2159; i += 1) {
      await clock.wind(10_000);
      await round();
    }
    expect(probed).toEqual(all);
    await clock.wind(10_000);
    await round();
    expect(probed).toEqual([...all, ...all]);
  });

  test.each<[WriteOutcome, string]>([
    [{ ended: "readonly", errno: "EROFS" }, "readonly"],
    [{ ended: "io", errno: "EIO" }, "io"],
  ])("that ends with %o is a fault, tried again after a minute, and well as soon as it is", async (outcome, reason) => {
    const { round, clock, probe } = start("rk3568-buildroot", {}, "/userdata/vigil");
    probe.answer = async (folder) => (folder.startsWith("/mnt") || folder === "/" ? outcome : { ended: "written" });
    const verdicts = await round();
    expect(judged(verdicts, "/")).toMatchObject({ grade: "critical", reason });
    expect(judged(verdicts, "/mnt/sdcard")).toMatchObject({ grade: "major", holds: "major", reason });
    expect(judged(verdicts, "/userdata").grade).toBe("ok");
    probe.answer = async () => ({ ended: "written" });
    await clock.wind(59_000);
    expect(judged(await round(), "/mnt/sdcard").grade).toBe("major");
    await clock.wind(1_000);
    expect(judged(await round(), "/mnt/sdcard").grade).toBe("ok");
  });

  test.each<WriteOutcome["ended"]>(["full", "denied"])("that ends as %s says nothing of the disk", async (ended) => {
    const { round, probe } = start("x86-vm");
    probe.answer = async () => ({ ended, errno: "ENOSPC" });
    expect(judged(await round(), "/").grade).toBe("ok");
  });

  test("that hangs holds up one round by the wait, no other, and becomes a fault; nothing is written meanwhile", async () => {
    const { round, slowRound, clock, probe, probed } = start("rk3568-buildroot", {}, "/userdata/vigil");
    let answer = (_: WriteOutcome): void => {};
    probe.answer = (folder) =>
      folder === "/mnt/sdcard"
        ? new Promise((done) => {
            answer = done;
          })
        : Promise.resolve({ ended: "written" });
    expect(judged(await slowRound(2_000), "/mnt/sdcard").grade).toBe("ok");
    await clock.wind(8_000);
    expect(judged(await round(), "/mnt/sdcard").grade).toBe("ok"); // no waiting: the clock stands still here
    await clock.wind(20_000);
    expect(judged(await round(), "/mnt/sdcard")).toMatchObject({
      grade: "major",
      reason: "io",
      says: expect.stringContaining("30 s"),
    });
    expect(probed).toEqual(["/", "/mnt/sdcard"]);
    answer({ ended: "written" });
    await clock.wind(0);
    expect(judged(await round(), "/mnt/sdcard").grade).toBe("ok");
    expect(probed).toEqual(["/", "/mnt/sdcard", "/oem", "/userdata/vigil"]);
  });

  test("is made anew when another file system is mounted there", async () => {
    const { board, round, probe, probed } = start("rk3568-buildroot");
    probe.answer = async (folder) => (folder === "/mnt/sdcard" ? { ended: "io", errno: "EIO" } : { ended: "written" });
    expect(judged(await round(), "/mnt/sdcard").reason).toBe("io");
    probe.answer = async () => ({ ended: "written" });
    remount(board, "/mnt/sdcard", "28 14 179:97", "31 14 179:97");
    expect(judged(await round(), "/mnt/sdcard").grade).toBe("ok");
    expect(probed.filter((folder) => folder === "/mnt/sdcard")).toHaveLength(2);
  });

  test("is forgotten with its mount: what comes back is tried anew", async () => {
    const { board, round, probe } = start("rk3568-buildroot");
    probe.answer = async (folder) => (folder === "/mnt/sdcard" ? { ended: "io", errno: "EIO" } : { ended: "written" });
    expect(judged(await round(), "/mnt/sdcard").reason).toBe("io");
    const all = board.machine.read(MOUNTS) ?? "";
    edit(board, MOUNTS, (text) => text.replace(/^.* \/mnt\/sdcard .*\n/m, ""));
    await round();
    probe.answer = async () => ({ ended: "written" });
    board.write(MOUNTS, all);
    expect(judged(await round(), "/mnt/sdcard").grade).toBe("ok");
  });

  test("does not write to what was unmounted while the one before it hung: its folder belongs to another disk now", async () => {
    const { board, slowRound, round, clock, probe, probed } = start("rk3568-buildroot");
    let answer = (_: WriteOutcome): void => {};
    probe.answer = () =>
      new Promise((done) => {
        answer = done;
      });
    await slowRound(2_000);
    edit(board, MOUNTS, (text) => text.replace(/^.* \/(mnt\/sdcard|oem) .*\n/gm, ""));
    await round();
    probe.answer = async () => ({ ended: "written" });
    answer({ ended: "written" });
    await clock.wind(0);
    expect(probed).toEqual(["/var/lib/vigil", "/userdata"]);
  });

  test("can be turned off for a mount", async () => {
    const { round, probed } = start("rpi-cm4-debian", { mounts: { "/mnt/record store": { probeEveryMs: 0 } } });
    await round();
    expect(probed).toEqual(["/var/lib/vigil"]);
  });
});

describe("a mount that may hang", () => {
  const NEVER = new Promise<never>(() => {});

  test("is asked one at a time: while one is silent it is stuck and the others are unknown behind it", async () => {
    const { board, round, slowRound, clock } = start("rk3588-overlay");
    const asked: string[] = [];
    let answer = (_: typeof PLENTY): void => {};
    board.remote = (path) => {
      asked.push(path);
      if (path !== "/mnt/archive") return Promise.resolve(PLENTY);
      return new Promise((done) => {
        answer = done;
      });
    };
    const first = await slowRound(2_000);
    expect(judged(first, "/mnt/archive")).toMatchObject({
      grade: "major",
      holds: "major",
      reason: "stuck",
      readings: {},
    });
    expect(of(first, "/mnt/nas")).toEqual({
      state: "unknown",
      subject: "/mnt/nas",
      because: "waiting behind /mnt/archive",
    });
    expect(judged(first, "/").grade).toBe("ok");
    await clock.wind(60_000);
    const later = await round(); // without a wait: the clock stands still
    expect(judged(later, "/mnt/archive")).toMatchObject({ reason: "stuck", says: expect.stringContaining("62 s") });
    expect(of(later, "/mnt/nas")?.state).toBe("unknown");
    expect(asked).toEqual(["/mnt/archive"]);
    answer(PLENTY);
    await clock.wind(0);
    board.remote = undefined;
    for (const point of ["/mnt/archive", "/mnt/nas"]) expect(judged(await round(), point).grade).toBe("ok");
  });

  test("slow mounts share a round fairly: whoever was not asked comes first in the next", async () => {
    const { board, slowRound, clock } = start("rk3588-overlay", { waitMs: 2_000, deadlineMs: 3_000 });
    board.remote = async () => {
      await clock.sleep(1_500);
      return PLENTY;
    };
    const first = await slowRound();
    expect([of(first, "/mnt/archive")?.state, of(first, "/mnt/nas")?.state]).toEqual(["judged", "unknown"]);
    const second = await slowRound();
    expect([of(second, "/mnt/archive")?.state, of(second, "/mnt/nas")?.state]).toEqual(["unknown", "judged"]);
  });

  test("is judged like any other once it answers, and its refusal is told from its death", async () => {
    const { board, round } = start("rk3588-overlay");
    board.spaces.set("/mnt/nas", free(4));
    expect(judged(await round(), "/mnt/nas")).toMatchObject({ grade: "major", reason: "space" });
    const failing = (errno: string) => async () => {
      throw new Failure("MACHINE_READ", `cannot read: ${errno}`, { facts: { errno } });
    };
    board.remote = failing("ESTALE");
    expect(judged(await round(), "/mnt/nas")).toMatchObject({ reason: "stuck", says: "it answers ESTALE" });
    board.remote = failing("EACCES");
    expect(of(await round(), "/mnt/nas")).toMatchObject({
      state: "unknown",
      because: expect.stringContaining("EACCES"),
    });
  });

  test("does not keep a round that is cut off, and is still the one that is asked in the next", async () => {
    const { board, kind, clock } = start("rk3588-overlay");
    let asked = 0;
    board.remote = () => {
      asked += 1;
      return NEVER;
    };
    const judge = kind.begin(kind.Config.parse({}), { machine: board.machine, clock });
    const cut = new AbortController();
    const verdicts = Promise.resolve(judge?.judge(cut.signal));
    await clock.wind(100);
    cut.abort(new Error("deadline"));
    await expect(verdicts).rejects.toThrow("deadline");
    expect(of((await judge?.judge(new AbortController().signal)) ?? [], "/mnt/archive")).toMatchObject({
      reason: "stuck",
    });
    expect(asked).toBe(1);
    judge?.close?.();
  });
});

describe("the forecast", () => {
  /** Rounds every 10 minutes in which `/` loses `perHour` bytes. */
  async function fill(check: ReturnType<typeof start>, hours: number, from: number, perHour: number) {
    let verdicts: readonly Verdict[] = [];
    for (let minute = 0; minute <= hours * 60; minute += 10) {
      const freeBytes = from - (perHour * minute) / 60;
      check.board.spaces.set("/", { ...PLENTY, totalBytes: 100 * GB, freeBytes, unusedBytes: freeBytes });
      verdicts = await check.round();
      await check.clock.wind(10 * MINUTE);
    }
    return judged(verdicts, "/");
  }

  test("warns when the disk is full within two days at its trend, and says when", async () => {
    const check = start("x86-vm");
    const verdict = await fill(check, 4, 66 * GB, 2 * GB);
    expect(verdict).toMatchObject({ grade: "warning", reason: "forecast", unit: "h", readings: { free_pct: 58 } });
    expect(verdict.says).toMatch(/^full in 29 h at the 2\.0 GB an hour of the last 4\.0 h$/);
    expect(verdict.readings["full_in_h"]).toBeCloseTo(29, 1);
  });

  test("clears only beyond three days", async () => {
    expect(await fill(start("x86-vm"), 4, 64 * GB, 1 * GB)).toMatchObject({ grade: "ok", holds: "warning" });
    expect(await fill(start("x86-vm"), 4, 84 * GB, 1 * GB)).toMatchObject({ grade: "ok", holds: "ok" });
  });

  test("says nothing in the first half hour, nor of a disk that is as it was", async () => {
    expect((await fill(start("x86-vm"), 0.4, 66 * GB, 20 * GB)).readings).not.toHaveProperty("full_in_h");
    expect((await fill(start("x86-vm"), 6, 66 * GB, 0)).readings).not.toHaveProperty("full_in_h");
  });

  test("stands behind what is already too full", async () => {
    expect(await fill(start("x86-vm"), 4, 22 * GB, 3 * GB)).toMatchObject({ grade: "minor", reason: "space" });
  });

  test("goes on while other mounts come and go, and begins anew when another disk is mounted there", async () => {
    const check = start("x86-vm");
    await fill(check, 4, 66 * GB, 2 * GB);
    edit(check.board, MOUNTS, (text) => `${text}90 27 8:17 / /media/usb rw - ext4 /dev/sdb1 rw\n`);
    expect(judged(await check.round(), "/").readings).toHaveProperty("full_in_h");
    remount(check.board, "/", "27 1 254:0", "91 1 254:16");
    expect(judged(await check.round(), "/").readings).not.toHaveProperty("full_in_h");
  });

  test("begins anew when the file system has another size", async () => {
    const check = start("x86-vm");
    await fill(check, 4, 66 * GB, 2 * GB);
    check.board.spaces.set("/", { ...PLENTY, totalBytes: 200 * GB, freeBytes: 50 * GB });
    expect(judged(await check.round(), "/").readings).not.toHaveProperty("full_in_h");
  });
});

describe("a disk that is well", () => {
  test("keeps its figures for a minute, and is judged at once when a threshold is crossed, it answers EIO or is mounted otherwise", async () => {
    const { board, clock, round } = start("x86-vm");
    board.spaces.set("/", free(50));
    await round(); // in which a byte is written
    const first = await round();
    board.spaces.set("/", free(49));
    await clock.wind(59_000);
    expect(await round()).toBe(first);
    await clock.wind(1_000);
    expect(judged(await round(), "/")).toMatchObject({ grade: "ok", value: 49 });
    board.spaces.set("/", free(14));
    expect(judged(await round(), "/")).toMatchObject({ grade: "minor", value: 14 });
    board.spaces.set("/", free(13));
    expect(judged(await round(), "/")).toMatchObject({ grade: "minor", value: 13 }); // not well: always anew
    board.spaces.set("/", free(50));
    await round();
    board.spaces.set("/", new Failure("MACHINE_READ", "x", { facts: { errno: "EIO" } }));
    expect(judged(await round(), "/")).toMatchObject({ grade: "critical", reason: "io" });
    board.spaces.set("/", free(50));
    await round();
    edit(board, MOUNTS, (text) => text.replace(/^(.* \/ \/ .* - \S+ \S+) rw/m, "$1 ro"));
    expect(judged(await round(), "/")).toMatchObject({ grade: "critical", reason: "readonly" });
  });
});

describe("a look between rounds", () => {
  test("finds nothing while free room stays between two thresholds, and stirs as soon as one is crossed, either way", async () => {
    const { board, round, judge, clock } = start("x86-vm");
    board.spaces.set("/", free(50));
    await round();
    for (const pct of [50, 30, 18, 90]) {
      await clock.wind(300_000);
      board.spaces.set("/", free(pct));
      expect(judge.stirred?.(), `${pct} % free`).toBe(false);
    }
    await clock.wind(300_000);
    board.spaces.set("/", free(14));
    expect(judge.stirred?.()).toBe(true);
    expect(judged(await round(), "/").grade).toBe("minor");
    expect(judge.stirred?.()).toBe(false);
    board.spaces.set("/", free(40));
    expect(judge.stirred?.()).toBe(true);
  });

  test("does not look where no disk could have written so much since", async () => {
    const { board, round, judge, clock } = start("x86-vm");
    board.spaces.set("/", PLENTY);
    expect(judged(await round(), "/").grade).toBe("ok");
    board.spaces.set("/", new Error("it was looked at"));
    await clock.wind(4_000); // 4 GB at most are written by now, or 400,000 files
    expect(judge.stirred?.()).toBe(false);
    await clock.wind(2_000);
    expect(() => judge.stirred?.()).toThrow("looked at");
  });

  test("minds inodes and the floor in bytes as well", async () => {
    const { board, round, judge, clock } = start("x86-vm", { floorBytes: { major: { raise: 2 * GB, clear: 3 * GB } } });
    board.spaces.set("/", free(50));
    await round();
    await clock.wind(300_000);
    board.spaces.set("/", free(25));
    expect(judge.stirred?.()).toBe(true);
    board.spaces.set("/", { ...free(50), freeInodes: 1 });
    expect(judge.stirred?.()).toBe(true);
  });
});
