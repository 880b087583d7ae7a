import { spawn, spawnSync } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { RtpMedia } from "../../../agent/checks/stream/rtp/track.ts";
import { programPath } from "../peers.ts";
import { tempFolder } from "../temp.ts";

/** What ffmpeg sent: datagrams in the order they came, and what its SDP says. */
export interface Captured {
  packets: { bytes: Buffer; rtcp: boolean; at: number }[];
  media: RtpMedia;
}

const END = "the sender has ended";

/**
 * Lets ffmpeg send a file, or what other arguments before the output make, as RTP to sockets of our own on loopback, at some
 * times its real pace; resolves when it has ended and all has come.
 */
export async function captureRtp(args: readonly string[], kind: RtpMedia["kind"] = "video"): Promise<Captured> {
  using folder = tempFolder();
  const sdp = join(folder.path, "sdp");
  const packets: Captured["packets"] = [];
  const media = await listening(packets, false);
  const control = await listening(packets, true);
  const url = `rtp://127.0.0.1:${media.address().port}?rtcpport=${control.address().port}&pkt_size=1200`;
  const child = spawn(
    programPath("ffmpeg"),
    ["-v", "error", "-nostdin", "-readrate", "5", ...args, "-rtpflags", "send_bye", "-sdp_file", sdp, "-f", "rtp", url],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  try {
    const [code] = await once(child, "exit");
    if (code !== 0) throw new Error(`ffmpeg ${args.join(" ")}: ${code}`);
    for (const socket of [media, control]) await drained(socket);
    return {
      packets: packets.filter(({ bytes }) => bytes.toString() !== END),
      media: mediaOf(readFileSync(sdp, "utf8"), kind),
    };
  } finally {
    child.kill("SIGKILL");
    media.close();
    control.close();
  }
}

/** A decoder's first picture of `bytes`, as 160 × 90 grey; what the same decoder makes of the original must be equal to it. */
export function greyOf(format: string, bytes: Uint8Array): Buffer {
  const done = spawnSync(
    programPath("ffmpeg"),
    // prettier-ignore
    [
      "-v",
      "error",
      "-f",
      format,
      "-i",
      "pipe:0",
      "-frames:v",
      "1",
      "-vf",
      "scale=160:90",
      "-pix_fmt",
      "gray",
      "-f",
      "rawvideo",
      "pipe:1",
    ],
    { input: bytes, maxBuffer: 1 << 24 },
  );
  if (done.status !== 0 || done.stderr.length > 0) throw new Error(`not decodable: ${done.stderr.toString()}`);
  return done.stdout;
}

async function listening(into: Captured["packets"], rtcp: boolean): Promise<Socket> {
  const socket = createSocket({ type: "udp4", recvBufferSize: 4 << 20 });
  socket.on("message", (bytes) => into.push({ bytes, rtcp, at: performance.now() }));
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return socket;
}

/** Everything sent before has come: datagrams on loopback keep their order. */
async function drained(socket: Socket): Promise<void> {
  const seen = new Promise<void>((resolve) => {
    socket.on("message", (bytes) => {
      if (bytes.toString() === END) resolve();
    });
  });
  socket.send(END, socket.address().port, "127.0.0.1");
  await seen;
}

function mediaOf(sdp: string, kind: RtpMedia["kind"]): RtpMedia {
  const payloadType = Number(/^m=\w+ \d+ \S+ (\d+)/m.exec(sdp)?.[1]);
  const [, codec = "", clock = ""] = /^a=rtpmap:\d+ ([\w-]+)\/(\d+)/m.exec(sdp) ?? [];
  const pairs = (/^a=fmtp:\d+ (.*)$/m.exec(sdp)?.[1] ?? "").split(";").map((pair) => pair.trim().split(/=(.*)/s));
  const fmtp = Object.fromEntries(pairs.map(([name = "", value = ""]) => [name.toLowerCase(), value.trim()]));
  // Static payload types need no rtpmap (RFC 3551).
  const known: Record<number, [string, number]> = { 8: ["PCMA", 8000], 0: ["PCMU", 8000], 26: ["JPEG", 90_000] };
  const [name, hz] = known[payloadType] ?? [codec, Number(clock)];
  return { kind, codec: name, clockHz: hz, payloadType, fmtp };
}
