const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; // Crockford base 32, as ULID uses it

/** A ULID: 26 characters whose text order is their age order. */
export const BOOT_PATTERN = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

function encode(value: bigint, length: number): string {
  let text = "";
  for (let rest = value, i = 0; i < length; i += 1, rest >>= 5n) text = ALPHABET[Number(rest & 31n)] + text;
  return text;
}

const timeOf = (boot: string): number =>
  [...boot.slice(0, 10)].reduce((sum, char) => sum * 32 + ALPHABET.indexOf(char), 0);

/**
 * Name of a new agent start, always later in text order than `last`, even when the clock says 1970 or ran back.
 * `wallMs` is the device's wall clock (epoch ms), `random` ten random bytes.
 */
export function nextBoot(wallMs: number, random: Uint8Array, last?: string): string {
  const floor = last === undefined ? 0 : timeOf(last) + 1;
  const time = Math.max(Math.trunc(wallMs), floor, 0);
  const noise = random.slice(0, 10).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return encode(BigInt(time), 10) + encode(noise, 16);
}

/** Where a record stands in a device's history: boots in text order, then the sequence number within. */
export interface Place {
  boot: string;
  seq: number;
}

/** Below 0 when `a` came before `b`, 0 when they are the same record, above 0 after. Never decided by arrival. */
export const comparePlaces = (a: Place, b: Place): number =>
  a.boot < b.boot ? -1 : a.boot > b.boot ? 1 : a.seq - b.seq;
