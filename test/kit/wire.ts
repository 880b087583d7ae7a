import { connect, createServer, type Socket } from "node:net";

/** A TCP line between a client and a server on loopback that a test can cut, stall and measure. */
export interface Wire extends AsyncDisposable {
  readonly port: number;
  /** Bytes the server's side has sent towards the client and the client's side has been given. */
  bytesToClient(): number;
  /** Connections made so far. */
  connections(): number;
  /** Breaks every connection as a lost link does: nobody says goodbye. New ones are let through. */
  cut(): void;
  /** Bytes towards the client wait from now on, until `flow`. */
  stall(): void;
  flow(): void;
}

export async function openWire(targetPort: number): Promise<Wire> {
  const pairs = new Set<{ near: Socket; far: Socket }>();
  let bytes = 0;
  let made = 0;
  let stalled = false;
  const server = createServer((near) => {
    made += 1;
    const far = connect(targetPort, "127.0.0.1");
    const pair = { near, far };
    pairs.add(pair);
    const cutPair = (): void => {
      pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const end of [near, far]) {
      end.setNoDelay(true);
      end.on("error", cutPair);
      end.on("close", cutPair);
    }
    far.on("data", (chunk) => {
      bytes += chunk.length;
    });
    near.pipe(far);
    far.pipe(near);
    if (stalled) far.pause();
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const cut = (): void => {
    for (const { near, far } of pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  };
  return {
    port: address.port,
    bytesToClient: () => bytes,
    connections: () => made,
    cut,
    stall() {
      stalled = true;
      for (const { far } of pairs) far.pause();
    },
    flow() {
      stalled = false;
      for (const { far } of pairs) far.resume();
    },
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise<void>((closed) => server.close(() => closed()));
    },
  };
}
