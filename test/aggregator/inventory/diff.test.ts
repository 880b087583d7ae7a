import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { changesBetween } from "../../../aggregator/inventory/diff.ts";
import { inventoryDocument } from "../../kit/hand-inventory.ts";

const plain = inventoryDocument();

describe("what changed between two documents", () => {
  test("is nothing when they say the same, and one line when it is the first", () => {
    expect(changesBetween(plain, inventoryDocument({ hash: "b2".repeat(32), ts: 7 }))).toEqual([]);
    expect(changesBetween(undefined, plain)).toEqual([{ kind: "first", part: "inventory", item: "inventory" }]);
  });

  test("is each package that came, went or has another version", () => {
    const now = inventoryDocument({ packages: { libssl3: "3.0.14-1~deb12u1", curl: "7.88.1-10" } });
    expect(changesBetween(plain, now)).toEqual([
      { kind: "appeared", part: "package", item: "curl", is: "7.88.1-10" },
      { kind: "changed", part: "package", item: "libssl3", was: "3.0.11-1~deb12u2", is: "3.0.14-1~deb12u1" },
      { kind: "vanished", part: "package", item: "zlib1g", was: "1:1.2.13.dfsg-1" },
    ]);
  });

  test("is a disk of another serial number, a camera that is gone, another switch port", () => {
    const before = inventoryDocument({
      cameras: [{ name: "video0", card: "HD Webcam", bus: "8-1.2:1.0" }],
      uplinks: [{ interface: "eth0", protocol: "LLDP", chassis: "SW-3", port: "Gi0/7" }],
    });
    const now = inventoryDocument({
      disks: [{ name: "mmcblk0", type: "emmc", model: "BJTD4R", serial: "0xdeadbeef", bytes: 31_268_536_320 }],
      uplinks: [{ interface: "eth0", protocol: "LLDP", chassis: "SW-3", port: "Gi0/8" }],
    });
    expect(changesBetween(before, now)).toEqual([
      {
        ...{ kind: "changed", part: "disk", item: "mmcblk0" },
        ...{ was: "BJTD4R 0x1a2b3c4d 31268536320", is: "BJTD4R 0xdeadbeef 31268536320" },
      },
      { kind: "vanished", part: "camera", item: "video0", was: "HD Webcam 8-1.2:1.0" },
      { kind: "changed", part: "uplink", item: "eth0 LLDP", was: "SW-3 Gi0/7", is: "SW-3 Gi0/8" },
    ]);
  });

  test("is not an address or a speed", () => {
    const now = inventoryDocument({
      interfaces: [{ name: "eth0", mac: "02:00:00:00:00:01", driver: "rk_gmac-dwmac", speed_mbps: 100 }],
    });
    expect(changesBetween(plain, now)).toEqual([]);
  });

  test("is not a package that only fell off the end of a list that was cut", () => {
    const cut = inventoryDocument({ packages: { libssl3: "3.0.11-1~deb12u2" }, packages_cut: 1 });
    expect(changesBetween(plain, cut)).toEqual([]);
    expect(changesBetween(cut, plain)).toEqual([]);
  });

  test("of a whole new system is bounded", () => {
    const packages = Object.fromEntries(Array.from({ length: 9_000 }, (_, i) => [`p${i}`, "1"]));
    const changes = changesBetween(plain, inventoryDocument({ packages }));
    expect(changes).toHaveLength(2_000);
    expect(changes.at(-1)).toMatchObject({ part: "inventory", is: "7003 further changes" });
  });

  test("there and back are each other's mirror, whatever the packages", () => {
    const packages = fc.dictionary(fc.stringMatching(/^[a-z]{1,2}$/), fc.stringMatching(/^[0-9]{1,2}$/), {
      maxKeys: 9,
    });
    fc.assert(
      fc.property(packages, packages, (a, b) => {
        const [before, now] = [inventoryDocument({ packages: a }), inventoryDocument({ packages: b })];
        const after = { ...a };
        for (const { part, item, is } of changesBetween(before, now)) {
          expect(part).toBe("package");
          if (is === undefined) delete after[item];
          else after[item] = is;
        }
        expect(after).toEqual(b);
        expect(changesBetween(now, before)).toHaveLength(changesBetween(before, now).length);
      }),
    );
  });
});
