import type { Clock } from "../../../platform/clock.ts";
import type { Failure } from "../../../protocol/failure.ts";
import { isPlausible } from "../wall.ts";
import type { Expect, StreamClass } from "./causes.ts";
import type { Conclusion } from "./conclusion.ts";
import type { Target } from "./config.ts";
import type { SessionFigures } from "./figures.ts";
import { type Answers, isFed, type PassiveLooks, type WayFacts } from "./hop.ts";
import { conclude } from "./judge.ts";
import type { Learner } from "./learn.ts";
import type { MediaSink } from "./media.ts";
import { Meter } from "./meter.ts";
import type { PassiveFacts } from "./passive.ts";
import type { PictureView } from "./picture.ts";
import type { Pictures } from "./pictures.ts";
import type { Thresholds } from "./thresholds.ts";
import type { Examiner } from "./watch.ts";

export interface ExaminerOrder {
  clock: Clock;
  thresholds: Thresholds;
  expect: Expect;
  streamClass: StreamClass;
  answers: Answers;
  learner: Learner;
  /** Left out where pictures are not looked at. */
  pictures?: Pictures | undefined;
}

/** Two looks at counters closer together say nothing. */
const LOOKS_APART_MS = 2_000;

/** From what a session brings to what is concluded of the stream. */
export class StreamExaminer implements Examiner {
  readonly #order: ExaminerOrder;
  #meter: Meter | undefined;
  #figures: SessionFigures | undefined;
  #failure: Failure | undefined;
  #before: Conclusion | undefined;
  #lastGoodAt: number | undefined;
  #looks: PassiveLooks | undefined;
  #first: PassiveFacts | undefined;
  #way: WayFacts = {};

  constructor(order: ExaminerOrder) {
    this.#order = order;
  }
  /** Of the session that runs, or of the last one. */
  get figures(): SessionFigures | undefined {
    return this.#figures;
  }
  get view(): PictureView | undefined {
    return this.#order.pictures?.view(this.#figures);
  }

  begin(): MediaSink {
    const { clock, pictures } = this.#order;
    this.#figures = undefined;
    this.#meter = new Meter({
      startedAt: clock.now(),
      now: () => clock.now(),
      ...(pictures === undefined
        ? {}
        : {
            wantsPicture: () => pictures.wants(),
            picture: (_, keyframe) => pictures.take(keyframe),
          }),
    });
    return this.#meter;
  }
  conclude(): Conclusion {
    const figures = this.#meter?.figures(this.#order.clock.now());
    this.#figures = figures ?? this.#figures;
    // without a session it is the counters that are asked, and they answered
    if (this.#meter === undefined || figures?.playingMs !== undefined) this.#failure = undefined;
    return this.#judged(figures);
  }
  failed(failure: Failure): Conclusion {
    this.#failure = failure;
    return this.#judged(undefined);
  }
  playingMs(): number | undefined {
    return this.#meter === undefined ? undefined : this.#figures?.playingMs;
  }
  wantsMore(): boolean {
    return this.#order.pictures?.wants() ?? false;
  }
  end(): void {
    this.#meter = undefined;
  }

  /** What the counters of a forwarder say now. Rejected looks are told as undefined: then nothing is known of them. */
  looked(facts: PassiveFacts | undefined): void {
    const before = this.#first;
    if (facts === undefined) {
      this.#first = undefined;
      this.#looks = undefined;
    } else if (before === undefined) this.#first = facts;
    else if (facts.at - before.at >= LOOKS_APART_MS) {
      this.#looks = { before, now: facts };
      this.#first = facts;
    }
  }
  /** What is known of the way to the stream while something is wrong. */
  went(way: WayFacts): void {
    this.#way = way;
  }

  /** Counters that moved while all was well say nothing of a fault that begins now. */
  #passive(figures: SessionFigures | undefined): PassiveLooks | undefined {
    const looks = this.#looks;
    const begins = this.#before?.reason === undefined && (figures !== undefined || this.#failure !== undefined);
    return begins && looks !== undefined && isFed(looks) !== false ? undefined : looks;
  }

  #judged(figures: SessionFigures | undefined): Conclusion {
    const { clock, thresholds, expect, streamClass, answers, learner, pictures } = this.#order;
    const at = clock.now();
    const conclusion = conclude({
      ...{ at, thresholds, expect, streamClass, answers },
      ...{ figures, failure: this.#failure, picture: this.view, passive: this.#passive(figures), way: this.#way },
      learnt: learner.learnt,
      clockTrusted: isPlausible(clock.wall()),
      lastGoodAt: this.#lastGoodAt,
      before: this.#before,
    });
    this.#before = conclusion;
    pictures?.hurry(conclusion.memory?.lowAt !== undefined);
    if (conclusion.state === "ok" || conclusion.state === "still") this.#lastGoodAt = at;
    learner.teach(
      figures?.tracks.find(({ kind }) => kind === "video"),
      conclusion,
      at,
    );
    return conclusion;
  }
}

/** As the config wants it. */
export function examinerFor(target: Target, learner: Learner, clock: Clock, pictures?: Pictures): StreamExaminer {
  const { severity, thresholds, expect, class: streamClass, at: answers } = target;
  return new StreamExaminer({
    ...{ clock, expect, streamClass, answers, learner, pictures },
    thresholds: { ...thresholds, dead: severity },
  });
}
