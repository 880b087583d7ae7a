import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { matcher } from "../../../agent/checks/network/interfaces.ts";
import { parsePing } from "../../../agent/checks/network/ping.ts";
import { RateWatch } from "../../../agent/checks/network/rates.ts";
import {
  type Counters,
  grown,
  neighbourIn,
  parseListening,
  parseNetDev,
  parseRoutes,
  parseRoutes6,
} from "../../../agent/checks/network/text.ts";
import { machineAt } from "../../../platform/machine.ts";

const DEV = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    1000      10    0    0    0     0          0         0     1000      10    0    0    0     0       0          0
  eth0:1234567890 1000 3    4    0     0          0         0  987654  900    5    6    0     0       0          0
eth0:1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
 bad0: 1 2 x 4 5 6 7 8 9 10 11 12 13 14 15 16
`;
const ROUTES = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
wwan0	00000000	0101A8C0	0003	0	0	700	00000000	0	0	0
eth0	00000000	0102000A	0003	0	0	100	00000000	0	0	0
eth0	00000000	0902000A	0002	0	0	1	00000000	0	0	0
eth1	00000000	00000000	0201	0	0	0	00000000	0	0	0
eth0	0002000A	00000000	0001	0	0	100	00FFFFFF	0	0	0
`;
const ARP = `IP address       HW type     Flags       HW address            Mask     Device
10.0.2.1         0x1         0x2         52:55:0a:00:02:02     *        eth0
10.0.2.9         0x1         0x0         00:00:00:00:00:00     *        eth0
`;
const NONE = "0".repeat(32);

describe("what the kernel writes", () => {
  test("counters by interface; a line that is none is passed over, an alias is its own", () => {
    const found = parseNetDev(DEV);
    expect([...found.keys()]).toEqual(["lo", "eth0", "eth0:1"]);
    expect(found.get("eth0")).toEqual({
      ...{ rxBytes: 1_234_567_890, rxPackets: 1_000, rxErrors: 3, rxDrops: 4 },
      ...{ txBytes: 987_654, txPackets: 900, txErrors: 5, txDrops: 6 },
    });
    expect([...parseNetDev(machineAt().read("/proc/net/dev") ?? "").keys()]).toContain("lo");
  });
  test("the default route of the least metric that is up and leads somewhere", () => {
    expect(parseRoutes(ROUTES)).toEqual({ iface: "eth0", gateway: "10.0.2.1" });
    expect(parseRoutes(ROUTES.split("\n").slice(0, 2).join("\n"))).toEqual({ iface: "wwan0", gateway: "192.168.1.1" });
    expect(parseRoutes("Iface\nppp0	00000000	00000000	0001	0	0	0	00000000	0	0	0\n")).toEqual({
      iface: "ppp0",
    });
    expect(parseRoutes("")).toBeUndefined();
  });
  test("of IPv6 too; a gateway of the line comes with its interface", () => {
    const row = (to: string, hop: string, metric: string, flags: string, iface: string) =>
      `${to} 00 ${NONE} 00 ${hop} ${metric} 00000001 00000000 ${flags} ${iface}`;
    const link = "fe80000000000000020c29fffe000001";
    const wide = "20010db8000000000000000000000001";
    expect(parseRoutes6(row(NONE, link, "00000400", "00000003", "eth0"))).toEqual({
      iface: "eth0",
      gateway: "fe80::20c:29ff:fe00:1%eth0",
    });
    const both = [row(NONE, link, "00000400", "00000003", "eth0"), row(NONE, wide, "00000100", "00000003", "eth1")];
    expect(parseRoutes6(both.join("\n"))).toEqual({ iface: "eth1", gateway: "2001:db8::1" });
    expect(parseRoutes6(row(NONE, NONE, "ffffffff", "00200200", "lo"))).toBeUndefined();
  });
  test("neighbours", () => {
    expect(["10.0.2.1", "10.0.2.9", "10.0.2.8", "10.0.2"].map((ip) => neighbourIn(ARP, ip))).toEqual([
      "complete",
      "incomplete",
      "absent",
      "absent",
    ]);
  });
  test("who listens: TCP ends with the first that does not, UDP only where nobody is at the other end", () => {
    const row = (local: string, state: string, inode: number) =>
      `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1 0 100 0 0 10 0`;
    const tcp = [
      "header",
      row("0100007F:1F90", "0A", 11),
      row("00000000:0050", "0A", 12),
      row("0100007F:1F90", "01", 13),
    ];
    const ports = new Set([80, 8080]);
    expect(parseListening(tcp.join("\n"), "tcp", ports)).toEqual([
      { address: "127.0.0.1", port: 8080, inode: 11 },
      { address: "0.0.0.0", port: 80, inode: 12 },
    ]);
    const six = ["header", row("000080FE0000000000545052010000FE:0050", "0A", 14), row(`${NONE}:0050`, "0A", 15)];
    expect(parseListening(six.join("\n"), "tcp", ports).map(({ address }) => address)).toEqual([
      "fe80::5250:5400:fe00:1",
      "::",
    ]);
    const udp = ["header", row("00000000:0050", "01", 16), row("00000000:0050", "07", 17)];
    expect(parseListening(udp.join("\n"), "udp", ports).map(({ inode }) => inode)).toEqual([17]);
  });
  test("ping's last line, of iputils and of busybox", () => {
    expect(parsePing("3 packets\nrtt min/avg/max/mdev = 0.040/0.052/0.061/0.008 ms\n")).toBe(0.052);
    expect(parsePing("round-trip min/avg/max = 0.1/0.2/0.3 ms\n")).toBe(0.2);
    expect(parsePing("no packets")).toBeUndefined();
  });
  test("any text is read without harm", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 300 }),
      fc
        .array(fc.constantFrom("eth0", ":", " ", "\t", "\n", "0A", "00000000", "7", NONE, "0003", "-1", "1e999"), {
          maxLength: 80,
        })
        .map((words) => words.join("")),
    );
    fc.assert(
      fc.property(text, (any) => {
        for (const counters of parseNetDev(any).values())
          for (const figure of Object.values(counters)) expect(figure).toSatisfy(Number.isFinite);
        for (const route of [parseRoutes(any), parseRoutes6(any)])
          if (route !== undefined) expect(route.gateway ?? "1.1").toMatch(/[.:]/);
        for (const { port, inode } of parseListening(any, "tcp", new Set([10, 80]))) {
          expect([10, 80]).toContain(port);
          expect(inode).toSatisfy(Number.isFinite);
        }
        neighbourIn(any, "10.0.0.1");
        parsePing(any);
      }),
    );
  });
});

