import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { bareInfo, osName, runInventory, tidy } from "../../agent/inventory.ts";
import { systemClock } from "../../platform/clock.ts";
import { machineAt } from "../../platform/machine.ts";
import { runProgram } from "../../platform/run.ts";
import { DeviceInfo } from "../../protocol/from-device.ts";
import { InventoryDocument } from "../../protocol/inventory.ts";
import { BOARDS, type Board, openBoard } from "../kit/board.ts";
import { tempFolder } from "../kit/temp.ts";

const MAIN = fileURLToPath(new URL("../../agent/main.ts", import.meta.url));
const Whole = DeviceInfo.strict();
const message = (found: object) => ({ ts: 1, boot: "01JD0000000000000000000000", agent: "1.0.0", ...found });

let board: Board | undefined;
afterEach(() => {
  board?.[Symbol.dispose]();
  board = undefined;
});

describe("by direct reads", () => {
  test("a board's name and number come from its device tree", () => {
    board = openBoard("rpi-cm4-debian");
    expect(bareInfo(board.machine)).toMatchObject({
      hostname: "ft-cm4",
      model: "Raspberry Pi Compute Module 4 Rev 1.1",
      serial: "10000000a1b2c3d4",
      os: "Debian GNU/Linux 12 (bookworm)",
      kernel: "6.6.51+rpt-rpi-v8",
      arch: "aarch64",
      cores: 4,
    });
  });

  test("a PC's from its firmware, without the words makers leave there", () => {
    board = openBoard("x86-vm");
    const info = bareInfo(board.machine);
    expect(info).toMatchObject({
      model: "Standard PC (Q35 + ICH9, 2009)",
      cpu: expect.stringContaining("Platinum 8375C"),
    });
    expect(info).not.toHaveProperty("serial");
  });

  test.each(BOARDS)("%s gives an info message the protocol takes", (name) => {
    board = openBoard(name);
    const info = bareInfo(board.machine);
    expect(Whole.parse(message(info))).toEqual(message(info));
    expect(info.memory_bytes).toBeGreaterThan(1e8);
  });

  test("os-release is read with any kind of quotes", () => {
    expect(osName("NAME=x\nPRETTY_NAME='Buildroot 2018.02-rc3'\n")).toBe("Buildroot 2018.02-rc3");
    expect(osName("PRETTY_NAME=Alpine\n")).toBe("Alpine");
    expect(osName('PRETTY_NAME="A \\"b\\" \\$c"')).toBe('A "b" $c');
    expect(osName("")).toBeUndefined();
  });

  test("any text becomes one clean line or nothing", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 600 }), (text) => {
        const line = tidy(text);
        if (line === undefined) return;
        expect(line).toMatch(/^\S(.*\S)?$/u);
        expect(line.length).toBeLessThanOrEqual(200);
        expect(line.isWellFormed()).toBe(true);
      }),
    );
    expect(tidy("Raspberry Pi\0")).toBe("Raspberry Pi");
    for (const text of ["", "  ", "To Be Filled By O.E.M.", "Default string", "-", undefined])
      expect(tidy(text)).toBeUndefined();
  });
});

describe("from the child", () => {
  test("a real child finds this machine, in a message the protocol takes", async () => {
    using folder = tempFolder();
    const config = join(folder.path, "agent.json");
    const stateDir = join(folder.path, "state");
    const brokers = [{ host: "127.0.0.1", port: 1883 }];
    writeFileSync(config, JSON.stringify({ device: "ft-0042", brokers, stateDir }), { mode: 0o600 });
    const argv = [process.execPath, MAIN, "inventory", "--save", "--config", config] as const;
    const found = await runInventory((order) => runProgram(order, systemClock), argv);
    expect(Whole.parse(message(found))).toEqual(message(found));
    expect(found).toMatchObject(bareInfo(machineAt()));
    expect(found.cpu).toBeDefined();
    const text = readFileSync(join(stateDir, "inventory.json"), "utf8");
    const document = InventoryDocument.strict().parse(JSON.parse(text));
    expect(document).toMatchObject({ hash: found.inventory_hash, memory_bytes: found.memory_bytes });
    expect(document.packages_hash).toBe(found.packages_hash);
    if (machineAt().read("/etc/debian_version") !== undefined) expect(document.package_count).toBeGreaterThan(50);
    await runInventory((order) => runProgram(order, systemClock), argv);
    expect(readFileSync(join(stateDir, "inventory.json"), "utf8")).toBe(text); // nothing changed: nothing is written
  });

  test.each(["", "null", "{}x", "[]", '{"cores":"two"}', '{"cores":0}', '{"unknown":1}'])(
    "the answer %j is refused",
    async (answer) => {
      await expect(runInventory(async () => answer, ["x"])).rejects.toMatchObject({ code: "MESSAGE_INVALID" });
    },
  );

  test("an inventory with nothing in it is one", async () => {
    expect(await runInventory(async () => "{}\n", ["x"])).toEqual({});
  });

  test("a child that fails is the failure it failed with", async () => {
    const run = (order: Parameters<typeof runProgram>[0]) => runProgram(order, systemClock);
    await expect(runInventory(run, ["false"])).rejects.toMatchObject({ code: "RUN_FAILED" });
    await expect(runInventory(run, ["vigil-no-such-program"])).rejects.toMatchObject({ code: "RUN_MISSING" });
  });
});
