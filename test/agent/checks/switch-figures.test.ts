import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  asText,
  COLUMNS,
  grownBy,
  hasRestarted,
  type PortLook,
  portLook,
  ratesOf,
  uptimeText,
} from "../../../agent/checks/switch/figures.ts";

const DAY_TICKS = 8_640_000;
const look = (more: Partial<PortLook> = {}): PortLook => ({
  ...{ name: "GE1", admin: 1, oper: 1, speedMbps: 100, errors: [0, 0], discards: [0, 0], octets: [0n, 0n] },
  ...more,
});

describe("a counter", () => {
  test("of 32 bits runs over, and one that was cleared tells nothing", () => {
    expect(grownBy(100, 150)).toBe(50);
    expect(grownBy(4_294_967_290, 4)).toBe(10);
    expect(grownBy(1_000, 5)).toBeUndefined();
    expect(grownBy(2n ** 63n, 2n ** 63n + 7n)).toBe(7);
    expect(grownBy(2n ** 63n, 7n)).toBeUndefined();
    expect(grownBy(1, 2n)).toBeUndefined();
    expect(grownBy(undefined, 2)).toBeUndefined();
  });
  test("never grows by less than nothing, or by more than half its range when it ran over", () => {
    const narrow = fc.nat(4_294_967_295);
    fc.assert(
      fc.property(narrow, narrow, (before, now) => {
        const by = grownBy(before, now);
        expect(by === undefined || (by >= 0 && by < 2 ** 32)).toBe(true);
        if (by !== undefined) expect((before + by) % 2 ** 32).toBe(now);
      }),
    );
  });
});

describe("rates between two looks", () => {
  test("are errors and discards a minute, and the fuller direction's share of the speed", () => {
    const now = look({ errors: [3, 7], discards: [0, 4], octets: [150_000_000n, 375_000_000n] });
    expect(ratesOf(look(), now, 60_000)).toEqual({ errorsPerMin: 10, discardsPerMin: 4, usePct: 50 });
    expect(ratesOf(look(), now, 30_000)).toEqual({ errorsPerMin: 20, discardsPerMin: 8, usePct: 100 });
    expect(ratesOf(look(), now, 10)).toEqual({});
  });
  test("leave out what a device does not tell, and what a narrow counter cannot", () => {
    const narrow = look({ octets: [75_000_000, 0], errors: [undefined, undefined] });
    const before = look({ octets: [0, 0], errors: [undefined, undefined] });
    expect(ratesOf(before, narrow, 60_000)).toEqual({ discardsPerMin: 0, usePct: 10 });
    const fast = { ...narrow, speedMbps: 10_000 };
    expect(ratesOf({ ...before, speedMbps: 10_000 }, fast, 60_000)).toEqual({ discardsPerMin: 0 });
    expect(ratesOf(before, { ...narrow, speedMbps: 1_000 }, 60_000)).not.toHaveProperty("usePct");
  });
});

describe("what a device says", () => {
  test("of its uptime: it restarted, or ran over after 497 days", () => {
    expect(hasRestarted(500 * 100, 400 * 100)).toBe(true);
    expect(hasRestarted(400 * 100, 500 * 100)).toBe(false);
    expect(hasRestarted(2 ** 32 - 6_000, 1_000)).toBe(false);
    expect(hasRestarted(2 ** 32 - 2 * DAY_TICKS, 1_000)).toBe(true);
    expect([6_000, 2 * 360_000, 3 * DAY_TICKS].map(uptimeText)).toEqual(["1 minutes", "2 hours", "3 days"]);
  });
  test("as text is one short line, in UTF-8 or GB 18030, whatever the bytes", () => {
    expect(asText(Buffer.from("核心交换机\r\n S5720\0"))).toBe("核心交换机 S5720");
    expect(asText(Buffer.from("bacbd0c4", "hex"))).toBe("核心");
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const text = asText(Buffer.from(bytes));
        expect(text.length).toBeLessThanOrEqual(64);
        expect(text).not.toMatch(/[\p{Cc}]/u);
        expect(text.isWellFormed()).toBe(true);
      }),
    );
  });
  test("of a port is a port, or nothing, whatever the types", () => {
    const value = fc.oneof(
      fc.integer(),
      fc.double(),
      fc.bigInt(),
      fc.string(),
      fc.constant(undefined),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    );
    fc.assert(
      fc.property(fc.array(value, { maxLength: COLUMNS.length }), (values) => {
        const found = portLook(values);
        if (found === undefined) return;
        const numbers = [found.admin, found.oper, found.speedMbps, ...found.errors, ...found.discards];
        expect(numbers.every((one) => one === undefined || (Number.isInteger(one) && one >= 0))).toBe(true);
        expect(Object.values(ratesOf(found, found, 60_000)).every(Number.isFinite)).toBe(true);
      }),
    );
    expect(portLook([])).toBeUndefined();
  });
});
