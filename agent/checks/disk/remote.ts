import type { Clock } from "../../../platform/clock.ts";
import type { Machine, Space } from "../../../platform/machine.ts";
import { within } from "../within.ts";

/** What became of a question to a mount that may hang. */
export type Answer =
  | { got: "space"; space: Space }
  | { got: "failure"; cause: unknown }
  /** No answer within the time allowed; the question is still open. */
  | { got: "silence"; forMs: number }
  /** Not asked: the mount at `behind` has the one question we allow ourselves. */
  | { got: "nothing"; behind: string };

/** Asks the mounts at `points` for their room, one after the other, within `budgetMs` in all and `waitMs` each. */
export type AskRemote = (
  points: readonly string[],
  limits: { waitMs: number; budgetMs: number },
  signal: AbortSignal,
) => Promise<ReadonlyMap<string, Answer>>;

/**
 * A hung mount keeps the pool thread that asked it until the kernel lets go, so there is one question at a time over all
 * mounts and all rounds: however many mounts are dead, one thread is lost.
 */
export function openRemote(machine: Machine, clock: Clock): AskRemote {
  let open: { point: string; since: number } | undefined;
  let next = 0; // where the next round begins, so that slow mounts cannot keep the last ones unasked for ever

  async function ask(point: string, waitMs: number, signal: AbortSignal): Promise<Answer> {
    const question = { point, since: clock.now() };
    open = question;
    let answer: Answer | undefined;
    const asked = machine
      .remoteSpace(point)
      .then(
        (space) => {
          answer = { got: "space", space };
        },
        (cause: unknown) => {
          answer = { got: "failure", cause };
        },
      )
      .finally(() => {
        if (open === question) open = undefined;
      });
    await within(asked, waitMs, clock, signal);
    return answer ?? { got: "silence", forMs: clock.now() - question.since };
  }

  return async (points, { waitMs, budgetMs }, signal) => {
    const answers = new Map<string, Answer>();
    const begun = clock.now();
    const order = points.map((_, index) => points[(next + index) % points.length] ?? "");
    for (const point of order) {
      if (open === undefined && clock.now() - begun + waitMs <= budgetMs) {
        next = (points.indexOf(point) + 1) % points.length;
        answers.set(point, await ask(point, waitMs, signal));
      } else if (open?.point === point) {
        answers.set(point, { got: "silence", forMs: clock.now() - open.since });
      } else {
        answers.set(point, { got: "nothing", behind: open?.point ?? [...answers.keys()].at(-1) ?? point });
      }
    }
    return answers;
  };
}
