import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { checkConfigs, everyCheck } from "../../agent/checks/all.ts";
import { AgentConfig } from "../../agent/config.ts";
import { parseRunConfig } from "../../agent/run-config.ts";

const EXAMPLE = readFileSync(`${import.meta.dirname}/../../deploy/examples/checks.json`, "utf8");
const BARE = { device: "ft-0042", brokers: [{ host: "broker.example", port: 8883 }] };
const parse = (checks: unknown) => parseRunConfig(JSON.stringify({ ...BARE, checks }), "agent.json");

test("the running agent reads of a config what the whole schema reads", async () => {
  const { config, checks } = await parseRunConfig(EXAMPLE, "checks.json");
  const whole = AgentConfig.parse(JSON.parse(EXAMPLE));
  const named = Object.keys({ ...JSON.parse(EXAMPLE).checks, memory: 0, cpu: 0, self: 0 });
  const only = <T>(entries: readonly (readonly [string, T])[]) => entries.filter(([id]) => named.includes(id));
  const read = Object.fromEntries(only(Object.entries(whole.checks)));
  expect(config).toEqual({ ...whole, checks: read });
  expect(only(checks.map(({ kind, config: own }) => [kind.id, own]))).toEqual(
    only(everyCheck(whole.checks).map(({ kind, config: own }) => [kind.id, own])),
  );
});

test("a check the config says nothing of is there by its name, and absent", async () => {
  const { checks } = await parse({ drift: { files: [{ path: "/etc/hosts" }] } });
  const all = everyCheck(checkConfigs.parse({})).map(({ kind: { id, name } }) => ({ id, name }));
  const byId = (a: { id: string }, b: { id: string }) => a.id.localeCompare(b.id);
  expect(checks.map(({ kind: { id, name } }) => ({ id, name })).toSorted(byId)).toEqual(all.toSorted(byId));
  const of = (id: string) => checks.find(({ kind }) => kind.id === id)?.kind.titles ?? {};
  expect([Object.keys(of("service")), Object.keys(of("drift")).length > 0]).toEqual([[], true]);
});

test.each([
  [{ swich: {} }, /checks\.swich: unknown name — did you mean "switch"\?.*allowed: .*stream/],
  [{ service: { targets: 1 } }, /checks\.service\.targets: 1 — allowed: an array/],
  [{ disk: { enabled: 0 } }, /checks\.disk\.enabled: 0 — allowed: a boolean/],
])("a mistake is told as the whole schema tells it: %j", async (checks, words) => {
  const mistake = await parse(checks).catch((cause: unknown) => String(cause));
  expect(mistake).toMatch(words);
});
