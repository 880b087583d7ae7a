import type { Clock } from "../../platform/clock.ts";
import type { Verdict } from "./check.ts";

/** Wall times a running device can show, 2026-01-01 to 2100-01-01: outside, its clock was never set. */
const PLAUSIBLE = { from: 1_767_225_600_000, to: 4_102_444_800_000 } as const;
const SUBJECT = "wall";

export const isPlausible = (wall: number): boolean => wall >= PLAUSIBLE.from && wall < PLAUSIBLE.to;

/** Compares the wall clock with the monotonic one: who sets it, NTP or a hand, is seen by the difference. */
export class WallWatch {
  readonly #jumpMs: number;
  readonly #holdMs: number;
  #last: { now: number; wall: number } | undefined;
  #jump: { at: number; byMs: number } | undefined;
  #steppedMs = 0;

  constructor({ jumpMs, jumpHoldMs }: { jumpMs: number; jumpHoldMs: number }) {
    this.#jumpMs = jumpMs;
    this.#holdMs = jumpHoldMs;
  }

  /** By how much it was set altogether since the start, ms: small steps too. */
  get steppedMs(): number {
    return this.#steppedMs;
  }

  /** The last jump (ms, negative when set back) while it is news. */
  look(now: number, wall: number): number | undefined {
    const last = this.#last;
    this.#last = { now, wall };
    const byMs = last === undefined ? 0 : wall - last.wall - (now - last.now);
    this.#steppedMs += byMs;
    // a clock that was never set is set right: that is no fault but the end of one
    const mended = last !== undefined && !isPlausible(last.wall) && isPlausible(wall);
    if (mended) this.#jump = undefined;
    else if (Math.abs(byMs) >= this.#jumpMs) this.#jump = { at: now, byMs };
    if (this.#jump !== undefined && now - this.#jump.at >= this.#holdMs) this.#jump = undefined;
    return this.#jump?.byMs;
  }
}

/** Judges the wall clock by itself. */
export class WallJudge {
  readonly #clock: Clock;
  readonly #watch: WallWatch;
  #verdict: Verdict | undefined;
  #key: number | "never set" | undefined;

  constructor(config: { jumpMs: number; jumpHoldMs: number }, clock: Clock) {
    this.#clock = clock;
    this.#watch = new WallWatch(config);
    this.#watch.look(clock.now(), clock.wall());
  }

  /** How far the wall clock was set since the start, in all, ms. */
  get steppedMs(): number {
    return this.#watch.steppedMs;
  }

  /** The same verdict while nothing happens. */
  look(): Verdict {
    const wall = this.#clock.wall();
    const byMs = this.#watch.look(this.#clock.now(), wall);
    const key = isPlausible(wall) ? byMs : "never set";
    if (this.#verdict === undefined || key !== this.#key) this.#verdict = judge(key, wall);
    this.#key = key;
    return this.#verdict;
  }
}

function judge(key: number | "never set" | undefined, wall: number): Verdict {
  const about = { state: "judged", subject: SUBJECT, readings: {} } as const;
  if (key === "never set") {
    const says = `the clock says ${Math.round(wall / 1_000)} s after 1970: it was never set`;
    return { ...about, grade: "major", holds: "major", reason: "implausible", says };
  }
  if (key === undefined) return { ...about, grade: "ok", holds: "ok", reason: "jump", says: "the clock runs evenly" };
  const seconds = Math.round(key / 1_000);
  const says = `the clock was set ${seconds < 0 ? "back" : "forward"} by ${Math.abs(seconds)} s`;
  return { ...about, grade: "minor", holds: "minor", reason: "jump", value: seconds, unit: "s", says };
}
