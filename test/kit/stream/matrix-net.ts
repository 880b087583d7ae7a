import { run } from "../peers.ts";
import { type GstOptions, needsGst, startGst } from "./gst.ts";
import type { FaultCase, Stage } from "./matrix.ts";

/** Faults of the line itself, on the loopback of a network of their own: server and check are in it together. */

const nft = (...words: string[]): void => void run("nft", words);
/** Of what comes in on loopback, `what` happens to so much. */
function filter(rule: string): void {
  nft("add table inet vigil");
  nft("add chain inet vigil in { type filter hook input priority 0 ; }");
  nft(`add rule inet vigil in iifname lo ${rule}`);
}
const unfilter = (): void => nft("delete table inet vigil");

/** Snow, so that the encoder really makes 2 Mbit/s. */
const BUSY: GstOptions = { pattern: 1, kbps: 2_000 };

async function broken(servers: AsyncDisposableStack, inject: () => void, heal: () => void): Promise<Stage> {
  run("ip", ["link", "set", "lo", "mtu", "1500"]); // a token bucket passes no packet that is larger than it
  const server = servers.use(await startGst(BUSY));
  return { target: { type: "rtsp", url: server.url("h264") }, inject, heal };
}

export const NET_CASES: readonly FaultCase[] = [
  {
    name: "half-open TCP",
    by: "every packet dropped, no word to anybody",
    wants: { reason: "no_media", hop: "network", withinMs: 5_000 },
    brokenMs: 8_000,
    inNet: true,
    skip: needsGst,
    open: (servers) => broken(servers, () => filter("drop"), unfilter),
  },
  {
    name: "link choked to 500 kbit/s (of 2 Mbit/s)",
    by: "token bucket (tbf)",
    wants: { reason: "timestamp", hop: "network", withinMs: 10_000 },
    wellMs: 14_000,
    brokenMs: 8_000,
    inNet: true,
    skip: needsGst,
    open: (servers) =>
      broken(
        servers,
        () => void run("tc", "qdisc add dev lo root tbf rate 500kbit burst 5kb latency 400ms".split(" ")),
        () => void run("tc", "qdisc del dev lo root".split(" ")),
      ),
  },
  {
    name: "10 % TCP segment loss",
    by: "one packet of ten dropped; TCP repairs it",
    wants: "quiet",
    brokenMs: 20_000,
    inNet: true,
    skip: needsGst,
    // each tenth: by chance the same segment is lost four times in one run of twenty, and then no frame does come for 3 s
    open: (servers) => broken(servers, () => filter("numgen inc mod 10 == 0 drop"), unfilter),
  },
];
