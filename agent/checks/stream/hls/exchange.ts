import type { Agent, ClientRequest, IncomingMessage } from "node:http";
import { request as startRequest } from "node:http";
import { reasonOf } from "../../../../platform/dial.ts";
import { Failure } from "../../../../protocol/failure.ts";
import type { Session } from "../media.ts";
import type { ByteRange } from "./playlist.ts";

/** One thing to be had. */
export interface Wanted {
  url: URL;
  /** What is had, as a Failure names it: "playlist", "segment" … */
  step: string;
  range?: ByteRange;
  /** For the whole answer, ms; without, it may go on for ever, and silence within it is the caller's to see. */
  withinMs?: number;
  /** More is Failure STREAM_PROTOCOL. */
  mostBytes: number;
  /** The head has come, and is 200 or 206. */
  head?: (answer: HttpHead) => void;
  /** The next bytes; what it throws ends the request. */
  data: (bytes: Buffer) => void;
}

export interface HttpHead {
  status: number;
  /** Of a body that is not as it was: "gzip" … */
  encoding: string | undefined;
  /** After redirects. */
  url: URL;
}

const MOST_HEADER_BYTES = 16_384;

/** One request and its answer. */
export class Exchange {
  readonly #wanted: Wanted;
  readonly #session: Session;
  readonly #done = Promise.withResolvers<HttpHead | URL>();
  #request: ClientRequest | undefined;
  #answered = false;
  #over = false;
  #stale = false;
  #bytes = 0;
  #heardAt = 0;
  #callOff = (): void => {};
  #callOffAll = (): void => {};

  constructor(wanted: Wanted, session: Session) {
    this.#wanted = wanted;
    this.#session = session;
  }

  /** It failed on a connection that was kept from before, and nothing of an answer had come. */
  get wasStale(): boolean {
    return this.#stale;
  }

  async run(headers: Record<string, string>, agent: Agent): Promise<HttpHead | URL> {
    const { signal } = this.#session;
    signal.throwIfAborted();
    const leave = (): void => this.#fail(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
    try {
      this.#ask(headers, agent);
      return await this.#done.promise;
    } finally {
      signal.removeEventListener("abort", leave);
      this.#callOff();
      this.#callOffAll();
    }
  }

  #ask(headers: Record<string, string>, agent: Agent): void {
    const { url, withinMs } = this.#wanted;
    const { clock, answerMs, connectMs } = this.#session;
    const request = startRequest({
      agent,
      path: url.pathname + url.search,
      setHost: false,
      setDefaultHeaders: false,
      headers,
      maxHeaderSize: MOST_HEADER_BYTES,
    });
    this.#request = request;
    request.once("socket", () => {
      this.#callOff = clock.after(answerMs, () => this.#fail(this.#late(answerMs)));
    });
    request.on("error", (cause) => {
      const isReset = !(cause instanceof Failure) && ["ECONNRESET", "EPIPE"].includes(reasonOf(cause));
      this.#stale = request.reusedSocket && !this.#answered && isReset;
      this.#fail(this.#failureOf(cause));
    });
    request.once("response", (message) => this.#take(message));
    request.once("close", () => this.#fail(this.#hungUp("closed")));
    if (withinMs !== undefined)
      this.#callOffAll = clock.after(withinMs + connectMs, () => this.#fail(this.#late(withinMs)));
    request.end();
  }

  #take(message: IncomingMessage): void {
    this.#answered = true;
    this.#callOff();
    const { url, range, mostBytes, withinMs } = this.#wanted;
    const status = message.statusCode ?? 0;
    const next = redirectOf(message, url);
    const refused = refusalOf(status, this.#place, this.#wanted.step);
    const instead = next ?? refused;
    if (instead !== undefined) {
      // A short body leaves the connection of use; behind a long one the next request waits, and runs out of time.
      message.on("error", () => {});
      message.resume();
      this.#settle(instead);
      return;
    }
    const head: HttpHead = { status, encoding: message.headers["content-encoding"], url };
    let skip = range !== undefined && status === 200 ? range.from : 0;
    message.on("data", (chunk: Buffer) => {
      this.#heardAt = this.#session.clock.now();
      this.#bytes += chunk.length;
      if (this.#bytes > mostBytes + (range?.from ?? 0)) return this.#fail(this.#tooLarge(mostBytes));
      const wantedPart = chunk.subarray(Math.min(skip, chunk.length));
      skip = Math.max(0, skip - chunk.length);
      this.#guarded(() => this.#wanted.data(wantedPart));
    });
    message.once("end", () => {
      if (message.complete) this.#settle(head);
    });
    message.on("error", (cause) => this.#fail(this.#failureOf(cause)));
    message.once("close", () => this.#fail(this.#hungUp("closed")));
    if (withinMs !== undefined) this.#watch();
    this.#guarded(() => this.#wanted.head?.(head));
  }

  /** A body must not stand still for longer than an answer may take. */
  #watch(): void {
    const { clock, answerMs } = this.#session;
    this.#heardAt = clock.now();
    const look = (): void => {
      const left = answerMs - (clock.now() - this.#heardAt);
      if (left <= 0) this.#fail(this.#late(answerMs));
      else this.#callOff = clock.after(left, look);
    };
    this.#callOff = clock.after(answerMs, look);
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (cause) {
      this.#fail(cause);
    }
  }

  /** Once, and the connection may serve again. */
  #settle(outcome: HttpHead | URL | Failure): void {
    if (this.#over) return;
    this.#over = true;
    if (outcome instanceof Failure) this.#done.reject(outcome);
    else this.#done.resolve(outcome);
  }

  /** Once, and the connection is gone. */
  #fail(cause: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#done.reject(cause);
    this.#request?.destroy();
  }

  get #place(): string {
    return this.#wanted.url.host;
  }

  #failureOf(cause: unknown): Failure {
    if (cause instanceof Failure) return cause;
    const reason = reasonOf(cause);
    if (!reason.startsWith("HPE_")) return this.#hungUp(reason);
    const facts = { place: this.#place, what: reason };
    return new Failure("STREAM_PROTOCOL", `what ${this.#place} answers is no HTTP: ${reason}`, { facts, cause });
  }

  #hungUp(how: string): Failure {
    const facts = { place: this.#place, step: this.#wanted.step, how };
    return new Failure("STREAM_ENDED", `${this.#place} hung up during its ${this.#wanted.step}: ${how}`, { facts });
  }

  #late(ms: number): Failure {
    const { step } = this.#wanted;
    const facts = { place: this.#place, step, ms };
    return new Failure("STREAM_TIMEOUT", `${this.#place} did not bring its ${step} within ${ms} ms`, { facts });
  }

  #tooLarge(bytes: number): Failure {
    const { step } = this.#wanted;
    const facts = { place: this.#place, step, bytes };
    return new Failure("STREAM_PROTOCOL", `${this.#place} sends a ${step} of more than ${bytes} bytes`, { facts });
  }
}

function redirectOf({ statusCode = 0, headers: { location } }: IncomingMessage, from: URL): URL | undefined {
  if (statusCode < 300 || statusCode > 399 || location === undefined || !URL.canParse(location, from.href))
    return undefined;
  return new URL(location, from);
}

function refusalOf(status: number, place: string, step: string): Failure | undefined {
  const facts = { place, status, step };
  if (status === 401 || status === 403)
    return new Failure("STREAM_AUTH", `${place} does not let us have its ${step}: status ${status}`, { facts });
  if (status !== 200 && status !== 206)
    return new Failure("STREAM_STATUS", `${place} answers with status ${status} for its ${step}`, { facts });
  return undefined;
}
