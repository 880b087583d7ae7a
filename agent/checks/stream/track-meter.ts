import { Course } from "./course.ts";
import type { TrackFigures } from "./figures.ts";
import type { PacketCounts, PictureFormat, Track } from "./media.ts";
import { PacketWindow } from "./packet-window.ts";
import { LastValues, RecentSizes } from "./windows.ts";

/** What one track brings, in numbers: nothing is allocated for a frame. Pure. */

const SHORT_MS = 5_000;
const LEAST_MS = 3_000;
const LONG_MS = 60_000;
/** The least delayed frame is looked for in so long at either end of the long window: jitter then hardly moves it. */
const EDGE_MS = 5_000;
const FIRST_RATE_MS = 1_000;
const MARK_MS = 250;
/** A frame that comes so much later than others did is late. */
const LATE_MS = 1_000;
const LEAD_FADES = 0.05;
/** Beyond what our clock explains a step of the stamps of so much is a leap. */
const LEAP_MS = 3_000;
/** After a pause of so long what comes may have lain in a buffer: all windows begin anew. */
const PAUSE_MS = 2_000;
/** A cache is emptied faster than time goes; so long after the beginning that is believed. */
const CATCH_UP_MS = 15_000;
const CATCH_UP_RATIO = 1.5;
/** Stamps that run outside this are far off. */
const PACE_LEAST = 0.6;
const PACE_MOST = 1.7;
const RATE_FRAMES = 5;
/** So long after the last frame the next ones may wait to be read together. */
const GATHERED_MS = 200;
const STEPS = 16;
const KEYS = 8;
const SIZES = 256;
const MOST_RATE_MS = 30_000;

export class TrackMeter {
  #track: Track;
  readonly #warmUpMs: number;
  #msPerTick: number;
  #format: PictureFormat | undefined;
  #frames = 0;
  #keyframes = 0;
  #bytes = 0;
  #payload = 0;
  #firstAt = Number.NaN;
  #lastAt = Number.NaN;
  #byteAt = Number.NaN;
  #keyAt = Number.NaN;
  /** Furthest stamp, ms, and when it was reached, with how many frames since that did not get further. */
  #stampMs = Number.NaN;
  #advancedAt = Number.NaN;
  #behind = 0;
  /** Since when the windows count: the first frame, or that after a pause. */
  #begunAt = Number.NaN;
  #warmUntil = Number.NaN;
  #stepMs: number | undefined;
  #jumps = 0;
  #jumpAt = Number.NaN;
  /** How far the stamp of the frame that came soonest was ahead of our clock; it fades, since clocks drift. */
  #leadMs = Number.NEGATIVE_INFINITY;
  #lateAt = Number.NaN;
  #astray = false;
  #keyStampMs = Number.NaN;
  #framesOfGop = 0;
  #course = new Course(MARK_MS);
  readonly #steps = new LastValues(STEPS);
  readonly #gops = new LastValues(KEYS);
  readonly #gopFrames = new LastValues(KEYS);
  readonly #keySizes = new LastValues(KEYS);
  readonly #deltas: RecentSizes | undefined;
  readonly #packets = new PacketWindow();

