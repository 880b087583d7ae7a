import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../platform/clock.ts";
import { machineAt } from "../../platform/machine.ts";
import { Failure } from "../../protocol/failure.ts";
import { run } from "../kit/peers.ts";
import { tempFolder } from "../kit/temp.ts";

describe("a file of the machine", () => {
  // what the kernel writes record by record ends a read early, with more to come
  test.each([
    "/proc/self/mountinfo",
    "/proc/self/maps",
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/self/limits",
    "/etc/passwd",
  ])("%s is read to its end", (path) => {
    const text = machineAt().read(path) ?? "";
    const lines = (whole: string): number => whole.split("\n").length;
    expect(Math.abs(lines(text) - lines(readFileSync(path, "utf8")))).toBeLessThanOrEqual(
      path.endsWith("maps") ? 20 : 0,
    );
    expect(text.endsWith("\n")).toBe(true);
  });

  test("one larger than any buffer comes whole, in one reading and in the next", () => {
    using folder = tempFolder();
    mkdirSync(join(folder.path, "proc"));
    const text = `${"fault 故障 ".repeat(20_000)}end`;
    writeFileSync(join(folder.path, "proc/stat"), text);
    const machine = machineAt(folder.path);
    expect(machine.read("/proc/stat")).toBe(text);
    const source = machine.source("/proc/stat");
    expect(source.read()).toBe(text);
    writeFileSync(join(folder.path, "proc/stat"), "short");
    expect(source.read()).toBe("short");
    source.close();
  });

  test("held open tells its first byte: that of a running process, a zombie's, and none once it is gone", async () => {
    // the shell becomes a sleep, which buries nobody
    const parent = spawn("/bin/sh", ["-c", "sleep 0.3 & echo $!; exec sleep 60"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [said] = (await once(parent.stdout, "data")) as [Buffer];
    const machine = machineAt();
    const own = machine.source(`/proc/${parent.pid}/statm`);
    const childs = machine.source(`/proc/${Number(String(said))}/statm`);
    for (const statm of [own, childs]) {
      expect(statm.first()).toBeGreaterThan(0x30);
      expect(statm.first()).toBe(statm.read()?.charCodeAt(0));
    }
    while (childs.first() !== 0x30) await systemClock.sleep(20);
    parent.kill("SIGKILL");
    await once(parent, "exit");
    expect(own.first()).toBeUndefined();
    expect(machine.source("/proc/none/statm").first()).toBeUndefined();
    for (const statm of [own, childs]) statm.close();
  });

  test("held open has no first byte while it is empty, and one that could not be read is opened anew", () => {
    using folder = tempFolder();
    const place = join(folder.path, "figure");
    const source = machineAt(folder.path).source("/figure");
    writeFileSync(place, "7");
    expect(source.first()).toBe(0x37);
    writeFileSync(place, "");
    expect(source.first()).toBeUndefined();
    source.close();
    rmSync(place);
    mkdirSync(place);
    expect(() => source.first()).toThrow(/figure.*EISDIR/);
    rmdirSync(place);
    writeFileSync(place, "8");
    expect(source.first()).toBe(0x38);
    source.close();
  });

  test("that is not there is undefined, one that cannot be read a typed failure with its path", () => {
    const machine = machineAt();
    expect(machine.read("/proc/none")).toBeUndefined();
    expect(machine.list("/proc/none")).toEqual([]);
    expect(() => machine.read("/proc")).toThrow(Failure);
    expect(() => machine.read("/proc")).toThrow(/\/proc.*EISDIR/);
  });
});

describe("what the kernel knows of a file", () => {
  test("is told without opening it, of a link what it leads to or the link itself", () => {
    using folder = tempFolder();
    const at = (name: string) => join(folder.path, name);
    writeFileSync(at("conf"), "故障");
    chmodSync(at("conf"), 0o4640);
    utimesSync(at("conf"), 1_700_000_000, 1_700_000_000.25);
    symlinkSync("conf", at("link"));
    symlinkSync("nowhere", at("broken"));
    const machine = machineAt(folder.path);
    const { ino, dev, ctimeMs, uid, gid } = statSync(at("conf"));
    const stat = { type: "file", size: 6, mode: 0o4640, mtimeMs: 1_700_000_000_250, ino, dev, ctimeMs, uid, gid };
    expect(machine.stat("/conf")).toEqual(stat);
    expect(machine.stat("/link")).toEqual(stat);
    expect(machine.stat("/link", { follow: false })).toMatchObject({ type: "link", size: 4 });
    expect(machine.stat("/broken")).toBeUndefined();
    expect(machine.stat("/broken", { follow: false })).toMatchObject({ type: "link" });
    expect(machine.stat("/none")).toBeUndefined();
    expect(machine.stat("/conf/none")).toBeUndefined();
    expect(machine.stat("/")).toMatchObject({ type: "folder" });
  });

  test("tells what is no file from what is", async () => {
    using folder = tempFolder();
    const machine = machineAt();
    run("mkfifo", [join(folder.path, "fifo")]);
    const server = createServer();
    await new Promise<void>((listening) => server.listen(join(folder.path, "socket"), listening));
    expect(machine.stat(join(folder.path, "fifo"))?.type).toBe("fifo");
    expect(machine.stat(join(folder.path, "socket"))?.type).toBe("socket");
    expect(machine.stat("/dev/null")?.type).toBe("device");
    server.close();
  });

  test("is a typed failure where the way there is not ours", () => {
    using folder = tempFolder();
    symlinkSync("loop", join(folder.path, "loop"));
    expect(() => machineAt().stat(join(folder.path, "loop"))).toThrow(/loop.*ELOOP/);
  });
});
