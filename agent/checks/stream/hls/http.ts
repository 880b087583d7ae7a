import { Agent } from "node:http";
import { Duplex } from "node:stream";
import type { Place } from "../../../../platform/dial.ts";
import { dialKept } from "../../../../platform/dial-kept.ts";
import { readSmallFile } from "../../../../platform/small-file.ts";
import { Failure } from "../../../../protocol/failure.ts";
import type { Credentials, Session } from "../media.ts";
import { Exchange, type HttpHead, type Wanted } from "./exchange.ts";

/** Where an HTTP stream is had from. */
export interface HttpSource {
  /** `http://` or `https://`, without user name and password. */
  url: string;
  /** PEM of the authorities to trust; without, those that Node carries. */
  caFile?: string | undefined;
  /** Basic (RFC 7617); asked once for each session, sent to the host and port of `url` only. */
  credentials?: (() => Promise<Credentials>) | undefined;
}

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
  #authorization: string | undefined;

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
      return await first.run(await this.#headers(wanted), this.#agentOf(wanted.url));
    } catch (cause) {
      if (!first.wasStale) throw cause;
      return await new Exchange(wanted, this.#session).run(await this.#headers(wanted), this.#agentOf(wanted.url));
    }
  }

  async #headers({ url, range }: Wanted): Promise<Record<string, string>> {
    const login = url.origin === this.#first.origin ? await this.#login() : undefined;
    return {
      host: url.host,
      "user-agent": "vigil-agent",
      accept: "*/*",
      "accept-encoding": "identity",
      connection: "keep-alive",
      ...(login === undefined ? {} : { authorization: login }),
      ...(range === undefined ? {} : { range: `bytes=${range.from}-${range.from + range.bytes - 1}` }),
    };
  }

  async #login(): Promise<string | undefined> {
    if (this.#authorization !== undefined || this.#source.credentials === undefined) return this.#authorization;
    const { user, password } = await this.#source.credentials();
    this.#authorization = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
    return this.#authorization;
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
