import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import {
  composeInventory,
  type Found,
  INVENTORY_FILE,
  keepInventory,
  keptInventory,
  rememberNeighbours,
} from "../../../agent/inventory/document.ts";
import { lookAt } from "../../../agent/inventory/look.ts";
import { folderAt } from "../../../platform/files.ts";
import { redactor } from "../../../platform/redact.ts";
import { InventoryDocument } from "../../../protocol/inventory.ts";
import { MAX_INVENTORY_BYTES, MOST_PARTS } from "../../../protocol/inventory-limits.ts";
import { BOARDS, type Board, openBoard } from "../../kit/board.ts";
import { ADDRESSES, plugIn } from "../../kit/peripherals.ts";
import { tempFolder } from "../../kit/temp.ts";

let board: Board | undefined;
afterEach(() => {
  board?.[Symbol.dispose]();
  board = undefined;
});

const NOON = Date.UTC(2026, 10, 22, 4);
const STRICT = InventoryDocument.strict();

function found(on: Board, own: Partial<Found> = {}): InventoryDocument {
  return composeInventory({
    ...{ look: lookAt(on.machine), arch: "arm64", addresses: {}, redact: (text: string) => text, wall: NOON },
    neighbours: { uplinks: [], lldp: "absent" },
    ...own,
  });
}
const status = (packages: readonly (readonly [string, string])[]): string =>
  packages.map(([name, version]) => `Package: ${name}\nStatus: install ok installed\nVersion: ${version}\n`).join("\n");

describe("an encoder with its peripherals", () => {
  test("is told with drivers, buses, serial numbers and sizes, and without what is no hardware", () => {
    board = openBoard("rk3588-overlay");
    plugIn(board);
    const document = found(board, { addresses: ADDRESSES });
    expect(STRICT.parse(document)).toEqual(document);
    expect(document.board).toMatchObject({ model: expect.any(String), serial: expect.any(String) });
    expect(document.cameras).toEqual([
      { name: "video0", card: "stream_hdmirx", bus: "fdee0000.hdmirx-controller" },
      { name: "video2", card: "HD Webcam C270", bus: "8-1.2:1.0" },
      { name: "video10", card: "Zhang San's HD Webcam: HD Webcam", bus: "8-1.2:1.0" },
    ]);
    expect(document.sound).toEqual([
      { name: "card0", id: "rockchiphdmi0", driver: "rockchip-hdmi0", card: "rockchip-hdmi0" },
      { name: "card1", id: "C270", driver: "USB-Audio", card: "HD Webcam C270" },
    ]);
    expect(document.usb.map(({ port, serial, speed_mbps: speed }) => [port, serial, speed])).toEqual([
      ["8-1", undefined, 5000],
      ["8-1.2", "2D6B1A30", 480],
      ["8-1.3", undefined, 12],
      ["8-1.10", undefined, 480],
    ]);
    expect(document.serial_ports).toEqual([
      { name: "ttyS0", bus: "feb50000.serial" },
      { name: "ttyUSB0", bus: "ttyUSB0" },
    ]);
    expect(document.gpio_chips).toEqual([{ name: "gpiochip0", label: "gpio0", lines: 32 }]);
    expect(document.interfaces).toEqual([
      { name: "br0", mac: "c8:47:8c:00:00:42" },
      {
        ...{ name: "eth0", mac: "c8:47:8c:00:00:42", speed_mbps: 1000, duplex: "full" },
        addresses: ["192.0.2.42/24", "2001:db8::42/64"], // not the one that is another tomorrow
      },
      { name: "eth1", mac: "c8:47:8c:00:00:43" },
    ]);
  });

  test("its disks come with what the kernel or udev knows of them", () => {
    board = openBoard("rk3588-overlay");
    plugIn(board);
    expect(found(board).disks).toEqual([
      {
        ...{ name: "mmcblk0", type: "emmc", model: "BJTD4R", serial: "0x1a2b3c4d", firmware: "0x0600000000000000" },
        bytes: 61_071_360 * 512,
      },
      {
        ...{ name: "sda", type: "usb", model: "ST500LM021-1KJ15", serial: "W62A1B2C", firmware: "0003" },
        bytes: 976_773_168 * 512,
      },
    ]);
  });

  test("names of the site leave neither in a camera's name nor in a switch's", () => {
    board = openBoard("rk3588-overlay");
    plugIn(board);
    const text = JSON.stringify(
      found(board, {
        redact: redactor(["Zhang San", "Nanshan"]),
        neighbours: {
          uplinks: [{ interface: "eth0", protocol: "LLDP", chassis: "SW-Nanshan-3", port_description: "to Zhang San" }],
          lldp: "heard",
        },
      }),
    );
    expect(text).not.toMatch(/Zhang San|Nanshan/);
    expect(text).toContain("HD Webcam C270");
  });

  test("older boards show their GPIO chips on the bus alone", () => {
    board = openBoard("rk3588-overlay");
    plugIn(board);
    for (const file of ["gpiochip0/label", "gpiochip0/ngpio"]) board.write(`/sys/class/gpio/${file}`, undefined);
    expect(found(board).gpio_chips).toEqual([{ name: "gpiochip0" }]);
  });
});

