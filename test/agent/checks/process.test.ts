import { rmSync, symlinkSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type * as z from "zod/mini";
import type { Judge, Judged, Verdict } from "../../../agent/checks/check.ts";
import { processes } from "../../../agent/checks/process/process.ts";
import type { Machine, Source } from "../../../platform/machine.ts";
import { Failure } from "../../../protocol/failure.ts";
import { type Board, openBoard } from "../../kit/board.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { asKernel, type StatFacts, statText } from "../../kit/proc.ts";

let board: Board;
let clock: HandClock;
let judge: Judge | undefined;
beforeEach(() => {
  board = openBoard("x86-vm");
  board.write("/proc/1/stat", statText({ pid: 1, comm: "systemd", start: 1 }));
  board.write("/proc/self/stat", statText({ pid: 9 }));
  board.write("/proc/self/statm", "2000 900 100 10 0 200 0\n");
  clock = new HandClock();
});
afterEach(() => {
  judge?.close?.();
  board[Symbol.dispose]();
});

function watch(...watches: unknown[]): Judge {
  return watchOn(asKernel(board.machine), ...watches);
}
function watchOn(machine: Machine, ...watches: unknown[]): Judge {
  const config = processes.Config.parse({ watch: watches });
  judge = processes.begin(config, { machine, clock });
  if (judge === undefined) throw new Error("nothing to watch");
  return judge;
}
async function round(afterMs = 1_000): Promise<readonly Verdict[]> {
  await clock.wind(afterMs);
  if (judge === undefined) throw new Error("watch first");
  return judge.judge(new AbortController().signal);
}
async function only(afterMs = 1_000): Promise<Judged> {
  const [verdict] = await round(afterMs);
  if (verdict?.state !== "judged") throw new Error(`not judged: ${JSON.stringify(verdict)}`);
  return verdict;
}
function run(facts: StatFacts & { argv?: string[]; exe?: string }): void {
  const { pid, argv = [facts.comm ?? "x"], exe } = facts;
  board.write(`/proc/${pid}/stat`, statText(facts));
  board.write(`/proc/${pid}/cmdline`, argv.map((word) => `${word}\0`).join(""));
  if (exe === undefined) return;
  rmSync(board.machine.at(`/proc/${pid}/exe`), { force: true });
  symlinkSync(exe, board.machine.at(`/proc/${pid}/exe`));
}
/** Tells of every walk through /proc. */
const counting = (machine: Machine, walked: () => void): Machine => ({
  ...machine,
  list(path) {
    if (path === "/proc") walked();
    return machine.list(path);
  },
});
const end = (pid: number): void => rmSync(board.machine.at(`/proc/${pid}`), { recursive: true, force: true });

describe("the config", () => {
  test("is complete from nothing, and then there is nothing to do", () => {
    const config = processes.Config.parse({});
    expect(config).toMatchObject({ every: "fast", holdOnMs: 0, holdOffMs: 10_000, watch: [] });
    expect(processes.begin(config, { machine: board.machine, clock })).toBeUndefined();
  });

  test.each([
    ["a watch without a way to find it", { name: "a" }],
    ["a limit that cannot be met", { name: "a", exe: "/a", min: 2, max: 1 }],
    ["a misspelt field", { name: "a", exe: "/a", severty: "minor" }],
    ["a name with blanks", { name: "a b", exe: "/a" }],
    ["a unit without its kind", { name: "a", unit: "nginx" }],
  ])("%s is a mistake", (_, mistaken) => {
    expect(processes.Config.safeParse({ watch: [mistaken] }).success).toBe(false);
  });

  test("two watches of one name are a mistake", () => {
    const one: z.input<typeof processes.Config> = {
      watch: [
        { name: "a", exe: "/a" },
        { name: "a", exe: "/b" },
      ],
    };
    expect(processes.Config.safeParse(one).success).toBe(false);
  });
});

describe("by executable and command line", () => {
  test("a process that runs is well, gone it is missing in the same round, back it is well again", async () => {
    run({ pid: 50, comm: "nginx", exe: "/usr/sbin/nginx", start: 4_000_000 });
    watch({ name: "nginx", exe: "/usr/sbin/nginx" });
    expect(await only()).toMatchObject({
      grade: "ok",
      holds: "ok",
      subject: "nginx",
      readings: { alive_count: 1, rss_bytes: 2_097_152 },
    });
    end(50);
    expect(await only()).toMatchObject({ grade: "major", holds: "major", reason: "missing", value: 0 });
    run({ pid: 61, comm: "nginx", exe: "/usr/sbin/nginx", start: 4_900_000 });
    expect(await only()).toMatchObject({ grade: "ok", holds: "ok", readings: { restarts_count: 1 } });
  });

  test("a zombie is missing, and said to be one", async () => {
    run({ pid: 50, exe: "/usr/sbin/nginx" });
    watch({ name: "nginx", exe: "/usr/sbin/nginx" });
    expect(await only()).toMatchObject({ grade: "ok" });
    run({ pid: 50, state: "Z", argv: [] });
    const verdict = await only();
    expect(verdict).toMatchObject({ grade: "major", reason: "missing" });
    expect(verdict.says).toContain("1 left as zombie");
  });

  test("one whose first thread ended while others work on is alive, dead with the last of them", async () => {
    run({ pid: 50, exe: "/w", threads: 4 });
    watch({ name: "w", exe: "/w" });
    await only();
    run({ pid: 50, exe: "/w", state: "Z", threads: 3 });
    expect(await only()).toMatchObject({ grade: "ok", value: 1 });
    run({ pid: 50, exe: "/w", state: "Z", threads: 1 });
    expect(await only()).toMatchObject({ grade: "major", reason: "missing", says: expect.stringContaining("zombie") });
  });

  test("long missing it is looked for more seldom, and found soon when it is back", async () => {
    let walks = 0;
    const machine = asKernel(board.machine);
    watchOn(
      counting(machine, () => {
        walks += 1;
      }),
      { name: "w", exe: "/w" },
    );
    for (let second = 0; second < 60; second += 1) await only();
    const often = walks;
    expect(often).toBe(60);
    for (let second = 0; second < 60; second += 1) await only();
    expect(walks - often).toBeLessThanOrEqual(13);
    run({ pid: 50, exe: "/w" });
    expect(await only(5_000)).toMatchObject({ grade: "ok", value: 1 });
  });

  test("while all is well /proc is walked through once, at the start", async () => {
    let walks = 0;
    const machine = asKernel(board.machine);
    run({ pid: 50, exe: "/w" });
    watchOn(
      counting(machine, () => {
        walks += 1;
      }),
      { name: "w", exe: "/w" },
    );
    for (let second = 0; second < 100; second += 1) await only();
    expect(walks).toBe(1);
  });

  test("an executable that is not ours to see is known by the name of its process", async () => {
    const machine = asKernel(board.machine);
    const link = (path: string): string => {
      throw new Failure("MACHINE_READ", `cannot read ${path}: EACCES`, { facts: { path, errno: "EACCES" } });
    };
    run({ pid: 50, comm: "a-rather-long-n", argv: ["a-rather: master"] });
    run({ pid: 51, comm: "other", argv: ["/opt/by-argument"] });
    run({ pid: 52, comm: "kernel-thread", argv: [] });
    watchOn(
      { ...machine, link },
      { name: "named", exe: "/opt/a-rather-long-name" },
      { name: "argument", exe: "/opt/by-argument" },
      { name: "thread", exe: "/opt/kernel-thread" },
    );
    expect(await round()).toMatchObject([{ grade: "ok" }, { grade: "ok" }, { grade: "major", reason: "missing" }]);
  });

  test("another process under the old pid is not the old one", async () => {
    run({ pid: 50, exe: "/usr/sbin/nginx", start: 100 });
    watch({ name: "nginx", exe: "/usr/sbin/nginx" });
    expect(await only()).toMatchObject({ grade: "ok" });
    run({ pid: 50, exe: "/bin/cat", start: 9_000 });
    expect(await only()).toMatchObject({ grade: "major", reason: "missing" });
  });

  test("the same program under the old pid is a restart", async () => {
    run({ pid: 50, exe: "/usr/sbin/nginx", start: 100 });
    watch({ name: "nginx", exe: "/usr/sbin/nginx" });
    await only();
    run({ pid: 50, exe: "/usr/sbin/nginx", start: 9_000 });
    expect(await only()).toMatchObject({ grade: "ok", readings: { restarts_count: 1 } });
  });

  test("a program replaced by an upgrade while it runs is still itself", async () => {
    run({ pid: 50, exe: "/usr/sbin/nginx (deleted)" });
    watch({ name: "nginx", exe: "/usr/sbin/nginx" });
    expect(await only()).toMatchObject({ grade: "ok" });
  });

  test("neither a kernel thread nor this very process fits by accident", async () => {
    run({ pid: 9, comm: "kworker/u8:2-events", argv: [] });
    run({ pid: process.pid, comm: "node", argv: ["node", "agent", "kworker"] });
    watch({ name: "any", command: "kworker" });
    expect(await only()).toMatchObject({ grade: "major", reason: "missing" });
  });

  test("command and executable must both fit", async () => {
    run({ pid: 50, exe: "/usr/bin/python3.11", argv: ["python3", "/opt/a.py"] });
    run({ pid: 51, exe: "/bin/cat", argv: ["cat", "/opt/b.py"] });
    watch(
      { name: "a", exe: "/usr/bin/python3.11", command: ["python3", "/opt/a.py"] },
      { name: "b", exe: "/usr/bin/python3.11", command: "/opt/b.py" },
    );
    expect(await round()).toMatchObject([{ grade: "ok" }, { grade: "major", reason: "missing" }]);
  });

  test("where /proc hides other users' processes nobody is called missing", async () => {
    board.write("/proc/1/stat", undefined);
    watch({ name: "nginx", exe: "/usr/sbin/nginx" });
    expect(await round()).toMatchObject([{ state: "unknown", subject: "nginx" }]);
  });

  test("a stat that cannot be read makes its own watch unknown and no other", async () => {
    run({ pid: 50, exe: "/a" });
    run({ pid: 51, exe: "/b" });
    watch({ name: "a", exe: "/a" }, { name: "b", exe: "/b" });
    await round();
    board.write("/proc/50/stat", "50 (a");
    expect(await round()).toMatchObject([
      { state: "unknown", subject: "a" },
      { state: "judged", grade: "ok" },
    ]);
  });
});

describe("what is held open of a process", () => {
  test("is closed again where its stat cannot be read, round after round", async () => {
    const machine = asKernel(board.machine);
    const open = new Set<Source>();
    const source = (path: string): Source => {
      const one = machine.source(path);
      const kept: Source = {
        ...one,
        first() {
          open.add(kept);
          return one.first();
        },
        close() {
          open.delete(kept);
          one.close();
        },
      };
      return kept;
    };
    run({ pid: 50, exe: "/w" });
    board.write("/proc/50/stat", "50 (w");
    watchOn({ ...machine, source }, { name: "w", exe: "/w" });
    for (let i = 0; i < 3; i += 1) expect(await round()).toMatchObject([{ state: "unknown" }]);
    expect(open.size).toBe(0);
    run({ pid: 50, exe: "/w" });
    expect(await only()).toMatchObject({ grade: "ok" });
    expect(open.size).toBe(1);
  });

  test("that cannot be read any more makes its own watch unknown in that round, well again in the next that can", async () => {
    const machine = asKernel(board.machine);
    let fails = false;
    const source = (path: string): Source => {
      const one = machine.source(path);
      const first = (): number | undefined => {
        if (fails && path === "/proc/50/statm") throw new Failure("MACHINE_READ", "cannot read: EIO");
        return one.first();
      };
      return { ...one, first };
    };
    run({ pid: 50, exe: "/a" });
    run({ pid: 51, exe: "/b" });
    watchOn({ ...machine, source }, { name: "a", exe: "/a" }, { name: "b", exe: "/b" });
    await round();
    await round();
    fails = true;
    expect(await round()).toMatchObject([{ state: "unknown", subject: "a" }, { grade: "ok" }]);
    fails = false;
    expect(await round()).toMatchObject([{ grade: "ok" }, { grade: "ok" }]);
  });
});

describe("counts", () => {
  test("too few is a wrong count, none at all is missing", async () => {
    run({ pid: 50, exe: "/w" });
    run({ pid: 51, exe: "/w", start: 101 });
    watch({ name: "workers", exe: "/w", min: 2, severity: "critical" });
    expect(await only()).toMatchObject({ grade: "ok", value: 2 });
    end(51);
    expect(await only()).toMatchObject({ grade: "critical", reason: "count", value: 1 });
    end(50);
    expect(await only()).toMatchObject({ grade: "critical", reason: "missing", value: 0 });
  });

  test("one of many that ends is no longer counted in the next round", async () => {
    for (const pid of [50, 51, 52]) run({ pid, exe: "/w", start: pid });
    watch({ name: "workers", exe: "/w" });
    expect(await only()).toMatchObject({ value: 3 });
    end(52);
    expect(await only()).toMatchObject({ grade: "ok", value: 2, readings: { alive_count: 2 } });
  });

  test("one that came in the place of another is counted within ten seconds", async () => {
    for (const pid of [50, 51]) run({ pid, exe: "/w", start: pid });
    watch({ name: "workers", exe: "/w" });
    await only();
    await only();
    end(51);
    expect(await only()).toMatchObject({ value: 1 });
    run({ pid: 52, exe: "/w", start: 52 });
    expect(await only(10_000)).toMatchObject({ grade: "ok", value: 2 });
  });

  test("a child that is still its parent's copy for a moment is not too many; a second copy that stays is", async () => {
    run({ pid: 50, exe: "/w" });
    watch({ name: "w", exe: "/w", max: 1 });
    await only();
    run({ pid: 60, exe: "/w", start: 200 });
    expect(await only(10_000)).toMatchObject({ grade: "ok", readings: { alive_count: 2 } });
    run({ pid: 60, exe: "/bin/true", start: 200 });
    expect(await only()).toMatchObject({ grade: "ok", readings: { alive_count: 1 } });
    run({ pid: 60, exe: "/w", start: 200 });
    await only(10_000);
    expect(await only()).toMatchObject({ grade: "major", reason: "count", value: 2 });
    end(60);
    expect(await only()).toMatchObject({ grade: "ok", holds: "ok" });
  });

  test("what must not run at all is found when it does", async () => {
    watch({ name: "telnetd", exe: "/usr/sbin/telnetd", min: 0, max: 0, severity: "minor" });
    expect(await only()).toMatchObject({ grade: "ok" });
    run({ pid: 70, exe: "/usr/sbin/telnetd" });
    await only(10_000);
    expect(await only()).toMatchObject({ grade: "minor", reason: "count", value: 1 });
  });
});

describe("restart loops", () => {
  test("three restarts within the window are a loop; it holds until a whole window was quiet", async () => {
    run({ pid: 50, exe: "/w", start: 100 });
    watch({ name: "w", exe: "/w" });
    await only();
    for (let life = 1; life <= 3; life += 1) {
      expect(await only(), `life ${life}`).toMatchObject({ grade: "ok", readings: { restarts_count: life - 1 } });
      end(50 + life - 1);
      run({ pid: 50 + life, exe: "/w", start: 100 + life });
    }
    expect(await only()).toMatchObject({ grade: "major", holds: "major", reason: "restarts", value: 3 });
    expect(await only(598_000)).toMatchObject({ grade: "ok", holds: "major", reason: "restarts" });
    expect(await only(20_000)).toMatchObject({ grade: "ok", holds: "ok", readings: { restarts_count: 0 } });
  });

  test("workers that come and go under a master that stays are no restarts", async () => {
    run({ pid: 50, exe: "/w", start: 100 });
    watch({ name: "w", exe: "/w" });
    for (let worker = 1; worker <= 5; worker += 1) {
      run({ pid: 60 + worker, exe: "/w", start: 200 + worker });
      expect(await only(10_000)).toMatchObject({ grade: "ok", readings: { restarts_count: 0 } });
      end(60 + worker);
    }
  });

  test("the oldest that dies while others live is a restart in that very round", async () => {
    run({ pid: 50, exe: "/w", start: 100 });
    run({ pid: 51, exe: "/w", start: 101 });
    watch({ name: "w", exe: "/w" });
    await only();
    await only();
    end(50);
    expect(await only()).toMatchObject({ grade: "ok", readings: { restarts_count: 1, alive_count: 1 } });
  });

  test("one of several that dies and comes back is a restart even when the oldest stays", async () => {
    run({ pid: 50, exe: "/w", start: 100 });
    run({ pid: 51, exe: "/w", start: 101 });
    watch({ name: "w", exe: "/w", min: 2 });
    await only();
    end(51);
    await only();
    run({ pid: 52, exe: "/w", start: 500 });
    expect(await only()).toMatchObject({ grade: "ok", readings: { restarts_count: 1, alive_count: 2 } });
  });
});

describe("just after the machine's start", () => {
  test("what has not run yet raises nothing, and clears nothing that was in alarm before", async () => {
    board.write("/proc/uptime", "20.00 30.00\n");
    watch({ name: "w", exe: "/w" });
    expect(await only()).toMatchObject({ grade: "ok", holds: "major", reason: "missing" });
    board.write("/proc/uptime", "61.00 90.00\n");
    expect(await only()).toMatchObject({ grade: "major", reason: "missing" });
  });

  test("what ran already and died gets no grace", async () => {
    board.write("/proc/uptime", "20.00 30.00\n");
    run({ pid: 50, exe: "/w", start: 100 });
    watch({ name: "w", exe: "/w" });
    expect(await only()).toMatchObject({ grade: "ok", holds: "ok", readings: { uptime_s: 19 } });
    end(50);
    expect(await only()).toMatchObject({ grade: "major", reason: "missing" });
  });
});

describe("by systemd unit", () => {
  const v2 = "/sys/fs/cgroup";
  test.each([
    ["v2", `${v2}/system.slice/nginx.service`],
    ["v1", `${v2}/systemd/system.slice/nginx.service`],
    ["a slice of its own", `${v2}/system.slice/system-nginx.slice/nginx.service`],
    ["a slice beside the system's", `${v2}/video.slice/video-live.slice/nginx.service`],
  ])("its control group is found: %s", async (_, group) => {
    board.write(`${group.includes("systemd") ? `${v2}/systemd` : v2}/system.slice/cgroup.procs`, "");
    board.write(`${group}/cgroup.procs`, "50\n51\n");
    run({ pid: 50 });
    run({ pid: 51, start: 101 });
    watch({ name: "nginx", unit: "nginx.service" });
    expect(await only()).toMatchObject({ grade: "ok", readings: { alive_count: 2 } });
  });

  test("what joins its group is counted within ten seconds; another main in it is a restart, though the old one lives elsewhere", async () => {
    const group = `${v2}/system.slice/nginx.service`;
    board.write(`${group}/cgroup.procs`, "50\n");
    run({ pid: 50, start: 100 });
    run({ pid: 51, start: 101 });
    watch({ name: "nginx", unit: "nginx.service" });
    await only();
    board.write(`${group}/cgroup.procs`, "50\n51\n");
    expect(await only(10_000)).toMatchObject({ grade: "ok", readings: { alive_count: 2 } });
    board.write(`${group}/cgroup.procs`, "51\n52\n");
    run({ pid: 52, start: 102 });
    expect(await only(10_000)).toMatchObject({ readings: { alive_count: 2, restarts_count: 1 } });
  });

  test("stopped it is missing, started again it is found in the next round", async () => {
    const group = `${v2}/system.slice/nginx.service`;
    board.write(`${group}/cgroup.procs`, "50\n");
    board.write(`${v2}/system.slice/ssh.service/cgroup.procs`, "");
    run({ pid: 50 });
    watch({ name: "nginx", unit: "nginx.service" });
    await only();
    end(50);
    rmSync(board.machine.at(group), { recursive: true });
    expect(await only()).toMatchObject({ grade: "major", reason: "missing" });
    run({ pid: 90, start: 900 });
    board.write(`${group}/cgroup.procs`, "90\n");
    expect(await only()).toMatchObject({ grade: "ok", readings: { restarts_count: 1 } });
  });

  test("processes in groups the unit made for itself are its own", async () => {
    board.write(`${v2}/system.slice/docker.service/cgroup.procs`, "");
    board.write(`${v2}/system.slice/docker.service/payload/cgroup.procs`, "50\n");
    run({ pid: 50 });
    watch({ name: "docker", unit: "docker.service" });
    expect(await only()).toMatchObject({ grade: "ok", readings: { alive_count: 1 } });
  });

  test("a zombie that v1 still lists is dead", async () => {
    board.write(`${v2}/systemd/system.slice/a.service/cgroup.procs`, "50\n");
    run({ pid: 50, state: "Z" });
    watch({ name: "a", unit: "a.service" });
    expect(await only()).toMatchObject({ grade: "major", reason: "missing" });
  });

  test("without systemd it is unknown, never missing", async () => {
    rmSync(board.machine.at(v2), { recursive: true, force: true });
    watch({ name: "a", unit: "a.service" });
    expect(await round()).toMatchObject([
      { state: "unknown", because: expect.stringContaining("systemd does not run") },
    ]);
  });
});

describe("memory and descriptors", () => {
  const rss = (bytes: number) => board.write("/proc/50/statm", `2000 ${bytes / 4096} 100 10 0 200 0\n`);

  test("resident memory over its limit is an alarm until under the clear side", async () => {
    run({ pid: 50, exe: "/w" });
    watch({ name: "w", exe: "/w", rssBytes: { raise: 10_485_760, clear: 8_388_608 } });
    rss(10_485_760);
    expect(await only()).toMatchObject({ grade: "minor", reason: "memory", value: 10_485_760, unit: "B" });
    rss(9_437_184);
    expect(await only(10_000)).toMatchObject({ grade: "ok", holds: "minor" });
    rss(8_388_608);
    expect(await only(10_000)).toMatchObject({ grade: "ok", holds: "ok" });
  });

  test("is looked at every ten seconds, and told anew with the other figures or once it crosses its limit", async () => {
    run({ pid: 50, exe: "/w" });
    watch({ name: "w", exe: "/w", rssBytes: { raise: 10_485_760, clear: 8_388_608 } });
    const [first] = await round();
    rss(4_194_304);
    expect((await round(10_000))[0]).toBe(first);
    rss(10_485_760);
    expect((await round(9_000))[0]).toBe(first);
    expect(await only()).toMatchObject({ grade: "minor", reason: "memory", value: 10_485_760 });
    rss(4_194_304);
    expect(await only(10_000)).toMatchObject({ grade: "ok", holds: "ok" });
    rss(6_291_456);
    expect((await only(60_000)).readings).toMatchObject({ rss_bytes: 6_291_456 });
  });

  test("steady growth over hours is an alarm, one jump is not", async () => {
    run({ pid: 50, exe: "/w" });
    watch({ name: "w", exe: "/w", growthBytesPerHour: { raise: 1_048_576, clear: 524_288 } });
    for (let sample = 0; sample < 60; sample += 1) {
      rss(sample < 30 ? 10_485_760 : 52_428_800);
      expect(await only(300_000), `jump, sample ${sample}`).toMatchObject({ grade: "ok" });
    }
    let last: Judged | undefined;
    for (let sample = 0; sample < 72; sample += 1) {
      rss(52_428_800 + sample * 262_144);
      last = await only(300_000);
    }
    expect(last).toMatchObject({ grade: "minor", reason: "memory", unit: "B/h" });
    expect(last?.value).toBeCloseTo(12 * 262_144, -3);
  });

  test("open files that grow for hours are an alarm long before the limit, one burst is not", async () => {
    const machine = asKernel(board.machine);
    let open = 20;
    const list = (path: string): readonly string[] =>
      path === "/proc/50/fd" ? Array.from({ length: open }, (_, fd) => String(fd)) : machine.list(path);
    run({ pid: 50, exe: "/w" });
    board.write("/proc/50/limits", "Max open files            65536                65536                files     \n");
    watchOn({ ...machine, list }, { name: "w", exe: "/w", growthFdsPerHour: { raise: 30, clear: 10 } });
    for (let sample = 0; sample < 60; sample += 1) {
      open = sample < 30 ? 20 : 200;
      expect(await only(300_000), `burst, sample ${sample}`).toMatchObject({ grade: "ok" });
    }
    let last: Judged | undefined;
    for (let sample = 0; sample < 72; sample += 1) {
      open = 200 + sample * 5;
      last = await only(300_000);
    }
    expect(last).toMatchObject({ grade: "minor", reason: "descriptors", value: 60, unit: "1/h" });
  });

  test("descriptors are counted once a minute, and not at all where they are not ours to see", async () => {
    const machine = asKernel(board.machine);
    let counted = 0;
    let denied = false;
    const list = (path: string): readonly string[] => {
      if (path !== "/proc/50/fd") return machine.list(path);
      counted += 1;
      if (denied) throw new Failure("MACHINE_READ", "cannot read: EACCES", { facts: { path, errno: "EACCES" } });
      return Array.from({ length: 90 }, (_, fd) => String(fd));
    };
    run({ pid: 50, exe: "/w" });
    board.write("/proc/50/limits", "Max open files            100                  4096                 files     \n");
    watchOn({ ...machine, list }, { name: "w", exe: "/w" });
    for (let second = 0; second < 60; second += 1)
      expect(await only()).toMatchObject({
        grade: "minor",
        reason: "descriptors",
        readings: { fds_count: 90, fds_pct: 90 },
      });
    expect(counted).toBe(1);
    denied = true;
    const { grade, readings } = await only();
    expect(counted).toBe(2);
    expect(grade).toBe("ok");
    expect(readings).not.toHaveProperty("fds_count");
  });

  test("processor time is told in percent of one core", async () => {
    run({ pid: 50, exe: "/w", utime: 100, stime: 0 });
    watch({ name: "w", exe: "/w" });
    await only();
    run({ pid: 50, exe: "/w", utime: 1_100, stime: 500 });
    expect((await only(60_000)).readings).toMatchObject({ cpu_pct: 25 });
  });
});
