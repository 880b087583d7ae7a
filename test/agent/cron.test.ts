import fc from "fast-check";
import { validate } from "node-cron";
import { expect, test } from "vitest";
import { memory } from "../../agent/checks/memory.ts";
import { cronMistake, nodeCron } from "../../platform/cron.ts";

test.each(["* * * * *", "*/10 * * * * *", "30 3 * * 1-5", "0 0 1,15 jan-mar Sun", "5-50/5 8-18 * * *"])(
  "%s is a time",
  (expression) => {
    expect(cronMistake(expression)).toBeUndefined();
    expect(validate(expression)).toBe(true);
  },
);

test.each([
  ["", "five fields"],
  ["* * * *", "five fields"],
  ["60 * * * *", "minute"],
  ["* 24 * * *", "hour"],
  ["* * 0 * *", "day of month"],
  ["* * * 13 *", "month"],
  ["* * * * 8", "day of week"],
  ["9-3 * * * *", "minute"],
  ["*/0 * * * *", "minute"],
  ["1,,2 * * * *", "minute"],
  ["@daily", "five fields"],
  ["0 3 30 2 *", "never comes"],
  ["0 3 31 4-7/5,jun *", "never comes"],
])("%j is none, and the field is named", (expression, named) => {
  expect(cronMistake(expression)).toContain(named);
});

test("what we let through node-cron understands", () => {
  const number = fc.integer({ min: 0, max: 62 }).map(String);
  const range = fc.tuple(number, number).map(([a, b]) => `${a}-${b}`);
  const base = fc.oneof(fc.constant("*"), number, range, fc.constantFrom("jan", "DEC", "mon", "Sun", "mon-fri"));
  const part = fc
    .tuple(base, fc.option(fc.integer({ min: 0, max: 70 })))
    .map(([text, by]) => (by === null ? text : `${text}/${by}`));
  const field = fc.oneof(
    { weight: 4, arbitrary: fc.constant("*") },
    { weight: 3, arbitrary: fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(",")) },
  );
  const expression = fc.array(field, { minLength: 4, maxLength: 7 }).map((fields) => fields.join(" "));
  fc.assert(
    fc.property(fc.oneof(expression, fc.string()), (text) => {
      if (cronMistake(text) === undefined) expect(validate(text)).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});

test("also a day that some month does not have", () => {
  const days = fc.uniqueArray(fc.integer({ min: 28, max: 31 }), { minLength: 1 }).map((list) => list.join());
  const span = fc.tuple(
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 0, max: 11 }),
    fc.integer({ min: 1, max: 9 }),
  );
  const months = span.map(([from, more, by]) =>
    more === 0 ? `${from}` : `${from}-${Math.min(12, from + more)}/${by}`,
  );
  fc.assert(
    fc.property(days, months, (day, month) => {
      const text = `0 3 ${day} ${month} *`;
      expect(cronMistake(text) === undefined).toBe(validate(text));
    }),
    { numRuns: 2_000 },
  );
});

test("the real one runs when due, and no more after the end", async () => {
  const stop = new AbortController();
  await new Promise<void>((done, fail) => {
    nodeCron("* * * * * *", done, stop.signal).catch(fail);
  });
  stop.abort();
});

test("a config with a mistake in it is told which field is wrong", () => {
  const found = memory.Config.safeParse({ every: { cron: "61 * * * *" } });
  expect(JSON.stringify(found.error?.issues)).toContain('minute: \\"61\\" is not within 0-59');
  expect(memory.Config.safeParse({ every: { cron: "30 3 * * *" } }).success).toBe(true);
});