describe("the document", () => {
  test.each(BOARDS)("of %s fits the protocol", (name) => {
    board = openBoard(name);
    const document = found(board);
    expect(STRICT.parse(document)).toEqual(document);
    expect(document.memory_bytes).toBeGreaterThan(1e8);
  });

  test("has the same hash while nothing changes, and another one as soon as anything does", () => {
    board = openBoard("rk3588-overlay");
    plugIn(board);
    const first = found(board);
    expect(found(board, { wall: NOON + 86_400_000 }).hash).toBe(first.hash);
    board.write("/var/lib/dpkg/status", status([["libssl3", "3.0.11"]]));
    const second = found(board);
    expect(second.hash).not.toBe(first.hash);
    board.write("/sys/bus/usb/devices/8-1.2/serial", "2D6B1A31\n");
    expect(new Set([first.hash, second.hash, found(board).hash]).size).toBe(3);
  });

  test("of a device with a hundred thousand packages still passes the broker, and says what is missing", () => {
    board = openBoard("x86-vm");
    const many = Array.from(
      { length: 100_000 },
      (_, i) => [`package-${String(i).padStart(6, "0")}`, "1:2.3-4"] as const,
    );
    board.write("/var/lib/dpkg/status", status(many));
    const document = found(board);
    const kept = Object.keys(document.packages).length;
    expect(Buffer.byteLength(JSON.stringify(document))).toBeLessThanOrEqual(MAX_INVENTORY_BYTES);
    expect(Buffer.byteLength(JSON.stringify(document))).toBeGreaterThan(MAX_INVENTORY_BYTES - 1_000);
    expect(document).toMatchObject({ package_count: 100_000, packages_cut: 100_000 - kept });
    expect(Object.keys(document.packages)[0]).toBe("package-000000");
  });

  test("lists no more of a thing than the protocol takes, and counts the rest", () => {
    board = openBoard("x86-vm");
    for (let i = 0; i < MOST_PARTS + 7; i += 1) {
      board.write(`/sys/bus/usb/devices/1-${i + 1}/idVendor`, "1d6b\n");
      board.write(`/sys/bus/usb/devices/1-${i + 1}/idProduct`, "0002\n");
    }
    const document = found(board);
    expect(document.usb).toHaveLength(MOST_PARTS);
    expect(document.cut).toBe(7);
    expect(STRICT.safeParse(document).success).toBe(true);
  });

  test("whatever bytes the kernel's files hold, it fits the protocol", () => {
    board = openBoard("rk3588-overlay");
    plugIn(board);
    const here = board;
    board.write("/var/lib/dpkg/status", status([["libssl3", "3.0.11"]]));
    const files = [
      "/proc/asound/cards",
      "/sys/bus/usb/devices/8-1.2/product",
      "/sys/bus/usb/devices/8-1.2/speed",
      "/sys/class/net/eth0/speed",
      "/sys/class/gpio/gpiochip0/ngpio",
      "/var/lib/dpkg/status",
      "/etc/os-release",
      "/proc/net/if_inet6",
      "/run/udev/data/b8:0",
    ];
    fc.assert(
      fc.property(fc.constantFrom(...files), fc.string({ unit: "binary", maxLength: 400 }), (file, text) => {
        const before = readFileSync(here.machine.at(file), { encoding: "utf8", flag: "a+" }); // made where it is missing
        here.write(file, text);
        expect(STRICT.safeParse(found(here, { addresses: ADDRESSES })).error).toBeUndefined();
        here.write(file, before);
      }),
      { numRuns: 150 },
    );
  });
});

describe("the file in the state folder", () => {
  test("is written when the document is new, and left alone when it says the same", async () => {
    using temp = tempFolder();
    const folder = folderAt(temp.path);
    board = openBoard("rk3588-overlay");
    await keepInventory(folder, found(board));
    const first = await keptInventory(folder);
    expect(first).toEqual(found(board));
    await keepInventory(folder, found(board, { wall: NOON + 86_400_000 }));
    expect((await keptInventory(folder))?.ts).toBe(NOON);
    plugIn(board);
    await keepInventory(folder, found(board, { wall: NOON + 86_400_000 }));
    expect(await keptInventory(folder)).toMatchObject({ ts: NOON + 86_400_000, cameras: { length: 3 } });
  });

  test.each(["", "{", "[]", "null", '{"hash":"a"}', "\0".repeat(1_000)])(
    "damaged (%j), it is written anew",
    async (text) => {
      using temp = tempFolder();
      const folder = folderAt(temp.path);
      board = openBoard("x86-vm");
      writeFileSync(join(temp.path, INVENTORY_FILE), text);
      expect(await keptInventory(folder)).toBeUndefined();
      await keepInventory(folder, found(board));
      expect(await keptInventory(folder)).toEqual(found(board));
    },
  );

  test("one whose content no longer fits its hash is damaged", async () => {
    using temp = tempFolder();
    board = openBoard("x86-vm");
    const document = found(board);
    writeFileSync(join(temp.path, INVENTORY_FILE), JSON.stringify({ ...document, package_count: 7 }));
    expect(await keptInventory(folderAt(temp.path))).toBeUndefined();
  });
});

describe("a neighbour heard before the start", () => {
  const heard = { uplinks: [{ interface: "eth0", protocol: "LLDP", chassis: "SW-3" }], lldp: "heard" as const };
  const silent = { uplinks: [], lldp: "silent" as const };
  test("counts on for the first minutes, in which nobody can have spoken yet", () => {
    expect(rememberNeighbours(silent, heard, 40)).toEqual(heard);
    expect(rememberNeighbours(silent, heard, 4_000)).toEqual(silent);
    expect(rememberNeighbours(silent, undefined, 40)).toEqual(silent);
    expect(rememberNeighbours({ uplinks: [], lldp: "absent" }, heard, 40)).toEqual({ uplinks: [], lldp: "absent" });
  });
});
