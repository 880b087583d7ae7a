import type { Snmp, SnmpValue } from "../../../platform/snmp.ts";
import type { Device, PortConfig } from "./config.ts";
import { asNumber, asText, COLUMNS, type PortLook, portLook } from "./figures.ts";
import type { PortRule } from "./judge.ts";

const IF_NAME = "1.3.6.1.2.1.31.1.1.1.1";
const IF_ALIAS = "1.3.6.1.2.1.31.1.1.1.18";
const IF_DESCR = "1.3.6.1.2.1.2.2.1.2";
const IF_TYPE = "1.3.6.1.2.1.2.2.1.3";
/** ethernetCsmacd, and the older names of fast and gigabit Ethernet. */
const ETHERNET = new Set([6, 62, 69, 117]);
const MOST_ROWS = 1_024;
const MOST_PORTS = 128;
/** So many objects fit one datagram of any device. */
const MOST_OBJECTS = 40;

/** A port that is watched, and where the device keeps it. */
export interface Found {
  /** Its part of the subject. */
  label: string;
  index: string;
  /** What the device called it when it was found: another name at this index means that the ports were renumbered. */
  shownAs: string | undefined;
  rule: PortRule;
}

/** How a configured port is called in alarms. */
export const labelOf = ({ label, name, alias, index }: PortConfig): string => label ?? name ?? alias ?? String(index);

/** Looks up where the device keeps the ports wanted of it; those it does not have are left out. */
export async function findPorts(snmp: Snmp, ports: Device["ports"]): Promise<Found[]> {
  if (ports !== "all" && ports.every(({ index }) => index !== undefined))
    return ports.map((port) => ({
      label: labelOf(port),
      index: String(port.index),
      shownAs: undefined,
      rule: ruled(port),
    }));
  const names = await snmp.column(IF_NAME, MOST_ROWS);
  const descriptions = await snmp.column(IF_DESCR, MOST_ROWS);
  const shown = (index: string): string => asText(names.get(index)) || asText(descriptions.get(index)) || "?";
  if (ports === "all") {
    const types = await snmp.column(IF_TYPE, MOST_ROWS);
    return [...types]
      .filter(([, type]) => ETHERNET.has(asNumber(type) ?? 0))
      .slice(0, MOST_PORTS)
      .map(([index]) => ({ label: shown(index), index, shownAs: shown(index), rule: FOUND }));
  }
  const aliases = ports.some(({ alias }) => alias !== undefined) ? await snmp.column(IF_ALIAS, MOST_ROWS) : new Map();
  return ports.flatMap((port) => {
    const index = port.index === undefined ? indexOf(port, names, descriptions, aliases) : String(port.index);
    return index === undefined ? [] : [{ label: labelOf(port), index, shownAs: shown(index), rule: ruled(port) }];
  });
}

const FOUND: PortRule = { expect: "up", isFound: true };
const ruled = ({ expect, minSpeedMbps, severity }: PortConfig): PortRule => ({
  expect,
  isFound: false,
  ...(minSpeedMbps === undefined ? {} : { minSpeedMbps }),
  ...(severity === undefined ? {} : { severity }),
});

type Column = ReadonlyMap<string, SnmpValue>;

function indexOf(
  { name, alias }: PortConfig,
  names: Column,
  descriptions: Column,
  aliases: Column,
): string | undefined {
  const wanted = asText(name ?? alias);
  for (const column of name === undefined ? [aliases] : [names, descriptions])
    for (const [index, value] of column) if (asText(value) === wanted) return index;
  return undefined;
}

/** Which objects a device has: what it never answers is asked once only. */
export class Columns {
  #wanted: readonly number[] = COLUMNS.map((_, i) => i);
  #known = false;

  /** Asks for all of `ports`, a few at a time. A port that is not there any more has no look. */
  async look(snmp: Snmp, ports: readonly Found[]): Promise<(PortLook | undefined)[]> {
    const wanted = this.#wanted;
    const atOnce = Math.max(1, Math.floor(MOST_OBJECTS / wanted.length));
    const rows: SnmpValue[][] = [];
    for (let at = 0; at < ports.length; at += atOnce) {
      const some = ports.slice(at, at + atOnce);
      const values = await snmp.get(some.flatMap(({ index }) => wanted.map((i) => `${COLUMNS[i]}.${index}`)));
      for (const i of some.keys()) rows.push(spread(wanted, values.slice(i * wanted.length, (i + 1) * wanted.length)));
    }
    if (!this.#known && rows.some((row) => row[OPER] !== undefined)) this.#learn(rows);
    return rows.map(portLook);
  }

  #learn(rows: readonly SnmpValue[][]): void {
    this.#known = true;
    const has = (i: number): boolean => rows.some((row) => row[i] !== undefined);
    const stands = (i: number): boolean =>
      SPARES.some(([spare, better]) => spare === i && rows.every((row) => row[better] !== undefined));
    this.#wanted = this.#wanted.filter((i) => has(i) && !stands(i));
  }
}

const OPER = 3;
/** Objects that are not asked where a better one is there: by place in `COLUMNS`. */
const SPARES = [
  [1, 0], // ifDescr, ifName
  [5, 4], // ifSpeed, ifHighSpeed
  [12, 10], // ifInOctets, ifHCInOctets
  [13, 11], // ifOutOctets, ifHCOutOctets
] as const;

function spread(places: readonly number[], values: readonly SnmpValue[]): SnmpValue[] {
  const row: SnmpValue[] = Array.from({ length: COLUMNS.length }, () => undefined);
  for (const [i, place] of places.entries()) row[place] = values[i];
  return row;
}
