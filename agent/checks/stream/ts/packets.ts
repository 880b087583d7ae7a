/** Where are the packets in a transport stream that comes in chunks cut anywhere? (ISO/IEC 13818-1 §2.4.3.2, Annex G.1) */

export const TS_PACKET_BYTES = 188;
const SYNC = 0x47;
/** So many further sync bytes, each a packet on, make one believed. */
const PROOFS = 2;
const PROOF_BYTES = PROOFS * TS_PACKET_BYTES + 1;
const CARRY_BYTES = 1024;

/** Hears of packets. */
export interface PacketHearer {
  /** A packet begins at `start` of `bytes` and is whole; both are good for the call only. */
  packet(bytes: Buffer, start: number): void;
  /** The next sync byte was not where it belongs: something is missing or too much. */
  syncLost(): void;
}

/** Finds packets of 188 bytes; after a loss of synchronism three sync bytes in their places are wanted. */
export class PacketFinder {
  readonly #hearer: PacketHearer;
  #carry: Buffer | undefined;
  #carried = 0;
  #synced = false;
  /** Bytes passed over since the last packet. */
  unsynced = 0;

  constructor(hearer: PacketHearer) {
    this.#hearer = hearer;
  }

  /** The next bytes. They may be written over afterwards. */
  push(chunk: Buffer): void {
    const from = this.#carried === 0 ? 0 : this.#pushCarried(chunk);
    if (from < chunk.length) this.#keep(chunk, this.#read(chunk, from, chunk.length), chunk.length);
  }

  /** What comes next begins anew. */
  reset(): void {
    this.#carried = 0;
    this.#synced = false;
  }

  /** Most of a packet may wait from the chunk before. Returns where to go on in this one. */
  #pushCarried(chunk: Buffer): number {
    const carry = this.#carry;
    if (carry === undefined) return 0;
    const before = this.#carried;
    const wanted = this.#synced ? TS_PACKET_BYTES - before : CARRY_BYTES - before;
    const count = Math.min(wanted, chunk.length);
    chunk.copy(carry, before, 0, count);
    const end = before + count;
    const read = this.#read(carry, 0, end);
    if (read >= before) {
      this.#carried = 0;
      return read - before;
    }
    carry.copyWithin(0, read, end);
    this.#carried = end - read;
    return count;
  }

  #keep(chunk: Buffer, from: number, to: number): void {
    if (from >= to) return;
    this.#carry ??= Buffer.allocUnsafeSlow(CARRY_BYTES);
    this.#carried = chunk.copy(this.#carry, 0, from, to);
  }

  /** Reads whole packets; returns where the rest begins: less than a packet, or less than proves one. */
  #read(bytes: Buffer, from: number, to: number): number {
    let at = from;
    for (;;) {
      if (!this.#synced) {
        at = this.#hunt(bytes, at, to);
        if (!this.#synced) return at;
      }
      while (at + TS_PACKET_BYTES <= to && bytes[at] === SYNC) {
        this.#hearer.packet(bytes, at);
        at += TS_PACKET_BYTES;
      }
      if (at + TS_PACKET_BYTES > to && (at >= to || bytes[at] === SYNC)) return at;
      this.#synced = false;
      this.#hearer.syncLost();
      at += 1;
      this.unsynced += 1;
    }
  }

  /** Looks for a packet; returns where it begins, or from where it is not known yet. */
  #hunt(bytes: Buffer, from: number, to: number): number {
    let at = from;
    for (;;) {
      const found = bytes.indexOf(SYNC, at);
      const next = found < 0 || found >= to ? to : found;
      this.unsynced += next - at;
      at = next;
      if (at + PROOF_BYTES > to) return at;
      if (bytes[at + TS_PACKET_BYTES] === SYNC && bytes[at + 2 * TS_PACKET_BYTES] === SYNC) {
        this.#synced = true;
        this.unsynced = 0;
        return at;
      }
      at += 1;
      this.unsynced += 1;
    }
  }
}
