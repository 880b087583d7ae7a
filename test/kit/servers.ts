import { readFileSync } from "node:fs";
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttps } from "node:https";
import { createServer, type Server, type Socket } from "node:net";
import type { Pair } from "./certs.ts";

export type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

/** A server of a test on loopback. */
export interface Listening extends AsyncDisposable {
  readonly port: number;
  /** Connections it has accepted so far. */
  accepted(): number;
  /** Resolves once it has accepted `count` connections in all. */
  whenAccepted(count: number): Promise<void>;
  /** Nothing listens any more; the same port again with `reopen`. */
  shut(): Promise<void>;
  reopen(): Promise<void>;
}

/** What a raw server does with each connection; it may do nothing at all. */
export const rawServer = (onSocket: (socket: Socket) => void): Promise<Listening> => listening(createServer(onSocket));

export const httpServer = (answer: Answer): Promise<Listening> =>
  listening(createHttp((request, response) => void answer(request, response)));

/** `chain`: what it shows, if not the certificate alone. */
export const httpsServer = ({ cert, key }: Pair, answer: Answer, chain = cert): Promise<Listening> =>
  listening(
    createHttps(
      { cert: readFileSync(chain), key: readFileSync(key) },
      (request, response) => void answer(request, response),
    ),
  );

async function listening(server: Server): Promise<Listening> {
  const sockets = new Set<Socket>();
  let count = 0;
  const waiting = new Set<() => void>();
  server.on("connection", (socket: Socket) => {
    count += 1;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
    for (const look of waiting) look();
  });
  const listen = (port: number): Promise<void> =>
    new Promise((done, failed) => {
      server.once("error", failed);
      server.listen(port, "127.0.0.1", done);
    });
  await listen(0);
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const { port } = address;
  const shut = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    if (server.listening) await new Promise<void>((closed) => server.close(() => closed()));
  };
  return {
    port,
    accepted: () => count,
    whenAccepted: (wanted) =>
      new Promise((done) => {
        const look = (): void => {
          if (count < wanted) return;
          waiting.delete(look);
          done();
        };
        waiting.add(look);
        look();
      }),
    shut,
    reopen: () => listen(port),
    [Symbol.asyncDispose]: shut,
  };
}
