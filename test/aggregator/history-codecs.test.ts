import fc from "fast-check";
import { expect, test } from "vitest";
import { openDay, putHour, readHour, sealDay } from "../../aggregator/sqlite/history-day.ts";
import {
  addMoments,
  type Moment,
  readMoment,
  readMoments,
  writeMoment,
  writeMoments,
} from "../../aggregator/sqlite/history-samples.ts";

const value = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((one) => one + 0), // no −0: it is equal to 0, not the same
  fc.constantFrom(1e308, -1e308, 5e-324, 0),
  fc.constant(Number.NaN), // not told
);
const moment = (width: number) =>
  fc.record({ offset: fc.nat({ max: 3_599_999 }), values: fc.array(value, { minLength: width, maxLength: width }) });
const plain = ({ offset, values }: Moment) => ({ offset, values: Array.from(values) });

test("samples come back as they were written, to the last bit", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }).chain((width) => fc.tuple(fc.constant(width), fc.array(moment(width)))),
      ([width, moments]) => {
        expect(readMoments(writeMoments(moments, width)).map(plain)).toEqual(moments.map(plain));
      },
    ),
  );
});

test("in whatever pieces samples come: one for each stretch, in the order of time, the first that came stays", () => {
  const everyMs = 60_000;
  const stretchOf = ({ offset }: { offset: number }) => Math.floor(offset / everyMs);
  const sorted = (moments: readonly Moment[]) => moments.toSorted((a, b) => a.offset - b.offset);
  const pieces = fc.array(fc.array(moment(2), { minLength: 1, maxLength: 6 }).map(sorted), { maxLength: 12 });
  fc.assert(
    fc.property(pieces, (told) => {
      let bytes: Uint8Array | undefined;
      for (const piece of told) bytes = addMoments(bytes, piece, 2, everyMs) ?? bytes;
      const kept = bytes === undefined ? [] : readMoments(bytes).map(plain);
      const first = new Map(
        told
          .flat()
          .toReversed()
          .map((one) => [stretchOf(one), plain(one)]),
      );
      expect(kept).toEqual([...first].toSorted(([a], [b]) => a - b).map(([, one]) => one));
    }),
  );
});

test("a sample alone comes back as it was", () => {
  fc.assert(
    fc.property(moment(5), (one) => {
      expect(plain(readMoment(writeMoment(one)))).toEqual(plain(one));
    }),
  );
});

test("a code that tells a new figure keeps what it told before", () => {
  const first = addMoments(undefined, [{ offset: 0, values: [1] }], 1, 1_000);
  const second = addMoments(first, [{ offset: 5_000, values: [2, 7] }], 2, 1_000);
  expect(readMoments(second ?? new Uint8Array()).map(plain)).toEqual([
    { offset: 0, values: [1, Number.NaN] },
    { offset: 5_000, values: [2, 7] },
  ]);
  expect(addMoments(second, [{ offset: 5_999, values: [3, 3] }], 2, 1_000)).toBeUndefined();
});

test("an hour is the least, the most, the mean and the last of its samples, and the other hours stay", () => {
  fc.assert(
    fc.property(
      fc.array(moment(3), { minLength: 1, maxLength: 70 }),
      fc.nat({ max: 23 }),
      fc.nat({ max: 23 }),
      (moments, a, b) => {
        fc.pre(a !== b);
        const day = putHour(putHour(undefined, a, [{ offset: 0, values: [1, 2, 3] }]), b, moments);
        expect(readHour(day, 1, a)).toEqual({ mean: 2, min: 2, max: 2, last: 2, n: 1 });
        const opened = openDay(sealDay(day));
        expect(opened).toEqual(day);
        for (const figure of [0, 1, 2]) {
          const told = moments.map(({ values }) => Number(values[figure])).filter((one) => !Number.isNaN(one));
          const hour = readHour(day, figure, b);
          if (told.length === 0) expect(hour).toBeUndefined();
          else {
            expect(hour).toMatchObject({
              min: Math.min(...told),
              max: Math.max(...told),
              last: told.at(-1),
              n: told.length,
            });
            expect(Number.isFinite(hour?.mean)).toBe(true);
            expect(hour?.mean).toBeGreaterThanOrEqual(Math.min(...told));
            expect(hour?.mean).toBeLessThanOrEqual(Math.max(...told));
          }
        }
      },
    ),
  );
});

test("an hour that stands on more samples than there are left is not worked out from the few", () => {
  const many = Array.from({ length: 12 }, (_, i) => ({ offset: i, values: [i] }));
  const day = putHour(undefined, 5, many);
  expect(readHour(putHour(day, 5, [{ offset: 99, values: [1_000] }]), 0, 5)).toMatchObject({ n: 12, max: 11 });
});

test("bytes of another format or a damaged row are no figures, and no crash", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const { values } of readMoments(bytes)) expect(values.length).toBeLessThan(256);
      const day = openDay(bytes);
      if (day !== undefined) readHour(day, 0, 0);
    }),
  );
  const day = putHour(undefined, 0, [{ offset: 0, values: [1] }]);
  expect(openDay(day.subarray(0, 50))).toBeUndefined();
  const sealed = sealDay(day);
  expect(openDay(sealed.subarray(0, sealed.length - 3))).toBeUndefined();
  expect(openDay(new Uint8Array([2, 1, 0, 0, 255, 255, 255]))).toBeUndefined();
});
