import { existsSync } from "node:fs";
import { startMosquitto } from "../test/kit/broker.ts";
import { testCa } from "../test/kit/certs.ts";
import { freePort } from "../test/kit/ports.ts";

/** The flags and settings of deploy/vigil-agent.service: what is measured is what is shipped. */
export const TUNED_FLAGS = ["--max-semi-space-size=1", "--optimize-for-size", "--v8-pool-size=0"];
export const TUNED_ENV = { MALLOC_ARENA_MAX: "1", UV_THREADPOOL_SIZE: "3" };

export interface TlsBroker extends AsyncDisposable {
  /** MQTTS, client certificates required. */
  tlsPort: number;
  /** For peers that speak plain MQTT only, and for listening along. */
  plainPort: number;
  tls(device: string): { caFile: string; certFile: string; keyFile: string };
}

/** A real Mosquitto with two listeners: TLS for the agent, plain for the others. */
export async function startTlsBroker(folder: string): Promise<TlsBroker> {
  if (!existsSync("dist/agent.js")) throw new Error("dist/agent.js is missing: npm run build");
  const ca = testCa(folder);
  const plainPort = await freePort();
  const tlsPort = await freePort();
  const broker = await startMosquitto({
    port: plainPort,
    config: [
      "per_listener_settings true",
      `listener ${tlsPort} 127.0.0.1`,
      `cafile ${ca.ca}`,
      `certfile ${ca.server.cert}`,
      `keyfile ${ca.server.key}`,
      "require_certificate true",
      "use_identity_as_username true",
      "allow_anonymous true",
    ],
  });
  const pairs = new Map<string, { caFile: string; certFile: string; keyFile: string }>();
  return {
    tlsPort,
    plainPort,
    tls(device) {
      const known = pairs.get(device);
      if (known !== undefined) return known;
      const { cert, key } = ca.client(device);
      const made = { caFile: ca.ca, certFile: cert, keyFile: key };
      pairs.set(device, made);
      return made;
    },
    [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose](),
  };
}

/** An agent's config over TLS with every check at its default; `more` is laid over it. */
export function agentConfig(
  broker: TlsBroker,
  device: string,
  stateDir: string,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    device,
    brokers: [{ host: "127.0.0.1", port: broker.tlsPort, tls: { ...broker.tls(device), servername: "localhost" } }],
    stateDir,
    logLevel: "warn",
    ...more,
  };
}
