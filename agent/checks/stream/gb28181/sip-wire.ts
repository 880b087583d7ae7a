import { createSocket } from "node:dgram";
import { isIP } from "node:net";
import { failureOf, type Line, open, type Place, placeName } from "../../../../platform/dial.ts";
import { addressesOf } from "../../../../platform/names.ts";
import { messageBytes, type SipResponse, sipResponse } from "./sip-response.ts";

/** A way to one SIP server, over which whole messages go and responses come; it ends with its line. */
export interface SipWire {
  readonly local: { address: string; port: number };
  /** Whether what is sent arrives or the wire breaks: then nothing is sent twice. */
  readonly reliable: boolean;
  send(message: string): void;
  /** Who hears the responses from now on. */
  hear(take: (response: SipResponse) => void): void;
  /** Rejects with a Failure when the wire breaks, or what comes over TCP is no SIP. Never resolves. */
  readonly broken: Promise<never>;
  /** What was wrong with the last datagram that was no SIP: anybody may send one in the server's name, so none breaks the wire. */
  readonly strange?: unknown;
}

/** A UDP socket of our own that hears this server alone; a port where nothing listens tells so (ICMP). */
export async function udpWire(to: Place, line: Line, localPort = 0): Promise<SipWire> {
  const [address = ""] = await addressesOf(to.host, line.signal, line.names);
  const broken = Promise.withResolvers<never>();
  broken.promise.catch(() => {}); // it may break after the answer has come
  const fail = (cause: unknown): void => broken.reject(failureOf(placeName(to), cause));
  const socket = createSocket(isIP(address.split("%")[0] ?? "") === 6 ? "udp6" : "udp4");
  let take = (_: SipResponse): void => {};
  let strange: unknown;
  socket.on("error", fail);
  socket.on("message", (bytes) => {
    try {
      const response = sipResponse(bytes);
      if (response !== undefined) take(response);
    } catch (cause) {
      strange = cause;
    }
  });
  const end = (): void => {
    socket.removeAllListeners("message");
    socket.close();
  };
  if (line.signal.aborted) end();
  else line.signal.addEventListener("abort", end, { once: true });
  const connected = new Promise<void>((done) => {
    socket.bind(localPort, () => {
      if (line.signal.aborted) return;
      socket.once("connect", done); // a callback would be called for its failure, too
      socket.connect(to.port, address);
    });
  });
  await Promise.race([connected, broken.promise]);
  return {
    local: socket.address(),
    reliable: false,
    send: (message) =>
      socket.send(message, (cause) => {
        if (cause !== null) fail(cause);
      }),
    hear: (next) => {
      take = next;
    },
    broken: broken.promise,
    get strange() {
      return strange;
    },
  };
}

export async function tcpWire(to: Place, line: Line): Promise<SipWire> {
  const { socket } = await open(to, line);
  const broken = Promise.withResolvers<never>();
  broken.promise.catch(() => {}); // it may break after the answer has come
  const fail = (cause: unknown): void => {
    broken.reject(failureOf(placeName(to), cause));
    socket.destroy();
  };
  let take = (_: SipResponse): void => {};
  let unread: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    try {
      unread = unread.length === 0 ? chunk : Buffer.concat([unread, chunk]);
      unread = withoutPings(unread);
      for (let whole = messageBytes(unread); whole > 0; whole = messageBytes(unread)) {
        const response = sipResponse(unread.subarray(0, whole));
        unread = withoutPings(unread.subarray(whole));
        if (response !== undefined) take(response);
      }
    } catch (cause) {
      fail(cause);
    }
  });
  socket.on("error", fail);
  socket.on("close", () => fail(Object.assign(new Error("closed"), { code: "ECONNRESET" })));
  return {
    local: { address: socket.localAddress ?? "0.0.0.0", port: socket.localPort ?? 0 },
    reliable: true,
    send: (message) => void socket.write(message),
    hear: (next) => {
      take = next;
    },
    broken: broken.promise,
  };
}

/** Empty lines between messages keep a NAT open (RFC 5626 §3.5.1). */
function withoutPings(bytes: Buffer): Buffer {
  let from = 0;
  while (bytes[from] === 0x0d || bytes[from] === 0x0a) from += 1;
  return bytes.subarray(from);
}
