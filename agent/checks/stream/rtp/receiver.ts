import { randomInt } from "node:crypto";
import type { PacketCounts } from "../media.ts";
import { PacketOrder } from "./order.ts";
import { buildReceiverReport, ntpToEpochMs, type RtcpHearer, readRtcp } from "./rtcp.ts";

/** Takes the payloads of one source in order. */
export interface RtpTaker {
  /**
   * `bytes` from `from` up to `to`, valid during the call; `stamp`: ticks, unwrapped; `lost`: packets before this one never
   * came, or the source began anew; `at`: monotonic ms.
   */
  take(bytes: Buffer, from: number, to: number, stamp: number, marker: boolean, lost: boolean, at: number): void;
  /** RTCP SR: the sender's wall time, epoch ms, for the moment `stamp`. */
  senderClock(ntpMs: number, stamp: number): void;
  /** A word of what is wrong; every time it is. */
  odd(what: string, at: number): void;
}

/** A transit that differs by more than this tells of a leap of the stamps, not of the network. */
const MOST_JITTER_MS = 5000;

/**
 * The packets of one RTP session (RFC 3550): checks the header, puts them in order, unwraps stamps, counts, hears RTCP. A
 * source is taken at its first packet, as what comes was asked for; another one (a new SSRC, or a sequence that leaps by
 * thousands) only once two of its packets came in a row (§A.1), with none of the old one between: then it is counted anew, and
 * with a new SSRC the stamps go on from the last one by the time that passed.
 */
export class RtpReceiver {
  readonly #taker: RtpTaker;
  readonly #clockHz: number;
  readonly #payloadType: number | undefined;
  readonly #gathered: boolean;
  readonly #order: PacketOrder;
  readonly #hearer: RtcpHearer;

  /** The stamp of the last packet as it came, and unwrapped; when it came, and from whom. */
  #raw = -1;
  #stamp = 0;
  #stampAt = 0;
  #ssrc = -1;
  #jitterMs = 0;
  #transitMs = Number.NaN;

  readonly #ours = randomInt(2 ** 32);
  readonly #cname = randomInt(2 ** 47).toString(36);
  #srMiddle = 0;
  #srAt = 0;
  #reportedLost = 0;
  #reportedExpected = 0;
  #bye = false;
  #now = 0;
  /** During `take`: where the packet's header begins in `bytes`; an extension ends where the payload begins. */
  headerAt = 0;

