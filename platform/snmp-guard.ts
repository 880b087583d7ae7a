import type { Socket } from "node:dgram";
import { EventEmitter } from "node:events";

/** What the guard tells of a datagram that ended in the library's throwing. */
export const INVALID = "SNMP_INVALID";

/**
 * What net-snmp takes for its socket. A datagram from outside that makes the library throw must not end the agent, what
 * the kernel reports about the line must reach who waits, and an answer less protected than the question is none.
 */
export class Guard extends EventEmitter {
  readonly #socket: Socket;

  /** `needsAuth`: we ask by SNMPv3 with authentication. `broken` is told of errors, `dropped` of datagrams that are ignored. */
  constructor(socket: Socket, needsAuth: boolean, broken: (cause: unknown) => void, dropped: () => void) {
    super();
    this.#socket = socket;
    socket.on("error", broken);
    socket.on("message", (message) => {
      if (needsAuth && !isProtected(message)) return dropped();
      try {
        this.emit("message", message);
      } catch {
        broken(Object.assign(new Error("invalid"), { code: INVALID }));
      }
    });
    socket.once("close", () => this.emit("close"));
  }
  /** To whom the socket is connected, whoever is named. */
  send(bytes: Buffer, offset: number, length: number, _port: number, _address: string, done: () => void): void {
    this.#socket.send(bytes, offset, length, done);
  }
  ref(): void {
    // a question keeps nobody alive: the agent ends when it wants to
  }
  unref(): void {
    this.#socket.unref();
  }
  close(): void {
    this.#socket.close();
  }
}

const AUTHENTICATED = 1;
const REPORT = 0xa8;

/**
 * Whether a message of SNMPv3 says that it is authenticated (the library then proves it), or is a report, which may come
 * before both sides know each other (RFC 3412 §7.2, RFC 3414 §4). The library itself would take a plain answer to an
 * authenticated question.
 */
export function isProtected(message: Buffer): boolean {
  const [whole] = elements(message);
  const [, header, , data] = elements(whole?.content);
  const [, , flags] = elements(header?.content);
  if (((flags?.content[0] ?? 0) & AUTHENTICATED) !== 0) return true;
  const [, , pdu] = elements(data?.content);
  return pdu?.tag === REPORT;
}

interface Element {
  tag: number;
  content: Buffer;
}

/** The elements of a constructed BER value, as far as they are whole. */
function elements(bytes: Buffer | undefined): Element[] {
  const found: Element[] = [];
  if (bytes === undefined) return found;
  for (let at = 0; at + 1 < bytes.length; ) {
    const first = bytes[at + 1] ?? 0;
    const more = first < 128 ? 0 : first - 128;
    if (more > 3 || at + 2 + more > bytes.length) break;
    const length = more === 0 ? first : bytes.readUIntBE(at + 2, more);
    const from = at + 2 + more;
    if (from + length > bytes.length) break;
    found.push({ tag: bytes[at] ?? 0, content: bytes.subarray(from, from + length) });
    at = from + length;
  }
  return found;
}
