import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { running, type TestBroker } from "./broker.ts";
import { type TestCa, testCa } from "./certs.ts";
import { startChild } from "./child.ts";
import { programPath, run } from "./peers.ts";
import { freePort } from "./ports.ts";

const SHIPPED = join(import.meta.dirname, "../../deploy/mosquitto");

export interface ShippedBroker {
  broker: TestBroker;
  ca: TestCa;
  /** The broker list for a config, with a certificate of `name`. */
  brokers(name: string): [{ host: string; port: number; tls: { caFile: string; certFile: string; keyFile: string } }];
}

/** Mosquitto with the configuration and ACL of deploy/mosquitto, word for word but for its places. `folder` stays the caller's. */
export async function startShipped(folder: string, withdrawn: readonly string[] = []): Promise<ShippedBroker> {
  const at = (name: string): string => join(folder, name);
  const ca = testCa(folder);
  revocationList(folder, ca, withdrawn);
  const port = await freePort();
  writeFileSync(at("vigil.acl"), readFileSync(join(SHIPPED, "vigil.acl")), { mode: 0o600 });
  const here = readFileSync(join(SHIPPED, "vigil.conf"), "utf8")
    .replace("listener 8883", `user root\nlistener ${port} 127.0.0.1`)
    .replace("/etc/mosquitto/certs/ca.pem", ca.ca)
    .replace("/etc/mosquitto/certs/server.pem", ca.server.cert)
    .replace("/etc/mosquitto/certs/server.key", ca.server.key)
    .replace("/etc/mosquitto/certs/crl.pem", at("crl.pem"))
    .replace("/etc/mosquitto/vigil.acl", at("vigil.acl"));
  const left = /^[^#]*\/etc\/.*/m.exec(here);
  if (left !== null) throw new Error(`the shipped configuration points outside the test: ${left[0]}`);
  writeFileSync(at("vigil.conf"), here);
  chmodSync(folder, 0o700);
  const start = () => startChild(programPath("mosquitto"), ["-c", at("vigil.conf")]);
  const broker = await running(port, start, () => {});
  const brokers: ShippedBroker["brokers"] = (name) => {
    const { cert, key } = ca.client(name);
    return [{ host: "127.0.0.1", port, tls: { caFile: ca.ca, certFile: cert, keyFile: key } }];
  };
  return { broker, ca, brokers };
}

/** A list of withdrawn certificates, as the authority would make it. */
function revocationList(folder: string, ca: TestCa, withdrawn: readonly string[]): void {
  const at = (name: string): string => join(folder, name);
  writeFileSync(at("index.txt"), "");
  const keyFile = ca.ca.replace(/pem$/, "key");
  writeFileSync(
    at("ca.cnf"),
    `[ca]\ndefault_ca=d\n[d]\ndatabase=${at("index.txt")}\ndefault_md=sha256\ndefault_crl_days=2\ncertificate=${ca.ca}\nprivate_key=${keyFile}\n`,
  );
  for (const name of withdrawn) run("openssl", ["ca", "-config", at("ca.cnf"), "-revoke", ca.client(name).cert]);
  run("openssl", ["ca", "-config", at("ca.cnf"), "-gencrl", "-out", at("crl.pem")]);
}
