/** What the kernel writes of its network, read. Pure. */

/** Totals of one interface since its driver started; 32 bits wide on some kernels and drivers. */
export interface Counters {
  rxBytes: number;
  rxPackets: number;
  rxErrors: number;
  rxDrops: number;
  txBytes: number;
  txPackets: number;
  txErrors: number;
  txDrops: number;
}

const RX = { bytes: 0, packets: 1, errors: 2, drops: 3 } as const;
const TX_AT = 8;

/** /proc/net/dev by interface. What is no line of an interface is passed over. */
export function parseNetDev(text: string): Map<string, Counters> {
  const found = new Map<string, Counters>();
  for (const line of text.split("\n")) {
    const colon = line.lastIndexOf(":"); // an alias has one in its name
    if (colon < 0) continue;
    const name = line.slice(0, colon).trim();
    const figures = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/)
      .map(Number);
    if (name === "" || figures.length < 2 * TX_AT || !figures.every(isCount)) continue;
    const rx = (at: number): number => figures[at] ?? 0;
    const tx = (at: number): number => figures[TX_AT + at] ?? 0;
    found.set(name, {
      rxBytes: rx(RX.bytes),
      rxPackets: rx(RX.packets),
      rxErrors: rx(RX.errors),
      rxDrops: rx(RX.drops),
      txBytes: tx(RX.bytes),
      txPackets: tx(RX.packets),
      txErrors: tx(RX.errors),
      txDrops: tx(RX.drops),
    });
  }
  return found;
}

const isCount = (figure: number): boolean => Number.isFinite(figure) && figure >= 0;

const WIDTH_32 = 2 ** 32;

/**
 * By how much a counter grew. One of 32 bits that ran over goes on; one that starts anew (the driver was loaded again)
 * tells nothing for this once: undefined.
 */
export function grown(before: number, now: number): number | undefined {
  if (now >= before) return now - before;
  const ranOver = before < WIDTH_32 && before >= 0.75 * WIDTH_32 && now < 0.25 * WIDTH_32;
  return ranOver ? now + WIDTH_32 - before : undefined;
}

/** Where packets for everywhere go. */
export interface DefaultRoute {
  iface: string;
  /** Undefined on a line with nobody in between (PPP, some modems). */
  gateway?: string;
}

const UP = 0x1;
const REJECT = 0x200;

/** The IPv4 default route of /proc/net/route with the least metric. */
export function parseRoutes(text: string): DefaultRoute | undefined {
  let best: (DefaultRoute & { metric: number }) | undefined;
  for (const line of text.split("\n")) {
    const [iface = "", destination, gateway = "", flags = "", , , metric = "", mask] = line.trim().split(/\s+/);
    if (destination !== "00000000" || mask !== "00000000" || !isHex(gateway, 8)) continue;
    const bits = Number.parseInt(flags, 16);
    if ((bits & UP) === 0 || (bits & REJECT) !== 0) continue;
    const cost = Number(metric);
    if (!isCount(cost) || (best !== undefined && best.metric <= cost)) continue;
    best = { iface, metric: cost, ...(gateway === "00000000" ? {} : { gateway: ipv4(gateway) }) };
  }
  return best && plain(best);
}

/** The IPv6 default route of /proc/net/ipv6_route with the least metric; a link-local gateway comes with its interface. */
export function parseRoutes6(text: string): DefaultRoute | undefined {
  let best: (DefaultRoute & { metric: number }) | undefined;
  for (const line of text.split("\n")) {
    const [destination, prefix, , , hop = "", metric = "", , , flags = "", iface = ""] = line.trim().split(/\s+/);
    if (destination !== NO_ADDRESS_6 || prefix !== "00" || !isHex(hop, 32) || iface === "" || iface === "lo") continue;
    const bits = Number.parseInt(flags, 16);
    if ((bits & UP) === 0 || (bits & REJECT) !== 0) continue;
    const cost = Number.parseInt(metric, 16);
    if (!isCount(cost) || (best !== undefined && best.metric <= cost)) continue;
    const gateway = hop === NO_ADDRESS_6 ? undefined : ipv6(hop);
    const scoped = gateway?.startsWith("fe80:") === true ? `${gateway}%${iface}` : gateway;
    best = { iface, metric: cost, ...(scoped === undefined ? {} : { gateway: scoped }) };
  }
  return best && plain(best);
}

