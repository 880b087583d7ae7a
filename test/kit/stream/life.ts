import { authHold } from "../../../agent/checks/stream/auth-hold.ts";
import type { Mode } from "../../../agent/checks/stream/budget.ts";
import type { Expect } from "../../../agent/checks/stream/causes.ts";
import type { Conclusion } from "../../../agent/checks/stream/conclusion.ts";
import { StreamExaminer } from "../../../agent/checks/stream/examine.ts";
import { Learner } from "../../../agent/checks/stream/learn.ts";
import type { MediaSink } from "../../../agent/checks/stream/media.ts";
import type { Pictures } from "../../../agent/checks/stream/pictures.ts";
import { serverTurns } from "../../../agent/checks/stream/server-turn.ts";
import { DEFAULT_THRESHOLDS } from "../../../agent/checks/stream/thresholds.ts";
import { Watch } from "../../../agent/checks/stream/watch.ts";
import { machineAt } from "../../../platform/machine.ts";
import type { Failure } from "../../../protocol/failure.ts";
import { HandClock } from "../hand-clock.ts";
import { HandServer } from "./hand-play.ts";
import { Traffic, type TrafficOrder } from "./traffic.ts";

export interface LifeOrder {
  mode?: Mode;
  sample?: { everyMs: number; forMs: number };
  traffic?: Omit<TrafficOrder, "startedAt">;
  learner?: Learner;
  expect?: Expect;
  pictures?: (clock: HandClock, learner: Learner) => Pictures;
}

/** One stream from its server to its conclusions, session after session, in hand-wound time: only the server is made up. */
export class Life {
  readonly clock = new HandClock();
  readonly server = new HandServer();
  readonly learner: Learner;
  readonly watch: Watch;
  /** What is concluded, each 100 ms. */
  readonly seen: { at: number; conclusion: Conclusion }[] = [];
  mode: Mode;
  /** Made anew with each session. */
  traffic: Traffic | undefined;
  /** What each new session begins with. */
  order: LifeOrder["traffic"];
  /** How each new session's traffic is hurt. */
  hurt: (traffic: Traffic) => void = () => {};

  constructor(order: LifeOrder = {}) {
    const { mode = "continuous", sample, traffic, learner = new Learner(), pictures, expect = {} } = order;
    const { clock, server } = this;
    this.mode = mode;
    this.order = traffic;
    this.learner = learner;
    this.watch = new Watch({
      name: "main",
      clock,
      random: () => 0.37, // no pause ends at the moment of a look
      open: async () => (session) => {
        const played = server.play(session);
        if (server.session === session) this.#begin(session.sink);
        return played;
      },
      key: async () => "a",
      examiner: new StreamExaminer({
        ...{ clock, learner, thresholds: DEFAULT_THRESHOLDS, expect, streamClass: "camera", answers: "encoder" },
        pictures: pictures?.(clock, learner),
      }),
      hold: authHold(undefined, machineAt(), clock),
      turn: serverTurns(),
      sample: sample ?? { everyMs: 60_000, forMs: 5_000 },
      mode: () => this.mode,
      renewAfterMs: 60_000,
      changed: () => {},
    });
    this.watch.start();
  }
  #begin(sink: MediaSink): void {
    sink.step("connected", 5);
    sink.step("playing", 5);
    this.traffic = new Traffic(sink, { ...this.order, startedAt: this.clock.now() + 20 });
    this.hurt(this.traffic);
  }
  async run(seconds: number): Promise<this> {
    for (let i = 0; i < seconds * 10; i += 1) {
      await this.clock.wind(100);
      if (this.server.open > 0) this.traffic?.playTo(this.clock.now());
      this.seen.push({ at: this.clock.now(), conclusion: this.watch.conclusion });
    }
    return this;
  }
  end(failure: Failure): void {
    this.server.end(failure);
  }
  /** Different states since `at`, in order. */
  states(at = 0): string[] {
    const all = this.seen.filter((one) => one.at > at).map(({ conclusion }) => conclusion.reason ?? conclusion.state);
    return all.filter((state, i) => state !== all[i - 1]);
  }
}
