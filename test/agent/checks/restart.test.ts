import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { CheckPorts } from "../../../agent/checks/check.ts";
import { type ClockConfig, clocks } from "../../../agent/checks/clock/clock.ts";
import { type DatabasesConfig, databases } from "../../../agent/checks/database/database.ts";
import { judgeLater } from "../../../agent/checks/later.ts";
import { openNetworkJudge } from "../../../agent/checks/network/judge.ts";
import { type NetworkConfig, network } from "../../../agent/checks/network/network.ts";
import type { SwitchConfig } from "../../../agent/checks/switch/config.ts";
import { switches } from "../../../agent/checks/switch/switch.ts";
import { type WearConfig, wear } from "../../../agent/checks/wear/wear.ts";
import type { LinkFacts } from "../../../platform/broker-link.ts";
import { systemClock } from "../../../platform/clock.ts";
import { Failure } from "../../../protocol/failure.ts";
import { type Board, openBoard } from "../../kit/board.ts";
import { checkPorts } from "../../kit/check-ports.ts";
import { CheckRig } from "../../kit/check-rig.ts";
import { HandClock } from "../../kit/hand-clock.ts";
import { needs } from "../../kit/peers.ts";
import { asKernel } from "../../kit/proc.ts";
import { COMMUNITY, startSnmpd } from "../../kit/snmpd.ts";
import { tempFolder } from "../../kit/temp.ts";
import { timeServer } from "../../kit/time-server.ts";

/** Over a restart of the agent an alarm stays until what it is about was measured anew. */

const S = 1_000;
const MIN = 60 * S;
const HOUR = 60 * MIN;

let board: Board;
beforeEach(() => {
  board = openBoard("x86-vm");
});
afterEach(() => board[Symbol.dispose]());

describe("the clock", () => {
  const still = { sync: { expected: false } };

  test("the aggregator's word on it outlives a restart while the link is down", async () => {
    let link: LinkFacts = { up: true, skew: { ms: 90 * S, at: 0 } };
    using check = new CheckRig<ClockConfig>(clocks, still, { machine: board.machine, link: () => link });
    await check.rounds(4);
    expect(check.told).toEqual(["raised clock.skew minor skew"]);
    link = { up: false };
    check.restart();
    await check.rounds(20);
    expect(check.told).toHaveLength(1);
    expect(check.judged("skew").says).toBe("the aggregator's clock was not heard yet");
    link = { up: true, skew: { ms: 0, at: check.clock.now() } };
    await check.rounds(8);
    expect(check.told.at(-1)).toBe("cleared clock.skew minor skew");
  });

  test("by hand nobody is told of what was not heard", async () => {
    using check = new CheckRig<ClockConfig>(clocks, still, { machine: board.machine });
    await check.round();
    expect(check.verdicts.map(({ subject }) => subject)).toEqual(["wall"]);
  });

  test("is no better for a server that was silent once, and its drift neither for that nor for a restart", async () => {
    const clock = new HandClock();
    const server = await timeServer(clock);
    try {
      const config = { ...still, servers: [server.name], serversEveryMs: 30 * MIN };
      const ports = { machine: board.machine, link: () => ({ up: false }) };
      using check = new CheckRig<ClockConfig>(clocks, config, ports, clock);
      // six seconds off, and 400 ppm fast
      for (let i = 0; i < 6; i += 1) {
        server.offMs = 6 * S + i * 720;
        await check.round(30 * MIN);
      }
      await check.rounds(4);
      expect(check.told).toEqual(["raised clock.offset minor offset", "raised clock.drift warning drift"]);
      server.mute = true;
      await check.round(31 * MIN);
      await check.rounds(30, 5 * S);
      expect(check.told.filter((line) => line.startsWith("cleared"))).toEqual([]);
      check.restart();
      await check.rounds(30, 5 * S);
      expect(check.told.filter((line) => line.startsWith("cleared"))).toEqual([]);
      server.mute = false;
      server.offMs = 0;
      await check.rounds(3, 31 * MIN);
      await check.rounds(8);
      expect(check.told.slice(-2).toSorted()).toEqual([
        "cleared clock.drift warning drift",
        expect.stringMatching(/^cleared clock.offset/),
      ]);
    } finally {
      server.close();
    }
  });
});

