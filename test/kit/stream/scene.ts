import { videoOf } from "../../../agent/checks/stream/causes.ts";
import type { Conclusion, Reason } from "../../../agent/checks/stream/conclusion.ts";
import type { SessionFigures } from "../../../agent/checks/stream/figures.ts";
import { conclude } from "../../../agent/checks/stream/judge.ts";
import { Learner } from "../../../agent/checks/stream/learn.ts";
import type { JudgeInput } from "../../../agent/checks/stream/look.ts";
import { Meter } from "../../../agent/checks/stream/meter.ts";
import { Traffic, type TrafficOrder } from "./traffic.ts";

/** A made-up stream under watch, in hand-wound time: metered, judged twice a second, learnt from. */

export interface SceneOrder extends Omit<TrafficOrder, "startedAt"> {
  /** What else the judge is told. */
  judge?: Partial<JudgeInput>;
  /** What was learnt before, as `Learner.save` wrote it. */
  learnt?: string;
}

const LOOK_MS = 500;
const BEGIN_MS = 1_000;

export class Scene {
  readonly learner: Learner;
  traffic: Traffic;
  meter: Meter;
  told: Partial<JudgeInput>;
  now = BEGIN_MS;
  conclusion: Conclusion | undefined;
  /** Each conclusion, with when it was made. */
  readonly seen: { at: number; conclusion: Conclusion }[] = [];
  readonly #order: SceneOrder;

  constructor(order: SceneOrder = {}) {
    this.#order = order;
    this.told = order.judge ?? {};
    this.learner = new Learner(order.learnt);
    [this.meter, this.traffic] = this.#session();
  }
  #session(): [Meter, Traffic] {
    const meter = new Meter({ startedAt: this.now });
    meter.step("connected", 5);
    meter.step("playing", 5);
    return [meter, new Traffic(meter, { startedAt: this.now + 20, ...this.#order })];
  }
  /** The old session is over, another one begins. */
  newSession(): void {
    [this.meter, this.traffic] = this.#session();
  }
  /** The agent was ended and started: what was concluded is forgotten. */
  restart(): void {
    this.conclusion = undefined;
    this.newSession();
  }
  /** A session that plays nothing yet; undefined for none at all. */
  figures(): SessionFigures {
    return this.meter.figures(this.now);
  }
  run(seconds: number): this {
    const until = this.now + seconds * 1000;
    while (this.now < until) {
      this.now = Math.min(until, this.now + LOOK_MS);
      this.traffic.playTo(this.now);
      this.look(this.figures());
    }
    return this;
  }
  look(figures: SessionFigures | undefined, more: Partial<JudgeInput> = {}): Conclusion {
    const conclusion = conclude({
      at: this.now,
      figures,
      learnt: this.learner.learnt,
      expect: {},
      streamClass: "camera",
      answers: "encoder",
      before: this.conclusion,
      ...this.told,
      ...more,
    });
    if (figures !== undefined) this.learner.teach(videoOf(figures), conclusion, this.now);
    this.conclusion = conclusion;
    this.seen.push({ at: this.now, conclusion });
    return conclusion;
  }
  /** Runs till this holds, and for `most` seconds at the longest. Seconds it took. */
  until(holds: (conclusion: Conclusion) => boolean, most: number): number {
    const begun = this.now;
    while (this.now - begun < most * 1000) {
      this.run(LOOK_MS / 1000);
      if (this.conclusion !== undefined && holds(this.conclusion)) return (this.now - begun) / 1000;
    }
    return Number.POSITIVE_INFINITY;
  }
  /** Different reasons concluded since `at`, in order. */
  reasons(at = 0): Reason[] {
    const all = this.seen.filter((one) => one.at > at).flatMap(({ conclusion }) => conclusion.reason ?? []);
    return all.filter((reason, i) => reason !== all[i - 1]);
  }
  /** Different states since `at`, in order. */
  states(at = 0): string[] {
    const all = this.seen.filter((one) => one.at > at).map(({ conclusion }) => conclusion.state);
    return all.filter((state, i) => state !== all[i - 1]);
  }
}
