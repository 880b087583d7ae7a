import type { BrokerLink, Outgoing } from "../../platform/broker-link.ts";
import type { Logger } from "../../platform/log.ts";
import type { Place } from "../../protocol/boot.ts";
import { Failure } from "../../protocol/failure.ts";
import { isOpen, type TicketLogEntry, type TicketSnapshot } from "../../protocol/ticket.ts";
import type { AggregatorState } from "../../protocol/to-device.ts";
import { topics } from "../../protocol/topics.ts";
import type { Change } from "../changes.ts";
import { says } from "../says.ts";
import type { Page, TicketEvent, TicketRow } from "../store.ts";

/** A resolved ticket stays readable on its topic for so long. */
const SHOWN_MS = 86_400_000;
/** Timeline entries that wait for the broker; older ones go first. The retained snapshot is what nobody may miss. */
const MOST_LOGS = 5_000;
/** Publications under way at once. */
const AT_ONCE = 50;
const PAGE = 200;

/** What the sink reads to put its topics right again. */
export interface ShownTickets {
  shownTickets(page: Page): Promise<readonly TicketRow[]>;
  hideTickets(nos: readonly string[]): Promise<void>;
}

export interface MqttSinkParts {
  node: string;
  store: ShownTickets;
  log: Logger;
  /** Epoch ms. */
  wall(): number;
  state(): AggregatorState;
}

/** The last words of an aggregator: its will, and what it says when it is stopped. */
export const farewell = (node: string, state: AggregatorState, reason: "will" | "shutdown"): Outgoing => ({
  topic: topics.aggregator(node),
  payload: JSON.stringify({ ...state, online: false, reason } satisfies AggregatorState),
  qos: 1,
  retain: true,
});

/**
 * Says over MQTT what was committed: acks, tickets, our own state. Nobody waits for it. What cannot be published now is
 * told again from the store at the next connection; acks are asked for again by the devices themselves.
 */
export class MqttSink {
  readonly #parts: MqttSinkParts;
  #link: BrokerLink | undefined;
  #state = false;
  readonly #acks = new Map<string, Place>();
  readonly #resyncs = new Map<string, string>();
  readonly #inventories = new Map<string, string>();
  readonly #tickets = new Map<string, TicketRow>();
  #logs: TicketEvent[] = [];
  /** Walk over all shown tickets: `undefined` = none to do. */
  #walk: { after?: string; all: boolean } | undefined;
  /** Something retained was refused for now: its topic does not hold what it should. */
  #owed = false;
  #pumping: Promise<void> | undefined;
  droppedLogs = 0;

  constructor(parts: MqttSinkParts) {
    this.#parts = parts;
  }

