import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { systemClock } from "../../../platform/clock.ts";
import { run } from "../peers.ts";
import { tempFolder } from "../temp.ts";
import { rtpPacket } from "./rtp-writer.ts";

/** Program streams as GB/T 28181 devices write them, and as ffmpeg does; and a sender of them over RTP. */

export interface PsFrame {
  /** 0xe0 picture, 0xc0 sound, 0xbd or 0xbf private. */
  streamId: number;
  /** 1/90,000 s; undefined: the packet bears none. */
  pts: number | undefined;
  bytes: Buffer;
  key?: boolean;
}

type Types = readonly (readonly [streamId: number, type: number])[];

export interface PsWish {
  /** The stream map: stream ids and their types. */
  types: Types;
  /** Which packs have a system header and a stream map. */
  map: "keys" | "never";
  /** Most payload of one PES packet: a larger picture goes on in the next. */
  mostPayload: number;
  /** Stuffing bytes of each pack header, 0 to 7, and of each PES header. */
  stuffing: number;
  /** Pictures bear a length of 0, or the low 16 bits of a too large one. */
  lengths: "right" | "none" | "wrapped";
  /** With a DTS, too. */
  dts: boolean;
}

const USUAL: PsWish = {
  types: [
    [0xe0, 0x1b],
    [0xc0, 0x90],
  ],
  map: "keys",
  mostPayload: 60_000,
  stuffing: 0,
  lengths: "right",
  dts: false,
};

/** One pack for each frame. */
export function psPacks(frames: readonly PsFrame[], wish: Partial<PsWish> = {}): Buffer[] {
  const all = { ...USUAL, ...wish };
  let clock = 0;
  return frames.map((frame) => {
    clock = frame.pts ?? clock + 3_600;
    const announced = all.map === "keys" && frame.key === true;
    return Buffer.concat([
      packHeader(clock, all.stuffing),
      ...(announced ? [systemHeader(), streamMap(all.types)] : []),
      ...pesPackets(frame, all),
    ]);
  });
}

function packHeader(clock: number, stuffing: number): Buffer {
  const scr = (BigInt(clock) & 0x1ffffffffn) as bigint;
  const bits =
    (0b01n << 46n) |
    ((scr >> 30n) << 43n) |
    (1n << 42n) |
    (((scr >> 15n) & 0x7fffn) << 27n) |
    (1n << 26n) |
    ((scr & 0x7fffn) << 11n) |
    (1n << 10n) |
    1n;
  const header = Buffer.alloc(14 + stuffing, 0xff);
  header.writeUInt32BE(0x1ba, 0);
  header.writeUIntBE(Number(bits), 4, 6);
  header.writeUIntBE(0x0189c3, 10, 3);
  header.writeUInt8(0xf8 | stuffing, 13);
  return header;
}

const systemHeader = (): Buffer => Buffer.from("000001bb000c8000011ee1 7fe0e0e8c0c020".replaceAll(" ", ""), "hex");

export function streamMap(types: Types): Buffer {
  const entries = types.map(([id, type]) => Buffer.from([type, id, 0, 0]));
  const head = Buffer.from([0, 0, 1, 0xbc, 0, 6 + entries.length * 4 + 4, 0xe1, 0xff, 0, 0, 0, entries.length * 4]);
  return Buffer.concat([head, ...entries, Buffer.from([0x45, 0xbd, 0xdc, 0xf4])]);
}

function pesPackets({ streamId, pts, bytes }: PsFrame, wish: PsWish): Buffer[] {
  const picture = streamId >= 0xe0;
  const most = picture && wish.lengths !== "right" ? bytes.length : wish.mostPayload;
  const packets: Buffer[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += most) {
    const payload = bytes.subarray(at, at + most);
    if (streamId === 0xbf) {
      packets.push(Buffer.from([0, 0, 1, 0xbf, payload.length >> 8, payload.length & 0xff]), payload);
      continue;
    }
    const stamps = at === 0 && pts !== undefined ? pesStamps(pts, wish.dts) : Buffer.alloc(0);
    const extra = stamps.length + wish.stuffing;
    const length = picture && wish.lengths === "none" ? 0 : (3 + extra + payload.length) & 0xffff;
    const flags = stamps.length === 10 ? 0xc0 : stamps.length === 5 ? 0x80 : 0;
    const head = Buffer.from([0, 0, 1, streamId, length >> 8, length & 0xff, 0x8c, flags, extra]);
    packets.push(head, stamps, Buffer.alloc(wish.stuffing, 0xff), payload);
  }
  return packets;
}

