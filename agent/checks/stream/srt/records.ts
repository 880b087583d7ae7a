/** What one record of `srt-live-transmit -pf json` says: counters of the connection, received by it or sent. */
export interface SrtRecord {
  /** The connection; another number is another connection. */
  sid: number;
  /** Since the connection began, ms. */
  timeMs: number;
  rttMs?: number;
  recv: SrtSide;
  send: SrtSide;
}

/** One direction of a record. The counters are since the record before, or since the beginning with `-fullstats`. */
export interface SrtSide {
  bytes: number;
  packets: number;
  lost: number;
  retransmitted: number;
  mbitRate: number;
}

const LONGEST_RECORD = 8_192;

/**
 * Reads one line of the statistics file. Undefined for everything that is no whole record: a line still being written, the
 * frame of an array (older versions), another program's line. Never throws.
 */
export function srtRecord(line: string): SrtRecord | undefined {
  const text = line
    .trim()
    .replace(/^\[/, "")
    .replace(/[,\]]$/, "");
  if (!text.startsWith("{") || text.length > LONGEST_RECORD) return undefined;
  const whole = fields(parsed(text));
  const timeMs = number(whole["time"]);
  if (timeMs === undefined || whole["recv"] === undefined) return undefined;
  const rttMs = number(fields(whole["link"])["rtt"]);
  return {
    sid: number(whole["sid"]) ?? 0,
    timeMs,
    recv: side(whole["recv"]),
    send: side(whole["send"]),
    ...(rttMs !== undefined && { rttMs }),
  };
}

/**
 * Adds records up to counters that never run back, whichever way the program counts. By default it begins anew with each
 * record; with `-fullstats` it goes on counting. A record tells which: its own rate says over how long it counted.
 */
export class SrtTotals {
  inBytes = 0;
  outBytes = 0;
  lost = 0;
  retransmitted = 0;
  #last: SrtRecord | undefined;

  add(record: SrtRecord): void {
    const before = this.#last?.sid === record.sid && this.#last.timeMs <= record.timeMs ? this.#last : undefined;
    const old = before !== undefined && countsOn(record, before) ? before : undefined;
    this.inBytes += grown(record.recv.bytes, old?.recv.bytes);
    this.outBytes += grown(record.send.bytes, old?.send.bytes);
    this.lost += grown(record.recv.lost, old?.recv.lost);
    this.retransmitted += grown(record.recv.retransmitted, old?.recv.retransmitted);
    this.#last = record;
  }
}

/** Whether the counters of a record go on from those before it. */
function countsOn(record: SrtRecord, before: SrtRecord): boolean {
  const { bytes, mbitRate } = record.recv.bytes > 0 ? record.recv : record.send;
  if (bytes <= 0 || mbitRate <= 0) return false;
  const countedMs = (bytes * 8) / (mbitRate * 1_000);
  const sinceMs = record.timeMs - before.timeMs;
  return Math.abs(countedMs - record.timeMs) < Math.abs(countedMs - sinceMs);
}

/** A counter that is smaller than it was has begun anew. */
const grown = (now: number, before = 0): number => (now >= before ? now - before : now);

function side(value: unknown): SrtSide {
  const { bytes, packets, packetsLost, packetsRetransmitted, mbitRate } = fields(value);
  return {
    bytes: number(bytes) ?? 0,
    packets: number(packets) ?? 0,
    lost: number(packetsLost) ?? 0,
    retransmitted: number(packetsRetransmitted) ?? 0,
    mbitRate: number(mbitRate) ?? 0,
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const fields = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? { ...value } : {};

const number = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
