import type { BrokerLink, Incoming, LinkEvents, LinkFacts, LinkOptions, Outgoing } from "../../platform/broker-link.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/log.ts";
import type { Place } from "../../protocol/boot.ts";
import { Failure } from "../../protocol/failure.ts";
import type { DeviceInfo, DeviceState } from "../../protocol/from-device.ts";
import type { Kept } from "../../protocol/record.ts";
import { toDevice } from "../../protocol/topics.ts";
import { hear } from "./hear.ts";
import type { InventoryPost } from "./inventory-post.ts";
import { activeCodes, infoLetter, recordLetter, stateLetter, telemetryLetter } from "./letters.ts";
import type { KeptTelemetry, Outbox } from "./outbox.ts";
import { byPlace, placeKey, Session } from "./session.ts";
import { Skews } from "./skews.ts";

export interface CourierOptions {
  outbox: Outbox;
  clock: Clock;
  log: Logger;
  device: string;
  agentVersion: string;
  /** Told in every state: seconds between two signs of life. The courier itself sends none; the rounds do. */
  heartbeatS: number;
  /** What is known of the device now; published at each birth and after `tellInfo`. */
  info(): Omit<DeviceInfo, "ts" | "boot" | "agent">;
  /** Knows when the inventory document is to be told. */
  inventory?: InventoryPost;
  /** Opens the link with the part of its options that is the courier's. Closed by the courier's disposal. */
  connect(part: Pick<LinkOptions, "subscriptions" | "will">, events: LinkEvents): BrokerLink;
  /** Pause before an unacknowledged record is sent again, and the longest one it grows to; default 30 s, 5 min. */
  resend?: { firstMs: number; mostMs: number };
  /** While no broker is there, one sample of each code is kept so often; default 5 min. */
  keepEveryMs?: number;
  /** How long the broker waits before it publishes our will, seconds; default 20. */
  willDelayS?: number;
}

export interface CourierStats {
  up: boolean;
  /** The birth of this connection is complete. */
  born: boolean;
  /** Messages to us that were not understood, and messages of ours that the broker refused. */
  refused: number;
  /** Records sent again because no ack came. */
  resent: number;
}

/** Publishes what the outbox holds and frees what the aggregator has. */
export interface Courier extends AsyncDisposable {
  /** New records were appended. */
  wake(): void;
  /** Publishes figures, or keeps them (thinned) while no broker is there. Never throws. */
  telemetry(list: readonly Omit<KeptTelemetry, "id">[]): void;
  /** The inventory changed. */
  tellInfo(): void;
  stats(): CourierStats;
  /** What is known of the line: whether it is up, the broker's round trip, how far our clock is from the aggregator's. */
  link(): LinkFacts;
}

const MOST_IN_FLIGHT = 20;
/** A site has one or two; who invents more names must not fill our memory. */
const MOST_AGGREGATORS = 64;
/** More than one device has subjects; all of them are told at once. */
const MOST_FIGURES_IN_FLIGHT = 1_000;
const RESYNC_EVERY_MS = 5_000;
const ADOPT_EVERY_MS = 30_000;
const DRAIN_PAUSE_MS = 50;
const GOODBYE_MS = 2_000;
const AFTER_TROUBLE_MS = 1_000;
/** With nothing to do we sleep until rung; timers longer than 24 days run at once. */
const IDLE_MS = 3_600_000;

export function startCourier(options: CourierOptions): Courier {
  return new BrokerCourier(options);
}

/** A message, and the record in it. */
interface Letter {
  message: Outgoing;
  kept?: Kept;
}

class BrokerCourier implements Courier {
  readonly #options: CourierOptions;
  readonly #link: BrokerLink;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  readonly #aggregators = new Map<string, string>();
  readonly #skews = new Skews(MOST_AGGREGATORS);
  readonly #loggedOnce = new Set<string>();
  readonly #keptAt = new Map<string, number>();
  #session: Session | undefined;
  #rung = false;
  #resting: AbortController | undefined;
  #figuresInFlight = 0;
  #refused = 0;
  #resent = 0;
  /** What the last birth told of records given up; known to the aggregator once it acknowledges that birth. */
  #droppedTold: (Place & { records: number }) | undefined;
  #mayAdoptAt = Number.NEGATIVE_INFINITY;
  #ending: Promise<void> | undefined;
  #posting: Promise<void> | undefined;

  constructor(options: CourierOptions) {
    this.#options = options;
    this.#link = options.connect(
      { subscriptions: toDevice(options.device), will: (link) => this.#will(link) },
      {
        up: (link) => this.#up(link),
        down: (failure) => this.#down(failure),
        message: (message) => this.#hear(message),
      },
    );
    this.#running = this.#run();
  }

