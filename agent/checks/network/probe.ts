import { createSocket } from "node:dgram";
import { connect, isIP } from "node:net";
import type { Clock } from "../../../platform/clock.ts";

/** One question to an address that proves life by any answer. */
export interface Attempt {
  /** Undefined while it waits. */
  result(): AttemptResult | undefined;
  /** Gives up: what comes later is nobody's business. */
  close(): void;
}

/** `ms`: the answer took so long; without, none came, because … */
export type AttemptResult = { ms: number } | { because: string };

export type Ask = (address: string, port: number, clock: Clock) => Attempt;

/**
 * A datagram to a port where nobody listens: the host answers that nobody does (ICMP port unreachable, RFC 1122 3.2.2.1),
 * which a connected socket learns as ECONNREFUSED. An answer of a program there is one, too.
 */
export const askUdp: Ask = (address, port, clock) => {
  const socket = createSocket(isIP(bare(address)) === 6 ? "udp6" : "udp4");
  const waiting = waitFor(clock, () => socket.close());
  socket.on("error", (error) => waiting.failed(error));
  socket.on("message", () => waiting.answered());
  // Not as the callback of `connect`: that is called for its failure, too, and `send` then throws out of it.
  socket.once("connect", () => {
    waiting.begin();
    socket.send("", (error) => {
      if (error !== null) waiting.failed(error);
    });
  });
  socket.connect(port, address);
  return waiting;
};

/** A TCP connection: both its acceptance and its refusal prove life. */
export const askTcp: Ask = (address, port, clock) => {
  const socket = connect({ host: address, port });
  const waiting = waitFor(clock, () => socket.destroy());
  waiting.begin();
  socket.on("error", (error) => waiting.failed(error));
  socket.once("connect", () => waiting.answered());
  return waiting;
};

const bare = (address: string): string => address.split("%")[0] ?? address;

function waitFor(clock: Clock, end: () => void) {
  let begun = clock.now();
  let result: AttemptResult | undefined;
  let open = true;
  const close = (): void => {
    if (open) end();
    open = false;
  };
  const settle = (how: AttemptResult): void => {
    if (!open) return;
    result = how;
    close();
  };
  return {
    begin(): void {
      begun = clock.now();
    },
    answered: () => settle({ ms: clock.now() - begun }),
    failed(error: Error): void {
      const code = "code" in error ? String(error.code) : error.message;
      settle(code === "ECONNREFUSED" || code === "ECONNRESET" ? { ms: clock.now() - begun } : { because: code });
    },
    result: () => result,
    close,
  };
}
