import type { PacketCounts } from "./media.ts";

/** What share of the packets was lost of late, out of counts that only ever grow. Pure. */

const LOOKS = 32;
const SPACING_MS = 400;
const WINDOW_MS = 10_000;
/** Of fewer packets a percentage means nothing. */
const LEAST_PACKETS = 50;

const MOST = Number.MAX_SAFE_INTEGER;
const count = (value: number): number => (value > 0 ? Math.min(value, MOST) : 0);

export class PacketWindow {
  readonly #at = new Float64Array(LOOKS);
  readonly #received = new Float64Array(LOOKS);
  readonly #lost = new Float64Array(LOOKS);
  #next = 0;
  #count = 0;
  #counts: PacketCounts | undefined;

  get counts(): PacketCounts | undefined {
    return this.#counts;
  }
  /** What was lost till now is forgotten: it belongs to a pause that was told of as such. */
  clear(): void {
    this.#next = 0;
    this.#count = 0;
  }
  take(told: PacketCounts, at: number): void {
    const before = this.#counts;
    this.#counts = {
      received: count(told.received),
      lost: count(told.lost),
      duplicates: count(told.duplicates),
      reordered: count(told.reordered),
      ...(told.jitterMs === undefined ? {} : { jitterMs: count(told.jitterMs) }),
    };
    // another sender (SSRC): it is counted from nothing
    if (before !== undefined && this.#counts.received < before.received) this.clear();
    if (this.#count > 0 && at - (this.#at[this.#place(this.#count - 1)] ?? 0) < SPACING_MS) return;
    this.#at[this.#next] = at;
    this.#received[this.#next] = this.#counts.received;
    this.#lost[this.#next] = this.#counts.lost;
    this.#next = (this.#next + 1) % LOOKS;
    if (this.#count < LOOKS) this.#count += 1;
  }
  /** Packets lost of the last 10 s, and of how many that came or should have; undefined while they are too few. */
  lately(at: number): { lost: number; pct: number } | undefined {
    const counts = this.#counts;
    if (counts === undefined || this.#count === 0) return undefined;
    if (at - (this.#at[this.#place(this.#count - 1)] ?? 0) > WINDOW_MS) return undefined;
    let base = 0;
    while (base < this.#count - 1 && (this.#at[this.#place(base + 1)] ?? 0) <= at - WINDOW_MS) base += 1;
    const lost = Math.max(0, counts.lost - (this.#lost[this.#place(base)] ?? 0));
    const all = lost + Math.max(0, counts.received - (this.#received[this.#place(base)] ?? 0));
    return all < LEAST_PACKETS ? undefined : { lost, pct: (lost / all) * 100 };
  }
  #place(index: number): number {
    return (this.#next - this.#count + index + LOOKS) % LOOKS;
  }
}
