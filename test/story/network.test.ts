import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { startEmbedded } from "../kit/broker.ts";
import { type Child, startChild } from "../kit/child.ts";
import { type Line, needsNets, openLine } from "../kit/net-space.ts";
import { openHouse, type Row, ticketInState, until } from "../kit/stack.ts";
import { tempFolder } from "../kit/temp.ts";

/** A device behind a gateway, in network namespaces of their own; broker and aggregator are on this machine. */

const BROKER_ADDRESS = "10.8.0.1";
const SOON_MS = 20_000;

const children: Child[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) await child.kill9();
});

/** Passes every connection on to `to`; whoever ends one end ends the other. */
const PASS_ON = `(from, to) => require("node:net").createServer((one) => {
  const other = require("node:net").connect(to);
  one.pipe(other).pipe(one);
  for (const [end, far] of [[one, other], [other, one]]) end.on("error", () => {}).on("close", () => far.destroy());
}).listen(from)`;

/** The gateway's way out: from the broker's address behind it to the real broker, through a socket file, for a namespace has no other. */
function startRelay(line: Line, socket: string): Child {
  const [first, ...words] = line.gateway.enter;
  const script = `(${PASS_ON})({ host: "${BROKER_ADDRESS}", port: 1883 }, "${socket}")`;
  return startChild(first, [...words, process.execPath, "-e", script]);
}
const startOutside = (socket: string, port: number): Child =>
  startChild(process.execPath, ["-e", `(${PASS_ON})("${socket}", ${port})`]);

test.skipIf(needsNets())(
  "a dead gateway is the one ticket of the silence it causes, and the device's own word stands in it",
  { timeout: 90_000 },
  async () => {
    using line = openLine();
    using folder = tempFolder("vigil-line");
    line.gateway.run("ip", "addr", "add", `${BROKER_ADDRESS}/32`, "dev", "lo");
    const broker = await startEmbedded();
    const socket = join(folder.path, "broker.sock");
    const relay = startRelay(line, socket);
    children.push(startOutside(socket, broker.port), relay);
    const never = { raise: 100, clear: 100 }; // a test's machine is slow at times; loss is another test's
    const network = {
      ...{ enabled: true, holdOnMs: 0, holdOffMs: 500, figuresEveryMs: 300, interfaces: { eth0: {} } },
      gateway: { everyMs: 300, suspectEveryMs: 200, timeoutMs: 1_000, lossPct: { warning: never, minor: never } },
      broker: { holdMs: 500 },
    };
    await using house = await openHouse(broker, {
      agent: { brokers: [{ host: BROKER_ADDRESS, port: 1883 }], checks: { network, process: { enabled: false } } },
      aggregator: { silence: { holdOnMs: 2_000 } },
      enter: line.device.enter,
    });
    const told = (word: string) => () => house.agent.words().includes(word);
    await until(
      "the round trip is known",
      SOON_MS,
      async () => (await house.api.telemetry("ft-0042", "network.gateway"))?.["rtt_ms"],
    );

    // it answers nothing any more, not even who has its address; then what it had open is cut
    line.gateway.run("sysctl", "-qw", "net.ipv4.conf.lan0.arp_ignore=8");
    line.gateway.run("nft", "add", "table", "ip", "dead");
    line.gateway.run("nft", "add", "chain", "ip", "dead", "in", "{ type filter hook input priority 0; policy drop; }");
    await until("the agent sees the gateway dead", SOON_MS, told('"code":"network.gateway"'));
    await relay.kill9();
    // its last packet may wait behind one that nobody acknowledges: the device need not wait for its keepalive
    line.device.run("nft", "add", "table", "ip", "cut");
    line.device.run("nft", "add", "chain", "ip", "cut", "out", "{ type filter hook output priority 0; }");
    const reset = ["tcp", "dport", "1883", "reject", "with", "tcp", "reset"];
    line.device.run("nft", "add", "rule", "ip", "cut", "out", ...reset);
    await until("the agent sees the broker lost", SOON_MS, told('"code":"network.broker"'));
    const opened = await ticketInState(house.api, "device.offline", "新建", SOON_MS);

    line.device.run("nft", "delete", "table", "ip", "cut");
    line.gateway.run("nft", "delete", "table", "ip", "dead");
    line.gateway.run("sysctl", "-qw", "net.ipv4.conf.lan0.arp_ignore=0");
    children.push(startRelay(line, socket));
    const ticket = await ticketInState(house.api, "device.offline", "已恢复", SOON_MS);
    expect(ticket).toMatchObject({ no: opened["no"], title_zh: "设备失联", level: 2 });
    for (const code of ["network.gateway", "network.broker"]) {
      await until(`${code} is cleared, too`, SOON_MS, async () =>
        (await house.api.all("alarms"))?.some((alarm) => alarm["code"] === code && alarm["active"] === false),
      );
    }
    expect((await house.api.all("tickets"))?.map(({ no, state }) => [no, state])).toEqual([[opened["no"], "已恢复"]]);
    const words = await timeline(house.api, String(ticket["no"]));
    expect(words).toMatch(/设备自述：ft-0042 network\.gateway 网关不可达（重要），\S+ \S+ 至 /);
    expect(words).toMatch(/the device's own word: ft-0042 network\.broker [^"]* from \S+ \S+ to /);
    expect(words.match(/"kind":"restored"/g)).toHaveLength(1);
  },
);

async function timeline(api: { get(path: string): Promise<{ body: Row } | undefined> }, no: string): Promise<string> {
  const found = await api.get(`/api/v1/tickets/${no}`);
  return JSON.stringify(found?.body);
}
