import type { X509Certificate } from "node:crypto";

/** What a certificate says of itself. Times are epoch milliseconds. */
export interface CertificateFacts {
  subject: string;
  issuer: string;
  altNames: readonly string[];
  notBeforeMs: number;
  notAfterMs: number;
  /** The same as OpenSSL writes it: `Nov 25 13:13:13 2026 GMT`. */
  notAfter: string;
  /** SHA-256, hex with colons. */
  fingerprint: string;
  isAuthority: boolean;
}

const MOST = 120;

/** Facts of one certificate. Names are cut to 120 characters on one line: they come from outside. */
export function factsOf(certificate: X509Certificate): CertificateFacts {
  return {
    subject: shortName(certificate.subject),
    issuer: shortName(certificate.issuer),
    altNames: (certificate.subjectAltName ?? "").split(", ").filter((name) => name !== ""),
    notBeforeMs: certificate.validFromDate.getTime(),
    notAfterMs: certificate.validToDate.getTime(),
    notAfter: certificate.validTo,
    fingerprint: certificate.fingerprint256,
    isAuthority: certificate.ca,
  };
}

/** `C=CN\nO=x\nCN=broker` → `broker`; without a common name the whole on one line. */
function shortName(name: string | undefined): string {
  const lines = (name ?? "").split("\n");
  const common = lines.findLast((line) => line.startsWith("CN="))?.slice(3);
  const text = (common ?? lines.join(", ")).replace(/\p{C}+/gu, " ").trim();
  return text.length <= MOST ? text || "without a name" : `${text.slice(0, MOST - 1).toWellFormed()}…`;
}

const MOST_LINKS = 10;

/** A certificate and those that signed it as far as the other side has shown them; the self-signed root is not among them. */
export function chainOf(leaf: X509Certificate): X509Certificate[] {
  const chain = [leaf];
  for (
    let next = leaf.issuerCertificate;
    next !== undefined && chain.length < MOST_LINKS;
    next = next.issuerCertificate
  ) {
    const { fingerprint256 } = next;
    if (chain.some((link) => link.fingerprint256 === fingerprint256) || next.subject === next.issuer) break;
    chain.push(next);
  }
  return chain;
}
