import type { CheckPorts, Judge, Verdict } from "../check.ts";
import { inTurns } from "../turns.ts";
import type { SwitchConfig } from "./config.ts";
import { openMemory } from "./memory.ts";
import { Visits } from "./visit.ts";

/** A question is one datagram: more of them at once cost little. */
const AT_ONCE = 4;
const RETRY_MS = 10_000;
const GRACE_MS = 2_000;
const WAIT_SHARE = 0.8;

/** All devices, each at its own pace. */
export async function openSwitches(config: SwitchConfig, ports: CheckPorts): Promise<Judge> {
  const { clock, random, redact, keep } = ports;
  const memory = await openMemory(
    keep,
    config.devices.map(({ name }) => name),
  );
  const posts = config.devices.map((device) => ({ device, visits: new Visits(device, config, ports, memory) }));
  const turns = inTurns(
    posts.map(({ device, visits }) => ({
      subject: device.name,
      everyMs: device.everyMs,
      retryMs: RETRY_MS,
      deadlineMs: 2 * device.deadlineMs + GRACE_MS,
      ask: (signal: AbortSignal) => visits.visit(signal),
    })),
    { clock, random, redact, atOnce: AT_ONCE, waitMs: config.deadlineMs * WAIT_SHARE },
  );
  /** The ports of a device whose turn has not come: left out, their alarms of before would clear. */
  const withUnvisited = (verdicts: readonly Verdict[]): readonly Verdict[] => {
    const unvisited = posts.filter(({ visits }) => !visits.visited);
    if (unvisited.length === 0) return verdicts;
    return [...verdicts, ...unvisited.flatMap(({ visits }) => visits.unknownPorts("its device was not asked yet", 0))];
  };
  return {
    judge(signal) {
      const answer = turns.judge(signal);
      return answer instanceof Promise ? answer.then(withUnvisited) : withUnvisited(answer);
    },
    stirred: () => turns.stirred(),
    close() {
      turns.close();
      for (const { visits } of posts) visits.close();
      memory.close();
    },
  };
}
