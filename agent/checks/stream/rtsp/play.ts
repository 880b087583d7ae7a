import { type Place, placeName } from "../../../../platform/dial.ts";
import { dialKept, type Kept } from "../../../../platform/dial-kept.ts";
import { Inflow } from "../../../../platform/inflow.ts";
import { readSmallFile } from "../../../../platform/small-file.ts";
import { Failure } from "../../../../protocol/failure.ts";
import type { Credentials, Session, Step } from "../media.ts";
import { Asker } from "./asker.ts";
import { Lanes } from "./lanes.ts";
import { headerOf, type Reply } from "./message.ts";
import { controlUrl, parseSdp, rtspUrl, type Sdp } from "./sdp.ts";
import { type Carrier, type PlayedTrack, setUp, statusFailure } from "./set-up.ts";
import { Signalling } from "./signalling.ts";
import { keepUp } from "./upkeep.ts";

export interface RtspOptions {
  /** `rtsp:` or `rtsps:`, without user name and password. */
  url: string;
  /** Asked only when the server wants them. */
  credentials?: () => Promise<Credentials>;
  /** `auto`: over the RTSP connection, where the server refuses that over UDP. */
  transport: "auto" | "tcp" | "udp";
  /** PEM of the authorities to trust for `rtsps:`; without, those that Node carries. */
  caFile?: string;
  userAgent?: string;
}

/** A server answers DESCRIBE of a stream that nobody plays with its first keyframe: a GOP of 10 s is no fault. */
const KEYFRAME_MS = 10_000;
/** For the farewell. */
const LEAVE_MS = 500;
const PORTS: Readonly<Record<string, number>> = { "rtsp:": 554, "rtsps:": 322 };
const MOST_CA_BYTES = 1 << 20;