test("a database's damage found by the quick check outlives a restart, until the next one finds none", async () => {
  let damage: string | undefined = "quick_check finds 3 faults";
  const run = async ({ argv }: { argv: readonly string[] }): Promise<string> =>
    JSON.stringify({
      ...{ state: "answered", figures: { size_bytes: 1 }, largest: [], rows: {} },
      ...(argv.at(-1) === "full" && damage !== undefined ? { damage } : {}),
    });
  const one = { name: "a", url: "sqlite:/x", everyMs: HOUR, quickCheckEveryMs: 24 * HOUR };
  using check = new CheckRig<DatabasesConfig>(databases, { databases: [one] }, { run, self: ["x"] });
  await check.round();
  expect(check.told).toEqual(["raised database.a critical damaged"]);
  damage = undefined;
  check.restart();
  await check.rounds(3, HOUR);
  expect(check.judged("a")).toMatchObject({ reason: "damaged", says: "quick_check finds 3 faults" });
  expect(check.told).toHaveLength(1);
  await check.rounds(3, 24 * HOUR);
  expect(check.told.at(-1)).toBe("cleared database.a critical damaged");
});

describe("a disk", () => {
  test("is not well before its errors were counted for an hour", async () => {
    board.write("/sys/block/sda/size", "100\n");
    board.write("/sys/block/sda/device/ioerr_cnt", "0x1\n");
    using check = new CheckRig<WearConfig>(wear, { smart: "off" }, { machine: board.machine });
    await check.round();
    board.write("/sys/block/sda/device/ioerr_cnt", "0x41\n");
    await check.rounds(2, HOUR);
    expect(check.told).toEqual(["raised wear.sda warning errors"]);
    check.restart();
    await check.round();
    await check.round(10 * MIN);
    expect(check.told).toHaveLength(1);
    board.write("/sys/block/sda/device/ioerr_cnt", "0x81\n");
    await check.rounds(2, HOUR);
    expect(check.told).toHaveLength(1);
    await check.rounds(26, HOUR);
    expect(check.told.at(-1)).toBe("cleared wear.sda warning errors");
  });

  test("that sleeps when the agent starts is as bad as it last said", async () => {
    board.write("/sys/block/sda/size", "100\n");
    const bad = { smart_status: { passed: false } };
    const asleep = { smartctl: { messages: [{ string: "Device is in STANDBY mode, exit(2)" }] } };
    let printed: unknown = bad;
    const run = async (): Promise<string> => JSON.stringify(printed);
    using check = new CheckRig<WearConfig>(wear, {}, { machine: board.machine, run });
    await check.round();
    expect(check.told).toEqual(["raised wear.sda critical failing"]);
    printed = asleep;
    check.restart();
    await check.rounds(3, HOUR);
    expect(check.told).toHaveLength(1);
    printed = { smart_status: { passed: true } };
    await check.rounds(2, 25 * HOUR);
    expect(check.told.at(-1)).toBe("cleared wear.sda critical failing");
  });
});

test.skipIf(needs("snmpd", "snmpd"))("a switch's port with errors is not well before two visits", async () => {
  using folder = tempFolder("snmpd");
  await using snmpd = await startSnmpd(folder.path);
  const communityFile = join(folder.path, "secret");
  writeFileSync(communityFile, COMMUNITY, { mode: 0o600 });
  let errors = 0;
  const show = (): void => {
    errors += 1_000;
    snmpd.show([{ index: 1, name: "GE1", errors }]);
  };
  const everyMs = 5 * MIN;
  const device = { name: "sw1", host: "127.0.0.1", port: snmpd.port, communityFile, everyMs, ports: [{ index: 1 }] };
  show();
  using check = new CheckRig<SwitchConfig>(switches, { devices: [device] });
  const visits = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i += 1)
      for (let at = 0; at < 10; at += 1) {
        show();
        await check.round(at === 0 ? 6 * MIN : 3_000); // often, as while a hold time runs
      }
  };
  await visits(3);
  expect(check.told).toEqual(["raised switch.sw1-1 minor port-errors"]);
  check.restart();
  await check.rounds(20);
  expect(check.told).toHaveLength(1);
  await visits(2);
  expect(check.told).toHaveLength(1);
  await check.rounds(20, MIN);
  expect(check.told.at(-1)).toBe("cleared switch.sw1-1 minor port-errors");
});

