/** What the way, a broken sender or a hostile one makes of bytes. All numbers come from one seed: a session is the same again. */

/** Numbers that are the same for the same seed (xorshift32): no objects, as millions are drawn. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed + 1, 0x9e3779b1) | 1;
    for (let i = 0; i < 8; i += 1) this.below(2);
  }
  /** 0 to `most` - 1. */
  below(most: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) % most;
  }
  /** One time in so many. */
  once(inSo: number): boolean {
    return this.below(inSo) === 0;
  }
}

/** Longest input; longer ones only cost time. */
const MOST_BYTES = 16_384;
const BYTES = [0, 1, 3, 0x1f, 0x24, 0x47, 0x7c, 0x7f, 0x80, 0xc8, 0xfe, 0xff] as const;
const WORDS = [
  0, 1, 2, 3, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xfffe, 0xffff, 0x1000000, 0x7fffffff, 0xffffffff,
] as const;
const NUMBERS = ["0", "-1", "4294967296", "99999999999999999999", "1e999", "0x10", "65536", "NaN", "", "00000000001"];
const PIECES = ["\r\n", "\n", "\0", ";", "=", ",", '"', "<", "</", "{", "[", "%", "﻿", "\u{1F3A5}", "#EXT", "\x24\x00"];

/** A mutated copy of one input after the other, in a buffer that is used anew: who keeps a view of it is found out. */
export class Mutator {
  readonly #dice: Dice;
  readonly #room: Buffer;
  readonly #isGentle: boolean;
  #length = 0;

  /** `room`: of 32 kB, used for every input. `isGentle`: nine in ten stay as they were, so that the readers get far. */
  constructor(dice: Dice, room: Buffer, isGentle: boolean) {
    this.#dice = dice;
    this.#isGentle = isGentle;
    this.#room = room;
  }

  /** `other`: what is spliced in. One in four at least stays as it was. */
  make(seed: Buffer, other: Buffer, isText: boolean): Buffer {
    this.#length = Math.min(seed.length, MOST_BYTES);
    seed.copy(this.#room, 0, 0, this.#length);
    if (this.#isGentle ? this.#dice.once(10) : !this.#dice.once(4)) {
      const times = 1 + this.#dice.below(this.#dice.once(8) ? 12 : 3);
      for (let i = 0; i < times; i += 1) this.#mutate(other, isText);
    }
    return this.#room.subarray(0, this.#length);
  }

  #mutate(other: Buffer, isText: boolean): void {
    if (isText && this.#dice.below(3) < 2) this.#text();
    else if (this.#dice.below(3) < 2) this.#bytes();
    else this.#shape(other);
  }

  /** Where: half of the time among the first bytes, where headers are. */
  #where(): number {
    if (this.#length === 0) return 0;
    return this.#dice.below(this.#dice.once(2) ? Math.min(this.#length, 40) : this.#length);
  }

  #bytes(): void {
    const at = this.#where();
    const room = this.#room;
    const word = WORDS[this.#dice.below(WORDS.length)] ?? 0;
    switch (this.#dice.below(7)) {
      case 0:
        room[at] = (room[at] ?? 0) ^ (1 << this.#dice.below(8));
        return;
      case 1:
        room[at] = BYTES[this.#dice.below(BYTES.length)] ?? 0;
        return;
      case 2:
        room[at] = this.#dice.below(256);
        return;
      case 3:
        room[at] = ((room[at] ?? 0) + (this.#dice.once(2) ? 1 : 255)) & 255;
        return;
      // length fields
      case 4:
        room.writeUInt16BE(word & 0xffff, at);
        return;
      case 5:
        room.writeUIntBE(word & 0xffffff, at, 3);
        return;
      default:
        room.writeUInt32BE(word, at);
    }
  }

  #shape(other: Buffer): void {
    const from = this.#where();
    const count = 1 + this.#dice.below(this.#dice.once(4) ? 2_000 : 30);
    switch (this.#dice.below(6)) {
      case 0:
        this.#length = from;
        return;
      case 1:
        this.#put(from, count, Buffer.alloc(0));
        return;
      case 2: // again
        this.#put(from, 0, Buffer.from(this.#room.subarray(from, Math.min(this.#length, from + count))));
        return;
      case 3: {
        const begin = this.#dice.below(Math.max(1, other.length));
        this.#put(from, this.#dice.once(2) ? count : 0, other.subarray(begin, begin + count));
        return;
      }
      case 4:
        this.#room.fill(BYTES[this.#dice.below(BYTES.length)] ?? 0, from, Math.min(this.#length, from + count));
        return;
      default: {
        const noise = Buffer.alloc(Math.min(count, 200));
        for (let i = 0; i < noise.length; i += 1) noise[i] = this.#dice.below(256);
        this.#put(from, 0, noise);
      }
    }
  }

  #text(): void {
    const from = this.#where();
    const line = this.#lineAt(from);
    switch (this.#dice.below(6)) {
      case 0: {
        let at = from;
        while (at < this.#length && !isDigit(this.#room[at])) at += 1;
        let end = at;
        while (end < this.#length && isDigit(this.#room[end])) end += 1;
        this.#put(at, end - at, Buffer.from(NUMBERS[this.#dice.below(NUMBERS.length)] ?? ""));
        return;
      }
      case 1:
        this.#put(line.from, line.to - line.from, Buffer.alloc(0));
        return;
      case 2:
        this.#put(line.from, 0, Buffer.from(this.#room.subarray(line.from, line.to)));
        return;
      case 3:
        this.#put(from, 0, Buffer.alloc(1 + this.#dice.below(3_000), 32 + this.#dice.below(96)));
        return;
      default:
        this.#put(from, this.#dice.below(3), Buffer.from(PIECES[this.#dice.below(PIECES.length)] ?? ""));
    }
  }

  #lineAt(at: number): { from: number; to: number } {
    const next = this.#room.indexOf(10, at);
    const to = next < 0 || next >= this.#length ? this.#length : next + 1;
    return { from: at === 0 ? 0 : this.#room.lastIndexOf(10, at - 1) + 1, to };
  }

  /** `instead` of `count` bytes from `at` on. */
  #put(at: number, count: number, instead: Uint8Array): void {
    const gone = Math.min(count, this.#length - at);
    const fits = instead.subarray(0, MOST_BYTES - (this.#length - gone));
    this.#room.copyWithin(at + fits.length, at + gone, this.#length);
    this.#room.set(fits, at);
    this.#length += fits.length - gone;
  }
}

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 48 && byte <= 57;
