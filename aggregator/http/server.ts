import { readFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import { Failure, type FailureCode } from "../../protocol/failure.ts";
import type { TokenEntry } from "../../protocol/token.ts";
import type { Changes } from "../changes.ts";
import { type ApiParts, makeApi } from "./api.ts";
import { openGuard } from "./guard.ts";
import { RefusalCount, refusalOf } from "./refusal.ts";
import { openWatch, WATCH_LIMITS, type WatchLimits } from "./watch.ts";

export interface HttpConfig {
  /** Address to bind, `127.0.0.1` unless other machines shall read. */
  host: string;
  /** 0: any free one. */
  port: number;
  tokens: readonly TokenEntry[];
  /** PEM files; without them plain HTTP. */
  tls?: { certFile: string; keyFile: string } | undefined;
}

export interface HttpLimits {
  /** A request line with its headers, bytes. */
  headerBytes: number;
  headersMs: number;
  requestMs: number;
  /** A socket on which nothing moves is closed after this many milliseconds; a watch stream has its beat. */
  idleMs: number;
  connections: number;
  watch: WatchLimits;
}
export const HTTP_LIMITS: HttpLimits = {
  headerBytes: 8_192,
  headersMs: 5_000,
  requestMs: 10_000,
  idleMs: 60_000,
  connections: 256,
  watch: WATCH_LIMITS,
};

export interface HttpParts extends Omit<ApiParts, "watch" | "guard" | "refusals"> {
  config: HttpConfig;
  changes: Changes;
  limits?: Partial<HttpLimits>;
}

export interface HttpServer extends AsyncDisposable {
  readonly port: number;
  /** Ends every connection at once: all it serves is read only, and a watcher comes back by itself. */
  close(): Promise<void>;
}

/**
 * Answers the HTTP API until closed. Throws PORT_TAKEN when another program listens there, CONFIG_UNREADABLE when
 * a TLS file cannot be read or used.
 */
export async function startHttp({ config, changes, limits: own = {}, ...parts }: HttpParts): Promise<HttpServer> {
  const limits = { ...HTTP_LIMITS, ...own };
  const refusals = new RefusalCount();
  using unwind = new DisposableStack(); // a start that fails leaves no subscription behind
  const watch = unwind.use(openWatch(changes, parts.clock, limits.watch));
  const guard = openGuard(config.tokens, parts.clock);
  const api = makeApi({ ...parts, watch, guard, refusals });
  const answer = getRequestListener((request, env) => api.fetch(request, env as never), {
    overrideGlobalObjects: false,
    errorHandler: () => {
      refusals.add("API_MALFORMED");
      const { body, ...init } = refusalOf(new Failure("API_MALFORMED", "no usable address or Host header"));
      return new Response(body, init);
    },
  });
  const server = await makeServer(config, limits, (incoming, outgoing) => void answer(incoming, outgoing));
  guardSockets(server, limits, refusals);
  const port = await listen(server, config);
  if (config.tokens.length === 0)
    parts.log.warn({ event: "http.no-tokens" }, "no token is configured: all are refused");
  const held = unwind.move();
  const close = async () => {
    held.dispose();
    const closed = new Promise<void>((done) => server.close(() => done()));
    server.closeAllConnections();
    await closed;
  };
  return { port, close, [Symbol.asyncDispose]: close };
}

async function makeServer({ tls }: HttpConfig, limits: HttpLimits, listener: RequestListener): Promise<Server> {
  const options = {
    maxHeaderSize: limits.headerBytes,
    requireHostHeader: false, // refused further in, in our own words
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: 5_000,
    connectionsCheckingInterval: Math.min(2_000, limits.headersMs),
  };
  if (tls === undefined) return createServer(options, listener);
  const [cert, key] = await Promise.all([readTls(tls.certFile), readTls(tls.keyFile)]);
  try {
    return createTlsServer({ ...options, cert, key, minVersion: "TLSv1.2" }, listener);
  } catch (cause) {
    throw new Failure("CONFIG_UNREADABLE", `the TLS files do not fit: ${tls.certFile}, ${tls.keyFile}`, { cause });
  }
}

const readTls = (path: string): Promise<Buffer> =>
  readFile(path).catch((cause: unknown) => {
    throw new Failure("CONFIG_UNREADABLE", `cannot read ${path}`, { facts: { path }, cause });
  });

function listen(server: Server, { host, port }: HttpConfig): Promise<number> {
  return new Promise((done, fail) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const why = { facts: { host, port }, cause };
      if (cause.code === "EADDRINUSE") return fail(new Failure("PORT_TAKEN", `port ${port} of ${host} is taken`, why));
      fail(new Failure("CONFIG_INVALID", `cannot listen on ${host} port ${port}: ${cause.code}`, why));
    });
    server.listen(port, host, () => {
      const address = server.address();
      done(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

const PARSER_FAILURES: Readonly<Record<string, [FailureCode, string, number]>> = {
  HPE_HEADER_OVERFLOW: ["API_TOO_LARGE", "address and headers are over the limit", 431],
  ERR_HTTP_REQUEST_TIMEOUT: ["API_TOO_SLOW", "the request did not arrive in time", 408],
};

/** What never becomes a request: garbage, floods and dawdlers. Each is answered once, counted and cut off. */
function guardSockets(server: Server, limits: HttpLimits, refusals: RefusalCount): void {
  server.maxConnections = limits.connections;
  server.on("drop", () => refusals.add("API_BUSY"));
  server.setTimeout(limits.idleMs, (socket) => socket.destroy());
  const answering = new WeakMap<Duplex, ServerResponse>();
  server.on("request", ({ socket }, response) => answering.set(socket, response));
  const refused = new WeakSet<Duplex>();
  server.on("clientError", (cause: NodeJS.ErrnoException, socket) => {
    // The parser fails again on each chunk still under way: they are read and forgotten, up to a bound.
    if (refused.has(socket)) {
      if ("bytesRead" in socket && Number(socket.bytesRead) > 4_194_304) socket.destroy();
      return;
    }
    refused.add(socket);
    const [code, message, status] = PARSER_FAILURES[cause.code ?? ""] ?? ["API_MALFORMED", "not an HTTP request", 400];
    const current = answering.get(socket);
    const midway = current?.headersSent === true && !current.writableFinished;
    if (cause.code !== "ECONNRESET") refusals.add(code);
    if (cause.code === "ECONNRESET" || !socket.writable || midway) return void socket.destroy();
    if ("setTimeout" in socket && typeof socket.setTimeout === "function") socket.setTimeout(1_000);
    socket.end(rawAnswer(status, refusalOf(new Failure(code, message), { connection: "close" })));
  });
}

function rawAnswer(status: number, { headers, body }: ReturnType<typeof refusalOf>): string {
  const lines = Object.entries({ ...headers, "content-length": String(Buffer.byteLength(body)) });
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    ...lines.map(([name, value]) => `${name}: ${value}`),
    "",
    body,
  ].join("\r\n");
}
