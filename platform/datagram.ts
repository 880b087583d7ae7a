import { createSocket } from "node:dgram";
import { isIP } from "node:net";

/**
 * Sends one datagram to an address and gives back what `take` makes of an answer; what it makes undefined of is passed
 * over. Rejects with the socket's error (ECONNREFUSED where nothing listens), with what `take` throws, or with the
 * signal's reason; it has no deadline of its own.
 */
export function askDatagram<T>(
  { address, port }: { address: string; port: number },
  request: Uint8Array,
  take: (bytes: Uint8Array) => T | undefined,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const socket = createSocket(isIP(address.split("%")[0] ?? "") === 6 ? "udp6" : "udp4");
  const cut = (): void => reject(signal.reason);
  signal.addEventListener("abort", cut, { once: true });
  socket.on("error", reject);
  socket.on("message", (bytes) => {
    try {
      const taken = take(bytes);
      if (taken !== undefined) resolve(taken);
    } catch (cause) {
      reject(cause);
    }
  });
  // Not as the callback of `connect`: that is called for its failure, too, and `send` then throws out of it.
  socket.once("connect", () => {
    socket.send(request, (error) => {
      if (error !== null) reject(error);
    });
  });
  socket.connect(port, address);
  return promise.finally(() => {
    signal.removeEventListener("abort", cut);
    socket.close();
  });
}
