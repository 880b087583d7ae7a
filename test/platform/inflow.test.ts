import { once } from "node:events";
import type { Socket } from "node:net";
import { expect, test } from "vitest";
import { systemClock } from "../../platform/clock.ts";
import { dialKept } from "../../platform/dial-kept.ts";
import { Inflow } from "../../platform/inflow.ts";
import { HandClock } from "../kit/hand-clock.ts";
import { rawServer } from "../kit/servers.ts";

/** Longer than the window of a connection that nobody reads. */
const MUCH = 16 * 1024 * 1024;

/** A connection that is heard, and the server's end of it. */
async function flowing(order: { clock?: HandClock; early?: string } = {}) {
  const accepted = Promise.withResolvers<Socket>();
  const server = await rawServer((socket) => {
    socket.setNoDelay(true);
    if (order.early !== undefined) socket.write(order.early);
    accepted.resolve(socket);
  });
  const inflow = new Inflow();
  const dial = { clock: systemClock, signal: new AbortController().signal, deadlineMs: 5_000 };
  const { socket } = await dialKept({ host: "127.0.0.1", port: server.port }, undefined, dial, inflow.begin);
  const pieces: Buffer[] = [];
  let [looks, bytes] = [new Set<() => void>(), 0];
  const hear = (piece: Buffer): void => {
    pieces.push(Buffer.from(piece));
    bytes += piece.length;
    for (const look of looks) look();
  };
  return {
    inflow,
    socket,
    pieces,
    hear,
    far: await accepted.promise,
    text: () => String(Buffer.concat(pieces)),
    bytes: () => bytes,
    until: (fits: () => boolean) =>
      new Promise<void>((resolve) => {
        const look = (): void => {
          if (!fits()) return;
          looks = new Set([...looks].filter((one) => one !== look));
          resolve();
        };
        looks.add(look);
        look();
      }),
    async [Symbol.asyncDispose]() {
      socket.destroy();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Said, and with the kernel of the other side. */
const say = (socket: Socket, words: string | Buffer): Promise<void> =>
  new Promise((done) => socket.write(words, () => done()));

test("what comes is heard at once, what came before somebody listened among it", async () => {
  await using flow = await flowing({ early: "early " });
  while (flow.socket.bytesRead === 0) await new Promise((turn) => setImmediate(turn));
  flow.inflow.hear(flow.socket, flow.hear);
  await flow.until(() => flow.text() === "early ");
  await say(flow.far, "bird");
  await flow.until(() => flow.text() === "early bird");
});

test("gathered, what comes in between is heard together, at moments that are the same for all", async () => {
  await using flow = await flowing();
  const clock = new HandClock();
  await clock.wind(40);
  flow.inflow.hear(flow.socket, flow.hear);
  flow.inflow.gather(clock, 125);
  await say(flow.far, "a");
  await flow.until(() => flow.text() === "a");
  for (const letter of "bcdefgh") {
    await say(flow.far, letter);
    await clock.wind(12);
  }
  expect(flow.text()).toBe("a"); // 124 ms
  await clock.wind(1);
  await flow.until(() => flow.text() === "abcdefgh");
  expect(flow.pieces).toHaveLength(2);
});

test("a moment that is all but there is passed over: never longer than a fifth more", async () => {
  await using flow = await flowing();
  const clock = new HandClock();
  await clock.wind(110);
  flow.inflow.hear(flow.socket, flow.hear);
  flow.inflow.gather(clock, 125);
  await say(flow.far, "a");
  await flow.until(() => flow.text() === "a");
  await say(flow.far, "b");
  await clock.wind(139);
  expect(flow.text()).toBe("a");
  await clock.wind(1);
  await flow.until(() => flow.text() === "ab");
});

test("no longer gathered, what waits is heard at once", async () => {
  await using flow = await flowing();
  const clock = new HandClock();
  flow.inflow.hear(flow.socket, flow.hear);
  flow.inflow.gather(clock, 125);
  await say(flow.far, "a");
  await flow.until(() => flow.text() === "a");
  await say(flow.far, "b");
  flow.inflow.gather(clock, 0);
  await flow.until(() => flow.text() === "ab");
  await say(flow.far, "c");
  await flow.until(() => flow.text() === "abc");
});

test("an end within a pause is seen after it and the last words; a connection ended by us within one leaves nothing behind", async () => {
  await using flow = await flowing();
  const clock = new HandClock();
  flow.inflow.hear(flow.socket, flow.hear);
  flow.inflow.gather(clock, 125);
  await say(flow.far, "a");
  await flow.until(() => flow.text() === "a");
  flow.far.end("b");
  const ended = once(flow.socket, "end");
  await clock.wind(125);
  await flow.until(() => flow.text() === "ab");
  await clock.wind(125);
  await ended;

  await using other = await flowing();
  other.inflow.hear(other.socket, other.hear);
  other.inflow.gather(clock, 125);
  await say(other.far, "a");
  await other.until(() => other.text() === "a");
  await say(other.far, "b");
  other.socket.destroy();
  await once(other.socket, "close");
  await clock.wind(1_000);
  expect(other.text()).toBe("a");
});

test("of 20 Mbit/s nothing is lost or out of order, and it is read before it fills the kernel's buffer", async () => {
  await using flow = await flowing();
  const clock = new HandClock();
  const batches = new Map<number, number>();
  flow.inflow.hear(flow.socket, (bytes) => {
    batches.set(clock.now(), (batches.get(clock.now()) ?? 0) + bytes.length);
    flow.hear(bytes);
  });
  flow.inflow.gather(clock, 125);
  const sent: Buffer[] = [];
  for (let tick = 0; tick < 200; tick += 1) {
    const piece = Buffer.alloc(25_000, tick); // each 10 ms
    sent.push(piece);
    await say(flow.far, piece);
    await clock.wind(10);
  }
  expect(Math.max(...batches.values())).toBeLessThan(100_000);
  expect(batches.size).toBeLessThan(150);
  const all = Buffer.concat(sent);
  flow.inflow.gather(clock, 0);
  await flow.until(() => flow.bytes() === all.length);
  expect(Buffer.concat(flow.pieces).equals(all)).toBe(true);
});

test("a sender without end gets no more than so much of us between two pauses, and other work goes on", async () => {
  await using flow = await flowing();
  const clock = new HandClock();
  flow.inflow.hear(flow.socket, flow.hear);
  flow.inflow.gather(clock, 125);
  flow.far.on("error", () => {});
  flow.far.write(Buffer.alloc(MUCH));
  await flow.until(() => flow.bytes() > 0);
  const before = flow.bytes();
  expect(before).toBeLessThanOrEqual(131_072);
  for (let pauses = 1; pauses <= 50; pauses += 1) {
    await clock.wind(10);
    expect(flow.bytes() - before).toBeLessThanOrEqual(pauses * 131_072);
  }
  expect(flow.bytes() - before).toBeGreaterThan(0);
});
