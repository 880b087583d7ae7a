import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext, type SecureContext } from "node:tls";
import { Failure } from "../protocol/failure.ts";
import type { Broker } from "./broker-link.ts";
import { readSecretFile } from "./small-file.ts";

/** What a connection needs from the disk, read anew for each one. */
export interface LinkFiles {
  secureContext?: SecureContext;
  password?: string;
}

const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause ? String(cause.code) : "unusable";

function unusable(path: string, why: string, cause?: unknown): Failure {
  return new Failure("LINK_FILES", `cannot use ${path}: ${why}`, { facts: { path, reason: why }, cause });
}

async function take(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw unusable(path, codeOf(cause), cause);
  }
}

const takePassword = (path: string): Promise<string> =>
  readSecretFile(path).catch((cause: unknown) => {
    throw unusable(path, cause instanceof Failure ? String(cause.facts["reason"]) : codeOf(cause), cause);
  });

async function takeTls({ caFile, certFile, keyFile }: NonNullable<Broker["tls"]>): Promise<SecureContext> {
  const ca = await take(caFile);
  const cert = certFile === undefined ? {} : { cert: await take(certFile) };
  const key = keyFile === undefined ? {} : { key: await take(keyFile) };
  try {
    void new X509Certificate(ca); // a file without a certificate would be passed over, and every broker be a stranger
    return createSecureContext({ ca, ...cert, ...key, minVersion: "TLSv1.2" });
  } catch (cause) {
    throw unusable([caFile, certFile, keyFile].filter((path) => path !== undefined).join(", "), codeOf(cause), cause);
  }
}

/** Reads certificates, key and password of one connection. Throws LINK_FILES with the path. */
export async function readLinkFiles(tls: Broker["tls"], passwordFile: string | undefined): Promise<LinkFiles> {
  return {
    ...(tls === undefined ? {} : { secureContext: await takeTls(tls) }),
    ...(passwordFile === undefined ? {} : { password: await takePassword(passwordFile) }),
  };
}
