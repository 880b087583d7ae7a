import type { SessionFigures } from "./figures.ts";
import type { Keyframe, MediaSink, PacketCounts, PictureFormat, Step, Track } from "./media.ts";
import { SenderSkew } from "./sender-skew.ts";
import { TrackMeter } from "./track-meter.ts";

/** What does a session bring, in figures? Hears it, and says at any moment what it came to. Pure: time comes with each call. */

export interface MeterOrder {
  /** Monotonic moment at which the session was begun. */
  startedAt: number;
  /** Frames of so long after the first one, and after a pause, may be out of a cache, ms. */
  warmUpMs?: number;
  /**
   * Monotonic moment of now, for steps, which bring none along. Without it a step is dated by the time all steps took, and
   * by the last moment heard of.
   */
  now?: () => number;
  /** Asked and told of keyframes; without them none is kept. */
  wantsPicture?: (id: number) => boolean;
  picture?: (id: number, keyframe: Keyframe) => void;
}

const WARM_UP_MS = 1_500;
/** A session with more tracks, or a probe that says more odd words, is not measured in full. */
const MOST_TRACKS = 8;
const MOST_WORDS = 32;
const MOST_LETTERS = 60;

export class Meter implements MediaSink {
  readonly #order: MeterOrder;
  readonly #tracks: (TrackMeter | undefined)[] = [];
  readonly #skews: (SenderSkew | undefined)[] = [];
  readonly #steps = new Map<Step, number>();
  readonly #odd = new Map<string, number>();
  #lastAt: number;
  #stepsMs = 0;
  #playedAt = Number.NaN;

  constructor(order: MeterOrder) {
    this.#order = order;
    this.#lastAt = order.startedAt;
  }

  step(step: Step, ms: number): void {
    const tookMs = ms > 0 && Number.isFinite(ms) ? ms : 0;
    this.#steps.set(step, tookMs);
    this.#stepsMs += tookMs;
    if (step !== "playing") return;
    const now = this.#order.now?.() ?? this.#order.startedAt + this.#stepsMs;
    this.#playedAt = this.#at(now);
  }
  track(id: number, track: Track): void {
    const known = this.#tracks[id];
    if (known !== undefined && known.kind === track.kind) known.change(track);
    else if (Number.isInteger(id) && id >= 0 && id < MOST_TRACKS)
      this.#tracks[id] = new TrackMeter(track, this.#order.warmUpMs ?? WARM_UP_MS);
  }
  bytes(id: number, count: number, at: number): void {
    this.#tracks[id]?.bytes(count, this.#at(at));
  }
  frame(id: number, stamp: number, size: number, key: boolean, at: number): void {
    this.#tracks[id]?.frame(stamp, size, key, this.#at(at));
  }
  format(id: number, format: PictureFormat): void {
    this.#tracks[id]?.format(format);
  }
  packets(id: number, counts: PacketCounts): void {
    this.#tracks[id]?.packets(counts, this.#lastAt);
  }
  senderClock(id: number, ntpMs: number, _stamp: number, wall: number): void {
    if (this.#tracks[id] === undefined) return;
    this.#skews[id] ??= new SenderSkew();
    this.#skews[id].take(ntpMs, wall, this.#order.now?.() ?? this.#lastAt);
  }
  wantsPicture(id: number): boolean {
    return this.#order.wantsPicture?.(id) ?? false;
  }
  picture(id: number, keyframe: Keyframe): void {
    this.#order.picture?.(id, keyframe);
  }
  odd(_id: number, what: string): void {
    const word = what.slice(0, MOST_LETTERS);
    const before = this.#odd.get(word);
    if (before !== undefined || this.#odd.size < MOST_WORDS) this.#odd.set(word, (before ?? 0) + 1);
  }

  /** How the session stands at `at`, monotonic ms. */
  figures(at: number): SessionFigures {
    const now = this.#at(at);
    const played = !Number.isNaN(this.#playedAt);
    const since = played ? this.#playedAt : now;
    const video = this.#tracks.filter((track) => track?.kind === "video");
    return {
      at: now,
      ageMs: now - this.#order.startedAt,
      ...(played ? { playingMs: now - this.#playedAt } : {}),
      warmingUp: (video.length > 0 ? video : this.#tracks).every((track) => track?.warmingUp(now) ?? true),
      steps: Object.fromEntries(this.#steps),
      tracks: this.#tracks.flatMap((track, id) => {
        if (track === undefined) return [];
        const skewMs = this.#skews[id]?.skewMs(now);
        return [{ ...track.figures(now, since), ...(skewMs === undefined ? {} : { clockSkewMs: skewMs }) }];
      }),
      odd: Object.fromEntries(this.#odd),
    };
  }

  /** Never runs back, and is never no number. */
  #at(at: number): number {
    if (at > this.#lastAt && at < Number.POSITIVE_INFINITY) this.#lastAt = at;
    return this.#lastAt;
  }
}