const NO_ADDRESS_6 = "0".repeat(32);
const plain = ({ iface, gateway }: DefaultRoute): DefaultRoute =>
  gateway === undefined ? { iface } : { iface, gateway };
const isHex = (text: string, digits: number): boolean => text.length === digits && /^[0-9a-f]*$/i.test(text);

/** An address as /proc writes it on little-endian machines: all of ours are. */
const ipv4 = (hex: string): string => [6, 4, 2, 0].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join(".");

/** Eight groups without leading zeros, the first longest run of zeros left out (RFC 5952). */
function ipv6(hex: string): string {
  const groups = Array.from({ length: 8 }, (_, i) => Number.parseInt(hex.slice(4 * i, 4 * i + 4), 16));
  let [at, length] = [0, 0];
  for (let i = 0; i < 8; i += 1) {
    let run = 0;
    while (i + run < 8 && groups[i + run] === 0) run += 1;
    if (run > length) [at, length] = [i, run];
  }
  const words = groups.map((group) => group.toString(16));
  if (length < 2) return words.join(":");
  return `${words.slice(0, at).join(":")}::${words.slice(at + length).join(":")}`;
}

/** Whether the neighbour answers at its hardware address; `absent` where the kernel does not know it at all. */
export type Neighbour = "complete" | "incomplete" | "absent";

const COMPLETE = 0x2;

/** /proc/net/arp about one IPv4 address. */
export function neighbourIn(text: string, address: string): Neighbour {
  for (const line of text.split("\n")) {
    const [ip, , flags = ""] = line.trim().split(/\s+/);
    if (ip === address) return (Number(flags) & COMPLETE) === 0 ? "incomplete" : "complete";
  }
  return "absent";
}

/** A socket that waits for others: TCP in LISTEN, UDP bound and not connected. */
export interface Listening {
  address: string;
  port: number;
  inode: number;
}

const LISTEN = 0x0a;
const UDP_UNCONNECTED = 0x07;

/** Sockets of /proc/net/{tcp,tcp6,udp,udp6} that wait for others on one of `ports`. */
export function parseListening(text: string, protocol: "tcp" | "udp", ports: ReadonlySet<number>): Listening[] {
  const wanted = protocol === "tcp" ? LISTEN : UDP_UNCONNECTED;
  const found: Listening[] = [];
  let at = text.indexOf("\n") + 1;
  while (at > 0 && at < text.length) {
    const end = text.indexOf("\n", at);
    const words = text
      .slice(at, end < 0 ? text.length : end)
      .trim()
      .split(/\s+/, 10);
    at = end + 1;
    const state = Number.parseInt(words[3] ?? "", 16);
    if (protocol === "tcp" && state !== LISTEN && words.length === 10) break; // the kernel writes those that listen first
    const [host = "", port = ""] = (words[1] ?? "").split(":");
    const number = Number.parseInt(port, 16);
    const inode = Number(words[9]);
    if (state !== wanted || !ports.has(number) || !isCount(inode)) continue;
    if (isHex(host, 8)) found.push({ address: ipv4(host), port: number, inode });
    else if (isHex(host, 32)) found.push({ address: ipv6(bigEndian(host)), port: number, inode });
  }
  return found;
}

/** /proc/net/tcp6 writes each four bytes in the machine's order. */
const bigEndian = (hex: string): string =>
  hex.replace(/(..)(..)(..)(..)/g, (_, a: string, b: string, c: string, d: string) => d + c + b + a);
