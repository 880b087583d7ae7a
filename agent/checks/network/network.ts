import * as z from "zod/mini";
import { type CheckKind, commonConfig, highBand } from "../check.ts";
import { judgeLater } from "../later.ts";

const ms = (least: number, most: number, fallback: number) =>
  z._default(z.int().check(z.minimum(least), z.maximum(most)), fallback);
const name = z.string().check(z.minLength(1), z.maxLength(40));
const address = z.union([z.ipv4(), z.ipv6()]);
const port = z.int().check(z.minimum(1), z.maximum(65_535));
const severity = z.enum(["warning", "minor", "major", "critical"]);
const percent = highBand(0, 100);
const band = (most: number) => highBand(0, most);
const HOUR = 3_600_000;

const Interface = z.strictObject({
  /** Mbit/s it must reach; without, less than it once ran at is a fault. */
  expectSpeedMbps: z.optional(z.int().check(z.minimum(1), z.maximum(1_000_000))),
  expectFullDuplex: z.optional(z.boolean()),
  /** An address it must have. */
  expectAddress: z.optional(address),
  /** False: nothing need be plugged in. */
  expectCarrier: z.optional(z.boolean()),
  /** How bad it is when it has no carrier or no address; without, major for the uplink, minor for others. */
  severity: z.optional(severity),
});

const Config = z.strictObject({
  ...commonConfig({ every: "slow", holdOnMs: 15_000, holdOffMs: 60_000, deadlineMs: 10_000 }),
  /** Interfaces not to be judged; `*` stands for anything. Those named in `interfaces` are judged nevertheless. */
  ignore: z._default(z.array(name).check(z.maxLength(100)), [
    "lo",
    "veth*",
    "docker*",
    "br-*",
    "virbr*",
    "vnet*",
    "cni*",
    "flannel*",
    "dummy*",
    "ifb*",
    "tun*",
    "tap*",
    "can*",
  ]),
  /** What is known of an interface, by its name. Virtual ones (bond, VLAN, bridge) are judged only when named here. */
  interfaces: z._default(z.record(name, Interface), {}),
  /** Counters, speed and addresses are looked at so often. */
  figuresEveryMs: ms(100, HOUR, 60_000),
  /** A state must last so long before it is what is usual for this device. */
  learnMs: ms(0, 24 * HOUR, 600_000),
  /** A changed address is shown for so long; then it is the usual one. */
  changedHoldMs: ms(1_000, 30 * 24 * HOUR, HOUR),
  /** Share of packets with errors, or dropped; a handful are none. */
  errorsPct: z.prefault(
    z.strictObject({
      warning: z._default(percent, { raise: 0.1, clear: 0.02 }),
      minor: z._default(percent, { raise: 1, clear: 0.2 }),
    }),
    {},
  ),
  dropsPct: z.prefault(
    z.strictObject({
      warning: z._default(percent, { raise: 2, clear: 0.5 }),
      minor: z._default(percent, { raise: 10, clear: 2 }),
    }),
    {},
  ),
  /** Share of the line's speed in use, the busier direction. */
  busyPct: z.prefault(z.strictObject({ warning: z._default(percent, { raise: 95, clear: 80 }) }), {}),
  /** Times the carrier was lost within ten minutes. */
  bounces: z.prefault(z.strictObject({ warning: z._default(highBand(1, 1_000), { raise: 3, clear: 1 }) }), {}),
  /** `auto`: a default route is missed where there once was one. */
  route: z._default(z.enum(["auto", "expected", "none"]), "auto"),
  gateway: z.prefault(
    z.strictObject({
      enabled: z._default(z.boolean(), true),
      /** Without: that of the default route. */
      address: z.optional(address),
      everyMs: ms(100, HOUR, 30_000),
      /** After a probe that was not answered. */
      suspectEveryMs: ms(100, HOUR, 8_000),
      timeoutMs: ms(50, 10_000, 2_000),
      /** So many probes in a row, all unanswered, and it is down. */
      misses: z._default(z.int().check(z.minimum(1), z.maximum(100)), 3),
      /** How it is asked. `ping` runs a program, every `pingEveryMs`, and only where the others never got an answer. */
      methods: z._default(z.array(z.enum(["udp", "tcp", "ping"])).check(z.minLength(1)), ["udp", "tcp"]),
      udpPort: z._default(port, 33_434),
      tcpPort: z._default(port, 80),
      pingEveryMs: ms(60_000, 24 * HOUR, 300_000),
      lossPct: z.prefault(
        z.strictObject({
          warning: z._default(percent, { raise: 10, clear: 4 }),
          minor: z._default(percent, { raise: 30, clear: 15 }),
        }),
        {},
      ),
      rttMs: z.prefault(
        z.strictObject({
          warning: z._default(band(60_000), { raise: 50, clear: 30 }),
          minor: z._default(band(60_000), { raise: 250, clear: 120 }),
        }),
        {},
      ),
    }),
    {},
  ),
  broker: z.prefault(
    z.strictObject({
      /** The link must be down so long. */
      holdMs: ms(0, 24 * HOUR, 60_000),
      rttMs: z.prefault(
        z.strictObject({
          warning: z._default(band(60_000), { raise: 500, clear: 300 }),
          minor: z._default(band(60_000), { raise: 3_000, clear: 1_500 }),
        }),
        {},
      ),
      /** Share of the last hour without the broker. */
      downPct: z.prefault(z.strictObject({ warning: z._default(percent, { raise: 5, clear: 1 }) }), {}),
    }),
    {},
  ),
  dns: z.prefault(
    z.strictObject({
      /** Names that must have an address; without, the brokers that are given by name. */
      names: z._default(z.array(z.string().check(z.minLength(1), z.maxLength(253))).check(z.maxLength(20)), []),
      /** `address` or `address:port`; without, those of /etc/resolv.conf. */
      servers: z._default(z.array(z.string().check(z.minLength(1), z.maxLength(60))).check(z.maxLength(4)), []),
      everyMs: ms(1_000, 24 * HOUR, 300_000),
      deadlineMs: ms(100, 60_000, 8_000),
    }),
    {},
  ),
  /** Ports on which something must listen, and whose they must be. */
  listen: z._default(
    z
      .array(
        z.strictObject({
          port,
          protocol: z._default(z.enum(["tcp", "udp"]), "tcp"),
          /** On this address or on all. */
          address: z.optional(address),
          /** The program: its name or its path. */
          process: z.optional(z.string().check(z.minLength(1), z.maxLength(4_096))),
          severity: z._default(severity, "major"),
        }),
      )
      .check(z.maxLength(100)),
    [],
  ),
  listenEveryMs: ms(100, HOUR, 30_000),
});
export type NetworkConfig = z.infer<typeof Config>;

