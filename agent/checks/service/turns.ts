import { type CheckPorts, type Judge, Latch } from "../check.ts";
import { inTurns } from "../turns.ts";
import type { ServiceConfig } from "./config.ts";
import { judgeTarget } from "./judge.ts";
import { tryTarget } from "./try.ts";

/** A device's line is narrow, and its memory small. */
const AT_ONCE = 2;
/** One that has changed is asked again so soon: what holds on or off must be seen on fresh looks. */
const RETRY_MS = 10_000;
/** First answers are worth a wait, as long as the check's own deadline allows. */
const WAIT_SHARE = 0.8;
/** A try ends by its own deadline; this much later it is not believed to end at all. */
const GRACE_MS = 2_000;

/** All targets, each at its own pace. */
export function openServices(config: ServiceConfig, ports: CheckPorts): Judge {
  const { clock, random, redact } = ports;
  const turns = config.targets.map((target) => {
    const latch = new Latch();
    return {
      subject: target.name,
      everyMs: target.everyMs,
      retryMs: RETRY_MS,
      deadlineMs: target.deadlineMs + GRACE_MS,
      ask: async (signal: AbortSignal) => [
        judgeTarget(target, await tryTarget(target, ports, signal), clock.wall(), latch),
      ],
    };
  });
  return inTurns(turns, { clock, random, redact, atOnce: AT_ONCE, waitMs: config.deadlineMs * WAIT_SHARE });
}
