import { createSocket, type RemoteInfo } from "node:dgram";

/** One question of SNMPv2c, taken apart just far enough to answer it wrongly. */
export interface Asked {
  /** The request's number as it stood in it, to be given back. */
  id: Buffer;
  community: Buffer;
  /** GetRequest 0xa0, GetNextRequest 0xa1, GetBulkRequest 0xa5. */
  kind: number;
  oids: string[];
}

export interface Liar extends AsyncDisposable {
  readonly port: number;
  asked(): number;
}

/** A UDP server on loopback that answers each question with what `answer` makes of it: any number of datagrams. */
export async function snmpLiar(answer: (asked: Asked, raw: Buffer) => readonly Buffer[]): Promise<Liar> {
  const socket = createSocket("udp4");
  let count = 0;
  socket.on("message", (raw: Buffer, from: RemoteInfo) => {
    count += 1;
    for (const datagram of answer(takeApart(raw), raw)) socket.send(datagram, from.port, from.address);
  });
  await new Promise<void>((done) => socket.bind(0, "127.0.0.1", done));
  return {
    port: socket.address().port,
    asked: () => count,
    [Symbol.asyncDispose]: () => new Promise<void>((done) => socket.close(() => done())),
  };
}

/** Tag, length, content (X.690); lengths up to 65,535. */
export function tlv(tag: number, ...content: readonly (Buffer | number)[]): Buffer {
  const body = Buffer.concat(content.map((one) => (typeof one === "number" ? Buffer.from([one]) : one)));
  const { length } = body;
  const head =
    length < 128 ? [tag, length] : length < 256 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from(head), body]);
}

export function oid(text: string): Buffer {
  const [first = 0, second = 0, ...others] = text.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const part of others) {
    const groups = [part & 127];
    for (let left = Math.floor(part / 128); left > 0; left = Math.floor(left / 128)) groups.unshift((left & 127) | 128);
    bytes.push(...groups);
  }
  return tlv(6, Buffer.from(bytes));
}

export const integer = (value: number, tag = 2): Buffer => {
  const bytes = Buffer.alloc(5);
  bytes.writeUIntBE(value, 0, 5);
  let from = 0;
  while (from < 4 && bytes[from] === 0 && (bytes[from + 1] ?? 0) < 128) from += 1;
  return tlv(tag, bytes.subarray(from));
};

/** A whole response with these variables. */
export const response = (asked: Asked, variables: readonly Buffer[], id = asked.id): Buffer =>
  tlv(
    0x30,
    integer(1),
    tlv(4, asked.community),
    tlv(0xa2, tlv(2, id), integer(0), integer(0), tlv(0x30, ...variables)),
  );

export const variable = (name: string, value: Buffer): Buffer => tlv(0x30, oid(name), value);

function takeApart(raw: Buffer): Asked {
  const [message] = parts(raw);
  const [, community, pdu] = parts(message?.body ?? Buffer.alloc(0));
  const [id, , , list] = parts(pdu?.body ?? Buffer.alloc(0));
  const oids = parts(list?.body ?? Buffer.alloc(0)).map(({ body }) => oidText(parts(body)[0]?.body ?? Buffer.alloc(0)));
  return { id: id?.body ?? Buffer.alloc(0), community: community?.body ?? Buffer.alloc(0), kind: pdu?.tag ?? 0, oids };
}

/** The elements of a constructed value. */
export function parts(bytes: Buffer): { tag: number; body: Buffer }[] {
  const found: { tag: number; body: Buffer }[] = [];
  for (let at = 0; at + 1 < bytes.length; ) {
    const tag = bytes[at] ?? 0;
    const short = bytes[at + 1] ?? 0;
    const more = short < 128 ? 0 : short - 128;
    const length = more === 0 ? short : bytes.readUIntBE(at + 2, more);
    const from = at + 2 + more;
    found.push({ tag, body: bytes.subarray(from, from + length) });
    at = from + length;
  }
  return found;
}

function oidText(bytes: Buffer): string {
  const [first = 0, ...others] = bytes;
  const numbers = [Math.floor(first / 40), first % 40];
  let value = 0;
  for (const byte of others) {
    value = value * 128 + (byte & 127);
    if (byte < 128) {
      numbers.push(value);
      value = 0;
    }
  }
  return numbers.join(".");
}
