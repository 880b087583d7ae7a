import { comparePlaces, type Place } from "../../protocol/boot.ts";
import type { Kept } from "../../protocol/record.ts";

/** Name of a record's place, for maps. */
export const placeKey = ({ body: { boot, seq } }: Kept): string => `${boot} ${seq}`;
export const byPlace = (a: Kept, b: Kept): number => comparePlaces(a.body, b.body);

/** What one connection knows of what was sent over it: when which record is due. Holds no clock and sends nothing. */
export class Session {
  readonly link: number;
  boot: string;
  born = false;
  /** The connection ended under a publish: nothing more is tried over it. */
  broken = false;
  infoDue = false;
  /** Figures kept from before may be sent. */
  draining = true;
  /** When the next birth is due, Infinity when none is asked for. */
  birthAt: number;
  readonly #resend: { firstMs: number; mostMs: number };
  readonly #sentAt = new Map<string, number>();
  readonly #denied = new Map<string, Place>();
  #bornAt = Number.NEGATIVE_INFINITY;
  #resendMs: number;
  #resentAt = Number.NEGATIVE_INFINITY;
  #ackedAt = Number.NEGATIVE_INFINITY;

  constructor(link: number, boot: string, now: number, resend: { firstMs: number; mostMs: number }) {
    this.link = link;
    this.boot = boot;
    this.birthAt = now;
    this.#resend = resend;
    this.#resendMs = resend.firstMs;
  }

  /** A birth is asked for; not sooner than `everyMs` after the last. */
  askBirth(everyMs: number): void {
    this.birthAt = Math.min(this.birthAt, this.#bornAt + everyMs);
  }

  /** We go by another name now: everything is new. */
  reborn(boot: string): void {
    this.boot = boot;
    this.birthAt = Number.NEGATIVE_INFINITY;
  }

  bearing(now: number): void {
    this.#bornAt = now;
    this.birthAt = Number.POSITIVE_INFINITY;
    this.infoDue = false;
    this.sendAllAgain();
  }

  /** Somebody who has heard nothing yet listens now. */
  sendAllAgain(): void {
    this.#sentAt.clear();
    this.#resendMs = this.#resend.firstMs;
    this.draining = true;
  }

  sending(list: readonly Kept[], now: number): void {
    const again = list.some((kept) => this.wasSent(kept));
    if (again && now - this.#resentAt >= this.#resendMs) {
      this.#resentAt = now;
      this.#resendMs = Math.min(2 * this.#resendMs, this.#resend.mostMs);
    }
    for (const kept of list) this.#sentAt.set(placeKey(kept), now);
  }

  wasSent(kept: Kept): boolean {
    return this.#sentAt.has(placeKey(kept));
  }

  unsent(pending: readonly Kept[]): Kept[] {
    return pending.filter((kept) => !this.wasSent(kept) && !this.#denied.has(placeKey(kept)));
  }

  /** Records that were never sent over this connection, or so long ago that their ack is overdue. */
  due(pending: readonly Kept[], now: number): Kept[] {
    return pending.filter((kept) => this.#dueAt(kept) <= now);
  }

  /** Until the next record is due, Infinity when none will be. */
  dueInMs(pending: readonly Kept[], now: number): number {
    return pending.reduce((least, kept) => Math.min(least, this.#dueAt(kept) - now), Number.POSITIVE_INFINITY);
  }

  /** An ack came; `pending` is what it left. Whoever acks is alive: the others get their time anew. */
  acked(pending: readonly Kept[], now: number): void {
    const left = new Set(pending.map(placeKey));
    for (const key of this.#sentAt.keys()) if (!left.has(key)) this.#sentAt.delete(key);
    this.#ackedAt = now;
    this.#resendMs = this.#resend.firstMs;
  }

  /** The broker does not let this record pass: not over this connection. */
  deny(kept: Kept): void {
    this.#denied.set(placeKey(kept), kept.body);
  }

  /** How far an ack may free: a state can claim what the broker refused, but the aggregator never got that. */
  mostFree({ boot, seq }: Place): number {
    const denied = [...this.#denied.values()].filter((place) => place.boot <= boot && place.seq <= seq);
    return Math.min(seq, ...denied.map((place) => place.seq - 1));
  }

  #dueAt(kept: Kept): number {
    const key = placeKey(kept);
    if (this.#denied.has(key)) return Number.POSITIVE_INFINITY;
    const sentAt = this.#sentAt.get(key);
    if (sentAt === undefined) return Number.NEGATIVE_INFINITY;
    return Math.max(sentAt, this.#ackedAt) + this.#resendMs;
  }
}
