import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { checkConfigs } from "../../../agent/checks/all.ts";
import type { SwitchConfig } from "../../../agent/checks/switch/config.ts";
import { switches } from "../../../agent/checks/switch/switch.ts";
import { parseConfig } from "../../../platform/config-file.ts";
import { CheckRig } from "../../kit/check-rig.ts";
import { needs } from "../../kit/peers.ts";
import { freePort } from "../../kit/ports.ts";
import { rawServer } from "../../kit/servers.ts";
import { integer, response, snmpLiar, variable } from "../../kit/snmp-liar.ts";
import { COMMUNITY, type FakePort, type Snmpd, startSnmpd, USER } from "../../kit/snmpd.ts";
import { type TempFolder, tempFolder } from "../../kit/temp.ts";

const MIN = 60_000;
const secrets = tempFolder("snmp-secrets");
const secret = (name: string, text: string, mode = 0o600): string => {
  const path = join(secrets.path, name);
  writeFileSync(path, `${text}\n`, { mode });
  return path;
};
const communityFile = secret("community", COMMUNITY);
const authFile = secret("auth", USER.auth);
const privFile = secret("priv", USER.priv);

let rig: CheckRig<SwitchConfig> | undefined;
afterEach(() => {
  if (rig !== undefined) expect(rig.words.join()).not.toContain("canary");
  rig?.[Symbol.dispose]();
  rig = undefined;
});
afterAll(() => secrets[Symbol.dispose]());

function watch(device: Record<string, unknown>, more: Record<string, unknown> = {}): CheckRig<SwitchConfig> {
  const one = { name: "sw1", host: "127.0.0.1", communityFile, ...device };
  rig = new CheckRig(switches, { devices: [one], ...more });
  return rig;
}
const states = (check: CheckRig<SwitchConfig>) =>
  Object.fromEntries(
    check.verdicts.map((one) => [one.subject, one.state === "unknown" ? "unknown" : `${one.grade} ${one.reason}`]),
  );

