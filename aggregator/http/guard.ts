import type { Clock } from "../../platform/clock.ts";
import { Failure } from "../../protocol/failure.ts";
import { findToken, type TokenEntry } from "../../protocol/token.ts";

/** Wrong tokens one address may send at once, and how long until it may send one more. */
const BURST = 10;
const REFILL_MS = 6_000;
/** Addresses remembered; beyond it the one quiet for longest is forgotten. */
const MAX_ADDRESSES = 1_024;

export interface Guard {
  /**
   * The name of the token in an Authorization header. Throws API_UNAUTHORIZED, or API_LIMITED (facts: `retryAfterS`)
   * when `address` has sent too many wrong ones. A right token always passes: 256 random bits are not guessed, and
   * whoever sends wrong ones from the desk's own address must not lock the desk out.
   */
  admit(authorization: string | undefined, address: string): string;
}

export function openGuard(tokens: readonly TokenEntry[], clock: Clock): Guard {
  const wrong = new Map<string, { left: number; at: number }>();
  return {
    admit(authorization, address) {
      const token = /^bearer +([\x21-\x7e]{1,512}) *$/i.exec(authorization ?? "")?.[1];
      const entry = token === undefined ? undefined : findToken(tokens, token);
      if (entry !== undefined) return entry.name;
      const key = networkOf(address);
      const now = clock.now();
      const past = wrong.get(key) ?? { left: BURST, at: now };
      const left = Math.min(BURST, past.left + (now - past.at) / REFILL_MS);
      wrong.delete(key); // and set anew: the map's order is the order of last use
      wrong.set(key, { left: left >= 1 ? left - 1 : left, at: now });
      for (const oldest of wrong.keys()) {
        if (wrong.size <= MAX_ADDRESSES) break;
        wrong.delete(oldest);
      }
      if (left < 1) {
        const retryAfterS = Math.ceil(((1 - left) * REFILL_MS) / 1000);
        throw new Failure("API_LIMITED", "too many wrong tokens from this address", { facts: { retryAfterS } });
      }
      throw new Failure("API_UNAUTHORIZED", token === undefined ? "no bearer token" : "the token is not known");
    },
  };
}

/** One host: an IPv4 address, or the /64 an IPv6 host picks its addresses from. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("%")[0]?.split("::") ?? [];
  const groups = (part: string | undefined) => (part === undefined || part === "" ? [] : part.split(":"));
  const [left, right] = [groups(head), groups(tail)];
  const zeros =
    tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => "0");
  return `${[...left, ...zeros, ...right].slice(0, 4).join(":")}::/64`;
}
