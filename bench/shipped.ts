import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startMosquitto } from "../test/kit/broker.ts";
import { testCa } from "../test/kit/certs.ts";
import { freePort } from "../test/kit/ports.ts";

/** A program as its unit in deploy/ starts it: what is measured is what is shipped. */
export interface Shipped {
  argv: readonly string[];
  env: Readonly<Record<string, string>>;
  memoryMax: number;
}

/**
 * Lays a program out in `folder` with a Node of its own (shared text would halve its PSS) and writes its config there;
 * flags, environment and memory limit are read from deploy/vigil-<program>.service.
 */
export function install(program: "agent" | "aggregator", folder: string, config: object): Shipped {
  const unit = readFileSync(`deploy/vigil-${program}.service`, "utf8");
  const lib = join(folder, "lib");
  const configFile = join(folder, `${program}.json`);
  mkdirSync(folder, { recursive: true });
  cpSync("dist", lib, { recursive: true });
  copyFileSync(process.execPath, join(lib, "node"));
  writeFileSync(configFile, JSON.stringify(config), { mode: 0o600 });
  const start = /^ExecStart=\S*vigil-notify-exec (.*)$/m.exec(unit)?.[1];
  const limit = /^MemoryMax=(\d+)M$/m.exec(unit)?.[1];
  if (start === undefined || limit === undefined) throw new Error(`deploy/vigil-${program}.service is not as expected`);
  const argv = start.split(" ").map((word) => {
    if (word === `/etc/vigil/${program}.json`) return configFile;
    return word.replace("/usr/lib/vigil/", `${lib}/`);
  });
  const env = Object.fromEntries(
    [...unit.matchAll(/^Environment=(\w+)=(.*)$/gm)].map(([, key, value]) => [key, value]),
  );
  return { argv, env: { ...env, NODE_COMPILE_CACHE: join(folder, "cache") }, memoryMax: Number(limit) * 1024 * 1024 };
}

/** Part of an agent's `checks`: a bench sends nothing beyond this machine, so that its gateway is left alone. */
export const loopbackOnly = { network: { gateway: { enabled: false } } };

export interface TlsBroker extends AsyncDisposable {
  /** For peers that speak plain MQTT only, and for listening along. */
  plainPort: number;
  /** A broker's place in an agent's config: MQTTS with a client certificate. */
  asTls(device: string): object;
  output(): string;
  stop(): Promise<void>;
}

/** A real Mosquitto with two listeners: TLS with client certificates for the agent, plain for the others. */
export async function startTlsBroker(folder: string, more: readonly string[] = []): Promise<TlsBroker> {
  const ca = testCa(folder);
  const tlsPort = await freePort();
  const broker = await startMosquitto({
    config: [
      ...more,
      "set_tcp_nodelay true", // as in deploy/mosquitto/vigil.conf
      `listener ${tlsPort} 127.0.0.1`,
      "tls_version tlsv1.3",
      ...[`cafile ${ca.ca}`, `certfile ${ca.server.cert}`, `keyfile ${ca.server.key}`],
      "require_certificate true",
      "use_identity_as_username true",
    ],
  });
  return {
    plainPort: broker.port,
    asTls(device) {
      const { cert, key } = ca.client(device);
      const tls = { caFile: ca.ca, certFile: cert, keyFile: key, servername: "localhost" };
      return { host: "127.0.0.1", port: tlsPort, tls };
    },
    output: () => broker.output(),
    stop: () => broker.stop(),
    [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose](),
  };
}
