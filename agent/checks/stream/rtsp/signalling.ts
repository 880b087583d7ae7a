import type { Socket } from "node:net";
import type { Clock } from "../../../../platform/clock.ts";
import { reasonOf } from "../../../../platform/dial.ts";
import type { Inflow } from "../../../../platform/inflow.ts";
import { Failure } from "../../../../protocol/failure.ts";
import { answerText, headerOf, type Message, type Reply, requestText, type ServerRequest } from "./message.ts";
import { RtspReader } from "./reader.ts";
import { sessionOf } from "./transport.ts";

/** One request, and how long its answer may take. */
export interface Ask {
  method: string;
  uri: string;
  headers?: Readonly<Record<string, string>>;
  waitMs: number;
  /** What a timeout calls it. */
  step: string;
}

/** Hears an interleaved packet, which lies in `bytes` from `from` up to `to`; `at` is when its last piece came. */
export type HearPacket = (channel: number, bytes: Buffer, from: number, to: number, at: number) => void;

/** An open connection, and what comes over it. */
interface Connection {
  socket: Socket;
  inflow: Inflow;
}

interface Waiting {
  method: string;
  promise: Promise<Reply>;
  resolve: (reply: Reply) => void;
  reject: (cause: unknown) => void;
  callOff: () => void;
}

/** What may wait in our memory for a server that does not read. */
const MOST_UNSENT = 65_536;

/**
 * The conversation on one RTSP connection: requests and their answers by CSeq, the server's own requests, interleaved
 * packets. Every way it can end is a Failure that `ended` rejects with; nothing throws out of the socket.
 */
export class Signalling {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #reader: RtspReader;
  readonly #hear: HearPacket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ended = Promise.withResolvers<never>();
  readonly #userAgent: string;
  #over: unknown;
  #cseq = 0;
  #at = 0;
  /** Set with the first answer that names one. */
  session: { id: string; timeoutMs: number } | undefined;

  constructor({ socket, inflow }: Connection, clock: Clock, userAgent: string, hear: HearPacket) {
    this.#socket = socket;
    this.#clock = clock;
    this.#userAgent = userAgent;
    this.#hear = hear;
    this.#ended.promise.catch(() => {}); // it also ends when nobody looks
    this.#reader = new RtspReader({
      message: (message) => this.#heard(message),
      packet: (channel, bytes, from, to) => {
        if (this.#over === undefined) this.#hear(channel, bytes, from, to, this.#at);
      },
    });
    let errno: string | undefined;
    socket.on("error", (cause) => {
      errno = reasonOf(cause);
    });
    socket.once("end", () => this.end(closed(errno)));
    socket.once("close", () => this.end(closed(errno)));
    inflow.hear(socket, (chunk) => this.#take(chunk));
  }

  /** Rejects once, with what ended the conversation. */
  get ended(): Promise<never> {
    return this.#ended.promise;
  }

