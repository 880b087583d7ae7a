/** By how much a counter has grown within the last `windowMs`; what it showed at first is the past. */
export class Growth {
  readonly #windowMs: number;
  #last: number | undefined;
  #steps: { at: number; by: number }[] = [];

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Takes in the counter's value at `now` (monotonic ms). One that was set back starts anew. */
  look(value: number, now: number): number {
    if (this.#last !== undefined && value > this.#last) this.#steps.push({ at: now, by: value - this.#last });
    this.#last = value;
    this.#steps = this.#steps.filter(({ at }) => now - at < this.#windowMs).slice(-1_000);
    return this.#steps.reduce((sum, { by }) => sum + by, 0);
  }
}

const MOST_AGE_MS = 30 * 86_400_000;

/** How long the oldest record has waited, by the monotonic clock: the device time in it may be of another age. */
export class Waiting {
  #oldest: { ts: number; at: number } | undefined;
  #linkedAt: number | undefined;
  #lookedAt: number | undefined;

  /** Waits in ms: of the oldest record, and of it while the broker was there all the time. */
  look(oldestTs: number | undefined, linked: boolean, now: number, wall: number): { ageMs: number; linkedMs: number } {
    // records of an earlier start are believed by their own time; later ones are at most as old as this watch
    const most = this.#lookedAt === undefined ? MOST_AGE_MS : now - this.#lookedAt;
    this.#lookedAt ??= now;
    this.#linkedAt = linked ? (this.#linkedAt ?? now) : undefined;
    if (oldestTs === undefined) this.#oldest = undefined;
    else if (this.#oldest?.ts !== oldestTs)
      this.#oldest = { ts: oldestTs, at: now - Math.min(Math.max(wall - oldestTs, 0), most) };
    const ageMs = this.#oldest === undefined ? 0 : now - this.#oldest.at;
    return { ageMs, linkedMs: this.#linkedAt === undefined ? 0 : Math.min(ageMs, now - this.#linkedAt) };
  }
}
