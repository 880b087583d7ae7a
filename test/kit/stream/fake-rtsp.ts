import type { Socket } from "node:net";
import { type Listening, rawServer } from "../servers.ts";

/** One request as the fake server got it. */
export interface Asked {
  method: string;
  uri: string;
  cseq: string;
  headers: ReadonlyMap<string, string>;
  socket: Socket;
}

/** A script's answer: bytes to send, or undefined for silence. */
export type Script = Readonly<Record<string, (asked: Asked, times: number) => string | Buffer | undefined>>;

export interface FakeRtsp extends Listening {
  readonly url: string;
  /** Every request so far, in order; answers to the server's own requests among them, as `RTSP/1.0`. */
  readonly asked: readonly Asked[];
  /** Methods asked so far. */
  methods(): string[];
  /** Resolves with the first request that fits, come or yet to come. */
  got(fits: (asked: Asked) => boolean): Promise<Asked>;
}

export const SDP =
  "v=0\r\ns=x\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n";

/** An answer with the request's CSeq. */
export function answer(asked: Asked, headers: readonly string[] = [], body = "", status = "200 OK"): string {
  const length = body === "" ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  return [`RTSP/1.0 ${status}`, `CSeq: ${asked.cseq}`, ...headers, ...length, "", body].join("\r\n");
}

/** How a good server answers. */
const GOOD: Script = {
  OPTIONS: (asked) => answer(asked, ["Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"]),
  DESCRIBE: (asked) => answer(asked, [`Content-Base: ${asked.uri}/`, "Content-Type: application/sdp"], SDP),
  SETUP: (asked) => answer(asked, ["Session: 4711;timeout=60", `Transport: ${asked.headers.get("transport")}`]),
  PLAY: (asked) => answer(asked, ["Session: 4711"]),
  GET_PARAMETER: (asked) => answer(asked),
  TEARDOWN: (asked) => answer(asked),
};

/** An RTSP server of a test that does as its script says, and what the script does not say, well. */
export async function fakeRtsp(script: Script = {}): Promise<FakeRtsp> {
  const asked: Asked[] = [];
  const looks = new Set<() => void>();
  const all: Script = { ...GOOD, ...script };
  const server = await rawServer((socket) => {
    let text = "";
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      for (let end = text.indexOf("\r\n\r\n"); end !== -1; end = text.indexOf("\r\n\r\n")) {
        const one = requestOf(text.slice(0, end), socket);
        text = text.slice(end + 4);
        if (one === undefined) continue;
        asked.push(one);
        const said = all[one.method]?.(one, asked.filter(({ method }) => method === one.method).length);
        if (said !== undefined && !socket.destroyed) socket.write(said);
        for (const look of looks) look();
      }
    });
  });
  return Object.assign(server, {
    url: `rtsp://127.0.0.1:${server.port}/cam`,
    asked,
    methods: () => asked.map(({ method }) => method),
    got: (fits: (one: Asked) => boolean) =>
      new Promise<Asked>((resolve) => {
        const look = (): void => {
          const found = asked.find(fits);
          if (found === undefined) return;
          looks.delete(look);
          resolve(found);
        };
        looks.add(look);
        look();
      }),
  });
}

/** Interleaved packets of the client stand in front of a request now and then. */
function requestOf(head: string, socket: Socket): Asked | undefined {
  const begins = head.search(/[A-Z][A-Z_]+(?: rtsps?:|\/1\.0 \d)/);
  if (begins === -1) return undefined;
  const [first = "", ...lines] = head.slice(begins).split("\r\n");
  const [method = "", uri = ""] = first.split(" ");
  const headers = new Map(
    lines.map((line): [string, string] => [
      line.slice(0, line.indexOf(":")).toLowerCase(),
      line.slice(line.indexOf(":") + 1).trim(),
    ]),
  );
  return { method, uri, cseq: headers.get("cseq") ?? "", headers, socket };
}

/** An interleaved packet. */
export function interleaved(channel: number, packet: Uint8Array, length = packet.length): Buffer {
  return Buffer.concat([Buffer.from([0x24, channel, length >> 8, length & 0xff]), packet]);
}

/** An RTP packet of a track H264 with a tiny access unit: an IDR slice (`key`) or another. */
export function rtpPacket(seq: number, key = false): Buffer {
  const packet = Buffer.from([0x80, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, key ? 0x65 : 0x41, 0x88, 0x80, 0x10]);
  packet.writeUInt16BE(seq & 0xffff, 2);
  packet.writeUInt32BE((seq * 3_600) >>> 0, 4);
  return packet;
}

/** RTCP BYE of its sender. */
export const BYE = Buffer.from([0x81, 203, 0, 1, 0, 0, 0, 1]);
