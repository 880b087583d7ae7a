import { type Condition, type Judged, Latch, type Verdict, worstOf } from "../check.ts";
import { spoken } from "./tally.ts";

/** How is it with one source itself: is it there, do we keep up, what was lost? */

export interface Standing {
  /** Why it cannot be read. */
  trouble: string | undefined;
  /** Milliseconds since boot; undefined while it is there. */
  missingAt: number | undefined;
  behindBytes: number;
  lostBytes: number;
  /** Records, where the source numbers them; times something was cut where not. */
  lostCount: number;
  /** Milliseconds since boot, 0 for never. */
  lostAt: number;
}

export const STANDS: Standing = {
  ...{ trouble: undefined, missingAt: undefined, behindBytes: 0 },
  ...{ lostBytes: 0, lostCount: 0, lostAt: 0 },
};

/** A rotation leaves a moment without the file; a program that is not started yet has none. */
const MISSING_MS = 600_000;
/** So long a loss is an alarm. */
const LOST_MS = 3_600_000;
const BEHIND = { raise: 8 * 1024 * 1024, clear: 1024 * 1024 };

export class SourceVerdict {
  readonly #subject: string;
  readonly #latch = new Latch();
  #key = "";
  #verdict: Verdict | undefined;
  /** Said once, after the start. */
  #begun: string;

  constructor(subject: string, begun: string) {
    this.#subject = subject;
    this.#begun = begun;
  }

  /** The same object while nothing changed. */
  of(standing: Standing, now: number): Verdict {
    const { trouble, missingAt, behindBytes, lostBytes, lostCount, lostAt } = standing;
    const missing = missingAt !== undefined && now - missingAt >= MISSING_MS;
    const lost = lostAt > 0 && now - lostAt < LOST_MS;
    const behind = behindBytes <= BEHIND.clear ? 0 : behindBytes;
    const key = `${trouble ?? ""}|${missing}|${lost}|${behind}|${lostBytes}|${lostCount}`;
    if (this.#verdict === undefined || key !== this.#key)
      this.#verdict =
        trouble === undefined
          ? this.#judge(standing, missing, lost, behind)
          : { state: "unknown", subject: this.#subject, because: `cannot read ${this.#subject}: ${trouble}` };
    this.#key = key;
    return this.#verdict;
  }

  #judge(standing: Standing, missing: boolean, lost: boolean, behind: number): Judged {
    const { lostBytes, lostCount } = standing;
    const is = (bad: boolean, holds = bad): Pick<Judged, "grade" | "holds"> => ({
      grade: bad ? "warning" : "ok",
      holds: holds ? "warning" : "ok",
    });
    const readings = { behind_bytes: behind, lost_bytes: lostBytes, lost_count: lostCount };
    const conditions: Condition[] = [
      { ...is(false), reason: "followed", says: this.#begun, readings },
      { ...is(lost), reason: "lost", value: lostCount, unit: "count", says: lostSays(standing), readings: {} },
      {
        ...is(behind >= BEHIND.raise, behind > 0),
        reason: "behind",
        value: behind,
        unit: "bytes",
        says: `${behind} bytes are not read yet: more is written than can be looked at`,
        readings: {},
      },
      { ...is(missing), reason: "missing", says: `nothing is there for more than ${spoken(MISSING_MS)}`, readings: {} },
    ];
    return worstOf(this.#subject, conditions, this.#latch);
  }
}

function lostSays({ lostBytes, lostCount }: Standing): string {
  const bytes = lostBytes > 0 ? `, at least ${lostBytes} bytes` : "";
  return `${lostCount} ${lostCount === 1 ? "loss" : "losses"} since it is followed${bytes}: cut, removed or overwritten before it was read`;
}
