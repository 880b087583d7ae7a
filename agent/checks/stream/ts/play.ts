import { createSocket, type Socket } from "node:dgram";
import { isIP } from "node:net";
import { reasonOf } from "../../../../platform/dial.ts";
import { Failure } from "../../../../protocol/failure.ts";
import type { Session } from "../media.ts";
import { TsReader } from "./reader.ts";

/** Where datagrams are waited for. */
export interface TsPlace {
  /** An address of this machine, or of a multicast group, which is then joined. */
  host: string;
  port: number;
}

/** Room in the kernel for what comes while we are busy: half a second of 16 Mbit/s. */
const RECEIVE_BYTES = 1 << 20;

/**
 * Plays MPEG-TS that comes in UDP datagrams, as srt-live-transmit and encoders send it; see `Play`. Nobody answers: it is
 * "playing" once the port is ours. Rejects with DIAL_LOCAL where it is not, and with STREAM_PROTOCOL where something
 * else comes. Datagrams of the first sender are taken; those of another only after that one was silent for 3 s.
 */
export async function playTsUdp(place: TsPlace, session: Session): Promise<void> {
  const { signal, clock, sink } = session;
  if (signal.aborted) return;
  const socket = createSocket({ type: isIP(place.host) === 6 ? "udp6" : "udp4", reuseAddr: isGroup(place.host) });
  const ended = Promise.withResolvers<void>();
  const leave = (): void => ended.resolve();
  signal.addEventListener("abort", leave, { once: true });
  socket.on("error", (cause) => ended.reject(failed(place, cause)));
  try {
    const begun = clock.now();
    await Promise.race([bound(socket, place), ended.promise]);
    if (signal.aborted) return;
    sink.step("connected", clock.now() - begun);
    sink.step("playing", 0);
    listen(socket, place, session, ended.reject);
    await ended.promise;
  } finally {
    signal.removeEventListener("abort", leave);
    socket.close();
  }
}

const OTHER_SENDER_MS = 3_000;

function listen(socket: Socket, place: TsPlace, { clock, sink }: Session, fail: (cause: Failure) => void): void {
  const reader = new TsReader(sink, { tellsLoss: true });
  let address = "";
  let port = 0;
  let heardAt = Number.NEGATIVE_INFINITY;
  socket.on("message", (bytes, from) => {
    const now = clock.now();
    if (from.port !== port || from.address !== address) {
      if (now - heardAt < OTHER_SENDER_MS) return;
      address = from.address;
      port = from.port;
      reader.restart();
    }
    heardAt = now;
    reader.push(bytes, now);
    if (!reader.foreign && !reader.isUnreadable) return;
    const facts = { place: name(place) };
    fail(
      reader.foreign
        ? new Failure("STREAM_PROTOCOL", `what comes to ${facts.place} is no MPEG transport stream`, { facts })
        : new Failure("STREAM_UNSUPPORTED", `what comes to ${facts.place} has no track of a codec we know`, { facts }),
    );
  });
}

function bound(socket: Socket, { host, port }: TsPlace): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", (cause) => reject(failed({ host, port }, cause)));
    socket.bind({ port, address: host, exclusive: true }, () => {
      try {
        if (isGroup(host)) socket.addMembership(host);
        socket.setRecvBufferSize(RECEIVE_BYTES);
        resolve();
      } catch (cause) {
        reject(failed({ host, port }, cause));
      }
    });
  });
}

/** 224.0.0.0/4, ff00::/8. */
const isGroup = (host: string): boolean => /^(22[4-9]|23\d)\./.test(host) || /^ff/i.test(host);

const name = ({ host, port }: TsPlace): string => `udp ${host}:${port}`;

function failed(place: TsPlace, cause: unknown): Failure {
  const errno = reasonOf(cause);
  const facts = { place: name(place), errno };
  return new Failure("DIAL_LOCAL", `cannot listen on ${facts.place}: ${errno}`, { facts, cause });
}
