import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { AggregatorConfig } from "../../aggregator/config.ts";
import { tempFolder } from "../kit/temp.ts";

const MAIN = join(import.meta.dirname, "../../aggregator/main.ts");
const run = (...args: string[]) => spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8" });

test("the defaults it prints are a valid config, which it says of a file with them", () => {
  using folder = tempFolder();
  const file = join(folder.path, "aggregator.json");
  const printed = run("--print-defaults");
  expect(printed.status).toBe(0);
  AggregatorConfig.parse(JSON.parse(printed.stdout));
  writeFileSync(file, printed.stdout);
  expect(run("--validate", "-c", file)).toMatchObject({ status: 0, stdout: expect.stringContaining("正确 valid") });
});

test("a mistake in the config ends it with 2 and names path, value and what is allowed", () => {
  using folder = tempFolder();
  const file = join(folder.path, "aggregator.json");
  writeFileSync(file, JSON.stringify({ node: "a", brokers: [{ host: "b", port: 1 }], silence: { heartbeats: 1 } }));
  const { status, stderr } = run("--config", file);
  expect(status).toBe(2);
  expect(stderr).toContain('silence.heartbeats: unknown name — did you mean "heartbeatS"?');
  expect(stderr).toContain("CONFIG_INVALID");
});

test("an unknown option ends it with 2, help with 0", () => {
  expect(run("--nope").status).toBe(2);
  expect(run("--help")).toMatchObject({ status: 0, stdout: expect.stringContaining("vigil-aggregator") });
});