  /** Ends it for this cause; the first one counts. Requests that wait are rejected with it. */
  end(cause: unknown): void {
    if (this.#over !== undefined) return;
    this.#over = cause;
    for (const { reject, callOff } of this.#waiting.values()) {
      callOff();
      reject(cause);
    }
    this.#waiting.clear();
    this.#ended.reject(cause);
  }

  /** Resolves with the answer, whatever its status. Rejects with Failure STREAM_TIMEOUT, or with what ended the conversation. */
  async ask({ method, uri, headers, waitMs, step }: Ask): Promise<Reply> {
    if (this.#over !== undefined) throw this.#over;
    this.#cseq += 1;
    const cseq = this.#cseq;
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const callOff = this.#clock.after(waitMs, () => {
      this.#waiting.delete(cseq);
      reject(this.#late(method, step, waitMs));
    });
    this.#waiting.set(cseq, { method, promise, resolve, reject, callOff });
    this.#say(method, uri, headers);
    return await promise;
  }

  #say(method: string, uri: string, headers: Ask["headers"]): void {
    const session: Record<string, string> = this.session === undefined ? {} : { Session: this.session.id };
    this.#socket.write(
      requestText(method, uri, { CSeq: String(this.#cseq), "User-Agent": this.#userAgent, ...session, ...headers }),
    );
  }

  /** Resolves when no answer to `method` is being waited for. */
  async settled(method: string): Promise<void> {
    const waiting = [...this.#waiting.values()].filter((one) => one.method === method);
    await Promise.allSettled(waiting.map(({ promise }) => promise));
  }

  /**
   * Says the last thing. Resolves with the answer; where we no longer understand the other side, when that has hung
   * up: a connection cut before would take what was said with it.
   */
  async farewell(ask: Ask): Promise<Reply | undefined> {
    if (this.#over === undefined) return await this.ask(ask).catch(() => undefined);
    if (this.#socket.destroyed || !this.#socket.writable) return undefined;
    this.#cseq += 1;
    this.#say(ask.method, ask.uri, ask.headers);
    const closed = new Promise<void>((resolve) => this.#socket.once("close", () => resolve()));
    this.#socket.end();
    await closed;
    return undefined;
  }

  /** Sends one interleaved packet, unless the other side has stopped reading. */
  send(channel: number, packet: Uint8Array): void {
    if (this.#over !== undefined || this.#socket.writableLength > MOST_UNSENT) return;
    const framed = Buffer.allocUnsafe(packet.length + 4);
    framed[0] = 0x24;
    framed[1] = channel;
    framed.writeUInt16BE(packet.length, 2);
    framed.set(packet, 4);
    this.#socket.write(framed);
  }

  /** Hangs up. */
  close(): void {
    this.end(new Failure("STREAM_ENDED", "the connection was ended by us", { facts: { how: "left" } }));
    this.#socket.end();
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    if (this.#over !== undefined) return;
    this.#at = this.#clock.now();
    try {
      this.#reader.push(chunk);
    } catch (cause) {
      const why = `what came could not be read: ${reasonOf(cause)}`;
      this.end(cause instanceof Failure ? cause : new Failure("STREAM_PROTOCOL", why, { cause }));
    }
  }

  #heard(message: Message): void {
    if (this.#over !== undefined) return;
    if (message.kind === "request") this.#answer(message);
    else if (message.status >= 200) this.#settle(message); // 1xx: the answer is still to come
  }

  #settle(reply: Reply): void {
    const said = headerOf(reply, "cseq");
    const cseq = said === undefined ? this.#waiting.keys().next().value : Number(said);
    const waiting = cseq === undefined ? undefined : this.#waiting.get(cseq);
    if (cseq === undefined || waiting === undefined) return; // too late: we have given it up
    this.#waiting.delete(cseq);
    waiting.callOff();
    if (waiting.method === "SETUP" && reply.status < 300) this.session ??= sessionOf(headerOf(reply, "session") ?? "");
    waiting.resolve(reply);
  }

  /** What a server may ask of a client (RFC 2326 §10): we are alive, we have no parameters, and we take no orders. */
  #answer(request: ServerRequest): void {
    const { method, body } = request;
    const cseq = headerOf(request, "cseq") ?? "0";
    if (this.#socket.writableLength > MOST_UNSENT) {
      this.end(new Failure("STREAM_PROTOCOL", "the server asks and asks, and does not read the answers"));
      return;
    }
    this.#socket.write(answerText(statusFor(method, body), cseq, { Public: "OPTIONS, GET_PARAMETER, SET_PARAMETER" }));
    if (method !== "TEARDOWN") return;
    this.end(new Failure("STREAM_ENDED", "the server ended the session", { facts: { how: "teardown" } }));
  }

  #late(method: string, step: string, waitMs: number): Failure {
    const { pending } = this.#reader;
    const facts = { step, waitMs };
    if (pending === undefined)
      return new Failure("STREAM_TIMEOUT", `no answer to ${method} within ${waitMs} ms`, { facts });
    const of = pending.announced === undefined ? "" : ` of ${pending.announced} announced`;
    const says = `the answer to ${method} broke off in its ${pending.of}: ${pending.bytes} bytes${of} within ${waitMs} ms`;
    return new Failure("STREAM_PROTOCOL", says, { facts });
  }
}

function closed(errno: string | undefined): Failure {
  const facts = errno === undefined ? { how: "closed" } : { how: "closed", errno };
  const why = errno === undefined ? "" : `: ${errno}`;
  return new Failure("STREAM_ENDED", `the server closed the connection${why}`, { facts });
}

function statusFor(method: string, body: string): string {
  if (method === "OPTIONS" || method === "TEARDOWN") return "200 OK";
  if (method !== "GET_PARAMETER" && method !== "SET_PARAMETER") return "501 Not Implemented";
  return body.trim() === "" ? "200 OK" : "451 Parameter Not Understood";
}
