import type { OsdBox, PictureView, Thumbnail } from "../picture.ts";
import { type Area, areaOf, type Difference, difference, type Light, light } from "./cells.ts";
import { type LearntOsd, OsdLearner, TICK } from "./osd.ts";
import { hintBySizes, proofBySizes, type SizeFacts } from "./sizes.ts";

/**
 * Says what the picture itself shows, from a small grey copy of a keyframe now and then and the sizes of the compressed
 * frames. Pure. What it cannot tell: a sensor that froze behind a clock that goes on, and a frozen picture without a clock,
 * where the encoder fills a fixed rate (software CBR): both look like a quiet scene, and are `still`.
 * The thumbnails must come at uneven times: a clip that plays in a loop of the same period would look frozen.
 */

export interface PictureOptions {
  streamClass: "camera" | "presentation" | "narrowband";
  /** Where the clock stands, when the config says so; otherwise it is found. */
  osd?: OsdBox | undefined;
  /** What `learntOsd` was before a restart. */
  learntOsd?: LearntOsd | undefined;
  /** How often a thumbnail is made, ms. */
  everyMs: number;
}

/** What is measured of the stream beside its picture, and what is usual. */
export interface PictureFacts extends SizeFacts {
  /** Lowest hourly median of the motion in the last 7 days; undefined before a day of them is known. */
  leastMotion?: number | undefined;
  /** Longest it ever stood still at this hour of the day, ms. */
  longestStillMs?: number | undefined;
}

/** What one thumbnail teaches; see Learner.moved and Learner.stood. Of a picture that is frozen, suspect or black nothing is learnt. */
export interface Lesson {
  /** Mean change of a cell against the thumbnail before. */
  motion?: number;
  /** It moved now, after it had stood still for so long, ms. */
  stoodMs?: number;
}

/** Thumbnails closer together tell nothing new: a clock may not have ticked. Two seconds, less what keyframes come early. */
const LEAST_GAP_MS = 1_900;
const BLACK = { mean: 24, deviation: 4, litMargin: 0.1, looks: 3 } as const;
/** Sensor noise keeps the frames of a dark scene above this; no signal costs next to nothing. */
const NOISE_BYTES = 1_000;
/** F2, F3: so many pairs in a row. */
const STANDING_PAIRS = 2;
const QUIET_PAIRS = 3;
/** Under this a picture has not moved. At narrow bands coding alone changes more from keyframe to keyframe. */
const STILL_MOTION = { camera: 0.6, presentation: 0.6, narrowband: 1 } as const;
/** Beyond this the picture itself lives, whatever its clock does. */
const MOVING = { motion: 2, cells: 30 } as const;
/** F3: motion under this part of the lowest ever is none. */
const QUIET_PART = 0.5;
/** F3: a record is broken often by chance; by so much, and so long, seldom. */
const RECORD = { times: 2, leastMs: 3_600_000 } as const;
/** Without a new thumbnail for so many intervals nothing is known any more. */
const STALE_TIMES = 3;
const STALE_LEAST_MS = 30_000;

export class PictureJudge {
  readonly #options: PictureOptions;
  readonly #configured: Area | undefined;
  readonly #osd: OsdLearner;
  #newest: Thumbnail | undefined;
  /** The one in which it was last seen to move, or the first. */
  #moved: Thumbnail | undefined;
  #looks = 0;
  #last: Difference | undefined;
  #light: Light | undefined;
  #blackLooks = 0;
  #blackAt = 0;
  #stillPairs = 0;
  #everMoved = false;
  #standingPairs = 0;
  #standingAt = 0;
  #quiet: number[] = [];
  #oneSizeAt: number | undefined;
  #hinted = false;
  #because = "no keyframe was looked at yet";
  /** What was said last. */
  #state: PictureView["state"] = "unknown";

