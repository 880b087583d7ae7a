import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { csvCell } from "../../../aggregator/http/csv.ts";
import { openSqliteStore } from "../../../aggregator/sqlite-store.ts";
import type { Store } from "../../../aggregator/store.ts";
import { ApiInventory, ApiInventoryDetail } from "../../../protocol/api-inventory.ts";
import { compareVersions } from "../../../protocol/package-version.ts";
import { deviceRow } from "../../contract/store.ts";
import { inventoryDocument } from "../../kit/hand-inventory.ts";
import { httpDesk, TOKEN } from "../../kit/http.ts";

const NOON = Date.UTC(2026, 10, 22, 4, 5, 6);
const auth = { authorization: `Bearer ${TOKEN}` };
const CLASSES = new Map([
  ["enc-1", "encoder"],
  ["ft-1", "terminal"],
  ["ft-2", "terminal"],
]);
const classes = {
  classOf: (device: string) => CLASSES.get(device),
  devicesOf: (name: string) => [...CLASSES].filter(([, own]) => own === name).map(([id]) => id),
};

/** A fleet in a real store: package versions by device. */
async function fleet(
  versions: Record<string, string>,
  own: Parameters<typeof inventoryDocument>[0] = {},
): Promise<Store> {
  const store = openSqliteStore({ file: ":memory:" });
  await store.transaction(async (tx) => {
    for (const [n, [device, version]] of Object.entries(versions).entries()) {
      await tx.saveDevice(deviceRow(device, { site: n % 2 === 0 ? "tianhe" : "yuexiu" }));
      const document = inventoryDocument({ packages: { libssl3: version, base: "1" }, ...own });
      await tx.inventory.save({ device, receivedAt: NOON, document }, undefined, [
        { kind: "changed", part: "package", item: "libssl3", was: "1", is: version },
      ]);
    }
  });
  return store;
}
const VERSIONS = { "enc-1": "3.0.11-1~deb12u2", "ft-1": "3.0.14-1~deb12u1", "ft-2": "3.0.9-1" };

interface Body {
  items: Record<string, string | number>[];
  next?: string;
  code?: string;
  message?: string;
}

