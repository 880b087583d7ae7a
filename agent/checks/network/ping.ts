import type { Clock } from "../../../platform/clock.ts";
import type { RunProgram } from "../../../platform/run.ts";
import type { Attempt, AttemptResult } from "./probe.ts";

const COUNT = 3;
const DEADLINE_MS = 8_000;

/** The program ping, where nothing else is answered: iputils' and busybox' tell alike. */
export function askPing(address: string, run: RunProgram, clock: Clock): Attempt {
  const begun = clock.now();
  const giveUp = new AbortController();
  let result: AttemptResult | undefined;
  run({
    argv: ["ping", "-n", "-q", "-c", String(COUNT), "-W", "1", address],
    deadlineMs: DEADLINE_MS,
    outputCapBytes: 8_192,
    signal: giveUp.signal,
  }).then(
    (text) => {
      result = { ms: parsePing(text) ?? clock.now() - begun };
    },
    (cause: unknown) => {
      result = { because: cause instanceof Error ? cause.message : String(cause) };
    },
  );
  return { result: () => result, close: () => giveUp.abort() };
}

/** The mean round trip ping prints in its last line, ms: `rtt min/avg/max/mdev = 0.04/0.05/0.06/0.01 ms`. */
export function parsePing(text: string): number | undefined {
  const line = text.split("\n").findLast((one) => one.includes("min/avg/max"));
  const mean = Number(line?.split("=")[1]?.trim().split("/")[1]);
  return Number.isFinite(mean) && mean >= 0 ? mean : undefined;
}