  constructor(options: PictureOptions) {
    this.#options = options;
    this.#configured = options.osd === undefined ? undefined : areaOf(options.osd);
    this.#osd = new OsdLearner(options.osd === undefined ? options.learntOsd : undefined);
  }
  /** Where the clock was found, to be kept over restarts; undefined while it was not, or is configured. */
  get learntOsd(): LearntOsd | undefined {
    return this.#osd.learnt;
  }
  /** Two thumbnails for the device's own eyes: when it moved last, and the newest. They never leave the device. */
  evidence(): readonly Thumbnail[] {
    const [then, now] = [this.#moved, this.#newest];
    if (now === undefined) return [];
    return then === undefined || then === now ? [now] : [then, now];
  }

  /** The sizes begin to look like a frozen picture: the next keyframes should be looked at, to confirm or refute it. */
  get wantsLook(): boolean {
    return this.#hinted;
  }

  /** No thumbnail could be made; `because` is why nothing can be told, if that lasts. */
  failed(because: string): void {
    this.#because = because;
  }

  /** Takes one in; those that come too soon after another are passed over. */
  thumbnail(one: Thumbnail): Lesson {
    const before = this.#newest;
    if (before !== undefined && one.at - before.at < LEAST_GAP_MS) return {};
    const box = this.#box();
    this.#newest = one;
    this.#because = "no keyframe could be looked at lately";
    this.#looks += 1;
    this.#darkness(one, box);
    if (before === undefined) {
      this.#moved = one;
      return {};
    }
    const change = difference(before.grey, one.grey, box);
    this.#last = change;
    this.#clock(change, before);
    const lesson = this.#motion(change, one);
    const dark = this.#blackLooks > 0;
    if (this.#configured === undefined && !dark)
      this.#osd.pair(before.grey, one.grey, one.at - before.at, !isMoving(change));
    // what a dead picture shows must not become usual; a suspect that moves again was alive
    if (this.#state === "frozen" || this.#state === "black") return {};
    return this.#state === "suspect" && lesson.stoodMs === undefined ? {} : lesson;
  }

  /** What is known at `at`, monotonic ms. */
  view(at: number, facts: PictureFacts = {}): PictureView {
    const view = this.#viewed(at, facts);
    this.#state = view.state;
    return view;
  }
  #viewed(at: number, facts: PictureFacts): PictureView {
    const readings = this.#readings(facts);
    const oneSize = this.#oneSize(at, facts);
    if (this.#isStale(at)) return oneSize ?? { state: "unknown", says: this.#because, readings };
    // a black picture is of one size, too, and it is the black that is to be told
    const proof = this.#blackLooks > 0 ? undefined : oneSize;
    const seen = this.#dark(facts) ?? proof ?? this.#standing() ?? this.#stillOrLive(at, facts);
    return { ...seen, ...this.#tendency(), readings };
  }

  #tendency(): Pick<PictureView, "resting" | "darkening"> {
    const resting = this.#last !== undefined && !isMoving(this.#last);
    return { ...(resting ? { resting } : {}), ...(this.#blackLooks > 0 ? { darkening: true } : {}) };
  }

  #box(): Area | undefined {
    return this.#configured ?? this.#osd.area;
  }
  #isStale(at: number): boolean {
    if (this.#newest === undefined) return true;
    return at - this.#newest.at > Math.max(STALE_TIMES * this.#options.everyMs, STALE_LEAST_MS);
  }

  #darkness(one: Thumbnail, box: Area | undefined): void {
    this.#light = light(one.grey, box);
    const { mean, deviation, litMargin } = this.#light;
    const black = mean < BLACK.mean && deviation < BLACK.deviation && litMargin <= BLACK.litMargin;
    if (black && this.#blackLooks === 0) this.#blackAt = one.at;
    this.#blackLooks = black ? this.#blackLooks + 1 : 0;
  }
  #clock({ inBox }: Difference, before: Thumbnail): void {
    if (inBox === undefined || inBox >= TICK) this.#standingPairs = 0;
    else {
      if (this.#standingPairs === 0) this.#standingAt = before.at;
      this.#standingPairs += 1;
    }
  }
  #motion(change: Difference, one: Thumbnail): Lesson {
    const motion = change.outside;
    this.#quiet = [...this.#quiet, motion].slice(-QUIET_PAIRS);
    if (motion < STILL_MOTION[this.#options.streamClass] && change.movedCells < MOVING.cells) {
      this.#stillPairs += 1;
      return { motion };
    }
    const stoodMs = this.#stillPairs < STANDING_PAIRS || this.#moved === undefined ? 0 : one.at - this.#moved.at;
    this.#stillPairs = 0;
    this.#everMoved = true;
    this.#moved = one;
    return { motion, ...(stoodMs > 0 ? { stoodMs } : {}) };
  }

  /** Black, or dark with a sensor that is seen to work. */
  #dark({ deltaMedianBytes, usualDeltaBytes }: PictureFacts): Omit<PictureView, "readings"> | undefined {
    if (this.#blackLooks < BLACK.looks || this.#light === undefined) return undefined;
    const { mean, deviation } = this.#light;
    const how = `mean ${mean.toFixed(1)} of 255, deviation ${deviation.toFixed(1)}, on ${this.#blackLooks} keyframes`;
    const noise = Math.min(NOISE_BYTES, (usualDeltaBytes ?? Infinity) / 5);
    const base = { by: "dark", sinceAt: this.#blackAt } as const;
    if (deltaMedianBytes === undefined || deltaMedianBytes < noise)
      return { ...base, state: "black", says: `the picture is black: ${how}` };
    const says = `the picture is dark (${how}), and frames of ${Math.round(deltaMedianBytes)} bytes carry the sensor's noise: a night, not a lost signal; it may stand still`;
    return { ...base, state: "still", says };
  }

  /** F1: an encoder whose input does not change at all writes keyframes of one size and next to nothing between them. */
  #oneSize(at: number, facts: PictureFacts): PictureView | undefined {
    if (facts.keySizes === undefined) return undefined; // between two sessions: nothing new is known
    const motion = this.#isStale(at) ? undefined : this.#last?.outside;
    const provable = this.#options.streamClass !== "presentation";
    const proof = provable ? proofBySizes(facts, motion) : undefined;
    this.#hinted = provable && proof === undefined && hintBySizes(facts);
    if (proof === undefined) {
      this.#oneSizeAt = undefined;
      return undefined;
    }
    this.#oneSizeAt ??= at;
    return {
      ...{ state: "frozen", by: "sizes", sinceAt: this.#oneSizeAt, readings: this.#readings(facts) },
      says: `frozen, proven: ${proof}`,
    };
  }

  /** F2: the burnt-in clock stands, and the rest does not move either. */
  #standing(): Omit<PictureView, "readings"> | undefined {
    const change = this.#last;
    if (this.#standingPairs < STANDING_PAIRS || change?.inBox === undefined) return undefined;
    const looks = `on ${this.#standingPairs + 1} keyframes (largest change ${change.inBox} of 255, a tick makes ${TICK} and more)`;
    const base = { by: "osd", sinceAt: this.#standingAt } as const;
    if (isMoving(change))
      return {
        ...base,
        state: "live",
        says: `the picture moves, but its burnt-in clock stands ${looks}: switched off, or the encoder's overlay hangs`,
      };
    if (this.#configured !== undefined || this.#osd.firm)
      return { ...base, state: "frozen", says: `frozen: the burnt-in clock stands ${looks}` };
    const says = `the part of the picture that always changed, taken for its clock, stands ${looks}`;
    return { ...base, state: this.#options.streamClass === "presentation" ? "still" : "suspect", says };
  }

  /** F3, and what is left. */
  #stillOrLive(at: number, facts: PictureFacts): Omit<PictureView, "readings"> {
    const motion = this.#last?.outside;
    if (motion === undefined)
      return { state: "unknown", says: "one keyframe was looked at; it takes two to see motion" };
    const moved = `mean change ${motion.toFixed(2)} of 255`;
    if (this.#stillPairs < STANDING_PAIRS)
      return this.#stillPairs === 0 || this.#everMoved
        ? { state: "live", by: "motion", says: `the picture moves: ${moved}` }
        : { state: "unknown", says: `two keyframes are alike (${moved}); it takes a third` };
    const sinceAt = this.#moved?.at ?? at;
    const base = { by: "motion", sinceAt } as const;
    const stood = `it stands still for ${duration(at - sinceAt)}: ${moved}`;
    const suspect = this.#suspectBecause(at - sinceAt, facts);
    if (suspect !== undefined) return { ...base, state: "suspect", says: `${stood}; ${suspect}` };
    return { ...base, state: "still", says: stood };
  }
  #suspectBecause(stillMs: number, { leastMotion, longestStillMs }: PictureFacts): string | undefined {
    const { streamClass } = this.#options;
    if (streamClass === "presentation" || leastMotion === undefined) return undefined;
    const most = Math.max(...this.#quiet);
    // at narrow bands what coding changes hides what the sensor does
    if (streamClass === "camera" && this.#quiet.length === QUIET_PAIRS && most < QUIET_PART * leastMotion)
      return `a live scene never fell under ${leastMotion.toFixed(2)} in 7 days`;
    if (longestStillMs === undefined || stillMs < Math.max(RECORD.leastMs, RECORD.times * longestStillMs))
      return undefined;
    return `never before at this hour longer than ${duration(longestStillMs)}`;
  }

  #readings({ deltaMedianBytes }: PictureFacts): Record<string, number> {
    const readings: Record<string, number> = { thumbnails_count: this.#looks };
    if (this.#light !== undefined) {
      readings.grey_mean = rounded(this.#light.mean);
      readings.grey_deviation = rounded(this.#light.deviation);
    }
    if (this.#last !== undefined) readings.motion = rounded(this.#last.outside);
    if (this.#last?.inBox !== undefined) readings.osd_change = this.#last.inBox;
    if (deltaMedianBytes !== undefined) readings.delta_bytes = Math.round(deltaMedianBytes);
    return readings;
  }
}

const isMoving = ({ outside, movedCells }: Difference): boolean =>
  outside >= MOVING.motion || movedCells >= MOVING.cells;

const rounded = (value: number): number => Math.round(value * 1_000) / 1_000;

function duration(ms: number): string {
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`;
  return ms < 7_200_000 ? `${Math.round(ms / 60_000)} min` : `${(ms / 3_600_000).toFixed(1)} h`;
}
