/** More is no keyframe worth looking at: 4K at the finest is under 1.5 MB. */
const MOST_BYTES = 2 * 1024 * 1024;
const START_CODE = new Uint8Array([0, 0, 0, 1]);

/** A keyframe being kept, as an Annex B byte stream or as a JPEG. It grows with what comes, up to 2 MiB. */
export class KeptPicture {
  #bytes = Buffer.allocUnsafeSlow(64 * 1024);
  #length = 0;

  /** Begins with these NAL units: the parameter sets. */
  constructor(sets: Iterable<Uint8Array>) {
    for (const set of sets) {
      this.add(START_CODE, 0, 4);
      this.add(set, 0, set.length);
    }
  }

  /** A NAL unit begins, with this header of one byte or of `two`. False: too large. */
  begin(header: number, two: boolean): boolean {
    if (!this.#room(6)) return false;
    this.#bytes.set(START_CODE, this.#length);
    this.#length += 4;
    if (two) this.#bytes[this.#length++] = header >> 8;
    this.#bytes[this.#length++] = header & 0xff;
    return true;
  }

  /** False: too large. */
  add(bytes: Uint8Array, from: number, to: number): boolean {
    if (!this.#room(to - from)) return false;
    this.#bytes.set(bytes.subarray(from, to), this.#length);
    this.#length += to - from;
    return true;
  }

  /** What was kept; nothing is added to it after. */
  take(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #room(more: number): boolean {
    const needed = this.#length + more;
    if (needed > MOST_BYTES) return false;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(MOST_BYTES, Math.max(needed, this.#bytes.length * 2)));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    return true;
  }
}
