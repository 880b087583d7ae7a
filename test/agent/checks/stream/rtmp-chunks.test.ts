import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ChunkReader, MESSAGE, writeMessage } from "../../../../agent/checks/stream/rtmp/chunks.ts";
import { Failure } from "../../../../protocol/failure.ts";

interface Message {
  lane: number;
  type: number;
  stamp: number;
  body: string;
}

/** Reads it in pieces of `step` bytes; 0: all at once. Chunk sizes told in the stream are obeyed, as the client does. */
function read(bytes: Uint8Array, step = 0): Message[] {
  const messages: Message[] = [];
  const coming = new Map<number, Message>();
  const reader = new ChunkReader({
    begin: (lane, type, _length, stamp) => coming.set(lane, { lane, type, stamp, body: "" }),
    piece: (lane, piece, from, to) => {
      const message = coming.get(lane);
      if (message !== undefined) message.body += Buffer.from(piece.subarray(from, to)).toString("hex");
    },
    end: (lane) => {
      const message = coming.get(lane);
      if (message === undefined) throw new Error("ends before it begins");
      messages.push(message);
      if (message.type === MESSAGE.chunkSize) reader.chunkSize = Number.parseInt(message.body, 16);
    },
  });
  for (let at = 0; at < bytes.length; at += step || bytes.length) {
    reader.push(bytes.subarray(at, at + (step || bytes.length)));
  }
  return messages;
}

/** A sender that leaves out of each header what it may. */
class Sender {
  readonly #lanes = new Map<
    number,
    { type: number; length: number; stamp: number; delta: number; extended: number | undefined }
  >();

  /** The chunks of one message. `repeats`: whether its chunks of type 3 repeat an extended time stamp. */
  chunks({ lane, type, stamp, body }: Message, size: number, repeats: boolean): Buffer[] {
    const bytes = Buffer.from(body, "hex");
    const last = this.#lanes.get(lane);
    const delta = last === undefined ? 0 : (stamp - last.stamp) >>> 0;
    let format = last === undefined || stamp < last.stamp ? 0 : 1;
    if (last !== undefined && format === 1 && last.type === type && last.length === bytes.length) {
      format = delta === last.delta && last.extended === undefined ? 3 : 2;
    }
    const field = format === 0 ? stamp : delta;
    const extended = format < 3 && field >= 0xffffff ? field : undefined;
    this.#lanes.set(lane, { type, length: bytes.length, stamp, delta: field, extended });
    const header = [basic(format, lane)];
    if (format < 3) header.push(uint(extended === undefined ? field : 0xffffff, 3));
    if (format < 2) header.push(uint(bytes.length, 3), Buffer.of(type));
    if (format === 0) header.push(Buffer.of(1, 0, 0, 0));
    const more = extended === undefined ? Buffer.alloc(0) : uint(extended, 4);
    // left out, it is told from payload by its value: a body that holds it cannot be
    fc.pre(repeats || more.length === 0 || !bytes.includes(more));
    const chunks = [Buffer.concat([...header, more, bytes.subarray(0, size)])];
    for (let at = size; at < bytes.length; at += size) {
      chunks.push(Buffer.concat([basic(3, lane), repeats ? more : Buffer.alloc(0), bytes.subarray(at, at + size)]));
    }
    return chunks;
  }
}

function basic(format: number, lane: number): Buffer {
  if (lane < 64) return Buffer.of((format << 6) | lane);
  if (lane < 320) return Buffer.of(format << 6, lane - 64);
  return Buffer.of((format << 6) | 1, (lane - 64) & 255, (lane - 64) >> 8);
}

function uint(value: number, bytes: number): Buffer {
  const all = Buffer.alloc(bytes);
  all.writeUIntBE(value, 0, bytes);
  return all;
}

const message = (lanes: readonly number[]): fc.Arbitrary<Message> =>
  fc.record({
    lane: fc.constantFrom(...lanes),
    type: fc.constantFrom(8, 9, 18, 20),
    stamp: fc.oneof(fc.nat(5000), fc.integer({ min: 0xfffff0, max: 0xffffffff })),
    body: fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes).toString("hex")),
  });

