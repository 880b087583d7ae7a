import type { Socket } from "node:net";
import { type Begin, type Connected, type Dial, onLine, open, openBy, type Place, placeName } from "./dial.ts";
import { openTrusted, type TlsOptions } from "./dial-tls.ts";

export interface Kept extends Connected {
  /** The caller's from now on, to destroy as well; its errors harm nobody. */
  socket: Socket;
}

/**
 * Connects within the deadline and leaves the connection open: it outlives the call. With `tls` the certificate is
 * verified before it resolves; `begin` begins a connection without. Rejects with Failure DIAL_*, DIAL_UNTRUSTED among them, or with the signal's reason.
 */
export async function dialKept(
  to: Place,
  tls: TlsOptions | undefined,
  dial: Dial,
  begin?: Begin<Socket>,
): Promise<Kept> {
  const hold = new AbortController();
  try {
    return await onLine(placeName(to), dial, async (line) => {
      const { signal } = line;
      const drop = (): void => hold.abort(signal.reason);
      signal.addEventListener("abort", drop, { once: true });
      line.signal = hold.signal; // a socket lives as long as its line's signal, and that of a call ends with the call
      const plain = (): ReturnType<typeof open> => (begin === undefined ? open(to, line) : openBy(begin, to, line));
      const { ms, address, socket } = await (tls === undefined ? plain() : openTrusted(to, tls, line));
      signal.throwIfAborted();
      signal.removeEventListener("abort", drop);
      return { ms, address, socket };
    });
  } catch (cause) {
    hold.abort(cause);
    throw cause;
  }
}
