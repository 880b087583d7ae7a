import { array, assert, constant, constantFrom, integer, nat, oneof, property, record, uint8Array } from "fast-check";
import { describe, expect, test } from "vitest";
import { RtspReader } from "../../../../agent/checks/stream/rtsp/reader.ts";

const protocolFailure = expect.objectContaining({ code: "STREAM_PROTOCOL" });

/** What a reader heard, as text; the failure it ended with stands last. */
function heard(chunks: readonly Buffer[]): string[] {
  const said: string[] = [];
  const reader = new RtspReader({
    message: (message) =>
      said.push(
        `${message.kind === "reply" ? message.status : message.method} ${JSON.stringify([...message.headers])} ${message.body}`,
      ),
    packet: (channel, bytes, from, to) => said.push(`$${channel} ${bytes.toString("hex", from, to)}`),
  });
  try {
    for (const chunk of chunks) reader.push(chunk);
  } catch (cause) {
    expect(cause).toEqual(protocolFailure);
    said.push("failed");
  }
  return said;
}

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i += 1) {
    const size = sizes[i % Math.max(1, sizes.length)] ?? 1;
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

const frame = (channel: number, payload: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([0x24, channel, payload.length >> 8, payload.length & 255]), payload]);
const reply = (body: string, more = ""): Buffer =>
  Buffer.from(`RTSP/1.0 200 OK\r\nCSeq: 1\r\n${more}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);

const good = oneof(
  record({ channel: nat(255), payload: uint8Array({ maxLength: 3_000 }) }).map(({ channel, payload }) =>
    frame(channel, payload),
  ),
  constantFrom(
    reply("v=0\r\nm=video\r\n"),
    reply(""),
    reply("$".repeat(70), "X-Long: ".padEnd(2_000, "y").concat("\r\n")),
    Buffer.from("RTSP/1.0 200 OK\nCSeq: 2\n\n"),
    Buffer.from("\r\n\r\n"),
    Buffer.from("SET_PARAMETER rtsp://h/ RTSP/1.0\r\nCSeq: 9\r\nContent-Length: 4\r\n\r\na: b"),
  ),
);
const bad = oneof(
  good,
  uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  constant(Buffer.from("RTSP/1.0 200 OK\r\nContent-Length: -5\r\n\r\n")),
);
const sizes = array(integer({ min: 1, max: 4_000 }), { minLength: 1, maxLength: 8 });

describe("what an RTSP connection carries", () => {
  test("is the same in whatever pieces it comes", () => {
    assert(
      property(array(bad, { maxLength: 12 }), sizes, (parts, pieces) => {
        const bytes = Buffer.concat(parts);
        const whole = heard([bytes]);
        expect(heard(cut(bytes, pieces))).toEqual(whole);
        expect(heard(cut(bytes, [1]))).toEqual(whole);
      }),
      { numRuns: 200 },
    );
  });

  test("is heard whole and in order", () => {
    assert(
      property(
        array(record({ channel: nat(255), payload: uint8Array({ maxLength: 2_000 }) })),
        sizes,
        (packets, pieces) => {
          const bytes = Buffer.concat(packets.flatMap(({ channel, payload }) => [frame(channel, payload), reply("x")]));
          const expected = packets.flatMap(({ channel, payload }) => [
            `$${channel} ${Buffer.from(payload).toString("hex")}`,
            '200 [["cseq",["1"]],["content-length",["1"]]] x',
          ]);
          expect(heard(cut(bytes, pieces))).toEqual(expected);
        },
      ),
    );
  });

  test("a packet that came whole is not copied", () => {
    const places: [Buffer, number, number][] = [];
    const reader = new RtspReader({ message: () => {}, packet: (_, ...place) => places.push(place) });
    const bytes = Buffer.concat([frame(0, Buffer.alloc(10, 1)), frame(0, Buffer.alloc(20, 2))]);
    reader.push(bytes);
    expect(places.map(([from]) => from === bytes)).toEqual([true, true]);
    expect(places.map(([, ...range]) => range)).toEqual([
      [4, 14],
      [18, 38],
    ]);
  });

  test("a header of 64 kB and more is refused, however it comes, and is not kept beyond that", () => {
    const endless = Buffer.from(`RTSP/1.0 200 OK\r\nX: ${"a".repeat(70_000)}`);
    expect(heard([endless])).toEqual(["failed"]);
    expect(heard(cut(endless, [1]))).toEqual(["failed"]);
    expect(heard([Buffer.from(`RTSP/1.0 200 OK\r\nX: ${"a".repeat(65_000)}\r\n\r\n`)])).toHaveLength(1);
    const lines = `RTSP/1.0 200 OK\r\n${"X: a\r\n".repeat(9_000)}\r\n`;
    expect(heard([Buffer.from(lines)])[0]?.length).toBeLessThan(4_000);
  });

  test.each(["65537", "-1", "1e3", "0x10", "9999999999", "12 34", "abc", "", "١٢"])(
    "a Content-Length of %j is refused",
    (length) => {
      expect(heard([Buffer.from(`RTSP/1.0 200 OK\r\nContent-Length: ${length}\r\n\r\n`)])).toEqual(["failed"]);
    },
  );

  test("a Content-Length too small shows by what follows", () => {
    expect(
      heard([Buffer.from("RTSP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nv=0\r\nm=video 0 RTP/AVP 96\r\n")]).at(-1),
    ).toBe("failed");
  });

  test("one too large shows as a message that is not whole", () => {
    const reader = new RtspReader({ message: () => {}, packet: () => {} });
    expect(reader.pending).toBeUndefined();
    reader.push(Buffer.from("RTSP/1.0 200 OK\r\nContent-"));
    expect(reader.pending).toEqual({ of: "head", bytes: 25 });
    reader.push(Buffer.from("Length: 900\r\n\r\nv=0\r\n"));
    expect(reader.pending).toEqual({ of: "body", bytes: 5, announced: 900 });
  });

  test("a wrong length of a packet shows by what follows it", () => {
    const packet = frame(0, Buffer.alloc(100, 0xab));
    packet.writeUInt16BE(50, 2);
    expect(heard([packet]).at(-1)).toBe("failed");
  });

  test.each([
    "HTTP/1.1 404 Not Found\r\n\r\n",
    "\u0000\u0001",
    "\x16\x03\x01",
    "SSH-2.0-OpenSSH\r\n\r\n",
    "220 ftp\r\n",
    "<html>",
  ])("%j is no RTSP", (text) => {
    expect(heard([Buffer.from(text)])).toEqual(["failed"]);
  });
});
