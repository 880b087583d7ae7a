import { Agent, type ClientRequest, type IncomingMessage, request as startRequest } from "node:http";
import { Duplex } from "node:stream";
import { type Place, reasonOf } from "../../../../platform/dial.ts";
import { dialKept } from "../../../../platform/dial-kept.ts";
import { readSmallFile } from "../../../../platform/small-file.ts";
import { Failure } from "../../../../protocol/failure.ts";
import type { Credentials, Session } from "../media.ts";
import type { ByteRange } from "./playlist.ts";

/** Where an HTTP stream is had from. */
export interface HttpSource {
  /** `http://` or `https://`, without user name and password. */
  url: string;
  /** PEM of the authorities to trust; without, those that Node carries. */
  caFile?: string | undefined;
  /** Basic (RFC 7617); sent to the host and port of `url` only. */
  credentials?: Credentials | undefined;
}

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
const MOST_CA_BYTES = 1 << 20;
const MOST_REDIRECTS = 3;

/**
 * Has things from one host over connections that are kept, one for each of its ports. Nothing is ever asked of another
 * host, and what is begun with TLS does not go on without.
 */
export class HttpHost {
  readonly #source: HttpSource;
  readonly #first: URL;
  readonly #session: Session;
  readonly #agents = new Map<string, Agent>();
  #told = false;

  constructor(source: HttpSource, session: Session) {
    this.#source = source;
    this.#first = new URL(source.url);
    this.#session = session;
  }

  /** Whether `url` is one we may ask. */
  allows(url: URL): boolean {
    return (
      url.hostname === this.#first.hostname &&
      (url.protocol === "https:" || (url.protocol === "http:" && this.#first.protocol === "http:"))
    );
  }

  /**
   * Resolves when all of it has come. Rejects with Failure DIAL_*, STREAM_TIMEOUT (no head within the session's answerMs,
   * no byte within it, or not all `withinMs`), STREAM_AUTH, STREAM_STATUS, STREAM_PROTOCOL or STREAM_ENDED (hung up before the end);
   * with the reason of the session's signal when that aborts first.
   */
  async get(wanted: Wanted): Promise<HttpHead> {
    for (let redirects = 0, url = wanted.url; ; redirects += 1) {
      if (!this.allows(url)) throw this.#elsewhere(url);
      const answer = await this.#once({ ...wanted, url });
      if (!(answer instanceof URL)) return answer;
      if (redirects >= MOST_REDIRECTS) {
        const facts = { place: this.#first.host, to: answer.host };
        throw new Failure("DIAL_REDIRECT", `${this.#first.host} redirects more than ${MOST_REDIRECTS} times`, {
          facts,
        });
      }
      url = answer;
    }
  }

  /** Ends every connection. */
  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }

  #elsewhere(to: URL): Failure {
    const place = this.#first.host;
    return new Failure("DIAL_REDIRECT", `${place} leads to ${to.protocol}//${to.host}`, {
      facts: { place, to: to.host },
    });
  }

  /** A kept connection may have been closed by the other side while our request was on its way: once more on a new one. */
  async #once(wanted: Wanted): Promise<HttpHead | URL> {
    const first = new Exchange(wanted, this.#session);
    try {
      return await first.run(this.#headers(wanted), this.#agentOf(wanted.url));
    } catch (cause) {
      if (!first.wasStale) throw cause;
      return await new Exchange(wanted, this.#session).run(this.#headers(wanted), this.#agentOf(wanted.url));
    }
  }

  #headers({ url, range }: Wanted): Record<string, string> {
    const { credentials } = this.#source;
    const mayLogIn = credentials !== undefined && url.origin === this.#first.origin;
    const login = mayLogIn ? `${credentials.user}:${credentials.password}` : "";
    return {
      host: url.host,
      "user-agent": "vigil-agent",
      accept: "*/*",
      "accept-encoding": "identity",
      connection: "keep-alive",
      ...(mayLogIn ? { authorization: `Basic ${Buffer.from(login).toString("base64")}` } : {}),
      ...(range === undefined ? {} : { range: `bytes=${range.from}-${range.from + range.bytes - 1}` }),
    };
  }

  #agentOf(url: URL): Agent {
    const known = this.#agents.get(url.origin);
    if (known !== undefined) return known;
    const agent = new Agent({ keepAlive: true, maxSockets: 1, maxFreeSockets: 1 });
    agent.createConnection = (_options, callback) => {
      this.#connect(url).then(
        (socket) => callback?.(null, socket),
        (cause: unknown) => callback?.(cause instanceof Error ? cause : new Error(String(cause)), new Duplex()),
      );
      return undefined;
    };
    this.#agents.set(url.origin, agent);
    return agent;
  }

  async #connect(url: URL): Promise<Duplex> {
    const { clock, signal, connectMs, names, sink } = this.#session;
    const { caFile } = this.#source;
    const isSecure = url.protocol === "https:";
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const to: Place = { host, port: Number(url.port) || (isSecure ? 443 : 80) };
    const ca = caFile === undefined ? {} : { ca: await readSmallFile(caFile, { mostBytes: MOST_CA_BYTES }) };
    const dial = { clock, signal, deadlineMs: connectMs, ...(names === undefined ? {} : { names }) };
    const { socket, ms } = await dialKept(to, isSecure ? ca : undefined, dial);
    if (!this.#told) sink.step("connected", ms);
    this.#told = true;
    return socket;
  }
}

/** One request and its answer. */
class Exchange {
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
