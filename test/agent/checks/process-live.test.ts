import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import type { Judge, Judged } from "../../../agent/checks/check.ts";
import { processes } from "../../../agent/checks/process/process.ts";
import { systemClock } from "../../../platform/clock.ts";
import { machineAt } from "../../../platform/machine.ts";
import { type Child, startChild } from "../../kit/child.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { needs } from "../../kit/peers.ts";

/** Processes of this machine, really started and really killed; only the clock is wound by hand. */
const machine = machineAt();
const children: Child[] = [];
const judges: Judge[] = [];
let started = 0;
afterEach(async () => {
  for (const judge of judges.splice(0)) judge.close?.();
  await Promise.all(children.splice(0).map((child) => child.kill9()));
});

function start(program: string, ...args: string[]): Child {
  const child = startChild(program, args);
  children.push(child);
  return child;
}
/** An argument no other process of this machine has. */
function ownSeconds(): string {
  started += 1;
  return `86400.${process.pid}${started}`;
}

function watch(clock: HandClock, ...watches: unknown[]): () => Judged {
  const judge = processes.begin(processes.Config.parse({ watch: watches }), { machine, clock });
  if (judge === undefined) throw new Error("nothing to watch");
  judges.push(judge);
  return () => {
    const [verdict] = judge.judge(new AbortController().signal) as [Judged];
    return verdict;
  };
}
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await systemClock.sleep(5);
}
const running = (child: Child, program: string): boolean =>
  machine.read(`/proc/${child.pid}/cmdline`)?.startsWith(program) === true;

describe("on this machine", () => {
  test("a process killed with -9 is missing in the next round, started again it is there in the next", async () => {
    const clock = new HandClock();
    const seconds = ownSeconds();
    const first = start("sleep", seconds);
    await until(() => running(first, "sleep"));
    const judge = watch(clock, { name: "sleeper", command: ["sleep", seconds] });
    const well = judge();
    expect(well).toMatchObject({ grade: "ok", readings: { alive_count: 1, fds_count: expect.any(Number) } });
    expect(well.readings["rss_bytes"]).toBeGreaterThan(100_000);
    expect(well.readings["uptime_s"]).toBeLessThan(60);
    await first.kill9();
    await clock.wind(1_000);
    expect(judge()).toMatchObject({ grade: "major", reason: "missing" });
    const second = start("sleep", seconds);
    await until(() => running(second, "sleep"));
    await clock.wind(1_000);
    expect(judge()).toMatchObject({ grade: "ok", readings: { restarts_count: 1 } });
  });

  test("killed and started again in a loop it is a restart loop", async () => {
    const clock = new HandClock();
    const seconds = ownSeconds();
    const judge = watch(clock, { name: "sleeper", command: ["sleep", seconds] });
    for (let life = 0; life <= 3; life += 1) {
      const child = start("sleep", seconds);
      await until(() => running(child, "sleep"));
      await clock.wind(1_000);
      const verdict = judge();
      expect(verdict.readings).toMatchObject({ restarts_count: life });
      expect(verdict.grade).toBe(life < 3 ? "ok" : "major");
      if (life === 3) expect(verdict.reason).toBe("restarts");
      await child.kill9();
    }
  });

  test.skipIf(needs("perl", "perl"))("a child its parent never buries is dead", async () => {
    const clock = new HandClock();
    const seconds = ownSeconds();
    const script = `$| = 1; my $p = fork; if (!$p) { exec "sleep", "${seconds}" } print "$p\n"; sleep 1000 while 1;`;
    const parent = start("perl", "-e", script);
    await until(() => /^\d+\n/.test(parent.output()));
    const pid = Number(parent.output());
    await until(() => machine.read(`/proc/${pid}/cmdline`)?.startsWith("sleep") === true);
    const judge = watch(clock, { name: "sleeper", command: ["sleep", seconds] });
    expect(judge()).toMatchObject({ grade: "ok" });
    process.kill(pid, "SIGKILL");
    await until(() => machine.read(`/proc/${pid}/stat`)?.includes(") Z ") === true);
    await clock.wind(1_000);
    const verdict = judge();
    expect(verdict).toMatchObject({ grade: "major", reason: "missing", value: 0 });
    expect(verdict.says).toContain("zombie");
  });

  test.skipIf(needs("perl", "perl")).each([
    [20, "ok"],
    [33, "minor"],
    [38, "major"],
  ] as const)("with %i of 40 file descriptors open it is %s", async (open, grade) => {
    const mark = ownSeconds();
    // whoever started these tests may have left files open for all their children
    const script = `use POSIX (); POSIX::close($_) for 3..1023; $| = 1; my @f; do { open(my $h, "<", "/dev/null") or die $!; push @f, $h } until fileno($f[-1]) == ${open - 1}; print "ready"; sleep 1000 while 1;`;
    const child = start("sh", "-c", `ulimit -n 40; exec perl -e '${script}' ${mark}`);
    await until(() => child.output() !== "");
    expect(child.output()).toBe("ready");
    const judge = watch(new HandClock(), { name: "opener", command: mark });
    expect(judge()).toMatchObject({ grade, readings: { fds_count: open, fds_pct: (100 * open) / 40 } });
  });

  test("an executable is found by the kernel's own link to it", async () => {
    const seconds = ownSeconds();
    const child = start("sleep", seconds);
    await until(() => running(child, "sleep"));
    const exe = machine.link(`/proc/${child.pid}/exe`);
    const judge = watch(new HandClock(), { name: "sleeper", exe, command: seconds });
    expect(judge()).toMatchObject({ grade: "ok", value: 1 });
  });

  test("it holds one file open for each process it follows, and none once closed", async () => {
    const seconds = ownSeconds();
    const crowd = [1, 2, 3].map(() => start("sleep", seconds));
    await until(() => crowd.every((child) => running(child, "sleep")));
    const held = () =>
      machine.list("/proc/self/fd").filter((fd) => machine.link(`/proc/self/fd/${fd}`)?.endsWith("/statm"));
    const before = held().length;
    const judge = watch(new HandClock(), { name: "sleepers", command: ["sleep", seconds], min: 3 });
    for (let round = 0; round < 20; round += 1) judge();
    expect(held().length).toBe(before + 3);
    const gone = crowd.map((child) => once(child.process, "close"));
    for (const child of crowd) child.process.kill("SIGKILL");
    await Promise.all(gone);
    judge();
    expect(held().length).toBe(before);
  });
});
