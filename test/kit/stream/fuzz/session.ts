import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Keyframe, MediaSink, PictureFormat } from "../../../../agent/checks/stream/media.ts";
import { Meter } from "../../../../agent/checks/stream/meter.ts";
import { systemClock } from "../../../../platform/clock.ts";
import { Dice, Mutator } from "./mutate.ts";
import { isTold, type Part, type Take } from "./parts.ts";

/** Fires mutated inputs at one parser. */

export interface Fire {
  part: Part;
  seeds: readonly Buffer[];
  inputs: number;
  seed: number;
}

export interface Broken {
  part: string;
  /** The session is the same again with these. */
  seed: number;
  session: number;
  why: string;
  /** How many inputs its reader was given; the last one broke it. */
  given: number;
  /** All that it was given, hex. */
  inputs?: readonly string[];
}

export interface Fired {
  part: string;
  inputs: number;
  bytes: number;
  /** Sessions that ended as a Failure of the documented kinds. */
  refused: number;
  frames: number;
  ms: number;
  /** The dearest input, fired again three times: the least of them, as a time on a shared machine is only ever too long, ms. */
  slowestMs: number;
  /** Most that one reader held after a long session, and what stayed after all of them, bytes. */
  heldBytes: number;
  grownBytes: number;
  broken?: Broken;
}

const SESSION_INPUTS = 96;
/** One session in so many is long, and what its reader holds at the end is weighed. */
const LONG_EVERY = 400;
const LONG_INPUTS = 3_000;
const MOST_PICTURE = 2 * 1024 * 1024 + 4_096;
const MOST_SIDE = 65_536;
/** So many of the dearest are fired again. */
const SLOWEST = 8;

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

