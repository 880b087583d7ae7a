import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import {
  type IClientOptions,
  type IConnackPacket,
  type IPublishPacket,
  MqttClient,
  type Packet,
  type TimerVariant,
} from "mqtt";
import { Failure } from "../protocol/failure.ts";
import type { Broker, Incoming, LinkOptions, Outgoing } from "./broker-link.ts";
import type { Clock } from "./clock.ts";
import type { IncomingQueue } from "./incoming-queue.ts";
import type { LinkFiles } from "./link-files.ts";
import { brokenOff, deniedPublish, refused, unfit } from "./mqtt-reasons.ts";

/** How a connection ended; `stubborn` when only a person can mend it, so that trying again soon is useless. */
export interface Ending {
  failure: Failure;
  stubborn: boolean;
  /** However long it held, it was not a good one: the next broker of the list is asked. */
  useless?: true;
}

export interface ConnectionParts {
  broker: Broker;
  files: LinkFiles;
  clock: Clock;
  options: LinkOptions;
  /** Its number, for the will. */
  link: number;
  incoming: IncomingQueue;
  /** A QoS 0 message was dropped because its owner is too slow. */
  dropped(): void;
  /** Said once, when connected and subscribed. */
  established(): void;
  /** Said once, also when it never was established. */
  ended(ending: Ending): void;
}

/** No message of ours is larger; a broker that sends more is faulty, and would fill a small device's memory. */
const MOST_PACKET_BYTES = 300_000;
/** Messages under way to the broker when it names no limit of its own. */
const MOST_UNDER_WAY = 1000;
/** What may wait for the owner outside the window of `receiveMaximum`: beyond, telemetry (QoS 0) is dropped. */
const MOST_WAITING_BYTES = 4 * 1024 * 1024;
/** Larger than topic length, packet id and properties of any message of ours. */
const PACKET_ROOM = 64;
/** Looks so often whether the broker takes what it is given: after two looks without one answer it is left. */
const ANSWER_MS = 30_000;
const GOODBYE = Uint8Array.of(0xe0, 0);

interface Publishing {
  message: Outgoing;
  resolve(): void;
  reject(failure: Failure): void;
}

/**
 * One connection to one broker, from dialling to its end; never used again. mqtt.js speaks the protocol on it, with
 * four things in our hands: the socket; the moment of each PUBACK we send; how many messages are under way; and that
 * nothing is ever sent again behind the outbox's back.
 */
