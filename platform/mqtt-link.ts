import { Failure } from "../protocol/failure.ts";
import { BACKOFF, pauseMs, SETTLED_MS } from "./backoff.ts";
import type { BrokerLink, LinkEvents, LinkOptions, OpenLink, Outgoing } from "./broker-link.ts";
import type { Clock } from "./clock.ts";
import { IncomingQueue } from "./incoming-queue.ts";
import { readLinkFiles } from "./link-files.ts";
import type { Logger } from "./log.ts";
import { type Ending, MqttConnection, notConnected } from "./mqtt-connection.ts";

/** From dialling to the confirmed subscription. */
const CONNECT_MS = 10_000;
/** The longest a goodbye may take. */
const GOODBYE_MS = 1000;
/** Drops are told at most this often. */
const DROPS_TOLD_MS = 60_000;

export interface LinkParts {
  clock: Clock;
  /** In [0, 1). */
  random(): number;
  log: Logger;
}

/** The real way to a broker: MQTT 5 over TCP or TLS. Import platform/small-buffers.ts before this file. */
export function openMqttLink(parts: LinkParts): OpenLink {
  return (options, events) => new MqttLink(parts, options, events);
}

class MqttLink implements BrokerLink {
  readonly #parts: LinkParts;
  readonly #options: LinkOptions;
  readonly #events: LinkEvents;
  readonly #incoming: IncomingQueue;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #connection: MqttConnection | undefined;
  #links = 0;
  #dropped = 0;
  #dropsQuietUntil = 0;
  /** Reasons already told since the last good connection. */
  readonly #told = new Set<string>();

  constructor(parts: LinkParts, options: LinkOptions, events: LinkEvents) {
    this.#parts = parts;
    this.#options = options;
    this.#events = events;
    this.#incoming = new IncomingQueue(
      (message) => events.message(message),
      (cause, { topic }) => parts.log.error({ event: "link.message_failed", topic, cause: String(cause) }, "not taken"),
    );
    this.#running = this.#run();
  }

  get up(): boolean {
    return this.#connection?.up ?? false;
  }

  get rttMs(): number | undefined {
    return this.#connection?.rttMs;
  }

  publish(message: Outgoing): Promise<void> {
    return this.#connection?.publish(message) ?? Promise.reject(notConnected());
  }

  async close(): Promise<void> {
    if (!this.#closing.signal.aborted) {
      this.#closing.abort();
      this.#connection?.leave();
      const done = new AbortController();
      const late = this.#parts.clock.sleep(GOODBYE_MS, done.signal).then(
        () => this.#connection?.end({ failure: notConnected(), stubborn: false }),
        () => {},
      );
      await this.#running;
      done.abort();
      await late;
    }
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#parts;
    const limits = this.#options.backoff ?? BACKOFF;
    const { signal } = this.#closing;
    for (let failures = 0, next = 0; !signal.aborted; ) {
      const broker = this.#options.brokers[next % this.#options.brokers.length] ?? this.#options.brokers[0];
      let upSince: number | undefined;
      const {
        failure,
        stubborn,
        useless = false,
      } = await this.#connect(broker, () => {
        upSince = clock.now();
      });
      if (signal.aborted) return;
      this.#tell(failure);
      const settled = !useless && upSince !== undefined && clock.now() - upSince >= SETTLED_MS;
      next = settled ? 0 : next + 1;
      failures = settled ? 1 : failures + 1;
      await clock.sleep(pauseMs(failures, limits, random(), stubborn), signal).catch(() => {});
    }
  }

  /** One connection, from the files it needs to its end. */
  async #connect(broker: LinkOptions["brokers"][0], established: () => void): Promise<Ending> {
    let files: Awaited<ReturnType<typeof readLinkFiles>>;
    try {
      files = await readLinkFiles(broker.tls, this.#options.passwordFile);
    } catch (failure) {
      if (failure instanceof Failure) return { failure, stubborn: false };
      throw failure;
    }
    const inTime = new AbortController();
    const ending = await new Promise<Ending>((ended) => {
      if (this.#closing.signal.aborted) return ended({ failure: notConnected(), stubborn: false });
      this.#links += 1;
      const link = this.#links;
      const connection = new MqttConnection({
        broker,
        files,
        clock: this.#parts.clock,
        options: this.#options,
        link,
        incoming: this.#incoming,
        dropped: () => this.#dropOne(),
        established: () => {
          inTime.abort();
          established();
          this.#established(broker, link);
        },
        ended,
      });
      this.#connection = connection;
      const late = () => connection.end({ failure: timedOut(broker), stubborn: false });
      this.#parts.clock.sleep(CONNECT_MS, inTime.signal).then(late, () => {});
    });
    inTime.abort();
    this.#connection = undefined;
    return ending;
  }

  #established({ host, port, tls }: LinkOptions["brokers"][0], link: number): void {
    this.#told.clear();
    this.#parts.log.info({ event: "link.up", host, port, tls: tls !== undefined, link }, "connected");
    this.#events.up(link);
  }

  #dropOne(): void {
    const { log, clock } = this.#parts;
    this.#dropped += 1;
    if (clock.now() < this.#dropsQuietUntil) return;
    this.#dropsQuietUntil = clock.now() + DROPS_TOLD_MS;
    log.warn({ event: "link.dropped", dropped: this.#dropped }, "telemetry dropped: messages come faster than handled");
  }

  #tell(failure: Failure): void {
    const reason = `${failure.code} ${failure.facts.host}:${failure.facts.port} ${failure.facts.reason}`;
    if (this.#told.has(reason)) return;
    this.#told.add(reason);
    this.#parts.log.warn({ event: "link.down", code: failure.code, ...failure.facts }, failure.message);
    this.#events.down(failure);
  }
}

const timedOut = ({ host, port }: LinkOptions["brokers"][0]): Failure =>
  new Failure("LINK_DOWN", `${host}:${port} does not answer`, { facts: { host, port, reason: "no-answer" } });