/** What is alive, bytes. */
async function alive(): Promise<number> {
  await systemClock.sleep(1); // zlib gives back in the next turn what it was refused with
  collect();
  collect(); // what the first one let go of outside the heap
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Fires `inputs` inputs; stops at the first that is not borne as it must be. */
export async function fire(order: Fire): Promise<Fired> {
  const { part, seeds, inputs, seed } = order;
  const room = Buffer.alloc(32_768);
  const all: Fired = {
    ...{ part: part.name, inputs: 0, bytes: 0, refused: 0, frames: 0, ms: 0, slowestMs: 0 },
    ...{ heldBytes: 0, grownBytes: 0 },
  };
  const begun = performance.now();
  let before: number | undefined;
  let slow: Slow[] = [];
  for (let session = 0; all.inputs < inputs && all.broken === undefined; session += 1) {
    // the readers' own tables and code are there by now
    if (session === 20) before = await alive();
    const isLong = session % LONG_EVERY === 30;
    const one = new FiredSession(part, seeds, seed, session, room);
    const base = isLong ? await alive() : 0;
    one.fire(Math.min(isLong ? LONG_INPUTS : SESSION_INPUTS, inputs - all.inputs), all);
    if (isLong) all.heldBytes = Math.max(all.heldBytes, (await alive()) - base);
    one.rest(all);
    // while the code is still being compiled all is slow
    if (session > 50 && one.slow.ms > (slow[0]?.ms ?? 0)) slow = [...slow.slice(1 - SLOWEST), one.slow];
    if (session % 64 === 0) await systemClock.sleep(0);
  }
  all.ms = performance.now() - begun;
  all.grownBytes = before === undefined ? 0 : Math.max(0, (await alive()) - before);
  all.slowestMs = Math.max(0, ...slow.map((one) => again(order, one, room)));
  return all;
}

/** Fires the inputs of one session again; the last one should break it. Every input is kept. */
export function inputsOf({ part, seeds, seed }: Omit<Fire, "inputs">, session: number, count: number): string[] {
  const kept: string[] = [];
  const spy: Part = {
    ...part,
    comes: part.comes,
    open(sink, dice) {
      const take = part.open(sink, dice);
      return (bytes, at) => {
        kept.push(bytes.toString("hex"));
        take(bytes, at);
      };
    },
  };
  const one = new FiredSession(spy, seeds, seed, session, Buffer.alloc(32_768));
  one.fire(count, nothing());
  return kept;
}

/** Fires a session again as far as its dearest input, which is timed. */
function again(fire: Fire, { session, index }: Slow, room: Buffer): number {
  const times = [1, 2, 3].map(() => {
    const one = new FiredSession(fire.part, fire.seeds, fire.seed, session, room);
    one.fire(index + 1, nothing(), index);
    return one.slow.ms;
  });
  return Math.min(...times);
}

const nothing = (): Tally => ({ inputs: 0, bytes: 0, refused: 0, frames: 0 });

type Tally = Pick<Fired, "inputs" | "bytes" | "refused" | "frames"> & { broken?: Broken };
/** An input and how long it took. */
interface Slow {
  session: number;
  index: number;
  ms: number;
}

class FiredSession {
  readonly #part: Part;
  readonly #seeds: readonly Buffer[];
  readonly #seed: number;
  readonly #session: number;
  readonly #dice: Dice;
  readonly #mutator: Mutator;
  readonly #sink: Doubter;
  readonly #take: Take;
  /** The dearest so far, or the one that is asked about. */
  readonly slow: Slow;
  #at = 1_000;

  constructor(part: Part, seeds: readonly Buffer[], seed: number, session: number, room: Buffer) {
    this.#part = part;
    this.#seeds = seeds;
    this.#seed = seed;
    this.#session = session;
    this.slow = { session, index: -1, ms: 0 };
    this.#dice = new Dice(seed * 1_000_003 + session);
    this.#mutator = new Mutator(this.#dice, room, this.#dice.once(2));
    this.#sink = new Doubter(this.#dice);
    this.#take = part.open(this.#sink, this.#dice);
  }

  fire(count: number, tally: Tally, asked = -1): void {
    const dice = this.#dice;
    const seeds = this.#seeds;
    // in their order, so that what follows is understood; from the beginning mostly, as that says what follows
    let next = dice.once(3) ? dice.below(seeds.length) : 0;
    for (let i = 0; i < count; i += 1, next += 1) {
      const seed = seeds[next % seeds.length] ?? Buffer.alloc(0);
      const input = this.#mutator.make(seed, seeds[dice.below(seeds.length)] ?? seed, this.#part.isText === true);
      this.#at += dice.once(500) ? dice.below(100_000) : dice.below(30);
      tally.inputs += 1;
      tally.bytes += input.length;
      const begun = performance.now();
      const isOver = this.#give(input, tally, i + 1);
      const ms = performance.now() - begun;
      if (i === asked || (asked < 0 && ms > this.slow.ms)) Object.assign(this.slow, { index: i, ms });
      if (isOver) break;
    }
    tally.frames += this.#sink.frames;
  }

  /** Keeps the reader alive until it was weighed. */
  rest(tally: Tally): void {
    if (tally.inputs < 0) this.#take(Buffer.alloc(0), this.#at);
  }

  /** Whether the session has ended. */
  #give(input: Buffer, tally: Tally, given: number): boolean {
    try {
      if (this.#part.comes === "whole") this.#take(input, this.#at);
      else this.#inPieces(input);
      this.#sink.look(this.#at);
      return false;
    } catch (cause) {
      if (isTold(cause)) tally.refused += 1;
      else {
        const why = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
        tally.broken = { part: this.#part.name, seed: this.#seed, session: this.#session, why, given };
      }
      // a document that is refused says nothing of the next; a connection is closed
      return !isTold(cause) || this.#part.comes === "in pieces";
    }
  }

  #inPieces(input: Buffer): void {
    const dice = this.#dice;
    const how = dice.below(16);
    const most = how < 9 ? input.length : how < 13 ? 1 + (input.length >> 1) : how < 15 ? 40 : 1;
    for (let from = 0; from < input.length; ) {
      const to = Math.min(input.length, from + (most <= 1 ? most : 1 + dice.below(most)));
      this.#take(how < 9 ? input : input.subarray(from, to), this.#at);
      from = how < 9 ? input.length : to;
    }
  }
}

/** The real meter, and somebody who doubts each word it hears: numbers are numbers, tracks are announced, sizes bounded. */
class Doubter implements MediaSink {
  frames = 0;
  readonly #meter: Meter;
  readonly #dice: Dice;
  readonly #told = new Set<number>();
  #last = 0;

  constructor(dice: Dice) {
    this.#dice = dice;
    this.#meter = new Meter({
      startedAt: 0,
      wantsPicture: () => dice.once(3),
      picture: (_, keyframe) => judged(keyframe),
    });
    this.#meter.step("playing", 1);
  }
  step(): void {}
  track(id: number, track: Parameters<MediaSink["track"]>[1]): void {
    sure(Number.isInteger(id) && id >= 0 && id < 64, "track", id);
    sure(track.clockHz > 0 && track.clockHz < 1e9, "clockHz", track.clockHz);
    sure(track.codec.length <= 64, "codec", track.codec.length);
    this.#told.add(id);
    this.#meter.track(id, track);
  }
  bytes(id: number, count: number, at: number): void {
    this.#known(id, at);
    sure(count >= 0 && count < 1e8, "bytes", count);
    this.#meter.bytes(id, count, at);
  }
  frame(id: number, stamp: number, size: number, key: boolean, at: number): void {
    this.frames += 1;
    this.#known(id, at);
    sure(Number.isFinite(stamp), "stamp", stamp);
    sure(size >= 0 && size < 1e8 && Number.isInteger(size), "size", size);
    this.#meter.frame(id, stamp, size, key, at);
  }
  format(id: number, format: PictureFormat): void {
    const { width, height, fps = 1 } = format;
    sure(this.#told.has(id), "format of a track not told", id);
    sure(width > 0 && width <= MOST_SIDE && Number.isInteger(width), "width", width);
    sure(height > 0 && height <= MOST_SIDE && Number.isInteger(height), "height", height);
    sure(fps > 0 && Number.isFinite(fps), "fps", fps);
    this.#meter.format(id, format);
  }
  packets(id: number, counts: Parameters<MediaSink["packets"]>[1]): void {
    sure(this.#told.has(id), "packets of a track not told", id);
    for (const [name, count] of Object.entries(counts)) sure(Number.isFinite(count) && count >= 0, name, count);
    this.#meter.packets(id, counts);
  }
  senderClock(id: number, ntpMs: number, stamp: number, wall: number): void {
    sure(Number.isFinite(ntpMs) && Number.isFinite(stamp), "sender's clock", ntpMs);
    this.#meter.senderClock(id, ntpMs, stamp, wall);
  }
  wantsPicture(id: number): boolean {
    return this.#meter.wantsPicture(id);
  }
  picture(id: number, keyframe: Keyframe): void {
    this.#meter.picture(id, keyframe);
  }
  odd(id: number, what: string): void {
    sure(what.length < 200, "odd word", what.length);
    this.#meter.odd(id, what);
  }
  /** Now and then: all figures are numbers. */
  look(at: number): void {
    if (!this.#dice.once(64)) return;
    for (const track of this.#meter.figures(at).tracks)
      for (const [name, value] of Object.entries(track))
        if (typeof value === "number") sure(Number.isFinite(value), name, value);
  }
  #known(id: number, at: number): void {
    sure(this.#told.has(id), "a track not told", id);
    sure(Number.isFinite(at) && at >= this.#last - 1e6, "at", at);
    this.#last = at;
  }
}

function judged({ bytes }: Keyframe): void {
  sure(bytes.length > 0 && bytes.length <= MOST_PICTURE, "bytes of a picture", bytes.length);
}

function sure(holds: boolean, what: string, value: number): void {
  if (!holds) throw new Error(`not to be believed: ${what} ${value}`);
}
