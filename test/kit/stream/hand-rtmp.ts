import type { Socket } from "node:net";
import { type AmfValue, readAmf, writeAmf } from "../../../agent/checks/stream/rtmp/amf.ts";
import { ChunkReader, MESSAGE, writeMessage } from "../../../agent/checks/stream/rtmp/chunks.ts";
import { type Listening, rawServer } from "../servers.ts";

/** One connection to an RTMP server whose answers a test writes. */
export interface HandRtmpPeer {
  readonly socket: Socket;
  /** A message, whole, on chunk stream `lane`. */
  send(type: number, body: Uint8Array, more?: { lane?: number; stamp?: number; chunkSize?: number }): void;
  /** A command on stream 1. */
  command(...values: AmfValue[]): void;
  status(code: string, level?: string, description?: string): void;
}

export interface HandRtmpWish {
  /** In place of the usual answer to a command: true when that was all. */
  answer?: (peer: HandRtmpPeer, name: AmfValue, values: readonly AmfValue[]) => boolean;
  /** After `play` was answered. */
  playing?: (peer: HandRtmpPeer) => void;
}

export interface HandRtmp extends AsyncDisposable {
  readonly url: string;
  readonly server: Listening;
  /** Commands the client sent, all connections together, and its control messages as `type:hex`. */
  readonly commands: AmfValue[][];
  readonly controls: string[];
  /** Resolves when `fits`; looked at with each message. */
  until(fits: () => boolean): Promise<void>;
}

const HANDSHAKE = 1537;

/** A server on loopback that says what is usual, and in between what the test wants. */
export async function handRtmp({ answer, playing }: HandRtmpWish = {}): Promise<HandRtmp> {
  const commands: AmfValue[][] = [];
  const controls: string[] = [];
  let changed = Promise.withResolvers<void>();
  const tell = (): void => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const server = await rawServer((socket) => {
    const peer = peerOf(socket);
    converse(
      socket,
      (values) => {
        commands.push(values);
        if (answer?.(peer, values[0], values) !== true) usual(peer, values, playing);
        tell();
      },
      (type, body) => {
        controls.push(`${type}:${body.toString("hex")}`);
        tell();
      },
    );
  });
  return {
    url: `rtmp://127.0.0.1:${server.port}/live/cam1`,
    server,
    commands,
    controls,
    async until(fits) {
      while (!fits()) await changed.promise;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function peerOf(socket: Socket): HandRtmpPeer {
  const send: HandRtmpPeer["send"] = (type, body, { lane = 3, stamp = 0, chunkSize } = {}) =>
    void socket.write(writeMessage({ lane, type, stream: 1, stamp }, body, chunkSize));
  const command = (...values: AmfValue[]): void => send(MESSAGE.command, writeAmf(values));
  return {
    socket,
    send,
    command,
    status: (code, level = "status", description = "") =>
      command("onStatus", 0, null, new Map(Object.entries({ level, code, description }))),
  };
}

function usual(peer: HandRtmpPeer, [name, id]: readonly AmfValue[], playing: HandRtmpWish["playing"]): void {
  if (name === "connect") peer.command("_result", id, null, new Map([["code", "NetConnection.Connect.Success"]]));
  else if (name === "createStream") peer.command("_result", id, null, 1);
  else if (name === "play") {
    peer.status("NetStream.Play.Start");
    playing?.(peer);
  }
}

function converse(
  socket: Socket,
  command: (values: AmfValue[]) => void,
  control: (type: number, body: Buffer) => void,
): void {
  let greeting = Buffer.alloc(0);
  let greeted = false;
  let body = Buffer.alloc(0);
  let type = 0;
  const chunks = new ChunkReader({
    begin: (_lane, its, length) => {
      type = its;
      body = Buffer.alloc(0);
      if (length === 0) body = Buffer.alloc(0);
    },
    piece: (_lane, bytes, from, to) => {
      body = Buffer.concat([body, bytes.subarray(from, to)]);
    },
    end: () => (type === MESSAGE.command ? command(readAmf(body)) : control(type, body)),
  });
  socket.on("data", (bytes: Buffer) => {
    if (greeted) return chunks.push(bytes);
    const before = greeting.length;
    greeting = Buffer.concat([greeting, bytes]);
    if (before < HANDSHAKE && greeting.length >= HANDSHAKE) {
      socket.write(Buffer.concat([greeting.subarray(0, HANDSHAKE), greeting.subarray(1, HANDSHAKE)]));
    }
    if (greeting.length >= 2 * HANDSHAKE - 1) {
      greeted = true;
      chunks.push(greeting.subarray(2 * HANDSHAKE - 1));
    }
  });
}
