import type { Incoming } from "./broker-link.ts";

/** Takes one message at a time; the next is given only after the promise has settled. */
export type TakeMessage = (message: Incoming) => void | Promise<void>;

interface Waiting {
  message: Incoming;
  /** Says to the broker, or to the parser, that the message is taken. */
  done: () => void;
}

/** What a waiting message costs beside its payload. */
const OVERHEAD_BYTES = 256;

/**
 * Messages on their way to the owner, in order and one at a time, over all connections of a link: a message of the new
 * connection waits for the one of the old that is still in hand. Bounded by its users, who look at `length` and `bytes`.
 */
export class IncomingQueue {
  readonly #take: TakeMessage;
  readonly #failed: (cause: unknown, message: Incoming) => void;
  #waiting: Waiting[] = [];
  #first = 0; // index of the oldest in #waiting: shift() on a long array copies it
  #bytes = 0;
  #busy = false;
  #open = false;

  constructor(take: TakeMessage, failed: (cause: unknown, message: Incoming) => void) {
    this.#take = take;
    this.#failed = failed;
  }

  get length(): number {
    return this.#waiting.length - this.#first;
  }

  /** Memory of what waits, roughly. */
  get bytes(): number {
    return this.#bytes;
  }

  push(message: Incoming, done: () => void): void {
    this.#waiting.push({ message, done });
    this.#bytes += message.payload.length + OVERHEAD_BYTES;
    this.#start();
  }

  /** Lets messages through; before, they wait. */
  open(): void {
    this.#open = true;
    this.#start();
  }

  /** Forgets what waits: its connection is gone, and what it had not acknowledged the broker sends again. */
  clear(): void {
    this.#open = false;
    this.#waiting = [];
    this.#first = 0;
    this.#bytes = 0;
  }

  #start(): void {
    if (!this.#busy && this.#open) void this.#run();
  }

  async #run(): Promise<void> {
    this.#busy = true;
    while (this.#open) {
      const next = this.#next();
      if (next === undefined) break;
      try {
        const taking = this.#take(next.message);
        if (taking !== undefined) await taking; // no await without need: this is the path of every message
      } catch (cause) {
        this.#failed(cause, next.message);
      }
      next.done();
    }
    this.#busy = false;
  }

  #next(): Waiting | undefined {
    const next = this.#waiting[this.#first];
    if (next === undefined) return undefined;
    this.#bytes -= next.message.payload.length + OVERHEAD_BYTES;
    this.#first += 1;
    if (this.#first === this.#waiting.length || this.#first > 1024) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    return next;
  }
}
