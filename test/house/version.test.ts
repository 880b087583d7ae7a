import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { VERSION } from "../../protocol/version.ts";

test("the programs tell the version of the package", () => {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  expect(VERSION).toBe(version);
});
