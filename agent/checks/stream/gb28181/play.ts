import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import { createServer, isIP, type Server, type Socket } from "node:net";
import { failureOf, placeName } from "../../../../platform/dial.ts";
import { Failure } from "../../../../protocol/failure.ts";
import type { Session } from "../media.ts";
import { Framing } from "./framing.ts";
import { GbMedia } from "./media.ts";

/** Does the media of a GB/T 28181 channel come? It is copied to us by a forwarder or an encoder; we ask nobody for it. */

export interface GbOptions {
  /** Our own end: an address of this machine, and a port. */
  listen: { host: string; port: number };
  /** `tcp`: we listen, the sender connects (RFC 4571). */
  transport: "udp" | "tcp";
  /** Only packets of this source (`y=` of the SDP). */
  ssrc?: number;
  /** Only from this address. */
  from?: string;
}

/** One connection or host may replace another that has been silent for so long: its sender came back from behind a dead NAT. */
const SILENT_MS = 3_000;
/** A keyframe comes in one burst; the kernel's usual 208 kB hold 90 packets. It gives as much of this as it allows. */
const BURST_BYTES = 1_048_576;
/** Packets of a connection that are no RTP, in a row: what sends is something else, or the framing is lost. */
const MOST_STRANGE = 8;

/**
 * Takes RTP that is sent to us, until the session's signal aborts. Nothing is sent but receiver's reports, to who sent RTCP.
 * It plays as soon as the port is ours: data that does not come is the meter's to see. Rejects with Failure DIAL_LOCAL (the port
 * cannot be had), STREAM_ENDED (RTCP BYE; the connection that brought media was closed), STREAM_PROTOCOL (its framing is
 * lost) or STREAM_UNSUPPORTED (neither PS nor H.264 nor H.265).
 */
export async function playGb(options: GbOptions, session: Session): Promise<void> {
  const { signal, sink, clock } = session;
  if (signal.aborted) return;
  const ended = Promise.withResolvers<void>();
  const end = (cause: unknown): void => ended.reject(failureOf(placeName(options.listen), cause));
  const begunAt = clock.now();
  const ready = (): void => {
    const ms = clock.now() - begunAt;
    sink.step("connected", ms);
    sink.step("playing", ms);
  };
  const media = new GbMedia(session, options.ssrc);
  const close = (options.transport === "udp" ? udp : tcp)(options, session, media, { ready, end });
  const stop = (): void => ended.resolve();
  signal.addEventListener("abort", stop, { once: true });
  try {
    await ended.promise;
  } finally {
    signal.removeEventListener("abort", stop);
    close();
  }
}

interface Hears {
  ready(): void;
  /** The session is over. */
  end(cause: unknown): void;
}
type Begin = (options: GbOptions, session: Session, media: GbMedia, hears: Hears) => () => void;

const byeSaid = (): Failure => new Failure("STREAM_ENDED", "the sender said BYE", { facts: { how: "bye" } });

const plainAddress = (address: string): string => address.replace(/^::ffff:/, "");

/** RTP on the port itself and, where that is even, RTCP on the next one (RFC 3550 §11): if it is free, not otherwise. */
const udp: Begin = ({ listen, from }, { clock }, media, { ready, end }) => {
  /** Who brings media, and when it last did: as over TCP, nobody else is heard meanwhile. */
  let current = from;
  let broughtAt = Number.NEGATIVE_INFINITY;
  const hear = (socket: UdpSocket, control: boolean) => (bytes: Buffer, sender: RemoteInfo) => {
    const at = clock.now();
    const address = plainAddress(sender.address);
    if (address !== current && (from !== undefined || at - broughtAt < SILENT_MS)) return;
    try {
      const heard = control ? media.control(bytes, 0, bytes.length, at) : media.packet(bytes, 0, bytes.length, at);
      if (heard === "media") {
        current = address;
        broughtAt = at;
      }
      if (heard === "bye") end(byeSaid());
      const report = heard === "control" ? media.report(at) : undefined;
      if (report !== undefined) socket.send(report, sender.port, sender.address, () => {});
    } catch (cause) {
      end(cause);
    }
  };
  const bound = (port: number, control: boolean): UdpSocket => {
    const socket = createSocket({ type: isIP(listen.host) === 6 ? "udp6" : "udp4", recvBufferSize: BURST_BYTES });
    socket.on("message", hear(socket, control));
    socket.on("error", (cause) => {
      if (!control) end(cause); // without RTCP all is well but the sender's clock
    });
    socket.bind({ port, address: listen.host, exclusive: true }, () => {
      if (!control) ready();
    });
    return socket;
  };
  const sockets = [bound(listen.port, false)];
  if (listen.port % 2 === 0) sockets.push(bound(listen.port + 1, true));
  return () => {
    for (const socket of sockets) socket.close();
  };
};

const tcp: Begin = ({ listen, from }, { clock }, media, { ready, end }) => {
  let current: Socket | undefined;
  /** When the current connection last brought media. */
  let broughtAt = Number.NEGATIVE_INFINITY;
  const server: Server = createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => {}); // its close says the rest
    const stranger = from !== undefined && plainAddress(socket.remoteAddress ?? "") !== from;
    if (stranger || clock.now() - broughtAt < SILENT_MS) return void socket.destroy();
    const old = current;
    current = socket;
    broughtAt = Number.NEGATIVE_INFINITY;
    old?.destroy();
    let brought = false;
    const framing = new Framing(
      packets(socket, clock, media, {
        ended: end,
        media: (at) => {
          brought = true;
          broughtAt = at;
        },
      }),
    );
    socket.on("data", (chunk) => {
      if (current !== socket) return;
      try {
        framing.push(chunk);
      } catch (cause) {
        end(cause);
      }
    });
    socket.on("end", () => socket.destroy());
    socket.on("close", () => {
      if (current !== socket) return;
      current = undefined;
      if (brought) end(new Failure("STREAM_ENDED", "the sender closed the connection", { facts: { how: "closed" } }));
    });
  });
  server.on("error", end);
  server.maxConnections = 8;
  server.listen({ port: listen.port, host: listen.host, exclusive: true }, ready);
  return () => {
    const last = current;
    current = undefined;
    last?.destroy();
    server.close();
  };
};

interface Told {
  media(at: number): void;
  ended(cause: unknown): void;
}

/** What becomes of the packets of one connection. Who sends no RTP at all is hung up on; the stream ends by it only if it was one. */
function packets(socket: Socket, clock: Session["clock"], media: GbMedia, told: Told) {
  let strange = 0;
  let brought = false;
  return (bytes: Buffer, from: number, to: number): void => {
    if (socket.destroyed || from === to) return;
    const at = clock.now();
    const heard = media.packet(bytes, from, to, at);
    if (heard === "media") {
      strange = 0;
      brought = true;
      told.media(at);
    } else if (heard === "bye") told.ended(byeSaid());
    else if (heard === "control") report(socket, media.report(at));
    else if (++strange >= MOST_STRANGE) {
      if (brought) told.ended(new Failure("STREAM_PROTOCOL", "what comes is no RTP in frames of RFC 4571"));
      socket.destroy();
    }
  };
}

function report(socket: Socket, packet: Buffer | undefined): void {
  if (packet === undefined || socket.writableLength > 0) return; // who does not read gets no more
  const length = Buffer.alloc(2);
  length.writeUInt16BE(packet.length);
  socket.write(Buffer.concat([length, packet]));
}
