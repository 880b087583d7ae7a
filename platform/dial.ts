import { connect, isIP, type Socket } from "node:net";
import { Failure, type FailureCode } from "../protocol/failure.ts";
import type { Clock } from "./clock.ts";
import { addressesOf, type Names } from "./names.ts";

/** Who is called. */
export interface Place {
  /** A name or an address. */
  host: string;
  port: number;
}

/** The bounds of one call: it ends by its deadline, whatever the other side does or does not do. */
export interface Dial {
  clock: Clock;
  signal: AbortSignal;
  /** For everything together: name, connection, handshake, answer. */
  deadlineMs: number;
  names?: Names;
}

/** One call while it lasts: what is still open when it ends is destroyed with its signal. */
export interface Line {
  clock: Clock;
  signal: AbortSignal;
  /** Monotonic ms at which the deadline strikes. */
  endsAt: number;
  names: Names;
  /** What we wait for, as the sentence of a timeout says it. */
  phase: string;
}

const MOST_ADDRESSES = 4;

/**
 * Does `work` within the deadline. Rejects with Failure DIAL_TIMEOUT naming the phase, with the signal's reason when that
 * aborts first, or with what `work` throws.
 */
export async function onLine<T>(place: string, dial: Dial, work: (line: Line) => Promise<T>): Promise<T> {
  const { clock, signal, deadlineMs } = dial;
  signal.throwIfAborted();
  const cut = new AbortController();
  const line: Line = {
    clock,
    signal: cut.signal,
    endsAt: clock.now() + deadlineMs,
    names: dial.names ?? {},
    phase: "was begun",
  };
  const hangUp = (): void => cut.abort(signal.reason);
  signal.addEventListener("abort", hangUp, { once: true });
  const callOff = clock.after(deadlineMs, () => cut.abort(timeout(place, line, deadlineMs)));
  const ended = new Promise<never>((_, reject) => {
    cut.signal.addEventListener("abort", () => reject(cut.signal.reason), { once: true });
  });
  ended.catch(() => {}); // it also ends a call that was answered
  const working = work(line);
  working.catch(() => {}); // what it says after the end is nobody's business
  try {
    return await Promise.race([working, ended]);
  } finally {
    signal.removeEventListener("abort", hangUp);
    callOff();
    cut.abort();
  }
}

const timeout = (place: string, { phase }: Line, deadlineMs: number): Failure =>
  new Failure("DIAL_TIMEOUT", `${place} was given up after ${deadlineMs} ms, while it ${phase}`, {
    facts: { place, phase, deadlineMs },
  });

/** A socket that ends with the line, and whose late errors harm nobody. */
export function adopt<S extends Socket>(socket: S, line: Line): S {
  socket.on("error", () => {});
  const end = (): void => {
    socket.destroy();
  };
  if (line.signal.aborted) end();
  else line.signal.addEventListener("abort", end, { once: true });
  return socket;
}

export interface Connected {
  /** Name look-up and TCP handshake, milliseconds. */
  ms: number;
  address: string;
}

/** Connects, and hangs up. Rejects with Failure DIAL_*. */
export const dialTcp = (to: Place, dial: Dial): Promise<Connected> =>
  onLine(placeName(to), dial, async (line) => {
    const { ms, address } = await open(to, line);
    return { ms, address };
  });

/** How a socket to one address is begun. */
export type Begin<S extends Socket> = (address: string, port: number) => S;

const plain: Begin<Socket> = (host, port) => connect({ host, port, noDelay: true });

/** An open TCP connection of a line. Each address of the name is tried, in its share of the time. */
export const open = (to: Place, line: Line): Promise<Connected & { socket: Socket }> => openBy(plain, to, line);

/** The same with a socket of another kind. */
export async function openBy<S extends Socket>(
  begin: Begin<S>,
  to: Place,
  line: Line,
): Promise<Connected & { socket: S }> {
  const begun = line.clock.now();
  line.phase = "was looked up";
  const addresses = (await addressesOf(to.host, line.signal, line.names)).slice(0, MOST_ADDRESSES);
  line.phase = "was being connected to";
  let failure: unknown;
  for (const [i, address] of addresses.entries()) {
    const share = (line.endsAt - line.clock.now()) / (addresses.length - i);
    const socket = adopt(begin(address, to.port), line);
    try {
      await connected(socket, i + 1 < addresses.length ? share : undefined, line);
      return { ms: line.clock.now() - begun, address, socket };
    } catch (cause) {
      socket.destroy();
      line.signal.throwIfAborted();
      failure = cause;
    }
  }
  throw failureOf(placeName(to), failure);
}

async function connected(socket: Socket, waitMs: number | undefined, { clock }: Line): Promise<void> {
  const settled = new AbortController();
  const answers = [event(socket, "connect")];
  if (waitMs !== undefined)
    answers.push(
      clock.sleep(waitMs, settled.signal).then(() => {
        throw Object.assign(new Error("no answer"), { code: "ETIMEDOUT" });
      }),
    );
  try {
    await Promise.race(answers);
  } finally {
    settled.abort();
    for (const answer of answers) answer.catch(() => {}); // the slower one is nobody's business
  }
}

/** Resolves with the first `name` of a socket; rejects with its error, or when it closes before. */
export function event(socket: Socket, name: "connect" | "secureConnect" | "readable"): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(name, () => resolve());
    socket.once("error", reject);
    socket.once("close", () => reject(Object.assign(new Error("closed"), { code: "ECONNRESET" })));
  });
}

const CODES: Readonly<Record<string, FailureCode>> = {
  ECONNREFUSED: "DIAL_REFUSED",
  EHOSTUNREACH: "DIAL_UNREACHABLE",
  ENETUNREACH: "DIAL_UNREACHABLE",
  EHOSTDOWN: "DIAL_UNREACHABLE",
  ENETDOWN: "DIAL_UNREACHABLE",
  ETIMEDOUT: "DIAL_UNREACHABLE",
  ECONNRESET: "DIAL_RESET",
  ECONNABORTED: "DIAL_RESET",
  EPIPE: "DIAL_RESET",
};
const SAYS: Partial<Record<FailureCode, string>> = {
  DIAL_REFUSED: "nothing listens there",
  DIAL_UNREACHABLE: "no way there",
  DIAL_RESET: "the other side cut the connection",
};

/** The typed failure for what a socket said; a Failure stays as it is. */
export function failureOf(place: string, cause: unknown): Failure {
  if (cause instanceof Failure) return cause;
  const reason = reasonOf(cause);
  const code = CODES[reason] ?? (reason.startsWith("HPE_") ? "DIAL_PROTOCOL" : "DIAL_LOCAL");
  const says = SAYS[code] ?? (code === "DIAL_PROTOCOL" ? "the answer is no HTTP" : "the connection failed here");
  return new Failure(code, `${place}: ${says}, ${reason}`, { facts: { place, errno: reason }, cause });
}

/** The system's or the library's code; without one the message, on one line. */
export function reasonOf(cause: unknown): string {
  if (cause instanceof Error && "code" in cause && typeof cause.code === "string") return cause.code;
  return String(cause instanceof Error ? cause.message : cause)
    .replace(/\p{C}+/gu, " ")
    .slice(0, 120);
}

/** `host:port`, an IPv6 address in brackets. */
export const placeName = ({ host, port }: Place): string =>
  isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