const pesStamps = (pts: number, dts: boolean): Buffer =>
  dts ? Buffer.concat([stampField(3, pts), stampField(1, pts - 3_600)]) : stampField(2, pts);

function stampField(prefix: number, stamp: number): Buffer {
  const bits = BigInt(stamp) & 0x1ffffffffn;
  const [high, middle, low] = [Number(bits >> 30n), Number((bits >> 15n) & 0x7fffn), Number(bits & 0x7fffn)];
  return Buffer.from([
    (prefix << 4) | (high << 1) | 1,
    middle >> 7,
    ((middle & 0x7f) << 1) | 1,
    low >> 7,
    ((low & 0x7f) << 1) | 1,
  ]);
}

/** A clip as ffmpeg writes it into an MPEG-2 program stream: packs of 2,048 bytes, frames begin anywhere, no stream map. */
export function vobOf(clip: string): Buffer {
  using folder = tempFolder("vigil-vob");
  const file = `${folder.path}/clip.vob`;
  run("ffmpeg", ["-v", "error", "-nostdin", "-y", "-i", clip, "-map", "0:v", "-c", "copy", "-f", "vob", file]);
  return readFileSync(file);
}

/** What ffprobe says of the packets of a clip's picture: sizes, keyframes, and the picture's size. */
export function probed(clip: string): { frames: number; keys: number; width: number; height: number } {
  const entries = "stream=width,height:packet=flags";
  const said = JSON.parse(
    run("ffprobe", ["-v", "error", "-select_streams", "v", "-show_entries", entries, "-of", "json", clip]),
  ) as { packets: { flags: string }[]; streams: { width: number; height: number }[] };
  const { width = 0, height = 0 } = said.streams[0] ?? {};
  const keys = said.packets.filter(({ flags }) => flags.startsWith("K")).length;
  return { frames: said.packets.length, keys, width, height };
}

/** The pictures of a clip (H.264 or H.265, in a .ts), one by one, in the order they are sent. */
export function clipFrames(clip: string, codec: "h264" | "h265"): PsFrame[] {
  using folder = tempFolder("vigil-frames");
  const raw = `${folder.path}/raw`;
  const format = codec === "h264" ? "h264" : "hevc";
  run("ffmpeg", ["-v", "error", "-nostdin", "-y", "-i", clip, "-map", "0:v", "-c", "copy", "-f", format, raw]);
  const said = run("ffprobe", [
    ...["-v", "error", "-select_streams", "v", "-show_entries", "packet=pts,size,flags", "-of", "json", clip],
  ]);
  const { packets } = JSON.parse(said) as { packets: { pts: number; size: string; flags: string }[] };
  const bytes = readFileSync(raw);
  let at = 0;
  return packets.map(({ pts, size, flags }) => {
    const from = at;
    at += Number(size);
    return { streamId: 0xe0, pts, bytes: bytes.subarray(from, at), key: flags.startsWith("K") };
  });
}

export interface PsSenderOptions {
  packs: readonly Buffer[];
  to: { host: string; port: number };
  transport: "udp" | "tcp";
  /** Packs a second. */
  fps: number;
  ssrc?: number;
  payloadType?: number;
  /** From the beginning again at the end. */
  loop?: boolean;
}

/** Sends packs over RTP in packets of 1,400 bytes at most, in real time, as a device or a forwarder would. */
export interface PsSender extends AsyncDisposable {
  /** Packets sent so far, and those that were left out. */
  readonly sent: number;
  readonly dropped: number;
  /** Part of the packets that is left out from now on. */
  drop: number;
  /** Every so many packets two change places; 0: none do. */
  swapEvery: number;
  /** It stays connected, but nothing is sent. */
  paused: boolean;
  /** Resolves when everything was sent once. */
  readonly done: Promise<void>;
  /** RTCP, on the port itself: an SR with this wall time, or a BYE. */
  control(packet: Buffer): void;
  /** What came back to us. */
  readonly heard: readonly Buffer[];
}

const MTU = 1_400;

