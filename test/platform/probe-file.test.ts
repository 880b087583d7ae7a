import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { probeFile } from "../../platform/probe-file.ts";
import { fillUp, needsMounts, openMountSpace } from "../kit/mount-space.ts";
import { tempFolder } from "../kit/temp.ts";

describe("the write probe", () => {
  test("writes and leaves nothing behind", async () => {
    using folder = tempFolder();
    expect(await probeFile(folder.path, false)).toEqual({ ended: "written" });
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test("takes away what a power cut has left of the last one", async () => {
    using folder = tempFolder();
    writeFileSync(join(folder.path, ".vigil-probe"), "\n");
    expect(await probeFile(folder.path, false)).toEqual({ ended: "written" });
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test("in a folder of our own the byte stays, and is overwritten in place the next time; a link is not followed there either", async () => {
    using folder = tempFolder();
    const path = join(folder.path, ".vigil-probe");
    expect(await probeFile(folder.path, true)).toEqual({ ended: "written" });
    const { ino, mode } = statSync(path);
    expect(mode & 0o777).toBe(0o600);
    expect(await probeFile(folder.path, true)).toEqual({ ended: "written" });
    expect(statSync(path)).toMatchObject({ ino, size: 1 });
    rmSync(path);
    symlinkSync(join(folder.path, "elsewhere"), path);
    expect((await probeFile(folder.path, true)).ended).toBe("denied");
    expect(existsSync(join(folder.path, "elsewhere"))).toBe(false);
  });

  test("never writes through a link that somebody has laid for it", async () => {
    using folder = tempFolder();
    const target = join(folder.path, "shadow");
    writeFileSync(target, "secret");
    symlinkSync(target, join(folder.path, ".vigil-probe"));
    expect(await probeFile(folder.path, false)).toEqual({ ended: "written" });
    expect(readFileSync(target, "utf8")).toBe("secret");
    symlinkSync(join(folder.path, "new"), join(folder.path, ".vigil-probe"));
    await probeFile(folder.path, false);
    expect(existsSync(join(folder.path, "new"))).toBe(false);
  });

  test("says nothing of the disk where it may not or cannot go", async () => {
    using folder = tempFolder();
    expect(await probeFile(join(folder.path, "none"), false)).toEqual({ ended: "denied", errno: "ENOENT" });
    expect((await probeFile("/proc", false)).ended).toBe("denied");
    mkdirSync(join(folder.path, ".vigil-probe"));
    expect((await probeFile(folder.path, false)).ended).toBe("denied");
  });

  test.skipIf(needsMounts())("tells a read-only file system from a full one", async () => {
    using space = openMountSpace();
    const full = space.mountExt4("full");
    const readonly = space.mountExt4("readonly", { options: "ro" });
    fillUp(join(space.at(full), "bulk"));
    expect(await probeFile(space.at(full), false)).toEqual({ ended: "full", errno: "ENOSPC" });
    expect(await probeFile(space.at(readonly), false)).toEqual({ ended: "readonly", errno: "EROFS" });
  });
});
