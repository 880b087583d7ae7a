import type { Sample } from "../history-store.ts";

/** A committed telemetry message. */
export interface Told {
  device: string;
  code: string;
  body: { ts: number };
  /** The JSON of its figures as it came: what waits as one text costs the memory far less than as an object of numbers. */
  raw: string;
  /** Wall clock at arrival, epoch ms. */
  receivedAt: number;
  /** Bytes of its payload. */
  size: number;
}

/** A device's clock is believed from so long ago to so far ahead of ours; outside of it the time of arrival stands. */
const BELIEVED_PAST_MS = 31 * 86_400_000;
const BELIEVED_AHEAD_MS = 5 * 60_000;
/** What may wait for the disk. */
const MOST_WAITING = 20_000;
const MOST_WAITING_BYTES = 8_388_608;
/** Series whose last stretch is remembered; one that is forgotten is only asked about further in. */
const MOST_REMEMBERED = 20_000;

/** Under which time figures are filed, epoch ms: the device's own, as long as it can be true. */
export const fileTime = (ts: number, receivedAt: number): number =>
  ts > receivedAt + BELIEVED_AHEAD_MS || ts < receivedAt - BELIEVED_PAST_MS ? receivedAt : ts;

/** Samples on their way into the history: bounded, and of each series one for each stretch of time. */
export class Waiting {
  readonly #everyMs: number;
  #samples: (Omit<Sample, "figures"> & { raw: string; size: number })[] = [];
  #bytes = 0;
  /** By device and code: the newest stretch that has a sample. */
  readonly #stretches = new Map<string, number>();
  /** Given up because too much waited. */
  dropped = 0;

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }
  get size(): number {
    return this.#samples.length;
  }

  take({ device, code, body, raw, receivedAt, size }: Told): void {
    const ts = fileTime(body.ts, receivedAt);
    const stretch = Math.floor(ts / this.#everyMs);
    const key = `${device}/${code}`;
    const newest = this.#stretches.get(key);
    if (newest === stretch) return;
    if (this.#samples.length >= MOST_WAITING || this.#bytes + size > MOST_WAITING_BYTES) {
      this.dropped += 1;
      return;
    }
    this.#samples.push({ device, code, ts, raw, size });
    this.#bytes += size;
    if (newest !== undefined && newest > stretch) return; // a late one: the newest stretch stays known
    if (newest === undefined && this.#stretches.size >= MOST_REMEMBERED) {
      const [oldest] = this.#stretches.keys();
      if (oldest !== undefined) this.#stretches.delete(oldest);
    }
    this.#stretches.set(key, stretch);
  }

  /** The first that came, at most `count`, each read when its turn comes; they wait until `done` says they are on the disk. */
  *first(count: number): Generator<Sample> {
    for (const { device, code, ts, raw } of this.#samples.slice(0, count)) {
      yield { device, code, ts, figures: JSON.parse(raw) };
    }
  }
  done(count: number): void {
    for (const { size } of this.#samples.slice(0, count)) this.#bytes -= size;
    this.#samples = this.#samples.slice(count);
  }
}
