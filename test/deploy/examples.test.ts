import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { checkConfigs } from "../../agent/checks/all.ts";
import { AgentConfig } from "../../agent/config.ts";
import { AggregatorConfig } from "../../aggregator/config.ts";
import { type ConfigSchema, readConfig } from "../../platform/config-file.ts";

const root = new URL("../../", import.meta.url).pathname;

test("the example configs are taken as they are", async () => {
  expect((await readConfig(`${root}deploy/agent.example.json`, AgentConfig)).device).toBe("ft-0042");
  expect((await readConfig(`${root}deploy/examples/checks.json`, AgentConfig)).device).toBe("ft-0042");
  expect((await readConfig(`${root}deploy/aggregator.example.json`, AggregatorConfig)).node).toBe("county-a");
});

test.each(["README.md", "README.zh-CN.md"])("the configs shown in %s are taken as they are", (name) => {
  const blocks = [...readFileSync(root + name, "utf8").matchAll(/```json\n(.*?)```/gs)].map(([, text]) =>
    JSON.parse(text ?? ""),
  );
  const schemas: ConfigSchema<unknown>[] = [AgentConfig, AggregatorConfig];
  expect(blocks).toHaveLength(2);
  for (const [i, block] of blocks.entries()) expect(schemas[i]?.safeParse(block)).toMatchObject({ success: true });
});

test("the example of all checks leaves none out that has something to be told", () => {
  const example = JSON.parse(readFileSync(`${root}deploy/examples/checks.json`, "utf8"));
  const quiet = ["memory", "cpu", "self"]; // nothing that a site must say
  expect([...Object.keys(example.checks), ...quiet].toSorted()).toEqual(Object.keys(checkConfigs.shape).toSorted());
});