export async function startPsSender(options: PsSenderOptions): Promise<PsSender> {
  const { packs, fps, ssrc = 0x0c0ffee0, payloadType = 96, loop = false } = options;
  const wire = await (options.transport === "udp" ? udpWire(options.to) : tcpWire(options.to));
  const done = Promise.withResolvers<void>();
  let [sequence, stamp, next, over] = [65_000, 4_294_900_000, 0, false];
  let late: Buffer | undefined;
  let dropSum = 0;
  const state = { sent: 0, dropped: 0, drop: 0, swapEvery: 0, paused: false };
  const put = (packet: Buffer): void => {
    dropSum += state.drop;
    if (dropSum >= 1) {
      dropSum -= 1;
      state.dropped += 1;
      return;
    }
    state.sent += 1;
    if (state.swapEvery > 0 && late === undefined && state.sent % state.swapEvery === 0) {
      late = packet;
      return;
    }
    wire.send(packet);
    if (late !== undefined) wire.send(late);
    late = undefined;
  };
  const frame = (): void => {
    const pack = packs[next % packs.length] ?? Buffer.alloc(0);
    next += 1;
    stamp = (stamp + 90_000 / fps) % 2 ** 32;
    for (let at = 0; at < pack.length; at += MTU) {
      const fields = { sequence, stamp, ssrc, payloadType, marker: at + MTU >= pack.length };
      put(rtpPacket(fields, pack.subarray(at, at + MTU)));
      sequence = (sequence + 1) & 0xffff;
    }
  };
  const begun = systemClock.now();
  let ticks = 0;
  let callOff = (): void => {};
  const tick = (): void => {
    if (over) return;
    ticks += 1;
    if (!state.paused) frame();
    if (next >= packs.length && !loop) done.resolve();
    else callOff = systemClock.after(begun + (ticks * 1_000) / fps - systemClock.now(), tick);
  };
  tick();
  return Object.assign(state, {
    done: done.promise,
    heard: wire.heard,
    control: wire.send,
    async [Symbol.asyncDispose]() {
      over = true;
      callOff();
      await wire.close();
    },
  });
}

interface Wire {
  send(packet: Buffer): void;
  close(): Promise<void>;
  heard: Buffer[];
}

async function udpWire({ host, port }: PsSenderOptions["to"]): Promise<Wire> {
  const socket = createSocket("udp4");
  socket.on("error", () => {}); // nobody listens there any more
  const heard: Buffer[] = [];
  socket.on("message", (bytes) => heard.push(bytes));
  await new Promise<void>((bound) => socket.bind(0, "127.0.0.1", bound));
  return {
    heard,
    send: (packet) => socket.send(packet, port, host),
    close: () => new Promise((closed) => socket.close(closed)),
  };
}

async function tcpWire({ host, port }: PsSenderOptions["to"]): Promise<Wire> {
  const socket = connect({ host, port, noDelay: true });
  const heard: Buffer[] = [];
  socket.on("data", (bytes: Buffer) => heard.push(bytes));
  await new Promise<void>((connected, failed) => {
    socket.once("connect", connected);
    socket.once("error", failed);
  });
  socket.on("error", () => {});
  return {
    heard,
    send(packet) {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(packet.length);
      socket.write(Buffer.concat([length, packet]));
    },
    async close() {
      const closed = new Promise((done) => socket.once("close", done));
      if (socket.closed) return;
      socket.destroy();
      await closed;
    },
  };
}

/** RTCP: a sender's report of this wall time (epoch ms), or a BYE. */
export function senderReport(ssrc: number, wall: number, stamp: number): Buffer {
  const packet = Buffer.alloc(28);
  packet.writeUInt32BE(0x80c80006, 0);
  packet.writeUInt32BE(ssrc, 4);
  packet.writeUInt32BE((Math.floor(wall / 1_000) + 2_208_988_800) % 2 ** 32, 8);
  packet.writeUInt32BE(Math.floor(((wall % 1_000) / 1_000) * 2 ** 32), 12);
  packet.writeUInt32BE(stamp, 16);
  return packet;
}
export function goodbye(ssrc: number): Buffer {
  const packet = Buffer.alloc(8);
  packet.writeUInt32BE(0x81cb0001, 0);
  packet.writeUInt32BE(ssrc, 4);
  return packet;
}
