import type { Clock } from "../../platform/clock.ts";

/** A clock that moves only when wound. `wind` runs everything due in order and lets the code between awaits run. */
export class HandClock implements Clock {
  #now = 0;
  #wall: number;
  #waiting: { due: number; wake: () => void }[] = [];

  constructor(wall = Date.UTC(2026, 10, 22, 9, 0, 0)) {
    this.#wall = wall;
  }
  now(): number {
    return this.#now;
  }
  wall(): number {
    return this.#wall;
  }
  /** Sets the wall clock as an administrator, NTP or a dead battery would; `now` does not notice. */
  setWall(wall: number): void {
    this.#wall = wall;
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const entry = { due: this.#now + Math.max(0, ms), wake: resolve };
      this.#waiting.push(entry);
      signal?.addEventListener(
        "abort",
        () => {
          this.#waiting = this.#waiting.filter((other) => other !== entry);
          reject(signal.reason);
        },
        { once: true },
      );
    });
  }
  after(ms: number, work: () => void): () => void {
    const entry = { due: this.#now + Math.max(0, ms), wake: work };
    this.#waiting.push(entry);
    return () => {
      this.#waiting = this.#waiting.filter((other) => other !== entry);
    };
  }
  every(ms: number, work: () => void): () => void {
    let callOff = (): void => {};
    const plan = (): void => {
      callOff = this.after(Math.max(1, ms), () => {
        plan(); // before: the work may call it off
        work();
      });
    };
    plan();
    return () => callOff();
  }
  async wind(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (;;) {
      const next = this.#waiting.toSorted((a, b) => a.due - b.due)[0];
      if (next === undefined || next.due > end) break;
      this.#waiting = this.#waiting.filter((other) => other !== next);
      this.#advance(next.due);
      next.wake();
      await settle();
    }
    this.#advance(end);
    await settle();
  }
  #advance(to: number): void {
    this.#wall += to - this.#now;
    this.#now = to;
  }
}

/** Lets promises and immediates that are ready run, a few rounds deep. */
async function settle(): Promise<void> {
  for (let i = 0; i < 4; i += 1) await new Promise((done) => setImmediate(done));
}
