import * as z from "zod/mini";
import { NONE, OVERWRITTEN, openRecords, type RecordDevice } from "../../../platform/growing-file.ts";

/** The kernel's own log, record by record: what it says before any logging program runs, and when none does. */

/** What outlives a restart of the agent. A record's number is only good within one boot. */
export const KernelState = z.object({
  boot: z.string(),
  /** Number of the first record not read yet. */
  next: z.number(),
  lost: z.number(),
  /** Milliseconds since boot; 0 for never. */
  lostAt: z.number(),
});
export type KernelState = z.infer<typeof KernelState>;

/** One record of /dev/kmsg: `6,1234,5678,-;text`, and lines of properties after it. */
export interface KernelRecord {
  seq: number;
  /** Written by the kernel itself, not through it by a program. */
  isKernel: boolean;
  /** Microseconds since boot. */
  atUs: number;
  text: string;
}

/** Parses one record (Linux, Documentation/ABI/testing/dev-kmsg); undefined when it is none. */
export function parseRecord(record: string): KernelRecord | undefined {
  const split = record.indexOf(";");
  const head = /^(\d{1,10}),(\d{1,16}),(\d{1,20}),/.exec(
    record.slice(0, Math.min(split, 100)) + (split < 0 ? "" : ","),
  );
  if (split < 0 || head === null) return undefined;
  const end = record.indexOf("\n", split);
  return {
    seq: Number(head[2]),
    isKernel: Number(head[1]) >> 3 === 0,
    atUs: Number(head[3]),
    text: record.slice(split + 1, end < 0 ? undefined : end),
  };
}

/** In one round, however many there are: the rest waits for the next. */
const MOST_RECORDS = 2_000;

export class KernelLog {
  readonly #device: RecordDevice;
  readonly #onLine: (line: string, isKernel: boolean) => void;
  #state: KernelState;
  /** Records up to here are only passed over: they were read before this start, or are from before the first. */
  #passOver: boolean;

  /** Throws the system's error. `fresh`: nothing was ever followed here, so what is there already is no news. */
  constructor(
    path: string,
    boot: string,
    state: KernelState | undefined,
    fresh: boolean,
    onLine: (line: string, isKernel: boolean) => void,
  ) {
    this.#device = openRecords(path);
    this.#onLine = onLine;
    this.#passOver = fresh;
    this.#state = state?.boot === boot ? state : { boot, next: 0, lost: state?.lost ?? 0, lostAt: 0 };
  }

  get state(): KernelState {
    return this.#state;
  }

  /** Reads what is new; true when there was something. Throws the system's error. */
  poll(now: number, more: () => boolean): boolean {
    let moved = false;
    for (let count = 0; count < MOST_RECORDS || this.#passOver; count += 1) {
      const text = this.#device.next();
      if (text === NONE) {
        this.#passOver = false;
        break;
      }
      if (text === OVERWRITTEN) continue; // the numbers tell how many
      moved = this.#take(text, now) || moved;
      if (count % 64 === 63 && !more() && !this.#passOver) break;
    }
    return moved;
  }

  close(): void {
    this.#device.close();
  }

  #take(text: string, now: number): boolean {
    const { next } = this.#state;
    if (Number(text.slice(text.indexOf(",") + 1, text.indexOf(",", text.indexOf(",") + 1))) < next) return false;
    const record = parseRecord(text);
    if (record === undefined || record.seq < next) return false;
    if (!this.#passOver && record.seq > next) {
      this.#state.lost += record.seq - next;
      this.#state.lostAt = now;
    }
    this.#state.next = record.seq + 1;
    if (!this.#passOver) this.#onLine(record.text, record.isKernel);
    return true;
  }
}
