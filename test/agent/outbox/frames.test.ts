import * as fc from "fast-check";
import { expect, test } from "vitest";
import { encode, MOST_TEXT_BYTES, newestGeneration, scan } from "../../../agent/outbox/frames.ts";

const texts = fc.array(fc.string({ unit: "grapheme", maxLength: 60 }), { maxLength: 30 });
const generation = fc.integer({ min: 1, max: 0xffff_ffff });
const fileOf = (own: number, list: readonly string[]): Buffer => Buffer.concat(list.map((text) => encode(own, text)));

test("what was written is read back, zeros behind it are no damage", () => {
  fc.assert(
    fc.property(texts, generation, fc.nat(200), (list, own, spare) => {
      const written = fileOf(own, list);
      const file = Buffer.concat([written, Buffer.alloc(spare)]);
      expect(scan(file, own)).toEqual({ texts: list, end: written.length, skippedBytes: 0 });
      expect(newestGeneration(file)).toBe(list.length === 0 ? 0 : own);
    }),
  );
});

test("a text too long for a frame is refused, one that just fits is not", () => {
  expect(() => encode(1, "x".repeat(MOST_TEXT_BYTES + 1))).toThrow(RangeError);
  expect(scan(encode(1, "x".repeat(MOST_TEXT_BYTES)), 1).texts[0]).toHaveLength(MOST_TEXT_BYTES);
});

test("an older generation behind the end is neither read nor damage", () => {
  const older = fileOf(4, Array(20).fill("of yesterday"));
  const file = Buffer.from(older);
  const newer = fileOf(5, ["today", "and now"]);
  newer.copy(file);
  expect(scan(file, 5)).toEqual({ texts: ["today", "and now"], end: newer.length, skippedBytes: 0 });
  expect(newestGeneration(file)).toBe(5);
});

test("a tail torn at any byte costs the last text and nothing else", () => {
  const whole = fileOf(7, ["one", "two", "三"]);
  const kept = fileOf(7, ["one", "two"]).length;
  for (let cut = kept; cut < whole.length; cut += 1) {
    expect(scan(whole.subarray(0, cut), 7)).toEqual({ texts: ["one", "two"], end: kept, skippedBytes: 0 });
  }
});

test("damage anywhere: never a throw, never a text that was not written, everything before it and after its frame is read", () => {
  const spoiled = fc.array(fc.record({ at: fc.nat(), to: fc.nat(255) }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(texts, generation, spoiled, (list, own, spoils) => {
      const file = fileOf(own, list);
      const before = Buffer.from(file);
      for (const { at, to } of spoils) if (file.length > 0) file[at % file.length] = to;
      const frames: { at: number; end: number; text: string }[] = [];
      for (const text of list) {
        const at = frames.at(-1)?.end ?? 0;
        frames.push({ at, end: at + encode(own, text).length, text });
      }
      const isWhole = ({ at, end }: { at: number; end: number }): boolean =>
        file.subarray(at, end).equals(before.subarray(at, end));
      const found = scan(file, own);
      expect(found.texts).toEqual(frames.filter(isWhole).map(({ text }) => text));
      const last = frames.findLast(isWhole)?.end ?? 0;
      const wholeBytes = frames.filter(isWhole).reduce((sum, { at, end }) => sum + end - at, 0);
      expect(found).toMatchObject({ end: last, skippedBytes: last - wholeBytes });
    }),
  );
});

test("any bytes whatever are read without a throw", () => {
  const magic = encode(1, "").subarray(0, 4);
  const noise = fc.array(fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(magic)), { maxLength: 20 });
  fc.assert(
    fc.property(noise, generation, (parts, own) => {
      const file = Buffer.concat(parts);
      expect(scan(file, own).end).toBeLessThanOrEqual(file.length);
      newestGeneration(file);
    }),
  );
});
