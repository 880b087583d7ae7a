import { expect, test } from "vitest";
import type { Judge } from "../../../agent/checks/check.ts";
import { judgeLater } from "../../../agent/checks/later.ts";

const signal = new AbortController().signal;

test("code that could not be loaded is loaded in the next round, once", async () => {
  let loads = 0;
  const judge = judgeLater(async () => {
    loads += 1;
    if (loads === 1) throw new Error("EMFILE");
    return { judge: () => [] };
  });
  await expect(judge.judge(signal)).rejects.toThrow("EMFILE");
  expect(await judge.judge(signal)).toEqual([]);
  expect(judge.judge(signal)).toEqual([]);
  expect(loads).toBe(2);
});

test("what is closed while it loads is closed once it has", async () => {
  let closed = 0;
  const loading = Promise.withResolvers<Judge>();
  const judge = judgeLater(() => loading.promise);
  const asked = judge.judge(signal);
  judge.close?.();
  loading.resolve({
    judge: () => [],
    close: () => {
      closed += 1;
    },
  });
  await asked;
  expect(closed).toBe(1);
});
