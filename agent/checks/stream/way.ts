import type { Clock } from "../../../platform/clock.ts";
import { dialTcp, type Place } from "../../../platform/dial.ts";
import { addressesOf } from "../../../platform/names.ts";
import type { RunProgram } from "../../../platform/run.ts";
import { Failure } from "../../../protocol/failure.ts";
import type { WayFacts } from "./hop.ts";

/** Is there a way to the hosts of a stream? Asked only while something is wrong, to tell a dead line from a dead encoder. */

export interface WayOrder {
  /** Where the stream is asked for; undefined where it is waited for. */
  place: Place | undefined;
  /** The encoder behind a forwarder or a platform. */
  source: string | undefined;
  clock: Clock;
  run: RunProgram;
}

const CONNECT_MS = 2_000;
const PING_MS = 4_000;
/** A connection that is refused was answered. */
const ANSWERED = new Set(["DIAL_REFUSED", "DIAL_RESET"]);

/** Looks once. What cannot be told is left out; rejects only when `signal` aborts. */
export async function lookAtWay({ place, source, clock, run }: WayOrder, signal: AbortSignal): Promise<WayFacts> {
  const pings = (host: string): Promise<boolean | undefined> => pingsBack(host, run, signal);
  const [hostReachable, sourceReachable] = await Promise.all([
    place === undefined ? undefined : connects(place, clock, signal).then((so) => so ?? pings(place.host)),
    source === undefined ? undefined : pings(source),
  ]);
  signal.throwIfAborted();
  return {
    ...(hostReachable === undefined ? {} : { hostReachable }),
    ...(sourceReachable === undefined ? {} : { sourceReachable }),
  };
}

/** Whether anything at all answers there; undefined where nothing did: a program that hangs does not answer either. */
async function connects(place: Place, clock: Clock, signal: AbortSignal): Promise<true | undefined> {
  try {
    await dialTcp(place, { clock, signal, deadlineMs: CONNECT_MS });
    return true;
  } catch (cause) {
    return cause instanceof Failure && ANSWERED.has(cause.code) ? true : undefined;
  }
}

/** Undefined where there is no ping, or the name leads nowhere. */
async function pingsBack(host: string, run: RunProgram, signal: AbortSignal): Promise<boolean | undefined> {
  try {
    const [address] = await addressesOf(host, signal);
    if (address === undefined) return undefined;
    let code = 0;
    const argv = ["ping", "-n", "-q", "-c", "2", "-i", "0.3", "-W", "1", address] as const;
    const exited = (was: number): void => {
      code = was;
    };
    await run({ argv, deadlineMs: PING_MS, outputCapBytes: 8_192, signal, exited });
    // 1: nobody answered; anything else is a ping that could not ask
    return code === 0 ? true : code === 1 ? false : undefined;
  } catch (cause) {
    return cause instanceof Failure && cause.code === "RUN_DEADLINE" ? false : undefined;
  }
}
