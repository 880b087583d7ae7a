import fc from "fast-check";
import { expect, test } from "vitest";
import { ackOf, advance, standing, startsAnew, stateOrder } from "../../aggregator/places.ts";
import { BOOTS } from "../kit/aggregator.ts";

const [A, B, C] = BOOTS;
const acked = { boot: B, seq: 100 };

test("within one life numbers grow over boots; everything else tells of a lost state", () => {
  const stands = (boot: string, seq: number) => standing({ acked }, { boot, seq }, 10);
  expect(stands(B, 101)).toBe("new");
  expect(stands(C, 101)).toBe("new");
  expect(stands(A, 95)).toBe("near");
  expect(stands(B, 91)).toBe("near");
  expect(stands(B, 90)).toBe("repeat");
  expect(stands(C, 100)).toBe("lost");
  expect(stands(C, 1)).toBe("lost");
  expect(stands(A, 101)).toBe("stale");
});

test("before a first birth all is new, but nothing of a life that is over", () => {
  expect(standing({}, { boot: A, seq: 1 }, 10)).toBe("new");
  expect(standing({ floorBoot: B }, { boot: B, seq: 999 }, 10)).toBe("stale");
  expect(standing({ floorBoot: B }, { boot: C, seq: 1 }, 10)).toBe("new");
});

test("a life that begins anew is acknowledged nothing, and remembers what is over", () => {
  const row = { id: "a", link: 3, online: true, presence: "online", heartbeatS: 1, seenAt: 0, dropped: 0 } as const;
  const anew = startsAnew({ ...row, boot: B, acked }, C);
  expect(anew).toEqual({ ...row, boot: C, link: 0, floorBoot: B });
  expect(ackOf(anew)).toBeUndefined();
});

test("an ack speaks in the name of the newest boot", () => {
  expect(ackOf({ acked, boot: C })).toEqual({ boot: C, seq: 100 });
  expect(ackOf({ acked, boot: A })).toEqual(acked);
  expect(ackOf({ boot: C })).toBeUndefined();
});

test("what is acked ends before the first hole", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 40 })), fc.integer({ min: 0, max: 10 }), (numbers, from) => {
      const claimed = numbers.filter((seq) => seq > from).toSorted((a, b) => a - b);
      let end = from;
      while (claimed.includes(end + 1)) end += 1;
      expect(
        advance(
          { boot: A, seq: from },
          claimed.map((seq) => ({ boot: B, seq })),
        ).seq,
      ).toBe(end);
    }),
  );
});

test("states are ordered by boot, then by connection", () => {
  const row = { id: "a", boot: B, link: 2 } as Parameters<typeof stateOrder>[0];
  expect(stateOrder(row, { boot: C, link: 1 })).toBe("newer");
  expect(stateOrder(row, { boot: B, link: 3 })).toBe("newer");
  expect(stateOrder(row, { boot: B, link: 2 })).toBe("same");
  expect(stateOrder(row, { boot: B, link: 1 })).toBe("older");
  expect(stateOrder(row, { boot: A, link: 9 })).toBe("older");
});
