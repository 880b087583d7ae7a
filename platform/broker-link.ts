import type { Failure } from "../protocol/failure.ts";

/** A message to the broker. `expiryS` is MQTT 5 message expiry; content type is always JSON. */
export interface Outgoing {
  topic: string;
  payload: string;
  qos: 0 | 1;
  retain?: boolean;
  expiryS?: number;
}

/** A message from the broker; `retained` is set when it was kept from before our subscription, not said just now. */
export interface Incoming {
  topic: string;
  payload: Uint8Array;
  retained: boolean;
  qos: 0 | 1;
}

/** One broker of the list. With `tls` the link is MQTTS, the peer always verified; files are read at each connection, so renewed certificates count. */
export interface Broker {
  host: string;
  port: number;
  tls?:
    | { caFile: string; certFile?: string | undefined; keyFile?: string | undefined; servername?: string | undefined }
    | undefined;
}

export interface LinkOptions {
  /** Tried in order, then from the first again, with a growing, jittered pause after each failure. */
  brokers: readonly [Broker, ...Broker[]];
  clientId: string;
  username?: string;
  /** Read at each connection; must be 0600. */
  passwordFile?: string;
  subscriptions: readonly string[];
  keepaliveS: number;
  /** MQTT 5 session expiry, seconds; at least the will delay. */
  sessionExpiryS: number;
  /** Messages the broker may have under way to us: back-pressure. */
  receiveMaximum: number;
  /** The will of connection number `link` (from 1), published by the broker `delayS` after we vanish. */
  will(link: number): Outgoing & { delayS: number };
  /** Pause after the first failed try, and the longest one, milliseconds. */
  backoff?: { firstMs: number; mostMs: number };
}

/** What the link tells its owner. All are called in order; none may throw. */
export interface LinkEvents {
  /** Connected and subscribed: connection number `link` of this process; grows with each try, so numbers may be missing. */
  up(link: number): void;
  /** The connection ended or could not be made; said once per change of reason, not per try. */
  down(failure: Failure): void;
  /**
   * A message. No further one is given before the promise settles, also not by the next connection: back-pressure to
   * the broker, since the PUBACK of a QoS 1 message leaves only then. QoS 0 messages that pile up beyond 4 MiB are
   * dropped. The handler may publish and wait for it; a promise that rejects counts as taken and is logged.
   */
  message(message: Incoming): void | Promise<void>;
}

/** The way to the broker: connects, reconnects for ever, publishes; keeps nothing (the outbox does). */
export interface BrokerLink extends AsyncDisposable {
  readonly up: boolean;
  /**
   * The broker's answer to the last ping of this connection, milliseconds; there is one each keepalive period, whatever
   * else is said. Undefined before the first, and where the link cannot tell.
   */
  readonly rttMs?: number | undefined;
  /**
   * QoS 1: resolves when the broker has taken it (PUBACK); QoS 0: when written.
   * Rejects with Failure LINK_DOWN (not connected, or the connection ended first), LINK_DENIED (reason 135) or
   * LINK_UNHEARD (reason 16, also for a retained message, which then is kept nevertheless); LINK_REFUSED for a reason
   * that may pass (quota), MESSAGE_TOO_LARGE beyond the broker's packet size. Never retries by itself.
   */
  publish(message: Outgoing): Promise<void>;
  /** Says goodbye without the will being published (publish the last words before). Also what disposal does. */
  close(): Promise<void>;
}

export type OpenLink = (options: LinkOptions, events: LinkEvents) => BrokerLink;

/** What the link to the broker knows. */
export interface LinkFacts {
  up: boolean;
  /** The broker's answer to the last ping, milliseconds. */
  rttMs?: number;
  /** Our wall clock minus the aggregator's, milliseconds, and when that was heard (monotonic). */
  skew?: { ms: number; at: number };
}
