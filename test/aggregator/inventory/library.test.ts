import { describe, expect, test } from "vitest";
import { InventoryLibrary } from "../../../aggregator/inventory/library.ts";

const [ONE, TWO] = ["a1".repeat(32), "b2".repeat(32)];
const DAY = 86_400_000;

/** When it asks for `device`, looking once a second until `until`. */
function asks(library: InventoryLibrary, from: number, until: number, every = 1_000): number[] {
  const times: number[] = [];
  for (let now = from; now <= until; now += every) if (library.due(now).length > 0) times.push(now);
  return times;
}

describe("who is asked", () => {
  test("nobody whose document we have, nor one that names none", () => {
    const library = new InventoryLibrary(new Map([["ft-1", ONE]]));
    library.said("ft-1", ONE, 0);
    library.said("ft-2", undefined, 0);
    expect(asks(library, 0, DAY, 60_000)).toEqual([]);
  });

  test("one whose document does not follow its info, less and less often", () => {
    const library = new InventoryLibrary();
    library.said("ft-1", ONE, 0);
    const times = asks(library, 0, DAY);
    expect(times.slice(0, 3)).toEqual([5_000, 65_000, 305_000]);
    expect(times.length).toBeLessThan(10);
  });

  test("not one whose document came meanwhile", () => {
    const library = new InventoryLibrary();
    library.said("ft-1", ONE, 0);
    library.stored("ft-1", ONE);
    expect(asks(library, 0, 100_000)).toEqual([]);
    library.said("ft-1", TWO, 100_000);
    library.stored("ft-1", ONE); // some older one
    expect(asks(library, 100_000, 110_000)).toEqual([105_000]);
  });

  test("one that says it again is asked sooner than its turn, but not at the pace it says it", () => {
    const library = new InventoryLibrary();
    const times: number[] = [];
    for (let now = 0; now <= DAY; now += 1_000) {
      if (now % 2_000 === 0) library.said("ft-1", now % 4_000 === 0 ? ONE : now % 6_000 === 0 ? undefined : TWO, now);
      if (library.due(now).length > 0) times.push(now);
    }
    expect(times.length).toBeLessThan(150); // every ten minutes
    expect(times.length).toBeGreaterThan(100);
  });

  test("a fleet after the loss of the store, a few at a time", () => {
    const library = new InventoryLibrary();
    for (let i = 0; i < 1_000; i += 1) library.said(`ft-${i}`, ONE, 0);
    const first = library.due(10_000);
    expect(first.length).toBeLessThanOrEqual(20);
    const all = new Set(first);
    for (let now = 10_500; now < 60_000; now += 500) for (const device of library.due(now)) all.add(device);
    expect(all.size).toBe(1_000);
  });
});

test("a device that changes its mind all the time is taken one new document a minute", () => {
  const library = new InventoryLibrary();
  let taken = 0;
  for (let now = 0; now < 3_600_000; now += 1_000) taken += library.admits("ft-1", now) ? 1 : 0;
  expect(taken).toBeGreaterThan(50);
  expect(taken).toBeLessThan(70);
  expect(library.admits("ft-2", 0)).toBe(true);
});
