/** 33 bits (ISO/IEC 13818-1 §2.4.3.7). */
const WRAP = 2 ** 33;
const HALF = WRAP / 2;

/** `raw`, of 33 bits, as near to `near` as its wraps allow. */
function unwrapped(raw: number, near: number): number {
  const delta = (((raw - near) % WRAP) + WRAP) % WRAP;
  return near + (delta >= HALF ? delta - WRAP : delta);
}

/**
 * The time of one program: its stamps go on growing where 33 bits begin anew, and where the sender says that a new time
 * base begins, so that what it announced is no leap. All its tracks share it. 90 kHz.
 */
export class ProgramClock {
  /** The stamp told last, and the same before the shift. */
  #last = Number.NaN;
  #lastRaw = Number.NaN;
  #shift = 0;
  /** A new time base begins with the next stamp, so many ticks after the last; NaN: none. */
  #gap = Number.NaN;

  /** The stamp for a PTS of 33 bits. */
  stamp(pts: number): number {
    if (!Number.isNaN(this.#gap)) {
      if (!Number.isNaN(this.#last)) this.#shift = this.#last + this.#gap - pts;
      this.#lastRaw = pts;
      this.#gap = Number.NaN;
    }
    this.#lastRaw = Number.isNaN(this.#lastRaw) ? pts : unwrapped(pts, this.#lastRaw);
    this.#last = this.#lastRaw + this.#shift;
    return this.#last;
  }

  /** A new time base was announced; its first stamp is `ticks` after the last one of the old. */
  restart(ticks: number): void {
    this.#gap = Math.max(1, ticks);
  }
}

/** How far `stamp` lies after `clock`, both of 33 bits; below 0: before it. */
export function ticksAfter(stamp: number, clock: number): number {
  return unwrapped(stamp, clock) - clock;
}
