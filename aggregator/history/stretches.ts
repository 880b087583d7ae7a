/** A device's clock is believed from so long ago to so far ahead of ours; outside of it the time of arrival stands. */
const BELIEVED_PAST_MS = 31 * 86_400_000;
const BELIEVED_AHEAD_MS = 5 * 60_000;
/** Series whose last stretch is remembered; one that is forgotten is only asked about further in. */
const MOST_REMEMBERED = 20_000;

/** Under which time figures are filed, epoch ms: the device's own, as long as it can be true. */
export const fileTime = (ts: number, receivedAt: number): number =>
  ts > receivedAt + BELIEVED_AHEAD_MS || ts < receivedAt - BELIEVED_PAST_MS ? receivedAt : ts;

/** Of each code of a device one sample for each stretch of time is enough. */
export class Stretches {
  readonly #everyMs: number;
  /** By device and code: the newest stretch that has a sample. */
  readonly #newest = new Map<string, number>();

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  /** Whether a sample of this time is the first of its stretch, as far as is remembered. */
  isFirst(device: string, code: string, ts: number): boolean {
    const stretch = Math.floor(ts / this.#everyMs);
    const key = `${device}/${code}`;
    const newest = this.#newest.get(key);
    if (newest === stretch) return false;
    if (newest !== undefined && newest > stretch) return true; // a late one: the newest stretch stays known
    if (newest === undefined && this.#newest.size >= MOST_REMEMBERED) {
      const [oldest] = this.#newest.keys();
      if (oldest !== undefined) this.#newest.delete(oldest);
    }
    this.#newest.set(key, stretch);
    return true;
  }
}
