import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { inventory } from "../../../agent/inventory-command.ts";
import { machineAt } from "../../../platform/machine.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { tempFolder } from "../../kit/temp.ts";

/** The short-lived child, as the agent asks it. */
test("names the document only where the state folder holds it: a full disk must not cost the few facts", async () => {
  using folder = tempFolder();
  const [file, stateDir] = [join(folder.path, "agent.json"), join(folder.path, "state")];
  writeFileSync(file, JSON.stringify({ device: "ft-1", brokers: [{ host: "h", port: 1 }], stateDir }));
  const ask = async (): Promise<Record<string, unknown>> => {
    let said = "";
    const say = (text: string): number => {
      said += text;
      return 0;
    };
    const how = { file, fallback: "/none", save: true, full: false, machine: machineAt(), clock: new HandClock() };
    expect(await inventory({ ...how, say })).toBe(0);
    return JSON.parse(said);
  };
  mkdirSync(stateDir);
  const kept = await ask();
  const { hash } = JSON.parse(readFileSync(join(stateDir, "inventory.json"), "utf8"));
  expect(kept["inventory_hash"]).toBe(hash);
  rmSync(stateDir, { recursive: true });
  writeFileSync(stateDir, "no folder");
  const lost = await ask();
  expect(lost).not.toHaveProperty("inventory_hash");
  expect(lost["arch"]).toBe(kept["arch"]);
}, 60_000);