  /** Connected: our birth, then every ticket the broker should hold; it may have lost its memory. */
  up(link: BrokerLink): void {
    this.#link = link;
    this.#state = true;
    this.#walk = { all: true };
    this.#pump();
  }
  down(): void {
    this.#acks.clear();
    this.#resyncs.clear();
    this.#inventories.clear();
    this.#tickets.clear();
  }
  /** What a commit brought about. */
  tell(changes: readonly Change[], acks: ReadonlyMap<string, Place>): void {
    const up = this.#link?.up === true;
    for (const change of changes) {
      if (change.kind !== "ticket") continue;
      if (up) this.#tickets.set(change.row.no, change.row);
      this.#logs.push(change.event);
    }
    const over = this.#logs.length - MOST_LOGS;
    if (over > 0) {
      this.#logs.splice(0, over);
      this.droppedLogs += over;
    }
    if (!up) return;
    for (const [device, place] of acks) this.#acks.set(device, place);
    this.#pump();
  }
  /** Asks a device to tell everything again. */
  resync(device: string, because: string): void {
    if (this.#link?.up !== true) return;
    this.#resyncs.set(device, because);
    this.#pump();
  }
  /** Asks a device for its inventory document. */
  askInventory(device: string, because: string): void {
    if (this.#link?.up !== true) return;
    this.#inventories.set(device, because);
    this.#pump();
  }
  /** To be called now and then: our state anew, what the broker refused told again, topics of tickets resolved long ago emptied. */
  refresh(tidy: boolean): void {
    if (this.#link?.up !== true) return;
    this.#state = true;
    if (this.#owed) this.#walk = { all: true };
    else if (tidy) this.#walk ??= { all: false };
    this.#owed = false;
    this.#pump();
  }
  /** Resolves when everything that can be said now is said. */
  async idle(): Promise<void> {
    while (this.#pumping !== undefined) await this.#pumping;
  }

  #pump(): void {
    this.#pumping ??= this.#publishAll().then(
      () => {
        this.#pumping = undefined;
      },
      (cause: unknown) => {
        this.#pumping = undefined;
        this.#parts.log.error(
          { event: "sink.failed", because: String(cause) },
          "publishing stopped until the next change",
        );
      },
    );
  }

  async #publishAll(): Promise<void> {
    while (this.#link?.up === true) {
      const messages = this.#next();
      if (messages.length === 0) {
        if (!(await this.#walkOn())) return;
        continue;
      }
      await Promise.all(messages.map((message) => this.#publish(message)));
    }
  }

  /** The next handful: acks before all, for a device's outbox waits for them. */
  #next(): Outgoing[] {
    const messages: Outgoing[] = [];
    if (this.#state) {
      this.#state = false;
      const payload = JSON.stringify(this.#parts.state());
      messages.push({ topic: topics.aggregator(this.#parts.node), payload, qos: 1, retain: true });
    }
    take(this.#acks, AT_ONCE - messages.length, (device, { boot, seq }) =>
      messages.push({ topic: topics.ack(device), payload: JSON.stringify({ boot, seq }), qos: 1 }),
    );
    take(this.#resyncs, AT_ONCE - messages.length, (device, because) =>
      messages.push({
        ...{ topic: topics.command(device, "resync"), payload: JSON.stringify({ because }) },
        ...{ qos: 1, expiryS: 60 },
      }),
    );
    take(this.#inventories, AT_ONCE - messages.length, (device, because) =>
      messages.push({
        ...{ topic: topics.command(device, "inventory"), payload: JSON.stringify({ because }) },
        ...{ qos: 1, expiryS: 60 },
      }),
    );
    take(this.#tickets, AT_ONCE - messages.length, (no, row) => messages.push(snapshotOf(no, row)));
    for (const event of this.#logs.splice(0, AT_ONCE - messages.length)) messages.push(entryOf(event));
    return messages;
  }

  async #publish(message: Outgoing): Promise<boolean> {
    try {
      await this.#link?.publish(message);
      return true;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (error.code === "LINK_UNHEARD") return true; // the broker has it; that nobody listens is their affair
      if (error.code === "LINK_DENIED") {
        this.#parts.log.error({ event: "sink.denied", topic: message.topic }, "the broker's ACL forbids this topic");
      }
      if (error.code === "LINK_REFUSED" && message.retain) this.#owed = true;
      return false;
    }
  }

  /** Goes on over the shown tickets. False when there is nothing to do. */
  async #walkOn(): Promise<boolean> {
    const walk = this.#walk;
    if (walk === undefined) return false;
    const { after } = walk;
    const rows = await this.#parts.store.shownTickets({ limit: PAGE, ...(after !== undefined && { after }) });
    const last = rows.at(-1)?.no;
    if (this.#walk !== walk) return true; // a new connection began it anew meanwhile
    this.#walk = rows.length < PAGE || last === undefined ? undefined : { ...walk, after: last };
    const over = rows.filter((row) => this.#isOver(row));
    if (walk.all)
      for (const row of rows) if (!over.includes(row) && !this.#tickets.has(row.no)) this.#tickets.set(row.no, row);
    const emptied: string[] = [];
    for (const { no } of over) {
      if (await this.#publish({ topic: topics.ticket(no), payload: "", qos: 1, retain: true })) emptied.push(no);
    }
    if (emptied.length > 0) await this.#parts.store.hideTickets(emptied);
    return true;
  }

  #isOver({ state, resolved_at, ts }: TicketRow): boolean {
    return !isOpen(state) && this.#parts.wall() - (resolved_at ?? ts) >= SHOWN_MS;
  }
}

function take<V>(from: Map<string, V>, most: number, use: (key: string, value: V) => void): void {
  for (const [key, value] of from) {
    if (most-- <= 0) return;
    from.delete(key);
    use(key, value);
  }
}

const snapshotOf = (no: string, row: TicketRow): Outgoing => ({
  topic: topics.ticket(no),
  payload: JSON.stringify(row satisfies TicketSnapshot),
  qos: 1,
  retain: true,
});

function entryOf(event: TicketEvent): Outgoing {
  const { zh, en } = says(event);
  const { ticket: no, id, at, actor, kind, hash } = event;
  const entry: TicketLogEntry = { no, id, at, actor, kind, says_zh: zh, says_en: en, hash };
  return { topic: topics.ticketLog(no), payload: JSON.stringify(entry), qos: 1 };
}
