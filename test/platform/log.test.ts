import { spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tempFolder } from "../kit/temp.ts";

const module = join(import.meta.dirname, "../../platform/log.ts");
const redactModule = join(import.meta.dirname, "../../platform/redact.ts");

/** A program that logs to `path` and then tells on standard error that it lives. */
function logTo(path: string, work: string): string {
  const out = openSync(path, "a");
  const code = `import { openLog } from ${JSON.stringify(module)};
    import { redactor } from ${JSON.stringify(redactModule)};
    let looks = 0;
    const redact = redactor(["欧阳"]);
    const log = openLog("info", "part", (text) => { looks += 1; return redact(text); });
    ${work}
    process.stderr.write("alive");`;
  const { stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
    encoding: "utf8",
    stdio: ["ignore", out, "pipe"],
  });
  closeSync(out);
  return stderr;
}

const many = (lines: number): string =>
  `for (let i = 0; i < ${lines}; i += 1) log.info({ event: "a.b", i, 温度: "高" }, "x".repeat(2_000));`;

test("a log on a full disk loses its lines, and the program lives", () => {
  expect(logTo("/dev/full", many(100))).toBe("alive");
});

test("where there is room every line is there at once, whole and in order", () => {
  using folder = tempFolder();
  const path = join(folder.path, "log");
  expect(logTo(path, many(200))).toBe("alive");
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line).i)).toEqual(Array.from({ length: 200 }, (_, i) => i));
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: "info", part: "part", event: "a.b", 温度: "高" });
});

test("nothing secret gets into a line: not by a fact, a sentence, an error nor a part of ours", () => {
  using folder = tempFolder();
  const path = join(folder.path, "log");
  const work = `
    const child = log.child({ in: "rtsp://admin:Kanarie@h/" });
    child.warn({ event: "a.b", url: "mqtt://u:Kanarie@h", token: "Kanarie" }, "password=Kanarie");
    child.error({ event: "a.c", err: new Error("Authorization: Bearer Kanarie1"), who: "欧阳 said" }, "欧阳");
    const before = looks;
    log.debug({ event: "a.d", text: "password=Kanarie" }, "below the level");
    log.info({ event: "a.e", looks: looks - before }, "counted");`;
  expect(logTo(path, work)).toBe("alive");
  const text = readFileSync(path, "utf8");
  expect(text).not.toMatch(/Kanarie|欧阳/);
  const lines = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines[0]).toMatchObject({ in: "rtsp://***@h/", url: "mqtt://***@h", token: "***", msg: "password=***" });
  expect(lines[1]).toMatchObject({ err: { message: "Authorization: ***" }, who: "*** said", msg: "***" });
  // a line that is not written is not looked at
  expect(lines[2]).toMatchObject({ event: "a.e", looks: 0 });
});