/** Is the device connected, how well, and does it listen where it should? */
export const network: CheckKind<NetworkConfig> = {
  id: "network",
  name: { zh: "网络", en: "Network" },
  Config,
  titles: {
    carrier: { zh: "上联网口链路断开", en: "Uplink has no link" },
    address: { zh: "上联网口没有IP地址", en: "Uplink has no IP address" },
    "side-carrier": { zh: "网口链路断开", en: "Network port has no link" },
    "side-address": { zh: "网口没有IP地址", en: "Network port has no IP address" },
    lower: { zh: "下层网口断开", en: "Interface below is down" },
    speed: { zh: "网口速率降低", en: "Network port runs too slow" },
    duplex: { zh: "网口工作在半双工", en: "Network port runs at half duplex" },
    changed: { zh: "IP地址已变化", en: "IP address changed" },
    wrong: { zh: "IP地址与配置不符", en: "IP address is not the configured one" },
    bounce: { zh: "网口链路频繁通断", en: "Network link bounces" },
    errors: { zh: "网口错包率高", en: "Network port has errors" },
    drops: { zh: "网口丢包率高", en: "Network port drops packets" },
    busy: { zh: "网口带宽将满", en: "Network port nearly saturated" },
    route: { zh: "缺少默认路由", en: "No default route" },
    gateway: { zh: "网关不可达", en: "Gateway is down" },
    "gateway-loss": { zh: "到网关丢包", en: "Loss to the gateway" },
    "gateway-rtt": { zh: "到网关时延大", en: "Gateway answers slowly" },
    broker: { zh: "消息服务器连接中断", en: "No connection to the broker" },
    "broker-loss": { zh: "消息服务器连接不稳定", en: "Connection to the broker is unsteady" },
    "broker-rtt": { zh: "消息服务器时延大", en: "Broker answers slowly" },
    dns: { zh: "域名解析服务不可用", en: "Name service does not answer" },
    name: { zh: "域名无法解析", en: "Name has no address" },
    listen: { zh: "服务端口无人监听", en: "Nothing listens on the port" },
    owner: { zh: "服务端口被其他程序占用", en: "Another program has the port" },
    gone: { zh: "网络项已消失", en: "Network item gone" },
  },
  begin: (config, ports) =>
    judgeLater(async () => {
      const { openNetworkJudge } = await import("./judge.ts");
      return openNetworkJudge(config, ports);
    }),
};