export class MqttConnection {
  readonly #parts: ConnectionParts;
  readonly #socket: Socket;
  readonly #client: MqttClient;
  #up = false;
  #over = false;
  readonly #underWay = new Set<Publishing>();
  #waiting: Publishing[] = [];
  #mostUnderWay = MOST_UNDER_WAY;
  #mostBytes = Number.POSITIVE_INFINITY;
  #pubackReason = 0;
  #unparsedBytes = 0;
  #holding = 0;
  #acks: number[] = [];
  #answers = 0;
  /** When the ping was sent that is not answered yet, monotonic ms. */
  #pingedAt: number | undefined;
  #rttMs: number | undefined;
  readonly #ended = new AbortController();

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#socket = dial(parts.broker, parts.files);
    this.#socket.on("error", (error) => this.end(brokenOff(parts.broker, error)));
    this.#socket.on("close", () => this.end(brokenOff(parts.broker)));
    this.#socket.on("data", (chunk: Buffer) => this.#count(chunk.length));
    this.#client = new MqttClient(() => this.#socket, clientOptions(parts));
    this.#client.handleMessage = (packet, callback) => this.#hold(packet, callback);
    this.#client.onKeepaliveTimeout = () => this.#silence();
    this.#client.on("packetsend", ({ cmd }) => {
      if (cmd === "pingreq") this.#pingedAt = parts.clock.now();
    });
    this.#client.on("packetreceive", (packet) => this.#received(packet));
    this.#client.on("connect", (packet) => this.#connected(packet));
    this.#client.on("disconnect", (packet) => this.end(refused(parts.broker, packet.reasonCode ?? 0, "disconnect")));
    this.#client.on("error", (error) => this.end(brokenOff(parts.broker, error)));
  }

  get up(): boolean {
    return this.#up;
  }

  /** As BrokerLink.rttMs. */
  get rttMs(): number | undefined {
    return this.#rttMs;
  }

  /** As BrokerLink.publish. */
  publish(message: Outgoing): Promise<void> {
    if (!this.#up) return Promise.reject(notConnected());
    if (this.#mostBytes < Buffer.byteLength(message.payload) + Buffer.byteLength(message.topic) + PACKET_ROOM) {
      const facts = { topic: message.topic, mostBytes: this.#mostBytes };
      return Promise.reject(new Failure("MESSAGE_TOO_LARGE", "the broker takes no packet of this size", { facts }));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ message, resolve, reject });
      this.#send();
    });
  }

  /** DISCONNECT without the will, then the end. */
  leave(): void {
    if (!this.#up) {
      this.end({ failure: notConnected(), stubborn: false });
      return;
    }
    this.#sendAcks();
    this.#up = false;
    this.#parts.incoming.clear();
    this.#socket.end(GOODBYE);
  }

  /** Ends it now, once: what is under way is rejected, what waits is forgotten. */
  end(ending: Ending): void {
    if (this.#over) return;
    this.#over = true;
    this.#up = false;
    this.#ended.abort();
    this.#socket.destroy();
    this.#parts.incoming.clear();
    const lost = [...this.#underWay, ...this.#waiting];
    this.#underWay.clear();
    this.#waiting = [];
    for (const publishing of lost) {
      publishing.reject(new Failure("LINK_DOWN", "the connection ended before the broker took the message"));
    }
    this.#parts.ended(ending);
  }

  #connected({ sessionPresent, properties }: IConnackPacket): void {
    const problem = unfit(this.#parts.broker, properties);
    if (problem !== undefined) {
      this.end(problem);
      return;
    }
    this.#mostUnderWay = Math.min(properties?.receiveMaximum ?? MOST_UNDER_WAY, MOST_UNDER_WAY);
    this.#mostBytes = properties?.maximumPacketSize ?? Number.POSITIVE_INFINITY;
    const { subscriptions } = this.#parts.options;
    if (subscriptions.length > 0) this.#subscribe([...subscriptions]);
    // A resumed session is already subscribed, and what waited in it comes before the answer to SUBSCRIBE.
    if (sessionPresent || subscriptions.length === 0) this.#establish();
  }

  #subscribe(filters: string[]): void {
    // Also in a resumed session: retained messages come again. rap 0: the flag then means "kept from before".
    this.#client.subscribe(filters, { qos: 1, rap: false, rh: 0, nl: false }, (error, _, answer) => {
      const codes = answer?.granted.map(Number) ?? [];
      if (error) this.end(refused(this.#parts.broker, codes.find((code) => code >= 128) ?? 143, "subscribe"));
      else this.#establish();
    });
  }

  #establish(): void {
    if (this.#up || this.#over || this.#socket.writableEnded) return;
    this.#up = true;
    void this.#watchAnswers();
    this.#parts.established();
    this.#parts.incoming.open();
  }

  /** A broker that answers pings and takes no message would be kept for ever, though the next of the list may be well. */
  async #watchAnswers(): Promise<void> {
    const { clock, broker } = this.#parts;
    for (let seen = -1; !this.#over; ) {
      await clock.sleep(ANSWER_MS, this.#ended.signal).catch(() => {});
      const waits = this.#underWay.size > 0 && this.#holding === 0; // while we read nothing we see no answer either
      if (waits && seen === this.#answers) {
        this.end({ ...brokenOff(broker, new Error("messages are not taken")), useless: true });
      }
      seen = waits ? this.#answers : -1;
    }
  }

  #received(packet: Packet): void {
    this.#unparsedBytes = 0;
    if (!this.#over && !isOurs(packet)) this.end(brokenOff(this.#parts.broker, new Error(`unasked ${packet.cmd}`)));
    if (packet.cmd === "connack" && (packet.reasonCode ?? 0) > 0) {
      this.end(refused(this.#parts.broker, packet.reasonCode ?? 0, "connect"));
    }
    if (this.#over) passOver(packet);
    else if (packet.cmd === "puback") this.#pubackReason = packet.reasonCode ?? 0;
    else if (packet.cmd === "pingresp") this.#pinged();
    else if (packet.cmd === "publish") this.#take(packet);
  }

  /**
   * Takes a message away from mqtt.js, which would read nothing more, not even our own PUBACKs and the answers to our
   * pings, until it is handled: a handler that waits for a publish would wait for ever.
   */
  #take(packet: IPublishPacket): void {
    const { incoming, options, dropped } = this.#parts;
    const { messageId } = packet;
    const crowded = incoming.bytes > MOST_WAITING_BYTES;
    if (messageId === undefined) {
      if (crowded) dropped();
      else incoming.push(toIncoming(packet), nothing);
    } else {
      if (crowded && incoming.length >= options.receiveMaximum) return; // the broker oversteps: on to #hold
      incoming.push(toIncoming(packet), () => this.#ack(messageId));
    }
    passOver(packet);
  }

  #pinged(): void {
    if (this.#pingedAt !== undefined) this.#rttMs = this.#parts.clock.now() - this.#pingedAt;
    this.#pingedAt = undefined;
  }

  /** A message far beyond our window: nothing more is read until it is taken. */
  #hold(packet: IPublishPacket, callback: () => void): void {
    this.#pingedAt = undefined; // its answer lies unread: the time it takes would be our own
    if (!this.#up) {
      this.end(brokenOff(this.#parts.broker, new Error("flood before the subscription was confirmed")));
      return;
    }
    this.#holding += 1;
    this.#parts.incoming.push(toIncoming(packet), () => {
      this.#holding -= 1;
      if (!this.#over) callback();
    });
  }

  #ack(messageId: number): void {
    if (this.#over) return;
    if (this.#acks.push(messageId) === 1) setImmediate(() => this.#sendAcks()); // one write for all of this turn
  }

  #sendAcks(): void {
    const acks = this.#acks;
    this.#acks = [];
    if (this.#over || acks.length === 0 || !this.#socket.writable) return;
    const bytes = Buffer.allocUnsafe(4 * acks.length);
    for (const [i, id] of acks.entries()) bytes.writeUInt32BE(0x40_02_00_00 + id, 4 * i);
    this.#socket.write(bytes);
  }

  #send(): void {
    while (this.#up && this.#underWay.size < this.#mostUnderWay) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#underWay.add(next);
      const { topic, payload, qos, retain = false, expiryS } = next.message;
      const properties = { contentType: "application/json", ...expiry(expiryS) };
      this.#client.publish(topic, payload, { qos, retain, properties }, (error) => this.#sent(next, error));
    }
  }

  #sent(publishing: Publishing, error?: Error | null): void {
    if (!this.#underWay.delete(publishing)) return;
    this.#answers += 1;
    const { topic, qos } = publishing.message;
    // The reason is read where the packet came in: mqtt.js says nothing of reason 16 (nobody subscribed).
    const reason = qos === 1 ? this.#pubackReason : 0;
    if (error && reason < 128) publishing.reject(new Failure("LINK_DOWN", error.message, { cause: error }));
    else if (reason > 0) publishing.reject(deniedPublish(topic, reason));
    else publishing.resolve();
    this.#send();
  }

  #count(bytes: number): void {
    this.#unparsedBytes += bytes;
    if (this.#unparsedBytes > MOST_PACKET_BYTES + 65_536 && this.#holding === 0) {
      this.end(brokenOff(this.#parts.broker, new Error("a packet larger than any of ours")));
    }
  }

  #silence(): void {
    // While we read nothing on purpose the broker's answer lies unread: its silence means nothing.
    if (this.#holding > 0) this.#client.reschedulePing(true);
    else this.end(brokenOff(this.#parts.broker, new Error("no answer to a ping")));
  }
}

export const notConnected = (): Failure => new Failure("LINK_DOWN", "not connected to a broker");

const FROM_BROKERS = new Set(["connack", "publish", "puback", "suback", "pingresp", "disconnect"]);

/** Whether a broker may say this to us: we never use QoS 2, nor AUTH; and mqtt.js throws on ids that are cut off. */
function isOurs(packet: Packet): boolean {
  if (!FROM_BROKERS.has(packet.cmd ?? "")) return false;
  const idMissing = packet.messageId !== undefined && packet.messageId < 1;
  return !idMissing && !(packet.cmd === "publish" && packet.qos === 2);
}

/** mqtt.js does nothing with a packet whose kind it does not know. */
function passOver(packet: Packet): void {
  Object.assign(packet, { cmd: "taken" });
}

const nothing = (): void => {};

const expiry = (seconds: number | undefined) => (seconds === undefined ? {} : { messageExpiryInterval: seconds });

const toIncoming = ({ topic, payload, retain, qos }: IPublishPacket): Incoming => ({
  topic,
  payload: typeof payload === "string" ? Buffer.from(payload) : payload,
  retained: retain,
  qos: qos === 0 ? 0 : 1,
});

function dial({ host, port, tls }: Broker, { secureContext }: LinkFiles): Socket {
  // Nagle's algorithm and the peer's delayed PUBACK together would cost 40 ms a message (docs/performance.md).
  if (tls === undefined || secureContext === undefined) return connect({ host, port, noDelay: true });
  const servername = tls.servername ?? (isIP(host) === 0 ? host : undefined);
  const named = servername === undefined ? {} : { servername };
  const socket = connectTls({ host, port, secureContext, ...named, rejectUnauthorized: true });
  socket.once("connect", () => socket.setNoDelay(true));
  return socket;
}

/** The timer of mqtt.js's pings, on our clock. */
function timersOf(clock: Clock): Exclude<IClientOptions["timerVariant"], TimerVariant | undefined> {
  const running = new Map<number, () => void>();
  let last = 0;
  const plan = (id: number, everyMs: number, work: () => void): void => {
    running.set(
      id,
      clock.after(everyMs, () => {
        plan(id, everyMs, work); // before: the work may clear it
        work();
      }),
    );
  };
  return {
    set(work, everyMs = 0) {
      last += 1;
      plan(last, everyMs, () => work());
      return last;
    },
    clear(id) {
      running.get(id)?.();
      running.delete(id);
    },
  };
}

function clientOptions({ options, files, link, clock }: ConnectionParts): IClientOptions {
  const { clientId, keepaliveS, sessionExpiryS, receiveMaximum, username } = options;
  const { topic, payload, qos, retain = false, expiryS, delayS } = options.will(link);
  return {
    protocolVersion: 5,
    clientId,
    clean: false,
    keepalive: keepaliveS,
    timerVariant: timersOf(clock),
    reschedulePings: false, // a ping each period, also while PUBACKs come: its answer is the line's round trip
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    writeCache: false, // 13 MB of two-byte buffers otherwise
    connectTimeout: 2 ** 31 - 1, // the link has its own, on its own clock
    log: () => {}, // its debug output would show the password
    ...(username === undefined ? {} : { username }),
    ...(files.password === undefined ? {} : { password: files.password }),
    properties: { sessionExpiryInterval: sessionExpiryS, receiveMaximum, maximumPacketSize: MOST_PACKET_BYTES },
    will: {
      topic,
      payload: Buffer.from(payload),
      qos,
      retain,
      properties: { willDelayInterval: delayS, contentType: "application/json", ...expiry(expiryS) },
    },
  };
}
