import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FAILURES } from "../../protocol/failure.ts";
import { MESSAGES } from "../../protocol/messages.ts";
import { staleIn, writeTo } from "../../scripts/docs-folder.ts";
import { pages } from "../../scripts/docs-pages.ts";
import { tempFolder } from "../kit/temp.ts";

const ROOT = join(import.meta.dirname, "../..");
const made = pages(JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).version);
const page = (path: string): string => made.get(path) ?? "";

test("the documents in the repository say what protocol/ says (else: npm run docs)", () => {
  expect(staleIn(join(ROOT, "docs"), made)).toEqual([]);
});

test("a document that was edited, lost or has no source any more is stale, and writing mends it", () => {
  using folder = tempFolder();
  expect(writeTo(folder.path, made)).toEqual([...made.keys()]);
  expect(staleIn(folder.path, made)).toEqual([]);
  writeFileSync(join(folder.path, "topics.md"), "my own words");
  rmSync(join(folder.path, "schemas/ack.json"));
  writeFileSync(join(folder.path, "schemas/gone.json"), "{}");
  writeFileSync(join(folder.path, "map.md"), "written by a person: none of our business");
  expect(writeTo(folder.path, made)).toEqual(["schemas/ack.json", "topics.md", "schemas/gone.json"]);
  expect(staleIn(folder.path, made)).toEqual([]);
});

interface Document {
  asyncapi: string;
  channels: Record<string, { address: string; parameters: Record<string, unknown> }>;
  operations: Record<string, { action: string; bindings: { mqtt: { qos: number; retain: boolean } } }>;
}

function refsIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => (key === "$ref" ? [String(inner)] : refsIn(inner)));
}

test("AsyncAPI: every reference leads somewhere, every topic and its parameters are described, every message is sent", () => {
  const document: Document = JSON.parse(page("asyncapi.json"));
  expect(document.asyncapi).toBe("3.0.0");
  for (const ref of refsIn(document)) {
    const steps = ref.split("/").slice(1);
    const target = steps.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document);
    expect(target, ref).toBeTypeOf("object");
  }
  const channels = Object.values(document.channels);
  expect(channels.map(({ address }) => address)).toEqual(Object.values(MESSAGES).map(({ topic }) => topic));
  for (const { address, parameters } of channels) {
    expect(Object.keys(parameters)).toEqual([...address.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
  }
  const sent = Object.values(document.operations).map(({ action, bindings: { mqtt } }) => [
    action,
    mqtt.qos,
    mqtt.retain,
  ]);
  expect(sent).toEqual(Object.values(MESSAGES).map(({ qos, retained }) => ["send", qos, retained]));
});

test("every message has its JSON Schema, and every failure code its line", () => {
  for (const [name, { topic }] of Object.entries(MESSAGES)) {
    const [, link = ""] =
      page("topics.md").match(new RegExp(`\`${topic.replace(/[{}]/g, "\\$&")}\` \\| \\[${name}\\]\\(([^)]*)\\)`)) ?? [];
    expect(JSON.parse(page(link))).toMatchObject({
      $schema: "http://json-schema.org/draft-07/schema#",
      title: name,
      type: "object",
    });
  }
  for (const code of Object.keys(FAILURES)) expect(page("errors.md")).toContain(`\`${code}\``);
});
