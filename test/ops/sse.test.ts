import * as fc from "fast-check";
import { expect, test } from "vitest";
import { readEvents } from "../../ops/sse.ts";

async function* chunksOf(...chunks: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield typeof chunk === "string" ? Buffer.from(chunk) : chunk;
}
const read = async (...chunks: (string | Uint8Array)[]) => Array.fromAsync(readEvents(chunksOf(...chunks)));

const STREAM =
  'retry: 2000\nevent: hello\nid: e-0\ndata: {"missed":false}\n\n: ♥\n\nevent: alarm\nid: e-1\ndata: {"标题":\ndata: 1}\n\ndata: bare\n\nevent: none\n\n';
const EVENTS = [
  { event: "hello", id: "e-0", data: '{"missed":false}' },
  { event: "alarm", id: "e-1", data: '{"标题":\n1}' },
  { event: "message", id: undefined, data: "bare" },
];

test("events are read with their fields; comments and events without data are none", async () => {
  expect(await read(STREAM)).toEqual(EVENTS);
  expect(await read(STREAM.replaceAll("\n", "\r\n"))).toEqual(EVENTS);
  expect(await read(`${STREAM.replaceAll("\n", "\r")} `)).toEqual(EVENTS);
});

test("however the wire cuts the bytes, the same events come out", async () => {
  const cuts = fc.array(fc.nat(400), { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(cuts, fc.boolean(), async (places, crlf) => {
      const bytes = Buffer.from(crlf ? STREAM.replaceAll("\n", "\r\n") : STREAM);
      const at = [0, ...places.filter((place) => place < bytes.length).toSorted((a, b) => a - b), bytes.length];
      const chunks = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
      expect(await read(...chunks)).toEqual(EVENTS);
    }),
  );
});

test("an event that never ends is given up before it fills the memory", async () => {
  const flood = Array.from({ length: 20 }, () => `data: ${"x".repeat(100_000)}\n`);
  await expect(read(...flood)).rejects.toThrow(RangeError);
  await expect(read("data: ", ...Array.from({ length: 20 }, () => "x".repeat(100_000)))).rejects.toThrow(RangeError);
});

test("every chunk is a sign of life", async () => {
  let alive = 0;
  for await (const _ of readEvents(chunksOf(": ♥\n\n", ": ♥\n\n"), () => (alive += 1))) expect.unreachable();
  expect(alive).toBe(2);
});
