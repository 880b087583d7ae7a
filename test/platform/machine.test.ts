import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { machineAt } from "../../platform/machine.ts";
import { Failure } from "../../protocol/failure.ts";
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

  test("that is not there is undefined, one that cannot be read a typed failure with its path", () => {
    const machine = machineAt();
    expect(machine.read("/proc/none")).toBeUndefined();
    expect(machine.list("/proc/none")).toEqual([]);
    expect(() => machine.read("/proc")).toThrow(Failure);
    expect(() => machine.read("/proc")).toThrow(/\/proc.*EISDIR/);
  });
});
