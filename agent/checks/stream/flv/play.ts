import { type IncomingMessage, request as startRequest } from "node:http";
import type { Duplex } from "node:stream";
import { type Place, reasonOf } from "../../../../platform/dial.ts";
import { Inflow } from "../../../../platform/inflow.ts";
import { duplexOf } from "../../../../platform/inflow-duplex.ts";
import { readSmallFile } from "../../../../platform/small-file.ts";
import { Failure } from "../../../../protocol/failure.ts";
import type { Session } from "../media.ts";
import { connectFor } from "../session-line.ts";
import { FlvMedia } from "./media.ts";
import { FlvTags } from "./tags.ts";

export interface FlvOptions {
  /** `http://` or `https://`, without user name and password. */
  url: string;
  /** PEM of the authorities to trust; without, those that Node carries. */
  caFile?: string | undefined;
}

const MOST_HEADER_BYTES = 16_384;
const MOST_CA_BYTES = 1 << 20;

/**
 * Plays an FLV that a server sends without end as the body of an HTTP/1.1 answer; see `Play`. Redirects are not followed:
 * STREAM_STATUS with the status.
 */
export async function playFlv({ url, caFile }: FlvOptions, session: Session): Promise<void> {
  const { signal } = session;
  if (signal.aborted) return;
  try {
    const parsed = new URL(url);
    const secure = parsed.protocol === "https:";
    const host = parsed.hostname.replace(/^\[|\]$/g, "");
    const to: Place = { host, port: Number(parsed.port) || (secure ? 443 : 80) };
    const ca = caFile === undefined ? {} : { ca: await readSmallFile(caFile, { mostBytes: MOST_CA_BYTES }) };
    const inflow = new Inflow();
    const socket = await connectFor(session, to, secure ? ca : undefined, inflow.begin);
    const gather = (): void => inflow.gather(session.clock, session.gatherMs ?? 0);
    await new FlvSession(parsed, duplexOf(socket, inflow), session, gather).ended;
  } catch (cause) {
    if (!signal.aborted) throw cause;
  }
}

/** One GET, from the open connection on. */
class FlvSession {
  readonly ended: Promise<void>;
  readonly #place: string;
  readonly #session: Session;
  readonly #tags: FlvTags;
  readonly #media: FlvMedia;
  readonly #socket: Duplex;
  readonly #gather: () => void;
  #callOff = (): void => {};
  #isOver = false;
  #settle: { resolve: () => void; reject: (cause: unknown) => void };

  /** `gather` begins to read it in batches. */
  constructor(url: URL, socket: Duplex, session: Session, gather: () => void) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#settle = { resolve, reject };
    this.#place = url.host;
    this.#session = session;
    this.#socket = socket;
    this.#gather = gather;
    this.#media = new FlvMedia(session.sink);
    this.#tags = new FlvTags(this.#media);
    session.signal.addEventListener("abort", this.#leave, { once: true });
    if (session.signal.aborted) this.#leave();
    else this.#ask(url, session);
  }

  #ask(url: URL, { clock, answerMs }: Session): void {
    const begun = clock.now();
    const late = new Failure("STREAM_TIMEOUT", `${this.#place} did not answer "GET" within ${answerMs} ms`, {
      facts: { place: this.#place, step: "GET", ms: answerMs },
    });
    this.#callOff = clock.after(answerMs, () => this.#fail(late));
    const request = startRequest({
      createConnection: () => this.#socket,
      path: url.pathname + url.search,
      setHost: false,
      setDefaultHeaders: false,
      headers: { host: url.host, "user-agent": "vigil-agent", accept: "*/*", connection: "close" },
      maxHeaderSize: MOST_HEADER_BYTES,
    });
    request.on("error", (cause) => this.#fail(this.#failureOf(cause)));
    request.once("close", () => this.#fail(this.#over("closed")));
    request.once("response", (message) => this.#answered(message, clock.now() - begun));
    request.end();
  }

  #answered(message: IncomingMessage, ms: number): void {
    this.#callOff();
    const failure = refusedBy(message.statusCode ?? 0, this.#place);
    if (failure !== undefined) {
      this.#fail(failure);
      return;
    }
    const { clock, sink } = this.#session;
    sink.step("greeted", ms);
    sink.step("playing", 0);
    this.#gather();
    message.on("data", (bytes: Buffer) => {
      if (this.#isOver) return; // of one read, the pieces of a chunked body still come
      const now = clock.now();
      try {
        this.#tags.push(bytes, 0, bytes.length, now);
        this.#media.flush(now);
      } catch (cause) {
        this.#fail(cause);
      }
    });
    message.once("end", () => this.#fail(this.#over("closed")));
    message.on("error", (cause) => this.#fail(this.#failureOf(cause)));
  }

  readonly #leave = (): void => this.#close(() => this.#settle.resolve());

  #fail(cause: unknown): void {
    this.#close(() => this.#settle.reject(cause));
  }

  #close(settle: () => void): void {
    this.#isOver = true;
    settle();
    this.#callOff();
    this.#session.signal.removeEventListener("abort", this.#leave);
    this.#socket.destroy();
  }

  #failureOf(cause: unknown): Failure {
    const reason = reasonOf(cause);
    if (!reason.startsWith("HPE_")) return this.#over(reason);
    const facts = { place: this.#place, what: reason };
    return new Failure("STREAM_PROTOCOL", `what ${this.#place} answers is no HTTP: ${reason}`, { facts, cause });
  }

  #over(how: string): Failure {
    const facts = { place: this.#place, how };
    return new Failure("STREAM_ENDED", `${this.#place} hung up: ${how}`, { facts });
  }
}

function refusedBy(status: number, place: string): Failure | undefined {
  const facts = { place, status };
  if (status === 401 || status === 403)
    return new Failure("STREAM_AUTH", `${place} does not let us in: status ${status}`, { facts });
  if (status !== 200) return new Failure("STREAM_STATUS", `${place} answers with status ${status}`, { facts });
  return undefined;
}
