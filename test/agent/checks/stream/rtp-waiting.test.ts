import { expect, test } from "vitest";
import { PacketOrder } from "../../../../agent/checks/stream/rtp/order.ts";
import { rtpPacket } from "../../../kit/stream/rtp-writer.ts";

/** An order that remembers which sequence numbers it delivered; a lost one stands before them as `-n`. */
function ordering() {
  const told: number[] = [];
  const order = new PacketOrder((bytes, from, _to, lost) => {
    if (lost > 0) told.push(-lost);
    told.push(bytes.readUInt16BE(from + 2));
  });
  const put = (sequence: number, { ssrc = 1, size = 10, at = 0 } = {}): void => {
    const packet = rtpPacket({ sequence, stamp: 0, ssrc }, Buffer.alloc(size));
    order.put(packet, 0, packet.length, at);
  };
  return { told, order, put };
}

test("two packets of another source count only in a row: one of the old between them, and it was a stray", () => {
  const { told, order, put } = ordering();
  put(1);
  put(500, { ssrc: 2 });
  put(2);
  put(501, { ssrc: 2 });
  put(3);
  expect([told, order.ssrc]).toEqual([[1, 2, 3], 1]);
  put(502, { ssrc: 2 });
  put(503, { ssrc: 2 });
  expect([told, order.ssrc]).toEqual([[1, 2, 3, 502, 503], 2]);
});

test("another source with each packet is none, and nothing is kept of it", () => {
  const { told, order, put } = ordering();
  for (let i = 0; i < 10_000; i += 1) put(i, { ssrc: i });
  expect([told, order.received, order.lost]).toEqual([[0], 1, 0]);
});

test("for a late packet 256 kB are waited for, and no more", () => {
  const { told, put } = ordering();
  put(0);
  for (let i = 2; i < 6; i += 1) put(i, { size: 60_000 });
  expect(told).toEqual([0]);
  put(6, { size: 60_000 });
  expect(told).toEqual([0, -1, 2, 3, 4, 5, 6]);
});

test("what has been delivered is waited for no more: a thousand late ones are each waited for alike", () => {
  const { told, order, put } = ordering();
  put(0);
  for (let i = 1; i < 2_000; i += 2) {
    put(i + 1, { size: 60_000 });
    put(i);
  }
  expect([told.length, order.lost, order.reordered]).toEqual([2_001, 0, 1_000]);
});