  /**
   * `clockHz`: of the stamps. `payloadType`: of the packets that are meant; undefined: any. `gathered`: they come in batches,
   * so that jitter cannot be told, and is not reported either.
   */
  constructor(taker: RtpTaker, clockHz: number, payloadType?: number, gathered = false) {
    this.#taker = taker;
    this.#gathered = gathered;
    this.#clockHz = clockHz > 0 ? clockHz : 90_000;
    this.#payloadType = payloadType;
    this.#order = new PacketOrder((bytes, from, to, lost, cameAt, at) => {
      this.#deliver(bytes, from, to, lost, cameAt, at);
    });
    this.#hearer = {
      senderReport: (ssrc, seconds, fraction, stamp) => this.#senderReport(ssrc, seconds, fraction, stamp),
      bye: (ssrc) => {
        if (this.#order.ssrc === -1 || ssrc === this.#order.ssrc) this.#bye = true;
      },
    };
  }

  /** One packet: `bytes` from `from` up to `to`; they may be used anew after the call. */
  rtp(bytes: Buffer, from: number, to: number, at: number): void {
    // Version 2, a fixed header of 12 bytes; 192 to 223 is RTCP that shares the port (RFC 5761).
    const second = bytes[from + 1] ?? 0;
    if (to - from < 12 || (bytes[from] ?? 0) >> 6 !== 2) this.#taker.odd("rtp", at);
    else if (second >= 192 && second <= 223) this.rtcp(bytes, from, to, at);
    else if (this.#payloadType !== undefined && (second & 0x7f) !== this.#payloadType) {
      this.#taker.odd("payload type", at);
    } else this.#order.put(bytes, from, to, at);
  }

  /** One compound RTCP packet. False: the source says BYE. */
  rtcp(bytes: Buffer, from: number, to: number, at: number): boolean {
    this.#now = at;
    this.#bye = false;
    if (!readRtcp(bytes, from, to, this.#hearer)) this.#taker.odd("rtcp", at);
    return !this.#bye;
  }

  /** Waits no longer for what is missing: the session ends. */
  flush(at: number): void {
    this.#order.flush(at);
  }

  counts(): PacketCounts {
    const { received, lost, duplicates, reordered } = this.#order;
    const counts = { received, lost, duplicates, reordered };
    return this.#gathered ? counts : { ...counts, jitterMs: Math.round(this.#jitterMs * 100) / 100 };
  }

  /** A receiver's report to send, about every 5 s (RFC 3550 §6.4.2, with an SDES CNAME). */
  report(at: number): Buffer {
    const order = this.#order;
    order.late(at);
    if (order.ssrc === -1) return buildReceiverReport(this.#ours, this.#cname, undefined);
    const lost = order.lost - this.#reportedLost;
    const expected = order.received + order.lost - this.#reportedExpected;
    this.#reportedLost = order.lost;
    this.#reportedExpected = order.received + order.lost;
    return buildReceiverReport(this.#ours, this.#cname, {
      ssrc: order.ssrc,
      fractionLost: expected > 0 ? Math.min(255, Math.floor((lost * 256) / expected)) : 0,
      lost: order.lost - order.lostBefore,
      highestSequence: order.highest,
      jitter: (this.#jitterMs * this.#clockHz) / 1000,
      lastSr: this.#srMiddle,
      sinceLastSr: this.#srMiddle === 0 ? 0 : (at - this.#srAt) * 65.536,
    });
  }

  #senderReport(ssrc: number, seconds: number, fraction: number, stamp: number): void {
    if (ssrc !== this.#ssrc) return;
    this.#srMiddle = ((seconds & 0xffff) * 65_536 + (fraction >>> 16)) >>> 0;
    this.#srAt = this.#now;
    const ntpMs = ntpToEpochMs(seconds, fraction);
    if (ntpMs !== undefined) this.#taker.senderClock(ntpMs, this.#stamp + ((stamp - this.#raw) | 0));
  }

  #deliver(bytes: Buffer, from: number, to: number, lost: number, cameAt: number, at: number): void {
    this.#unwrap(bytes.readUInt32BE(from + 4), cameAt);
    const first = bytes[from] ?? 0;
    let begin = from + 12 + (first & 0x0f) * 4;
    // An extension: its length in words stands in its second half-word.
    if ((first & 0x10) !== 0) begin += 4 + (((bytes[begin + 2] ?? 0) << 8) | (bytes[begin + 3] ?? 0)) * 4;
    const end = (first & 0x20) === 0 ? to : to - (bytes[to - 1] ?? 0);
    this.headerAt = from;
    if (begin > end) this.#taker.odd("rtp", at);
    else this.#taker.take(bytes, begin, end, this.#stamp, (bytes[from + 1] ?? 0) >= 128, lost !== 0, at);
  }

  #unwrap(raw: number, at: number): void {
    if (this.#ssrc === this.#order.ssrc) {
      this.#stamp += (raw - this.#raw) | 0;
    } else {
      this.#stamp = this.#raw < 0 ? raw : this.#stamp + Math.round(((at - this.#stampAt) * this.#clockHz) / 1000);
      this.#ssrc = this.#order.ssrc;
      this.#jitterMs = 0;
      this.#transitMs = Number.NaN;
    }
    this.#raw = raw;
    this.#stampAt = at;
    if (this.#gathered) return;
    const transit = at - (this.#stamp / this.#clockHz) * 1000;
    const difference = Math.abs(transit - this.#transitMs);
    this.#transitMs = transit;
    if (difference < MOST_JITTER_MS) this.#jitterMs += (difference - this.#jitterMs) / 16;
  }
}
