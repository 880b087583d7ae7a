import type { Clock } from "../../../../platform/clock.ts";
import type { Keyframe, MediaSink, PacketCounts, PictureFormat, Step, Track } from "../media.ts";

const TICK_MS = 250;
/** So many frames of one segment are told, and as many wait; more is no video. */
const MOST_FRAMES = 16_384;
/** The length of a segment, as its stamps and as its playlist have it, may differ by so much: whole seconds are common. */
const ROUNDING_MS = 600;
const ROUNDING_PART = 0.1;
/** The first segment waits for such a part of one, so that the next is there when it ends: it is looked for every half of one. */
const CUSHION_PART = 0.75;

/** What waits of one frame. */
interface Waiting {
  id: number;
  stamp: number;
  size: number;
  bytes: number;
  key: boolean;
  dueAt: number;
}

/**
 * Segments come in bursts; their frames are told in the pace of their stamps, as a player shows them, so that rates and
 * silence are those of the stream. A segment begins where the one before it ends, or when it has come, if that is later. Its
 * pace is right where the stamps fill the time that the playlist says, and else that time is divided.
 */
export class Pace implements MediaSink {
  readonly #sink: MediaSink;
  readonly #clock: Clock;
  readonly #tracks: Track[] = [];
  #everyMs = 0;
  /** Of the segment being read. */
  #segment: Waiting[] = [];
  #segmentBytes: number[] = [];
  /** Told later, in this order. */
  #queue: Waiting[] = [];
  #next = 0;
  /** NaN before the first. */
  #endsAt = Number.NaN;
  #callOff: (() => void) | undefined;

  constructor(sink: MediaSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  /** How long the segments are, for the tracks' `everyMs`. */
  every(ms: number): void {
    if (ms === this.#everyMs) return;
    this.#everyMs = ms;
    for (const [id, track] of this.#tracks.entries()) this.track(id, track);
  }

  /** What has come of the segment was all of it, `durationMs` by the playlist; `isOld`: its frames prove nothing. */
  segment(durationMs: number, isOld: boolean): void {
    const frames = this.#segment;
    const bytes = this.#segmentBytes;
    this.#segment = [];
    this.#segmentBytes = [];
    if (isOld || frames.length === 0) return;
    shareBytes(frames, bytes);
    const now = this.#clock.now();
    const isFull = this.#queue.length + frames.length > MOST_FRAMES;
    if (isFull || this.#endsAt - now > 3 * Math.max(durationMs, this.#everyMs)) {
      this.#release(Number.POSITIVE_INFINITY);
      this.#endsAt = now;
    }
    const begins = Number.isNaN(this.#endsAt) ? now + CUSHION_PART * this.#everyMs : Math.max(now, this.#endsAt);
    this.#endsAt = begins + date(frames, this.#tracks, durationMs, begins);
    this.#queue = this.#queue.concat(frames);
    this.#tick();
  }

  /** Nothing more is told. */
  stop(): void {
    this.#callOff?.();
    this.#queue = [];
    this.#next = 0;
  }

  step(step: Step, ms: number): void {
    this.#sink.step(step, ms);
  }
  track(id: number, track: Track): void {
    this.#tracks[id] = track;
    this.#sink.track(id, { ...track, everyMs: this.#everyMs });
  }
  bytes(id: number, count: number): void {
    this.#segmentBytes[id] = (this.#segmentBytes[id] ?? 0) + count;
  }
  frame(id: number, stamp: number, size: number, key: boolean): void {
    if (this.#segment.length < MOST_FRAMES) this.#segment.push({ id, stamp, size, key, bytes: 0, dueAt: 0 });
  }
  format(id: number, format: PictureFormat): void {
    this.#sink.format(id, format);
  }
  packets(id: number, counts: PacketCounts): void {
    this.#sink.packets(id, counts);
  }
  senderClock(id: number, ntpMs: number, stamp: number, wall: number): void {
    this.#sink.senderClock(id, ntpMs, stamp, wall);
  }
  wantsPicture(id: number): boolean {
    return this.#sink.wantsPicture(id);
  }
  picture(id: number, keyframe: Keyframe): void {
    this.#sink.picture(id, keyframe);
  }
  odd(id: number, what: string): void {
    this.#sink.odd(id, what);
  }

  readonly #tick = (): void => {
    this.#callOff?.();
    this.#callOff = undefined;
    this.#release(this.#clock.now());
    if (this.#queue.length > 0) this.#callOff = this.#clock.after(TICK_MS, this.#tick);
  };

  /** Tells what is due by `until`. */
  #release(until: number): void {
    const now = this.#clock.now();
    const sink = this.#sink;
    for (let one = this.#queue[this.#next]; one !== undefined && one.dueAt <= until; one = this.#queue[this.#next]) {
      this.#next += 1;
      const at = Math.min(now, one.dueAt);
      if (one.bytes > 0) sink.bytes(one.id, one.bytes, at);
      sink.frame(one.id, one.stamp, one.size, one.key, at);
    }
    if (this.#next < this.#queue.length) return;
    this.#queue = [];
    this.#next = 0;
  }
}

/** Each frame its part of all the bytes of its track, headers included. */
function shareBytes(frames: readonly Waiting[], bytes: readonly number[]): void {
  const sizes: number[] = [];
  for (const { id, size } of frames) sizes[id] = (sizes[id] ?? 0) + size;
  for (const frame of frames) frame.bytes = ((bytes[frame.id] ?? 0) / Math.max(1, sizes[frame.id] ?? 1)) * frame.size;
}

/** Says of each frame when it is due, in the order in which they came; returns how long they last, ms. */
function date(frames: Waiting[], tracks: readonly Track[], durationMs: number, begins: number): number {
  const lead = frames.find(({ id }) => tracks[id]?.kind === "video")?.id ?? frames[0]?.id ?? 0;
  const msPerTick = 1000 / (tracks[lead]?.clockHz ?? 1000);
  let first = Number.POSITIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  let count = 0;
  for (const { id, stamp } of frames) {
    if (id !== lead) continue;
    count += 1;
    first = Math.min(first, stamp);
    last = Math.max(last, stamp);
  }
  const spanMs = count < 2 ? durationMs : ((last - first) * msPerTick * count) / (count - 1);
  const fits = Math.abs(spanMs - durationMs) <= Math.max(ROUNDING_MS, ROUNDING_PART * durationMs);
  const lengthMs = fits ? spanMs : durationMs;
  let furthest = 0;
  for (const [i, frame] of frames.entries()) {
    const trackMs = 1000 / (tracks[frame.id]?.clockHz ?? 1000);
    const ms = fits ? frame.stamp * trackMs - first * msPerTick : (i / frames.length) * durationMs;
    furthest = Math.max(furthest, Math.min(ms, lengthMs));
    frame.dueAt = begins + furthest;
  }
  return lengthMs;
}
