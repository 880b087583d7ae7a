import { expect, test } from "vitest";
import { type Choice, firstChoice, nextChoice } from "../../../../agent/checks/stream/budget.ts";

const LIMITS = { continuousUpTo: 4, cpuPct: 5 };
const MINUTE = 60_000;

/** The modes after each minute. */
function modes(streams: number, minutes: readonly number[], from = firstChoice(streams, LIMITS)): Choice[] {
  const all: Choice[] = [];
  let choice = from;
  for (const [i, cpuPct] of minutes.entries()) {
    choice = nextChoice(choice, cpuPct, streams, LIMITS, (i + 1) * MINUTE);
    all.push(choice);
  }
  return all;
}

test("up to four streams are watched without a gap, five are sampled, whatever they cost", () => {
  expect(firstChoice(4, LIMITS)).toMatchObject({ mode: "continuous" });
  expect(firstChoice(5, LIMITS)).toMatchObject({ mode: "sampled" });
  expect(modes(5, [0.1, 0.1, 0.1]).at(-1)).toMatchObject({
    mode: "sampled",
    because: "5 streams are more than the 4 watched without a gap",
  });
});

test("one dear minute changes nothing, two in a row do, and the sentence says what it cost", () => {
  expect(modes(2, [9, 1, 9, 1, 9]).map(({ mode }) => mode)).toEqual(Array(5).fill("continuous"));
  const [, second] = modes(2, [6, 9.25]);
  expect(second).toMatchObject({ mode: "sampled" });
  expect(second?.because).toBe("the agent used 9.3 % of a core over 2 minutes, at most 5 % are allowed");
});

test("it is tried again after half an hour, then after ever longer, never while the agent is busy", () => {
  const dear = modes(2, [9, 9, ...Array(28).fill(1)]);
  expect(dear.slice(1).every(({ mode }) => mode === "sampled")).toBe(true);
  const [, back] = modes(2, [1, 1], { ...(dear.at(-1) as Choice), retryAt: 2 * MINUTE });
  expect(back?.mode).toBe("continuous");
  expect(modes(2, [8, 8], { ...(dear.at(-1) as Choice), retryAt: 0 }).at(-1)?.mode).toBe("sampled");
  expect(dear.at(-1)).toMatchObject({ retryMs: 60 * MINUTE });
  expect(modes(2, [9, 9], back).at(-1)).toMatchObject({ mode: "sampled", retryAt: 62 * MINUTE });
});

test("an answer that changes nothing is the same object", () => {
  const choice = firstChoice(2, LIMITS);
  expect(nextChoice(choice, 1, 2, LIMITS, MINUTE)).toBe(choice);
});
