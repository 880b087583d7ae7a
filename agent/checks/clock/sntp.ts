/** One question and one answer of the Simple Network Time Protocol, version 4 (RFC 4330, RFC 5905 section 7.3). Pure. */

/** What a server said of the time. */
export interface SntpAnswer {
  /** Seconds to be added by the leap warning; 3: its clock is not set. */
  leap: 0 | 1 | 2 | 3;
  /** 1: has a clock of its own; 0: a kiss of death (`reference` says which); 16 and more: not set. */
  stratum: number;
  /** Where it has the time from: letters of a source, or an address. */
  reference: string;
  /** The farthest its clock can be off, ms: root dispersion and half the root delay (RFC 5905 appendix A.5.5.2). */
  rootDistanceMs: number;
  /** When it took our question and when it answered, epoch ms by its clock. */
  receivedMs: number;
  sentMs: number;
}

/** What may not be: another program's datagram, an old one, or a forged one. */
export class SntpRefused extends Error {}

const BYTES = 48;
export const COOKIE_BYTES = 8;
const CLIENT_V4 = 0x23;
const SERVER = 4;
/** Seconds from 1900 to 1970. */
const EPOCH_S = 2_208_988_800;
const ERA_S = 2 ** 32;
const FRACTION = 2 ** 32;

/**
 * A question. `cookie`: eight random bytes in place of our transmit time, which the server gives back: nobody learns our
 * clock from it, and nobody who has not seen it can forge the answer (as RFC 9769 has it).
 */
export function question(cookie: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(BYTES);
  bytes[0] = CLIENT_V4;
  bytes.set(cookie.subarray(0, COOKIE_BYTES), 40);
  return bytes;
}

/** Reads an answer to the question with `cookie`. Throws SntpRefused for anything else. */
export function readAnswer(bytes: Uint8Array, cookie: Uint8Array, nearMs: number): SntpAnswer {
  if (bytes.length < BYTES) throw new SntpRefused(`${bytes.length} bytes are no answer`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const first = view.getUint8(0);
  if ((first & 7) !== SERVER) throw new SntpRefused(`mode ${first & 7} is no server's`);
  const version = (first >> 3) & 7;
  if (version < 3 || version > 4) throw new SntpRefused(`version ${version}`);
  for (let i = 0; i < COOKIE_BYTES; i += 1)
    if (bytes[24 + i] !== cookie[i]) throw new SntpRefused("an answer to another question");
  const stratum = view.getUint8(1);
  const distance = view.getUint32(4) / 2 ** 17 + view.getUint32(8) / 2 ** 16;
  return {
    leap: (first >> 6) as 0 | 1 | 2 | 3,
    stratum,
    reference: referenceOf(bytes.subarray(12, 16), stratum),
    rootDistanceMs: distance * 1_000,
    receivedMs: timeAt(view, 32, nearMs),
    sentMs: timeAt(view, 40, nearMs),
  };
}

/** Seconds and fractions since 1900, in the era (136 years) that is nearest to `nearMs`. */
function timeAt(view: DataView, at: number, nearMs: number): number {
  const seconds = view.getUint32(at) - EPOCH_S;
  const ms = (view.getUint32(at + 4) / FRACTION) * 1_000;
  const era = Math.round((nearMs / 1_000 - seconds) / ERA_S);
  return (seconds + era * ERA_S) * 1_000 + ms;
}

function referenceOf(bytes: Uint8Array, stratum: number): string {
  if (stratum > 1) return bytes.join(".");
  return String.fromCharCode(...bytes).replace(/[^ -~]/g, "");
}

/** Our clock against the server's, from one question and answer. */
export interface Sample {
  /** Our wall clock minus the server's, ms. */
  offsetMs: number;
  /** The way there and back, ms: the offset is right to half of it. */
  delayMs: number;
}

/** `askedMs` by our wall clock; `tookMs` by the monotonic one, for somebody may set the other meanwhile. */
export function sampleOf({ receivedMs, sentMs }: SntpAnswer, askedMs: number, tookMs: number): Sample {
  const heardMs = askedMs + tookMs;
  return {
    offsetMs: (askedMs - receivedMs + (heardMs - sentMs)) / 2,
    delayMs: Math.max(0, tookMs - (sentMs - receivedMs)),
  };
}

/** Farther off than this a server does not know the time itself (RFC 5905 MAXDIST). */
const MOST_DISTANCE_MS = 1_500;

/** Why a server's word on the time is worth nothing; undefined when it is good. */
export function unfit({
  leap,
  stratum,
  reference,
  rootDistanceMs,
  receivedMs,
  sentMs,
}: SntpAnswer): string | undefined {
  if (stratum === 0) return `it sends us away (${reference})`;
  if (leap === 3 || stratum >= 16) return "its own clock is not set";
  if (sentMs < receivedMs) return "it answers before it was asked";
  if (rootDistanceMs > MOST_DISTANCE_MS) return `its own time may be ${Math.round(rootDistanceMs)} ms off`;
  return undefined;
}
