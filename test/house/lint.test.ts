import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { tempFolder } from "../kit/temp.ts";

const ROOT = join(import.meta.dirname, "../..");
const tool = (name: string) => join(ROOT, "node_modules/.bin", name);

type Example = { file: string; code: string };
const imports = (file: string, specifier: string): Example => ({
  file,
  code: `import { a } from "${specifier}";\na();\n`,
});

/** Writes examples into a folder shaped like the house, under the house's own config. */
function houseOf(folder: string, examples: readonly Example[]): void {
  for (const name of ["biome.json", ".oxlintrc.json"]) copyFileSync(join(ROOT, name), join(folder, name));
  const tsconfig = readFileSync(join(ROOT, "tsconfig.json"), "utf8").replace('"types": ["node"]', '"types": []');
  writeFileSync(join(folder, "tsconfig.json"), tsconfig);
  for (const { file, code } of examples) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), code);
  }
}

/** Rules that fire, by file. */
function biome(examples: readonly Example[]): Record<string, string[]> {
  using folder = tempFolder();
  houseOf(folder.path, examples);
  const args = [
    "lint",
    "--vcs-enabled=false",
    "--diagnostic-level=error",
    "--max-diagnostics=none",
    "--reporter=github",
  ];
  const { stdout, stderr } = spawnSync(tool("biome"), args, { cwd: folder.path, encoding: "utf8" });
  const fired: Record<string, string[]> = Object.fromEntries(examples.map(({ file }) => [file, []]));
  for (const [, rule = "", path = ""] of stdout.matchAll(/^::error title=([^,]*),file=([^,]*),/gm)) {
    const file = examples.find((example) => path.endsWith(`/${example.file}`))?.file;
    if (file === undefined) throw new Error(`biome speaks of ${path}: ${stderr}`);
    if (fired[file]?.includes(rule) === false) fired[file].push(rule);
  }
  return fired;
}

const every = (examples: readonly Example[], rules: string[]) =>
  Object.fromEntries(examples.map(({ file }) => [file, rules]));

const IMPORTS = "lint/style/noRestrictedImports";
const FOREIGN: readonly Example[] = [
  imports("protocol/a.ts", "../platform/clock.ts"),
  imports("protocol/b.ts", "../agent/app.ts"),
  imports("protocol/c.ts", "node:fs"),
  imports("platform/a.ts", "../agent/checks/check.ts"),
  imports("platform/b.ts", "../aggregator/store.ts"),
  imports("platform/c.ts", "zod"),
  imports("agent/a.ts", "../aggregator/store.ts"),
  imports("agent/b.ts", "../ops/client.ts"),
  imports("agent/c.ts", "../demo/main.ts"),
  imports("agent/d.ts", "../firmware-bridge/flash.ts"),
  imports("agent/e.ts", "zod"),
  imports("agent/checks/a.ts", "../alarms/ledger.ts"),
  imports("agent/checks/b.ts", "../app.ts"),
  imports("agent/checks/c.ts", "../../aggregator/store.ts"),
  imports("agent/checks/d.ts", "zod"),
  imports("agent/checks/e.ts", "../config.ts"),
  imports("agent/checks/deep/a.ts", "../../outbox/outbox.ts"),
  imports("agent/alarms/debounce.ts", "../../platform/clock.ts"),
  imports("agent/alarms/step.ts", "node:fs"),
  imports("aggregator/a.ts", "../agent/checks/check.ts"),
  imports("aggregator/http/a.ts", "../tickets/policy.ts"),
  imports("aggregator/http/b.ts", "../main.ts"),
  imports("aggregator/http/c.ts", "../../ops/client.ts"),
  imports("aggregator/tickets/policy.ts", "../intake.ts"),
  imports("ops/a.ts", "../aggregator/store.ts"),
  imports("ops/b.ts", "../agent/app.ts"),
  imports("demo/a.ts", "../test/kit/temp.ts"),
  imports("demo/b.ts", "../bench/main.ts"),
];

test("no file reaches over the walls of the house", () => {
  expect(biome(FOREIGN)).toEqual(every(FOREIGN, [IMPORTS]));
});

test("what the import rule allows is left alone", () => {
  const allowed = [
    imports("protocol/a.ts", "./boot.ts"),
    imports("protocol/b.ts", "node:crypto"),
    imports("protocol/c.ts", "zod"),
    imports("platform/a.ts", "../protocol/failure.ts"),
    imports("platform/b.ts", "node:fs"),
    imports("platform/c.ts", "zod/mini"),
    imports("agent/app.ts", "./alarms/ledger.ts"),
    imports("agent/b.ts", "../firmware-bridge/board.ts"),
    imports("agent/checks/a.ts", "./check.ts"),
    imports("agent/checks/b.ts", "../../protocol/severity.ts"),
    imports("agent/checks/c.ts", "../../platform/clock.ts"),
    imports("agent/checks/deep/a.ts", "../check.ts"),
    imports("agent/alarms/debounce.ts", "../../protocol/severity.ts"),
    imports("aggregator/http/a.ts", "../store.ts"),
    imports("aggregator/tickets/policy.ts", "../store.ts"),
    imports("aggregator/b.ts", "zod"),
    imports("ops/a.ts", "../protocol/ticket.ts"),
    imports("demo/main.ts", "../agent/app.ts"),
    imports("test/a.ts", "../agent/checks/check.ts"),
    imports("bench/a.ts", "../test/kit/temp.ts"),
  ];
  expect(biome(allowed)).toEqual(every(allowed, []));
});

