import { isIP } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { Failure } from "../protocol/failure.ts";
import { type CertificateFacts, chainOf, factsOf } from "./certificate-facts.ts";
import {
  type Begin,
  type Connected,
  type Dial,
  event,
  type Line,
  onLine,
  openBy,
  type Place,
  placeName,
  reasonOf,
} from "./dial.ts";

/** Whom we trust, and who we are, in a TLS handshake. */
export interface TlsOptions {
  /** The name the certificate must be for, where it is not the host's. */
  servername?: string | undefined;
  /** PEM of the authorities to trust; without, those that Node carries. */
  ca?: Buffer | string | undefined;
  cert?: Buffer | string | undefined;
  key?: Buffer | string | undefined;
}

/** Whether the certificate was verified: chain, time and name. `why` is OpenSSL's or Node's code. */
export type Trust = { ok: true } | { ok: false; why: string };

export interface TlsFacts extends Connected {
  handshakeMs: number;
  trust: Trust;
  certificate: CertificateFacts;
  /** The earliest end in what the server has shown, epoch ms. */
  chainNotAfterMs: number;
  protocol: string;
}

/**
 * Shakes hands, looks at the certificate and hangs up; nothing is sent. A certificate that cannot be trusted is no
 * failure here: `trust` says so, and why. Rejects with Failure DIAL_*.
 */
export const dialTls = (to: Place, options: TlsOptions, dial: Dial): Promise<TlsFacts> =>
  onLine(placeName(to), dial, async (line) => {
    const { socket, ...facts } = await openTls(to, options, line);
    return facts;
  });

/** The same, and the line stays open. Whoever sends on it must look at `trust` first. */
export async function openTls(to: Place, options: TlsOptions, line: Line): Promise<TlsFacts & { socket: TLSSocket }> {
  const { socket, ms, address } = await openBy(tlsTo(to, options), to, line);
  const begun = line.clock.now();
  line.phase = "was shaking hands (TLS)";
  try {
    await event(socket, "secureConnect");
  } catch (cause) {
    line.signal.throwIfAborted();
    const reason = reasonOf(cause);
    const facts = { place: placeName(to), reason };
    throw new Failure("DIAL_TLS", `no TLS handshake with ${placeName(to)}: ${reason}`, { facts, cause });
  }
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined) throw new Failure("DIAL_TLS", `${placeName(to)} shows no certificate`);
  return {
    ms,
    address,
    socket,
    handshakeMs: line.clock.now() - begun,
    trust: socket.authorized ? { ok: true } : { ok: false, why: wordOf(socket.authorizationError) },
    certificate: factsOf(leaf),
    chainNotAfterMs: Math.min(...chainOf(leaf).map(({ validToDate }) => validToDate.getTime())),
    protocol: socket.getProtocol() ?? "",
  };
}

/** The same, verified: what cannot be trusted is Failure DIAL_UNTRUSTED with the facts of the certificate. */
export async function openTrusted(to: Place, options: TlsOptions, line: Line): ReturnType<typeof openTls> {
  const opened = await openTls(to, options, line);
  const { trust, certificate } = opened;
  if (trust.ok) return opened;
  opened.socket.destroy();
  const place = placeName(to);
  const { subject, issuer, notBeforeMs, notAfterMs } = certificate;
  throw new Failure("DIAL_UNTRUSTED", `the certificate of ${place} is not trusted: ${trust.why}`, {
    facts: { place, why: trust.why, subject, issuer, notBeforeMs, notAfterMs },
  });
}

/**
 * One socket from the start. A TLS socket around a plain one would crash Node 24 (SIGSEGV) when the plain one is
 * destroyed before it.
 */
function tlsTo(to: Place, { servername, ca, cert, key }: TlsOptions): Begin<TLSSocket> {
  const name = servername ?? (isIP(to.host) === 0 ? to.host : undefined);
  // Not refused by the library but by us, once we know why: a failed check must still tell what it saw. Nothing is sent
  // before `trust` was looked at.
  const options = {
    rejectUnauthorized: false,
    minVersion: "TLSv1.2",
    ...(name === undefined ? {} : { servername: name }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  } as const;
  return (host, port) => {
    try {
      return connect({ host, port, ...options });
    } catch (cause) {
      const reason = reasonOf(cause);
      throw new Failure("DIAL_LOCAL", `cannot begin TLS: ${reason}`, { facts: { reason }, cause });
    }
  };
}

/** `CERT_HAS_EXPIRED`, `DEPTH_ZERO_SELF_SIGNED_CERT`, `ERR_TLS_CERT_ALTNAME_INVALID` … (Node types it as an error, it is a code). */
const wordOf = (error: unknown): string => (typeof error === "string" ? error : reasonOf(error));
