import { expect, test } from "vitest";
import { openSqliteStore } from "../../../aggregator/sqlite-store.ts";
import type { Store } from "../../../aggregator/store.ts";
import type { InventoryDocument } from "../../../protocol/inventory.ts";
import { MAX_INVENTORY_BYTES } from "../../../protocol/inventory-limits.ts";
import { topics } from "../../../protocol/topics.ts";
import { AggregatorRig, BOOTS } from "../../kit/aggregator.ts";
import { inventoryDocument } from "../../kit/hand-inventory.ts";

const DEVICE = "ft-0042";
const TOPIC = topics.inventory(DEVICE);
const ASK = topics.command(DEVICE, "inventory");
const [ONE, TWO] = ["a1".repeat(32), "b2".repeat(32)];
const info = (hash?: string) => ({
  ts: 1,
  boot: BOOTS[0],
  agent: "1",
  ...(hash !== undefined && { inventory_hash: hash }),
});
const first = ({ hash, ...rest }: InventoryDocument): string => JSON.stringify({ hash, ...rest });

const rigOf = (store: Store = openSqliteStore({ file: ":memory:" })) => new AggregatorRig(store).start();
const refused = (rig: AggregatorRig, code: string) =>
  (rig.face.counters().vigil_refused_total as readonly { labels: { code: string }; value: number }[] | undefined)
    ? ((rig.face.counters().vigil_refused_total as { labels: { code: string }; value: number }[]).find(
        ({ labels }) => labels.code === code,
      )?.value ?? 0)
    : 0;
const hashIn = async (rig: AggregatorRig) => (await rig.face.reading.inventory.get(DEVICE))?.document.hash;

test("a document that follows its info is stored, and nobody is asked", async () => {
  await using rig = await rigOf();
  void rig.hear(topics.info(DEVICE), info(ONE));
  await rig.settle();
  void rig.hear(TOPIC, first(inventoryDocument()));
  await rig.settle();
  await rig.clock.wind(120_000);
  expect(await hashIn(rig)).toBe(ONE);
  expect(rig.on(ASK)).toEqual([]);
});

test("a document that does not come is asked for, less and less often, until it comes", async () => {
  await using rig = await rigOf();
  void rig.hear(topics.info(DEVICE), info(ONE), true);
  await rig.settle();
  await rig.clock.wind(4_000);
  expect(rig.on(ASK)).toEqual([]);
  await rig.clock.wind(3_000);
  expect(rig.on(ASK)).toEqual([{ because: "info names another one than we have" }]);
  await rig.clock.wind(400_000);
  expect(rig.on(ASK)).toHaveLength(3);
  void rig.hear(TOPIC, first(inventoryDocument()));
  await rig.clock.wind(1_000_000);
  expect(rig.on(ASK)).toHaveLength(3);
});

test("after a restart the store is known: what the broker kept is not even read, and nobody is asked", async () => {
  const store = openSqliteStore({ file: ":memory:" });
  const kept = { ...store, reading: store.reading, transaction: store.transaction.bind(store) };
  const shared: Store = {
    ...kept,
    shownTickets: (page) => store.shownTickets(page),
    hideTickets: (nos) => store.hideTickets(nos),
    [Symbol.asyncDispose]: async () => {},
  };
  {
    await using rig = await rigOf(shared);
    void rig.hear(TOPIC, first(inventoryDocument()));
    await rig.settle();
  }
  await using rig = await rigOf(shared);
  void rig.hear(TOPIC, `{"hash":"${ONE}", this is not even JSON`, true);
  void rig.hear(topics.info(DEVICE), info(ONE), true);
  await rig.settle();
  await rig.clock.wind(60_000);
  expect(refused(rig, "MESSAGE_INVALID")).toBe(0);
  expect(rig.on(ASK)).toEqual([]);
  expect(await hashIn(rig)).toBe(ONE);
  await store[Symbol.asyncDispose]();
});

test("after the loss of the store it comes back from the broker's memory, or from the device", async () => {
  await using rig = await rigOf();
  void rig.hear(TOPIC, first(inventoryDocument()), true);
  void rig.hear(topics.info(DEVICE), info(TWO), true); // it changed while the broker was away as well
  await rig.settle();
  expect(await hashIn(rig)).toBe(ONE);
  await rig.clock.wind(7_000);
  expect(rig.on(ASK)).toHaveLength(1);
});

test.each([
  ["MESSAGE_TOO_LARGE", "x".repeat(MAX_INVENTORY_BYTES + 1)],
  ["MESSAGE_INVALID", "{"],
  ["MESSAGE_INVALID", `${"[".repeat(90_000)}`],
  ["MESSAGE_INVALID", first(inventoryDocument({ hash: "short" }))],
  ["MESSAGE_INVALID", first(inventoryDocument({ packages: { "a b": "1" } }))],
  ["MESSAGE_INVALID", first(inventoryDocument({ packages: { a: "1 2" } }))],
  [
    "MESSAGE_INVALID",
    first(
      inventoryDocument({ usb: Array.from({ length: 65 }, () => ({ port: "1", vendor_id: "1", product_id: "1" })) }),
    ),
  ],
])("hostile (%s, %#): refused, counted, and the device not asked without end", async (code, payload) => {
  await using rig = await rigOf();
  void rig.hear(topics.info(DEVICE), info(ONE));
  await rig.settle();
  let asked = 0;
  for (let round = 0; round < 10; round += 1) {
    await rig.clock.wind(60_000);
    const now = rig.on(ASK).length;
    if (now > asked) void rig.hear(TOPIC, payload); // it always answers the same
    asked = now;
  }
  expect(asked).toBe(3); // after 5, 65 and 305 seconds
  expect(refused(rig, code)).toBeGreaterThan(1);
  expect(await hashIn(rig)).toBeUndefined();
});

test("a device that tells another inventory with every message is taken one a minute", async () => {
  await using rig = await rigOf();
  for (let n = 0; n < 300; n += 1) {
    void rig.hear(TOPIC, first(inventoryDocument({ hash: n.toString(16).padStart(64, "0") })));
    await rig.clock.wind(1_000);
  }
  expect(refused(rig, "MESSAGE_TOO_OFTEN")).toBeGreaterThan(280);
  expect((await rig.face.reading.inventory.changes(DEVICE, { limit: 100 })).length).toBeLessThan(20);
});

test("text from outside cannot forge a line in a terminal, however deep it lies", async () => {
  await using rig = await rigOf();
  const usb = [{ port: "1-1", vendor_id: "1d6b", product_id: "0002", product: "a\u001b[2Jb\u202ec\u0000" }];
  void rig.hear(TOPIC, first(inventoryDocument({ usb })));
  await rig.settle();
  const stored = (await rig.face.reading.inventory.get(DEVICE))?.document.usb[0]?.product;
  expect(stored).toBe("a [2Jb c ");
});

test("a document with keys of a later version is taken without them", async () => {
  await using rig = await rigOf();
  void rig.hear(TOPIC, JSON.stringify({ ...inventoryDocument(), firmware_slots: [1, 2] }));
  await rig.settle();
  expect((await rig.face.reading.inventory.get(DEVICE))?.document).toEqual(inventoryDocument());
});

test("what changed is forgotten after three years", async () => {
  await using rig = await rigOf();
  void rig.hear(TOPIC, first(inventoryDocument()));
  await rig.settle();
  await rig.later(1_097 * 86_400_000);
  await rig.clock.wind(700_000);
  expect(await rig.face.reading.inventory.changes(DEVICE, { limit: 9 })).toEqual([]);
  expect(await hashIn(rig)).toBe(ONE);
});
