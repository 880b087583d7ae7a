import type {
  Keyframe,
  MediaSink,
  PacketCounts,
  PictureFormat,
  Session,
  Step,
  Track,
} from "../../../agent/checks/stream/media.ts";
import type { Clock } from "../../../platform/clock.ts";
import { HandClock } from "../hand-clock.ts";

export interface HeardFrame {
  stamp: number;
  size: number;
  key: boolean;
  at: number;
}

/** What was told of one track. */
class HeardTrack {
  track: Track | undefined;
  bytes = 0;
  frames: HeardFrame[] = [];
  formats: PictureFormat[] = [];
  counts: PacketCounts | undefined;
  clocks: { ntpMs: number; stamp: number; wall: number }[] = [];
  pictures: Keyframe[] = [];
  odd: string[] = [];

  /** A frame as `size` or `size*` where it is a keyframe: short to compare. */
  get sizes(): string[] {
    return this.frames.map((frame) => `${frame.size}${frame.key ? "*" : ""}`);
  }
  get keys(): number {
    return this.frames.filter((frame) => frame.key).length;
  }
  get stamps(): number[] {
    return this.frames.map((frame) => frame.stamp);
  }
}

/** A sink that remembers everything. `wants`: how many keyframes should be kept. */
export class Heard implements MediaSink {
  readonly tracks: HeardTrack[] = [];
  readonly steps: Step[] = [];
  wants = 0;
  #changed = Promise.withResolvers<void>();

  of(id: number): HeardTrack {
    this.tracks[id] ??= new HeardTrack();
    return this.tracks[id];
  }
  step(step: Step): void {
    this.steps.push(step);
    this.#tell();
  }
  track(id: number, track: Track): void {
    this.of(id).track = track;
  }
  bytes(id: number, count: number): void {
    this.of(id).bytes += count;
  }
  frame(id: number, stamp: number, size: number, key: boolean, at: number): void {
    this.of(id).frames.push({ stamp, size, key, at });
    this.#tell();
  }
  format(id: number, format: PictureFormat): void {
    this.of(id).formats.push(format);
  }
  packets(id: number, counts: PacketCounts): void {
    this.of(id).counts = counts;
  }
  senderClock(id: number, ntpMs: number, stamp: number, wall: number): void {
    this.of(id).clocks.push({ ntpMs, stamp, wall });
  }
  wantsPicture(): boolean {
    return this.wants > 0;
  }
  picture(id: number, keyframe: Keyframe): void {
    this.wants -= 1;
    this.of(id).pictures.push(keyframe);
  }
  odd(id: number, what: string): void {
    this.of(id).odd.push(what);
    this.#tell();
  }

  /** Resolves as soon as `seen` holds, looked at with each step, frame and oddity. */
  async until(seen: () => boolean): Promise<void> {
    while (!seen()) await this.#changed.promise;
  }
  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** A session that `sink` hears. */
export const sessionOf = (sink: MediaSink, clock: Clock = new HandClock(), signal?: AbortSignal): Session => ({
  clock,
  signal: signal ?? new AbortController().signal,
  sink,
  connectMs: 3000,
  answerMs: 5000,
});
