import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type AmfValue, readAmf, writeAmf } from "../../../../agent/checks/stream/rtmp/amf.ts";
import { Failure } from "../../../../protocol/failure.ts";

const { value } = fc.letrec<{ value: AmfValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.double(),
    fc.boolean(),
    fc.string({ unit: "binary" }),
    fc.constant(null),
    fc.constant(undefined),
    fc.array(tie("value"), { maxLength: 4 }),
    fc
      .array(fc.tuple(fc.string({ minLength: 1, unit: "binary", maxLength: 20 }), tie("value")), { maxLength: 4 })
      .map((entries) => new Map(entries)),
  ),
}));

describe("AMF0", () => {
  test("what is written is read again", () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 5 }), (values) => {
        expect(readAmf(writeAmf(values))).toEqual(values);
      }),
    );
  });

  test("of any bytes values come, or a Failure", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      // markers before garbage: deeper into the reader than chance would get
      fc
        .array(fc.constantFrom(0, 1, 2, 3, 5, 8, 9, 10, 11, 12, 16, 17, 255), { maxLength: 200 })
        .map((all) => Uint8Array.from(all)),
      fc.tuple(fc.array(value, { maxLength: 3 }), fc.nat(200), fc.nat(255)).map(([values, at, byte]) => {
        const written = Uint8Array.from(writeAmf(values));
        if (at < written.length) written[at] = byte;
        return written;
      }),
    );
    fc.assert(
      fc.property(bytes, (hostile) => {
        try {
          return Array.isArray(readAmf(hostile));
        } catch (cause) {
          return cause instanceof Failure && cause.code === "STREAM_PROTOCOL";
        }
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ["nested too deep", Buffer.alloc(500, Buffer.from("0a00000001", "hex"))],
    ["an array of four billion", Buffer.from("0affffffff", "hex")],
    ["a string of four gigabytes", Buffer.from("0cffffffff41", "hex")],
    ["a thousand and one values", Buffer.alloc(1001, 5)],
    ["an object without an end", Buffer.from("03000161", "hex")],
  ])("%s is refused", (_, bytes) => {
    expect(() => readAmf(bytes)).toThrow(Failure);
  });

  test("dates, typed objects, references and XML are read past, and AMF3 ends it", () => {
    const date = "0b0000000000000000" + "0000";
    const typed = "1000014100016100" + "3ff0000000000000" + "000009";
    const bytes = Buffer.from(`${date}${typed}070001${"0f0000000141"}05110a`, "hex");
    expect(readAmf(bytes)).toEqual([0, new Map([["a", 1]]), undefined, "A", null]);
  });
});
