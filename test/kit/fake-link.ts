import type { BrokerLink, LinkEvents, LinkOptions, Outgoing } from "../../platform/broker-link.ts";
import { Failure, type FailureCode } from "../../protocol/failure.ts";
import { topics } from "../../protocol/topics.ts";

type Part = Pick<LinkOptions, "subscriptions" | "will">;

/** A way to a broker that exists in the test alone: comes up, goes down, refuses and delays as told, and remembers all. */
export class FakeLink implements BrokerLink {
  up = false;
  closed = false;
  /** Everything published, in order; what was refused too. */
  readonly said: Outgoing[] = [];
  wills: Outgoing[] = [];
  /** What the broker says to a message: a failure, or undefined for yes. */
  answer: (message: Outgoing) => FailureCode | undefined = () => undefined;
  #part: Part | undefined;
  #events: LinkEvents | undefined;
  #link = 0;
  #held: (() => void)[] | undefined;
  #flying = new Set<(failure: Failure) => void>();
  mostInFlight = 0;

  readonly connect = (part: Part, events: LinkEvents): BrokerLink => {
    this.#part = part;
    this.#events = events;
    return this;
  };
  comeUp(): void {
    this.#link += 1;
    this.up = true;
    if (this.#part !== undefined) this.wills.push(this.#part.will(this.#link));
    this.#events?.up(this.#link);
  }
  goDown(): void {
    this.up = false;
    this.#held = this.#held === undefined ? undefined : [];
    for (const fail of this.#flying) fail(new Failure("LINK_DOWN", "cut"));
    this.#events?.down(new Failure("LINK_DOWN", "cut"));
  }
  /** From now on the broker does not answer. */
  hold(): void {
    this.#held = [];
  }
  /** The broker answers to what it held, and to everything from now on. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const go of held) go();
  }
  publish(message: Outgoing): Promise<void> {
    if (!this.up) return Promise.reject(new Failure("LINK_DOWN", "not connected"));
    this.said.push(message);
    return new Promise((resolve, reject) => {
      const fail = (failure: Failure): void => {
        this.#flying.delete(fail);
        reject(failure);
      };
      const go = (): void => {
        const code = this.answer(message);
        this.#flying.delete(fail);
        if (code === undefined) resolve();
        else reject(new Failure(code, "as the test wants it"));
      };
      this.#flying.add(fail);
      this.mostInFlight = Math.max(this.mostInFlight, this.#flying.size);
      if (this.#held === undefined) go();
      else this.#held.push(go);
    });
  }
  async close(): Promise<void> {
    this.up = false;
    this.closed = true;
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The broker delivers a message; resolves when the courier has taken it. */
  async hear(topic: string, body: unknown, retained = false): Promise<void> {
    const payload = body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
    await this.#events?.message({ topic, payload, retained, qos: 1 });
  }
  ack(device: string, boot: string, seq: number): Promise<void> {
    return this.hear(topics.ack(device), { boot, seq });
  }
  /** Takes what was said since the last time, as `topic's last levels seq`, to be compared. */
  taken(): string[] {
    return this.said.splice(0).map(({ topic, payload }) => {
      const { seq, online } = JSON.parse(payload) as { seq?: number; online?: boolean };
      const short = topic.split("/").slice(4).join("/");
      return [short, ...(seq === undefined ? [] : [seq]), ...(online === undefined ? [] : [online])].join(" ");
    });
  }
}
