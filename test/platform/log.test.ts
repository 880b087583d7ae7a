import { spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tempFolder } from "../kit/temp.ts";

const module = join(import.meta.dirname, "../../platform/log.ts");

/** A program that logs `lines` lines to `path` and then tells on standard error that it lives. */
function logTo(path: string, lines: number): string {
  const out = openSync(path, "a");
  const code = `import { openLog } from ${JSON.stringify(module)};
    const log = openLog("info", "part");
    for (let i = 0; i < ${lines}; i += 1) log.info({ event: "a.b", i, 温度: "高" }, "x".repeat(2_000));
    process.stderr.write("alive");`;
  const { stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
    encoding: "utf8",
    stdio: ["ignore", out, "pipe"],
  });
  closeSync(out);
  return stderr;
}

test("a log on a full disk loses its lines, and the program lives", () => {
  expect(logTo("/dev/full", 100)).toBe("alive");
});

test("where there is room every line is there at once, whole and in order", () => {
  using folder = tempFolder();
  const path = join(folder.path, "log");
  expect(logTo(path, 200)).toBe("alive");
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line).i)).toEqual(Array.from({ length: 200 }, (_, i) => i));
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: "info", part: "part", event: "a.b", 温度: "高" });
});
