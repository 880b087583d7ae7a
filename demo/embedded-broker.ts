import { readFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { Aedes } from "aedes";
import type { Logger } from "../platform/log.ts";
import { Failure } from "../protocol/failure.ts";
import { boundMemory, closeLoopholes } from "./broker-bounds.ts";

export interface EmbeddedOptions {
  port: number;
  host?: string;
  /** With `caFile` a client must show a certificate of that authority. */
  tls?: { certFile: string; keyFile: string; caFile?: string };
  log: Logger;
}

export interface EmbeddedBroker extends AsyncDisposable {
  readonly port: number;
  close(): Promise<void>;
}

/** As the shipped mosquitto.conf (deploy/): no payload of ours is larger. */
const MOST_PACKET_BYTES = 262_144;
const MOST_CONNECTIONS = 1000;
const WEEK_S = 7 * 86_400;

/**
 * An MQTT 5 (and 3.1.1) broker in this process for the demo and the tests: no accounts, state in memory only. What it
 * forgets at its end the births of agents and aggregator tell again. Throws PORT_TAKEN.
 */
export async function startEmbeddedBroker(options: EmbeddedOptions): Promise<EmbeddedBroker> {
  const { port, host = "127.0.0.1", tls, log } = options;
  const aedes = await Aedes.createBroker({
    concurrency: 0, // a fixed number of deliveries would let one slow subscriber stop all others
    drainTimeout: 30_000,
    maximumPacketSize: MOST_PACKET_BYTES,
    receiveMaximum: 100,
    keepaliveLimit: 120,
    sessionExpiryIntervalLimit: WEEK_S,
    pendingSessionsLimit: MOST_CONNECTIONS,
    maxTopicLevels: 20,
  });
  boundMemory(aedes, log);
  closeLoopholes(aedes);
  const events: NodeJS.EventEmitter = aedes; // its types know no "error", but it says it
  events.on("error", (error: Error) => log.error({ event: "broker.error", cause: error.message }, "the broker failed"));
  const noted = (client: { id: string | null } | null, error: Error): void =>
    log.debug({ event: "broker.client_error", client: client?.id ?? "", cause: error.message }, "a client was cut off");
  aedes.on("clientError", noted);
  aedes.on("connectionError", noted);

  const sockets = new Set<Socket>();
  const server = listener(tls, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.setNoDelay(true);
    aedes.handle(socket);
  });
  server.maxConnections = MOST_CONNECTIONS;
  await listen(server, port, host).catch((failure: unknown) => {
    aedes.close();
    throw failure;
  });
  const address = server.address();
  const close = async (): Promise<void> => {
    const closed = new Promise<void>((done) => server.close(() => done()));
    await new Promise<void>((done) => aedes.close(() => done()));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return {
    port: address !== null && typeof address === "object" ? address.port : port,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function listener(tls: EmbeddedOptions["tls"], taken: (socket: Socket) => void): Server {
  if (tls === undefined) return createServer(taken);
  const ca = tls.caFile === undefined ? {} : { ca: readFileSync(tls.caFile), requestCert: true };
  const server = createTlsServer({ cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile), ...ca }, taken);
  server.on("tlsClientError", (_, socket) => socket.destroy());
  return server;
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((listening, failed) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      if (cause.code !== "EADDRINUSE") return failed(cause);
      failed(new Failure("PORT_TAKEN", `port ${port} of ${host} is taken`, { facts: { port, host }, cause }));
    });
    server.listen(port, host, listening);
  });
}
