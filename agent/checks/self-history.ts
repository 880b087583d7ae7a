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

/** Wall times a running device can show, 2026-01-01 to 2100-01-01: outside, its clock was never set. */
const PLAUSIBLE = { from: 1_767_225_600_000, to: 4_102_444_800_000 } as const;
const JUMP_MS = 60_000;

export const isPlausible = (wall: number): boolean => wall >= PLAUSIBLE.from && wall < PLAUSIBLE.to;

/** Compares the wall clock with the monotonic one: who sets it, NTP or a hand, is seen by the difference. */
export class WallWatch {
  readonly #holdMs: number;
  #last: { now: number; wall: number } | undefined;
  #jump: { at: number; byMs: number } | undefined;

  constructor(holdMs: number) {
    this.#holdMs = holdMs;
  }

  /** The last jump (ms, negative when set back) while it is news. */
  look(now: number, wall: number): number | undefined {
    const last = this.#last;
    this.#last = { now, wall };
    const byMs = last === undefined ? 0 : wall - last.wall - (now - last.now);
    // a clock that was never set is set right: that is no fault but the end of one
    const mended = last !== undefined && !isPlausible(last.wall) && isPlausible(wall);
    if (mended) this.#jump = undefined;
    else if (Math.abs(byMs) >= JUMP_MS) this.#jump = { at: now, byMs };
    if (this.#jump !== undefined && now - this.#jump.at >= this.#holdMs) this.#jump = undefined;
    return this.#jump?.byMs;
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
