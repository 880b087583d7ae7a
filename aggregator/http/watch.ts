import type { Clock } from "../../platform/clock.ts";
import { Failure } from "../../protocol/failure.ts";
import type { Change, Changes } from "../changes.ts";
import { changeJson } from "./rows.ts";

export interface WatchLimits {
  maxClients: number;
  /** Changes kept for a client that comes back with its Last-Event-ID. */
  kept: number;
  /** Frames a slow client may be behind before it is cut off; it comes back and continues. */
  maxBehind: number;
  /** Milliseconds between two signs of life on a quiet stream. */
  beatMs: number;
}
export const WATCH_LIMITS: WatchLimits = { maxClients: 64, kept: 1_024, maxBehind: 1_024, beatMs: 15_000 };

export interface Watch extends Disposable {
  readonly clients: number;
  /** Server-sent events from now on, or from after `lastId`. Throws API_BUSY when all places are taken. */
  open(lastId?: string): ReadableStream<Uint8Array>;
}

type Sink = ReadableStreamDefaultController<Uint8Array>;
/** A change with its place; its text is made when the first client needs it. */
interface Kept {
  n: number;
  change: Change;
  frame?: Uint8Array;
}

const utf8 = new TextEncoder();

/** The change feed as server-sent events for many clients, ending with its disposal. */
export function openWatch(changes: Changes, clock: Clock, limits: WatchLimits = WATCH_LIMITS): Watch {
  const epoch = clock.wall().toString(36); // another one after a restart: an id of before is known to be old
  const kept: Kept[] = [];
  const sinks = new Set<Sink>();
  const stop = new AbortController();
  let last = 0;

  const frameOf = (entry: Kept): Uint8Array => {
    entry.frame ??= frame(entry.change.kind, `${epoch}-${entry.n}`, changeJson(entry.change));
    return entry.frame;
  };
  const send = (bytes: () => Uint8Array) => {
    for (const sink of [...sinks]) {
      if ((sink.desiredSize ?? 0) > -limits.maxBehind) sink.enqueue(bytes());
      else end(sink);
    }
  };
  const end = (sink: Sink) => {
    if (sinks.delete(sink)) sink.close();
  };
  const unsubscribe = changes.subscribe((change) => {
    last += 1;
    const entry: Kept = { n: last, change };
    kept.push(entry);
    if (kept.length > limits.kept) kept.shift();
    send(() => frameOf(entry));
  });
  void beat(clock, limits.beatMs, stop.signal, () => send(() => utf8.encode(": ♥\n\n")));

  return {
    get clients() {
      return sinks.size;
    },
    open(lastId) {
      if (sinks.size >= limits.maxClients) {
        throw new Failure("API_BUSY", `${limits.maxClients} watchers are connected`, {
          facts: { clients: limits.maxClients },
        });
      }
      let own: Sink | undefined;
      return new ReadableStream({
        start(sink) {
          own = sink;
          const missed = missedSince(lastId, epoch, last, kept);
          const from = last - (missed?.length ?? 0); // cut off right after the greeting, it asks for the same again
          sink.enqueue(frame("hello", `${epoch}-${from}`, { missed: missed === undefined }, "retry: 2000\n"));
          for (const entry of missed ?? []) sink.enqueue(frameOf(entry));
          sinks.add(sink);
        },
        cancel() {
          if (own !== undefined) sinks.delete(own);
        },
      });
    },
    [Symbol.dispose]() {
      unsubscribe();
      stop.abort();
      for (const sink of [...sinks]) end(sink);
    },
  };
}

/** What a client with this Last-Event-ID has not seen; undefined when that is no longer known. */
function missedSince(lastId: string | undefined, epoch: string, last: number, kept: readonly Kept[]) {
  if (lastId === undefined) return [];
  const [of, n = ""] = lastId.split("-");
  const seen = /^\d{1,15}$/.test(n) ? Number(n) : Number.NaN;
  const oldest = kept[0]?.n ?? last + 1;
  if (of !== epoch || !(seen <= last && seen >= oldest - 1)) return undefined;
  return kept.filter((entry) => entry.n > seen);
}

const frame = (event: string, id: string, data: unknown, more = ""): Uint8Array =>
  utf8.encode(`${more}event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`);

async function beat(clock: Clock, everyMs: number, signal: AbortSignal, tick: () => void): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(everyMs, signal).catch(() => {}); // the signal is the only reason to reject
    if (!signal.aborted) tick();
  }
}
