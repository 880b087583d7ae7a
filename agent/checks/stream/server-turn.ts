/** Takes the turn at a server; resolves to what gives it back. Rejects with the signal's reason when that aborts first. */
export type TakeTurn = (server: string, signal: AbortSignal) => Promise<() => void>;

/**
 * One at a time for each server, over all streams, first come first served: a request that makes an encoder work
 * (DESCRIBE) and that it does not answer has been seen to stop its answers to everybody else, too.
 */
export function serverTurns(): TakeTurn {
  const queues = new Map<string, (() => void)[]>();

  function pass(server: string): void {
    const next = queues.get(server)?.shift();
    if (next === undefined) queues.delete(server);
    else next();
  }

  function free(server: string): () => void {
    let held = true;
    return () => {
      if (held) pass(server);
      held = false;
    };
  }

  return (server, signal) => {
    if (signal.aborted) return Promise.reject(signal.reason);
    const queue = queues.get(server);
    if (queue === undefined) {
      queues.set(server, []);
      return Promise.resolve(free(server));
    }
    const { promise, resolve, reject } = Promise.withResolvers<() => void>();
    const leave = (): void => {
      const at = queue.indexOf(called);
      if (at >= 0) queue.splice(at, 1);
      reject(signal.reason);
    };
    const called = (): void => {
      signal.removeEventListener("abort", leave);
      resolve(free(server));
    };
    queue.push(called);
    signal.addEventListener("abort", leave, { once: true });
    return promise;
  };
}
