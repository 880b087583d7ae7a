import type { Socket } from "node:net";
import type { Begin, Place } from "../../../platform/dial.ts";
import { dialKept } from "../../../platform/dial-kept.ts";
import type { TlsOptions } from "../../../platform/dial-tls.ts";
import type { Session } from "./media.ts";

/**
 * Connects for a session; the connection is the caller's to end. With `tls` nothing is sent before the certificate was
 * verified; `begin` begins a connection without. Tells the step "connected". Rejects with Failure DIAL_*, or with the reason
 * of the session's signal when that aborts first.
 */
export async function connectFor(
  { clock, signal, connectMs, names, sink }: Session,
  to: Place,
  tls?: TlsOptions,
  begin?: Begin<Socket>,
): Promise<Socket> {
  const dial = { clock, signal, deadlineMs: connectMs, ...(names === undefined ? {} : { names }) };
  const { socket, ms } = await dialKept(to, tls, dial, begin);
  sink.step("connected", ms);
  return socket;
}
