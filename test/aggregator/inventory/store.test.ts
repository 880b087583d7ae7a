import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { enterInventory } from "../../../aggregator/inventory/desk.ts";
import { openSqliteStore } from "../../../aggregator/sqlite-store.ts";
import type { Store } from "../../../aggregator/store.ts";
import { Failure } from "../../../protocol/failure.ts";
import type { InventoryDocument } from "../../../protocol/inventory.ts";
import { deviceRow } from "../../contract/store.ts";
import { inventoryDocument } from "../../kit/hand-inventory.ts";
import { tempFolder } from "../../kit/temp.ts";

const NOON = Date.UTC(2026, 10, 22, 4);
const hashOf = (n: number): string => n.toString(16).padStart(64, "0");

async function opened(sites: Record<string, string> = {}, before?: (statement: string) => void): Promise<Store> {
  const store = openSqliteStore({ file: ":memory:", ...(before && { before }) });
  await store.transaction(async (tx) => {
    for (const id of ["ft-1", "ft-2", "ft-3"]) {
      const site = sites[id];
      await tx.saveDevice(deviceRow(id, site === undefined ? {} : { site }));
    }
  });
  return store;
}

const enter = (store: Store, device: string, body: InventoryDocument, own: { retained?: boolean; at?: number } = {}) =>
  store.transaction((tx) =>
    enterInventory(tx.inventory, { device, body, retained: own.retained ?? false, receivedAt: own.at ?? NOON }),
  );
const packagesIn = (store: Store, name: string, versions: readonly string[]) =>
  store.reading.inventory
    .packages({ package: { name, versions } }, { limit: 100 })
    .then((rows) => rows.map(({ device, version }) => `${device} ${version}`));

