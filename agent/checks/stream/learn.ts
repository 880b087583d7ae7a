import * as z from "zod/mini";
import type { Conclusion } from "./conclusion.ts";
import type { TrackFigures } from "./figures.ts";

/**
 * What is usual for one stream, learnt while it is well and kept over restarts. Nothing is learnt of a sick stream; what is
 * usual moves slowly, so that a fault does not become usual overnight. Pure: the caller reads and writes the file.
 */

const positive = z.number().check(z.minimum(0), z.maximum(1e9));
const HOURS_OF_WEEK = 168;
const HOURS_OF_DAY = 24;

const LearntSchema = z.strictObject({
  v: z.literal(1),
  /** Minutes of health that taught it. */
  minutes: z.int().check(z.minimum(0), z.maximum(1e9)),
  /** Usual bit rate, and the least that is usual. */
  kbps: z.optional(positive),
  kbpsLeast: z.optional(positive),
  fps: z.optional(positive),
  fpsLeast: z.optional(positive),
  gopMs: z.optional(positive),
  gopFrames: z.optional(positive),
  /** The longest between two keyframes that is usual. */
  gopMostMs: z.optional(positive),
  /** Bytes of a keyframe, and of another frame. */
  keyBytes: z.optional(positive),
  deltaBytes: z.optional(positive),
  codec: z.optional(z.string().check(z.maxLength(16))),
  width: z.optional(positive),
  height: z.optional(positive),
  /** Median motion of the thumbnails by the hour of the last 7 days: [hour since 1970, figure]. */
  motion: z.array(z.tuple([z.int(), positive])).check(z.maxLength(HOURS_OF_WEEK)),
  /** Longest time, ms, that the picture stood still, by the UTC hour of the day at which it did. */
  stillMs: z.array(positive).check(z.maxLength(HOURS_OF_DAY)),
});
export type Learnt = Readonly<z.infer<typeof LearntSchema>>;

export const NOTHING_LEARNT: Learnt = { v: 1, minutes: 0, motion: [], stillMs: [] };

/** What `save` wrote; of anything else nothing is learnt yet. */
export function readLearnt(text: string | undefined): Learnt {
  try {
    if (text === undefined || text.length > MOST_TEXT) return NOTHING_LEARNT;
    const read = z.safeParse(LearntSchema, JSON.parse(text));
    return read.success ? read.data : NOTHING_LEARNT;
  } catch {
    return NOTHING_LEARNT;
  }
}

const MOST_TEXT = 4_096;
const SAMPLE_MS = 1_000;
/** So many looks, a second apart, teach what is usual for the first time. */
const FIRST_LOOKS = 10;
const LOOKS_PER_FOLD = 60;
/** What is usual moves as an average over so many minutes does; the least that is usual forgets within days. */
const SLOW_MINUTES = 240;
const FORGET = 1 / (3 * 1_440);
const SAVE_MS = 3_600_000;
const HOUR_MS = 3_600_000;
/** A clock that says less was never set (2020); no clock says more (2100). */
const LEAST_WALL_MS = 1_577_836_800_000;
const MOST_WALL_MS = 4_102_444_800_000;
const isSet = (wall: number): boolean => wall > LEAST_WALL_MS && wall < MOST_WALL_MS;
/** After a day of nothing but a low rate that rate is the usual one: somebody has set it so. */
const ACCEPT_MS = 86_400_000;
const MOTIONS = 64;

const RATES = ["kbps", "fps", "gopMs", "gopFrames", "keyBytes", "deltaBytes"] as const;
type Rate = (typeof RATES)[number];

export class Learner {
  #learnt: Learnt;
  #looks: Partial<Record<Rate, number>>[] = [];
  #lookedAt = Number.NEGATIVE_INFINITY;
  #savedAt = Number.NEGATIVE_INFINITY;
  #changed = false;
  #lowSince = Number.NaN;
  #motionHour = Number.NaN;
  #motions: number[] = [];

  /** `text`: what `save` gave before a restart. */
  constructor(text?: string) {
    this.#learnt = readLearnt(text);
  }
  get learnt(): Learnt {
    return this.#learnt;
  }

