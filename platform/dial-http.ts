import { type IncomingMessage, request as startRequest } from "node:http";
import type { Socket } from "node:net";
import { Failure } from "../protocol/failure.ts";
import type { CertificateFacts } from "./certificate-facts.ts";
import { type Dial, failureOf, type Line, onLine, open, type Place } from "./dial.ts";
import { openTrusted, type TlsOptions } from "./dial-tls.ts";

/** One HTTP/1.1 request on a connection of its own. */
export interface HttpOrder extends TlsOptions {
  /** `http:` or `https:`, without user name and password. */
  url: string;
  method?: string;
  headers?: Readonly<Record<string, string>>;
  body?: string;
  /** So much of the answer's body is read; then we hang up. */
  bodyCapBytes?: number;
  /** Redirects to follow, 0 to 3, on the same host only. */
  redirects?: number;
}

export interface HttpAnswer {
  status: number;
  /** Header of the answer, lower case names; of those that come several times the first. */
  headers: Readonly<Record<string, string>>;
  body: Buffer;
  /** The body was longer than the cap. */
  isCut: boolean;
  address: string;
  connectMs: number;
  handshakeMs?: number;
  /** From the beginning to the answer's first byte, redirects included. */
  firstByteMs: number;
  totalMs: number;
  certificate?: CertificateFacts;
  /** The earliest end in the chain the server has shown, epoch ms. */
  chainNotAfterMs?: number;
}

const MOST_HEADER_BYTES = 16_384;
const MOST_BODY_BYTES = 65_536;
const MOST_REDIRECTS = 3;

/**
 * Asks once, whatever the status of the answer. Over TLS nothing is sent before the certificate was verified.
 * Rejects with Failure DIAL_*, DIAL_UNTRUSTED with the facts of the certificate among them.
 */
export function httpRequest(order: HttpOrder, dial: Dial): Promise<HttpAnswer> {
  const first = new URL(order.url);
  return onLine(first.host, dial, async (line) => {
    const begunAt = line.clock.now();
    const most = Math.min(order.redirects ?? 0, MOST_REDIRECTS);
    let url = first;
    for (let followed = 0; ; followed += 1) {
      const answer = await askOnce(url, order, begunAt, line);
      const next = most === 0 ? undefined : redirectOf(answer, url);
      if (next === undefined) return answer;
      const facts = { place: first.host, to: next.host };
      if (followed >= most)
        throw new Failure("DIAL_REDIRECT", `${first.host} redirects more than ${most} times`, { facts });
      if (next.hostname !== first.hostname || (url.protocol === "https:" && next.protocol !== "https:"))
        throw new Failure("DIAL_REDIRECT", `${first.host} redirects to ${next.protocol}//${next.host}`, { facts });
      url = next;
    }
  });
}

function redirectOf({ status, headers }: HttpAnswer, from: URL): URL | undefined {
  const { location } = headers;
  if (status < 300 || status > 399 || location === undefined || !URL.canParse(location, from.href)) return undefined;
  const to = new URL(location, from);
  return to.protocol === "http:" || to.protocol === "https:" ? to : undefined;
}

interface Opened {
  socket: Socket;
  facts: Pick<HttpAnswer, "address" | "connectMs" | "handshakeMs" | "certificate" | "chainNotAfterMs">;
}

async function askOnce(url: URL, order: HttpOrder, begunAt: number, line: Line): Promise<HttpAnswer> {
  const { socket, facts } = await openFor(url, order, line);
  const place = url.host;
  try {
    line.phase = "owed an answer";
    const message = await answerOf(url, order, socket);
    const firstByteMs = line.clock.now() - begunAt;
    line.phase = "was sending its answer";
    const { body, isCut } = await bodyOf(message, order.bodyCapBytes ?? MOST_BODY_BYTES);
    return {
      ...facts,
      status: message.statusCode ?? 0,
      headers: plainHeaders(message),
      body,
      isCut,
      firstByteMs,
      totalMs: line.clock.now() - begunAt,
    };
  } catch (cause) {
    line.signal.throwIfAborted();
    throw failureOf(place, cause);
  } finally {
    socket.destroy();
  }
}

async function openFor(url: URL, order: HttpOrder, line: Line): Promise<Opened> {
  const secure = url.protocol === "https:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const to: Place = { host, port: Number(url.port) || (secure ? 443 : 80) };
  if (!secure) {
    const { socket, ms, address } = await open(to, line);
    return { socket, facts: { address, connectMs: ms } };
  }
  const { socket, ms, address, handshakeMs, certificate, chainNotAfterMs } = await openTrusted(to, order, line);
  return { socket, facts: { address, connectMs: ms, handshakeMs, certificate, chainNotAfterMs } };
}

/** Sends the request and resolves when the head of the final answer is there. */
function answerOf(
  url: URL,
  { method = "GET", headers = {}, body }: HttpOrder,
  socket: Socket,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = startRequest({
      createConnection: () => socket,
      method,
      path: url.pathname + url.search,
      setHost: false,
      setDefaultHeaders: false,
      headers: {
        host: url.host,
        "user-agent": "vigil-agent",
        accept: "*/*",
        ...headers,
        connection: "close",
        ...(body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) }),
      },
      maxHeaderSize: MOST_HEADER_BYTES,
    });
    request.once("response", resolve);
    request.on("error", reject);
    request.once("close", () => reject(Object.assign(new Error("closed"), { code: "ECONNRESET" })));
    request.end(body);
  });
}

/** The body up to the cap. A body that ends before its announced length is a failure. */
function bodyOf(message: IncomingMessage, capBytes: number): Promise<{ body: Buffer; isCut: boolean }> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    message.on("data", (chunk: Buffer) => {
      chunks.push(chunk.subarray(0, capBytes - bytes));
      bytes += chunk.length;
      if (bytes > capBytes) resolve({ body: Buffer.concat(chunks), isCut: true });
    });
    message.once("end", () => resolve({ body: Buffer.concat(chunks), isCut: false }));
    message.on("error", reject);
    message.once("close", () => reject(Object.assign(new Error("closed"), { code: "ECONNRESET" })));
  });
}

function plainHeaders({ headers }: IncomingMessage): Record<string, string> {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const first = Array.isArray(value) ? value[0] : value;
    if (first !== undefined) plain[name] = first;
  }
  return plain;
}
