import { connect, type Socket } from "node:net";
import type { Clock } from "./clock.ts";
import type { Begin } from "./dial.ts";

/** Takes what comes; the bytes are used anew after the call. */
type Hear = (bytes: Buffer) => void;

/** Into this every connection is read, one after another: what is heard of it is valid during the call only. */
const ROOM_BYTES = 65_536;
let room: Buffer | undefined;

/** So much may wait in the kernel: less than the window that a connection begins with (64 kB), so that the sender is not held up. */
const WAITING_BYTES = 48_000;
/** More is not read at once, and no sooner again: 100 Mbit/s for one connection, however much is sent. */
const MOST_BATCH_BYTES = 131_072;
const LEAST_PAUSE_MS = 10;
/** Of a burst (a keyframe) so much is still reckoned with in the batch after it. */
const FADES = 0.75;

/**
 * What comes over one plain TCP connection, at once or, after `gather`, in batches: an idle Node that wakes for each packet
 * spends more on waking than on the packet (docs/performance.md). Between two batches nothing is read; the kernel keeps what
 * comes. Of another connection (TLS) it is passed on as it comes.
 */
export class Inflow {
  /** Begins the connection that is heard: for `openBy`. */
  readonly begin: Begin<Socket>;
  #own: Socket | undefined;
  #hear: Hear | undefined;
  /** Came before somebody listened. */
  #early: Buffer | undefined;
  #clock: Clock | undefined;
  /** Not 0: in batches, so far apart at most. */
  #gatherMs = 0;
  /** Of this batch. */
  #bytes = 0;
  #since = 0;
  /** Bytes a millisecond: the most of late. */
  #rate = 0;
  #callOff: (() => void) | undefined;

  constructor() {
    this.begin = (host, port) => {
      room ??= Buffer.allocUnsafeSlow(ROOM_BYTES);
      const onread = { buffer: room, callback: (count: number): boolean => this.#read(socket, count) };
      const socket: Socket = connect({ host, port, noDelay: true, onread });
      this.#own = socket;
      return socket;
    };
  }

  /** From now on `hear` is told what comes over `socket`. Once. */
  hear(socket: Socket, hear: Hear): void {
    if (socket !== this.#own) {
      socket.on("data", hear);
      return;
    }
    this.#hear = hear;
    socket.once("close", () => this.#callOff?.());
    const early = this.#early;
    this.#early = undefined;
    if (early !== undefined) hear(early);
    socket.resume();
  }

  /**
   * From now on reads at about every `ms`, on moments that are the same for all connections so that one waking serves them
   * all, at once again with 0. Sooner where much comes: never so late that the kernel's buffer would be full.
   */
  gather(clock: Clock, ms: number): void {
    this.#clock = clock;
    this.#gatherMs = ms;
    this.#since = clock.now();
    if (ms === 0 && this.#callOff !== undefined) this.#resume();
  }

  /** Whether reading goes on. */
  #read(socket: Socket, count: number): boolean {
    const bytes = room?.subarray(0, count) ?? Buffer.alloc(0);
    if (this.#hear === undefined) {
      this.#early = Buffer.from(bytes);
      return false;
    }
    this.#bytes += count;
    this.#hear(bytes);
    if (this.#gatherMs === 0) return true;
    if (count === ROOM_BYTES && this.#bytes < MOST_BATCH_BYTES) return true; // there is more
    if (!socket.destroyed) this.#pause();
    return false;
  }

  #pause(): void {
    const clock = this.#clock;
    if (clock === undefined) return;
    const now = clock.now();
    const pauseMs = this.#pauseMs(now);
    this.#bytes = 0;
    this.#since = now;
    this.#callOff?.();
    this.#callOff = clock.after(pauseMs, () => this.#resume());
  }

  #pauseMs(now: number): number {
    const ms = this.#gatherMs;
    this.#rate = Math.max(this.#bytes / Math.max(LEAST_PAUSE_MS, now - this.#since), this.#rate * FADES);
    const fillsIn = WAITING_BYTES / this.#rate;
    if (this.#bytes >= MOST_BATCH_BYTES) return LEAST_PAUSE_MS;
    if (fillsIn < ms) return Math.max(LEAST_PAUSE_MS, fillsIn);
    const left = ms - (now % ms);
    return left < ms / 5 ? left + ms : left;
  }

  #resume(): void {
    this.#callOff?.();
    this.#callOff = undefined;
    this.#own?.resume();
  }
}
