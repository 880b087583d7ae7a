import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { packagesHash, parsePackages } from "../../../agent/inventory/packages.ts";
import { parseSound } from "../../../agent/inventory/peripherals.ts";
import { parseMemoryModule } from "../../../agent/inventory/smbios.ts";
import { askNeighbours, parseNeighbours } from "../../../agent/inventory/uplinks.ts";
import { Failure, type FailureCode } from "../../../protocol/failure.ts";
import { PACKAGE_PATTERN, VERSION_PATTERN } from "../../../protocol/inventory-limits.ts";
import { needs, run } from "../../kit/peers.ts";

describe("packages", () => {
  const block = (name: string, version: string, more = "", state = "install ok installed") =>
    `Package: ${name}\nStatus: ${state}\nPriority: optional\n${more}Version: ${version}\nDescription: a\n Package: not\n .\n Version: 9\n`;

  test("are those installed, one of a foreign architecture by its full name", () => {
    const text = [
      block("zlib1g", "1:1.3", "Architecture: amd64\n"),
      block("adduser", "3.1", "Architecture: all\n"),
      block("old", "1", "", "deinstall ok config-files"),
      block("dpkg", "1.21", "Architecture: amd64\n"),
      block("libc6", "2.36", "Architecture: amd64\n"),
      block("libc6", "2.35", "Architecture: i386\n"),
    ].join("\n");
    expect(Object.fromEntries(parsePackages(text))).toEqual({
      ...{ adduser: "3.1", dpkg: "1.21", libc6: "2.36", "libc6:i386": "2.35", zlib1g: "1:1.3" },
    });
  });

  test("of opkg are read the same way", () => {
    const opkg =
      "Package: busybox\nVersion: 1.33.2-5\nDepends: libc\nStatus: install user installed\nArchitecture: aarch64_cortex-a53\nInstalled-Time: 1\n\n" +
      "Package: kmod-usb-core\nVersion: 5.4.188-1\nStatus: install ok installed\nArchitecture: aarch64_cortex-a53\n\n" +
      "Package: gone\nVersion: 1\nStatus: deinstall ok not-installed\n";
    expect(Object.fromEntries(parsePackages(opkg))).toEqual({ busybox: "1.33.2-5", "kmod-usb-core": "5.4.188-1" });
  });

  test("of any text are lawful names and versions", () => {
    const line = fc.oneof(
      fc.string({ unit: "binary", maxLength: 30 }),
      fc.constantFrom(
        "",
        "Package: a",
        "Version: 1",
        "Status: install ok installed",
        "Package: __proto__",
        "Version: 1 2",
      ),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 30 }), (lines) => {
        for (const [name, version] of parsePackages(lines.join("\n"))) {
          expect(name).toMatch(PACKAGE_PATTERN);
          expect(version).toMatch(VERSION_PATTERN);
        }
      }),
    );
  });

  test.skipIf(needs("dpkg-query", "dpkg"))("of this machine are those dpkg lists", () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg's own placeholders
    const said = run("dpkg-query", ["-W", "-f", "${db:Status-Status} ${binary:Package} ${Version}\n"])
      .split("\n")
      .flatMap((line) => (line.startsWith("installed ") ? [line.split(" ")] : []))
      .map(([, name = "", version]) => [name.replace(/:amd64$|:arm64$/, ""), version]);
    expect(Object.fromEntries(parsePackages(readFileSync("/var/lib/dpkg/status", "utf8")))).toEqual(
      Object.fromEntries(said),
    );
  });

  test("have a hash over their sorted names and versions", () => {
    const hash = createHash("sha256").update("adduser=3.1\nzlib=1.3").digest("hex");
    expect(
      packagesHash(
        new Map([
          ["zlib", "1.3"],
          ["adduser", "3.1"],
        ]),
      ),
    ).toBe(hash);
    expect(packagesHash(new Map())).toBeUndefined();
  });
});

