import type { Socket } from "node:net";
import { placeName } from "../../../../platform/dial.ts";
import { Inflow } from "../../../../platform/inflow.ts";
import type { Session } from "../media.ts";
import { connectFor } from "../session-line.ts";
import { type Conversation, onSocket, type Talk } from "../socket-session.ts";
import { type RtmpAddress, rtmpAddress } from "./address.ts";
import { RtmpClient } from "./client.ts";

export interface RtmpOptions {
  /** `rtmp://host[:port]/app[/…]/name[?query]`; port 1935 where none is said. */
  url: string;
}

/** A server that does not read what it asked of us (pongs, acknowledgements) does not get more of it. */
const MOST_UNREAD_BYTES = 65_536;

/** Plays a live stream over RTMP 1.0, classic and Enhanced; see `Play`. */
export async function playRtmp({ url }: RtmpOptions, session: Session): Promise<void> {
  const address = rtmpAddress(url);
  if (session.signal.aborted) return;
  let socket: Socket;
  const inflow = new Inflow();
  try {
    socket = await connectFor(session, address.to, undefined, inflow.begin);
  } catch (cause) {
    if (session.signal.aborted) return;
    throw cause;
  }
  await onSocket({ socket, inflow }, placeName(address.to), session, (talk) => begin(address, socket, session, talk));
}

function begin(address: RtmpAddress, socket: Socket, { clock, sink, answerMs }: Session, talk: Talk): Conversation {
  let begun = clock.now();
  const client = new RtmpClient(address, {
    sink,
    send: (bytes) => {
      if (socket.writable && socket.writableLength < MOST_UNREAD_BYTES) socket.write(bytes);
    },
    reached(stage) {
      const now = clock.now();
      if (stage === "createStream") sink.step("greeted", now - begun);
      else if (stage === "play") sink.step("set-up", now - begun);
      else if (stage === "playing") sink.step("playing", now - begun);
      if (stage !== "connect") begun = now; // the handshake is part of the greeting
      talk.await(stage === "playing" ? undefined : stage, answerMs);
      if (stage === "playing") talk.gather();
    },
  });
  talk.await("handshake", answerMs);
  client.begin();
  return { data: (bytes: Uint8Array) => client.data(bytes, clock.now()), end: () => client.end() };
}