/** Plays a stream over RTSP/1.0 (RFC 2326) as the contract `Play` says. */
export async function playRtsp(options: RtspOptions, session: Session): Promise<void> {
  const { signal } = session;
  if (signal.aborted) return;
  try {
    const url = new URL(options.url);
    const uri = rtspUrl(url.href.replace(/#.*$/s, ""));
    const begun = session.clock.now();
    const kept = await connect(url, options, session);
    session.sink.step("connected", session.clock.now() - begun);
    await new Conversation(uri, placeName(placeOf(url)), options, session, kept).play();
  } catch (cause) {
    if (!signal.aborted) throw cause;
  }
}

const placeOf = (url: URL): Place => ({
  host: url.hostname.replace(/^\[|\]$/g, ""),
  port: Number(url.port) || (PORTS[url.protocol] ?? 0),
});

async function connect(url: URL, { caFile }: RtspOptions, session: Session): Promise<Kept & { inflow: Inflow }> {
  const { clock, signal, connectMs: deadlineMs, names } = session;
  const ca = caFile === undefined ? undefined : await readSmallFile(caFile, { mostBytes: MOST_CA_BYTES });
  const dial = { clock, signal, deadlineMs, ...(names === undefined ? {} : { names }) };
  const inflow = new Inflow();
  const kept = await dialKept(placeOf(url), url.protocol === "rtsps:" ? { ca } : undefined, dial, inflow.begin);
  return { ...kept, inflow };
}

/** One session from OPTIONS to TEARDOWN. */
class Conversation {
  readonly #url: string;
  readonly #place: string;
  readonly #options: RtspOptions;
  readonly #session: Session;
  readonly #kept: Kept & { inflow: Inflow };
  readonly #lanes = new Lanes();
  readonly #signalling: Signalling;
  readonly #asker: Asker;
  readonly #played: PlayedTrack[] = [];
  /** Nothing is begun any more. */
  readonly #ending = new AbortController();
  readonly #over = Promise.withResolvers<never>();
  /** What PLAY and TEARDOWN are said about. */
  #aggregate: string;
  #stopUpkeep: (() => void) | undefined;

  constructor(url: string, place: string, options: RtspOptions, session: Session, kept: Kept & { inflow: Inflow }) {
    this.#url = url;
    this.#aggregate = url;
    this.#place = place;
    this.#options = options;
    this.#session = session;
    this.#kept = kept;
    const { userAgent = "vigil-agent", credentials } = options;
    this.#signalling = new Signalling(kept, session.clock, userAgent, (channel, bytes, from, to, at) =>
      this.#lanes.hear(channel, bytes, from, to, at),
    );
    this.#asker = new Asker(this.#signalling, credentials, this.#ending.signal);
    this.#over.promise.catch(() => {});
  }

  /** Resolves never; rejects with what ended it, when the server has been told and nothing of it goes on. */
  async play(): Promise<never> {
    const { signal, clock } = this.#session;
    const stop = (): void => this.#end(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    const begun = this.#begin().catch((cause: unknown) => this.#end(cause));
    try {
      return await Promise.race([this.#over.promise, this.#signalling.ended, this.#lanes.ended]);
    } finally {
      signal.removeEventListener("abort", stop);
      this.#ending.abort();
      await this.#leave();
      await begun; // an answer that came with the end may still have set something going
      this.#stopUpkeep?.();
      for (const one of this.#played) one.close();
      this.#lanes.close(clock.now());
    }
  }

  #end(cause: unknown): void {
    this.#ending.abort(cause);
    this.#over.reject(cause);
  }

  async #begin(): Promise<void> {
    const methods = await this.#greet();
    const described = await this.#describe();
    await this.#setUp(described);
    await this.#start();
    this.#gather(this.#session.gatherMs ?? 0);
    this.#stopUpkeep = keepUp({
      clock: this.#session.clock,
      played: this.#played,
      methods,
      timeoutMs: this.#signalling.session?.timeoutMs ?? 60_000,
      ask: (method) => this.#ask(method, this.#aggregate, "keep-alive"),
      unanswered: () => this.#session.sink.odd(0, "keep-alive unanswered"),
      end: (cause) => this.#end(cause),
    });
  }

  /** What it says it knows. A server may well refuse OPTIONS and play. */
  async #greet(): Promise<string | undefined> {
    const reply = await this.#timed("greeted", () => this.#ask("OPTIONS", this.#url, "greeted"));
    return reply.status < 300 ? headerOf(reply, "public") : undefined;
  }

  /** One DESCRIBE at a time for each server, where the session says so. */
  async #describe(): Promise<{ sdp: Sdp; base: string }> {
    const { turn, answerMs } = this.#session;
    const giveBack = await turn?.(this.#place, this.#ending.signal);
    try {
      const headers = { Accept: "application/sdp" };
      const waitMs = answerMs + KEYFRAME_MS;
      const reply = await this.#timed("described", async () =>
        taken("DESCRIBE", await this.#ask("DESCRIBE", this.#url, "described", headers, waitMs)),
      );
      const sdp = parseSdp(reply.body);
      if (sdp.media.length === 0) {
        const says = `nothing in the stream can be played over RTP; it offers: ${sdp.others || "nothing"}`;
        throw new Failure("STREAM_UNSUPPORTED", says, { facts: { offers: sdp.others } });
      }
      const base = headerOf(reply, "content-base") ?? headerOf(reply, "content-location");
      return { sdp, base: base === undefined || base === "" ? this.#url : controlUrl(this.#url, base) };
    } finally {
      giveBack?.();
    }
  }

  async #setUp({ sdp, base }: { sdp: Sdp; base: string }): Promise<void> {
    const { transport } = this.#options;
    // what someone has put under TLS does not go over the line in clear because we could not play it otherwise
    const auto: readonly Carrier[] = /^rtsps:/i.test(this.#url) ? ["tcp"] : ["tcp", "udp"];
    const { socket, address } = this.#kept;
    const root = controlUrl(base, sdp.control);
    this.#aggregate = root;
    const order = {
      ask: (uri: string, Transport: string) => this.#ask("SETUP", uri, "set-up", { Transport }),
      send: (channel: number, packet: Uint8Array) => this.#signalling.send(channel, packet),
      base: root,
      media: sdp.media,
      carriers: transport === "auto" ? auto : [transport],
      local: socket.localAddress ?? "",
      peer: address,
      lanes: this.#lanes,
      session: this.#session,
    };
    await this.#timed("set-up", () => setUp(order, this.#played));
    if (this.#signalling.session === undefined)
      throw new Failure("STREAM_PROTOCOL", "the server set the stream up without naming a session");
  }

  async #start(): Promise<void> {
    const headers = { Range: "npt=0.000-" };
    await this.#timed("playing", async () =>
      taken("PLAY", await this.#ask("PLAY", this.#aggregate, "playing", headers)),
    );
  }

  async #timed<T>(step: Step, work: () => Promise<T>): Promise<T> {
    const { clock, sink } = this.#session;
    const begun = clock.now();
    const result = await work();
    sink.step(step, clock.now() - begun);
    return result;
  }

  async #ask(
    method: string,
    uri: string,
    step: string,
    headers: Readonly<Record<string, string>> = {},
    waitMs = this.#session.answerMs,
  ): Promise<Reply> {
    const reply = await this.#asker.ask({ method, uri, headers, step, waitMs });
    this.#ending.signal.throwIfAborted();
    return reply;
  }

  #gather(ms: number): void {
    this.#kept.inflow.gather(this.#session.clock, ms);
  }

  /** Tells the server, so that no session is left standing there, and hangs up. Takes half a second at most. */
  async #leave(): Promise<void> {
    const { clock } = this.#session;
    this.#gather(0); // its answer is owed within half a second
    const patience = new AbortController();
    const enough = clock.sleep(LEAVE_MS, patience.signal).catch(() => {});
    try {
      await Promise.race([this.#signalling.settled("SETUP"), enough]);
      if (this.#signalling.session !== undefined) {
        const teardown = { method: "TEARDOWN", uri: this.#aggregate, step: "left", waitMs: LEAVE_MS };
        await Promise.race([this.#asker.farewell(teardown), enough]);
      }
    } finally {
      patience.abort();
      this.#signalling.close();
    }
  }
}

function taken(method: string, reply: Reply): Reply {
  if (reply.status >= 300) throw statusFailure(method, reply);
  return reply;
}
