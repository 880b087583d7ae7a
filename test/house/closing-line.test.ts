import { spawnSync } from "node:child_process";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tempFolder } from "../kit/temp.ts";

const ROOT = join(import.meta.dirname, "../..");

/** Runs vitest with our reporter on test files of its own; returns the last line and the exit code. */
function closing(files: Readonly<Record<string, string>>): { line: string | undefined; status: number | null } {
  using folder = tempFolder();
  symlinkSync(join(ROOT, "node_modules"), join(folder.path, "node_modules"));
  const reporter = join(ROOT, "test/kit/closing-line.ts");
  writeFileSync(
    join(folder.path, "vitest.config.ts"),
    `import { ClosingLine } from ${JSON.stringify(reporter)};\nexport default { test: { reporters: [new ClosingLine()] } };\n`,
  );
  for (const [name, code] of Object.entries(files)) {
    writeFileSync(join(folder.path, name), `import { beforeAll, describe, expect, test } from "vitest";\n${code}`);
  }
  const vitest = join(ROOT, "node_modules/.bin/vitest");
  const { stdout, status } = spawnSync(vitest, ["run"], { cwd: folder.path, encoding: "utf8" });
  return { line: stdout.trimEnd().split("\n").at(-1), status };
}

const GOOD = 'test("well", () => {});';

test("a good run closes with its count", () => {
  expect(closing({ "a.test.ts": GOOD, "b.test.ts": GOOD })).toEqual({ line: "2 passed, 0 failed", status: 0 });
});

test("failed tests, broken hooks, files that do not load and stray errors are failures, skipped ones are told", () => {
  const files = {
    "a.test.ts": `${GOOD} test("bad", () => expect(1).toBe(2)); test.skip("later", () => {});`,
    "b.test.ts": 'import "./missing.ts"; test("never", () => {});',
    "c.test.ts": `test("stray", () => void Promise.reject(new Error("stray")));`,
    "d.test.ts":
      'describe("suite", () => { beforeAll(() => { throw new Error("hook"); }); test("never", () => {}); });',
  };
  expect(closing(files)).toEqual({ line: "2 passed, 4 failed, 2 skipped", status: 1 });
});

test("a run that passed nothing fails", () => {
  expect(closing({})).toEqual({ line: "0 passed, 0 failed", status: 1 });
  expect(closing({ "a.test.ts": 'test.skip("later", () => {});' })).toEqual({
    line: "0 passed, 0 failed, 1 skipped",
    status: 1,
  });
});
