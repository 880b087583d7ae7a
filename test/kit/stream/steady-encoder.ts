import { createSocket } from "node:dgram";
import { systemClock } from "../../../platform/clock.ts";
import { clipFrames } from "./ps.ts";
import { packetH264, rtpPacket } from "./rtp-writer.ts";

/**
 * An encoder whose camera can be changed while it runs: sends H.264 clips as RTP in real time, one after another with stamps and
 * sequence numbers that go on, as a device does whose picture freezes. `/fwd` of gst-rtsp-server serves it.
 */
export interface SteadyEncoder extends AsyncDisposable {
  /** From the next frame on this clip is sent, again and again. */
  show(clip: string): void;
}

const MTU = 1_400;
const TICKS = 90_000;

const known = new Map<string, Buffer[][]>();

/** Reads clips that will be shown: what takes a second is done before anything is measured. */
export function readClips(clips: readonly string[]): void {
  for (const clip of clips) if (!known.has(clip)) known.set(clip, framesOf(clip));
}

/** The NAL units of every frame, from the second keyframe on: the first GOP of a rate control is like no other. */
function framesOf(clip: string): Buffer[][] {
  const frames = clipFrames(clip, "h264");
  const keys = frames.flatMap(({ key }, i) => (key === true ? [i] : []));
  return frames.slice(keys[1] ?? 0).map(({ bytes }) => nalsOf(bytes));
}

function nalsOf(bytes: Buffer): Buffer[] {
  const nals: Buffer[] = [];
  const start = Buffer.from([0, 0, 1]);
  for (let at = bytes.indexOf(start); at !== -1; ) {
    const next = bytes.indexOf(start, at + 3);
    let end = next === -1 ? bytes.length : next;
    while (end > at + 3 && bytes[end - 1] === 0) end -= 1;
    nals.push(bytes.subarray(at + 3, end));
    at = next;
  }
  return nals;
}

/** `clips`: all that will be shown, read before it begins, the first is shown first. */
export async function steadyEncoder(clips: readonly string[], port: number, fps = 25): Promise<SteadyEncoder> {
  readClips(clips);
  const framesFor = (clip: string): Buffer[][] => known.get(clip) ?? [];
  const socket = createSocket("udp4");
  socket.on("error", () => {}); // nobody listens there any more
  await new Promise<void>((bound) => socket.bind(0, "127.0.0.1", bound));
  let frames = framesFor(clips[0] ?? "");
  let [next, sequence, stamp, ticks, over] = [0, 100, 1_000_000, 0, false];
  const begun = systemClock.now();
  let callOff = (): void => {};
  const tick = (): void => {
    if (over) return;
    const packets = packetH264(frames[next % frames.length] ?? [], MTU, false);
    next += 1;
    packets.forEach((payload, i) => {
      socket.send(rtpPacket({ sequence, stamp, marker: i === packets.length - 1 }, payload), port, "127.0.0.1");
      sequence = (sequence + 1) & 0xffff;
    });
    stamp = (stamp + TICKS / fps) % 2 ** 32;
    ticks += 1;
    callOff = systemClock.after(begun + (ticks * 1_000) / fps - systemClock.now(), tick);
  };
  tick();
  return {
    show(clip) {
      frames = framesFor(clip);
      next = 0;
    },
    async [Symbol.asyncDispose]() {
      over = true;
      callOff();
      await new Promise<void>((closed) => socket.close(() => closed()));
    },
  };
}
