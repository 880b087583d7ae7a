import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { LogsKeep, type LogsState } from "../../agent/checks/logs/keep.ts";
import { folderAt } from "../../platform/files.ts";
import { slotAt } from "../../platform/slot.ts";
import { needsMounts, openMountSpace } from "../kit/mount-space.ts";
import { tempFolder } from "../kit/temp.ts";

describe("a slot", () => {
  test("gives back what was written last, however long the one before; nothing of it when it is torn", () => {
    using folder = tempFolder("vigil-slot");
    const slot = slotAt(join(folder.path, "run"), "one");
    expect(slot.read()).toBeUndefined();
    slot.write("长".repeat(9_000));
    slot.write("short");
    expect(slot.read()).toBe("short");
    slot.write("长".repeat(2_000));
    expect(slot.read()).toBe("长".repeat(2_000));
    truncateSync(join(folder.path, "run", "one"), 4_096);
    expect(slot.read()).toBeUndefined();
    slot.close();
  });
});

describe.skipIf(needsMounts())("a folder in memory that is full", () => {
  const state = (excerpt: string): LogsState => ({
    boot: "b",
    files: {},
    tallies: { tick: { total: excerpt.length, recent: [], lastAt: 0, raised: false, where: "", excerpt } },
  });

  test("is said, and what was kept before is there still, however often it is tried", async () => {
    using space = openMountSpace();
    const run = join(space.folder, "run");
    space.run("mkdir", run);
    space.run("mount", "-t", "tmpfs", "-o", "size=12k", "none", run);
    const keep = { folder: folderAt(join(space.folder, "state")), slot: (name: string) => slotAt(space.at(run), name) };
    const kept = new LogsKeep(keep);
    kept.save(state("a"));
    kept.save(state("bb"));
    writeFileSync(space.at(join(run, "film")), "x");
    for (let i = 0; i < 3; i += 1) expect(() => kept.save(state("c".repeat(5_000)))).toThrow("ENOSPC");
    expect(readFileSync(space.at(join(run, "logs"))).length).toBe(4_096);
    expect((await new LogsKeep(keep).load())?.tallies["tick"]?.total).toBe(2);
    kept.save(state("dddd"));
    expect((await new LogsKeep(keep).load())?.tallies["tick"]?.total).toBe(4);
  });

  test("a last part that found no room is no success", () => {
    using space = openMountSpace();
    const run = join(space.folder, "run");
    space.run("mkdir", run);
    space.run("mount", "-t", "tmpfs", "-o", "size=8k", "none", run);
    const slot = slotAt(space.at(run), "one");
    expect(() => slot.write("x".repeat(20_000))).toThrow("ENOSPC");
  });
});