describe("neighbours", () => {
  const switchPort = {
    lldp: [
      {
        interface: [
          {
            ...{ name: "eth0", via: "LLDP", rid: "1", age: "0 day, 00:11:05" },
            chassis: [
              {
                id: [{ type: "mac", value: "00:e0:fc:12:34:56" }],
                name: [{ value: "SW-TIANHE-3" }],
                descr: [{ value: "Huawei S5735" }],
                "mgmt-ip": [{ value: "fe80::1" }, { value: "10.1.3.2" }],
              },
            ],
            port: [{ id: [{ type: "ifname", value: "GigabitEthernet0/0/7" }], descr: [{ value: "cabinet 42" }] }],
          },
          { name: "eth1", via: "CDPv2", chassis: [{ id: [{ type: "local", value: "sw2" }] }] },
        ],
      },
    ],
  };

  test("are told with the switch, its port and how it is reached", () => {
    expect(parseNeighbours(JSON.stringify(switchPort))).toEqual([
      {
        ...{ interface: "eth0", protocol: "LLDP", chassis: "SW-TIANHE-3", chassis_id: "00:e0:fc:12:34:56" },
        ...{ port: "GigabitEthernet0/0/7", port_description: "cabinet 42", management_address: "10.1.3.2" },
      },
      { interface: "eth1", protocol: "CDPv2", chassis_id: "sw2" },
    ]);
  });

  test("that are none are an empty list; what is no answer of lldpctl is none at all", () => {
    expect(parseNeighbours('{"lldp":[{}]}')).toEqual([]);
    for (const text of ["", "null", "[]", "{}", "lldpctl: unable to connect"])
      expect(parseNeighbours(text)).toBeUndefined();
    fc.assert(fc.property(fc.jsonValue(), (value) => void parseNeighbours(JSON.stringify({ lldp: value }))));
    fc.assert(
      fc.property(
        fc.jsonValue(),
        (value) =>
          void parseNeighbours(JSON.stringify({ lldp: [{ interface: [{ name: "a", chassis: value, port: value }] }] })),
      ),
    );
  });

  test.each([
    ["RUN_MISSING", "absent"],
    ["RUN_FAILED", "failed"],
    ["RUN_DEADLINE", "failed"],
  ] as const)("with %s from lldpctl, the document says why there are none", async (code: FailureCode, lldp) => {
    const ask = askNeighbours(async () => {
      throw new Failure(code, "x");
    });
    expect(await ask).toEqual({ uplinks: [], lldp });
  });
});

test("sound cards of any text are lines of the kernel's form", () => {
  expect(parseSound("--- no soundcards ---\n")).toEqual([]);
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => void parseSound(text)));
});

describe("memory modules", () => {
  function structure(size: number, strings: readonly string[], extended = 0): Uint8Array {
    const head = Buffer.alloc(0x28);
    head[0] = 17;
    head[1] = head.length;
    head.writeUInt16LE(size, 0x0c);
    head.writeUInt32LE(extended, 0x1c);
    for (const [at, index] of [
      [0x10, 1],
      [0x11, 2],
      [0x17, 3],
      [0x18, 4],
      [0x1a, 5],
    ] as const)
      head[at] = index;
    return Buffer.concat([head, Buffer.from(`${strings.join("\0")}\0\0`, "latin1")]);
  }
  const STRINGS = ["DIMM 0", "P0 CHANNEL A", "Kingston", "8A12F0C3", "KF432C16BB/16"];

  test("come with slot, size, maker, part and serial number", () => {
    expect(parseMemoryModule(structure(16_384, STRINGS))).toEqual({
      ...{ slot: "DIMM 0", bytes: 16 * 2 ** 30, vendor: "Kingston", part: "KF432C16BB/16", serial: "8A12F0C3" },
    });
    expect(parseMemoryModule(structure(0x7fff, STRINGS, 65_536))).toMatchObject({ bytes: 64 * 2 ** 30 });
    expect(parseMemoryModule(structure(0x8200, STRINGS))).toMatchObject({ bytes: 512 * 1024 });
    expect(parseMemoryModule(structure(0xffff, STRINGS))).not.toHaveProperty("bytes");
  });

  test("an empty slot is none, nor is any other structure", () => {
    expect(parseMemoryModule(structure(0, STRINGS))).toBeUndefined();
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => void parseMemoryModule(bytes)));
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 60, maxLength: 120 }), (bytes) => {
        bytes[0] = 17;
        bytes[1] = 0x28;
        void parseMemoryModule(bytes);
      }),
    );
  });
});
