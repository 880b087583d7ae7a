import type { PesTrack } from "./pes.ts";
import type { Sections } from "./psi.ts";

/** What is known of one PID: its continuity counter, and what its payload is. */
export class Pid {
  pes: PesTrack | undefined;
  sections: Sections | undefined;
  received = 0;
  lost = 0;
  duplicates = 0;
  #counter = -1;
  #print = 0;
  #repeated = false;

  /**
   * The next packet with a payload, its counter, and whether a break of it was announced. Returns how many packets are
   * missing before it (at least: the counter has 4 bits), 0 where it follows, -1 where it repeats the last, which a sender
   * may do once (§2.4.3.3).
   */
  next(counter: number, bytes: Uint8Array, start: number, announced: boolean): number {
    const last = this.#counter;
    // Three bytes tell a repeated packet from one that comes after 15 lost ones.
    const print = ((bytes[start + 187] ?? 0) << 16) | ((bytes[start + 121] ?? 0) << 8) | (bytes[start + 63] ?? 0);
    const isSame = counter === last && print === this.#print;
    this.#counter = counter;
    this.#print = print;
    if (isSame && !this.#repeated && !announced) {
      this.#repeated = true;
      this.duplicates += 1;
      return -1;
    }
    this.#repeated = false;
    this.received += 1;
    const missing = (counter - last - 1) & 0x0f;
    if (missing === 0 || last < 0 || announced) return 0;
    this.lost += missing;
    return missing;
  }

  /** What comes next follows nothing. */
  forget(): void {
    this.#counter = -1;
    this.#repeated = false;
    this.sections?.gap();
  }
}
