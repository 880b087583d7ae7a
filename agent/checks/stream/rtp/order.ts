/** A packet that waits for those before it. */
interface Held {
  /** Its sequence number, unwrapped. */
  place: number;
  bytes: Buffer;
  cameAt: number;
}

/** How long, and for how many packets and bytes, we wait for a late one. */
const WAIT_MS = 200;
const WAIT_PACKETS = 32;
const WAIT_BYTES = 256 * 1024;
/** RFC 3550 §A.1: what leaps further ahead or back than this is another sequence, not loss. */
const MOST_AHEAD = 3000;
const MOST_BEHIND = 100;
/** Packets whose numbers are remembered, to tell a duplicate from one that comes too late. A power of two. */
const REMEMBERED = 256;

/** `lost`: how many never came before this one; -1: the source began anew. `cameAt`: when it came; `at`: now. */
type Deliver = (bytes: Buffer, from: number, to: number, lost: number, cameAt: number, at: number) => void;

/**
 * Puts RTP packets in the order of their sequence numbers: waits 200 ms or 32 packets for a late one, then counts it lost.
 * Without timers: time passes with the packets, and with `late`. What was given up and comes after all counts as
 * reordered and is dropped.
 */
export class PacketOrder {
  readonly #deliver: Deliver;
  /** -1 before the first packet. */
  ssrc = -1;
  /** Cumulative, over all sources. */
  received = 0;
  lost = 0;
  duplicates = 0;
  reordered = 0;
  /** `lost` when this source began. */
  lostBefore = 0;
  /** The place that comes next; places grow on where 16 bits begin anew. */
  #next = 0;
  #renewed = false;
  readonly #seen = new Int32Array(REMEMBERED).fill(-1);
  #held: Held[] = [];
  #heldBytes = 0;
  #waitsSince = 0;
  /** The first packet of what may be another source. */
  #candidate: { ssrc: number; bytes: Buffer; cameAt: number } | undefined;

  constructor(deliver: Deliver) {
    this.#deliver = deliver;
  }

  /** The highest sequence number that was delivered, with its cycles (RFC 3550 §6.4.1). */
  get highest(): number {
    return Math.max(0, this.#next - 1);
  }

  /** One packet with a whole RTP header. */
  put(bytes: Buffer, from: number, to: number, at: number): void {
    const sequence = ((bytes[from + 2] ?? 0) << 8) | (bytes[from + 3] ?? 0);
    const ssrc = ssrcOf(bytes, from);
    if (this.ssrc === -1) this.#begin(ssrc, sequence);
    const ahead = ((sequence - this.#next) << 16) >> 16;
    if (ssrc !== this.ssrc || ahead >= MOST_AHEAD || ahead <= -MOST_BEHIND) {
      this.#another(ssrc, sequence, bytes, from, to, at);
    } else if (ahead === 0) {
      this.#candidate = undefined;
      this.#pass(bytes, from, to, 0, at, at);
      if (this.#held.length > 0) this.#goOn(at);
    } else {
      this.#candidate = undefined;
      if (ahead > 0) this.#hold(this.#next + ahead, bytes, from, to, at);
      else this.#behind(this.#next + ahead);
    }
  }

  /** Gives up what was waited for long enough. */
  late(at: number): void {
    while (this.#held.length > 0 && this.#waitedEnough(at)) this.#giveUp(at);
  }

  /** Gives up everything that is waited for. */
  flush(at: number): void {
    while (this.#held.length > 0) this.#giveUp(at);
  }

  #begin(ssrc: number, sequence: number): void {
    this.#renewed = this.ssrc !== -1;
    this.ssrc = ssrc;
    this.lostBefore = this.lost;
    this.#next = sequence;
    this.#seen.fill(-1);
    this.#candidate = undefined;
  }

  #another(ssrc: number, sequence: number, bytes: Buffer, from: number, to: number, at: number): void {
    const first = this.#candidate;
    const inRow =
      first?.ssrc === ssrc && ((first.bytes.readUInt16BE(2) + 1) & 0xffff) === sequence && first.bytes.length >= 12;
    if (first === undefined || !inRow) {
      this.#candidate = { ssrc, bytes: Buffer.from(bytes.subarray(from, to)), cameAt: at };
      return;
    }
    this.flush(at);
    this.#begin(ssrc, (sequence - 1) & 0xffff);
    this.#pass(first.bytes, 0, first.bytes.length, 0, first.cameAt, at);
    this.#pass(bytes, from, to, 0, at, at);
  }

  #pass(bytes: Buffer, from: number, to: number, lost: number, cameAt: number, at: number): void {
    this.received += 1;
    this.#seen[this.#next & (REMEMBERED - 1)] = this.#next | 0;
    this.#next += 1;
    const renewed = this.#renewed;
    this.#renewed = false;
    this.#deliver(bytes, from, to, renewed ? -1 : lost, cameAt, at);
  }

  /** It was delivered before, or given up. */
  #behind(place: number): void {
    if (place >= 0 && this.#seen[place & (REMEMBERED - 1)] === (place | 0)) this.duplicates += 1;
    else this.reordered += 1;
  }

  #hold(place: number, bytes: Buffer, from: number, to: number, at: number): void {
    const before = this.#held.findLastIndex((held) => held.place <= place);
    if (this.#held[before]?.place === place) {
      this.duplicates += 1;
      return;
    }
    // Those that come after a later one; the one that closes the gap is counted when it comes.
    if (before < this.#held.length - 1) this.reordered += 1;
    if (this.#held.length === 0) this.#waitsSince = at;
    this.#held.splice(before + 1, 0, { place, bytes: Buffer.from(bytes.subarray(from, to)), cameAt: at });
    this.#heldBytes += to - from;
    this.late(at);
  }

  /** What was waited for came: on with what is in a row after it. */
  #goOn(at: number): void {
    this.reordered += 1;
    this.#drain(at);
    this.#waitsSince = this.#held[0]?.cameAt ?? at;
    this.late(at);
  }

  #drain(at: number): void {
    for (let first = this.#held[0]; first !== undefined && first.place === this.#next; first = this.#held[0]) {
      this.#release(first, 0, at);
    }
  }

  #giveUp(at: number): void {
    const first = this.#held[0];
    if (first === undefined) return;
    const lost = first.place - this.#next;
    this.lost += lost;
    this.#next = first.place;
    this.#release(first, lost, at);
    this.#drain(at);
    this.#waitsSince = this.#held[0]?.cameAt ?? at;
  }

  #release(held: Held, lost: number, at: number): void {
    this.#held.shift();
    this.#heldBytes -= held.bytes.length;
    this.#pass(held.bytes, 0, held.bytes.length, lost, held.cameAt, at);
  }

  #waitedEnough(at: number): boolean {
    const waits = at - this.#waitsSince;
    return waits > WAIT_MS || this.#held.length > WAIT_PACKETS || this.#heldBytes > WAIT_BYTES;
  }
}

const ssrcOf = (bytes: Buffer, from: number): number =>
  (((bytes[from + 8] ?? 0) << 24) |
    ((bytes[from + 9] ?? 0) << 16) |
    ((bytes[from + 10] ?? 0) << 8) |
    (bytes[from + 11] ?? 0)) >>>
  0;