  wake(): void {
    this.#ring();
  }

  tellInfo(): void {
    if (this.#session !== undefined) this.#session.infoDue = true;
    this.#ring();
  }

  telemetry(list: readonly Omit<KeptTelemetry, "id">[]): void {
    const spare = list.filter((one) => !this.#figures(one));
    const now = this.#options.clock.now();
    const every = 0.9 * (this.#options.keepEveryMs ?? 300_000); // who tells at that very pace does so with some jitter
    const kept = spare.filter(({ code }) => now - (this.#keptAt.get(code) ?? Number.NEGATIVE_INFINITY) >= every);
    for (const { code } of kept) this.#keptAt.set(code, now);
    if (kept.length > 0) this.#options.outbox.keepTelemetry(kept).catch((cause: unknown) => this.#trouble(cause));
  }

  stats(): CourierStats {
    return {
      up: this.#isUp(this.#session),
      born: this.#session?.born ?? false,
      refused: this.#refused,
      resent: this.#resent,
    };
  }

  link(): LinkFacts {
    const { rttMs } = this.#link;
    const skew = this.#skews.least(this.#options.clock.now());
    return {
      up: this.#isUp(this.#session),
      ...(rttMs === undefined ? {} : { rttMs }),
      ...(skew === undefined ? {} : { skew }),
    };
  }

  /** Says goodbye, where somebody listens, and closes the link. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    this.#stop.abort();
    this.#ring();
    await this.#atMost(GOODBYE_MS, this.#running);
    const session = this.#session;
    if (session !== undefined && this.#isUp(session)) {
      const words = this.#state({ online: false, reason: "shutdown", link: session.link });
      await this.#atMost(GOODBYE_MS, this.#link.publish(stateLetter(this.#options.device, words)));
    }
    await this.#link.close();
    await this.#posting;
  }

  async #atMost(ms: number, work: Promise<void>): Promise<void> {
    const cut = new AbortController();
    const late = this.#options.clock.sleep(ms, cut.signal);
    await Promise.race([work, late]).catch(() => undefined); // going anyway: the will says the rest
    cut.abort();
    await late.catch(() => undefined);
  }

  // --- what the link tells us

  #up(link: number): void {
    const { clock, outbox } = this.#options;
    this.#session = new Session(
      link,
      outbox.boot,
      clock.now(),
      this.#options.resend ?? { firstMs: 30_000, mostMs: 300_000 },
    );
    this.#keptAt.clear();
    this.#options.inventory?.connected();
    this.#ring();
  }

  #down(failure: Failure): void {
    this.#session = undefined;
    this.#options.log.warn({ event: "courier.down", code: failure.code, because: failure.message }, "no broker");
  }

  async #hear(message: Incoming): Promise<void> {
    try {
      const heard = hear(this.#options.device, message);
      if (heard.kind === "ack") await this.#acked(heard.place);
      if (heard.kind === "resync") this.#session?.askBirth(RESYNC_EVERY_MS);
      if (heard.kind === "inventory") this.#options.inventory?.ask(this.#options.clock.now());
      if (heard.kind === "aggregator" && heard.online) {
        this.#aggregator(heard.node, heard.boot, message.retained);
        const { clock } = this.#options;
        if (!message.retained) this.#skews.heard(heard.node, heard.ts, { now: clock.now(), wall: clock.wall() });
      }
      this.#ring();
    } catch (cause) {
      this.#refuse(cause, "heard");
    }
  }

  async #acked(place: Place): Promise<void> {
    const { outbox, clock } = this.#options;
    if (place.boot > outbox.boot) {
      // Limited: with two agents of one name each would overtake the other without end.
      if (clock.now() < this.#mayAdoptAt) return;
      this.#mayAdoptAt = clock.now() + ADOPT_EVERY_MS;
      await outbox.adopt(place);
      return; // the loop sees the new boot and gives birth again
    }
    const told = this.#droppedTold;
    if (told !== undefined && place.boot === told.boot && place.seq >= told.seq) {
      outbox.toldDropped(told.records);
      this.#droppedTold = undefined;
    }
    const seq = this.#session?.mostFree(place) ?? place.seq;
    outbox.free({ boot: place.boot, seq });
    this.#session?.acked(outbox.pending(), clock.now());
  }

  #aggregator(node: string, boot: string, retained: boolean): void {
    const known = this.#aggregators.get(node);
    this.#aggregators.delete(node); // to the end: the first of the map is the one not heard of for longest
    this.#aggregators.set(node, boot);
    const [oldest] = this.#aggregators.keys();
    if (oldest !== undefined && this.#aggregators.size > MOST_AGGREGATORS) this.#aggregators.delete(oldest);
    if (known !== boot && !retained) this.#session?.sendAllAgain(); // what is retained was there before our birth
  }

  // --- the loop: one delivery at a time

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const session = this.#session;
      let pauseMs = IDLE_MS;
      try {
        if (session !== undefined && this.#isUp(session)) pauseMs = await this.#step(session);
      } catch (cause) {
        this.#trouble(cause);
        pauseMs = AFTER_TROUBLE_MS;
      }
      if (pauseMs > 0) await this.#rest(pauseMs);
    }
  }

  /** Does the most urgent thing; returns how long there is nothing more to do, 0 when there may be. */
  async #step(session: Session): Promise<number> {
    const { outbox, clock } = this.#options;
    const now = clock.now();
    if (session.boot !== outbox.boot) session.reborn(outbox.boot);
    if (session.birthAt <= now) {
      await this.#birth(session);
      return 0;
    }
    if (!session.born) return Math.min(session.birthAt - now, IDLE_MS);
    if (session.infoDue) {
      session.infoDue = false;
      await this.#send(session, [this.#info()]);
      return 0;
    }
    const due = session.due(outbox.pending(), now);
    if (due.length > 0) {
      this.#resent += due.filter((kept) => session.wasSent(kept)).length;
      session.sending(due, now);
      await this.#send(session, this.#records(due));
      return 0;
    }
    if (this.#options.inventory?.due === true) this.#posting = this.#post(this.#options.inventory);
    if (session.draining && (await this.#drain(session))) return DRAIN_PAUSE_MS;
    return Math.min(session.birthAt - now, session.dueInMs(outbox.pending(), now), IDLE_MS);
  }

  /** info → everything that stands or is not acknowledged, in its order → state, which closes the snapshot. */
  async #birth(session: Session): Promise<void> {
    const { outbox, clock, device, log } = this.#options;
    session.bearing(clock.now());
    const known = new Map([...outbox.latest(), ...outbox.pending()].map((kept) => [placeKey(kept), kept]));
    const all = [...known.values()].sort(byPlace);
    session.sending(all, clock.now());
    await this.#send(session, [this.#info(), ...this.#records(all)]);
    for (;;) {
      const rest = session.unsent(outbox.pending());
      if (rest.length === 0 || !this.#goesOn(session)) break;
      session.sending(rest, clock.now());
      await this.#send(session, this.#records(rest));
    }
    if (!this.#goesOn(session)) return;
    const { droppedRecords: records, untoldRecords: dropped } = outbox.stats();
    const state = this.#state({ online: true, reason: "birth", link: session.link });
    await this.#send(session, [{ message: stateLetter(device, dropped > 0 ? { ...state, dropped } : state) }]);
    if (session.broken) return;
    this.#droppedTold = dropped > 0 ? { boot: state.boot, seq: state.seq, records } : undefined;
    if (!session.born)
      log.info({ event: "courier.born", link: session.link, seq: state.seq, records: all.length }, "online");
    session.born = true;
  }

  #records(list: readonly Kept[]): Letter[] {
    const { device, outbox } = this.#options;
    // not of `latest` alone: it leaves out what was cleared long ago, and that may still have to be told
    const all = [...outbox.latest(), ...outbox.pending()].filter(({ kind }) => kind === "alarm").sort(byPlace);
    const last = new Set(new Map(all.map((kept) => [kept.code, placeKey(kept)])).values());
    return list.map((kept) => ({ message: recordLetter(device, kept, last.has(placeKey(kept))), kept }));
  }

  #info(): Letter {
    const { device, agentVersion, outbox, clock } = this.#options;
    const ts = Math.trunc(clock.wall());
    return { message: infoLetter(device, { ...this.#options.info(), ts, boot: outbox.boot, agent: agentVersion }) };
  }

  #state(part: Pick<DeviceState, "online" | "reason" | "link">): DeviceState {
    const { outbox, clock, agentVersion, heartbeatS } = this.#options;
    const active = activeCodes(outbox.latest());
    return {
      ...part,
      boot: outbox.boot,
      seq: outbox.seq,
      ts: Math.trunc(clock.wall()),
      agent: agentVersion,
      heartbeat_s: heartbeatS,
      ...(active === undefined ? {} : { active }),
    };
  }

  #will(link: number): Outgoing & { delayS: number } {
    const words = this.#state({ online: false, reason: "will", link });
    return { ...stateLetter(this.#options.device, words), delayS: this.#options.willDelayS ?? 20 };
  }

  /** Publishes in order, few at a time; resolves when the broker has answered to all that were begun. Never rejects. */
  async #send(session: Session, letters: readonly Letter[]): Promise<void> {
    const flying = new Set<Promise<void>>();
    for (const letter of letters) {
      if (flying.size >= MOST_IN_FLIGHT) await Promise.race(flying);
      if (!this.#goesOn(session)) break;
      const flight = this.#link.publish(letter.message).then(
        () => undefined,
        (cause: unknown) => this.#unsent(session, letter, cause),
      );
      flying.add(flight);
      void flight.then(() => flying.delete(flight));
    }
    await Promise.all(flying);
  }

  #unsent(session: Session, { message, kept }: Letter, cause: unknown): void {
    const code = cause instanceof Failure ? cause.code : "";
    if (code === "LINK_DOWN") session.broken = true;
    else if (code === "LINK_DENIED") {
      if (kept !== undefined) session.deny(kept);
      this.#refuse(cause, message.topic);
    } else if (code !== "LINK_UNHEARD") this.#trouble(cause); // unheard: kept, and sent again when somebody listens
  }

  /** Tells the inventory document. Nobody waits for it: on a thin line it takes a minute, and alarms go on meanwhile. */
  async #post(inventory: InventoryPost): Promise<void> {
    try {
      await inventory.send(
        (message) => this.#publishHeard(message),
        () => this.#options.clock.now(),
      );
    } catch (cause) {
      if (!(cause instanceof Failure)) this.#trouble(cause);
      else if (cause.code !== "LINK_DOWN") this.#refuse(cause, "inventory");
    }
    this.#ring();
  }

  /** A retained message that nobody hears is kept by the broker for whoever comes. */
  async #publishHeard(message: Outgoing): Promise<void> {
    await this.#link.publish(message).catch((cause: unknown) => {
      if (!(cause instanceof Failure) || cause.code !== "LINK_UNHEARD") throw cause;
    });
  }

  /** Publishes the oldest figures of the backlog; false when there are none or they cannot be sent now. */
  async #drain(session: Session): Promise<boolean> {
    const [oldest] = this.#options.outbox.telemetry();
    if (oldest === undefined) return false;
    try {
      await this.#link.publish(telemetryLetter(this.#options.device, oldest, 1));
      this.#options.outbox.freeTelemetry(oldest.id);
      return true;
    } catch {
      session.draining = false; // until the next connection or aggregator
      return false;
    }
  }

  /** Publishes figures of the moment; false when they should be kept instead. */
  #figures(one: Omit<KeptTelemetry, "id">): boolean {
    if (!this.#isUp(this.#session) || this.#figuresInFlight >= MOST_FIGURES_IN_FLIGHT) return false;
    this.#figuresInFlight += 1;
    const letter = telemetryLetter(this.#options.device, one, 0);
    void this.#link.publish(letter).then(
      () => {
        this.#figuresInFlight -= 1;
      },
      () => {
        this.#figuresInFlight -= 1; // the next ones are kept: the link has said that it is down
      },
    );
    return true;
  }

  // --- small things

  #isUp(session: Session | undefined): boolean {
    return session !== undefined && session === this.#session && !session.broken && this.#link.up;
  }

  #goesOn(session: Session): boolean {
    return this.#isUp(session) && !this.#stop.signal.aborted;
  }

  #ring(): void {
    this.#rung = true;
    this.#resting?.abort();
  }

  async #rest(ms: number): Promise<void> {
    if (!this.#rung) {
      this.#resting = new AbortController();
      await this.#options.clock.sleep(ms, this.#resting.signal).catch(() => undefined);
      this.#resting = undefined;
    }
    this.#rung = false;
  }

  #refuse(cause: unknown, about: string): void {
    this.#refused += 1;
    const code = cause instanceof Failure ? cause.code : "";
    const kind = cause instanceof Failure ? (cause.facts.kind ?? "") : "";
    this.#logOnce(`${about} ${code} ${kind}`, cause, "refused; further ones are only counted");
  }

  #trouble(cause: unknown): void {
    this.#logOnce(cause instanceof Failure ? cause.code : String(cause).slice(0, 200), cause, "the courier stumbled");
  }

  #logOnce(key: string, cause: unknown, text: string): void {
    if (this.#loggedOnce.has(key) || this.#loggedOnce.size >= 1_000) return;
    this.#loggedOnce.add(key);
    const because = cause instanceof Error ? cause.message : String(cause);
    this.#options.log.warn({ event: "courier.refused", about: key, because }, text);
  }
}
