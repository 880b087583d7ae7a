import { expect, test } from "vitest";
import { serverTurns } from "../../../../agent/checks/stream/server-turn.ts";

const never = new AbortController().signal;

test("one at a time for each server, first come first served, others are not held up", async () => {
  const turn = serverTurns();
  const order: string[] = [];
  const first = await turn("a:554", never);
  const second = turn("a:554", never).then((free) => {
    order.push("second");
    return free;
  });
  const third = turn("a:554", never).then((free) => {
    order.push("third");
    return free;
  });
  const other = await turn("b:554", never);
  other();
  expect(order).toEqual([]);
  first();
  first(); // given back twice is given back once
  const free = await second;
  await new Promise(setImmediate);
  expect(order).toEqual(["second"]);
  free();
  await third;
  expect(order).toEqual(["second", "third"]);
});

test("who gives up waiting is passed over, and rejects with the reason", async () => {
  const turn = serverTurns();
  const first = await turn("a:554", never);
  const cut = new AbortController();
  const second = turn("a:554", cut.signal);
  const third = turn("a:554", never);
  cut.abort(new Error("stopping"));
  await expect(second).rejects.toThrow("stopping");
  await expect(turn("a:554", cut.signal)).rejects.toThrow("stopping");
  first();
  (await third)();
  (await turn("a:554", never))(); // the server is free again
});
