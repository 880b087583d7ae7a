import { createHash } from "node:crypto";
import type { Credentials } from "../media.ts";

/** What a 401 asks for (RFC 7617 Basic, RFC 7616 Digest). */
export type Challenge =
  | { scheme: "basic" }
  | {
      scheme: "digest";
      realm: string;
      nonce: string;
      hash: Hash;
      /** As the server wrote it; undefined: it did not. */
      algorithm?: string;
      /** Whether HA1 is made anew with each nonce (`-sess`). */
      sess: boolean;
      /** Whether `qop=auth` is offered; without it the answer is that of RFC 2069. */
      qop: boolean;
      opaque?: string;
      /** The password was right, the nonce too old. */
      stale: boolean;
    };

type Hash = "sha256" | "md5";

const MOST_LENGTH = 8_192;
const MOST_CHALLENGES = 8;

/** The strongest of the challenges we can answer: SHA-256, MD5, Basic; undefined when none is. */
export function strongestOf(values: readonly string[]): Challenge | undefined {
  const all = values.slice(0, MOST_CHALLENGES).flatMap(challengesIn);
  const digest = (hash: Hash): Challenge | undefined => all.find((one) => one.scheme === "digest" && one.hash === hash);
  return digest("sha256") ?? digest("md5") ?? all.find(({ scheme }) => scheme === "basic");
}

type Parameters = Map<string, string>;

/** One header may hold several, and both challenges and parameters are parted by commas. */
function challengesIn(header: string): Challenge[] {
  if (header.length > MOST_LENGTH) return [];
  const part = /[\s,]*(?:([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))|([\w-]+))/y;
  const found: [scheme: string, Parameters][] = [];
  for (let match = part.exec(header); match !== null; match = part.exec(header)) {
    const [, name, quoted, bare = "", scheme] = match;
    if (scheme !== undefined) found.push([scheme.toLowerCase(), new Map()]);
    if (name !== undefined) found.at(-1)?.[1].set(name.toLowerCase(), quoted?.replace(/\\(.)/g, "$1") ?? bare);
  }
  return found.slice(0, MOST_CHALLENGES).flatMap(([scheme, parameters]) => challengeOf(scheme, parameters) ?? []);
}

function challengeOf(scheme: string, parameters: Parameters): Challenge | undefined {
  if (scheme === "basic") return { scheme };
  const [realm, nonce] = [parameters.get("realm"), parameters.get("nonce")];
  if (scheme !== "digest" || realm === undefined || nonce === undefined) return undefined;
  const algorithm = parameters.get("algorithm");
  const [, name = "", sess] = /^(MD5|SHA-256)(-sess)?$/i.exec(algorithm ?? "MD5") ?? [];
  const qops = parameters
    .get("qop")
    ?.toLowerCase()
    .split(/[\s,]+/);
  const qop = qops?.includes("auth") ?? false;
  if (name === "" || (qops !== undefined && !qop)) return undefined; // auth-int alone: nobody is known to want it
  const opaque = parameters.get("opaque");
  return {
    scheme,
    realm,
    nonce,
    hash: name.toUpperCase() === "MD5" ? "md5" : "sha256",
    ...(algorithm === undefined ? {} : { algorithm }),
    sess: sess !== undefined,
    qop,
    ...(opaque === undefined ? {} : { opaque }),
    stale: parameters.get("stale")?.toLowerCase() === "true",
  };
}

/** One request to be authorised. */
export interface Asked {
  method: string;
  uri: string;
  /** How often this nonce has been used, this time included. */
  count: number;
  /** Our own random word. */
  cnonce: string;
}

/** The value of `Authorization` for one request. */
export function authorization(challenge: Challenge, { user, password }: Credentials, asked: Asked): string {
  if (challenge.scheme === "basic") return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
  const { realm, nonce, algorithm, opaque, qop, sess } = challenge;
  const hashed = (...parts: string[]): string => createHash(challenge.hash).update(parts.join(":")).digest("hex");
  const { method, uri, cnonce } = asked;
  const count = asked.count.toString(16).padStart(8, "0");
  const secret = hashed(user, realm, password);
  const one = sess ? hashed(secret, nonce, cnonce) : secret;
  const two = hashed(method, uri);
  const response = qop ? hashed(one, nonce, count, cnonce, "auth", two) : hashed(one, nonce, two);
  const words = [
    `username=${quoted(user)}`,
    `realm=${quoted(realm)}`,
    `nonce=${quoted(nonce)}`,
    `uri=${quoted(uri)}`,
    `response="${response}"`,
  ];
  if (algorithm !== undefined) words.push(`algorithm=${algorithm}`);
  if (opaque !== undefined) words.push(`opaque=${quoted(opaque)}`);
  if (qop) words.push("qop=auth", `nc=${count}`);
  if (qop || sess) words.push(`cnonce="${cnonce}"`);
  return `Digest ${words.join(", ")}`;
}

const quoted = (text: string): string => `"${text.replace(/["\\]/g, "\\$&")}"`;