describe.skipIf(needs("snmpd", "snmpd"))("a switch (snmpd)", () => {
  let folder: TempFolder;
  let snmpd: Snmpd;
  beforeAll(async () => {
    folder = tempFolder("snmpd");
    snmpd = await startSnmpd(folder.path);
  });
  afterAll(async () => {
    await snmpd[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });
  const port = (more: Partial<FakePort> = {}): FakePort => ({ index: 1, name: "GE0/0/1", ...more });

  test("is well, with its ports by name, description and number", async () => {
    snmpd.show([port({ alias: "uplink to county" }), port({ index: 7, name: "GE0/0/7", mbps: 100 })]);
    const ports = [{ name: "GE0/0/1" }, { alias: "uplink to county", label: "uplink" }, { index: 7 }, { name: "XGE9" }];
    const check = watch({ port: snmpd.port, ports });
    await check.round();
    expect(states(check)).toEqual({
      sw1: "ok restarted",
      "sw1/GE0/0/1": "ok port-down",
      "sw1/uplink": "ok port-down",
      "sw1/7": "ok port-down",
      "sw1/XGE9": "unknown",
    });
    expect(check.judged("sw1").says).toMatch(/^S5720-28P-SI-AC V200R011, up for \d+ minutes, answered after 0 ms$/);
    expect(check.judged("sw1/7")).toMatchObject({ says: "GE0/0/7 is up at 100 Mbit/s", readings: { speed_mbps: 100 } });
  });

  test("whose port comes and goes is one alarm", async () => {
    const set = (oper: number): void => snmpd.show([port({ oper })]);
    set(1);
    const check = watch({ port: snmpd.port, ports: [{ name: "GE0/0/1", severity: "critical" }] });
    await check.rounds(2, MIN);
    set(2);
    await check.round(MIN);
    expect(check.told).toEqual([]);
    await check.rounds(3);
    expect(check.told).toEqual(["raised switch.sw1-ge0-0-1 critical port-down"]);
    expect(check.judged("sw1/GE0/0/1").says).toBe("GE0/0/1 is down");
    for (let i = 0; i < 4; i += 1) {
      set(1);
      await check.rounds(3);
      set(2);
      await check.rounds(3);
    }
    expect(check.told).toHaveLength(1);
    set(1);
    await check.rounds(5, MIN);
    expect(check.told).toEqual([
      "raised switch.sw1-ge0-0-1 critical port-down",
      "cleared switch.sw1-ge0-0-1 critical port-down",
    ]);
  });

  test("tells what else is wrong with a port", async () => {
    const wide = 2n ** 40n;
    snmpd.show([
      port({ errors: 4_294_967_200, octets: wide }),
      port({ index: 2, name: "GE2", mbps: 100 }),
      port({ index: 3, name: "GE3" }),
      port({ index: 4, name: "GE4", admin: 2, oper: 2 }),
      port({ index: 5, name: "GE5", oper: 4 }),
    ]);
    const ports = [
      { name: "GE0/0/1" },
      { name: "GE2", minSpeedMbps: 1_000 },
      { name: "GE3", expect: "down", severity: "minor" },
      { name: "GE4" },
      { name: "GE5" },
    ];
    const check = watch({ port: snmpd.port, ports });
    await check.round(MIN);
    expect(states(check)).toEqual({
      sw1: "ok restarted",
      "sw1/GE0/0/1": "ok port-down",
      "sw1/GE2": "warning port-speed",
      "sw1/GE3": "minor port-up",
      "sw1/GE4": "major port-down",
      "sw1/GE5": "unknown",
    });
    expect(check.judged("sw1/GE4").says).toBe("GE4 is shut by its configuration");
    // 1000 errors in a minute, over the end of the counter, and 95 % of 1 Gbit/s
    snmpd.show([port({ errors: 904, octets: wide + 7_125_000_000n })]);
    await check.round(MIN);
    expect(check.judged("sw1/GE0/0/1")).toMatchObject({
      ...{ grade: "minor", reason: "port-errors", value: 1_000, unit: "errors/min" },
      readings: { errors_per_min: 1_000, discards_per_min: 0, use_pct: 95 },
    });
    expect(states(check)["sw1/GE2"]).toBe("unknown"); // the module was pulled
    snmpd.show([port({ errors: 905, discards: 1_000, octets: wide + 7_125_000_000n })]);
    await check.round(MIN);
    expect(check.judged("sw1/GE0/0/1")).toMatchObject({ grade: "warning", reason: "port-discards", value: 1_000 });
  });

  test("that renumbers its ports is looked through again, and never judged by another's state", async () => {
    snmpd.show([port(), port({ index: 2, name: "GE2", oper: 2 })]);
    const check = watch({ port: snmpd.port, ports: [{ name: "GE0/0/1" }] });
    await check.round();
    snmpd.show([port({ index: 1, name: "GE2", oper: 2 }), port({ index: 2 })]);
    await check.round(MIN);
    expect(check.of("sw1/GE0/0/1")).toMatchObject({ because: expect.stringContaining("renumbered") });
    await check.round(MIN);
    expect(check.judged("sw1/GE0/0/1").grade).toBe("ok");
  });

  test("with all its ports: those that ever were up, over a restart of the agent", async () => {
    const others = [port({ index: 2, name: "GE2", oper: 2 }), port({ index: 3, name: "Vlan1", type: 53 })];
    snmpd.show([port(), ...others]);
    const check = watch({ port: snmpd.port, ports: "all" });
    await check.round();
    expect(Object.keys(states(check))).toEqual(["sw1", "sw1/GE0/0/1"]);
    snmpd.show([port({ oper: 2 }), ...others]);
    check.restart();
    await check.round(MIN);
    expect(states(check)).toMatchObject({ "sw1/GE0/0/1": "major port-down" });
    snmpd.show([port({ oper: 2, admin: 2 }), ...others]);
    await check.round(MIN);
    expect(states(check)).toMatchObject({ "sw1/GE0/0/1": "ok port-down" }); // shut by a person
  });

  test.each(["1", "2c"])("without the newer tables, by version %s", async (version) => {
    snmpd.show([port({ mbps: 100, octets: 0n })], false);
    const check = watch({ port: snmpd.port, version, ports: [{ name: "descr GE0/0/1" }] });
    await check.round();
    expect(check.judged("sw1/descr GE0/0/1")).toMatchObject({ grade: "ok", readings: { speed_mbps: 100 } });
    snmpd.show([port({ mbps: 100, octets: 75_000_000n })], false);
    await check.round(MIN);
    expect(check.judged("sw1/descr GE0/0/1").readings).toMatchObject({ use_pct: 10 });
  });

  test("with a wrong community looks as if it were off: both are said, or the host's own sign", async () => {
    const wrong = secret("wrong", "canary-wrong");
    const check = watch({ port: snmpd.port, communityFile: wrong, deadlineMs: 1_000, ports: [{ index: 1 }] });
    await check.round();
    expect(states(check)).toEqual({ sw1: "major unreachable", "sw1/1": "unknown" });
    expect(check.judged("sw1").says).toContain("off, the way is cut, or the community is wrong");
    check[Symbol.dispose]();
    await using alive = await rawServer(() => {});
    const other = watch({ port: snmpd.port, communityFile: wrong, deadlineMs: 1_000, tcpPort: alive.port });
    await other.round();
    expect(other.judged("sw1")).toMatchObject({ grade: "minor", reason: "snmp" });
    expect(other.judged("sw1").says).toContain(`but TCP port ${alive.port} does`);
  });

  test("by version 3 is let in with user and passwords, and refused is told apart from silent", async () => {
    snmpd.show([port()]);
    const user = { version: "3", communityFile: undefined, user: USER.name, port: snmpd.port, ports: [{ index: 1 }] };
    const check = watch({ ...user, authFile, privFile });
    await check.round();
    expect(states(check)).toEqual({ sw1: "ok restarted", "sw1/1": "ok port-down" });
    for (const more of [{ user: "nobody" }, { authFile: secret("bad", "canary-not-it") }, { privFile: undefined }]) {
      const refused = watch({ ...user, authFile, privFile, ...more });
      await refused.round();
      expect(states(refused)).toEqual({ sw1: "minor auth", "sw1/1": "unknown" });
      refused[Symbol.dispose]();
    }
    rig = check;
  });

  test("that restarts is a warning for an hour, and its session of version 3 is made anew", async () => {
    snmpd.show([port()]);
    const check = watch({
      version: "3",
      communityFile: undefined,
      user: USER.name,
      authFile,
      privFile,
      port: snmpd.port,
    });
    const uptimeS = () => check.judged("sw1").readings["uptime_s"] ?? 0;
    do await check.round(MIN);
    while (uptimeS() < 2); // less could be less than what it has after its restart
    await snmpd.restart();
    await check.rounds(4, MIN);
    expect(check.told).toEqual(["raised switch.sw1 warning restarted"]);
    expect(check.judged("sw1")).toMatchObject({ readings: { restart_count: 1 } });
    await check.rounds(65, MIN);
    expect(check.told.at(-1)).toBe("cleared switch.sw1 warning restarted");
  });

  test("that stops answering is one alarm, and its ports are not known but not gone", async () => {
    snmpd.show([port({ oper: 2 })]);
    const check = watch({ port: snmpd.port, ports: [{ index: 1 }] });
    await check.rounds(4);
    expect(check.told).toEqual(["raised switch.sw1-1 major port-down"]);
    process.kill(snmpd.pid, "SIGSTOP");
    try {
      for (let i = 0; i < 4; i += 1) {
        await check.clock.wind(MIN);
        const asking = check.ask();
        await check.clock.wind(8_000);
        await asking;
        await check.ask();
      }
      expect(states(check)).toEqual({ sw1: "major unreachable", "sw1/1": "unknown" });
    } finally {
      process.kill(snmpd.pid, "SIGCONT");
    }
    expect(check.told.slice(1)).toContain("raised switch.sw1 major unreachable");
    expect(check.told).not.toContain("cleared switch.sw1-1 major port-down");
    await check.rounds(6, MIN);
    expect(check.told.filter((line) => line.includes("unreachable"))).toEqual([
      "raised switch.sw1 major unreachable",
      "cleared switch.sw1 major unreachable",
    ]);
  });
});

test.skipIf(needs("snmpd", "snmpd"))("a machine's own interfaces are ports as well", async () => {
  using folder = tempFolder("snmpd");
  await using snmpd = await startSnmpd(folder.path, { real: true });
  const check = watch({ port: snmpd.port, ports: [{ name: "lo" }] });
  await check.round();
  expect(check.judged("sw1/lo")).toMatchObject({ grade: "ok", readings: { up_count: 1 } });
});

describe("a device that is no good", () => {
  test("makes no other wait, and has its say when there is none", async () => {
    await using silent = await snmpLiar(() => []);
    await using noisy = await snmpLiar(() => [Buffer.from("noise")]);
    await using honest = await snmpLiar((asked) => [
      response(
        asked,
        asked.oids.map((name) => variable(name, integer(100, 0x43))),
      ),
    ]);
    const device = (name: string, port: number) => ({
      name,
      host: "127.0.0.1",
      port,
      communityFile,
      deadlineMs: 1_000,
    });
    rig = new CheckRig(switches, {
      devices: [
        device("silent", silent.port),
        device("noisy", noisy.port),
        device("closed", await freePort()),
        { ...device("refused", silent.port), tcpPort: await freePort() },
        device("honest", honest.port),
        { ...device("open", honest.port), communityFile: secret("open", COMMUNITY, 0o644) },
      ],
    });
    await rig.round();
    expect(states(rig)).toEqual({
      silent: "major unreachable",
      noisy: "minor snmp",
      closed: "minor snmp",
      refused: "minor snmp",
      honest: "ok restarted",
      open: "unknown",
    });
    expect(rig.of("open")).toMatchObject({ because: expect.stringContaining("0600") });
  });

  test("whose ports never come is there all the same", async () => {
    await using half = await snmpLiar((asked) =>
      asked.oids[0]?.startsWith("1.3.6.1.2.1.1.") === true
        ? [
            response(
              asked,
              asked.oids.map((name) => variable(name, integer(100, 0x43))),
            ),
          ]
        : [],
    );
    const check = watch({ port: half.port, ports: [{ index: 1 }], deadlineMs: 1_000 });
    await check.round();
    expect(states(check)).toEqual({ sw1: "ok restarted", "sw1/1": "unknown" });
  });
});

describe("its config", () => {
  test("without devices is no check", () => {
    rig = new CheckRig(switches, {});
    expect(rig.present).toBe(false);
  });
  const wrong: [string, Record<string, unknown>, RegExp][] = [
    ["no community", { communityFile: undefined }, /switch\.devices/],
    ["version 3 without a user", { version: "3", communityFile: undefined }, /switch\.devices/],
    [
      "privacy without authentication",
      { version: "3", communityFile: undefined, user: "x", privFile: "/x" },
      /privFile/,
    ],
    ["a port by two names", { ports: [{ name: "a", index: 1 }] }, /switch\.devices.*ports/],
    ["a community in the config", { community: "public" }, /switch\.devices.*community/],
    ["a name with a slash", { name: "a/b" }, /switch\.devices.*name/],
  ];
  test.each(wrong)("is refused for %s, by its path", (_, more, path) => {
    const device = { name: "sw1", host: "10.0.0.2", communityFile: "/etc/vigil/community", ...more };
    const parse = () => parseConfig(JSON.stringify({ switch: { devices: [device] } }), checkConfigs, "agent.json");
    expect(parse).toThrow(path);
  });
});
