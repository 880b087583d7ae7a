/** A document that `info` names may be on its way still; after so long we ask. */
const PATIENCE_MS = 5_000;
/** Pauses between two questions to one device: four times as long each time, up to six hours. */
const AGAIN = { firstMs: 60_000, mostMs: 6 * 3_600_000, growth: 4 };
/** A device that says again what we lack is there: asked sooner than its turn, but no sooner than this. */
const REMINDED_MS = 600_000;
/** Devices asked in one round: each answers with tens of kilobytes. */
const ASK_AT_ONCE = 20;
/** Documents of one device that may be new: so many at once, one more in so long. A faulty one must not keep us writing. */
const NEW = { burst: 4, everyMs: 60_000 };

interface Want {
  /** Undefined while `info` names none: when it was asked last is remembered. */
  hash: string | undefined;
  askAt: number;
  askedAt: number;
  pauseMs: number;
}

/** Whose inventory do we have, and whom must we ask for it? In memory: filled from the store at the start. All times monotonic ms. */
export class InventoryLibrary {
  readonly #stored: Map<string, string>;
  readonly #wanted = new Map<string, Want>();
  /** By device: when its bucket of new documents is full again. */
  readonly #spent = new Map<string, number>();

  constructor(stored: ReadonlyMap<string, string> = new Map()) {
    this.#stored = new Map(stored);
  }

  has(device: string, hash: string): boolean {
    return this.#stored.get(device) === hash;
  }

  /** Whether one more document that we do not have is taken of this device now. */
  admits(device: string, now: number): boolean {
    if (this.#spent.size > 10_000) for (const [one, full] of this.#spent) if (full <= now) this.#spent.delete(one);
    const full = Math.max(this.#spent.get(device) ?? now, now) + NEW.everyMs;
    if (full - now > NEW.burst * NEW.everyMs) return false;
    this.#spent.set(device, full);
    return true;
  }

  /** A document was committed. */
  stored(device: string, hash: string): void {
    this.#stored.set(device, hash);
    const want = this.#wanted.get(device);
    if (want?.hash === hash) this.#wanted.delete(device);
  }

  /** `info` names this document, or none. */
  said(device: string, hash: string | undefined, now: number): void {
    const known = this.#wanted.get(device);
    if (hash === undefined) {
      if (known !== undefined) known.hash = undefined;
      return;
    }
    if (this.has(device, hash)) {
      this.#wanted.delete(device);
      return;
    }
    const askAt = now + PATIENCE_MS;
    if (known === undefined) {
      this.#wanted.set(device, { hash, askAt, askedAt: Number.NEGATIVE_INFINITY, pauseMs: AGAIN.firstMs });
      return;
    }
    known.hash = hash;
    known.askAt = Math.min(known.askAt, Math.max(askAt, known.askedAt + REMINDED_MS));
  }

  /** The devices to ask now; each counts as asked. */
  due(now: number): string[] {
    const due: string[] = [];
    for (const [device, want] of this.#wanted) {
      if (due.length >= ASK_AT_ONCE) break;
      if (want.askAt > now || want.hash === undefined) continue;
      due.push(device);
      want.askedAt = now;
      want.askAt = now + want.pauseMs;
      want.pauseMs = Math.min(want.pauseMs * AGAIN.growth, AGAIN.mostMs);
    }
    return due;
  }
}
