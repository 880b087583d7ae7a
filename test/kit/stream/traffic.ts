import type { MediaSink } from "../../../agent/checks/stream/media.ts";

/** A made-up stream, told to a sink in hand-wound time: what an encoder makes, what the way does to it, and their faults. */

export interface TrafficOrder {
  /** Monotonic ms of the first frame. */
  startedAt: number;
  fps?: number;
  /** Frames from keyframe to keyframe. */
  gop?: number;
  keyBytes?: number;
  deltaBytes?: number;
  /** Each frame is late by up to so much, ms; order is kept. */
  jitterMs?: number;
  /** Presentation stamps run back between these many B-frames. */
  bFrames?: number;
  /** Frames are left out at random, down to one in five. */
  vfr?: boolean;
  audio?: boolean;
  /** Told with the track. */
  everyMs?: number;
  /** So many seconds of old frames come at once at the beginning. */
  cachedS?: number;
  /** Stamp of the first frame, ticks. */
  stamp0?: number;
  width?: number;
  height?: number;
  codec?: string;
  /** In [0, 1): the same numbers for the same seed. */
  random?: () => number;
}

/** The faults that can be switched on and off while it plays. */
export interface TrafficFaults {
  videoStops: boolean;
  audioStops: boolean;
  stampsStand: boolean;
  /** Pace of the stamps. */
  clock: number;
  noKeys: boolean;
  keyPart: number;
  deltaPart: number;
  /** Part of the packets that is lost. */
  loss: number;
  /** Part of the frames that is made. */
  framePart: number;
  /** Frames come this many times slower than they are made: the way is narrow. */
  slow: number;
}

const HZ = 90_000;
const PACKET = 1_400;

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export class Traffic {
  readonly faults: TrafficFaults = {
    videoStops: false,
    audioStops: false,
    stampsStand: false,
    clock: 1,
    noKeys: false,
    keyPart: 1,
    deltaPart: 1,
    loss: 0,
    framePart: 1,
    slow: 1,
  };
  readonly #sink: MediaSink;
  readonly #order: TrafficOrder;
  readonly #random: () => number;
  #now: number;
  #nextAt: number;
  #audioAt: number;
  #packetsAt: number;
  #stampMs: number;
  #made = 0;
  #sinceKey = Number.POSITIVE_INFINITY;
  #arrivedAt: number;
  #received = 0;
  #lost = 0;
  #audioTicks = 0;
  #width: number;
  #height: number;

  constructor(sink: MediaSink, order: TrafficOrder) {
    this.#sink = sink;
    this.#order = order;
    this.#random = order.random ?? seeded(7);
    this.#now = order.startedAt;
    this.#nextAt = order.startedAt;
    this.#audioAt = order.startedAt;
    this.#packetsAt = order.startedAt;
    this.#arrivedAt = order.startedAt;
    this.#stampMs = ((order.stamp0 ?? 0) * 1000) / HZ;
    this.#width = order.width ?? 1920;
    this.#height = order.height ?? 1080;
    const { codec = "H264", everyMs } = order;
    const every = everyMs === undefined ? {} : { everyMs };
    sink.track(0, { kind: "video", codec, clockHz: HZ, ...every });
    if (order.audio === true) sink.track(1, { kind: "audio", codec: "PCMA", clockHz: 8_000, ...every });
    for (let i = 0; i < (order.cachedS ?? 0) * this.#fps; i += 1) {
      this.#make();
      this.#stampMs += 1000 / this.#fps;
    }
  }
  get #fps(): number {
    return this.#order.fps ?? 25;
  }

  /** The stamps go on from somewhere else, ms. */
  leap(ms: number): void {
    this.#stampMs += ms;
  }
  /** Other packets' source: counts begin anew. */
  newSource(): void {
    this.#received = 0;
    this.#lost = 0;
  }
  resize(width: number, height: number): void {
    this.#width = width;
    this.#height = height;
    this.#sinceKey = Number.POSITIVE_INFINITY;
  }
  /** All that happens till `at`. */
  playTo(at: number): void {
    while (this.#now < at) {
      this.#now = Math.min(at, this.#nextAt, this.#audioAt, this.#packetsAt);
      if (this.#now >= this.#nextAt) this.#tick();
      if (this.#now >= this.#audioAt) this.#sound();
      if (this.#now >= this.#packetsAt) this.#count();
    }
  }

  #tick(): void {
    const step = 1000 / this.#fps;
    this.#nextAt += step * this.faults.slow;
    if (!this.faults.stampsStand) this.#stampMs += step * this.faults.clock;
    if (this.#order.vfr === true && this.#made % 5 !== 0 && this.#random() < 0.4 + 0.5 * Math.sin(this.#now / 20_000)) {
      this.#made += 1;
      return;
    }
    if (this.#random() < this.faults.framePart) this.#make();
  }

  #make(): void {
    const { gop = 50, keyBytes = 60_000, deltaBytes = 8_000, jitterMs = 0, bFrames = 0 } = this.#order;
    this.#made += 1;
    const key = this.#sinceKey >= gop - 1 && !this.faults.noKeys;
    this.#sinceKey = key ? 0 : this.#sinceKey + 1;
    const noise = 0.9 + 0.2 * this.#random();
    const size = Math.round(noise * (key ? keyBytes * this.faults.keyPart : deltaBytes * this.faults.deltaPart));
    if (this.faults.videoStops) return;
    this.#arrivedAt = Math.max(this.#arrivedAt, this.#now + jitterMs * this.#random());
    const packets = Math.ceil(size / PACKET);
    let lost = 0;
    for (let i = 0; i < packets; i += 1) if (this.#random() < this.faults.loss) lost += 1;
    this.#lost += lost;
    this.#received += packets - lost;
    if (packets > lost) this.#sink.bytes(0, size, this.#arrivedAt);
    if (lost > 0) return;
    if (key) this.#sink.format(0, { codec: this.#order.codec ?? "H264", width: this.#width, height: this.#height });
    const back = bFrames === 0 ? 0 : ((this.#made % (bFrames + 1)) * 1000) / this.#fps;
    this.#sink.frame(0, ((this.#stampMs - 2 * back) * HZ) / 1000, size, key, this.#arrivedAt);
  }

  #sound(): void {
    this.#audioAt += 20;
    if (this.#order.audio !== true) return;
    this.#audioTicks += 160;
    if (this.faults.audioStops) return;
    this.#sink.bytes(1, 172, this.#now);
    this.#sink.frame(1, this.#audioTicks, 160, true, this.#now);
  }

  #count(): void {
    this.#packetsAt += 1_000;
    const counts = { received: this.#received, lost: this.#lost, duplicates: 0, reordered: 0, jitterMs: 1 };
    if (this.#received > 0) this.#sink.packets(0, counts);
  }
}
