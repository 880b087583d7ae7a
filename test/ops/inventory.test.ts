import { expect, test } from "vitest";
import { runOps } from "../../ops/cli.ts";
import { HandClock } from "../kit/hand-clock.ts";
import { inventoryDocument } from "../kit/hand-inventory.ts";
import { deviceRow, handReading, NOON } from "../kit/hand-reading.ts";
import { httpDesk, TOKEN } from "../kit/http.ts";

function reading() {
  return handReading({
    devices: [deviceRow({ id: "ft-0042", site: "tianhe" }), deviceRow({ id: "ft-0043", site: "yuexiu" })],
    inventories: [
      {
        ...{ device: "ft-0042", receivedAt: NOON },
        document: inventoryDocument({
          cameras: [{ name: "video0", card: "HD Webcam\u001b[31m", driver: "uvcvideo", bus: "8-1.2:1.0" }],
          uplinks: [{ interface: "eth0", protocol: "LLDP", chassis: "SW-3", port: "Gi0/7" }],
          lldp: "heard",
        }),
      },
      {
        ...{ device: "ft-0043", receivedAt: NOON },
        document: inventoryDocument({ packages: { libssl3: "3.0.14-1~deb12u1" }, package_count: 1 }),
      },
    ],
    inventoryChanges: [
      { id: 1, device: "ft-0042", at: NOON, kind: "first", part: "inventory", item: "inventory" },
      { id: 2, device: "ft-0042", at: NOON, kind: "changed", part: "disk", item: "sda", was: "OLD 1", is: "NEW 2" },
    ],
  });
}

async function vigil(...args: string[]) {
  await using desk = await httpDesk({ reading: reading() });
  const said = { out: "", err: "" };
  const code = await runOps({
    argv: [...args, ...(args.includes("--help") ? [] : ["--url", desk.url])],
    env: { LANG: "en_GB.UTF-8", VIGIL_TOKEN: TOKEN },
    tty: false,
    out: (text) => {
      said.out += text;
    },
    err: (text) => {
      said.err += text;
    },
    clock: new HandClock(),
    random: (count) => new Uint8Array(count),
    stop: new AbortController().signal,
  });
  return { ...said, code };
}

test("lists devices with model, serial number and versions", async () => {
  const { out, code } = await vigil("inventory");
  expect(code).toBe(0);
  expect(out.split("\n")[0]).toMatch(/^device +site +model +serial +os +kernel +packages +uplink$/);
  expect(out).toMatch(/ft-0042 +tianhe +ROCK 5B +R5B-0042 .* 2 +SW-3 Gi0\/7/);
});

test("says which devices have a package below a version", async () => {
  const { out, code } = await vigil("inventory", "--package", "libssl3", "--below", "3.0.14", "--json");
  expect(code).toBe(0);
  expect(JSON.parse(out).map((row: Record<string, string>) => [row["device"], row["version"]])).toEqual([
    ["ft-0042", "3.0.11-1~deb12u2"],
  ]);
  expect((await vigil("inventory", "--package", "libssl3", "--site", "yuexiu")).out).toMatch(
    /ft-0043 .*3\.0\.14-1~deb12u1/,
  );
  expect((await vigil("inventory", "--package", "curl")).out).toBe("(none)\n");
});

test("shows one device with everything, and nothing of it reaches the terminal raw", async () => {
  const { out } = await vigil("inventory", "--device", "ft-0042");
  for (const words of [
    "S/N 0x1a2b3c4d",
    "02:00:00:00:00:01",
    "uvcvideo",
    "libssl3 3.0.11-1~deb12u2",
    "SW-3",
    "29.1 GiB",
  ])
    expect(out).toContain(words);
  expect(out).not.toContain("\u001b");
  expect((await vigil("inventory", "--device", "ft-0043", "--lang", "zh")).out).toMatch(/未安装 lldpd/);
  const chinese = (await vigil("inventory", "--device", "ft-0042", "--lang", "zh")).out;
  expect(chinese).toMatch(/^厂商 +Radxa$/m);
  expect(chinese).toMatch(/^处理器 /m);
  expect(chinese).not.toMatch(/^(?:vendor|model|serial|kernel|cpu|memory) /m);
});

test("shows what changed, and quantities", async () => {
  const { out } = await vigil("inventory", "history", "ft-0042");
  expect(out.split("\n")[1]).toMatch(/changed +disk +sda +OLD 1 +NEW 2$/);
  expect((await vigil("inventory", "history", "ft-0042", "--lang", "zh")).out).toMatch(
    /变更 +磁盘 +sda +OLD 1 +NEW 2$/m,
  );
  expect((await vigil("inventory", "--count")).out).toMatch(/tianhe +Radxa +ROCK 5B +Debian .* 1/);
});

test("prints the aggregator's CSV, with its mark for Excel and headings in the language", async () => {
  const { out } = await vigil("inventory", "--csv", "--lang", "zh");
  expect(out.startsWith("\ufeff设备,站点,类别")).toBe(true);
  expect(out).toContain("\r\nft-0042,tianhe,");
  expect((await vigil("inventory", "history", "ft-0042", "--csv")).out).toContain(",disk,sda,OLD 1,NEW 2\r\n");
  expect((await vigil("inventory", "--count", "--csv")).out).toContain("tianhe,Radxa,ROCK 5B");
});

test.each([
  [["inventory", "--below", "1"], 2, /--package/],
  [["inventory", "--csv", "--json"], 2, /--csv or --json/],
  [["inventory", "--device", "A B"], 2, /a–z/],
  [["inventory", "history"], 2, /id/],
  [["inventory", "--package", "a b"], 1, /package/],
  [["inventory", "--device", "ft-9999"], 1, /no inventory of ft-9999/],
])("%j ends with %i and says why in one line", async (args, exit, words) => {
  const { err, code } = await vigil(...args);
  expect(code).toBe(exit);
  expect(err).toMatch(words);
  expect(err.trim().split("\n")).toHaveLength(1);
});

test("explains itself in both languages", async () => {
  const { out } = await vigil("inventory", "--help");
  for (const words of ["资产清单", "inventory", "--package <name>", "--below <version>", "history", "CSV"])
    expect(out).toContain(words);
});
