/** RTCP, RFC 3550 §6: what we hear of the sender, and the report that keeps it sending. */

/** Hears what a compound packet says. */
export interface RtcpHearer {
  /** SR: the sender's NTP time in seconds since 1900 and parts of 2³² of one, and the stamp of that moment. */
  senderReport(ssrc: number, seconds: number, fraction: number, stamp: number): void;
  bye(ssrc: number): void;
}

const SENDER_REPORT = 200;
const RECEIVER_REPORT = 201;
const SOURCE_DESCRIPTION = 202;
const BYE = 203;

/**
 * Reads a compound packet, `bytes` from `from` up to `to`, as far as it is whole. False: something in it is cut short or no
 * RTCP (RFC 3550 §A.2, without insisting on what comes first: there are cameras that send a BYE alone).
 */
export function readRtcp(bytes: Buffer, from: number, to: number, hearer: RtcpHearer): boolean {
  let at = from;
  while (at + 4 <= to) {
    const first = bytes[at] ?? 0;
    const type = bytes[at + 1] ?? 0;
    const end = at + 4 + bytes.readUInt16BE(at + 2) * 4;
    if (first >> 6 !== 2 || type < 192 || type > 223 || end > to) return false;
    if (type === SENDER_REPORT) {
      if (end < at + 28) return false;
      const word = (index: number): number => bytes.readUInt32BE(at + index * 4);
      hearer.senderReport(word(1), word(2), word(3), word(4));
    } else if (type === BYE) {
      const sources = Math.min(first & 0x1f, (end - at - 4) >> 2);
      for (let i = 1; i <= sources; i += 1) hearer.bye(bytes.readUInt32BE(at + i * 4));
    }
    at = end;
  }
  return at === to && to > from;
}

/** 1970 in NTP's seconds since 1900. */
const NTP_1970 = 2_208_988_800;

/** NTP time to epoch ms; undefined where the sender says that it has no clock (0). After 2036 the seconds begin anew. */
export function ntpToEpochMs(seconds: number, fraction: number): number | undefined {
  if (seconds === 0 && fraction === 0) return undefined;
  const era = seconds < 2 ** 31 ? 2 ** 32 : 0;
  return (seconds + era - NTP_1970) * 1000 + (fraction / 2 ** 32) * 1000;
}

/** What a report says of the source we receive (RFC 3550 §6.4.1). */
export interface ReportBlock {
  ssrc: number;
  /** Of 256, since the report before. */
  fractionLost: number;
  lost: number;
  highestSequence: number;
  /** In ticks. */
  jitter: number;
  /** Middle 32 bits of the NTP time of its last SR, and how long ago that came, in 1/65536 s; 0 without. */
  lastSr: number;
  sinceLastSr: number;
}

/** A compound packet of a receiver's report and our CNAME, which is what keeps many servers from closing the session. */
export function buildReceiverReport(ours: number, cname: string, block: ReportBlock | undefined): Buffer {
  const report = Buffer.alloc(block === undefined ? 8 : 32);
  report.writeUInt8(0x80 | (block === undefined ? 0 : 1), 0);
  report.writeUInt8(RECEIVER_REPORT, 1);
  report.writeUInt16BE(report.length / 4 - 1, 2);
  report.writeUInt32BE(ours, 4);
  if (block !== undefined) {
    report.writeUInt32BE(block.ssrc, 8);
    report.writeUInt32BE((block.fractionLost << 24) >>> 0, 12);
    report.writeUIntBE(Math.min(block.lost, 0x7fffff), 13, 3);
    report.writeUInt32BE(block.highestSequence % 2 ** 32, 16);
    report.writeUInt32BE(Math.min(Math.round(block.jitter), 2 ** 32 - 1), 20);
    report.writeUInt32BE(block.lastSr, 24);
    report.writeUInt32BE(Math.min(Math.round(block.sinceLastSr), 2 ** 32 - 1), 28);
  }
  return Buffer.concat([report, sourceDescription(ours, cname)]);
}

function sourceDescription(ours: number, cname: string): Buffer {
  const name = Buffer.from(cname, "latin1");
  // The item, and at least one zero that ends the list, up to the next word.
  const description = Buffer.alloc(8 + Math.ceil((2 + name.length + 1) / 4) * 4);
  description.writeUInt8(0x81, 0);
  description.writeUInt8(SOURCE_DESCRIPTION, 1);
  description.writeUInt16BE(description.length / 4 - 1, 2);
  description.writeUInt32BE(ours, 4);
  description.writeUInt8(1, 8);
  description.writeUInt8(name.length, 9);
  name.copy(description, 10);
  return description;
}
