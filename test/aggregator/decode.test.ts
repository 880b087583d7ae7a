import fc from "fast-check";
import { expect, test } from "vitest";
import { decode } from "../../aggregator/decode.ts";
import { Telemetry } from "../../protocol/from-device.ts";
import { topics } from "../../protocol/topics.ts";

const heard = (text: string) => {
  const payload = Buffer.from(text);
  return decode({ topic: topics.tele("ft-1", "disk.var"), payload, retained: false, qos: 0 }, 1, 1);
};
const figure = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(0, -0, 1e308, 2 ** 53, 0.5),
  fc.jsonValue({ maxDepth: 1 }),
);
const figures = fc
  .tuple(
    fc.dictionary(fc.oneof(fc.string(), fc.constantFrom("a_pct", "ts", "__proto__", "constructor")), figure),
    fc.option(figure),
  )
  .map(([all, ts]) => (ts === null ? all : { ...all, ts }));

test("figures are understood just as their schema says, and `raw` reads back as what was understood", () => {
  fc.assert(
    fc.property(fc.oneof(figures, fc.jsonValue()), (value) => {
      const text = JSON.stringify(value);
      const asked = Telemetry.safeParse(JSON.parse(text));
      if (!asked.success) {
        expect(() => heard(text)).toThrow(/MESSAGE_INVALID/);
        return;
      }
      const message = heard(text);
      if (message.kind !== "tele") throw new Error("no telemetry");
      expect({ ...message.body }).toEqual({ ...asked.data });
      expect(JSON.parse(message.raw)).toEqual(JSON.parse(JSON.stringify(asked.data)));
    }),
    { numRuns: 2_000 },
  );
  for (const text of [
    '{"ts":1,"a":1e999}',
    '{"ts":1.5}',
    '{"a":1}',
    "[1]",
    '{"ts":9007199254740992}',
    '{"ts":1,"a":null}',
  ])
    expect(() => heard(text), text).toThrow(/MESSAGE_INVALID/);
  const odd = heard('{"ts":1,"\\u005f_proto__":{"x":1},"z":-0.0}');
  expect(odd.kind === "tele" && odd.raw).toBe('{"ts":1,"z":0}');
});
