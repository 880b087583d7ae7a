import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { isIP } from "node:net";
import { Failure } from "../protocol/failure.ts";

/** Two UDP ports side by side, the first one even: RTP and RTCP (RFC 3550 §11). */
export interface DatagramPair {
  /** The even one; the other is one above. */
  readonly port: number;
  /** Sends from the first (0) or second (1) port to a port of the peer; what cannot be sent is lost, as UDP is. */
  send(from: 0 | 1, toPort: number, bytes: Uint8Array): void;
  close(): void;
}

/** Hears a datagram of the peer on the first (0) or second (1) port. Must not throw. */
export type HearDatagram = (on: 0 | 1, bytes: Buffer) => void;

const RECEIVE_BYTES = 2 << 20;
const MOST_TRIES = 50;

/**
 * Opens a pair at `local` that hears `peer` and nobody else; both are IP addresses of one family. A receive buffer of
 * 2 MiB is asked for, since a keyframe comes in one burst; the kernel may grant less (net.core.rmem_max). Rejects with Failure DIAL_LOCAL.
 */
export async function openDatagramPair(local: string, peer: string, hear: HearDatagram): Promise<DatagramPair> {
  let last: unknown;
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const first = await bound(local, 0);
    if (first instanceof Error) {
      last = first;
      continue;
    }
    const port = first.address().port;
    // an odd one only shows where there is room: its lower neighbour, most often, is free as well
    const second = await bound(local, port % 2 === 0 ? port + 1 : port - 1);
    if (!(second instanceof Error)) return port % 2 === 0 ? paired(first, second) : paired(second, first);
    first.close();
    last = second;
  }
  const why = last instanceof Error ? last.message : "";
  throw new Failure("DIAL_LOCAL", `no pair of UDP ports at ${local}: ${why}`, { facts: { local }, cause: last });

  function paired(rtp: Socket, rtcp: Socket): DatagramPair {
    const sockets = [rtp, rtcp] as const;
    const wanted = bare(peer);
    let isOpen = true;
    for (const on of [0, 1] as const)
      sockets[on].on("message", (bytes: Buffer, { address }: RemoteInfo) => {
        if (isOpen && (address === wanted || bare(address) === wanted)) hear(on, bytes);
      });
    return {
      port: rtp.address().port,
      send(from, toPort, bytes) {
        if (isOpen && toPort > 0 && toPort < 65_536) sockets[from].send(bytes, toPort, peer, () => {});
      },
      close() {
        if (isOpen) for (const socket of sockets) socket.close();
        isOpen = false;
      },
    };
  }
}

/** Without the zone of a link-local address. */
const bare = (address: string): string => {
  const zone = address.indexOf("%");
  return zone === -1 ? address : address.slice(0, zone);
};

function bound(address: string, port: number): Promise<Socket | Error> {
  return new Promise((resolve) => {
    const socket = createSocket(isIP(bare(address)) === 6 ? "udp6" : "udp4");
    socket.once("error", (cause) => {
      resolve(cause);
      socket.close();
    });
    socket.bind({ address, port, exclusive: true }, () => {
      socket.removeAllListeners("error");
      socket.on("error", () => {}); // a port unreachable that comes back is the meter's to see
      try {
        socket.setRecvBufferSize(RECEIVE_BYTES);
      } catch {
        // less than we would like
      }
      resolve(socket);
    });
  });
}