async function asking(store: Store) {
  const desk = await httpDesk({ reading: store.reading, classes });
  const json = async (path: string) => {
    const answer = await desk.get(path);
    return { status: answer.status, body: (await answer.json()) as Body };
  };
  const devices = async (path: string) => (await json(path)).body.items.map(({ device }) => device);
  return {
    ...{ desk, json, devices },
    async [Symbol.asyncDispose]() {
      await desk[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}

describe("which devices run X below version y", () => {
  test("is answered by Debian's order, with the version of each", async () => {
    await using api = await asking(await fleet(VERSIONS));
    expect(await api.devices("/api/v1/inventory?package=libssl3&below=3.0.11-1~deb12u2")).toEqual(["ft-2"]);
    expect(await api.devices("/api/v1/inventory?package=libssl3&below=3.0.11-1")).toEqual(["enc-1", "ft-2"]);
    expect(await api.devices("/api/v1/packages?name=libssl3&above=3.0.9-1&below=3.0.14")).toEqual(["enc-1"]);
    expect(await api.devices("/api/v1/packages?name=curl")).toEqual([]);
    const { body } = await api.json("/api/v1/inventory?package=libssl3&below=3.0.10");
    expect(ApiInventory.parse(body.items[0])).toMatchObject({
      ...{ device: "ft-2", site: "tianhe", class: "terminal", package: "libssl3", version: "3.0.9-1" },
      ...{ model: "ROCK 5B", serial: "R5B-0042", disks: "mmcblk0 BJTD4R S/N 0x1a2b3c4d", package_count: 2 },
    });
  });

  test("agrees with the order for any versions in the fleet", async () => {
    const versions = ["1.0~rc1", "1.0", "1.0-1", "1.0-10", "1:0.1", "20230311", "1.0+b1", "1.9", "1.10"];
    const named = Object.fromEntries(versions.map((version, n) => [`d-${n}`, version]));
    await using api = await asking(await fleet(named));
    for (const below of [...versions, "0", "9:9"]) {
      const expected = Object.keys(named).filter((id) => compareVersions(named[id] ?? "", below) < 0);
      expect(await api.devices(`/api/v1/packages?name=libssl3&below=${encodeURIComponent(below)}`)).toEqual(expected);
    }
  });

  test("narrows by device, site and class, and goes on page by page", async () => {
    await using api = await asking(await fleet(VERSIONS));
    expect(await api.devices("/api/v1/inventory?site=tianhe")).toEqual(["enc-1", "ft-2"]);
    expect(await api.devices("/api/v1/inventory?class=terminal&package=libssl3")).toEqual(["ft-1", "ft-2"]);
    expect(await api.devices("/api/v1/inventory?class=camera")).toEqual([]);
    expect(await api.devices("/api/v1/packages?name=libssl3&device=ft-1")).toEqual(["ft-1"]);
    const page = await api.json("/api/v1/inventory?limit=2");
    expect(page.body.next).toBe("ft-1");
    expect(await api.devices(`/api/v1/inventory?limit=2&after=${page.body.next}`)).toEqual(["ft-2"]);
  });

  test.each([
    ["/api/v1/inventory?below=1", /package/],
    ["/api/v1/inventory?package=a%20b", /package/],
    ["/api/v1/inventory?package=a&below=1%202", /below/],
    ["/api/v1/inventory?format=xml", /format.*csv/],
    ["/api/v1/packages", /name/],
    ["/api/v1/packages?name=a&name=b", /twice/],
    ["/api/v1/devices/ft-1/inventory/history?after=x", /after/],
    ["/api/v1/inventory?class=%27%20OR%201=1", /class/],
  ])("%s is refused with its parameter named", async (path, words) => {
    await using api = await asking(await fleet(VERSIONS));
    const { status, body } = await api.json(path);
    expect({ status, code: body.code }).toEqual({ status: 400, code: "API_INVALID" });
    expect(body.message).toMatch(words);
  });
});

describe("one device", () => {
  test("comes with everything, or is not found", async () => {
    await using api = await asking(await fleet(VERSIONS));
    const { body } = await api.json("/api/v1/devices/ft-1/inventory");
    expect(ApiInventoryDetail.parse(body)).toEqual({
      ...{ device: "ft-1", site: "yuexiu", class: "terminal", received_at: NOON },
      ...inventoryDocument({ packages: { libssl3: "3.0.14-1~deb12u1", base: "1" } }),
    });
    expect(await api.json("/api/v1/devices/ft-9/inventory")).toMatchObject({
      status: 404,
      body: { code: "API_NOT_FOUND" },
    });
  });

  test("comes with what changed", async () => {
    await using api = await asking(await fleet(VERSIONS));
    const { body } = await api.json("/api/v1/devices/ft-1/inventory/history");
    expect(body.items).toMatchObject([{ device: "ft-1", at: NOON, kind: "changed", item: "libssl3", was: "1" }]);
    expect((await api.json("/api/v1/devices/ft-9/inventory/history")).body.items).toEqual([]);
  });
});

test("quantities by class, site and model", async () => {
  await using api = await asking(await fleet({ ...VERSIONS, "ft-3": "1", "ft-4": "1", "ft-5": "1" }));
  const { body } = await api.json("/api/v1/inventory/counts");
  const rows = body.items.map((row) => [row["class"], row["site"], row["model"], row["devices"]]);
  expect(rows).toEqual([
    [undefined, "tianhe", "ROCK 5B", 1],
    [undefined, "yuexiu", "ROCK 5B", 2],
    ["encoder", "tianhe", "ROCK 5B", 1],
    ["terminal", "tianhe", "ROCK 5B", 1],
    ["terminal", "yuexiu", "ROCK 5B", 1],
  ]);
  expect((await api.json("/api/v1/inventory/counts?class=terminal&limit=1")).body).toMatchObject({
    items: { length: 1 },
    next: "1",
  });
});

describe("as a CSV file", () => {
  test("everything comes at once, marked as UTF-8, with headings in the language asked for", async () => {
    const many = Object.fromEntries(
      Array.from({ length: 1_201 }, (_, n) => [`d-${String(n).padStart(4, "0")}`, "1.0"]),
    );
    await using api = await asking(await fleet(many));
    const answer = await api.desk.get("/api/v1/packages?name=libssl3&format=csv&lang=zh");
    expect(answer.headers.get("content-type")).toBe("text/csv; charset=utf-8");
    expect(answer.headers.get("content-disposition")).toBe('attachment; filename="vigil-packages.csv"');
    const bytes = Buffer.from(await answer.arrayBuffer());
    expect([...bytes.subarray(0, 3)]).toEqual([0xef, 0xbb, 0xbf]);
    const lines = bytes.subarray(3).toString("utf8").split("\r\n");
    expect(lines[0]).toBe("设备,站点,类别,软件包,版本");
    expect(lines[1]).toBe("d-0000,tianhe,,libssl3,1.0");
    expect(lines).toHaveLength(1_201 + 2); // the heading, and nothing behind the last line's end
    expect(new Set(lines).size).toBe(lines.length);
  });

  test("it comes by the Accept header too, unless JSON is asked for", async () => {
    await using api = await asking(await fleet(VERSIONS));
    const get = (path: string, accept: string, method = "GET") => api.desk.get(path, { ...auth, accept }, method);
    const typeOf = async (answer: Promise<Response>) => (await answer).headers.get("content-type")?.split(";")[0];
    expect(await typeOf(get("/api/v1/inventory", "text/csv"))).toBe("text/csv");
    expect(await typeOf(get("/api/v1/inventory", "text/html, text/csv;q=0.5"))).toBe("text/csv");
    expect(await typeOf(get("/api/v1/inventory", "*/*"))).toBe("application/json");
    expect(await typeOf(get("/api/v1/inventory?format=json", "text/csv"))).toBe("application/json");
    const head = await get("/api/v1/inventory", "text/csv", "HEAD");
    expect({ status: head.status, body: await head.text() }).toEqual({ status: 200, body: "" });
  });

  test("no text of a device is run as a formula by a spreadsheet", async () => {
    const hostile = inventoryDocument().board;
    await using api = await asking(
      await fleet(VERSIONS, {
        board: { ...hostile, vendor: "=cmd|' /C calc'!A0", model: '@SUM("a",1)', serial: "-2+3" },
      }),
    );
    const answer = await api.desk.get("/api/v1/inventory?format=csv");
    const text = await answer.text();
    expect(text).toContain(`'=cmd|' /C calc'!A0`);
    expect(text).toContain(`"'@SUM(""a"",1)"`);
    expect(text).toContain(`,'-2+3,`);
    expect(text).toContain("2026-11-22 04:05:06Z");
  });

  test("any text is one cell, reads back as it was, and begins with no formula", () => {
    const read = (cell: string): string => (cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell);
    fc.assert(
      fc.property(
        fc.string({ unit: "binary" }),
        fc.constantFrom("", "=", "+", "-", "@", "\t=", " =", "＝", "|"),
        (text, head) => {
          const cell = csvCell(head + text);
          const back = read(cell);
          expect(back === head + text || back === `'${head}${text}`).toBe(true);
          expect(back).not.toMatch(/^\s*[=+\-@|%＝＋－＠]/);
          if (/[\r\n,"]/.test(text)) expect(cell).toMatch(/^".*"$/s);
        },
      ),
    );
    expect(csvCell(-5)).toBe("-5");
    expect(csvCell(undefined)).toBe("");
  });
});
