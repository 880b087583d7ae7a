import { createSocket } from "node:dgram";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../platform/clock.ts";
import { type Child, startChild } from "./child.ts";
import { programPath } from "./peers.ts";
import { freePort } from "./ports.ts";

/** A port as a test wants its switch to have it. Counters may be of any size. */
export interface FakePort {
  index: number;
  name: string;
  alias?: string;
  type?: number;
  admin?: 1 | 2;
  oper?: number;
  mbps?: number;
  errors?: number;
  discards?: number;
  octets?: bigint;
}

export interface Snmpd extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  /** What the switch shows from now on; `wide: false`: it has no ifXTable, as cheap ones do. */
  show(ports: readonly FakePort[], wide?: boolean): void;
  /** Ends it and starts it anew: its uptime begins at 0, its engine boots once more. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export const COMMUNITY = "canary-community";
export const USER = { name: "vigil", auth: "canary-auth-pass", priv: "canary-priv-pass" };

const TABLE = fileURLToPath(new URL("snmp-table.ts", import.meta.url));
const IF = "1.3.6.1.2.1.2.2.1";
const IFX = "1.3.6.1.2.1.31.1.1.1";

/** Debian's snmpd on loopback with its config and state in `folder`; its interfaces are those of `show`, or with `real` this machine's. */
export async function startSnmpd(folder: string, { real = false } = {}): Promise<Snmpd> {
  const port = await freePort();
  const table = join(folder, "table");
  const config = join(folder, "snmpd.conf");
  const persistent = join(folder, "persistent");
  mkdirSync(persistent, { recursive: true });
  writeFileSync(table, "");
  const pass = (oid: string): string => `pass_persist .${oid} ${process.execPath} ${TABLE} ${table}`;
  const lines = [
    `agentaddress udp:127.0.0.1:${port}`,
    `rocommunity ${COMMUNITY} 127.0.0.1`,
    `createUser ${USER.name} SHA "${USER.auth}" AES "${USER.priv}"`,
    `rouser ${USER.name} authPriv`,
    "sysDescr S5720-28P-SI-AC V200R011",
    "sysName access-1",
    ...(real ? [] : [pass("1.3.6.1.2.1.2.2"), pass("1.3.6.1.2.1.31.1.1")]),
  ];
  writeFileSync(config, `${lines.join("\n")}\n`, { mode: 0o600 });
  const hidden = real ? "-smux" : "-smux,ifTable,ifXTable";
  const start = (): Child =>
    startChild(programPath("snmpd"), ["-f", "-C", "-c", config, "-Lo", "-I", hidden], {
      ...process.env,
      SNMP_PERSISTENT_DIR: persistent,
      SNMP_PERSISTENT_FILE: join(persistent, "snmpd.conf"),
      MIBS: "",
    });
  let child = start();
  await answering(port, child);
  return {
    port,
    get pid() {
      return child.pid;
    },
    show(ports, wide = true) {
      writeFileSync(`${table}.new`, ports.flatMap((one) => rowsOf(one, wide)).join("\n"));
      renameSync(`${table}.new`, table);
    },
    async restart() {
      await child.stop();
      child = start();
      await answering(port, child);
    },
    stop: () => child.stop(),
    [Symbol.asyncDispose]: () => child.kill9(),
  };
}

function rowsOf(one: FakePort, wide: boolean): string[] {
  const {
    index,
    name,
    alias = "",
    type = 6,
    admin = 1,
    oper = 1,
    mbps = 1_000,
    errors = 0,
    discards = 0,
    octets = 0n,
  } = one;
  const narrow = (value: number | bigint): string => String(BigInt(value) % 2n ** 32n);
  const short: [number, string, string][] = [
    [1, "integer", String(index)],
    [2, "string", `descr ${name}`],
    [3, "integer", String(type)],
    [5, "gauge", String(Math.min(mbps * 1e6, 4_294_967_295))],
    [7, "integer", String(admin)],
    [8, "integer", String(oper)],
    [10, "counter", narrow(octets)],
    [13, "counter", narrow(discards)],
    [14, "counter", narrow(errors)],
    [16, "counter", narrow(octets / 2n)],
    [19, "counter", "0"],
    [20, "counter", "0"],
  ];
  const long: [number, string, string][] = [
    [1, "string", name],
    [6, "counter64", String(octets)],
    [10, "counter64", String(octets / 2n)],
    [15, "gauge", String(mbps)],
    [18, "string", alias],
  ];
  return [
    ...short.map(([column, kind, value]) => `${IF}.${column}.${index} ${kind} ${value}`),
    ...(wide ? long : []).map(([column, kind, value]) => `${IFX}.${column}.${index} ${kind} ${value}`),
  ];
}

/** Asks with the plainest of questions until it answers. */
async function answering(port: number, child: Child): Promise<void> {
  const community = Buffer.from(COMMUNITY);
  const rest = Buffer.from("a01902010102010002010030 0e300c06082b0601020101030 00500".replaceAll(" ", ""), "hex");
  const body = Buffer.concat([Buffer.from([2, 1, 1, 4, community.length]), community, rest]);
  const question = Buffer.concat([Buffer.from([0x30, body.length]), body]);
  const socket = createSocket("udp4");
  socket.on("error", () => {});
  const answered = new Promise<void>((done) => socket.once("message", () => done()));
  let over = false;
  void answered.then(() => {
    over = true;
  });
  while (!over) {
    if (child.process.exitCode !== null || child.process.signalCode !== null) throw new Error(child.output());
    socket.send(question, port, "127.0.0.1");
    await systemClock.sleep(25);
  }
  socket.close();
}
