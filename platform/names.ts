import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { Failure } from "../protocol/failure.ts";

/** How names are looked up. The defaults are this machine's; a test names its own. */
export interface Names {
  hostsFile?: string;
  /** Name servers `address:port`; without, those of /etc/resolv.conf. */
  servers?: readonly string[];
}

const TRY_MS = 1_500;
const TRIES = 2;

/**
 * Addresses of a host, IPv4 first: of an address itself, from /etc/hosts, else from the name servers, asked over sockets.
 * The system's own look-up (getaddrinfo) would hold a thread of the pool for up to half a minute while the name server is
 * dead, and the journal's writes wait for the same few threads. Throws Failure DIAL_NAME, or the signal's reason.
 */
export async function addressesOf(host: string, signal: AbortSignal, names: Names = {}): Promise<readonly string[]> {
  signal.throwIfAborted();
  if (isIP(host) !== 0) return [host];
  const name = host.toLowerCase().replace(/\.$/, "");
  const written = addressesIn(await textOf(names.hostsFile ?? "/etc/hosts"), name);
  if (written.length > 0) return written;
  if (name === "localhost") return ["127.0.0.1"];
  return await askServers(name, signal, names);
}

/** What a hosts file (hosts(5)) says of a name, IPv4 first. */
export function addressesIn(hosts: string, name: string): string[] {
  const found = hosts.split("\n").flatMap((line) => {
    const [address = "", ...names] = line.replace(/#.*$/, "").trim().split(/\s+/);
    return isIP(address) !== 0 && names.some((one) => one.toLowerCase() === name) ? [address] : [];
  });
  return found.toSorted((a, b) => isIP(a) - isIP(b));
}

const textOf = (path: string): Promise<string> => readFile(path, "utf8").catch(() => "");

async function askServers(name: string, signal: AbortSignal, { servers }: Names): Promise<readonly string[]> {
  const { Resolver } = await import("node:dns/promises");
  const resolver = new Resolver({ timeout: TRY_MS, tries: TRIES });
  if (servers !== undefined) resolver.setServers(servers);
  const cancel = (): void => resolver.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    // one after the other: where the first answers, a name server that drops the other kind costs nothing
    return await resolver.resolve4(name).catch((cause: unknown) => {
      if (codeOf(cause) !== "ENODATA") throw cause;
      return resolver.resolve6(name);
    });
  } catch (cause) {
    signal.throwIfAborted();
    throw new Failure("DIAL_NAME", `${name} has no address: ${WORDS[codeOf(cause)] ?? codeOf(cause)}`, {
      facts: { host: name, errno: codeOf(cause) },
      cause,
    });
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

const WORDS: Readonly<Record<string, string>> = {
  ENOTFOUND: "the name server does not know it",
  ENODATA: "the name server knows no address of it",
  ETIMEOUT: "no name server answers",
  ECONNREFUSED: "nothing listens at the name server",
  ESERVFAIL: "the name server failed",
  EREFUSED: "the name server refused",
};

const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
