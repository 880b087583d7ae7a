import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { bareInfo, osName, packagesHash, runInventory, tidy } from "../../agent/inventory.ts";
import { systemClock } from "../../platform/clock.ts";
import { machineAt } from "../../platform/machine.ts";
import { runProgram } from "../../platform/run.ts";
import { DeviceInfo } from "../../protocol/from-device.ts";
import { BOARDS, type Board, openBoard } from "../kit/board.ts";

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

describe("the packages' hash", () => {
  const block = (name: string, version: string, state = "install ok installed") =>
    `Package: ${name}\nStatus: ${state}\nPriority: optional\nVersion: ${version}\nDescription: a\n Package: not\n .\n Version: 9\n`;
  const sha = (text: string) => createHash("sha256").update(text).digest("hex");

  test("is over the sorted names and versions of what is installed", () => {
    const status = [block("zlib", "1.3"), block("adduser", "3.1"), block("old", "1", "deinstall ok config-files")].join(
      "\n",
    );
    expect(packagesHash(status)).toBe(sha("adduser=3.1\nzlib=1.3"));
    expect(packagesHash("")).toBeUndefined();
  });

  test("does not depend on the order, and on every version", () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9+.-]{1,8}$/);
    const version = fc.stringMatching(/^[0-9][0-9a-z.~+-]{0,6}$/);
    const packages = fc.uniqueArray(fc.tuple(name, version), { minLength: 1, maxLength: 8, selector: ([one]) => one });
    fc.assert(
      fc.property(packages, (all) => {
        const hash = packagesHash(all.map(([one, at]) => block(one, at)).join("\n"));
        expect(
          packagesHash(
            all
              .toReversed()
              .map(([one, at]) => block(one, at))
              .join("\n"),
          ),
        ).toBe(hash);
        expect(packagesHash(all.map(([one, at], i) => block(one, i === 0 ? `${at}.1` : at)).join("\n"))).not.toBe(hash);
      }),
    );
  });
});

describe("from the child", () => {
  test("a real child finds this machine, in a message the protocol takes", async () => {
    const module = fileURLToPath(new URL("../../agent/inventory.ts", import.meta.url));
    const platform = fileURLToPath(new URL("../../platform/machine.ts", import.meta.url));
    const program = `import { takeInventory } from ${JSON.stringify(module)};
      import { machineAt } from ${JSON.stringify(platform)};
      console.log(JSON.stringify(await takeInventory(machineAt())));`;
    const argv = [process.execPath, "--input-type=module", "--eval", program] as const;
    const found = await runInventory((order) => runProgram(order, systemClock), argv);
    expect(Whole.parse(message(found))).toEqual(message(found));
    expect(found).toMatchObject(bareInfo(machineAt()));
    expect(found.cpu).toBeDefined();
    if (machineAt().read("/etc/debian_version") !== undefined) expect(found.packages_hash).toMatch(/^[0-9a-f]{64}$/);
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
