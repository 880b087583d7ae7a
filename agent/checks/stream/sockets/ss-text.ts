/** One TCP socket of a server as `ss -tin` tells it. */
export interface SocketLine {
  /** Both ends: what tells one socket from another while it lives. */
  name: string;
  established: boolean;
  /** Bytes that came in. */
  inBytes: number;
  /** Bytes the other side has acknowledged; those sent, where the kernel does not count these. */
  outBytes: number;
}

const MOST_SOCKETS = 1_024;

/**
 * Reads what `ss -tinH` prints: a line with the two ends for each socket, its counters indented on the next. A counter that
 * is not told is 0. Lines that are neither are passed over; at most 1,024 sockets are taken.
 */
export function socketLines(text: string): SocketLine[] {
  const sockets: SocketLine[] = [];
  for (const line of text.split("\n")) {
    const words = line.trim().split(/\s+/);
    const indented = line.startsWith("\t") || line.startsWith(" ");
    const last = sockets.at(-1);
    if (indented && last !== undefined) {
      last.inBytes = counter(words, "bytes_received:");
      last.outBytes = counter(words, "bytes_acked:") || counter(words, "bytes_sent:");
    } else if (!indented && words.length >= 5 && sockets.length < MOST_SOCKETS) {
      const [state = "", , , here = "", there = ""] = words;
      sockets.push({ name: `${here} ${there}`, established: state === "ESTAB", inBytes: 0, outBytes: 0 });
    } else if (!indented && words.length >= 5) break;
  }
  return sockets;
}

function counter(words: readonly string[], name: string): number {
  const word = words.find((one) => one.startsWith(name));
  const value = word === undefined ? 0 : Number(word.slice(name.length));
  return Number.isSafeInteger(value) && value >= 0 ? value : 0;
}
