import { randomBytes } from "node:crypto";
import { Failure } from "../../../../protocol/failure.ts";
import type { Credentials } from "../media.ts";
import { authorization, type Challenge, strongestOf } from "./auth.ts";
import type { Reply } from "./message.ts";
import type { Ask, Signalling } from "./signalling.ts";

/** How we have shown who we are. */
interface Login {
  challenge: Challenge;
  credentials: Credentials;
  count: number;
  /** The server has taken it once: another 401 is about the nonce and not the password. */
  isProven: boolean;
}

/**
 * Asks with user and password where the server wants them. A challenge is answered once; a nonce that it calls stale, or that
 * has worked before, once more. A second 401 is the end: encoders lock accounts after some.
 */
export class Asker {
  readonly #signalling: Signalling;
  readonly #credentials: (() => Promise<Credentials>) | undefined;
  readonly #signal: AbortSignal;
  #login: Login | undefined;

  constructor(signalling: Signalling, credentials: (() => Promise<Credentials>) | undefined, signal: AbortSignal) {
    this.#signalling = signalling;
    this.#signal = signal;
    this.#credentials = credentials;
  }

  /**
   * Resolves with the answer, whatever its status but 401 and 403. Rejects with Failure STREAM_AUTH, with those of
   * `Signalling.ask`, with what `credentials` throws, or with the signal's reason: nothing is asked after that.
   */
  async ask(ask: Ask): Promise<Reply> {
    let answers = this.#login === undefined || this.#login.isProven ? 1 : 0;
    let stales = 1;
    for (;;) {
      this.#signal.throwIfAborted();
      const reply = await this.#signalling.ask(this.#authorised(ask));
      if (reply.status < 300 && this.#login !== undefined) this.#login.isProven = true;
      if (reply.status === 403) throw refused(403, "the server forbids this user the stream");
      if (reply.status !== 401) return reply;
      const challenge = strongestOf(reply.headers.get("www-authenticate") ?? []);
      if (challenge === undefined) throw refused(401, "the server wants a kind of login we do not know");
      if (this.#credentials === undefined) throw refused(401, "the server wants user and password, none is configured");
      const before = this.#login?.challenge.scheme;
      // or somebody in the middle could have the password out of a session that began well
      if (before === "digest" && challenge.scheme === "basic")
        throw this.#refused("the server now wants the password as it is");
      if (answers > 0) answers -= 1;
      else if (challenge.scheme === "digest" && challenge.stale && stales > 0) stales -= 1;
      else throw this.#refused("the server refuses user or password");
      const credentials = await Promise.race([this.#credentials(), this.#signalling.ended]);
      this.#login = { challenge, credentials, count: 0, isProven: false };
    }
  }

  /** Says the last thing; resolves when it has been heard, or can no longer be. */
  async farewell(ask: Ask): Promise<void> {
    const reply = await this.#signalling.farewell(this.#authorised(ask));
    if (reply?.status !== 401 || this.#login?.isProven !== true) return;
    const challenge = strongestOf(reply.headers.get("www-authenticate") ?? []); // the nonce was too old: once more
    if (challenge?.scheme !== "digest") return;
    this.#login = { ...this.#login, challenge, count: 0 };
    await this.#signalling.farewell(this.#authorised(ask));
  }

  /** The farewell is said without what was refused: each time it is told counts as another attempt. */
  #refused(says: string): Failure {
    this.#login = undefined;
    return refused(401, says);
  }

  #authorised(ask: Ask): Ask {
    const login = this.#login;
    if (login === undefined) return ask;
    login.count += 1;
    const { method, uri, headers } = ask;
    const asked = { method, uri, count: login.count, cnonce: randomBytes(8).toString("hex") };
    const Authorization = authorization(login.challenge, login.credentials, asked);
    return { ...ask, headers: { ...headers, Authorization } };
  }
}

const refused = (status: number, says: string): Failure => new Failure("STREAM_AUTH", says, { facts: { status } });
