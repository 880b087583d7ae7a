import type { Clock } from "../../../../platform/clock.ts";
import { type GrowingFile, type Look, lookAt, openGrowing } from "../../../../platform/growing-file.ts";
import { Failure } from "../../../../protocol/failure.ts";
import type { LookPassive, PassiveFacts } from "../passive.ts";
import { type SrtRecord, SrtTotals, srtRecord } from "./records.ts";

/** How does an SRT connection do, by the statistics that srt-live-transmit writes about it? */

export interface SrtStatsOptions {
  /** What `-statsout:` names. */
  file: string;
}

/** The program writes a record after so many packets (`-s`), not after a time: no packets, no records. */
const MISSED_INTERVALS = 3;
const LEAST_STALE_MS = 3_000;
/** Until two records have shown how often they come. */
const FIRST_STALE_MS = 30_000;
/** Read at one look at most: about eighty records. What is before them is passed over. */
const MOST_BYTES = 65_536;

/**
 * Looks at the statistics file of `srt-live-transmit -s N -pf json -statsout:FILE`: what was written since the last look.
 * Counters go on through a new connection, a rotated or a truncated file. The first look only sets the beginning. Rejects
 * with Failure STREAM_ENDED when no record came for three times their usual distance (at least 3 s): nothing is received,
 * or nobody is connected; FILE_UNUSABLE when there is no such file.
 */
export function lookSrtStats({ file }: SrtStatsOptions, { clock }: { clock: Clock }): LookPassive {
  const tail = new Tail(file);
  const totals = new SrtTotals();
  let last: SrtRecord | undefined;
  let freshAt: number | undefined;
  let everyMs: number | undefined;
  return async (signal) => {
    signal.throwIfAborted();
    const records = tail.read();
    const at = clock.now();
    const first = freshAt === undefined;
    // what was there before we came says nothing of now: its counters only begin ours
    for (const record of records) {
      if (last?.sid === record.sid && record.timeMs > last.timeMs) everyMs = record.timeMs - last.timeMs;
      last = record;
      totals.add(record);
    }
    freshAt = records.length > 0 ? at : (freshAt ?? at);
    const staleMs = everyMs === undefined ? FIRST_STALE_MS : Math.max(LEAST_STALE_MS, MISSED_INTERVALS * everyMs);
    if (at - freshAt > staleMs) throw stale(file, at - freshAt);
    return facts(at, totals, last, !first && records.length > 0);
  };
}

const stale = (file: string, ms: number): Failure =>
  new Failure("STREAM_ENDED", `the SRT statistics stand still for ${Math.round(ms / 100) / 10} s: nothing comes in`, {
    facts: { file, how: "stats stand still", ms: Math.round(ms) },
  });

function facts(at: number, totals: SrtTotals, last: SrtRecord | undefined, fresh: boolean): PassiveFacts {
  const { inBytes, outBytes, lost, retransmitted } = totals;
  if (last === undefined) return { at, inBytes, outBytes, says: "no SRT statistics yet" };
  const rate = Math.max(last.recv.mbitRate, last.send.mbitRate);
  const { rttMs } = last;
  return {
    at,
    inBytes,
    outBytes,
    lost,
    ...(fresh && { fed: true }),
    ...(rttMs !== undefined && { rttMs }),
    says: `SRT ${rate.toFixed(2)} Mbit/s, round trip ${(rttMs ?? 0).toFixed(1)} ms, ${lost} packets lost, ${retransmitted} sent again`,
  };
}

/** The lines added to a file that others write, whatever becomes of its name meanwhile. */
class Tail {
  readonly #path: string;
  #ino = -1;
  #dev = -1;
  #position = 0;
  #begun = "";

  constructor(path: string) {
    this.#path = path;
  }

  /** Throws Failure FILE_UNUSABLE. */
  read(): SrtRecord[] {
    const now = this.#look();
    if (now.ino !== this.#ino || now.dev !== this.#dev || now.size < this.#position) {
      this.#ino = now.ino;
      this.#dev = now.dev;
      this.#position = 0;
      this.#begun = "";
    }
    if (now.size === this.#position) return [];
    if (now.size - this.#position > MOST_BYTES) {
      this.#position = now.size - MOST_BYTES;
      this.#begun = "";
    }
    const lines = (this.#begun + this.#text(now.size - this.#position)).split("\n");
    const rest = lines.pop() ?? "";
    this.#begun = rest.length <= MOST_BYTES ? rest : ""; // no record is so long
    return lines.flatMap((line) => srtRecord(line) ?? []);
  }

  #look(): Look {
    const now = this.#system(() => lookAt(this.#path));
    if (now?.kind === "file") return now;
    throw unusable(this.#path, now === undefined ? "there is none" : "it is no plain file");
  }

  #text(length: number): string {
    return this.#system(() => {
      const opened: GrowingFile | undefined = openGrowing(this.#path);
      if (opened === undefined) return "";
      try {
        const bytes = Buffer.allocUnsafe(length);
        const count = opened.read(bytes, length, this.#position);
        this.#position += count;
        return bytes.toString("latin1", 0, count);
      } finally {
        opened.close();
      }
    });
  }

  #system<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      throw unusable(this.#path, cause instanceof Error && "code" in cause ? String(cause.code) : "unreadable", cause);
    }
  }
}

const unusable = (path: string, reason: string, cause?: unknown): Failure =>
  new Failure("FILE_UNUSABLE", `cannot use ${path}: ${reason}`, { facts: { path, reason }, cause });
