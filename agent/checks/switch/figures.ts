import type { SnmpValue } from "../../../platform/snmp.ts";

/** What one look at a port brought (IF-MIB, RFC 2863). Counters as the device has them, undefined where it has none. */
export interface PortLook {
  /** ifName, or ifDescr where the device has no other. */
  name: string;
  /** ifAdminStatus: 1 up, 2 down, 3 testing. */
  admin: number | undefined;
  /** ifOperStatus: 1 up, 2 down, 3 testing, 4 unknown, 5 dormant, 6 not present, 7 lower layer down. */
  oper: number | undefined;
  /** Mbit/s; undefined where it is not told. */
  speedMbps: number | undefined;
  errors: readonly (number | undefined)[];
  discards: readonly (number | undefined)[];
  /** In and out: bigint where the counters are 64 bits wide. */
  octets: readonly (number | bigint | undefined)[];
}

/** Objects asked per port, in their order; of the pairs the first that the device has is used. */
export const COLUMNS = [
  "1.3.6.1.2.1.31.1.1.1.1", // ifName
  "1.3.6.1.2.1.2.2.1.2", // ifDescr
  "1.3.6.1.2.1.2.2.1.7", // ifAdminStatus
  "1.3.6.1.2.1.2.2.1.8", // ifOperStatus
  "1.3.6.1.2.1.31.1.1.1.15", // ifHighSpeed
  "1.3.6.1.2.1.2.2.1.5", // ifSpeed
  "1.3.6.1.2.1.2.2.1.14", // ifInErrors
  "1.3.6.1.2.1.2.2.1.20", // ifOutErrors
  "1.3.6.1.2.1.2.2.1.13", // ifInDiscards
  "1.3.6.1.2.1.2.2.1.19", // ifOutDiscards
  "1.3.6.1.2.1.31.1.1.1.6", // ifHCInOctets
  "1.3.6.1.2.1.31.1.1.1.10", // ifHCOutOctets
  "1.3.6.1.2.1.2.2.1.10", // ifInOctets
  "1.3.6.1.2.1.2.2.1.16", // ifOutOctets
] as const;

/** The values of `COLUMNS` for one port; undefined when the device has no such port. */
export function portLook(values: readonly SnmpValue[]): PortLook | undefined {
  const [
    ifName,
    descr,
    admin,
    oper,
    high,
    speed,
    inErrors,
    outErrors,
    inDiscards,
    outDiscards,
    hcIn,
    hcOut,
    inOctets,
    outOctets,
  ] = values;
  if (asNumber(oper) === undefined && asNumber(admin) === undefined) return undefined;
  const slow = asNumber(speed);
  const mbps = asNumber(high) || (slow === undefined || slow === MOST_SPEED ? 0 : Math.floor(slow / 1e6));
  const wide = typeof hcIn === "bigint" && typeof hcOut === "bigint";
  return {
    name: asText(ifName) || asText(descr) || "?",
    admin: asNumber(admin),
    oper: asNumber(oper),
    speedMbps: mbps > 0 ? mbps : undefined,
    errors: [asNumber(inErrors), asNumber(outErrors)],
    discards: [asNumber(inDiscards), asNumber(outDiscards)],
    octets: wide ? [hcIn, hcOut] : [asNumber(inOctets), asNumber(outOctets)],
  };
}

/** ifSpeed of a link that is faster than it can tell. */
const MOST_SPEED = 4_294_967_295;

export const asNumber = (value: SnmpValue): number | undefined =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 ? value : undefined;

const MOST_CHARACTERS = 64;

/** A text of a device on one line, cut to 64 characters. It may be in any character set: what is no UTF-8 is read as GB 18030. */
export function asText(value: SnmpValue): string {
  if (!(value instanceof Buffer)) return typeof value === "string" ? oneLine(value) : "";
  try {
    return oneLine(new TextDecoder("utf-8", { fatal: true }).decode(value));
  } catch {
    return oneLine(new TextDecoder("gb18030").decode(value));
  }
}

const oneLine = (text: string): string =>
  text
    .replace(/[\p{C}\s]+/gu, " ")
    .trim()
    .slice(0, MOST_CHARACTERS)
    .toWellFormed();

export interface Rates {
  errorsPerMin?: number;
  discardsPerMin?: number;
  /** In the fuller direction. */
  usePct?: number;
}

const WRAP = 2 ** 32;
/** Two looks closer than this say nothing about a rate. */
const LEAST_MS = 1_000;

/** Rates between two looks, `ms` apart, at a port of a device that did not restart in between. */
export function ratesOf(before: PortLook, now: PortLook, ms: number): Rates {
  if (ms < LEAST_MS) return {};
  const errors = sum(before.errors, now.errors);
  const discards = sum(before.discards, now.discards);
  const use = usePct(before, now, ms);
  return {
    ...(errors === undefined ? {} : { errorsPerMin: (errors * 60_000) / ms }),
    ...(discards === undefined ? {} : { discardsPerMin: (discards * 60_000) / ms }),
    ...(use === undefined ? {} : { usePct: use }),
  };
}

function sum(before: PortLook["errors"], now: PortLook["errors"]): number | undefined {
  const grown = now.map((value, i) => grownBy(before[i], value)).filter((by) => by !== undefined);
  return grown.length === 0 ? undefined : grown.reduce((all, by) => all + by, 0);
}

/**
 * By how much a counter has grown. One of 32 bits that is smaller than before ran over, unless it would then have grown
 * by more than half its range: then somebody has cleared it, as one of 64 bits always was.
 */
export function grownBy(before: number | bigint | undefined, now: number | bigint | undefined): number | undefined {
  if (typeof before === "bigint" && typeof now === "bigint") return now < before ? undefined : Number(now - before);
  if (typeof before !== "number" || typeof now !== "number") return undefined;
  if (now >= before) return now - before;
  const over = now + WRAP - before;
  return over < WRAP / 2 ? over : undefined;
}

function usePct(before: PortLook, now: PortLook, ms: number): number | undefined {
  const { speedMbps } = now;
  if (speedMbps === undefined || before.speedMbps !== speedMbps) return undefined;
  const bitsPerS = speedMbps * 1e6;
  // a narrow counter that could have run over more than once in between tells nothing
  const narrow = now.octets.some((value) => typeof value === "number");
  if (narrow && (bitsPerS / 8) * (ms / 1_000) > WRAP / 2) return undefined;
  const shares = now.octets.flatMap((value, i) => {
    const octets = grownBy(before.octets[i], value);
    return octets === undefined ? [] : [(octets * 8 * 1_000) / ms / bitsPerS];
  });
  return shares.length === 0 ? undefined : Math.min(100, Math.round(Math.max(...shares) * 1_000) / 10);
}

const TICKS_PER_S = 100;
/** sysUpTime runs over after 497 days. */
const OVER_AT = WRAP - 86_400 * TICKS_PER_S;

/** Whether a device whose sysUpTime was `before` and is `now` (hundredths of a second) has restarted in between. */
export const hasRestarted = (before: number, now: number): boolean => now < before && before < OVER_AT;

/** `35 minutes`, `20 hours`, `12 days`. */
export function uptimeText(ticks: number): string {
  const minutes = Math.floor(ticks / TICKS_PER_S / 60);
  if (minutes < 120) return `${minutes} minutes`;
  return minutes < 2_880 ? `${Math.floor(minutes / 60)} hours` : `${Math.floor(minutes / 1_440)} days`;
}
