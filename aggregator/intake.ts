import type { Incoming } from "../platform/broker-link.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/log.ts";
import { Failure } from "../protocol/failure.ts";
import { decode, type Heard, type Inventories } from "./decode.ts";
import { type News, noNews } from "./news.ts";
import type { Refusals } from "./refusals.ts";
import type { Store, Tx } from "./store.ts";

export interface IntakeLimits {
  /** Messages, and bytes of their payloads, that may wait for their commit; beyond it the broker has to wait. */
  queueMessages: number;
  queueBytes: number;
  /** Messages in one transaction at most. */
  batchMessages: number;
  /** How long the first message of a batch waits for company, milliseconds. */
  batchMs: number;
}

/** What the intake gives its messages to, inside a transaction. */
export interface Desk {
  heard(tx: Tx, message: Heard, news: News): Promise<void>;
}

export interface IntakeParts {
  store: Store;
  desk: Desk;
  clock: Clock;
  log: Logger;
  refusals: Refusals;
  inventories?: Inventories;
  limits: IntakeLimits;
  /** Called after each commit, with what it brought about. Must not throw. */
  committed(news: News): void;
}

/** Pauses between tries while the store cannot write, milliseconds. */
const RETRY = { firstMs: 100, mostMs: 5_000 };

/** Alarms and births wait so long for company. */
const URGENT_MS = 20;

/**
 * From messages to committed rows: a bounded queue, batches of one transaction each, and the news after it.
 * Nothing is acknowledged to a device before it is committed; what the store cannot take now waits and is tried again.
 */
export class Intake {
  readonly #parts: IntakeParts;
  #queue: Heard[] = [];
  #bytes = 0;
  #waiting: (() => void)[] = [];
  #wake: (() => void) | undefined;
  #full: AbortController | undefined;
  /** Set while only figures wait: they may wait longer. */
  #patient: AbortController | undefined;
  /** Something else than figures waits. */
  #urgent = false;
  #stuck: Failure | undefined;
  #held = false;
  #closing = false;
  /** By kind of message: committed so far. */
  readonly taken = { state: 0, info: 0, inventory: 0, tele: 0, alarm: 0, event: 0, daily: 0 };
  duplicates = 0;
  /** From arrival to commit of the last batch's oldest message, milliseconds. */
  lagMs = 0;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  get queued(): number {
    return this.#queue.length;
  }
  /** Why nothing can be committed now. */
  get stuck(): Failure | undefined {
    return this.#stuck;
  }
  /** Whether we were behind at any time since this was asked last: messages then wait at the broker, and silence proves nothing. */
  wasBehind(): boolean {
    const behind = this.#held || this.#waiting.length > 0 || this.#stuck !== undefined;
    this.#held = false;
    return behind;
  }

  /** Takes a message from the link. Never throws; while the queue is full the promise it returns is held. */
  message(incoming: Incoming): void | Promise<void> {
    const { clock, refusals, limits, inventories } = this.#parts;
    try {
      const heard = decode(incoming, clock.wall(), clock.now(), inventories);
      this.#queue.push(heard);
      this.#bytes += heard.size;
      if (heard.kind !== "tele") {
        this.#urgent = true;
        this.#patient?.abort();
      }
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      refusals.tell(incoming.topic, incoming.payload, error);
      return;
    }
    this.#wake?.();
    if (this.#queue.length >= limits.batchMessages) this.#full?.abort();
    if (this.#queue.length < limits.queueMessages && this.#bytes < limits.queueBytes) return;
    this.#held = true;
    return new Promise((go) => this.#waiting.push(go));
  }

  /** Commits what comes until `signal` aborts and the queue is empty (or the store cannot write any more). */
  async run(signal: AbortSignal): Promise<void> {
    const { limits } = this.#parts;
    const close = () => {
      this.#closing = true;
      this.#full?.abort();
      this.#wake?.();
    };
    if (signal.aborted) close();
    signal.addEventListener("abort", close, { once: true });
    while (this.#queue.length > 0 || !this.#closing) {
      if (this.#queue.length === 0) await this.#something();
      else {
        if (!this.#urgent) await this.#wait(limits.batchMs, "urgent");
        if (this.#urgent) await this.#wait(Math.min(URGENT_MS, limits.batchMs));
        if (!(await this.#batch(signal))) return;
      }
    }
  }

  /** Waits for company, until the batch is full or, where it should, something comes that is more than figures. */
  async #wait(ms: number, until?: "urgent"): Promise<void> {
    if (this.#queue.length >= this.#parts.limits.batchMessages || this.#closing) return;
    const cut = new AbortController();
    this.#full = cut;
    if (until === "urgent") this.#patient = cut;
    await this.#parts.clock.sleep(ms, cut.signal).catch(() => {}); // cut short
    this.#full = undefined;
    this.#patient = undefined;
  }

  async #something(): Promise<void> {
    await new Promise<void>((go) => {
      this.#wake = go;
    });
    this.#wake = undefined;
  }

  /** Commits the head of the queue. False when it gave up because we are to end. */
  async #batch(signal: AbortSignal): Promise<boolean> {
    const batch = this.#queue.slice(0, this.#parts.limits.batchMessages);
    if (!(await this.#committed(batch, signal))) return false;
    this.#queue = this.#queue.slice(batch.length);
    this.#urgent = this.#queue.some(({ kind }) => kind !== "tele");
    for (const { kind, size } of batch) {
      this.taken[kind] += 1;
      this.#bytes -= size;
    }
    const { queueMessages, queueBytes } = this.#parts.limits;
    if (this.#queue.length < queueMessages && this.#bytes < queueBytes) {
      for (const go of this.#waiting.splice(0)) go();
    }
    return true;
  }

  async #committed(batch: readonly Heard[], signal: AbortSignal): Promise<boolean> {
    for (let failures = 0; ; failures += 1) {
      try {
        await this.#commit(batch);
        this.#stuck = undefined;
        return true;
      } catch (error) {
        if (!isStoreFailure(error)) {
          if (batch.length === 1 && batch[0] !== undefined) this.#poisoned(batch[0], error);
          else for (const one of batch) if (!(await this.#committed([one], signal))) return false;
          return true;
        }
        if (this.#stuck?.code !== error.code) {
          this.#parts.log.error({ event: "store.stuck", code: error.code, ...error.facts }, error.message);
        }
        this.#stuck = error;
        if (signal.aborted) return false;
        const pause = Math.min(RETRY.firstMs * 2 ** failures, RETRY.mostMs);
        await this.#parts.clock.sleep(pause, signal).catch(() => {}); // we end: one more try, then give up
      }
    }
  }

  async #commit(batch: readonly Heard[]): Promise<void> {
    const { store, desk, clock, committed } = this.#parts;
    const news = await store.transaction(async (tx) => {
      const fresh = noNews(clock.wall());
      for (const message of batch) await desk.heard(tx, message, fresh);
      return fresh;
    });
    this.duplicates += news.duplicates;
    this.lagMs = clock.now() - (batch[0]?.at ?? clock.now());
    committed(news);
  }

  /** One message the store cannot take must not hold up the others. */
  #poisoned(message: Heard, cause: unknown): void {
    const because = cause instanceof Error ? cause.message : String(cause);
    const topic = `${message.kind} of ${message.device}`;
    this.#parts.log.error({ event: "intake.poisoned", topic, because }, "message could not be entered");
    this.#parts.refusals.count("MESSAGE_REFUSED");
  }
}

const isStoreFailure = (error: unknown): error is Failure =>
  error instanceof Failure && (error.code === "STORE_BUSY" || error.code === "STORE_CORRUPT");