  /** Takes in how the video stands; call it with every conclusion. `at`: monotonic ms. */
  teach(video: TrackFigures | undefined, conclusion: Conclusion, at: number): void {
    if (video === undefined || at - this.#lookedAt < SAMPLE_MS) return;
    this.#lookedAt = at;
    const { state, reason, severity } = conclusion;
    if (reason === "bitrate" || reason === "fps") this.#low(at);
    else if (severity === undefined && (state === "ok" || state === "still")) this.#well(video);
  }

  /** Takes in how much moved between two thumbnails of a picture that was not proven dead. `wall`: epoch ms. */
  moved(motion: number, wall: number): void {
    if (!isSet(wall) || !Number.isFinite(motion) || motion < 0) return;
    const hour = Math.floor(wall / HOUR_MS);
    if (hour !== this.#motionHour) {
      this.#foldMotion();
      this.#motionHour = hour;
    }
    if (this.#motions.length < MOTIONS) this.#motions.push(motion);
  }
  /** The lowest hourly median of the last 7 days; undefined before a day of them is known. */
  get leastMotion(): number | undefined {
    const { motion } = this.#learnt;
    return motion.length < HOURS_OF_DAY ? undefined : motion.reduce((least, [, one]) => Math.min(least, one), Infinity);
  }

  /** Takes in that a picture stood still for so long and moved again, so that it was alive. `wall`: epoch ms of its end. */
  stood(ms: number, wall: number): void {
    if (!isSet(wall) || !(ms > 0) || !Number.isFinite(ms)) return;
    const hour = hourOfDay(wall);
    if (ms <= (this.#learnt.stillMs[hour] ?? 0)) return;
    const stillMs = Array.from({ length: HOURS_OF_DAY }, (_, i) => this.#learnt.stillMs[i] ?? 0);
    stillMs[hour] = Math.min(Math.round(ms), 1e9);
    this.#learn({ stillMs });
  }
  /** The longest it ever stood still at this hour of the day, ms; undefined where that is not known. */
  longestStillMs(wall: number): number | undefined {
    const ms = isSet(wall) ? this.#learnt.stillMs[hourOfDay(wall)] : undefined;
    return ms === undefined || ms === 0 ? undefined : ms;
  }

  /** Whether there is something worth a write to flash: once when first taught, then hourly at most. */
  due(at: number): boolean {
    return this.#changed && this.#learnt.minutes > 0 && at - this.#savedAt >= SAVE_MS;
  }
  /** What to keep, under 4 kB. It counts as written: a write that failed is tried again an hour later. */
  save(at: number): string {
    this.#savedAt = at;
    this.#changed = false;
    return JSON.stringify(this.#learnt);
  }

  #learn(part: Partial<Learnt>): void {
    this.#learnt = { ...this.#learnt, ...part };
    this.#changed = true;
  }

  /** A low rate that nobody mends for a day is what somebody has set. */
  #low(at: number): void {
    if (Number.isNaN(this.#lowSince)) this.#lowSince = at;
    else if (at - this.#lowSince >= ACCEPT_MS) this.#forgetRates();
  }
  #forgetRates(): void {
    this.#looks = [];
    this.#lowSince = Number.NaN;
    const { v, motion, stillMs } = this.#learnt;
    this.#learnt = { v, minutes: 0, motion, stillMs };
  }

  #well(video: TrackFigures): void {
    this.#lowSince = Number.NaN;
    this.#seen(video);
    // before the GOP is known a rate may hold one keyframe too few or too many
    if (video.gopMs === undefined || video.keyframes < 3 || video.kbps === undefined || video.fps === undefined) return;
    this.#looks.push(looked(video));
    const most = video.gopMostMs ?? 0;
    const gopMostMs = Math.max(most, (this.#learnt.gopMostMs ?? 0) * (1 - FORGET / LOOKS_PER_FOLD));
    this.#learnt = { ...this.#learnt, gopMostMs: round(gopMostMs) };
    const enough = this.#learnt.minutes === 0 ? FIRST_LOOKS : LOOKS_PER_FOLD;
    if (this.#looks.length >= enough) this.#fold();
  }

  /** Another picture has other rates: they are learnt anew. */
  #seen({ format, codec }: TrackFigures): void {
    if (format === undefined) return;
    const { width, height } = format;
    const known = this.#learnt;
    if (known.codec === codec && known.width === width && known.height === height) return;
    if (known.width !== undefined) this.#forgetRates();
    this.#learn({ codec: codec.slice(0, 16), width: round(width), height: round(height) });
  }

  #fold(): void {
    const minutes = Math.min(this.#learnt.minutes + 1, 1e9);
    const weight = 1 / Math.min(minutes, SLOW_MINUTES);
    const rates = Object.fromEntries(
      RATES.flatMap((rate) => {
        const now = median(this.#looks.flatMap((look) => look[rate] ?? []));
        const before = this.#learnt[rate];
        return now === undefined ? [] : [[rate, round(before === undefined ? now : before + (now - before) * weight)]];
      }),
    );
    const least = (rate: "kbps" | "fps", before: number | undefined): number | undefined => {
      const now = Math.min(...this.#looks.flatMap((look) => look[rate] ?? []));
      if (!Number.isFinite(now)) return before;
      return round(before === undefined || now <= before ? now : before + (now - before) * FORGET);
    };
    const kbpsLeast = least("kbps", this.#learnt.kbpsLeast);
    const fpsLeast = least("fps", this.#learnt.fpsLeast);
    this.#looks = [];
    this.#learn({
      minutes,
      ...rates,
      ...(kbpsLeast === undefined ? {} : { kbpsLeast }),
      ...(fpsLeast === undefined ? {} : { fpsLeast }),
    });
  }

  #foldMotion(): void {
    const motion = median(this.#motions);
    const hour = this.#motionHour;
    this.#motions = [];
    if (motion === undefined) return;
    // a wall clock that was set back or ahead leaves no hours of another time behind
    const kept = this.#learnt.motion.filter(([one]) => one !== hour && Math.abs(hour - one) < HOURS_OF_WEEK);
    const one: [number, number] = [hour, round(motion)];
    this.#learn({ motion: [...kept, one].slice(-HOURS_OF_WEEK) });
  }
}

const hourOfDay = (wall: number): number => Math.floor(wall / HOUR_MS) % HOURS_OF_DAY;

function looked(video: TrackFigures): Partial<Record<Rate, number>> {
  const { kbps, fps, gopMs, gopFrames, deltaMedianBytes, keySizes } = video;
  const keyBytes = median(keySizes);
  return {
    ...(kbps === undefined ? {} : { kbps }),
    ...(fps === undefined ? {} : { fps }),
    ...(gopMs === undefined ? {} : { gopMs }),
    ...(gopFrames === undefined ? {} : { gopFrames }),
    ...(keyBytes === undefined ? {} : { keyBytes }),
    ...(deltaMedianBytes === undefined ? {} : { deltaBytes: deltaMedianBytes }),
  };
}

/** Three digits are enough of what is usual, and keep the file small. */
function round(value: number): number {
  const kept = Number(Math.min(Math.max(value, 0), 1e9).toPrecision(5));
  return Number.isFinite(kept) ? kept : 0;
}

function median(values: readonly number[]): number | undefined {
  const sorted = values.filter(Number.isFinite).toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle];
  if (high === undefined) return undefined;
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] ?? high)) / 2;
}