test.skipIf(needs("snmpd", "snmpd"))("a switch that is not answered yet keeps the alarms of its ports", async () => {
  using folder = tempFolder("snmpd");
  await using snmpd = await startSnmpd(folder.path);
  const communityFile = join(folder.path, "secret");
  writeFileSync(communityFile, COMMUNITY, { mode: 0o600 });
  const device = { name: "sw1", host: "127.0.0.1", port: snmpd.port, communityFile, deadlineMs: MIN };
  snmpd.show([{ index: 1, name: "GE1", oper: 2 }]);
  using check = new CheckRig<SwitchConfig>(switches, { devices: [{ ...device, ports: [{ index: 1 }] }] });
  await check.rounds(4);
  expect(check.told).toEqual(["raised switch.sw1-1 major port-down"]);
  process.kill(snmpd.pid, "SIGSTOP");
  try {
    check.restart();
    let waits = true;
    const asking = check.ask().finally(() => {
      waits = false;
    });
    while (waits) {
      await check.clock.wind(S);
      await systemClock.sleep(1);
    }
    await asking;
    expect(check.verdicts).toMatchObject([
      { subject: "sw1", state: "unknown", asked: 0 },
      { subject: "sw1/1", state: "unknown", asked: 0 },
    ]);
  } finally {
    process.kill(snmpd.pid, "SIGCONT");
  }
});

describe("the network", () => {
  const ROUTE = "Iface\neth0	00000000	0102000A	0003	0	0	100	00000000	0	0	0\n";
  const carrier = (on: boolean, route = on): void => {
    board.write("/sys/class/net/eth0/operstate", on ? "up\n" : "down\n");
    board.write("/sys/class/net/eth0/flags", "0x1003\n");
    board.write("/proc/net/route", route ? ROUTE : "Iface\n");
  };

  /** The first round waits for the gateway by the clock. */
  async function first(check: CheckRig<NetworkConfig>): Promise<void> {
    let waits = true;
    const asking = check.ask().finally(() => {
      waits = false;
    });
    while (waits) {
      await check.clock.wind(20);
      await systemClock.sleep(1); // what it keeps is read from a real folder
    }
    await asking;
  }

  test.each([
    ["neither link nor route", false],
    ["a route and no link", true],
  ])("a dead gateway is not gone when at the start there is %s", async (_, route) => {
    board.write("/proc/net/dev", "Inter-|\n face |\n  eth0: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
    board.write("/proc/net/ipv6_route", "");
    carrier(true);
    const addresses = new Map([["eth0", { global: ["10.0.2.15"], link: [] }]]);
    let answers = true;
    const run = async (): Promise<string> => {
      if (answers) return "rtt min/avg/max/mdev = 0.1/0.2/0.3/0.1 ms";
      throw new Failure("RUN_FAILED", "ping ended with 1");
    };
    const ports = { machine: asKernel(board.machine), link: () => ({ up: true }), run };
    const own = {
      ...network,
      begin: (config: NetworkConfig, all: CheckPorts) =>
        judgeLater(() => openNetworkJudge(config, all, () => addresses)),
    };
    const gateway = { methods: ["ping"], everyMs: MIN, suspectEveryMs: 5 * S, pingEveryMs: MIN };
    using check = new CheckRig<NetworkConfig>(own, { gateway }, ports);
    await first(check);
    await check.rounds(8, MIN);
    expect(check.judged("gateway")).toMatchObject({ grade: "ok" });
    answers = false;
    board.write(
      "/proc/net/arp",
      "IP address HW type Flags HW address Mask Device\n10.0.2.1 0x1 0x0 00:00:00:00:00:00 * eth0\n",
    );
    await check.rounds(20, MIN);
    expect(check.told.at(-1)).toBe("changed network.gateway major gateway"); // it was loss at first
    const { keep } = checkPorts(check.folder.path);
    while ((await keep?.folder.read("network.json", 10_000))?.includes('"gateway"') !== true) {
      await systemClock.sleep(2); // the file system has its own time
      await check.round(MIN);
    }
    carrier(false, route);
    check.restart();
    await first(check);
    await check.rounds(20);
    expect(check.told.filter((line) => line.includes("cleared"))).toEqual([]);
    carrier(true);
    answers = true;
    await check.rounds(6, MIN);
    expect(check.told).toContain("cleared network.gateway major gateway");
  });
});
