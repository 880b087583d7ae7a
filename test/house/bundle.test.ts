import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { bundle, licencesOf } from "../../scripts/bundle.ts";
import { PROGRAMS } from "../../scripts/programs.ts";
import { tempFolder } from "../kit/temp.ts";

const ROOT = join(import.meta.dirname, "../..");
const DEVICE = {
  name: "agent",
  entry: "agent/main.ts",
  notAtStart: ["node_modules/systeminformation/"],
  never: ["node_modules/zod/v4/classic/"],
};

function house(folder: string, files: Record<string, string>): string {
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  for (const [file, code] of Object.entries({ "package.json": '{"type":"module"}', ...files })) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), code);
  }
  return folder;
}

test("a bundle runs away from node_modules, and loads what is imported dynamically only when asked", async () => {
  using folder = tempFolder();
  const root = house(folder.path, {
    "agent/main.ts": `
      import * as z from "zod/mini";
      import mqtt from "mqtt";
      import { pino } from "pino";
      console.log(z.parse(z.object({ a: z.int() }), { a: 1 }).a, typeof mqtt.connect, typeof pino);
      if (process.argv[2] === "info") console.log(typeof (await import("systeminformation")).default.cpu);`,
  });
  using away = tempFolder();
  const made = await bundle(DEVICE, root, join(away.path, "dist"));
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [join(away.path, "dist/agent.js"), ...args], { encoding: "utf8", cwd: away.path });
  expect(run("info").stdout).toBe("1 function function\nfunction\n");
  expect(made.startBytes).toBeLessThan(1_000_000);
  expect(made.lazyBytes).toBeGreaterThan(100_000);
  expect(existsSync(join(away.path, "dist/agent-lazy"))).toBe(true);
  const licences = licencesOf(made.packages, root);
  expect(licences).toMatch(/^== mqtt 5\.\d+\.\d+ \(MIT\)$/m);
  expect(licences).toMatch(/^== systeminformation /m);
  expect(licences.match(/permission is hereby granted/gi)?.length).toBeGreaterThan(5);
});

test("full zod in the agent stops the build, and the importer is named", async () => {
  using folder = tempFolder();
  const root = house(folder.path, {
    "agent/main.ts": 'import { Wire } from "./wire.ts";\nconsole.log(Wire);',
    "agent/wire.ts": 'import * as z from "zod";\nexport const Wire = z.object({});',
  });
  await expect(bundle(DEVICE, root, join(folder.path, "dist"))).rejects.toThrow(
    /zod\/v4\/classic.*agent\/main\.ts → agent\/wire\.ts → .*zod/,
  );
});

test("what should come when asked for must not come at start", async () => {
  using folder = tempFolder();
  const root = house(folder.path, { "agent/main.ts": 'import si from "systeminformation";\nconsole.log(si);' });
  await expect(bundle(DEVICE, root, join(folder.path, "dist"))).rejects.toThrow(
    /systeminformation\/ must not be at its start/,
  );
});

test("only the types of a message reach the agent, not its schema", async () => {
  using folder = tempFolder();
  const root = house(folder.path, {
    "agent/main.ts": 'import type { Wire } from "../protocol/wire.ts";\nexport const wire: Wire = { a: 1 };',
    "protocol/wire.ts":
      'import * as z from "zod";\nexport const Wire = z.object({ a: z.int() });\nexport type Wire = z.infer<typeof Wire>;',
  });
  const { packages } = await bundle(DEVICE, root, join(folder.path, "dist"));
  expect(packages).toEqual([]);
  expect(readFileSync(join(folder.path, "dist/agent.js"), "utf8").length).toBeLessThan(500);
});

test("the shipped agent runs away from node_modules, with what it loads only when asked", async () => {
  using away = tempFolder();
  const agent = PROGRAMS.find(({ name }) => name === "agent");
  if (agent === undefined) throw new Error("no agent among the programs");
  const { startBytes } = await bundle(agent, ROOT, away.path);
  expect(startBytes).toBeLessThan(400_000);
  const run = (...args: string[]) => {
    const program = ["--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", join(away.path, "agent.js"), ...args];
    return spawnSync(process.execPath, program, { encoding: "utf8", cwd: away.path });
  };
  expect(run("--help")).toMatchObject({ status: 0, stderr: "", stdout: expect.stringContaining("vigil-agent") });
  expect(JSON.parse(run("config", "--print-defaults").stdout)).toHaveProperty("brokers");
  expect(JSON.parse(run("inventory").stdout)).toHaveProperty("os");
});

for (const program of PROGRAMS.filter(({ name }) => name !== "agent")) {
  test(`the shipped ${program.name} says its help`, async () => {
    using away = tempFolder();
    await bundle(program, ROOT, away.path);
    const file = join(away.path, `${program.name}.js`);
    const { status, stdout } = spawnSync(process.execPath, [file, "--help"], { encoding: "utf8", cwd: away.path });
    expect(stdout).toContain("vigil");
    expect(status).toBe(0);
  });
}
