/** A hole in a device's numbers may be on its way still; after so long we ask. */
const PATIENCE_MS = 5_000;
/** A device is asked at most so often. */
const ASK_EVERY_MS = 60_000;
/** Devices asked at once: each answers with everything it has. */
const ASK_AT_ONCE = 100;

interface Gap {
  /** Monotonic ms; undefined while nothing is missing. */
  since?: number;
  because?: string;
  askedAt?: number;
  /** Acked number at which a birth left a hole open. */
  hole?: number;
}

/** Which devices have told less than they know, and when to ask them to tell it again. In memory: a restart asks anew. */
export class Gaps {
  readonly #gaps = new Map<string, Gap>();

  /** `now`: monotonic ms. */
  note(device: string, open: boolean, now: number): void {
    const gap = this.#gaps.get(device);
    if (open && gap?.since === undefined) this.#gaps.set(device, { ...gap, since: now });
    if (!open && gap !== undefined) {
      const { since: _, ...rest } = gap;
      this.#keep(device, rest);
    }
  }
  /** Ask as soon as it may be asked. */
  want(device: string, because: string): void {
    this.#gaps.set(device, { ...this.#gaps.get(device), because });
  }
  hole(device: string): number | undefined {
    return this.#gaps.get(device)?.hole;
  }
  setHole(device: string, acked: number | undefined): void {
    const { hole: _, ...rest } = this.#gaps.get(device) ?? {};
    this.#keep(device, acked === undefined ? rest : { ...rest, hole: acked });
  }
  /** The devices to ask now, and why; each counts as asked. */
  due(now: number): { device: string; because: string }[] {
    const due: { device: string; because: string }[] = [];
    for (const [device, gap] of this.#gaps) {
      if (due.length >= ASK_AT_ONCE) break;
      const rested = gap.askedAt === undefined || now - gap.askedAt >= ASK_EVERY_MS;
      if (!rested) continue;
      const missing = gap.since !== undefined && now - gap.since >= PATIENCE_MS;
      if (!missing && gap.because === undefined) {
        if (gap.since === undefined && gap.hole === undefined) this.#gaps.delete(device);
        continue;
      }
      due.push({ device, because: gap.because ?? "records are missing" });
      const { because: _, ...rest } = gap;
      this.#gaps.set(device, { ...rest, askedAt: now });
    }
    return due;
  }
  #keep(device: string, gap: Gap): void {
    if (Object.keys(gap).length === 0) this.#gaps.delete(device);
    else this.#gaps.set(device, gap);
  }
}
