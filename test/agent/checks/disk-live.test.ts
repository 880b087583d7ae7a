import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Judged, Verdict } from "../../../agent/checks/check.ts";
import { disk } from "../../../agent/checks/disk/disk.ts";
import { type Machine, machineAt } from "../../../platform/machine.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { fillUp, type MountSpace, needsFuse, needsMounts, openMountSpace } from "../../kit/mount-space.ts";
import { run } from "../../kit/peers.ts";
import { tempFolder } from "../../kit/temp.ts";

function begin(machine: Machine, config: object = {}, stateDir = "/var/lib/vigil") {
  const clock = new HandClock();
  const judge = disk.begin(disk.Config.parse(config), { machine, clock, stateDir });
  if (judge === undefined) throw new Error("no mountinfo here");
  onTestFinished(() => judge.close?.());
  return { clock, round: async () => judge.judge(new AbortController().signal) };
}
const of = (verdicts: readonly Verdict[], subject: string): Judged => {
  const verdict = verdicts.find((other) => other.subject === subject);
  if (verdict?.state !== "judged") throw new Error(`${subject}: ${JSON.stringify(verdict)}`);
  return verdict;
};
function mounts(): MountSpace {
  const space = openMountSpace();
  onTestFinished(() => space[Symbol.dispose]());
  return space;
}
/** Only the mounts of the test: those of the machine are left in peace. */
const OURS = { mounts: { "/": { probeEveryMs: 0 } } };

test("this machine: its root is judged as df sees it, and takes writes", async () => {
  using state = tempFolder();
  const { round } = begin(machineAt(), OURS, state.path);
  const root = of(await round(), "/");
  expect(["readonly", "io", "stuck"]).not.toContain(root.grade === "ok" ? "" : root.reason);
  const used = Number(/(\d+)% \/$/m.exec(run("df", ["-P", "/"]))?.[1]);
  expect(Math.abs(100 - used - (root.readings["free_pct"] ?? 0))).toBeLessThanOrEqual(1);
});

describe.skipIf(needsMounts())("a real ext4", () => {
  test("filled: a fault that grows; freed: well again", async () => {
    const space = mounts();
    const point = space.mountExt4("data");
    const { round } = begin(space.machine, OURS);
    expect(of(await round(), point)).toMatchObject({ grade: "ok", holds: "ok" });
    const bulk = join(space.at(point), "bulk");
    const { free_bytes: free = 0 } = of(await round(), point).readings;
    writeFileSync(bulk, Buffer.alloc(Math.floor(free * 0.9)));
    expect(of(await round(), point)).toMatchObject({ grade: "minor", reason: "space" });
    fillUp(join(space.at(point), "more"));
    expect(of(await round(), point)).toMatchObject({ grade: "critical", reason: "space" });
    for (const name of ["bulk", "more"]) rmSync(join(space.at(point), name));
    expect(of(await round(), point)).toMatchObject({ grade: "ok", holds: "ok" });
  });

  test("without an inode left, while there is room", async () => {
    const space = mounts();
    const point = space.mountExt4("data", { inodes: 64 });
    const { round } = begin(space.machine, OURS);
    await round();
    const names = Array.from({ length: 64 }, (_, i) => join(space.at(point), `f${i}`));
    expect(() => {
      for (const name of names) writeFileSync(name, "");
    }).toThrow("ENOSPC");
    expect(of(await round(), point)).toMatchObject({ grade: "critical", reason: "inodes", value: 0 });
    for (const name of names) rmSync(name, { force: true });
    expect(of(await round(), point)).toMatchObject({ grade: "ok", holds: "ok" });
  });

  test("remounted read-only, and back", async () => {
    const space = mounts();
    const point = space.mountExt4("data");
    const { round } = begin(space.machine, OURS);
    await round();
    space.run("mount", "-o", "remount,ro", point);
    expect(of(await round(), point)).toMatchObject({ grade: "major", reason: "readonly" });
    space.run("mount", "-o", "remount,rw", point);
    expect(of(await round(), point).grade).toBe("ok");
  });

  test("made read-only for our sandbox alone is well; mounted read-only from the beginning too", async () => {
    const space = mounts();
    const sandboxed = space.mountExt4("sandboxed");
    const image = space.mountExt4("image", { options: "ro" });
    const { round } = begin(space.machine, OURS);
    await round();
    space.run("mount", "-o", "remount,ro,bind", sandboxed);
    const verdicts = await round();
    expect(of(verdicts, sandboxed).grade).toBe("ok");
    expect(of(verdicts, image).grade).toBe("ok");
  });

  test("shut by the kernel after an error of its own, also for an agent that comes later", async () => {
    const space = mounts();
    const point = space.mountExt4("data", { options: "errors=remount-ro" });
    const { round } = begin(space.machine, OURS);
    await round();
    const line = space.machine
      .source("/proc/self/mountinfo")
      .read()
      ?.split("\n")
      .find((text) => text.includes(point));
    const name = space.machine
      .link(`/sys/dev/block/${line?.split(" ")[2]}`)
      ?.split("/")
      .at(-1);
    writeFileSync(`/sys/fs/ext4/${name}/trigger_fs_error`, "1");
    expect(of(await round(), point)).toMatchObject({ grade: "major", reason: "readonly" });
    expect(of(await begin(space.machine, OURS).round(), point)).toMatchObject({ grade: "major", reason: "readonly" });
  });

  test("unmounted: no subject more, and missing where it is expected", async () => {
    const space = mounts();
    const point = space.mountExt4("data");
    const known = begin(space.machine, OURS);
    const expected = begin(space.machine, { ...OURS, expect: [point] });
    for (const { round } of [known, expected]) expect(of(await round(), point).grade).toBe("ok");
    space.run("umount", point);
    expect((await known.round()).map(({ subject }) => subject)).not.toContain(point);
    expect(of(await expected.round(), point)).toMatchObject({ grade: "major", reason: "missing" });
  });

  test("is written to and left as it was", async () => {
    const space = mounts();
    const point = space.mountExt4("data");
    const written = (): number => {
      const device = space.machine
        .source("/proc/self/mountinfo")
        .read()
        ?.split("\n")
        .find((text) => text.includes(point))
        ?.split(" ")[2];
      return Number(readFileSync(`/sys/dev/block/${device}/stat`, "utf8").trim().split(/\s+/)[6]);
    };
    const before = written();
    const { round } = begin(space.machine, OURS);
    await round();
    const first = written();
    expect(first).toBeGreaterThan(before);
    expect(run("ls", ["-A", space.at(point)])).toBe("lost+found\n");
  });
});

describe.skipIf(needsFuse())("a real mount that hangs", () => {
  test("is stuck after the wait, holds up nobody else, and is told when it dies and goes", async () => {
    const space = mounts();
    const point = space.mountExt4("data");
    const hung = space.mountHung("hung");
    const { clock, round } = begin(space.machine, OURS);
    const first = round();
    await clock.wind(0);
    await expect.poll(() => run("ls", ["-A", space.at(point)])).toBe("lost+found\n"); // the write probes have ended
    await clock.wind(2_000);
    expect(of(await first, hung.point)).toMatchObject({ grade: "major", reason: "stuck", says: "no answer for 2 s" });
    expect(of(await first, point).grade).toBe("ok");
    expect(of(await round(), hung.point).reason).toBe("stuck"); // at once: no clock is wound
    hung.release();
    await expect.poll(async () => of(await round(), hung.point).says).toBe("it answers ENOTCONN");
    space.run("umount", hung.point);
    expect((await round()).map(({ subject }) => subject)).not.toContain(hung.point);
  });
});
