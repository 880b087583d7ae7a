import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Child, startChild } from "./child.ts";
import { programPath } from "./peers.ts";
import { freePort } from "./ports.ts";

/** Debian's chronyd on loopback; it never touches this machine's clock. */
export interface Chrony extends AsyncDisposable {
  readonly ntpPort: number;
  readonly cmdPort: number;
}

interface ChronyOptions {
  /** Serves this machine's own clock as if it were the truth; without, it has no time before it finds one. */
  local?: boolean;
  /** Asks the server on this loopback port. */
  from?: number;
  /** Its files. */
  folder: string;
  env?: Readonly<Record<string, string>>;
}

let started = 0;
export async function startChrony({ local = false, from, folder, env = {} }: ChronyOptions): Promise<Chrony> {
  const [ntpPort, cmdPort] = [await freePort(), await freePort()];
  started += 1;
  const file = join(folder, `chrony-${started}.conf`);
  const lines = [
    `port ${ntpPort}`,
    `cmdport ${cmdPort}`,
    "bindaddress 127.0.0.1",
    "bindcmdaddress 127.0.0.1",
    "allow 127.0.0.1",
    `pidfile ${join(folder, `chrony-${started}.pid`)}`,
    ...(local ? ["local stratum 5"] : []),
    ...(from === undefined ? [] : [`server 127.0.0.1 port ${from} iburst minpoll -4 maxpoll -4`]),
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  const child: Child = startChild(programPath("chronyd"), ["-x", "-d", "-U", "-u", "root", "-f", file], {
    ...process.env,
    ...env,
  });
  return { ntpPort, cmdPort, [Symbol.asyncDispose]: () => child.stop() };
}
