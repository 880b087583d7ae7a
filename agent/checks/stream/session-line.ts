import type { Socket } from "node:net";
import { type Begin, type Line, open, openBy, type Place, placeName } from "../../../platform/dial.ts";
import { openTls, type TlsOptions } from "../../../platform/dial-tls.ts";
import { Failure } from "../../../protocol/failure.ts";
import type { Session } from "./media.ts";

/**
 * Connects for a session; the connection outlives the dial, and is the caller's to end. With `tls` nothing is sent before
 * the certificate was verified; `begin` begins a connection without. Tells the step "connected". Rejects with Failure DIAL_*, or with the reason of the session's
 * signal when that aborts first.
 */
export async function connectFor(
  session: Session,
  to: Place,
  tls?: TlsOptions,
  begin?: Begin<Socket>,
): Promise<Socket> {
  const { clock, signal, connectMs } = session;
  signal.throwIfAborted();
  const place = placeName(to);
  const cut = new AbortController();
  const line: Line = {
    clock,
    signal: cut.signal,
    endsAt: clock.now() + connectMs,
    names: session.names ?? {},
    phase: "was begun",
  };
  const hangUp = (): void => cut.abort(signal.reason);
  signal.addEventListener("abort", hangUp, { once: true });
  const callOff = clock.after(connectMs, () => cut.abort(timeout(place, line, connectMs)));
  const begun = clock.now();
  try {
    const socket = await (tls === undefined ? plain(to, line, begin) : secure(to, tls, line));
    session.sink.step("connected", clock.now() - begun);
    return socket;
  } finally {
    signal.removeEventListener("abort", hangUp);
    callOff();
  }
}

const plain = async (to: Place, line: Line, begin: Begin<Socket> | undefined): Promise<Socket> =>
  (await (begin === undefined ? open(to, line) : openBy(begin, to, line))).socket;

async function secure(to: Place, tls: TlsOptions, line: Line): Promise<Socket> {
  const { socket, trust, certificate } = await openTls(to, tls, line);
  if (trust.ok) return socket;
  socket.destroy();
  const { subject, issuer, notBeforeMs, notAfterMs } = certificate;
  throw new Failure("DIAL_UNTRUSTED", `the certificate of ${placeName(to)} is not trusted: ${trust.why}`, {
    facts: { place: placeName(to), why: trust.why, subject, issuer, notBeforeMs, notAfterMs },
  });
}

const timeout = (place: string, { phase }: Line, deadlineMs: number): Failure =>
  new Failure("DIAL_TIMEOUT", `${place} was given up after ${deadlineMs} ms, while it ${phase}`, {
    facts: { place, phase, deadlineMs },
  });
