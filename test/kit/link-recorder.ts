import type { Incoming, LinkEvents, LinkOptions } from "../../platform/broker-link.ts";
import type { Failure } from "../../protocol/failure.ts";

export interface Said {
  topic: string;
  payload: string;
  retained: boolean;
  qos: 0 | 1;
}

/** Remembers what a link says, and lets a test wait for it. */
export interface LinkRecorder {
  readonly events: LinkEvents;
  readonly ups: number[];
  readonly downs: Failure[];
  readonly messages: Said[];
  /** Resolves as soon as it holds; looked at after each thing the link says. The test's own time limit ends the wait. */
  until(holds: () => boolean): Promise<void>;
}

/** `take` runs for each message, after it was remembered; what it returns holds the link. */
export function recordLink(take: (message: Said) => void | Promise<void> = () => {}): LinkRecorder {
  const ups: number[] = [];
  const downs: Failure[] = [];
  const messages: Said[] = [];
  let waiting: { holds: () => boolean; go: () => void }[] = [];
  const look = (): void => {
    const ready = waiting.filter(({ holds }) => holds());
    waiting = waiting.filter((one) => !ready.includes(one));
    for (const { go } of ready) go();
  };
  const readable = ({ topic, payload, retained, qos }: Incoming): Said => ({
    topic,
    payload: Buffer.from(payload).toString("utf8"),
    retained,
    qos,
  });
  return {
    ups,
    downs,
    messages,
    events: {
      up(link) {
        ups.push(link);
        look();
      },
      down(failure) {
        downs.push(failure);
        look();
      },
      message(incoming) {
        const message = readable(incoming);
        messages.push(message);
        look();
        return take(message);
      },
    },
    until: (holds) =>
      new Promise((go) => {
        waiting.push({ holds, go });
        look();
      }),
  };
}

/** Options of a link in a test: quick to come back, a will that names its connection. */
export function linkOptions(clientId: string, more: Partial<LinkOptions> & Pick<LinkOptions, "brokers">): LinkOptions {
  return {
    clientId,
    subscriptions: [],
    keepaliveS: 30,
    sessionExpiryS: 60,
    receiveMaximum: 20,
    will: (link) => ({ topic: `will/${clientId}`, payload: JSON.stringify({ link }), qos: 1, delayS: 0 }),
    backoff: { firstMs: 20, mostMs: 100 },
    ...more,
  };
}
