/** What a sign of life may need from the device's clock into our rows, milliseconds: two heartbeats and this are silence. */
const GRACE_MS = 400;

interface Watched {
  seenAt: number;
  limitMs: number;
}

/**
 * Who has not been heard for two heartbeats? Pure bookkeeping on monotonic milliseconds. A device is looked at only when
 * its time may be up (a heap by that time), so ten thousand of them cost nothing while they talk.
 */
export class SilenceWatch {
  readonly #watched = new Map<string, Watched>();
  readonly #heap: { due: number; device: string }[] = [];
  /** Nobody could be heard before this. */
  #floor = 0;
  #deaf = true;

  /** A sign of life at `at`; the next is expected within `heartbeatS` seconds. */
  heard(device: string, at: number, heartbeatS: number): void {
    const limitMs = 2_000 * heartbeatS + GRACE_MS;
    const known = this.#watched.get(device);
    if (known === undefined) {
      this.#watched.set(device, { seenAt: at, limitMs });
      this.#push(at + limitMs, device);
      return;
    }
    const sooner = limitMs < known.limitMs;
    known.seenAt = Math.max(known.seenAt, at);
    known.limitMs = limitMs;
    if (sooner) this.#push(known.seenAt + limitMs, device);
  }
  /** It said goodbye, or its silence is known: not watched until it is heard again. */
  forget(device: string): void {
    this.#watched.delete(device);
  }
  /** We hear nobody: our own line is down, or we do not keep up. */
  deafen(): void {
    this.#deaf = true;
  }
  /** We hear again: every device gets its full time from `now`. */
  listen(now: number): void {
    this.#floor = now;
    this.#deaf = false;
  }
  /** We did not keep up at `now`: what was said may still wait for us. */
  late(now: number): void {
    if (!this.#deaf) this.#floor = now;
  }
  has(device: string): boolean {
    return this.#watched.has(device);
  }
  /** Devices that are silent at `now`; each is told once, and then forgotten. */
  sweep(now: number): string[] {
    const silent: string[] = [];
    if (this.#deaf) return silent;
    for (let top = this.#heap[0]; top !== undefined && top.due <= now; top = this.#heap[0]) {
      this.#pop();
      const watched = this.#watched.get(top.device);
      if (watched === undefined) continue;
      const due = Math.max(watched.seenAt, this.#floor) + watched.limitMs;
      if (due > now) this.#push(due, top.device);
      else {
        this.#watched.delete(top.device);
        silent.push(top.device);
      }
    }
    return silent;
  }
  get size(): number {
    return this.#watched.size;
  }

  #push(due: number, device: string): void {
    const heap = this.#heap;
    heap.push({ due, device });
    for (let at = heap.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!this.#swapped(parent, at)) return;
      at = parent;
    }
  }
  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    heap[0] = last;
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      const least = this.#due(right) < this.#due(left) ? right : left;
      if (!this.#swapped(at, least)) return;
      at = least;
    }
  }
  #due(at: number): number {
    return this.#heap[at]?.due ?? Number.POSITIVE_INFINITY;
  }
  /** Swaps when the one further down is due earlier. */
  #swapped(upper: number, lower: number): boolean {
    const [a, b] = [this.#heap[upper], this.#heap[lower]];
    if (a === undefined || b === undefined || a.due <= b.due) return false;
    this.#heap[upper] = b;
    this.#heap[lower] = a;
    return true;
  }
}
