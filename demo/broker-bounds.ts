import type { Aedes } from "aedes";
import type { Logger } from "../platform/log.ts";

/** Messages kept for one session that is away, as in the shipped mosquitto.conf but for a process in memory. */
const MOST_QUEUED = 20_000;
const MOST_RETAINED = 100_000;

interface Subscription {
  clientId: string;
  rap?: boolean;
}
interface Kept {
  topic: string;
  payload: Uint8Array;
  retain: boolean;
}
/** The part of aedes' in-memory store that grows; aedes 2.0.0-beta.1 has no limits of its own for it. */
interface Store {
  storeRetained(packet: Kept): Promise<void>;
  outgoingEnqueueCombi(subscriptions: Subscription[], packet: Kept): Promise<void>;
  outgoingUpdate(client: { id: string }, packet: Kept): Promise<void>;
  outgoingClearMessageId(client: { id: string }, packet: Kept): Promise<Kept | undefined>;
}

/** Puts limits on what a broker without a disk keeps in memory: queues of absent sessions, and retained topics. */
export function boundMemory(aedes: Aedes, log: Logger): void {
  const store = (aedes as unknown as { persistence: Store }).persistence;
  boundQueues(store, log);
  boundRetained(store, log);
}

/**
 * aedes keeps clients and subscriptions in plain objects: a client that calls itself `constructor`, or unsubscribes from
 * the topic `valueOf`, would end the process. Objects without a prototype know no such names. Call before listening.
 */
export function closeLoopholes(aedes: Aedes): void {
  Object.assign(aedes, { clients: Object.create(null) });
  aedes.preConnect = (client, _packet, proceed) => {
    Object.assign(client, { subscriptions: Object.create(null) });
    proceed(null, true);
  };
}

function boundQueues(store: Store, log: Logger): void {
  const queued = new Map<string, number>();
  const enqueue = store.outgoingEnqueueCombi.bind(store);
  const update = store.outgoingUpdate.bind(store);
  const clear = store.outgoingClearMessageId.bind(store);
  const hasRoom = ({ clientId }: Subscription): boolean => {
    const now = (queued.get(clientId) ?? 0) + 1;
    if (now > MOST_QUEUED) return false;
    queued.set(clientId, now);
    if (now === MOST_QUEUED) log.warn({ event: "broker.queue_full", client: clientId }, "newer messages are dropped");
    return true;
  };
  store.outgoingEnqueueCombi = async (subscriptions, packet) => {
    const room = subscriptions.filter(hasRoom);
    await enqueue(
      room.filter(({ rap }) => rap === true),
      packet,
    );
    // aedes queues the retain flag as published: a message said while the session was away would look like an old one.
    await enqueue(
      room.filter(({ rap }) => rap !== true),
      { ...packet, retain: false },
    );
  };
  // Not in the queue because the queue was full: still deliverable now, and no reason to cut the client off.
  store.outgoingUpdate = (client, packet) => update(client, packet).catch(() => {});
  store.outgoingClearMessageId = async (client, packet) => {
    const cleared = await clear(client, packet);
    const left = (queued.get(client.id) ?? 0) - 1;
    if (cleared === undefined) return cleared;
    if (left > 0) queued.set(client.id, left);
    else queued.delete(client.id);
    return cleared;
  };
}

function boundRetained(store: Store, log: Logger): void {
  const topics = new Set<string>();
  const storeRetained = store.storeRetained.bind(store);
  store.storeRetained = async (packet) => {
    if (packet.payload.length === 0) topics.delete(packet.topic);
    else if (topics.size < MOST_RETAINED) topics.add(packet.topic);
    else if (!topics.has(packet.topic)) {
      log.warn({ event: "broker.retained_full", topic: packet.topic }, "not retained");
      return;
    }
    await storeRetained(packet);
  };
}
