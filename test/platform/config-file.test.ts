import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import * as mini from "zod/mini";
import { AgentConfig } from "../../agent/config.ts";
import { AggregatorConfig } from "../../aggregator/config.ts";
import { type ConfigSchema, parseConfig, readConfig } from "../../platform/config-file.ts";
import { Failure } from "../../protocol/failure.ts";
import { tempFolder } from "../kit/temp.ts";

const agent = (config: object): string =>
  JSON.stringify({ device: "ft-1", brokers: [{ host: "b", port: 1 }], ...config });

function mistake(
  text: string,
  schema: Parameters<typeof parseConfig>[1] = AgentConfig,
  code = "CONFIG_INVALID",
): string {
  try {
    parseConfig(text, schema, "/etc/vigil/agent.json");
  } catch (error) {
    expect(error).toBeInstanceOf(Failure);
    expect((error as Failure).code).toBe(code);
    return (error as Failure).message;
  }
  throw new Error("was taken");
}

describe("a config mistake names path, value and what is allowed", () => {
  test.each([
    ["a number out of range", agent({ rounds: { slowMs: 5 } }), ["rounds.slowMs", "5 — allowed: at least"]],
    ["a wrong type", agent({ heartbeatMs: "60s" }), ["heartbeatMs", '"60s"', "a number"]],
    [
      "a typing error in a key",
      agent({ checks: { disk: { ignroe: [] } } }),
      ["checks.disk.ignroe", "unknown name", 'did you mean "ignore"', "holdOnMs"],
    ],
    ["a key that is like none", agent({ zebra: 1 }), ["zebra: unknown name", "allowed: device, brokers"]],
    ["something missing", JSON.stringify({ brokers: [{ host: "b", port: 1 }] }), ["device: missing", "a string"]],
    ["a name in the wrong form", agent({ device: "FT 42" }), ["device", '"FT 42"', "a-z0-9-"]],
    ["a word that is not of the list", agent({ logLevel: "loud" }), ["logLevel", '"loud"', '"debug"', '"silent"']],
    [
      "an entry of a list",
      agent({
        brokers: [
          { host: "b", port: 1 },
          { host: "c", port: 70_000 },
        ],
      }),
      ["brokers.1.port", "70000", "at most 65535"],
    ],
    [
      "a rule between two values",
      agent({ checks: { disk: { space: { minor: { raise: 20, clear: 10 } } } } }),
      ["checks.disk.space.minor", "clear must not be below raise"],
    ],
    ["no broker", agent({ brokers: [] }), ["brokers"]],
    ["a union", agent({ checks: { cpu: { every: "daily" } } }), ["checks.cpu.every", '"daily"', '"fast", "slow"']],
  ])("%s", (_name, text, words) => {
    const told = mistake(text);
    for (const word of words) expect(told).toContain(word);
    expect(told).toContain("/etc/vigil/agent.json");
  });

  test("every mistake of a file is told at once", () => {
    const told = mistake(agent({ zebra: 1, logLevel: "loud", heartbeatMs: -1 }));
    for (const path of ["zebra", "logLevel", "heartbeatMs"]) expect(told).toContain(path);
  });

  test("full zod speaks the same way", () => {
    const told = mistake(
      JSON.stringify({ node: "a", brokers: [{ host: "h", port: 1 }], tickets: { timeZone: "Mars", observeMs: -1 } }),
      AggregatorConfig,
    );
    expect(told).toContain("tickets.timeZone");
    expect(told).toContain("must be an IANA time zone");
    expect(told).toContain("tickets.observeMs: -1 — allowed: at least 0");
  });

  test("text that is not JSON says where it breaks", () => {
    expect(mistake("{\n  device: 1 }", AgentConfig, "CONFIG_UNREADABLE")).toMatch(/not JSON.*position|line/s);
  });

  test("a file that is not there is named", async () => {
    await expect(readConfig("/nowhere/agent.json", AgentConfig)).rejects.toThrow(
      /\/nowhere\/agent\.json: ENOENT.*CONFIG_UNREADABLE/,
    );
  });

  test("a password in an address is not shown", () => {
    const say = () => parseConfig('{"url":"postgresql://me:hunter2@host/db"}', z.object({ url: z.number() }), "x");
    expect(say).toThrow("postgresql://me:***@host/db");
    expect(say).not.toThrow("hunter2");
  });

  test("a value is never shown longer than a line", () => {
    expect(mistake(agent({ logLevel: "x".repeat(5_000) })).length).toBeLessThan(400);
  });
});

test("a right file comes back with its defaults", async () => {
  using folder = tempFolder();
  const file = join(folder.path, "agent.json");
  writeFileSync(file, agent({}));
  const config = await readConfig(file, AgentConfig);
  expect(config).toMatchObject({ device: "ft-1", heartbeatMs: 60_000, rounds: { fastMs: 1_000, slowMs: 10_000 } });
  expect(config.checks.disk.space.major).toEqual({ raise: 5, clear: 7 });
});

test("whatever JSON stands in a file, the answer is a config or a typed failure", () => {
  const schemas = [
    AgentConfig,
    AggregatorConfig,
    mini.strictObject({ a: mini.record(mini.string(), mini.int()) }),
    z.union([z.strictObject({ a: z.int() }), z.array(z.int())]),
  ];
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(...schemas), (value, schema) => {
      try {
        parseConfig(JSON.stringify(value), schema as ConfigSchema<unknown>, "f");
      } catch (error) {
        expect(error).toBeInstanceOf(Failure);
      }
    }),
  );
});
