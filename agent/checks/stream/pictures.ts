import type { Clock } from "../../../platform/clock.ts";
import { Failure } from "../../../protocol/failure.ts";
import type { SessionFigures } from "./figures.ts";
import type { Learner } from "./learn.ts";
import type { Keyframe } from "./media.ts";
import type { LearntOsd } from "./picture/osd.ts";
import { PictureJudge } from "./picture/view.ts";
import type { MakeThumbnail, OsdBox, PictureView, Thumbnail } from "./picture.ts";
import { wordsOf } from "./watch.ts";

/** Looks at one keyframe now and then, at the picture itself: the only tier that decodes anything. */

export interface PicturesOrder {
  clock: Clock;
  /** In [0, 1). */
  random: () => number;
  make: MakeThumbnail;
  everyMs: number;
  streamClass: "camera" | "presentation" | "narrowband";
  osd?: OsdBox | undefined;
  /** What was found before a restart. */
  learntOsd?: LearntOsd | undefined;
  learner: Learner;
}

/** Twice the distance at which a clock must have ticked; a suspicion is confirmed or dropped at this pace. */
const SOON_MS = 4_000;
const SOON_LOOKS = 4;
/** Where the sizes hint at a frozen picture, the very next keyframe that a clock must have ticked for. */
const HINTED_MS = 1_950;
/** So many looks at that pace where the bit rate fell, to say whether the picture explains it. */
const HURRIED_LOOKS = 6;
/** From here on down a picture may be about to be called black, or still. */
const DIM = 24;
const QUIET = 1;

export class Pictures {
  readonly #order: PicturesOrder;
  readonly #judge: PictureJudge;
  readonly #ending = new AbortController();
  #dueAt: number;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #busy = false;
  /** The bit rate is low: so many looks at the quickest pace are left. */
  #hurried = 0;
  #isLow = false;
  /** Looks at the quicker pace that are left, for the state they are about. */
  #soon = SOON_LOOKS;
  #kind: PictureView["state"] | "dim" | undefined;

  constructor(order: PicturesOrder) {
    const { everyMs, streamClass, osd, learntOsd } = order;
    this.#order = order;
    this.#judge = new PictureJudge({ everyMs, streamClass, osd, learntOsd });
    this.#dueAt = order.clock.now();
  }
  get learntOsd(): LearntOsd | undefined {
    return this.#judge.learntOsd;
  }
  evidence(): readonly Thumbnail[] {
    return this.#judge.evidence();
  }

  wants(): boolean {
    if (this.#busy) return false;
    const now = this.#order.clock.now();
    const isWanted = this.#judge.wantsLook || this.#hurried > 0;
    return now >= this.#dueAt || (isWanted && now - this.#lookedAt >= HINTED_MS);
  }
  /** Whether a bit rate that fell waits for the picture to explain it. */
  hurry(isLow: boolean): void {
    if (isLow !== this.#isLow) this.#hurried = isLow ? HURRIED_LOOKS : 0;
    this.#isLow = isLow;
  }
  take(keyframe: Keyframe): void {
    if (!this.wants()) return;
    this.#busy = true;
    this.#lookedAt = this.#order.clock.now();
    if (this.#hurried > 0) this.#hurried -= 1;
    void this.#look(keyframe);
  }
  view(figures: SessionFigures | undefined): PictureView {
    const { clock, learner } = this.#order;
    const video = figures?.tracks.find(({ kind }) => kind === "video");
    return this.#judge.view(clock.now(), {
      keySizes: video?.keySizes,
      deltaMedianBytes: video?.deltaMedianBytes,
      usualDeltaBytes: learner.learnt.deltaBytes,
      leastMotion: learner.leastMotion,
      longestStillMs: learner.longestStillMs(clock.wall()),
    });
  }
  close(): void {
    this.#ending.abort();
  }

  async #look(keyframe: Keyframe): Promise<void> {
    const { clock, make, learner } = this.#order;
    try {
      const { motion, stoodMs } = this.#judge.thumbnail(await make(keyframe, clock.now(), this.#ending.signal));
      if (motion !== undefined) learner.moved(motion, clock.wall());
      if (stoodMs !== undefined) learner.stood(stoodMs, clock.wall());
    } catch (cause) {
      this.#judge.failed(cause instanceof Failure ? wordsOf(cause) : "the decoder itself failed");
    } finally {
      this.#busy = false;
      this.#plan();
    }
  }

  /** Soon again while it is new that the picture is dark or does not move; otherwise at its pace, moved by a tenth. */
  #plan(): void {
    const { clock, random, everyMs } = this.#order;
    const { state, readings } = this.view(undefined);
    const dim = (readings["grey_mean"] ?? DIM) < DIM || (readings["motion"] ?? QUIET) < QUIET;
    const kind = state === "live" && dim ? "dim" : state;
    if (kind !== this.#kind) this.#soon = SOON_LOOKS;
    this.#kind = kind;
    const soon = kind !== "live" && this.#soon > 0;
    if (soon) this.#soon -= 1;
    this.#dueAt = clock.now() + (soon ? Math.min(SOON_MS, everyMs) : everyMs) * (0.9 + 0.2 * random());
  }
}