const still: Counters = {
  ...{ rxBytes: 0, rxPackets: 0, rxErrors: 0, rxDrops: 0 },
  ...{ txBytes: 0, txPackets: 0, txErrors: 0, txDrops: 0 },
};

describe("rates", () => {
  test("a counter of 32 bits runs over; one that starts anew tells nothing", () => {
    expect(grown(10, 25)).toBe(15);
    expect(grown(2 ** 32 - 100, 50)).toBe(150);
    expect(grown(2 ** 33, 5)).toBeUndefined();
    expect(grown(2 ** 31, 5)).toBeUndefined();
  });
  test("growth is never negative, and right whenever the counter truly grew by less than a quarter of its width", () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 32 - 1 }), fc.nat({ max: 2 ** 30 - 1 }), fc.boolean(), (before, by, narrow) => {
        const now = narrow ? (before + by) % 2 ** 32 : before + by;
        expect(grown(before, now)).toBe(by);
      }),
    );
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (a, b) => {
        expect(grown(a, b) ?? 0).toBeGreaterThanOrEqual(0);
      }),
    );
  });
  test("kilobits a second, and faults among the packets of the last looks", () => {
    const watch = new RateWatch();
    watch.look(still, 0);
    expect(watch.rates()).toBeUndefined();
    watch.look({ ...still, rxBytes: 1_250_000, txBytes: 125_000, rxPackets: 980, rxErrors: 20 }, 10_000);
    expect(watch.rates()).toMatchObject({ rxKbps: 1_000, txKbps: 100, errorPct: 2, errors: 20, dropPct: 0 });
  });
  test("a burst between two looks that follow each other at once is no full line", () => {
    const watch = new RateWatch();
    watch.look(still, 0);
    watch.look({ ...still, rxBytes: 1_250_000 }, 2);
    expect(watch.rates()).toBeUndefined();
    watch.look({ ...still, rxBytes: 1_250_000 }, 10_000);
    expect(watch.rates()).toMatchObject({ rxKbps: 1_000 });
  });
  test("a handful of errors among few packets is chance", () => {
    const watch = new RateWatch();
    watch.look(still, 0);
    watch.look({ ...still, rxPackets: 20, rxErrors: 9 }, 30_000);
    expect(watch.rates()?.errorPct).toBe(0);
  });
  test("after a driver that was loaded anew the next look counts again", () => {
    const watch = new RateWatch();
    watch.look({ ...still, rxBytes: 5e9, rxErrors: 5e9 }, 0);
    watch.look({ ...still, rxBytes: 1_000, rxErrors: 3 }, 10_000);
    expect(watch.rates()).toBeUndefined();
    watch.look({ ...still, rxBytes: 126_000, rxErrors: 3 }, 20_000);
    expect(watch.rates()).toMatchObject({ rxKbps: 100, errors: 0 });
  });
});

test("a star in a name to be ignored stands for any text", () => {
  const fits = (pattern: string, name: string) => matcher(pattern)(name);
  expect(["veth12ab", "veth", "xveth"].map((name) => fits("veth*", name))).toEqual([true, true, false]);
  expect(["lo", "lo0"].map((name) => fits("lo", name))).toEqual([true, false]);
  expect(["br-1a-lan", "br-lan", "br-"].map((name) => fits("br-*-lan", name))).toEqual([true, false, false]);
  expect(fits("*", "")).toBe(true);
  fc.assert(
    fc.property(fc.stringMatching(/^[a-c*]{0,6}$/), fc.stringMatching(/^[a-c]{0,8}$/), (pattern, name) => {
      expect(fits(pattern, name)).toBe(new RegExp(`^${pattern.replaceAll("*", ".*")}$`).test(name));
    }),
  );
});