  constructor(track: Track, warmUpMs: number) {
    this.#track = sound(track);
    this.#warmUpMs = warmUpMs;
    this.#msPerTick = msPerTick(track);
    this.#deltas = track.kind === "video" ? new RecentSizes(SIZES) : undefined;
    this.#course = new Course(markEvery(track));
  }
  get kind(): Track["kind"] {
    return this.#track.kind;
  }
  /** The other side changed it: another clock makes stamps that do not go on from the last. */
  change(told: Track): void {
    const track = sound(told);
    const sameClock = msPerTick(track) === this.#msPerTick;
    const samePace = markEvery(track) === markEvery(this.#track);
    this.#track = track;
    this.#msPerTick = msPerTick(track);
    if (!samePace) this.#course = new Course(markEvery(track));
    if (sameClock) return;
    this.#stampMs = Number.NaN;
    this.#steps.clear();
    this.#beginAnew();
  }
  bytes(count: number, at: number): void {
    if (!(count > 0)) return;
    this.#bytes += Math.min(count, MOST_SIZE);
    this.#byteAt = at;
  }
  format(format: PictureFormat): void {
    this.#format = format;
  }
  packets(counts: PacketCounts, at: number): void {
    this.#packets.take(counts, at);
  }
  /** Whether what came so far may be out of a cache. */
  warmingUp(at: number): boolean {
    return !(at >= this.#warmUntil);
  }

  frame(stamp: number, size: number, key: boolean, at: number): void {
    const payload = size > 0 ? Math.min(size, MOST_SIZE) : 0;
    const stampMs = stamp * this.#msPerTick;
    this.#frames += 1;
    this.#payload += payload;
    this.#framesOfGop += 1;
    if (Number.isNaN(this.#firstAt)) {
      this.#firstAt = at;
      this.#warm(at);
    } else if (at - this.#lastAt > PAUSE_MS && at - this.#lastAt > this.#pauseMs()) {
      this.#warm(at);
      this.#packets.clear();
      // of two frames nobody knows whether that is their step: a page may be sent every few seconds
      if (this.#steps.count === 0) this.#course.clear();
      else this.#beginAnew();
    }
    const isStamp = Math.abs(stampMs) < MOST_STAMP_MS;
    if (isStamp) {
      this.#stamped(stampMs, at);
      this.#late(stampMs - at, at);
    }
    this.#lastAt = at;
    if (key) this.#keyframe(isStamp ? stampMs : Number.NaN, payload, at);
    else this.#deltas?.push(at, payload);
    if (at >= this.#warmUntil) this.#mark(at);
  }

  /** How it stands at `at`; `playedAt`: when it began to play, where it has. */
  figures(at: number, playedAt: number): TrackFigures {
    const counts = this.#packets.counts;
    const loss = this.#packets.lately(at);
    const now = Number.isNaN(this.#lastAt) ? at : Math.max(at, this.#lastAt);
    const since = (moment: number): number => Math.max(0, at - moment);
    return {
      kind: this.#track.kind,
      codec: this.#format?.codec || this.#track.codec,
      frames: this.#frames,
      keyframes: this.#keyframes,
      bytes: this.#bytes,
      ...defined("everyMs", this.#track.everyMs),
      ...defined("fps", this.#perSecond(now, this.#rateMs(), "frames", 0)),
      ...defined("kbps", this.#kbps(now)),
      ...defined("stepMs", this.#steps.median()),
      silentMs: since(Number.isNaN(this.#lastAt) ? playedAt : this.#lastAt),
      byteSilentMs: since(Number.isNaN(this.#byteAt) ? playedAt : this.#byteAt),
      ...(Number.isNaN(this.#firstAt)
        ? {}
        : {
            sinceKeyMs: since(Number.isNaN(this.#keyAt) ? this.#firstAt : this.#keyAt),
            sinceKeyFrames: this.#framesOfGop,
          }),
      ...defined("gopMs", this.#gops.median()),
      ...defined("gopFrames", this.#gopFrames.median()),
      ...defined("gopMostMs", this.#gops.most()),
      ...defined("ratio5s", this.#shortRatio()),
      ...defined("ratio60s", this.#course.steadyRatio(longWindow(this.#track), EDGE_MS)),
      stuckMs: this.#behind < STUCK_FRAMES ? 0 : Math.max(0, this.#lastAt - this.#advancedAt),
      jumps: this.#jumps,
      ...(Number.isNaN(this.#jumpAt) ? {} : { sinceJumpMs: since(this.#jumpAt) }),
      ...(Number.isNaN(this.#lateAt) ? {} : { sinceLateMs: since(this.#lateAt) }),
      ...(loss === undefined ? {} : { lossPct: loss.pct, lostLately: loss.lost }),
      ...defined("packets", counts),
      ...defined("format", this.#format),
      keySizes: this.#keySizes.list(),
      ...defined("deltaMedianBytes", this.#deltas?.medianSince(at - SHORT_MS)),
    };
  }

  #late(leadMs: number, at: number): void {
    const soonest = Number.isNaN(this.#lastAt) ? this.#leadMs : this.#leadMs - LEAD_FADES * (at - this.#lastAt);
    this.#leadMs = Math.max(leadMs, soonest);
    if (this.#leadMs - leadMs > LATE_MS) this.#lateAt = at;
  }

  #warm(at: number): void {
    this.#begunAt = at;
    this.#warmUntil = at + this.#warmUpMs;
  }
  /** What was measured so far does not go on from here. */
  #beginAnew(): void {
    this.#course.clear();
    this.#deltas?.clear();
    this.#advancedAt = Number.NaN;
    this.#behind = 0;
    this.#astray = false;
    this.#keyStampMs = Number.NaN;
  }
  #pauseMs(): number {
    const stepMs = this.#stepMs ?? this.#steps.median() ?? 0;
    return Math.max(PAUSE_MS, 3 * stepMs, 3 * (this.#track.everyMs ?? 0));
  }

  #stamped(stampMs: number, at: number): void {
    const step = stampMs - this.#stampMs;
    if (Number.isNaN(this.#advancedAt)) {
      // the first of all, or after a pause: a leap over the pause belongs to it
      this.#reached(stampMs, at);
      return;
    }
    const leap = LEAP_MS + 3 * (this.#stepMs ?? 0);
    if (step > at - this.#advancedAt + leap || step < -leap) {
      this.#leadMs = Number.NEGATIVE_INFINITY;
      if (at >= this.#warmUntil) {
        this.#jumps += 1;
        this.#jumpAt = at;
      }
      this.#beginAnew();
      this.#reached(stampMs, at);
    } else if (step > 0) {
      this.#steps.push(step / (this.#behind + 1));
      this.#reached(stampMs, at);
    } else this.#behind += 1;
  }
  #reached(stampMs: number, at: number): void {
    this.#stampMs = stampMs;
    this.#advancedAt = at;
    this.#behind = 0;
  }

  #keyframe(stampMs: number, payload: number, at: number): void {
    this.#keyframes += 1;
    this.#keyAt = at;
    this.#keySizes.push(payload);
    const gopMs = stampMs - this.#keyStampMs;
    if (gopMs > 0) {
      this.#gops.push(gopMs);
      this.#gopFrames.push(this.#framesOfGop);
    }
    this.#keyStampMs = stampMs;
    this.#framesOfGop = 0;
  }

  #mark(at: number): void {
    if (Number.isNaN(this.#stampMs)) return;
    if (!this.#course.mark(at, this.#stampMs, this.#frames, this.#payload)) {
      if (this.#track.everyMs === undefined) this.#course.amend(at, this.#stampMs, this.#frames, this.#payload);
      return;
    }
    this.#stepMs = this.#steps.median();
    this.#notePace(at);
    if (at - this.#begunAt > CATCH_UP_MS) return;
    // a cache on a slow way: still older than time goes, so it proves nothing
    const tookMs = at - this.#course.at(0);
    if (tookMs < FIRST_RATE_MS || (this.#stampMs - this.#course.stampMs(0)) / tookMs < CATCH_UP_RATIO) return;
    this.#course.clear();
    this.#course.mark(at, this.#stampMs, this.#frames, this.#payload);
  }

  /** Once stamps that ran far off, or stood, go right again, what they did before must not count for another minute. */
  #notePace(at: number): void {
    const ratio = this.#shortRatio();
    if (ratio === undefined) return;
    if (ratio < PACE_LEAST || ratio > PACE_MOST) this.#astray = true;
    else if (this.#astray) {
      this.#astray = false;
      this.#course.clear();
      this.#course.mark(at, this.#stampMs, this.#frames, this.#payload);
    }
  }

  /** Rates are taken over so long, ms. */
  #rateMs(): number {
    return Math.max(SHORT_MS, Math.min(MOST_RATE_MS, 10 * (this.#stepMs ?? 0)), 3 * (this.#track.everyMs ?? 0));
  }
  #kbps(now: number): number | undefined {
    // a keyframe too few or too many must not count: never less than a whole GOP
    const gopMs = Math.min(MOST_RATE_MS, this.#gops.most() ?? 0);
    const perSecond = this.#perSecond(now, Math.max(this.#rateMs(), 1.2 * gopMs), "payload", gopMs);
    return perSecond === undefined ? undefined : (perSecond * 8) / 1000;
  }
  #perSecond(now: number, windowMs: number, what: "frames" | "payload", leastMs: number): number | undefined {
    const mark = this.#course.markBefore(now - windowMs);
    if (mark === -1) return undefined;
    // what is read in batches is counted from the end of one to the end of another
    const gathered = this.#track.everyMs === undefined && now - this.#lastAt < GATHERED_MS;
    const tookMs = (gathered ? this.#lastAt : now) - this.#course.at(mark);
    if (tookMs < Math.max(FIRST_RATE_MS, RATE_FRAMES * (this.#stepMs ?? 0), leastMs)) return undefined;
    const count =
      what === "frames" ? this.#frames - this.#course.frames(mark) : this.#payload - this.#course.payload(mark);
    return (count / tookMs) * 1000;
  }

  /** From frame to frame: silence after the last one has no part in it. */
  #shortRatio(): number | undefined {
    const stepMs = this.#stepMs ?? 0;
    const windowMs = Math.max(SHORT_MS, 5 * stepMs, 3 * (this.#track.everyMs ?? 0));
    return this.#course.ratio(this.#lastAt, this.#stampMs, windowMs, Math.max(LEAST_MS, 3 * stepMs));
  }
}

/** B-frames run back once or twice; so many frames that get no further do stand still. */
const STUCK_FRAMES = 3;
const MOST_EVERY_MS = 60_000;
/** A track whose pace makes sense: a playlist is the other side's word. */
function sound({ everyMs, ...track }: Track): Track {
  return everyMs !== undefined && everyMs > 0 ? { ...track, everyMs: Math.min(everyMs, MOST_EVERY_MS) } : track;
}
/** No frame is larger, no stamp further, no clock slower or faster: what is told beyond is noise. */
const MOST_SIZE = 2 ** 30;
const MOST_STAMP_MS = 1e15;
const MOST_HZ = 1e9;
const DEFAULT_HZ = 90_000;
const msPerTick = ({ clockHz }: Track): number => 1000 / (clockHz >= 1 && clockHz <= MOST_HZ ? clockHz : DEFAULT_HZ);
const longWindow = ({ everyMs }: Track): number => Math.max(LONG_MS, 10 * (everyMs ?? 0));
/** The course holds the long window and both its edges. */
const markEvery = (track: Track): number => Math.max(MARK_MS, (longWindow(track) + 2 * EDGE_MS) / 250);

/** An optional field that is there only when it has a value. */
function defined<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  const field: { [P in K]?: V } = {};
  if (value !== undefined && !(typeof value === "number" && Number.isNaN(value))) field[key] = value;
  return field;
}