describe("the chunk stream", () => {
  test("messages come out as they were put in, with every kind of header, however it is cut", () => {
    const sent = fc.array(message([3, 4, 70, 400, 65_599]), { maxLength: 8 });
    fc.assert(
      fc.property(
        sent,
        fc.integer({ min: 1, max: 500 }),
        fc.boolean(),
        fc.integer({ min: 1, max: 40 }),
        (all, size, repeats, step) => {
          const sender = new Sender();
          const chunkSize = writeMessage({ lane: 2, type: MESSAGE.chunkSize, stream: 0, stamp: 0 }, uint(size, 4));
          const last = writeMessage({ lane: 2, type: MESSAGE.acknowledgement, stream: 0, stamp: 0 }, uint(0, 4), size);
          const bytes = Buffer.concat([chunkSize, ...all.flatMap((one) => sender.chunks(one, size, repeats)), last]);
          const messages = read(bytes);
          expect(messages.slice(1, -1)).toEqual(all);
          expect(messages.map(({ type }) => type)).toEqual([
            MESSAGE.chunkSize,
            ...all.map(({ type }) => type),
            MESSAGE.acknowledgement,
          ]);
          for (const cut of [1, step]) expect(read(bytes, cut)).toEqual(read(bytes));
        },
      ),
    );
  });

  test("messages of several lanes come interleaved", () => {
    const lanes = fc.tuple(message([4]), message([5]), message([6]));
    fc.assert(
      fc.property(lanes, fc.array(fc.nat(2), { maxLength: 20 }), (all, order) => {
        const sender = new Sender();
        const queues = all.map((one) => sender.chunks(one, 128, true));
        const sent: Buffer[] = [];
        for (const lane of order) sent.push(...(queues[lane]?.splice(0, 1) ?? []));
        sent.push(...queues.flat());
        const byLane = read(Buffer.concat(sent), 7).toSorted((a, b) => a.lane - b.lane);
        expect(byLane).toEqual(all);
      }),
    );
  });

  test("our own writer is read again", () => {
    fc.assert(
      fc.property(message([3, 8, 63]), fc.integer({ min: 1, max: 500 }), (one, size) => {
        const chunkSize = writeMessage({ lane: 2, type: MESSAGE.chunkSize, stream: 0, stamp: 0 }, uint(size, 4));
        const { lane, type, stamp } = one;
        const bytes = writeMessage({ lane, type, stamp, stream: 1 }, Buffer.from(one.body, "hex"), size);
        expect(read(Buffer.concat([chunkSize, bytes])).slice(1)).toEqual([one]);
      }),
    );
  });

  test("a message of type 3 goes on by the same step, and the stamp wraps", () => {
    const first = Buffer.concat([
      basic(0, 4),
      uint(0xffffff, 3),
      uint(1, 3),
      Buffer.of(9, 1, 0, 0, 0),
      uint(0xfffffff0, 4),
      Buffer.of(1),
    ]);
    const second = Buffer.concat([basic(2, 4), uint(40, 3), Buffer.of(2)]);
    const third = Buffer.concat([basic(3, 4), Buffer.of(3)]);
    expect(read(Buffer.concat([first, second, third]), 1).map(({ stamp }) => stamp)).toEqual([0xfffffff0, 24, 64]);
  });

  test("an aborted message is followed by a new one on its lane", () => {
    const started = writeMessage({ lane: 4, type: 9, stream: 1, stamp: 5 }, Buffer.alloc(300, 1)).subarray(0, 12 + 128);
    const whole = writeMessage({ lane: 4, type: 9, stream: 1, stamp: 6 }, Buffer.of(7));
    const ended: number[] = [];
    const reader = new ChunkReader({ begin: () => {}, piece: () => {}, end: (lane) => ended.push(lane) });
    reader.push(started);
    reader.abort(4);
    reader.push(whole);
    expect(ended).toEqual([4]);
  });

  test.each([
    ["a message of 16 MB", Buffer.concat([basic(0, 3), uint(0, 3), uint(0xffffff, 3), Buffer.of(9, 0, 0, 0, 0)])],
    ["a message of an unknown type", Buffer.concat([basic(0, 3), uint(0, 3), uint(1, 3), Buffer.of(99, 0, 0, 0, 0)])],
    ["a chunk that goes on with nothing", basic(3, 9)],
    ["chunks of no bytes", writeMessage({ lane: 2, type: 1, stream: 0, stamp: 0 }, uint(0, 4))],
    ["chunks of a negative size", writeMessage({ lane: 2, type: 1, stream: 0, stamp: 0 }, uint(0x80000000, 4))],
    [
      "a message within another",
      Buffer.concat([
        writeMessage({ lane: 4, type: 9, stream: 1, stamp: 0 }, Buffer.alloc(300)).subarray(0, 12 + 128),
        writeMessage({ lane: 4, type: 9, stream: 1, stamp: 0 }, Buffer.alloc(3)),
      ]),
    ],
    [
      "more chunk streams than anybody needs",
      Buffer.concat(
        Array.from({ length: 65 }, (_, i) =>
          Buffer.concat([basic(0, 100 + i), uint(0, 3), uint(0, 3), Buffer.of(9, 0, 0, 0, 0)]),
        ),
      ),
    ],
  ])("%s is refused", (_, bytes) => {
    expect(() => read(bytes)).toThrow(Failure);
    expect(() => read(bytes, 1)).toThrow(Failure);
  });

  test("of any bytes messages come, or a Failure", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        try {
          return Array.isArray(read(bytes));
        } catch (cause) {
          return cause instanceof Failure && cause.code === "STREAM_PROTOCOL";
        }
      }),
      { numRuns: 3000 },
    );
  });
});
