import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { mkdirSync, symlinkSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import * as z from "zod/mini";
import type { BrokerFacts, Judge, Judged, Verdict } from "../../../agent/checks/check.ts";
import { BrokerWatch } from "../../../agent/checks/network/broker.ts";
import { openNetworkJudge } from "../../../agent/checks/network/judge.ts";
import { ListenWatch } from "../../../agent/checks/network/listen.ts";
import { NetworkMemory } from "../../../agent/checks/network/memory.ts";
import { network } from "../../../agent/checks/network/network.ts";
import { Port } from "../../../agent/checks/network/port.ts";
import type { LinkFacts } from "../../../platform/broker-link.ts";
import { systemClock } from "../../../platform/clock.ts";
import type { InterfaceAddresses } from "../../../platform/net-addresses.ts";
import { type Board, openBoard } from "../../kit/board.ts";
import { checkPorts } from "../../kit/check-ports.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { asKernel } from "../../kit/proc.ts";
import { type TempFolder, tempFolder } from "../../kit/temp.ts";

const MIN = 60_000;
const ROUTE = "Iface\nNAME	00000000	0102000A	0003	0	0	100	00000000	0	0	0\n";

let board: Board;
let folder: TempFolder;
let clock: HandClock;
let judge: Judge | undefined;
let addresses: Map<string, InterfaceAddresses>;
let link: LinkFacts;
beforeEach(() => {
  board = openBoard("x86-vm");
  folder = tempFolder("vigil-network");
  clock = new HandClock();
  addresses = new Map();
  link = { up: true };
});
afterEach(() => {
  judge?.close?.();
  judge = undefined;
  board[Symbol.dispose]();
  folder[Symbol.dispose]();
});

/** A port of the board as the kernel shows it. */
function port(name: string, files: Record<string, string>, counters = "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0"): void {
  for (const [file, text] of Object.entries({ operstate: "up", flags: "0x1003", ...files }))
    board.write(`/sys/class/net/${name}/${file}`, `${text}\n`);
  count(name, counters);
}
const lines = new Map<string, string>();
function count(name: string, counters: string): void {
  lines.set(name, counters);
  const rows = [...lines].map(([one, figures]) => `  ${one}: ${figures}`);
  board.write("/proc/net/dev", `Inter-|\n face |\n${rows.join("\n")}\n`);
}
/** `keeps`: the folder in which it remembers; whoever gives one waits until it has written to it. */
async function begin(config: object = {}, keeps?: string): Promise<void> {
  judge?.close?.();
  const parsed = network.Config.parse({ gateway: { enabled: false }, ...config });
  const all = checkPorts(keeps ?? folder.path, { machine: asKernel(board.machine), clock, link: () => link });
  const { keep, ...bare } = all;
  judge = await openNetworkJudge(parsed, keeps === undefined ? bare : all, () => addresses);
}
const written = async (path: string, text: string): Promise<void> => {
  const { keep } = checkPorts(path);
  while ((await keep?.folder.read("network.json", 1_000))?.includes(text) !== true) {
    await systemClock.sleep(10); // the file system has its own time
    await round(10_000);
  }
};
async function round(afterMs = 30_000): Promise<readonly Verdict[]> {
  await clock.wind(afterMs);
  const verdicts = (await judge?.judge(new AbortController().signal)) ?? [];
  for (const verdict of verdicts) if (verdict.state === "judged") expect(network.titles).toHaveProperty(verdict.reason);
  return verdicts;
}
async function of(subject: string, afterMs = 30_000): Promise<Judged> {
  const verdict = (await round(afterMs)).find((one) => one.subject === subject);
  if (verdict?.state !== "judged") throw new Error(`${subject} was not judged: ${JSON.stringify(verdict)}`);
  return verdict;
}
beforeEach(() => {
  lines.clear();
  board.write("/proc/net/route", ROUTE.replace("NAME", "eth0"));
  board.write("/proc/net/ipv6_route", "");
  port("eth0", { speed: "1000", duplex: "full", carrier_down_count: "1" });
  addresses.set("eth0", { global: ["10.0.2.15"], link: [] });
});

describe("a port", () => {
  test("that runs slower than it did is told until it does again; what it did is known over a restart", async () => {
    await begin({}, folder.path);
    for (let at = 0; at < 22; at += 1) expect(await of("eth0")).toMatchObject({ grade: "ok" });
    await written(folder.path, '"speedMbps":1000');
    await begin({}, folder.path);
    board.write("/sys/class/net/eth0/speed", "100\n");
    expect(await of("eth0")).toMatchObject({
      ...{ grade: "minor", reason: "speed", value: 100 },
      says: expect.stringContaining("it ran at 1000"),
    });
    board.write("/sys/class/net/eth0/speed", "1000\n");
    expect(await of("eth0")).toMatchObject({ grade: "ok", holds: "ok", readings: { speed_mbps: 1_000 } });
  });
  test("that comes up again, no route behind it, has its address at once, also one that comes a little later", async () => {
    port("eth1", { operstate: "down" });
    await begin({ interfaces: { eth1: { expectAddress: "10.9.0.7" } } });
    for (let at = 0; at < 13; at += 1) expect(await of("eth1", 10_000)).toMatchObject({ reason: "side-carrier" });
    board.write("/sys/class/net/eth1/operstate", "up\n");
    expect(await of("eth1", 10_000)).toMatchObject({ grade: "minor", reason: "side-address" });
    addresses.set("eth1", { global: ["10.9.0.7"], link: [] });
    expect(await of("eth1", 10_000)).toMatchObject({ grade: "ok" });
  });
  test("must run as the config says, whatever it did", async () => {
    await begin({ interfaces: { eth0: { expectSpeedMbps: 2_500 } } });
    expect(await of("eth0")).toMatchObject({
      reason: "speed",
      says: "eth0 runs at 1000 Mbit/s, it should run at 2500",
    });
    await begin({ interfaces: { eth0: { expectSpeedMbps: 100 } } });
    expect(await of("eth0")).toMatchObject({ grade: "ok" });
  });
  test("at half duplex where it ran at full, or must", async () => {
    board.write("/sys/class/net/eth0/duplex", "half\n");
    await begin();
    expect(await of("eth0")).toMatchObject({ grade: "ok" });
    await begin({ interfaces: { eth0: { expectFullDuplex: true } } });
    expect(await of("eth0")).toMatchObject({ grade: "minor", reason: "duplex" });
  });
  test.each(["-1", "4294967295"])("whose driver knows no speed (%s) is not judged by it", async (speed) => {
    board.write("/sys/class/net/eth0/speed", `${speed}\n`);
    board.write("/sys/class/net/eth0/duplex", "unknown\n");
    await begin({ interfaces: { eth0: { expectSpeedMbps: 1_000, expectFullDuplex: true } } });
    const verdict = await of("eth0");
    expect(verdict).toMatchObject({ grade: "ok" });
    expect(verdict.readings).not.toHaveProperty("speed_mbps");
  });
  test("with errors is told by their share, and holds between the two thresholds", async () => {
    await begin();
    await round();
    count("eth0", "0 9000 100 0 0 0 0 0 0 900 0 0 0 0 0 0");
    expect(await of("eth0")).toMatchObject({ grade: "minor", reason: "errors", value: 1 });
    for (let packets = 2; packets < 4; packets += 1) {
      count("eth0", `0 ${packets * 9_000} 100 0 0 0 0 0 0 900 0 0 0 0 0 0`);
      await round();
    }
    expect(await of("eth0")).toMatchObject({ grade: "warning", holds: "minor" });
  });
  test("with errors is told of for the five minutes after, at the usual pace", async () => {
    await begin();
    await round(60_000);
    count("eth0", "0 9000 100 0 0 0 0 0 0 900 0 0 0 0 0 0");
    for (let minute = 1; minute <= 5; minute += 1) {
      expect((await of("eth0", 60_000)).reason, `minute ${minute}`).toBe("errors");
      count("eth0", `0 ${(minute + 1) * 9_000} 100 0 0 0 0 0 0 900 0 0 0 0 0 0`);
    }
    expect(await of("eth0", 60_000)).toMatchObject({ grade: "ok", holds: "ok" });
  });
  test("that drops packets, and one that is full", async () => {
    await begin();
    await round();
    count("eth0", "3600000000 1000 0 200 0 0 0 0 0 1000 0 0 0 0 0 0");
    const verdict = await of("eth0");
    expect(verdict).toMatchObject({
      grade: "warning",
      reason: "drops",
      readings: { drop_pct: 9.09, busy_pct: 96, rx_kbps: 960_000 },
    });
  });
  test("tells its rates from the second look on, a second after the first as by hand, then at its own pace", async () => {
    await begin();
    expect((await of("eth0", 0)).readings).not.toHaveProperty("rx_kbps");
    count("eth0", "125000 100 0 0 0 0 0 0 0 0 0 0 0 0 0 0");
    expect((await of("eth0", 1_000)).readings).toMatchObject({ rx_kbps: 1_000 });
    count("eth0", "18125000 100 0 0 0 0 0 0 0 0 0 0 0 0 0 0");
    expect((await of("eth0", 10_000)).readings).toMatchObject({ rx_kbps: 1_000 });
    expect((await of("eth0", 50_000)).readings).toMatchObject({ rx_kbps: 2_400 });
  });
  test("whose link comes and goes faster than anybody looks", async () => {
    await begin();
    await round();
    board.write("/sys/class/net/eth0/carrier_down_count", "5\n");
    expect(await of("eth0")).toMatchObject({ grade: "warning", reason: "bounce", value: 4 });
    expect(await of("eth0", 11 * MIN)).toMatchObject({ grade: "ok" });
  });
  test("nobody ever plugged anything into is well; one that was in use is missed, also when its driver is gone", async () => {
    port("eth1", { operstate: "down", flags: "0x1003", "device/vendor": "0x1af4" });
    await begin({ interfaces: { eth0: {} }, learnMs: 60_000 });
    board.write("/sys/class/net/eth1/device/vendor", "x");
    expect((await round()).map(({ subject }) => subject)).toEqual(["eth0", "route", "broker"]);
    await begin({ interfaces: { eth0: {}, eth1: { expectCarrier: false } }, learnMs: 60_000 });
    expect(await of("eth1")).toMatchObject({ grade: "ok", says: expect.stringContaining("no carrier") });
  });
  test("that is switched off is told so; a VLAN names the interface below it", async () => {
    port("eth0.5", { operstate: "lowerlayerdown", lower_eth0: "" });
    await begin({ interfaces: { eth0: {}, "eth0.5": {} } });
    expect(await of("eth0.5")).toMatchObject({ grade: "minor", reason: "lower" });
    port("eth0", { operstate: "down", flags: "0x1002" });
    expect(await of("eth0")).toMatchObject({ reason: "carrier", says: "eth0 is switched off (administratively down)" });
  });
  test("with an address of the line alone was given none by DHCP", async () => {
    addresses.set("eth0", { global: [], link: ["169.254.7.7"] });
    await begin();
    expect(await of("eth0")).toMatchObject({
      grade: "major",
      reason: "address",
      says: expect.stringContaining("DHCP"),
    });
  });
});

describe("the table of routes", () => {
  test("a default route that was never there is not missed; one that was is", async () => {
    board.write("/proc/net/route", "Iface\n");
    await begin();
    expect((await round()).map(({ subject }) => subject)).not.toContain("route");
    board.write("/proc/net/route", ROUTE.replace("NAME", "eth0"));
    expect(await of("route")).toMatchObject({ grade: "ok", says: "the default route goes over eth0 by 10.0.2.1" });
    board.write("/proc/net/route", "Iface\n");
    expect(await of("route")).toMatchObject({ grade: "major", reason: "route" });
    await begin({ route: "none" });
    expect((await round()).map(({ subject }) => subject)).not.toContain("route");
  });
  test("the uplink moves with it: what was the uplink is a side port then", async () => {
    port("wwan0", {});
    addresses.set("wwan0", { global: ["100.64.1.1"], link: [] });
    await begin({ interfaces: { eth0: {} } });
    await round();
    board.write("/proc/net/route", ROUTE.replace("NAME", "wwan0"));
    board.write("/sys/class/net/eth0/operstate", "down\n");
    const verdicts = await round();
    expect(verdicts.find(({ subject }) => subject === "eth0")).toMatchObject({
      grade: "minor",
      reason: "side-carrier",
    });
    expect(verdicts.map(({ subject }) => subject)).toContain("wwan0");
  });
});

test("one end of a virtual pair that is down has nothing below it; a VLAN has", async () => {
  board.write("/sys/class/net/eth0/operstate", "lowerlayerdown\n");
  await begin();
  expect(await of("eth0")).toMatchObject({ reason: "carrier" });
  board.write("/sys/class/net/eth0/lower_lan0/x", "");
  await begin();
  expect(await of("eth0")).toMatchObject({ reason: "lower" });
});

test("a side port is in use only once it was for its time", async () => {
  const memory = await NetworkMemory.open(undefined, clock);
  port("eth1", {});
  const eth1 = new Port("eth1", network.Config.parse({ learnMs: MIN }), asKernel(board.machine), memory);
  eth1.look(0, false);
  eth1.look(MIN - 1, false, { counters: undefined, addresses: undefined });
  expect(memory.port("eth1")).toEqual({});
  eth1.look(MIN, false, { counters: undefined, addresses: undefined });
  expect(memory.port("eth1")).toMatchObject({ carrier: true });
  eth1.close();
});

test("what is learned rests ten minutes before it is written again", async () => {
  const writes: string[] = [];
  const real = checkPorts(folder.path).keep?.folder;
  if (real === undefined) throw new Error("no folder");
  const keep = {
    ...real,
    replace: async (_: string, bytes: Uint8Array) => void writes.push(Buffer.from(bytes).toString()),
  };
  const memory = await NetworkMemory.open(keep, clock);
  for (let minute = 0; minute < 25; minute += 1) {
    memory.learned.uplink = `eth${minute}`;
    memory.touch();
    memory.save();
    await clock.wind(MIN);
  }
  expect(writes.map((text) => JSON.parse(text).uplink)).toEqual(["eth0", "eth10", "eth20"]);
});

describe("a port to listen on", () => {
  const tcp = (address: string, inode: number): void =>
    board.write("/proc/net/tcp", `  sl\n 0: ${address}:0050 00000000:0000 0A 0:0 0:0 0 0 0 ${inode} 1\n`);
  const watch = (wanted: object): ListenWatch =>
    new ListenWatch(network.Config.parse({ listen: [{ port: 80, ...wanted }], listenEveryMs: 100 }), board.machine);

  test("is served by what listens everywhere, and by nothing on another address", () => {
    const one = watch({ address: "10.0.2.15" });
    tcp("00000000", 7);
    expect(one.look(0)).toMatchObject([{ subject: "tcp 10.0.2.15 80", grade: "ok" }]);
    tcp("0100007F", 7);
    expect(one.look(100)).toMatchObject([{ grade: "major", reason: "listen" }]);
  });

  test("whose owner cannot be seen is looked at again until it can", () => {
    const one = watch({ process: "httpd" });
    tcp("00000000", 7);
    expect(one.look(0)).toMatchObject([{ state: "unknown", asked: 1 }]);
    expect(one.look(100)).toMatchObject([{ state: "unknown", asked: 2 }]);
    board.write("/proc/77/comm", "httpd\n");
    mkdirSync(board.machine.at("/proc/77/fd"));
    symlinkSync("socket:[7]", board.machine.at("/proc/77/fd/3"));
    expect(one.look(200)).toMatchObject([{ grade: "ok", says: "httpd listens on tcp port 80" }]);
  });
});

test("where nothing changes the very same array is answered, and nothing is read but what may change", async () => {
  await begin({ figuresEveryMs: 300_000 });
  await round();
  await round();
  const last = await round(10_000);
  expect(await round(10_000)).toBe(last);
});

test.each(["{", '{"ports":7}', '{"ports":{"eth0":{"speedMbps":"x"}}}', "\0\0"])(
  "a damaged memory (%j) is a device that is met anew",
  async (text) => {
    await checkPorts(folder.path).keep?.folder.replace("network.json", Buffer.from(text));
    await begin({}, folder.path);
    expect(await of("eth0")).toMatchObject({ grade: "ok" });
    await written(folder.path, '"uplink":"eth0"');
  },
);

describe("the broker", () => {
  const config = network.Config.parse({}).broker;
  const start = () => new BrokerWatch(config, 0);

  test("is lost once the link has been down for its time, and back with the link", () => {
    const watch = start();
    expect(watch.look(1_000, { up: true })).toMatchObject({ grade: "ok", holds: "ok" });
    expect(watch.look(2_000, { up: false })).toMatchObject({ grade: "ok", holds: "ok" });
    expect(watch.look(61_999, { up: false })).toMatchObject({ grade: "ok" });
    expect(watch.look(62_000, { up: false })).toMatchObject({ grade: "major", reason: "broker", value: 60, unit: "s" });
    expect(watch.look(70_000, { up: true })).toMatchObject({ grade: "ok", readings: { up_count: 1, drops_count: 1 } });
  });
  test("of an alarm before a restart is still lost until the link is up", () => {
    const watch = start();
    expect(watch.look(1_000, { up: false })).toMatchObject({ grade: "ok", holds: "major" });
    expect(watch.look(2_000, { up: true })).toMatchObject({ holds: "ok" });
  });
  test("that is lost again and again is unsteady", () => {
    const watch = start();
    watch.look(0, { up: true });
    let verdict = watch.look(0, { up: true });
    for (let at = 1; at <= 4; at += 1) {
      watch.look(at * 5 * MIN, { up: false });
      verdict = watch.look(at * 5 * MIN + 50_000, { up: true });
    }
    expect(verdict).toMatchObject({ grade: "warning", reason: "broker-loss", value: 5.6, unit: "%" });
    expect(watch.look(100 * MIN, { up: true, rttMs: 1 })).toMatchObject({ grade: "ok", readings: { down_pct: 0 } });
  });
  test("that answers slowly, by the middle one of three", () => {
    const watch = start();
    for (const rttMs of [10, 900, 20]) watch.look(0, { up: true, rttMs });
    expect(watch.look(0, { up: true, rttMs: 20 })).toMatchObject({ grade: "ok", readings: { rtt_ms: 20 } });
    for (const rttMs of [901, 902]) watch.look(0, { up: true, rttMs });
    expect(watch.look(0, { up: true, rttMs: 902 })).toMatchObject({
      grade: "warning",
      reason: "broker-rtt",
      value: 901,
    });
  });
  test("is the same verdict while the link stays as it is", () => {
    const watch = start();
    const first = watch.look(10, { up: true, rttMs: 5 });
    expect(watch.look(20, { up: true, rttMs: 5 })).toBe(first);
  });
});

/** A name server (RFC 1035): says what it is told to say. */
async function nameServer(answer: (name: string) => string | "unknown"): Promise<Socket> {
  const server = createSocket("udp4");
  server.on("message", (query, from) => {
    let [name, at] = ["", 12];
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      name += `${name === "" ? "" : "."}${query.toString("latin1", at + 1, at + 1 + length)}`;
      at += length + 1;
    }
    const said = answer(name);
    const head = Buffer.from(query.subarray(0, at + 5));
    head.writeUInt16BE(said === "unknown" ? 0x8183 : 0x8180, 2);
    for (const [i, count] of [1, said === "unknown" ? 0 : 1, 0, 0].entries()) head.writeUInt16BE(count, 4 + 2 * i);
    const record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...said.split(".").map(Number)];
    server.send(said === "unknown" ? head : Buffer.concat([head, Buffer.from(record)]), from.port, from.address);
  });
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

