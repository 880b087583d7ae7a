import { afterAll } from "vitest";
import { systemClock } from "../../platform/clock.ts";
import { openMqttLink } from "../../platform/mqtt-link.ts";
import { BROKERS } from "../kit/broker.ts";
import { testCa } from "../kit/certs.ts";
import { silentLog } from "../kit/logs.ts";
import { needs } from "../kit/peers.ts";
import { tempFolder } from "../kit/temp.ts";
import { openWire } from "../kit/wire.ts";
import { brokerLinkContract, type LinkGround } from "./broker-link.ts";

const open = openMqttLink({ clock: systemClock, random: Math.random, log: silentLog });
const folder = tempFolder("contract");
afterAll(() => folder[Symbol.dispose]());

for (const { name, skip, start } of BROKERS) {
  brokerLinkContract(`${name}, plain`, skip, async (): Promise<LinkGround> => {
    const broker = await start();
    const wire = await openWire(broker.port);
    return {
      open,
      brokers: [{ host: "127.0.0.1", port: wire.port }],
      cut: wire.cut,
      async [Symbol.asyncDispose]() {
        await wire[Symbol.asyncDispose]();
        await broker[Symbol.asyncDispose]();
      },
    };
  });
}

let made: ReturnType<typeof testCa> | undefined;
const authority = (): ReturnType<typeof testCa> => {
  made ??= testCa(folder.path);
  return made;
};

for (const { name, skip, start } of BROKERS) {
  const skipTls = skip || needs("openssl", "openssl");
  brokerLinkContract(`${name}, TLS with client certificates`, skipTls, async (): Promise<LinkGround> => {
    const { ca, server, client } = authority();
    const { cert, key } = client("device");
    const broker = await start({ tls: { ...server, ca } });
    const wire = await openWire(broker.port);
    return {
      open,
      brokers: [{ host: "127.0.0.1", port: wire.port, tls: { caFile: ca, certFile: cert, keyFile: key } }],
      cut: wire.cut,
      async [Symbol.asyncDispose]() {
        await wire[Symbol.asyncDispose]();
        await broker[Symbol.asyncDispose]();
      },
    };
  });
}
