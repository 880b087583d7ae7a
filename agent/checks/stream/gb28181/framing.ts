/** Takes whole packets; `bytes` from `from` up to `to` may be used anew after the call. */
export type TakePacket = (bytes: Buffer, from: number, to: number) => void;

const PREFIX = 2;
const LONGEST = 65_535;

/** Parts the RTP packets of one TCP connection: each has its length before it, in two bytes (RFC 4571 §2). */
export class Framing {
  readonly #take: TakePacket;
  /** A packet that a chunk cut, with its prefix. */
  #part: Buffer | undefined;
  #length = 0;

  constructor(take: TakePacket) {
    this.#take = take;
  }

  push(chunk: Buffer): void {
    let next = this.#length === 0 ? 0 : this.#finish(chunk);
    while (chunk.length - next >= PREFIX) {
      const end = next + PREFIX + chunk.readUInt16BE(next);
      if (end > chunk.length) break;
      this.#take(chunk, next + PREFIX, end);
      next = end;
    }
    if (next < chunk.length) this.#keep(chunk, next, chunk.length);
  }

  /** Completes the packet that was cut; where to go on in the chunk. */
  #finish(chunk: Buffer): number {
    let next = 0;
    if (this.#length < PREFIX) next = this.#keep(chunk, 0, PREFIX - this.#length);
    const part = this.#part;
    if (part === undefined || this.#length < PREFIX) return next;
    const whole = PREFIX + part.readUInt16BE(0);
    next = this.#keep(chunk, next, next + whole - this.#length);
    if (this.#length < whole) return next;
    this.#length = 0;
    this.#take(part, PREFIX, whole);
    return next;
  }

  #keep(chunk: Buffer, from: number, to: number): number {
    this.#part ??= Buffer.allocUnsafeSlow(PREFIX + LONGEST);
    const end = Math.min(to, chunk.length);
    this.#length += chunk.copy(this.#part, this.#length, from, end);
    return end;
  }
}
