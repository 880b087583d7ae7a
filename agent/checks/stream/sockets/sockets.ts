import { existsSync } from "node:fs";
import { isIP } from "node:net";
import type { Clock } from "../../../../platform/clock.ts";
import type { RunProgram } from "../../../../platform/run.ts";
import { Failure } from "../../../../protocol/failure.ts";
import type { LookPassive, PassiveFacts } from "../passive.ts";
import { type SocketLine, socketLines } from "./ss-text.ts";

/** Do bytes move through the TCP sockets of a server on this machine? Asked of the kernel: no session, no load. */

export interface SocketsOptions {
  /** The server's own port. */
  port: number;
  /** The server's own address (no name), where several servers of this machine share the port. */
  host?: string;
}

export interface SocketsPorts {
  clock: Clock;
  run: RunProgram;
}

/** A daemon's PATH may lack the folders of the system's tools. */
const PLACES = ["/usr/bin/ss", "/bin/ss", "/usr/sbin/ss", "/sbin/ss"];
const DEADLINE_MS = 2_000;
const OUTPUT_BYTES = 1_048_576;

/**
 * Looks at the counters of every socket of a local server: `inBytes` from its publishers, `outBytes` that its players have
 * acknowledged, `readers` how many connections stand. A socket that comes or goes does not make the sums run back. TCP
 * alone: the kernel counts no bytes of UDP (see `nf_conntrack_acct` in docs/streams.md). Rejects with Failure RUN_MISSING
 * where ss is not installed, or RUN_* when it fails.
 */
export function lookSockets({ port, host }: SocketsOptions, { clock, run }: SocketsPorts): LookPassive {
  const program = PLACES.find((path) => existsSync(path)) ?? "ss";
  const sums = new SocketSums();
  return async (signal) => {
    const text = await run({
      argv: [program, "-tinH", "sport", "=", `:${port}`, ...sourceWords(host)],
      deadlineMs: DEADLINE_MS,
      outputCapBytes: OUTPUT_BYTES,
      signal,
    });
    return sums.add(socketLines(text), clock.now());
  };
}

function sourceWords(host: string | undefined): string[] {
  if (host === undefined) return [];
  if (isIP(host) === 0) throw new Failure("ARGUMENT_INVALID", `sockets are looked up by address, not by name: ${host}`);
  return ["and", "src", isIP(host) === 6 ? `[${host}]` : host];
}

/** Adds the counters of sockets up, over the sockets' own lives. */
export class SocketSums {
  #known = new Map<string, SocketLine>();
  #inBytes = 0;
  #outBytes = 0;

  add(sockets: readonly SocketLine[], at: number): PassiveFacts {
    const now = new Map<string, SocketLine>();
    for (const socket of sockets) {
      const before = this.#known.get(socket.name);
      // both are smaller in a new socket between the same ends: it began at 0
      const same = before !== undefined && socket.inBytes >= before.inBytes && socket.outBytes >= before.outBytes;
      this.#inBytes += socket.inBytes - (same ? before.inBytes : 0);
      this.#outBytes += socket.outBytes - (same ? before.outBytes : 0);
      now.set(socket.name, socket);
    }
    this.#known = now;
    const readers = sockets.filter(({ established }) => established).length;
    const says = `${readers} TCP connections, ${this.#inBytes} bytes in and ${this.#outBytes} out`;
    return { at, inBytes: this.#inBytes, outBytes: this.#outBytes, readers, says };
  }
}
