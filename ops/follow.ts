import type { Clock } from "../platform/clock.ts";
import { ApiChange } from "../protocol/api.ts";
import { Failure } from "../protocol/failure.ts";
import type { Api } from "./client.ts";
import { readEvents, type ServerSentEvent } from "./sse.ts";

/** The aggregator gives a sign of life every 15 s: after three missed ones the line is dead. */
const SILENCE_MS = 45_000;
const WAITS_MS = [1_000, 2_000, 5_000, 10_000] as const;

export type Followed =
  | { kind: "change"; change: ApiChange }
  /** `missed`: what changed while we were away is not known in full. */
  | { kind: "connected"; again: boolean; missed: boolean }
  | { kind: "lost"; why: unknown };

/**
 * The changes of the watch stream, over any number of connections, until `stop` aborts. Throws what the first connection
 * fails with (API_UNREACHABLE, …) and later only what waiting does not mend (API_UNAUTHORIZED).
 */
export async function* follow(parts: { api: Api; clock: Clock; stop: AbortSignal }): AsyncGenerator<Followed> {
  const { api, clock, stop } = parts;
  let lastId: string | undefined;
  let connected = false;
  for (let failed = 0; !stop.aborted; ) {
    let why: unknown;
    using line = openLine(clock, stop);
    try {
      for await (const event of readEvents(await api.watch(lastId, line.signal), line.alive)) {
        lastId = event.id ?? lastId;
        failed = 0;
        if (event.event === "hello") {
          yield { kind: "connected", again: connected, missed: saysMissed(event) };
          connected = true;
        }
        const change = changeOf(event);
        if (change !== undefined) yield { kind: "change", change };
      }
    } catch (thrown) {
      if (!stop.aborted && !mends(thrown, connected)) throw thrown;
      why = thrown;
    }
    if (stop.aborted) return;
    if (failed === 0) yield { kind: "lost", why };
    await clock.sleep(WAITS_MS[Math.min(failed, WAITS_MS.length - 1)] ?? 0, stop).catch(() => {});
    failed += 1;
  }
}

/** Whether another try may go better: never at first, so that a wrong address is told at once. */
function mends(thrown: unknown, connected: boolean): boolean {
  if (!connected) return false;
  return !(thrown instanceof Failure) || thrown.code === "API_UNREACHABLE" || thrown.code === "API_BUSY";
}

interface Line extends Disposable {
  signal: AbortSignal;
  alive(): void;
}

/** A connection's life: its signal aborts when nobody wants it, or when nothing came for too long. */
function openLine(clock: Clock, stop: AbortSignal): Line {
  const cut = new AbortController();
  let heard = clock.now();
  const guard = async () => {
    while (!cut.signal.aborted) {
      await clock.sleep(heard + SILENCE_MS - clock.now(), cut.signal).catch(() => {});
      if (clock.now() - heard >= SILENCE_MS) cut.abort(new Failure("API_UNREACHABLE", "no sign of life"));
    }
  };
  void guard();
  return {
    signal: AbortSignal.any([stop, cut.signal]),
    alive: () => {
      heard = clock.now();
    },
    [Symbol.dispose]: () => cut.abort(),
  };
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return undefined; // a newer aggregator may say what we do not know
  }
}

const saysMissed = ({ data }: ServerSentEvent): boolean => {
  const said = parsed(data);
  return typeof said === "object" && said !== null && "missed" in said && said.missed === true;
};

const changeOf = ({ data }: ServerSentEvent): ApiChange | undefined => ApiChange.safeParse(parsed(data)).data;
