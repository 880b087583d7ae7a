import { dialTcp, placeName } from "../../../platform/dial.ts";
import type { BrokerFacts, CheckPorts, Verdict } from "../check.ts";

const DIAL_MS = 5_000;
const SUBJECT = "broker";

/** In a round by hand there is no link: each broker is called once, and one that answers is enough. */
export async function dialBrokers(
  brokers: readonly BrokerFacts[],
  { clock }: Pick<CheckPorts, "clock">,
  signal: AbortSignal,
): Promise<Verdict> {
  const about = { state: "judged", subject: SUBJECT, reason: "broker" } as const;
  const failures: string[] = [];
  for (const broker of brokers) {
    const began = clock.now();
    try {
      await dialTcp(broker, { clock, signal, deadlineMs: Math.floor(DIAL_MS / brokers.length) });
      const rtt = Math.round((clock.now() - began) * 10) / 10;
      const says = `${placeName(broker)} takes a connection after ${rtt} ms`;
      return { ...about, grade: "ok", holds: "ok", says, readings: { up_count: 1, rtt_ms: rtt } };
    } catch (cause) {
      signal.throwIfAborted();
      failures.push(cause instanceof Error ? cause.message : String(cause));
    }
  }
  return { ...about, grade: "major", holds: "major", says: failures.join("; "), readings: { up_count: 0 } };
}
