/** Stamps of 32 bits that go on growing where they begin anew (after 49.7 days of milliseconds). */
export class Stamps32 {
  #last: number | undefined;
  #stamp = 0;

  /** `raw`: an unsigned 32-bit stamp. Nearer by way of the wrap is nearer: a stamp may also run back. */
  unwrap(raw: number): number {
    this.#stamp = this.#last === undefined ? raw : this.#stamp + ((raw - this.#last) | 0);
    this.#last = raw;
    return this.#stamp;
  }
}
