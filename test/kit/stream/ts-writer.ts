/** A multiplexer of MPEG transport streams for tests, after ISO/IEC 13818-1 §2.4.3 and §2.4.4, and for what breaks them. */

const PACKET = 188;
export const PMT_PID = 0x1000;

export interface TsStream {
  pid: number;
  type: number;
  /** format_identifier of a registration descriptor. */
  registration?: string;
}

export interface TsFrame {
  pid: number;
  /** 90 kHz, any size: 33 bits of it are written. */
  pts: number;
  dts?: number;
  data: Buffer;
  streamId?: number;
  /** PES_packet_length 0, as video may have. */
  unsized?: boolean;
  /** Written into its first packet. */
  pcr?: number;
  randomAccess?: boolean;
  /** discontinuity_indicator of its first packet. */
  discontinuity?: boolean;
}

/** Writes packets of 188 bytes; its continuity counters go on from call to call. */
export class TsWriter {
  readonly #counters = new Map<number, number>();

  /** A PAT of one program. */
  pat(pmtPid = PMT_PID, program = 1): Buffer {
    return this.#section(
      0,
      table(0, 1, Buffer.from([program >> 8, program & 0xff, 0xe0 | (pmtPid >> 8), pmtPid & 0xff])),
    );
  }

  pmt(streams: readonly TsStream[], pcrPid = streams[0]?.pid ?? 0x1fff, program = 1, pid = PMT_PID): Buffer {
    const entries = streams.map(({ pid: own, type, registration = "" }) => {
      const info = registration === "" ? [] : [5, 4, ...Buffer.from(registration, "latin1")];
      return Buffer.from([type, 0xe0 | (own >> 8), own & 0xff, 0xf0, info.length, ...info]);
    });
    const head = Buffer.from([0xe0 | (pcrPid >> 8), pcrPid & 0xff, 0xf0, 0]);
    return this.#section(pid, table(2, program, Buffer.concat([head, ...entries])));
  }

  /** The packets of one PES packet. `room`: payload of each, at most 184; less is filled up by adaptation fields. */
  frame(frame: TsFrame, room = 184): Buffer[] {
    const pes = pesOf(frame);
    const packets: Buffer[] = [];
    for (let at = 0; at < pes.length; ) {
      const first = at === 0;
      const field = first ? fieldOf(frame) : [];
      const count = Math.min(pes.length - at, room, 184 - (field.length === 0 ? 0 : 1 + field.length));
      packets.push(this.packet(frame.pid, pes.subarray(at, at + count), first, field));
      at += count;
    }
    return packets;
  }

  /** One packet; `field`: flags and what follows them of an adaptation field, [] for none but stuffing. */
  packet(pid: number, payload: Buffer, starts: boolean, field: readonly number[] = []): Buffer {
    const counter = ((this.#counters.get(pid) ?? -1) + (payload.length > 0 ? 1 : 0)) & 15;
    this.#counters.set(pid, counter);
    const space = 184 - payload.length;
    const adapts = space > 0 ? 0x20 : 0;
    const head = [
      0x47,
      (starts ? 0x40 : 0) | (pid >> 8),
      pid & 0xff,
      adapts | (payload.length > 0 ? 0x10 : 0) | counter,
    ];
    const written = field.length > 0 ? field : [0];
    const adaptation = space === 0 ? [] : space === 1 ? [0] : [space - 1, ...written];
    const bytes = Buffer.alloc(PACKET, 0xff);
    bytes.set([...head, ...adaptation]);
    payload.copy(bytes, PACKET - payload.length);
    return bytes;
  }

  #section(pid: number, section: Buffer): Buffer {
    const payload = Buffer.alloc(184, 0xff);
    payload[0] = 0;
    section.copy(payload, 1);
    return this.packet(pid, payload, true);
  }
}

function table(id: number, number: number, body: Buffer): Buffer {
  const length = 5 + body.length + 4;
  const head = [id, 0xb0 | (length >> 8), length & 0xff, number >> 8, number & 0xff, 0xc1, 0, 0];
  const bytes = Buffer.concat([Buffer.from(head), body]);
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(slowCrc(bytes));
  return Buffer.concat([bytes, crc]);
}

/** CRC-32/MPEG-2, bit by bit. */
export function slowCrc(bytes: Uint8Array): number {
  let crc = 0xffffffffn;
  for (const byte of bytes)
    for (let bit = 7n; bit >= 0n; bit -= 1n) {
      const out = ((crc >> 31n) & 1n) ^ ((BigInt(byte) >> bit) & 1n);
      crc = ((crc << 1n) & 0xffffffffn) ^ (out === 1n ? 0x04c11db7n : 0n);
    }
  return Number(crc);
}

function pesOf({ pts, dts, data, streamId = 0xe0, unsized = false }: TsFrame): Buffer {
  const stamps = dts === undefined ? stampBytes(2, pts) : [...stampBytes(3, pts), ...stampBytes(1, dts)];
  const length = unsized ? 0 : 3 + stamps.length + data.length;
  if (length > 0xffff) throw new Error("a PES packet too long for its length");
  const head = [0, 0, 1, streamId, length >> 8, length & 0xff, 0x84, dts === undefined ? 0x80 : 0xc0, stamps.length];
  return Buffer.concat([Buffer.from([...head, ...stamps]), data]);
}

function stampBytes(prefix: number, stamp: number): number[] {
  const bits = BigInt.asUintN(33, BigInt(stamp));
  const part = (shift: bigint, mask: bigint): number => Number((bits >> shift) & mask);
  return [
    (prefix << 4) | (part(30n, 7n) << 1) | 1,
    part(22n, 0xffn),
    (part(15n, 0x7fn) << 1) | 1,
    part(7n, 0xffn),
    (part(0n, 0x7fn) << 1) | 1,
  ];
}

function fieldOf({ pcr, randomAccess = false, discontinuity = false }: TsFrame): number[] {
  if (pcr === undefined && !randomAccess && !discontinuity) return [];
  const flags = (discontinuity ? 0x80 : 0) | (randomAccess ? 0x40 : 0) | (pcr === undefined ? 0 : 0x10);
  if (pcr === undefined) return [flags];
  const base = BigInt.asUintN(33, BigInt(pcr));
  const high = Number(base >> 1n);
  return [
    flags,
    (high >>> 24) & 0xff,
    (high >>> 16) & 0xff,
    (high >>> 8) & 0xff,
    high & 0xff,
    Number(base & 1n) << 7,
    0,
  ];
}