describe("names", () => {
  async function named(dns: object, brokers: BrokerFacts[], enough: (verdicts: readonly Verdict[]) => boolean) {
    const parsed = network.Config.parse({ gateway: { enabled: false }, dns: { everyMs: 1_000, ...dns } });
    const { keep, ...ports } = checkPorts(folder.path, { machine: asKernel(board.machine), brokers, link: () => link });
    judge = await openNetworkJudge(parsed, ports, () => addresses);
    for (;;) {
      const verdicts = await judge.judge(AbortSignal.timeout(20_000));
      if (enough(verdicts)) return verdicts.filter(({ subject }) => subject.startsWith("dns "));
      await systemClock.sleep(50);
    }
  }
  const bad = (verdicts: readonly Verdict[]): boolean =>
    verdicts.some((one) => one.subject.startsWith("dns ") && one.state === "judged" && one.grade !== "ok");

  test("have an address, or the name server says that there is none: twice, and it is a fault of the name", async () => {
    const asked: string[] = [];
    const server = await nameServer((name) => {
      asked.push(name);
      return name === "good.example" ? "192.0.2.7" : "unknown";
    });
    const servers = [`127.0.0.1:${server.address().port}`];
    const verdicts = await named({ names: ["good.example", "bad.example"], servers }, [], bad);
    server.close();
    expect(verdicts[0]).toMatchObject({
      subject: "dns good.example",
      grade: "ok",
      says: expect.stringContaining("192.0.2.7"),
    });
    expect(verdicts[1]).toMatchObject({ subject: "dns bad.example", grade: "minor", reason: "name" });
    expect(asked.filter((name) => name === "bad.example").length).toBeGreaterThan(1);
  });
  test("the broker's is looked after unasked; that no server is there is the name service's fault", async () => {
    const brokers = [
      { host: "broker.example", port: 8883 },
      { host: "192.0.2.1", port: 8883 },
    ];
    const [verdict, ...more] = await named({ servers: ["127.0.0.1:9"] }, brokers, bad);
    expect(more).toEqual([]);
    expect(verdict).toMatchObject({ subject: "dns broker.example", reason: "dns", grade: "minor" });
  });
  test("of the hosts file need no server", async () => {
    board.write("/etc/hosts", "192.0.2.9 broker.example\n");
    const [verdict] = await named({ servers: ["127.0.0.1:9"] }, [{ host: "broker.example", port: 1 }], () => true);
    expect(verdict).toMatchObject({ grade: "ok", says: expect.stringContaining("192.0.2.9") });
  });
});

test("a wrong config names the place", () => {
  const wrong = (config: object): string =>
    z.prettifyError(network.Config.safeParse(config).error ?? new z.core.$ZodError([]));
  expect(wrong({ gateway: { everyMS: 5 } })).toContain("gateway");
  expect(wrong({ interfaces: { eth0: { expectAddress: "10.0.0" } } })).toContain("interfaces.eth0.expectAddress");
  expect(wrong({ listen: [{ port: 70_000 }] })).toContain("listen[0].port");
  expect(wrong({ errorsPct: { minor: { raise: 1, clear: 2 } } })).toContain("errorsPct.minor");
});