describe("the store of inventories", () => {
  test("gives back what was entered, over a restart too", async () => {
    using folder = tempFolder();
    const file = join(folder.path, "vigil.db");
    const document = inventoryDocument();
    {
      await using store = openSqliteStore({ file });
      await store.transaction((tx) => tx.saveDevice(deviceRow("ft-1")));
      expect(await enter(store, "ft-1", document)).toBe(document.hash);
    }
    await using store = openSqliteStore({ file });
    const { inventory } = store.reading;
    expect(await inventory.get("ft-1")).toEqual({ device: "ft-1", receivedAt: NOON, document });
    expect(await inventory.get("ft-2")).toBeUndefined();
    expect([...(await inventory.hashes())]).toEqual([["ft-1", document.hash]]);
  });

  test("answers who has which version, by site and by list", async () => {
    await using store = await opened({ "ft-1": "tianhe", "ft-2": "tianhe" });
    await enter(store, "ft-1", inventoryDocument({ packages: { libssl3: "3.0.9" } }));
    await enter(store, "ft-2", inventoryDocument({ packages: { libssl3: "3.0.11" } }));
    await enter(store, "ft-3", inventoryDocument({ packages: { libssl3: "3.0.9", curl: "7" } }));
    const { inventory } = store.reading;
    expect((await inventory.versions("libssl3")).toSorted()).toEqual(["3.0.11", "3.0.9"]);
    expect(await packagesIn(store, "libssl3", ["3.0.9"])).toEqual(["ft-1 3.0.9", "ft-3 3.0.9"]);
    const choice = { name: "libssl3", versions: ["3.0.9", "3.0.11"] };
    const ask = async (filter: object, page = { limit: 100 }) =>
      (await inventory.list({ package: choice, ...filter }, page)).map(({ device, version }) => `${device} ${version}`);
    expect(await ask({ site: "tianhe" })).toEqual(["ft-1 3.0.9", "ft-2 3.0.11"]);
    expect(await ask({ among: ["ft-2", "ft-3"] })).toEqual(["ft-2 3.0.11", "ft-3 3.0.9"]);
    expect(await ask({ device: "ft-3" })).toEqual(["ft-3 3.0.9"]);
    expect(await ask({}, { limit: 1, ...{ after: "ft-1" } })).toEqual(["ft-2 3.0.11"]);
    expect(await inventory.list({}, { limit: 100 })).toHaveLength(3);
    expect((await inventory.list({ site: "tianhe" }, { limit: 1 }))[0]).toMatchObject({
      device: "ft-1",
      site: "tianhe",
    });
  });

  test("writes only the packages that differ, and nothing at all for the document it has", async () => {
    const statements: string[] = [];
    await using store = await opened({}, (statement) => void statements.push(statement));
    const packages = Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`p${i}`, "1.0"]));
    await enter(store, "ft-1", inventoryDocument({ packages }));
    statements.length = 0;
    await enter(store, "ft-1", inventoryDocument({ packages }));
    expect(statements.filter((text) => /INSERT|DELETE|UPDATE/.test(text))).toEqual([]);
    await enter(store, "ft-1", inventoryDocument({ hash: hashOf(2), packages: { ...packages, p7: "1.1" } }));
    expect(statements.length).toBeLessThan(20);
    expect(await packagesIn(store, "p7", ["1.0", "1.1"])).toEqual(["ft-1 1.1"]);
    expect(await store.reading.inventory.versions("p7")).toEqual(["1.1"]);
  });

  test("keeps what changed, newest first, by pages", async () => {
    await using store = await opened();
    for (const [n, version] of ["1", "2", "3"].entries()) {
      await enter(store, "ft-1", inventoryDocument({ hash: hashOf(n), packages: { a: version } }), { at: NOON + n });
    }
    const { inventory } = store.reading;
    const changes = await inventory.changes("ft-1", { limit: 2 });
    expect(changes).toMatchObject([
      { at: NOON + 2, kind: "changed", part: "package", item: "a", was: "2", is: "3" },
      { at: NOON + 1, was: "1", is: "2" },
    ]);
    const rest = await inventory.changes("ft-1", { limit: 2, after: String(changes[1]?.id) });
    expect(rest).toMatchObject([{ at: NOON, kind: "first" }]);
    expect(await store.transaction((tx) => tx.inventory.forgetChanges(NOON + 2, 1))).toBe(1);
    expect(await store.transaction((tx) => tx.inventory.forgetChanges(NOON + 2, 10))).toBe(1);
    expect(await inventory.changes("ft-1", { limit: 9 })).toHaveLength(1);
  });

  test("bounds what one device's changes may take", async () => {
    await using store = await opened();
    const system = (n: number) =>
      inventoryDocument({
        hash: hashOf(n),
        packages: Object.fromEntries(Array.from({ length: 1_900 }, (_, i) => [`p${i}`, String(n)])),
      });
    for (let n = 0; n < 13; n += 1) await enter(store, "ft-1", system(n));
    await enter(store, "ft-2", system(0));
    const count = async (device: string): Promise<number> => {
      let [all, after]: [number, string | undefined] = [0, undefined];
      for (;;) {
        const page = await store.reading.inventory.changes(device, {
          limit: 5_000,
          ...(after !== undefined && { after }),
        });
        if (page.length === 0) return all;
        all += page.length;
        after = String(page.at(-1)?.id);
      }
    };
    expect(await count("ft-1")).toBe(20_000);
    expect(await count("ft-2")).toBe(1);
  });

  test("does not let what some broker kept from long ago take the place of the newer one", async () => {
    await using store = await opened();
    await enter(store, "ft-1", inventoryDocument({ hash: hashOf(2), ts: NOON }));
    expect(await enter(store, "ft-1", inventoryDocument({ hash: hashOf(1), ts: NOON - 1 }), { retained: true })).toBe(
      hashOf(2),
    );
    expect(await enter(store, "ft-1", inventoryDocument({ hash: hashOf(3), ts: 5 }))).toBe(hashOf(3)); // a clock that was set back
  });

  test("a power cut at any statement leaves all of the old or all of the new", async () => {
    let [countdown, at] = [Number.POSITIVE_INFINITY, 0];
    const old = inventoryDocument({ packages: { a: "1", b: "1" } });
    const fresh = inventoryDocument({ hash: hashOf(9), packages: { a: "2", c: "1" } });
    for (at = 0; ; at += 1) {
      await using store = await opened({}, () => {
        countdown -= 1;
        if (countdown === -1) throw new Failure("STORE_BUSY", "cut");
      });
      await enter(store, "ft-1", old);
      countdown = at;
      const done = await enter(store, "ft-1", fresh).then(
        () => true,
        () => false,
      );
      countdown = Number.POSITIVE_INFINITY;
      const is = done ? fresh : old;
      expect((await store.reading.inventory.get("ft-1"))?.document).toEqual(is);
      expect(await packagesIn(store, "a", ["1", "2"])).toEqual([`ft-1 ${is.packages["a"]}`]);
      expect(await packagesIn(store, "b", ["1"])).toHaveLength(done ? 0 : 1);
      expect(await store.reading.inventory.changes("ft-1", { limit: 9 })).toHaveLength(done ? 4 : 1);
      if (done) break;
    }
    expect(at).toBeGreaterThan(10);
  });

  test("after any documents in any order, the packages found by name are those of the last ones", async () => {
    const packages = fc.dictionary(fc.constantFrom("a", "b", "c", "d"), fc.constantFrom("1", "2", "3"));
    const step = fc.record({ device: fc.constantFrom("ft-1", "ft-2"), packages });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        await using store = await opened();
        const last = new Map<string, Record<string, string>>();
        for (const [n, one] of steps.entries()) {
          await enter(store, one.device, inventoryDocument({ hash: hashOf(n), packages: one.packages }));
          last.set(one.device, one.packages);
        }
        for (const name of ["a", "b", "c", "d"]) {
          const expected = [...last].flatMap(([device, has]) =>
            has[name] === undefined ? [] : [`${device} ${has[name]}`],
          );
          expect(await packagesIn(store, name, ["1", "2", "3"])).toEqual(expected.toSorted());
          const versions = new Set(expected.map((text) => text.split(" ")[1]));
          expect(new Set(await store.reading.inventory.versions(name))).toEqual(versions);
        }
      }),
      { numRuns: 60 },
    );
  });
});