const MACHINE: readonly (Example & { rule: string })[] = [
  { file: "agent/a.ts", code: "export const t = Date.now();", rule: "lint/style/noRestrictedGlobals" },
  { file: "aggregator/a.ts", code: "export const t = new Date();", rule: "lint/style/noRestrictedGlobals" },
  { file: "platform/a.ts", code: "setTimeout(() => 1, 5);", rule: "lint/style/noRestrictedGlobals" },
  { file: "ops/a.ts", code: "setInterval(() => 1, 5);", rule: "lint/style/noRestrictedGlobals" },
  { file: "agent/b.ts", code: 'import { setTimeout as t } from "node:timers/promises"; await t(1);', rule: IMPORTS },
  { file: "aggregator/b.ts", code: 'import { setInterval as t } from "node:timers"; t(() => 1, 1);', rule: IMPORTS },
  { file: "agent/c.ts", code: 'export const home = process.env["HOME"];', rule: "lint/style/noProcessEnv" },
  { file: "agent/d.ts", code: "process.exit(1);", rule: "lint/nursery/noProcessExit" },
  { file: "ops/b.ts", code: 'import { exit } from "node:process"; exit(1);', rule: IMPORTS },
  { file: "test/a.test.ts", code: "setTimeout(() => 1, 5);", rule: "lint/style/noRestrictedGlobals" },
  {
    file: "test/b.test.ts",
    code: 'import { setTimeout as t } from "node:timers/promises"; await t(1);',
    rule: IMPORTS,
  },
];

test("clock and process are touched in their own files only", () => {
  expect(biome(MACHINE)).toEqual(Object.fromEntries(MACHINE.map(({ file, rule }) => [file, [rule]])));
  const homes = [
    {
      file: "platform/clock.ts",
      code: 'import { setTimeout as wait } from "node:timers/promises";\nawait wait(Date.now());',
    },
    { file: "agent/main.ts", code: 'process.exit(process.env["HOME"] === undefined ? 1 : 0);' },
  ];
  expect(biome(homes)).toEqual(every(homes, []));
});

const STYLE: readonly (Example & { rule: string })[] = [
  { file: "agent/a.ts", code: "export default 1;", rule: "lint/style/noDefaultExport" },
  { file: "agent/b.ts", code: "export const a = (b: any) => b;", rule: "lint/suspicious/noExplicitAny" },
  { file: "agent/c.ts", code: "export const a = (b?: string) => b!.length;", rule: "lint/style/noNonNullAssertion" },
  { file: "agent/d.ts", code: "export enum A { B }", rule: "lint/style/noEnum" },
  {
    file: "agent/e.ts",
    code: "export class A { constructor(readonly b: string) {} }",
    rule: "lint/style/noParameterProperties",
  },
];

test("the words we left out of the language stay out", () => {
  expect(biome(STYLE)).toEqual(Object.fromEntries(STYLE.map(({ file, rule }) => [file, [rule]])));
});

test("two files that import each other are a fault", () => {
  const ring = [
    { file: "agent/a.ts", code: 'import { b } from "./b.ts";\nexport const a = () => b();\n' },
    { file: "agent/b.ts", code: 'import { a } from "./a.ts";\nexport const b = () => a();\n' },
  ];
  expect(biome(ring)).toEqual(every(ring, ["lint/suspicious/noImportCycles"]));
});

test("every program folder has an import rule", () => {
  const OUTSIDE = new Set(["bench", "docs", "deploy", "scripts", "test", "node_modules", "dist", "coverage"]);
  const ruled = new Set<string>();
  for (const { includes } of JSON.parse(readFileSync(join(ROOT, "biome.json"), "utf8")).overrides) {
    for (const glob of includes) ruled.add(glob.split("/")[0]);
  }
  const folders = readdirSync(ROOT, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const programs = folders.map(({ name }) => name).filter((name) => !name.startsWith(".") && !OUTSIDE.has(name));
  expect(programs.filter((name) => !ruled.has(name))).toEqual([]);
});

const PROMISES: readonly (Example & { rule: string })[] = [
  {
    file: "agent/a.ts",
    code: "export function a(send: () => Promise<void>): void {\n  send();\n}\n",
    rule: "no-floating-promises",
  },
  {
    file: "agent/b.ts",
    code: "export const b = (list: number[], ask: (n: number) => Promise<boolean>) => list.filter((n) => ask(n));\nexport const c = (ask: () => Promise<boolean>) => {\n  if (ask()) return 1;\n  return 2;\n};\n",
    rule: "no-misused-promises",
  },
  {
    file: "agent/c.ts",
    code: "export async function c(n: number): Promise<number> {\n  return await n;\n}\n",
    rule: "await-thenable",
  },
  {
    file: "agent/d.ts",
    code: 'export function d(k: "a" | "b"): number {\n  switch (k) {\n    case "a":\n      return 1;\n  }\n  return 2;\n}\n',
    rule: "switch-exhaustiveness-check",
  },
];

test("a promise nobody waits for and a case nobody thought of are faults", () => {
  using folder = tempFolder();
  const good = "export async function e(send: () => Promise<void>): Promise<void> {\n  await send();\n}\n";
  houseOf(folder.path, [...PROMISES, { file: "agent/e.ts", code: good }]);
  const { stdout } = spawnSync(tool("oxlint"), ["--type-aware", "--format=json"], {
    cwd: folder.path,
    encoding: "utf8",
  });
  const fired: { filename: string; code: string }[] = JSON.parse(stdout).diagnostics;
  const rules = PROMISES.map(({ file, rule }) => `${file} ${rule}`);
  expect(
    [...new Set(fired.map(({ filename, code }) => `${filename} ${code.replace(/^.*\((.*)\)$/, "$1")}`))].sort(),
  ).toEqual(rules.sort());
});
