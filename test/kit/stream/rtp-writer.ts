/** Writes RTP as a sender would: the counterpart of the readers, for tests. */

export interface PacketFields {
  sequence: number;
  stamp: number;
  marker?: boolean;
  payloadType?: number;
  ssrc?: number;
}

/** One packet, RFC 3550 §5.1. */
export function rtpPacket({ sequence, stamp, marker, payloadType, ssrc }: PacketFields, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt8(0x80, 0);
  header.writeUInt8((marker === true ? 0x80 : 0) | (payloadType ?? 96), 1);
  header.writeUInt16BE(sequence & 0xffff, 2);
  header.writeUInt32BE(stamp >>> 0, 4);
  header.writeUInt32BE(ssrc ?? 0x11223344, 8);
  return Buffer.concat([header, payload]);
}

export const packetH264 = (nals: readonly Buffer[], mtu: number, aggregate: boolean): Buffer[] =>
  packed(nals, mtu, aggregate ? "h264" : undefined, (nal) => fuA(nal, mtu));

/** `don`: with decoding order numbers (sprop-max-don-diff > 0). */
export const packetH265 = (nals: readonly Buffer[], mtu: number, aggregate: boolean, don: boolean): Buffer[] =>
  packed(nals, mtu, aggregate ? (don ? "h265-don" : "h265") : undefined, (nal) => fu(nal, mtu, don), don);

type Aggregate = "h264" | "h265" | "h265-don";

/** Small NAL units together where `aggregate` says how, large ones in fragments. */
function packed(
  nals: readonly Buffer[],
  mtu: number,
  aggregate: Aggregate | undefined,
  fragments: (nal: Buffer) => Buffer[],
  don = false,
): Buffer[] {
  const packets: Buffer[] = [];
  let together: Buffer[] = [];
  const flush = (): void => {
    const [first] = together;
    if (first === undefined) return;
    if (together.length === 1 || aggregate === undefined) packets.push(...together.map((nal) => single(nal, don)));
    else packets.push(aggregated(together, aggregate));
    together = [];
  };
  for (const nal of nals) {
    if (nal.length > mtu) {
      flush();
      packets.push(...fragments(nal));
      continue;
    }
    if (together.reduce((sum, other) => sum + other.length + 3, nal.length) > mtu) flush();
    together.push(nal);
  }
  flush();
  return packets;
}

const single = (nal: Buffer, don: boolean): Buffer =>
  don ? Buffer.concat([nal.subarray(0, 2), Buffer.from([0, 7]), nal.subarray(2)]) : nal;

function aggregated(nals: readonly Buffer[], how: Aggregate): Buffer {
  if (how === "h264") return Buffer.concat([Buffer.from([0x78]), ...nals.flatMap((nal) => [sized(nal), nal])]);
  const parts = nals.flatMap((nal, i) => [
    ...(how === "h265-don" ? [i === 0 ? Buffer.from([0, 7]) : Buffer.from([0])] : []),
    sized(nal),
    nal,
  ]);
  return Buffer.concat([Buffer.from([48 << 1, 1]), ...parts]);
}

const sized = (nal: Buffer): Buffer => {
  const size = Buffer.alloc(2);
  size.writeUInt16BE(nal.length);
  return size;
};

function fuA(nal: Buffer, mtu: number): Buffer[] {
  const header = nal[0] ?? 0;
  return cut(nal.subarray(1), mtu).map((part, i, all) =>
    Buffer.concat([Buffer.from([(header & 0xe0) | 28, ends(i, all.length) | (header & 0x1f)]), part]),
  );
}

function fu(nal: Buffer, mtu: number, don: boolean): Buffer[] {
  const header = nal.readUInt16BE(0);
  const indicator = Buffer.alloc(2);
  indicator.writeUInt16BE((header & 0x81ff) | (49 << 9));
  return cut(nal.subarray(2), mtu).map((part, i, all) =>
    Buffer.concat([
      indicator,
      Buffer.from([ends(i, all.length) | ((header >> 9) & 0x3f)]),
      ...(don && i === 0 ? [Buffer.from([0, 7])] : []),
      part,
    ]),
  );
}

const ends = (index: number, count: number): number => (index === 0 ? 0x80 : 0) | (index === count - 1 ? 0x40 : 0);

function cut(bytes: Buffer, size: number): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) parts.push(bytes.subarray(at, at + size));
  return parts;
}
